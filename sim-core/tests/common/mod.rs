//! A toy model for the tests of the engine: programs of raw steps, and an oracle that shares only their meaning.
// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

mod oracle;
mod toy;

pub use oracle::{Oracle, Outcome};
pub use toy::{Toy, boot, outcome};

use timerace_core::machine::CtxKind;

/// A step of a program. Registers are local; `r` is the last value read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Read(usize),
    Write(usize, u64),
    /// The same as plain accesses.
    PlainRead(usize),
    PlainWrite(usize, u64),
    Add(usize, i64),
    /// Writes and gives the old value.
    Xchg(usize, u64),
    /// Writes the second if the first is there; gives the old value.
    Cmpxchg(usize, u64, u64),
    /// The reader-writer lock.
    ReadLock,
    ReadUnlock,
    WriteLock,
    WriteUnlock,
    /// Waits until all variables from the first to the last are 0.
    WaitAllZero(usize, usize),
    /// Writes the register plus a constant.
    WriteReg(usize, u64),
    /// Skips so many of the following steps unless the register is this.
    SkipUnless(u64, usize),
    Lock(usize),
    Unlock(usize),
    TryLock(usize),
    /// Frees / uses the one allocation.
    Free,
    Use,
    /// Adds to the word of the allocation.
    UseAdd,
    RcuLock,
    RcuUnlock,
    /// A grace period of all readers.
    Sync,
    WaitEq(usize, u64),
    WaitGe(usize, u64),
    WaitAnyEq(usize, u64, usize, u64),
    IrqOff,
    IrqOn,
    BhOff,
    BhOn,
    PreemptOff,
    PreemptOn,
    /// Arms the timer of a line, with an order.
    Arm(usize, u64),
    Cancel(usize),
    /// A full barrier.
    Mb,
    /// Waits until no handler of the line runs.
    WaitHandler(usize),
    /// A data choice among n, into the register.
    Choose(u8),
    /// Queues an item; a worker adds it to variable 0.
    Queue(u64),
}

/// An interrupt line with its handler, which gets in its register who armed the timer.
#[derive(Clone, Debug)]
pub struct Line {
    pub cpu: u16,
    pub kind: CtxKind,
    pub body: Vec<Op>,
}

/// A program: tasks with their CPU, and interrupt lines with their handlers.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub cpus: u16,
    pub vars: usize,
    pub locks: usize,
    pub tasks: Vec<(u16, Vec<Op>)>,
    pub lines: Vec<Line>,
    pub worker: bool,
    /// Slots of each store buffer; 0: sequential consistency.
    pub slots: u32,
    /// Tasks that are interchangeable, each with the variable that is its own. Each is alone on its CPU.
    pub orbit: Vec<(usize, usize)>,
}
