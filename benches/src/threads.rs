//! loom and shuttle: the program as code of threads. Both replace the primitives of `std` by their own, alike enough for
//! one macro. loom waits by spinning with a yield, which it knows how to cut short; shuttle's exhaustive search would
//! spin for ever, so there a wait is a condition variable.

use crate::program::{FREED, Op, PTR, Program};
use crate::{Measured, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Executions begun: counted outside of what the checkers see.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
/// Executions with a use after free.
static BUGS: AtomicU64 = AtomicU64::new(0);

fn bug(stop: bool) {
    BUGS.fetch_add(1, Relaxed);
    assert!(!stop, "use after free");
}

mod with_loom {
    use super::{FREED, Op, PTR, Program, bug};
    use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use loom::sync::{Arc, Mutex, MutexGuard};

    struct Shared {
        lock: Mutex<()>,
        slot: AtomicUsize,
        word: AtomicU64,
        flags: Vec<AtomicU64>,
    }

    fn thread(s: &Shared, ops: &[Op], stop: bool) {
        let (mut r, mut at) = (0, 0);
        let mut guard: Option<MutexGuard<'_, ()>> = None;
        while let Some(op) = ops.get(at) {
            at += 1;
            match *op {
                Op::Lock => guard = Some(s.lock.lock().expect("nobody panics with the lock")),
                Op::Unlock => drop(guard.take()),
                Op::ReadSlot => r = s.slot.load(SeqCst) as u64,
                Op::TakeSlot => r = s.slot.swap(0, SeqCst) as u64,
                Op::SkipUnlessPtr(n) => at += if r == PTR { 0 } else { n },
                Op::SkipUnlessZero(n) => at += if r == 0 { 0 } else { n },
                Op::UseAdd if s.word.fetch_add(1, SeqCst) & FREED != 0 => bug(stop),
                Op::Use if s.word.load(SeqCst) & FREED != 0 => bug(stop),
                Op::UseAdd | Op::Use => {}
                Op::Free => s.word.store(FREED, SeqCst),
                Op::Set(f, x) => s.flags[f].store(x, SeqCst),
                Op::Add(f, n) => {
                    s.flags[f].fetch_add(n, SeqCst);
                }
                // loom takes SeqCst loads for acquiring ones: only a read-modify-write sees the newest value.
                Op::Read(f) => r = s.flags[f].fetch_add(0, SeqCst),
                Op::WaitZero(from, to) => {
                    for f in &s.flags[from..to] {
                        while f.load(SeqCst) != 0 {
                            loom::thread::yield_now();
                        }
                    }
                }
                Op::Barrier => {}
            }
        }
    }

    pub fn body(program: &Program, stop: bool) {
        let s = Arc::new(Shared {
            lock: Mutex::new(()),
            slot: AtomicUsize::new(PTR as usize),
            word: AtomicU64::new(0),
            flags: (0..program.flags).map(|_| AtomicU64::new(0)).collect(),
        });
        // The first thread is the main one: loom knows few threads.
        let (first, rest) = program.threads.split_first().expect("a program has threads");
        let spawn = |ops: &Vec<Op>| {
            let (s, ops) = (Arc::clone(&s), ops.clone());
            loom::thread::spawn(move || thread(&s, &ops, stop))
        };
        let others: Vec<_> = rest.iter().map(spawn).collect();
        thread(&s, first, stop);
        for t in others {
            t.join().expect("a thread ends");
        }
    }
}

mod with_shuttle {
    use super::{FREED, Op, PTR, Program, bug};
    use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};

    struct Shared {
        lock: Mutex<()>,
        slot: AtomicUsize,
        word: AtomicU64,
        flags: Mutex<Vec<u64>>,
        changed: Condvar,
    }

    impl Shared {
        fn change(&self, f: usize, to: impl Fn(u64) -> u64) {
            let mut flags = self.flags.lock().expect("nobody panics with the lock");
            flags[f] = to(flags[f]);
            self.changed.notify_all();
        }
    }

    fn thread(s: &Shared, ops: &[Op], stop: bool) {
        let (mut r, mut at) = (0, 0);
        let mut guard: Option<MutexGuard<'_, ()>> = None;
        while let Some(op) = ops.get(at) {
            at += 1;
            match *op {
                Op::Lock => guard = Some(s.lock.lock().expect("nobody panics with the lock")),
                Op::Unlock => drop(guard.take()),
                Op::ReadSlot => r = s.slot.load(SeqCst) as u64,
                Op::TakeSlot => r = s.slot.swap(0, SeqCst) as u64,
                Op::SkipUnlessPtr(n) => at += if r == PTR { 0 } else { n },
                Op::SkipUnlessZero(n) => at += if r == 0 { 0 } else { n },
                Op::UseAdd if s.word.fetch_add(1, SeqCst) & FREED != 0 => bug(stop),
                Op::Use if s.word.load(SeqCst) & FREED != 0 => bug(stop),
                Op::UseAdd | Op::Use => {}
                Op::Free => s.word.store(FREED, SeqCst),
                Op::Set(f, x) => s.change(f, |_| x),
                Op::Add(f, n) => s.change(f, |v| v.wrapping_add(n)),
                Op::Read(f) => r = s.flags.lock().expect("nobody panics with the lock")[f],
                Op::WaitZero(from, to) => {
                    let mut flags = s.flags.lock().expect("nobody panics with the lock");
                    while flags[from..to].iter().any(|f| *f != 0) {
                        flags = s.changed.wait(flags).expect("nobody panics with the lock");
                    }
                }
                Op::Barrier => {}
            }
        }
    }

    pub fn body(program: &Program, stop: bool) {
        let s = Arc::new(Shared {
            lock: Mutex::new(()),
            slot: AtomicUsize::new(PTR as usize),
            word: AtomicU64::new(0),
            flags: Mutex::new(vec![0; program.flags]),
            changed: Condvar::new(),
        });
        let (first, rest) = program.threads.split_first().expect("a program has threads");
        let spawn = |ops: &Vec<Op>| {
            let (s, ops) = (Arc::clone(&s), ops.clone());
            shuttle::thread::spawn(move || thread(&s, &ops, stop))
        };
        let others: Vec<_> = rest.iter().map(spawn).collect();
        thread(&s, first, stop);
        for t in others {
            t.join().expect("a thread ends");
        }
    }
}

