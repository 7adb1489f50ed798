//! Results of operations and runs of callbacks, for comparison with recordings of real kernels.
//!
//! Not shared state: it is written between steps and never read by one.

use crate::kernel::Kernel;
use crate::world::{LineId, MapId, ProgId};
use std::cell::{Cell, RefCell};
use timerace_core::{CpuId, CtxId, Cx, Nanos};

/// The result of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpResult {
    /// Who.
    pub ctx: CtxId,
    /// Which, by its place in the source.
    pub at: LineId,
    /// The return code; `None`: the call was not made, because the element was absent.
    pub ret: Option<i64>,
    /// Numbers that the operation gave besides: keys of a walk, the first integer of a value.
    pub data: Vec<i64>,
    /// When it was over; 0 in explored runs.
    pub time: Nanos,
    /// How many callbacks had begun by then.
    pub callbacks: u64,
}

/// A run of a callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallbackRun {
    /// The callback.
    pub callback: ProgId,
    /// The map that it was called with.
    pub map: MapId,
    /// The key when it began.
    pub key: u64,
    /// The first integer of the value when it began, if it has one.
    pub data: Option<i64>,
    /// Whether a lookup of the key gave the value that it was called with.
    pub value_is_current: bool,
    /// On which CPU.
    pub cpu: CpuId,
    /// When it began; 0 in explored runs.
    pub time: Nanos,
}

/// What was logged in a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Logged {
    /// Operations in the order in which they ended.
    pub ops: Vec<OpResult>,
    /// Callbacks in the order in which they began.
    pub callbacks: Vec<CallbackRun>,
}

/// The log of a run; off unless asked for.
#[derive(Debug, Default)]
pub struct Log {
    on: Cell<bool>,
    logged: RefCell<Logged>,
}

impl Log {
    /// Starts an empty log, to be called before a run.
    pub fn begin(&self) {
        self.on.set(true);
        *self.logged.borrow_mut() = Logged::default();
    }

    /// Takes what was logged and switches the log off.
    pub fn take(&self) -> Logged {
        self.on.set(false);
        self.logged.take()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.get()
    }
}

impl Kernel {
    pub(crate) fn log_op(&self, cx: Cx<'_>, at: LineId, ret: Option<i64>, data: &[i64]) {
        if !self.log.is_on() {
            return;
        }
        let time = cx.machine().with_mem(timerace_core::Mem::now);
        let mut log = self.log.logged.borrow_mut();
        let callbacks = log.callbacks.len() as u64;
        log.ops.push(OpResult { ctx: cx.id(), at, ret, data: data.to_vec(), time, callbacks });
    }

    pub(crate) fn log_callback(&self, run: CallbackRun) {
        self.log.logged.borrow_mut().callbacks.push(run);
    }
}
