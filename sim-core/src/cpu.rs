//! Who may run on a CPU: one word per CPU that names the contexts which exclude all others there.
//!
//! The word is a small stack: a task in a section with preemption, bottom halves or interrupts off; a softirq on top of
//! it; a hard interrupt on top of that; an NMI on top of all. Empty means that the tasks of the CPU interleave freely,
//! which is preemption without a step of its own, and a quiescent state of RCU. The masks live in the same word, so one
//! object per CPU carries the whole rule.

use crate::ids::CtxId;

const ID_BITS: u32 = 11;
const LEVELS: u32 = 4;
const ID_MASK: u64 = (1 << ID_BITS) - 1;
const STACK_MASK: u64 = (1 << (ID_BITS * LEVELS)) - 1;
const IRQ_OFF: u64 = 1 << 44;
const BH_OFF: u64 = 1 << 45;
const IN_NMI: u64 = 1 << 46;

/// The most contexts that a machine can have: ids are packed into the CPU's word.
pub const MAX_CONTEXTS: usize = ID_MASK as usize - 1;

/// The word of a CPU on which nothing excludes anything.
pub const IDLE: u64 = 0;

/// How a step depends on the CPU of its context.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum CpuRule {
    /// Not bound to a CPU (a grace period, a store buffer).
    #[default]
    None,
    /// An ordinary step: the stack is empty, or its top is this context.
    Run,
    /// Entry of a hard interrupt: interrupts are on.
    IrqEntry,
    /// Entry of a softirq: interrupts and bottom halves are on, no softirq runs.
    SoftirqEntry,
    /// Entry of a non-maskable interrupt: no other is in progress.
    NmiEntry,
}

impl CpuRule {
    /// Whether the rule lets context `me` step on a CPU with this word.
    #[inline]
    pub fn allows(self, word: u64, me: CtxId) -> bool {
        match self {
            CpuRule::None => true,
            CpuRule::Run => runs(word, me),
            CpuRule::IrqEntry => word & (IRQ_OFF | IN_NMI) == 0,
            CpuRule::SoftirqEntry => word & (IRQ_OFF | BH_OFF | IN_NMI) == 0,
            CpuRule::NmiEntry => word & IN_NMI == 0,
        }
    }
}

/// A function of its own, so that what it computes is not computed for the other rules.
#[inline(never)]
fn runs(word: u64, me: CtxId) -> bool {
    word & STACK_MASK == 0 || top(word) == Some(me)
}

/// Which masks a push or pop changes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mask {
    /// None: preemption off only.
    Preempt,
    /// Hard interrupts.
    Irq,
    /// Bottom halves (softirqs).
    Bh,
    /// Non-maskable interrupts.
    Nmi,
}

impl Mask {
    fn bit(self) -> u64 {
        match self {
            Mask::Preempt => 0,
            Mask::Irq => IRQ_OFF,
            Mask::Bh => BH_OFF,
            Mask::Nmi => IN_NMI,
        }
    }
}

fn depth(word: u64) -> u32 {
    let stack = word & STACK_MASK;
    (64 - stack.leading_zeros()).div_ceil(ID_BITS)
}

/// The context on top of the stack, if any.
pub fn top(word: u64) -> Option<CtxId> {
    let d = depth(word);
    let id = (word >> (ID_BITS * d.checked_sub(1)?)) & ID_MASK;
    Some(CtxId(id as u16 - 1))
}

/// All contexts on the stack, lowest level first.
pub fn stack(word: u64) -> impl Iterator<Item = CtxId> {
    (0..depth(word)).map(move |l| CtxId(((word >> (ID_BITS * l)) & ID_MASK) as u16 - 1))
}

/// The word with other names for the contexts on its stack.
pub fn renamed(word: u64, mut name: impl FnMut(CtxId) -> CtxId) -> u64 {
    let names = stack(word).enumerate();
    let put =
        |w: u64, (l, c): (usize, CtxId)| w | (u64::from(name(c).0) + 1) << (ID_BITS * l as u32);
    names.fold(word & !STACK_MASK, put)
}

/// Whether hard interrupts are masked.
pub fn irqs_off(word: u64) -> bool {
    word & IRQ_OFF != 0
}

/// Whether softirqs are masked or one is running.
pub fn bh_off(word: u64) -> bool {
    word & BH_OFF != 0
}

/// The word after `me` masks `mask`; `me` is put on the stack unless it is on top already.
pub fn push(word: u64, me: CtxId, mask: Mask) -> u64 {
    let masked = word | mask.bit();
    if top(word) == Some(me) {
        return masked;
    }
    let d = depth(word);
    debug_assert!(d < LEVELS, "more than four levels on one CPU");
    masked | (u64::from(me.0) + 1) << (ID_BITS * d)
}

/// The word after `me` unmasks `mask`; `leave` takes it off the stack as well.
pub fn pop(word: u64, me: CtxId, mask: Mask, leave: bool) -> u64 {
    let unmasked = word & !mask.bit();
    if !leave {
        return unmasked;
    }
    debug_assert_eq!(top(word), Some(me), "only the top of the stack can leave");
    let d = depth(word).saturating_sub(1);
    unmasked & !(ID_MASK << (ID_BITS * d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_masks() {
        let (task, soft, hard) = (CtxId(0), CtxId(7), CtxId(1900));
        let a = push(IDLE, task, Mask::Preempt);
        assert!(CpuRule::SoftirqEntry.allows(a, soft) && CpuRule::IrqEntry.allows(a, hard));
        assert!(!CpuRule::Run.allows(a, CtxId(1)), "another task is excluded");
        let b = push(a, soft, Mask::Bh);
        assert!(!CpuRule::SoftirqEntry.allows(b, soft) && CpuRule::IrqEntry.allows(b, hard));
        assert!(!CpuRule::Run.allows(b, task), "the interrupted task waits");
        let c = push(b, hard, Mask::Irq);
        assert_eq!(stack(c).collect::<Vec<_>>(), [task, soft, hard]);
        assert!(!CpuRule::IrqEntry.allows(c, hard));
        let d = pop(c, hard, Mask::Irq, true);
        assert_eq!(d, b);
        let e = pop(pop(d, soft, Mask::Bh, true), task, Mask::Preempt, true);
        assert_eq!(e, IDLE);
    }

    #[test]
    fn one_context_may_mask_twice() {
        let me = CtxId(3);
        let a = push(push(IDLE, me, Mask::Preempt), me, Mask::Irq);
        assert_eq!(stack(a).count(), 1);
        let b = pop(a, me, Mask::Irq, false);
        assert!(!irqs_off(b) && top(b) == Some(me));
    }
}
