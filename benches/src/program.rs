//! The race models that every tool plays: small programs of atomic steps, one list of operations per thread.

/// Value of the slot while it holds the pointer.
pub const PTR: u64 = 1;
/// Bit of the object's word that says "freed".
pub const FREED: u64 = 1 << 32;

/// One operation. All but [`Op::SkipUnlessPtr`] and [`Op::SkipUnlessZero`] are one atomic step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Takes the lock.
    Lock,
    /// Releases it.
    Unlock,
    /// Reads the slot into the register.
    ReadSlot,
    /// Takes what is in the slot into the register and clears it.
    TakeSlot,
    /// Goes on `n` operations further unless the register is the pointer.
    SkipUnlessPtr(usize),
    /// Goes on `n` operations further unless the register is 0.
    SkipUnlessZero(usize),
    /// A read-modify-write of the object's word; a bug if it was freed.
    UseAdd,
    /// A read of the object's word; a bug if it was freed.
    Use,
    /// Frees the object.
    Free,
    /// Stores into a flag.
    Set(usize, u64),
    /// Adds to a flag (two's complement).
    Add(usize, u64),
    /// Reads a flag into the register.
    Read(usize),
    /// Waits until all flags `from..to` are 0.
    WaitZero(usize, usize),
    /// Waits until the thread's stores have left its store buffer.
    Barrier,
}

/// A model: what its threads do.
#[derive(Clone, Debug)]
pub struct Program {
    /// Number of flags.
    pub flags: usize,
    /// The threads.
    pub threads: Vec<Vec<Op>>,
    /// Threads that do the same, each with the flag of its own: (thread, flag).
    pub alike: Vec<(usize, usize)>,
    /// Stores of flags that a thread's store buffer holds, which drain at any moment (TSO); 0: there is none. No thread
    /// reads a flag that it stores into.
    pub slots: usize,
}

/// The models by name.
pub const MODELS: [&str; 6] =
    ["uaf", "uaf-fixed", "ring", "ring-checked", "ring-tso", "ring-tso-barrier"];

/// A model of `n` threads.
///
/// - `uaf`: one thread frees, n - 1 cancel (the race of CVE-2024-26737).
/// - `uaf-fixed`: the same; who cancels says so by a flag, and the free waits until all flags are down.
/// - `ring`: each thread is a running callback that waits for the end of the next one (the race of CVE-2024-42239).
/// - `ring-checked`: each counts itself at the next one first, and does not wait when it is counted itself.
/// - `ring-tso`, `ring-tso-barrier`: the same with plain stores under TSO, without and with the full barrier behind them.
pub fn program(name: &str, n: usize) -> Option<Program> {
    let uaf = |fixed: bool| {
        let mut freer =
            vec![Op::Lock, Op::TakeSlot, Op::Unlock, Op::SkipUnlessPtr(if fixed { 3 } else { 2 })];
        freer.push(Op::UseAdd);
        if fixed {
            freer.push(Op::WaitZero(0, n - 1));
        }
        freer.push(Op::Free);
        let mut threads = vec![freer];
        for i in 0..n - 1 {
            let core =
                [Op::Lock, Op::ReadSlot, Op::Unlock, Op::SkipUnlessPtr(2), Op::UseAdd, Op::Use];
            let mut body = Vec::new();
            if fixed {
                body.push(Op::Set(i, 1));
            }
            body.extend(core);
            if fixed {
                body.push(Op::Set(i, 0));
            }
            threads.push(body);
        }
        let alike = if fixed { (1..n).map(|t| (t, t - 1)).collect() } else { Vec::new() };
        Program { flags: n - 1, threads, alike, slots: 0 }
    };
    let ring = |checked: bool| {
        let thread = |i: usize| {
            let next = (i + 1) % n;
            if !checked {
                return vec![Op::Set(i, 1), Op::WaitZero(next, next + 1), Op::Set(i, 0)];
            }
            vec![
                Op::Set(i, 1),
                Op::Add(n + next, 1),
                Op::Read(n + i),
                Op::SkipUnlessZero(1),
                Op::WaitZero(next, next + 1),
                Op::Add(n + next, u64::MAX),
                Op::Set(i, 0),
            ]
        };
        let threads = (0..n).map(thread).collect();
        Program { flags: 2 * n, threads, alike: Vec::new(), slots: 0 }
    };
    let ring_tso = |barrier: bool| {
        let thread = |i: usize| {
            let next = (i + 1) % n;
            let mut body = vec![Op::Set(i, 1), Op::Set(n + next, 1)];
            body.extend(barrier.then_some(Op::Barrier));
            body.extend([Op::Read(n + i), Op::SkipUnlessZero(1), Op::WaitZero(next, next + 1)]);
            body.extend([Op::Set(n + next, 0), Op::Set(i, 0)]);
            body
        };
        let threads = (0..n).map(thread).collect();
        Program { flags: 2 * n, threads, alike: Vec::new(), slots: 4 }
    };
    match name {
        "uaf" => Some(uaf(false)),
        "uaf-fixed" => Some(uaf(true)),
        "ring" => Some(ring(false)),
        "ring-checked" => Some(ring(true)),
        "ring-tso" => Some(ring_tso(false)),
        "ring-tso-barrier" => Some(ring_tso(true)),
        _ => None,
    }
}
