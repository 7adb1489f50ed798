//! Shared memory: small objects with 64-bit values, allocations with a life, lists and timer queues.
//!
//! This is all that the closure of a step may see. Every object has a value; that of a list or a queue is 0 if and only
//! if it is empty, and otherwise a digest of its content. A freed object keeps its last value for later readers, so that
//! a run can go on after a finding.

use crate::detect::{Class, Finding, RawFinding};
use crate::ids::{CtxId, Nanos, Obj};
use crate::mix::{mix, roll};
use crate::queue::TimerQueue;
use crate::step::{Label, Learn};
use std::collections::VecDeque;
use std::marker::PhantomData;

/// Fresh memory is full of this: reading it is a finding.
pub const POISON: u64 = 0xa5a5_a5a5_6b6b_6b6b;

/// A value that fits one word of shared memory.
pub trait Word: Copy + 'static {
    /// The word that stands for the value.
    fn to_word(self) -> u64;
    /// The value that the word stands for.
    fn from_word(word: u64) -> Self;
}

macro_rules! word_int {
    ($($t:ty),*) => {$(
        impl Word for $t {
            fn to_word(self) -> u64 { self as u64 }
            fn from_word(word: u64) -> Self { word as $t }
        }
    )*};
}
word_int!(u64, i64, u32, i32, u16, u8, usize);

impl Word for bool {
    fn to_word(self) -> u64 {
        u64::from(self)
    }
    fn from_word(word: u64) -> bool {
        word != 0
    }
}

impl Word for Option<CtxId> {
    fn to_word(self) -> u64 {
        self.map_or(0, |c| u64::from(c.0) + 1)
    }
    fn from_word(word: u64) -> Self {
        word.checked_sub(1).map(|c| CtxId(c as u16))
    }
}

impl<T: Word> Learn for T {
    fn learn(&self) -> u64 {
        self.to_word()
    }
}

/// A pointer to an allocation or to a static object of several fields. Its word is never 0, which is NULL.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ptr(pub(crate) u32);

impl Ptr {
    /// The field with this index.
    pub fn field<T>(self, index: u32) -> Var<T> {
        Var { obj: Obj(self.0 + 1 + index), life: Life::before(index + 1), of: PhantomData }
    }

    /// The object that says whether the allocation is alive.
    pub fn alive(self) -> Obj {
        Obj(self.0)
    }

    /// A number that no other allocation has, usable as an index.
    pub fn number(self) -> u32 {
        self.0
    }
}

// Words of pointers lie where no count or key of a scenario does, so that a digest can tell them apart.
const POINTER: u64 = 0xffff_8880_0000_0000;

impl Word for Ptr {
    fn to_word(self) -> u64 {
        POINTER | u64::from(self.0)
    }
    fn from_word(word: u64) -> Ptr {
        Ptr(word as u32)
    }
}

impl Word for Option<Ptr> {
    fn to_word(self) -> u64 {
        self.map_or(0, Ptr::to_word)
    }
    fn from_word(word: u64) -> Self {
        (word != 0).then(|| Ptr::from_word(word))
    }
}

/// A shared variable of type `T`: a typed name of an object.
#[derive(Debug)]
pub struct Var<T> {
    obj: Obj,
    life: Life,
    of: PhantomData<fn() -> T>,
}

/// Where the object lies that says whether the allocation of a variable is alive.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Life {
    /// There is none.
    Static,
    /// So far before the variable, from 1.
    Before(u8),
    /// [`Mem::life`] knows.
    Unknown,
}

impl Life {
    #[inline]
    fn before(n: u32) -> Life {
        u8::try_from(n).map_or(Life::Unknown, Life::Before)
    }
}

impl<T> Clone for Var<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Var<T> {}

impl<T> Var<T> {
    /// The variable that lives in `obj`.
    pub fn at(obj: Obj) -> Var<T> {
        Var { obj, life: Life::Unknown, of: PhantomData }
    }

    /// The same for an object that is no part of an allocation.
    pub(crate) fn fixed(obj: Obj) -> Var<T> {
        Var { obj, life: Life::Static, of: PhantomData }
    }

    /// The same variable as one of another type.
    pub fn cast<U>(self) -> Var<U> {
        Var { obj: self.obj, life: self.life, of: PhantomData }
    }

