//! Where the queued timers are.

/// Where each queued timer lies in the heap or the run, by its index: a table with open addressing. Its size follows from how many
/// timers are queued, not from the largest index: a machine has many queues.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Index of a timer plus one (0: never used, [`GONE`]: not any more), and its position.
    pub slots: Vec<(u32, u32)>,
    /// Slots that are not free: in use, or gone.
    pub used: usize,
}

const GONE: u32 = u32::MAX;

impl Places {
    #[inline]
    fn home(&self, index: u32) -> usize {
        ((u64::from(index.wrapping_mul(0x9e37_79b9)) * self.slots.len() as u64) >> 32) as usize
    }

    /// The slot of a timer.
    #[inline]
    pub fn find(&self, index: u32) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut s = self.home(index);
        loop {
            match self.slots[s].0 {
                0 => return None,
                n if n == index + 1 => return Some(s as u32),
                _ => s = if s + 1 == self.slots.len() { 0 } else { s + 1 },
            }
        }
    }

    /// The slot of a timer, and whether it had none before.
    #[inline]
    pub fn take(&mut self, index: u32) -> (u32, bool) {
        let (mut s, mut gone) = (self.home(index), None);
        loop {
            match self.slots[s].0 {
                0 => break,
                n if n == index + 1 => return (s as u32, false),
                GONE => gone = gone.or(Some(s)),
                _ => {}
            }
            s = if s + 1 == self.slots.len() { 0 } else { s + 1 };
        }
        self.used += usize::from(gone.is_none());
        let s = gone.unwrap_or(s);
        self.slots[s] = (index + 1, 0);
        (s as u32, true)
    }

    #[inline]
    pub fn free(&mut self, slot: u32) {
        let next = slot as usize + 1;
        let next = if next == self.slots.len() { 0 } else { next };
        // Nobody's search goes past a slot whose next one was never used.
        let last = self.slots[next].0 == 0;
        self.slots[slot as usize].0 = if last { 0 } else { GONE };
        self.used -= usize::from(last);
    }

    #[inline]
    pub fn index(&self, slot: u32) -> u32 {
        self.slots[slot as usize].0 - 1
    }

    /// The timer with this slot is there now.
    #[inline]
    pub fn put(&mut self, slot: u32, position: u32) {
        self.slots[slot as usize].1 = position;
    }

    #[inline]
    pub fn position(&self, slot: u32) -> u32 {
        self.slots[slot as usize].1
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        if self.used > 0 {
            self.slots.fill((0, 0));
            self.used = 0;
        }
    }
}
