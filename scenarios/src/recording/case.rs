//! A recorded case, typed: what was done on the real kernel, and what came of it.

use std::collections::BTreeMap;

use timerace_kernel::world::{MapFlags, MapKind, UpdateFlag};

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its line in the recording, from 1.
    pub line: u32,
    /// Its name; lines of kind `race` have none and are called by their mode and line.
    pub id: String,
    /// `runtime`, `load`, `limit` or `race`; the text of the recording if it is none of these.
    pub kind: String,
    /// The label of the kernel, such as `6.1` or `6.12-rt`.
    pub kernel: String,
    /// What the kernel ran on, in words.
    pub environment: String,
    /// What the case is about.
    pub content: Content,
}

/// What a case is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Operations and callbacks.
    Runtime(Runtime),
    /// The programs of a runtime case were refused.
    Refused {
        /// What loading them gave.
        load_ret: i64,
    },
    /// Creating one map or loading one program.
    Load {
        /// What it gave.
        ret: i64,
    },
    /// A batch of `bpf_timer_init()`.
    Limit(super::limit::Limited),
    /// A case that the comparison cannot judge, with the reason.
    Unjudged(String),
}

/// A sequence of operations with its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The map.
    pub map: MapShape,
    /// What callbacks do, by their number. One without an entry does nothing.
    pub callbacks: BTreeMap<u32, Vec<CallbackOp>>,
    /// What was done, in order.
    pub ops: Vec<RecordedOp>,
    /// Runs of callbacks in the order in which they began.
    pub events: Vec<Event>,
    /// What came out the same in each repetition.
    pub repeatable: Repeatable,
    /// The other outcomes that were seen.
    pub variants: Vec<Variant>,
    /// When each operation ended, in microseconds since the start.
    pub op_end_us: Vec<u64>,
}

/// The map of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapShape {
    /// Its type, or that of the inner maps.
    pub kind: MapKind,
    /// Number of elements.
    pub max_entries: u32,
    /// Flags of its creation.
    pub flags: MapFlags,
    /// The type of the outer map, if there is one: then three inner maps exist.
    pub outer: Option<MapKind>,
}

/// How far the repetitions of a case agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// Everything but times.
    Exact,
    /// As exact, but the case warns that a timer expires at once: its callback may also fall into the next operation.
    Immediate,
    /// Everything but which operation a callback falls into.
    ExceptDuringOp,
    /// They differ: see the variants.
    Varies,
}

/// An outcome that another repetition had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Results of the operations.
    pub rets: Vec<Ret>,
    /// Runs of callbacks.
    pub events: Vec<Event>,
}

/// An operation with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOp {
    /// Who did it.
    pub by: By,
    /// What was done.
    pub action: Action,
    /// What it gave.
    pub result: OpResult,
    /// How many callbacks had begun when it was over.
    pub callbacks_so_far: u64,
}

/// Who does an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Program `a` or `b`, by its number; a test run of its own for each operation.
    Prog(u32),
    /// User space.
    User,
}

/// What an operation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpResult {
    /// The return value.
    pub ret: Ret,
    /// The integer of the value that was read.
    pub data: Option<i64>,
    /// Keys of a walk.
    pub keys: Option<Vec<i64>>,
    /// The count of a batch.
    pub count: Option<u64>,
}

/// A return value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// A code; a boolean is 0 or 1.
    Code(i64),
    /// A pointer to a value.
    Value,
    /// The call was not made: there was nothing to make it on.
    Absent,
    /// The call was not made: the callback had run too often.
    MaxRun,
}

/// An operation of a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackOp {
    /// What it does.
    pub action: Action,
    /// It is only done in the first so many runs.
    pub max_run: Option<u64>,
}