    /// Its object.
    pub fn obj(self) -> Obj {
        self.obj
    }
}

/// A list of words (free list, work queue, chain of a bucket) as one shared object.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ListVar(pub(crate) Obj, pub(crate) u32);

impl ListVar {
    /// Its object.
    pub fn obj(self) -> Obj {
        self.0
    }
}

/// A queue of timers as one shared object.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct QueueVar(pub(crate) Obj, pub(crate) u32);

impl QueueVar {
    /// Its object.
    pub fn obj(self) -> Obj {
        self.0
    }

    /// Its index among the machine's timer queues.
    pub fn index(self) -> u32 {
        self.1
    }
}

/// A struct type: its name, and the names of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// Such as `bpf_hrtimer`.
    pub name: String,
    /// In the order of their indices.
    pub fields: Vec<String>,
}

/// The index of a registered [`TypeInfo`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TypeId(pub u32);

/// Who holds an object, for the waits-for graph.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// Whoever wrote it last.
    LastWriter,
    /// Its value names the context (plus one), as in a lock.
    Value,
    /// It is the word of a CPU: the top of its stack.
    Cpu,
    /// Always this context.
    Ctx(CtxId),
}

/// Where in the model's code something happened.
#[derive(Copy, Clone, Debug)]
pub struct Place {
    /// The context.
    pub ctx: CtxId,
    /// The function to blame: the innermost that is not a leaf.
    pub func: FrameName,
    /// The step's source line.
    pub label: Label,
    /// Number of the step in the run, from 1.
    pub step: u32,
}

/// The name of a function on a context's call stack.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FrameName {
    /// A kernel function.
    Fn(&'static str),
    /// A named body of the scenario (a program, a task), by index into the machine's names.
    Body(u32),
}

impl FrameName {
    /// The same for the same name.
    pub(crate) fn digest(self) -> u64 {
        match self {
            FrameName::Fn(f) => f.bytes().fold(1, |h, b| roll(h, u64::from(b))),
            FrameName::Body(b) => roll(2, u64::from(b)),
        }
    }
}

/// A function that a context is in.
#[derive(Copy, Clone, Debug)]
pub struct Frame {
    /// Which.
    pub name: FrameName,
    /// An argument for the reader, rendered by the model.
    pub arg: u64,
    /// A leaf is not blamed in findings: its caller is.
    pub leaf: bool,
    /// Unique in the run: tells calls of the same function apart.
    pub id: u32,
}

/// The functions that a context is in. Places of those that it has left are written anew: a frame then goes there word by
/// word, which a push onto a vector builds elsewhere and copies, and the copy waits for each of its words.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallStack {
    frames: Vec<Frame>,
    depth: usize,
}

impl CallStack {
    #[inline(always)]
    fn enter(&mut self, frame: Frame) {
        if self.depth >= self.frames.len() {
            self.make_room();
        }
        self.frames[self.depth] = frame;
        self.depth += 1;
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        let none = Frame { name: FrameName::Fn(""), arg: 0, leaf: false, id: 0 };
        self.frames.resize(2 * self.depth + 8, none);
    }

    /// The innermost function is left.
    #[inline(always)]
    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// All are left.
    pub fn clear(&mut self) {
        self.depth = 0;
    }
}

impl std::ops::Deref for CallStack {
    type Target = [Frame];