/// What came of a search; a panic is a bug found (a use after free, or a deadlock), and the end of the search.
fn measured(ended: std::thread::Result<()>, bounded: bool) -> Measured {
    let executions = EXECUTIONS.load(Relaxed);
    let bug = ended.is_err() || BUGS.load(Relaxed) > 0;
    Measured { executions, bug, complete: ended.is_ok() && !bounded, ..Measured::default() }
}

/// Plays the program with loom; it has no random search.
pub fn play_loom(program: &Program, task: Task) -> Option<Measured> {
    // It knows the orders of C11, not store buffers.
    if matches!(task, Task::Random(_)) || program.threads.len() > 4 || program.slots > 0 {
        return None;
    }
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    let program = program.clone();
    let stop = task == Task::First;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            EXECUTIONS.fetch_add(1, Relaxed);
            with_loom::body(&program, stop);
        });
    }));
    Some(measured(ended, false))
}

/// Plays the program with shuttle.
pub fn play_shuttle(program: &Program, task: Task) -> Option<Measured> {
    // It is sequentially consistent.
    if program.slots > 0 {
        return None;
    }
    let mut config = shuttle::Config::new();
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.silence_warnings = true;
    let program = program.clone();
    let stop = task == Task::First;
    let body = move || {
        EXECUTIONS.fetch_add(1, Relaxed);
        with_shuttle::body(&program, stop);
    };
    let (ended, bounded) = match task {
        Task::Random(n) => {
            let scheduler = shuttle::scheduler::RandomScheduler::new_from_seed(1, n as usize);
            let runner = shuttle::Runner::new(scheduler, config);
            (
                catch_unwind(AssertUnwindSafe(|| {
                    runner.run(body);
                })),
                true,
            )
        }
        Task::First | Task::Exhaust => {
            let scheduler = shuttle::scheduler::DfsScheduler::new(None, false);
            let runner = shuttle::Runner::new(scheduler, config);
            (
                catch_unwind(AssertUnwindSafe(|| {
                    runner.run(body);
                })),
                false,
            )
        }
    };
    Some(measured(ended, bounded))
}