/// A run of a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The operation during which it began.
    pub during_op: usize,
    /// The number of the callback.
    pub callback: u32,
    /// Which run of that callback it is, from 1.
    pub run: u64,
    /// The key that it was called with.
    pub key: u64,
    /// The integer of its value.
    pub data: i64,
    /// Whether its value pointer was what a lookup of the key gives.
    pub value_is_current: bool,
    /// Its CPU, where the case is about CPUs.
    pub cpu: Option<u16>,
    /// Results of its operations, in order.
    pub ops: Vec<(Ret, Option<i64>)>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `bpf_timer_init`
    Init(Elem, u64),
    /// `bpf_timer_set_callback`
    SetCallback(Elem, u32),
    /// `bpf_timer_start`
    Start(Elem, Expiry, u64),
    /// `bpf_timer_cancel`
    Cancel(Elem),
    /// `bpf_map_update_elem` with the integer of the new value.
    Update(Elem, i64, UpdateFlag),
    /// `bpf_map_delete_elem`
    Delete(Elem),
    /// `bpf_map_lookup_elem`
    Lookup(Elem),
    /// `bpf_map_lookup_and_delete_elem`
    LookupAndDelete(Elem),
    /// `bpf_map_update_batch`
    UpdateBatch(Vec<i64>),
    /// `bpf_map_delete_batch`
    DeleteBatch(Vec<i64>),
    /// `bpf_map_lookup_batch` of at most so many.
    LookupBatch(u64),
    /// `bpf_map_lookup_and_delete_batch` of at most so many.
    LookupAndDeleteBatch(u64),
    /// All keys, by `bpf_map_get_next_key`.
    Keys,
    /// `close`
    Close(Fd),
    /// `dup`
    Dup(Fd),
    /// `BPF_OBJ_PIN`
    Pin(Fd),
    /// `BPF_OBJ_GET`
    Get(Fd),
    /// `BPF_MAP_GET_FD_BY_ID`
    ById(Fd),
    /// `unlink` of the pin.
    Unlink,
    /// Whether a program exists; polled.
    ProgExists(u32),
    /// Whether the map exists; polled.
    MapExists,
    /// Sleeps so many nanoseconds.
    Sleep(u64),
    /// Goes to a CPU.
    SetCpu(u16),
    /// Waits for a number of callbacks, at most so many nanoseconds.
    WaitCallbacks(u64, u64),
    /// Sets `CLOCK_REALTIME` by so many nanoseconds.
    StepClock(i64),
    /// Puts an inner map into a slot of the outer map: slot, inner map.
    OuterUpdate(u32, u32),
    /// Empties a slot of the outer map.
    OuterDelete(u32),
    /// Keeps the CPU so many nanoseconds.
    Spin(u64),
}

/// A file descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fd {
    /// Of the map; with an outer map: of that.
    Map,
    /// The copy of it that `dup` made.
    MapDup,
    /// Of an inner map.
    Inner(u32),
    /// Of program `a` or `b`.
    Prog(u32),
}

/// An element, as an operation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elem {
    /// For user space the number of the inner map, for programs the slot of the outer map.
    pub inner: Option<u32>,
    /// The key; `None`: the key that the callback got.
    pub key: Option<u64>,
}

/// The expiry that a timer is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This number.
    Of(u64),
    /// The time of a clock of UAPI, plus so many nanoseconds.
    NowOf(u32, i64),
}

impl Repeatable {
    /// How many operations off a callback may be.
    pub(super) fn slack(self) -> usize {
        match self {
            Repeatable::Exact | Repeatable::Varies => 0,
            Repeatable::Immediate => 1,
            Repeatable::ExceptDuringOp => usize::MAX,
        }
    }
}

impl Action {
    /// Whether it takes time by its nature: then a long duration does not mean that it had to wait.
    pub(super) fn is_pause(&self) -> bool {
        matches!(
            self,
            Action::Sleep(_)
                | Action::WaitCallbacks(..)
                | Action::ProgExists(_)
                | Action::MapExists
                | Action::Spin(_)
        )
    }
}