    fn deref(&self) -> &[Frame] {
        &self.frames[..self.depth]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Alloc {
    pub ty: TypeId,
    pub base: Obj,
    /// By whom and how the manyeth of that context; names the allocation independent of schedules.
    pub owner: CtxId,
    pub seq: u32,
    pub born: Option<Place>,
    pub died: Option<Place>,
}

pub(crate) const NEVER: u64 = 0;
pub(crate) const ALIVE: u64 = 1;
pub(crate) const FREED: u64 = 2;

#[derive(Copy, Clone, Debug)]
pub(crate) enum Kind {
    Plain,
    List(u32),
    Queue(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// The allocation that the object belongs to, plus one; 0: static.
    pub alloc: u32,
    pub kind: Kind,
    pub holder: Holder,
}

#[derive(Debug, Default)]
pub(crate) struct List {
    /// Items with the rolling digest up to and including each.
    items: VecDeque<(u64, u64)>,
}

impl Clone for List {
    fn clone(&self) -> List {
        List { items: self.items.clone() }
    }

    // Searches set lists back before each execution: nothing is allocated.
    fn clone_from(&mut self, from: &List) {
        self.items.clear();
        self.items.extend(&from.items);
    }
}

impl List {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    fn word(&self) -> u64 {
        self.items.back().map_or(0, |(_, h)| *h | 1)
    }

    fn rehash_from(&mut self, from: usize) {
        let mut h = from.checked_sub(1).and_then(|i| self.items.get(i)).map_or(0, |e| e.1);
        for e in self.items.iter_mut().skip(from) {
            h = roll(h, e.0);
            e.1 = h;
        }
    }
}

/// A function entered or left, between two steps.
#[derive(Copy, Clone, Debug)]
pub struct Mark {
    /// Who.
    pub ctx: CtxId,
    /// Which function.
    pub name: FrameName,
    /// Its argument.
    pub arg: u64,
    /// `None`: entered; else left, with this return value.
    pub ret: Option<i64>,
    /// How many steps the run had when it happened.
    pub at: u32,
    /// How many steps the context had taken.
    pub taken: u32,
}

/// Shared memory and what a step may use besides: the clock, findings, marks.
#[derive(Debug)]
pub struct Mem {
    pub(crate) values: Vec<u64>,
    pub(crate) meta: Vec<Meta>,
    /// By object: how far before it the one lies that says whether its allocation is alive; 0: static. Apart from [`Meta`]
    /// and small, because every access asks for it.
    pub(crate) life: Vec<u8>,
    pub(crate) lists: Vec<List>,
    pub(crate) queues: Vec<TimerQueue>,
    pub(crate) allocs: Vec<Alloc>,
    pub(crate) types: Vec<TypeInfo>,
    pub(crate) frames: Vec<CallStack>,
    pub(crate) findings: Vec<RawFinding>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) marking: bool,
    /// What the function that the step stands for returned, for records.
    pub(crate) returned: Option<i64>,
    pub(crate) now: Nanos,
    /// The seed of a timed run.
    pub(crate) seed: u64,
    pub(crate) cur: CtxId,
    pub(crate) label: Label,
    pub(crate) step_no: u32,
    /// The step that declared writes and made none, if the last one was such.
    pub(crate) unchanged: u32,
    pub(crate) taken: u32,
    pub(crate) alt: u8,
    /// Freed allocations that a timed run may hand out again, oldest first, per size class.
    pub(crate) quarantine: Option<Vec<VecDeque<u32>>>,
    /// Expiries of a timed run that nobody has looked at yet.
    pub(crate) samples: Vec<crate::timed::Sample>,
    /// What tracepoints said since somebody looked, where a timed run is traced.
    pub(crate) traced: Option<Vec<crate::timed::trace::Traced>>,
    /// Functions entered so far in the run.
    pub(crate) calls: u32,
    /// Who wrote what, in the order of steps: for the graph of who waits for whom.
    pub(crate) last_writer: Vec<(Obj, CtxId)>,
    /// Where in it the present step begins.
    pub(crate) own_writes: usize,
    /// Timers that the last steps have queued for absolute times: queue, index. For who respects durations.
    pub(crate) absolute: Vec<(u32, u32)>,
    /// Counters for the model (expiries, samples); not shared state, never read by a step.
    pub(crate) expiries: u64,
    /// Of those, how many timers' functions have returned.
    pub(crate) expiries_over: u64,
    /// Store buffers, if the memory model has them.
    pub(crate) buffers: Option<Box<crate::tso::Buffers>>,
    /// Which locks are held, and in which orders they were taken.
    pub(crate) lockdep: crate::lockdep::Lockdep,
    /// Clocks, if races of plain accesses are looked for.
    pub(crate) races: Option<Box<crate::data_race::DataRaces>>,
    /// Steps declare nothing: before the start, and in timed runs that ask for no footprint.
    pub(crate) undeclared: bool,
    /// The clock of a timed run.
    pub(crate) clock: crate::timed::Clock,
    #[cfg(debug_assertions)]
    pub(crate) declared: Vec<crate::step::Access>,
}

impl Mem {
    pub(crate) fn new() -> Mem {
        Mem {
            values: Vec::new(),
            meta: Vec::new(),
            life: Vec::new(),
            lists: Vec::new(),
            queues: Vec::new(),
            allocs: Vec::new(),
            types: Vec::new(),
            frames: Vec::new(),
            findings: Vec::new(),
            marks: Vec::new(),
            marking: false,
            returned: None,
            now: Nanos(0),
            seed: 0,
            cur: CtxId(0),
            label: crate::step::Slot::new(None).step.label,
            step_no: 0,
            unchanged: 0,
            taken: 0,
            alt: 0,
            quarantine: None,
            samples: Vec::new(),
            traced: None,
            calls: 0,
            last_writer: Vec::new(),
            absolute: Vec::new(),
            own_writes: 0,
            expiries: 0,
            expiries_over: 0,
            buffers: None,
            lockdep: crate::lockdep::Lockdep::default(),
            races: None,
            undeclared: false,
            clock: crate::timed::Clock::default(),
            #[cfg(debug_assertions)]
            declared: Vec::new(),
        }
    }

    /// The word of an object, without any check: for detectors and dumps at the end of a run.
    #[inline]
    pub fn peek(&self, obj: Obj) -> u64 {
        self.values[obj.index()]
    }

    /// Reads a variable. A read of freed or fresh memory is a finding, and gives the last value.
    #[inline]
    pub fn load<T: Word>(&mut self, var: Var<T>) -> T {
        let v = self.values[var.obj.index()];
        if self.is_alive_at(var) && v != POISON && self.buffers.is_none() && !cfg!(debug_assertions)
        {
            return T::from_word(v);
        }
        T::from_word(self.load_with_care(var.obj))
    }

    /// Whether the allocation of a variable is alive; true if it is no part of one.
    #[inline(always)]
    fn is_alive_at<T>(&self, var: Var<T>) -> bool {
        let life = match var.life {
            Life::Static => return true,
            Life::Before(n) => Obj(var.obj.0.wrapping_sub(u32::from(n))),
            Life::Unknown => match self.life_of(var.obj) {
                Some(life) => life,
                None => return true,
            },
        };
        debug_assert_eq!(self.life_of(var.obj), Some(life));
        self.values[life.index()] == ALIVE
    }

    fn load_with_care(&mut self, obj: Obj) -> u64 {
        self.check(obj, false);
        let v = self.forwarded(obj).unwrap_or_else(|| self.values[obj.index()]);
        if v == POISON {
            self.report(Class::UninitRead, Some(obj));
        }
        v
    }

    /// Writes a variable. A write to freed memory is a finding, and is performed.
    #[inline(always)]
    pub fn store<T: Word>(&mut self, var: Var<T>, v: T) {
        self.check_declared(var.obj, true);
        if !self.is_alive_at(var) {
            self.check_alive(var.obj);
        }
        self.values[var.obj.index()] = v.to_word();
        self.wrote(var.obj);
    }

    /// An object was written: in a timed run, whoever waits for that looks again.
    #[inline(always)]
    pub(crate) fn wrote(&mut self, obj: Obj) {
        if self.clock.watchers.is_watched(obj) {
            self.clock.wake_for(obj);
        }
    }

    /// Reads the variable, then writes what `f` makes of the value; returns the old value.
    #[inline]
    pub fn update<T: Word>(&mut self, var: Var<T>, f: impl FnOnce(T) -> T) -> T {
        let old = self.load(var);
        self.store(var, f(old));
        old
    }

    /// The virtual time, as far as the run has any: that of the stepping CPU in timed runs, 0 in explored ones.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The context whose step this is.
    pub fn current(&self) -> CtxId {
        self.cur
    }

    /// The alternative that the schedule chose for this step, below the number declared.
    pub fn chosen(&self) -> u8 {
        self.alt
    }

    /// Says that this step writes nothing of what it declared to write, as a compare-and-exchange that fails: it is
    /// logged as a read, and so does not conflict with other reads.
    pub fn changed_nothing(&mut self) {
        self.unchanged = self.step_no;
        self.last_writer.truncate(self.own_writes);
    }

    /// Whether the last step was one that declared writes and made none.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.unchanged == self.step_no && self.step_no > 0
    }

    /// Counts an expiry of a timer, for the limit and the statistics of the run.
    pub fn count_expiry(&mut self) {
        self.expiries += 1;
    }

    /// The function of a timer that expired has returned, for the limit of a timed run.
    pub fn expiry_over(&mut self) {
        self.expiries_over += 1;
    }

    /// Notes an expiry of a timed run, which is over, for its statistics. Not shared state, never read by a step. `name` is
    /// what the model numbers the timer by ([`crate::Model::timer_number`]).
    #[inline]
    pub fn sample(&mut self, expiry: crate::result::Expiry, name: u64) {
        self.expiry_over();
        self.samples.push(crate::timed::Sample { expiry, name });
    }

    /// A tracepoint in this step says this, with so many spinlocks held. The text is made only if the run is traced.
    #[inline(always)]
    pub fn trace(&mut self, name: &'static str, locks: u8, args: impl FnOnce() -> String) {
        if self.traced.is_some() {
            self.trace_now(name, locks, args);
        }
    }

    #[cold]
    #[inline(never)]
    fn trace_now(&mut self, name: &'static str, locks: u8, args: impl FnOnce() -> String) {
        self.note_traced(self.cur, Some(self.now.0), (name, args()), locks);
    }

    pub(crate) fn note_traced(
        &mut self,
        ctx: CtxId,
        at: Option<u64>,
        says: (&'static str, String),
        locks: u8,
    ) {
        let said = crate::timed::trace::Traced::new(self, ctx, at, says, locks);
        if let Some(t) = &mut self.traced {
            t.push(said);
        }
    }

    #[inline]
    fn check(&mut self, obj: Obj, write: bool) {
        self.check_declared(obj, write);
        self.check_alive(obj);
    }

    /// That the step has declared what it touches, in debug builds.
    #[inline]
    fn check_declared(&self, obj: Obj, write: bool) {
        #[cfg(debug_assertions)]
        debug_assert!(
            self.undeclared
                || self.declared.iter().any(|a| a.obj() == obj && (a.is_write() || !write)),
            "step {:?} touches {obj:?} (write: {write}) which it did not declare",
            self.label
        );
        let _ = (obj, write);
    }

    /// Reports a use of an object whose allocation is not alive.
    #[inline]
    pub(crate) fn check_alive(&mut self, obj: Obj) {
        if let Some(life) = self.life_of(obj)
            && self.values[life.index()] != ALIVE
        {
            self.report(Class::UseAfterFree, Some(life));
        }
    }

    /// The object that says whether the allocation of a field is alive; `None` for others.
    #[inline]
    pub(crate) fn life_of(&self, obj: Obj) -> Option<Obj> {
        let before = self.life[obj.index()];
        (before != 0).then(|| Obj(obj.0 - u32::from(before)))
    }

    /// Reports a finding at this step. `obj` is the object that it is about.
    #[cold]
    pub fn report(&mut self, class: Class, obj: Option<Obj>) {
        let here = self.place();
        let alloc = obj.map_or(0, |o| self.meta[o.index()].alloc);
        let other = alloc
            .checked_sub(1)
            .map(|a| &self.allocs[a as usize])
            .and_then(|a| if class == Class::UninitRead { a.born } else { a.died.or(a.born) });
        self.findings.push(RawFinding { class, at: here, other, obj, alloc });
    }

    /// Reports a finding at this step with the other side named.
    pub fn report_with(&mut self, class: Class, obj: Option<Obj>, other: Place) {
        let here = self.place();
        let alloc = obj.map_or(0, |o| self.meta[o.index()].alloc);
        self.findings.push(RawFinding { class, at: here, other: Some(other), obj, alloc });
    }

    /// This step, with the function to blame.
    pub fn place(&self) -> Place {
        Place { ctx: self.cur, func: self.blamed(self.cur), label: self.label, step: self.step_no }
    }

    /// The innermost function of a context that is not a leaf.
    pub(crate) fn blamed(&self, ctx: CtxId) -> FrameName {
        let frames = &self.frames[ctx.index()];
        frames
            .iter()
            .rev()
            .find(|f| !f.leaf)
            .or(frames.first())
            .map_or(FrameName::Fn(crate::record::NO_FUNCTION), |f| f.name)
    }

    /// The call stack of a context, outermost first.
    pub fn frames(&self, ctx: CtxId) -> &[Frame] {
        &self.frames[ctx.index()]
    }

    /// The allocation that an object is a field of, and its type; `None`: it is a variable of its own.
    pub fn allocation(&self, field: Obj) -> Option<(Ptr, TypeId)> {
        let alloc = self.meta[field.index()].alloc.checked_sub(1)?;
        let a = &self.allocs[alloc as usize];
        Some((Ptr(a.base.0), a.ty))
    }

    /// The timer with this index was put into the queue for a time of the clock, not for one after the step: a search that
    /// respects durations must not count from the step. Timed runs have no use for it.
    pub fn queued_for_a_time(&mut self, queue: QueueVar, index: u32) {
        self.absolute.push((queue.index(), index));
    }

    /// Marks the allocation as living, its fields as poisoned.
    pub(crate) fn bring_to_life(&mut self, p: Ptr) {
        let place = self.place();
        let a = self.meta[p.alive().index()].alloc as usize - 1;
        self.values[p.0 as usize] = ALIVE;
        self.wrote(p.alive());
        self.allocs[a].born = Some(place);
        self.allocs[a].died = None;
    }

    /// Frees an allocation; freeing it twice is a finding.
    pub fn free(&mut self, p: Ptr) {
        let place = self.place();
        if self.values[p.0 as usize] != ALIVE {
            self.report(Class::DoubleFree, Some(p.alive()));
            return;
        }
        self.values[p.0 as usize] = FREED;
        self.wrote(p.alive());
        let a = self.meta[p.alive().index()].alloc as usize - 1;
        self.allocs[a].died = Some(place);
        let size = self.types[self.allocs[a].ty.0 as usize].fields.len();
        if let Some(q) = &mut self.quarantine {
            if q.len() <= size {
                q.resize(size + 1, VecDeque::new());
            }
            q[size].push_back(p.0);
        }
    }

    /// Where a freed allocation was freed, if `obj` is what says that it is.
    pub(crate) fn freed_at(&self, obj: Obj) -> Option<&Place> {
        let alloc = self.meta[obj.index()].alloc.checked_sub(1)?;
        let a = &self.allocs[alloc as usize];
        if a.base == obj && self.values[obj.index()] == FREED { a.died.as_ref() } else { None }
    }

    /// Whether the allocation is alive.
    pub fn is_alive(&self, p: Ptr) -> bool {
        self.values[p.0 as usize] == ALIVE
    }

    /// The type of the allocation that a pointer points to; `None` if it is not alive, or no allocation is there.
    pub fn type_of(&self, p: Ptr) -> Option<TypeId> {
        let at = p.alive().index();
        let alloc = self.meta.get(at)?.alloc.checked_sub(1)?;
        let a = &self.allocs[alloc as usize];
        (a.base == p.alive() && self.values[at] == ALIVE).then_some(a.ty)
    }

    /// All allocations of a type that are alive, in the order of their names.
    pub fn living(&self, ty: TypeId) -> Vec<Ptr> {
        let mut all: Vec<_> = self
            .allocs
            .iter()
            .filter(|a| a.ty == ty && self.values[a.base.index()] == ALIVE)
            .collect();
        all.sort_by_key(|a| (a.owner, a.seq));
        all.iter().map(|a| Ptr(a.base.0)).collect()
    }

    /// Asks the machine that simulates for the cache lines of the allocation with its first `fields` fields.
    #[inline]
    pub fn prefetch(&self, p: Ptr, fields: usize) {
        let Some(values) = self.values.get(p.0 as usize..=p.0 as usize + fields) else { return };
        // A line has eight values.
        values.iter().step_by(8).chain(values.last()).for_each(crate::prefetch::prefetch);
    }

    // Lists.

    fn list_changed(&mut self, l: ListVar) {
        self.values[l.0.index()] = self.lists[l.1 as usize].word();
        self.wrote(l.0);
    }

    /// Appends to a list.
    pub fn push_back(&mut self, l: ListVar, item: u64) {
        self.check_declared(l.0, true);
        let list = &mut self.lists[l.1 as usize];
        let h = roll(list.items.back().map_or(0, |e| e.1), item);
        list.items.push_back((item, h));
        self.list_changed(l);
    }

    /// Puts an item before all others. O(n).
    pub fn push_front(&mut self, l: ListVar, item: u64) {
        self.check_declared(l.0, true);
        let list = &mut self.lists[l.1 as usize];
        list.items.push_front((item, 0));
        list.rehash_from(0);
        self.list_changed(l);
    }

    /// Takes the last item.
    pub fn pop_back(&mut self, l: ListVar) -> Option<u64> {
        self.check_declared(l.0, true);
        let item = self.lists[l.1 as usize].items.pop_back();
        self.list_changed(l);
        item.map(|e| e.0)
    }

    /// Takes the first item. O(n), as all digests change.
    pub fn pop_front(&mut self, l: ListVar) -> Option<u64> {
        self.check_declared(l.0, true);
        let list = &mut self.lists[l.1 as usize];
        let item = list.items.pop_front();
        list.rehash_from(0);
        self.list_changed(l);
        item.map(|e| e.0)
    }

    /// Removes the first occurrence of an item; false if there is none.
    pub fn list_remove(&mut self, l: ListVar, item: u64) -> bool {
        self.check_declared(l.0, true);
        let list = &mut self.lists[l.1 as usize];
        let Some(i) = list.items.iter().position(|e| e.0 == item) else {
            return false;
        };
        list.items.remove(i);
        list.rehash_from(i);
        self.list_changed(l);
        true
    }

    /// The items of a list.
    pub fn items(&mut self, l: ListVar) -> impl Iterator<Item = u64> + '_ {
        self.check_declared(l.0, false);
        self.peek_items(l)
    }

    /// The items of a list, without any check.
    pub fn peek_items(&self, l: ListVar) -> impl Iterator<Item = u64> + '_ {
        self.lists[l.1 as usize].items.iter().map(|e| e.0)
    }

