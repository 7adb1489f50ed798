//! An entry as a queue holds it.

/// 32 bytes: two are a cache line.
#[derive(Copy, Clone, Debug)]
pub(super) struct Node {
    /// The expiry, shifted so that its order is that of unsigned numbers.
    pub at: u64,
    pub seq: u64,
    pub timer: u64,
    /// Where [`super::places::Places`] has it.
    pub slot: u32,
    /// Its soft expiry is another one, see [`super::TimerQueue::softs`].
    pub early: bool,
}

const SHIFT: u64 = 1 << 63;

impl Node {
    /// None.
    pub const NONE: Node = Node { at: 0, seq: 0, timer: 0, slot: u32::MAX, early: false };

    /// What orders a queue by expiry, as it is in [`Node::at`].
    #[inline]
    pub fn order(expires: i64) -> u64 {
        expires as u64 ^ SHIFT
    }

    #[inline]
    pub fn key(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.seq)
    }

    #[inline]
    pub fn expires(&self) -> i64 {
        (self.at ^ SHIFT) as i64
    }
}