    /// The number of items.
    pub fn list_len(&mut self, l: ListVar) -> usize {
        self.check_declared(l.0, false);
        self.lists[l.1 as usize].items.len()
    }

    // Timer queues.

    /// A queue, to look at.
    #[inline]
    pub fn queue(&mut self, q: QueueVar) -> &TimerQueue {
        self.check_declared(q.0, false);
        &self.queues[q.1 as usize]
    }

    /// A queue, without any check.
    pub fn peek_queue(&self, q: QueueVar) -> &TimerQueue {
        &self.queues[q.1 as usize]
    }

    /// Changes a queue.
    #[inline]
    pub fn with_queue<R>(&mut self, q: QueueVar, f: impl FnOnce(&mut TimerQueue) -> R) -> R {
        self.check_declared(q.0, true);
        let queue = &mut self.queues[q.1 as usize];
        let r = f(queue);
        self.values[q.0.index()] = queue.word();
        self.wrote(q.0);
        r
    }

    // Enter and leave.

    #[inline(always)]
    pub(crate) fn enter(&mut self, ctx: CtxId, name: FrameName, arg: u64, leaf: bool) {
        self.calls = self.calls.wrapping_add(1);
        self.frames[ctx.index()].enter(Frame { name, arg, leaf, id: self.calls });
        if self.marking {
            self.mark_entry(ctx);
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_entry(&mut self, ctx: CtxId) {
        if let Some(frame) = self.frames[ctx.index()].last() {
            let (name, arg) = (frame.name, frame.arg);
            let (at, taken) = (self.step_no, self.taken);
            self.marks.push(Mark { ctx, name, arg, ret: None, at, taken });
        }
    }

    /// Marks again what contexts entered before their first step: those that did not move are not started anew.
    pub(crate) fn mark_entered(&mut self) {
        if !self.marking {
            return;
        }
        for (c, frames) in self.frames.iter().enumerate() {
            let mark = |f: &Frame| Mark {
                ctx: CtxId(c as u16),
                name: f.name,
                arg: f.arg,
                ret: None,
                at: 0,
                taken: 0,
            };
            self.marks.extend(frames.iter().map(mark));
        }
    }

    #[inline(always)]
    pub(crate) fn leave(&mut self, ctx: CtxId, ret: Option<i64>) {
        if self.marking {
            self.mark_exit(ctx, ret);
        }
        self.frames[ctx.index()].leave();
    }

    #[cold]
    #[inline(never)]
    fn mark_exit(&mut self, ctx: CtxId, ret: Option<i64>) {
        if let Some(frame) = self.frames[ctx.index()].last() {
            let (name, arg) = (frame.name, frame.arg);
            let (at, taken) = (self.step_no, self.taken);
            self.marks.push(Mark { ctx, name, arg, ret: Some(ret.unwrap_or(0)), at, taken });
        }
    }

    /// Marks an event that predicates can name (an eviction, the end of a release walk), at this step.
    pub fn mark(&mut self, name: &'static str, arg: u64) {
        if self.marking {
            let (ctx, at, taken) = (self.cur, self.step_no.saturating_sub(1), self.taken);
            let name = FrameName::Fn(name);
            self.marks.push(Mark { ctx, name, arg, ret: None, at, taken });
        }
    }

    /// Notes what the kernel function returns that this step stands for, for readers of a record; gives it back.
    pub fn returns(&mut self, ret: i64) -> i64 {
        if self.marking {
            self.returned = Some(ret);
        }
        ret
    }

    /// Digest of all values. Allocations are named by who made them, so that it does not depend on the order in which
    /// a search discovered them.
    pub fn state_digest(&self) -> u64 {
        let all = (0..self.values.len() as u32).map(Obj);
        all.fold(0, |sum, o| sum.wrapping_add(self.digest_of(o)))
    }

    /// What an object adds to the digest of all values; 0 if its allocation was never made.
    pub(crate) fn digest_of(&self, o: Obj) -> u64 {
        let m = &self.meta[o.index()];
        let key = match m.alloc.checked_sub(1) {
            None => u64::from(o.0),
            Some(a) => {
                let a = &self.allocs[a as usize];
                if self.values[a.base.index()] == NEVER {
                    return 0;
                }
                let field = u64::from(o.0 - a.base.0);
                1 << 63 | u64::from(a.owner.0) << 40 | u64::from(a.seq) << 12 | field
            }
        };
        let value = match m.kind {
            Kind::Plain => self.canonical(self.values[o.index()]),
            Kind::List(l) => {
                let items = self.lists[l as usize].items.iter();
                items.fold(1, |h, e| roll(h, self.canonical(e.0)))
            }
            Kind::Queue(q) => {
                let entries = self.queues[q as usize].in_order();
                let one = |h, e: &crate::queue::Entry| {
                    roll(roll(h, self.canonical(e.timer)), e.expires as u64)
                };
                entries.iter().fold(2, one)
            }
        };
        roll(mix(key), value)
    }

    /// The fields of the allocation, if the object is what says whether it is alive.
    pub(crate) fn fields(&self, o: Obj) -> impl Iterator<Item = Obj> + use<> {
        let of = self.meta[o.index()].alloc.checked_sub(1).map(|a| &self.allocs[a as usize]);
        let size =
            of.filter(|a| a.base == o).map_or(0, |a| self.types[a.ty.0 as usize].fields.len());
        (o.0 + 1..=o.0 + size as u32).map(Obj)
    }

    /// The word, with pointers replaced by the name of what they point to.
    fn canonical(&self, v: u64) -> u64 {
        if v & POINTER != POINTER {
            return v;
        }
        let at = Ptr::from_word(v).0;
        match self.meta.get(at as usize).and_then(|m| m.alloc.checked_sub(1)) {
            Some(a) => {
                let a = &self.allocs[a as usize];
                1 << 62 | u64::from(a.owner.0) << 32 | u64::from(a.seq)
            }
            None => v,
        }
    }

    /// The distinct findings of this execution.
    pub(crate) fn finding_keys(&self) -> Vec<crate::detect::FindingKey> {
        let mut keys: Vec<_> = self.findings.iter().map(RawFinding::key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// How many objects there are.
    pub fn objects(&self) -> usize {
        self.values.len()
    }

    /// The findings of this execution, with names.
    pub fn findings(&self, names: &[String]) -> Vec<Finding> {
        self.findings.iter().map(|f| f.named(names)).collect()
    }
}
