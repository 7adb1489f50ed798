//! The machine: built once from a [`Setup`], reset between executions, never rebuilt.

use crate::cpu;
use crate::ctx::Cx;
use crate::ids::{CpuId, CtxId, Obj};
use crate::mem::{
    Alloc, Holder, Kind, List, ListVar, Mem, Meta, NEVER, POISON, Ptr, QueueVar, TypeId, TypeInfo,
    Var, Word,
};
use crate::queue::TimerQueue;
use crate::step::{CostClass, Label, Slot, Status};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

/// The running body of a context.
pub type Body<'m> = Pin<Box<dyn Future<Output = ()> + 'm>>;

/// What runs on a machine: code for its contexts, words for its steps, and judgement at the end.
pub trait Model {
    /// The body of the context `cx.id()`. Called when the context starts, once per execution.
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m>;

    /// The text of a step; the default puts the argument in place of `{}`.
    fn render(&self, label: Label) -> String {
        label.site.text.replace("{}", &label.arg.to_string())
    }

    /// The text of a function's argument, such as `timers[7]`; empty for none.
    fn render_arg(&self, name: crate::mem::FrameName, arg: u64) -> String {
        let _ = (name, arg);
        String::new()
    }

    /// The value of an object as people write it; `None` for the default (a number, `NULL`, a context's name).
    fn render_value(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        let _ = (mem, obj, value);
        None
    }

    /// The number of a timer in the statistics of a timed run ([`crate::result::Expiry::timer`]), from the name that came
    /// with the expiry ([`Mem::sample`]). Asked in the order in which expiries are handed on.
    fn timer_number(&self, name: u64) -> u32 {
        name as u32
    }

    /// A word for what a context waits for that waits for a change of this object: a timer whose callback runs, say. It goes
    /// with the wait ([`crate::timed::Awaited`]).
    fn awaited(&self, mem: &Mem, over: Obj) -> u64 {
        let _ = (mem, over);
        0
    }

    /// The same as people write it; `kind`: [`Machine::kind_name`] of the object. `None`: its name says it.
    fn render_awaited(&self, over: Obj, kind: &str, what: u64) -> Option<String> {
        let _ = (over, kind, what);
        None
    }

    /// A timer (its word) in one of the machine's timer queues as people write it, and the CPU that is to expire it.
    fn render_queued(&self, mem: &Mem, queue: u32, timer: u64) -> (String, Option<CpuId>) {
        let _ = (mem, queue);
        (format!("timer {timer}"), None)
    }

    /// The line of the scenario file that the context is at, if it is at one.
    fn line(&self, ctx: crate::CtxId) -> Option<u32> {
        let _ = ctx;
        None
    }

    /// Looks at the end of an execution: leaks and other promises that only the end can show. Findings go through
    /// [`Mem::report`].
    fn at_end(&self, mem: &mut Mem) {
        let _ = mem;
    }
}

/// At which level of a CPU a context runs.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CtxKind {
    /// A thread of a process, or a kernel thread.
    Task,
    /// A kworker.
    Kworker,
    /// A softirq handler.
    Softirq,
    /// A hard interrupt handler.
    Hardirq,
    /// A non-maskable interrupt.
    Nmi,
    /// Something that is not code on a CPU: a grace period, a store buffer.
    Helper,
}

/// A context of the machine.
#[derive(Clone, Debug)]
pub struct CtxSpec {
    /// For readers: `cancel`, `HRTIMER softirq`.
    pub name: String,
    /// In the text of schedules: `[a-z0-9_-]+`, unique on its CPU. That of a helper ends with the number of the CPU under
    /// which it stands there.
    pub token: String,
    /// Where it runs; `None` for helpers.
    pub cpu: Option<CpuId>,
    /// Its level.
    pub kind: CtxKind,
    /// A daemon waits for work for ever; an idle one at the end of a run is not stuck.
    pub daemon: bool,
}

/// A real-time class of a task. It takes its CPU from those of lower priority, and from all that have none, as soon as it
/// can go on and preemption is on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RealTime {
    /// 1 to 99; the higher one goes first.
    pub priority: u8,
    /// It shares the CPU with others of its priority, slice by slice (`SCHED_RR`); otherwise it keeps it (`SCHED_FIFO`).
    pub in_turns: bool,
}

/// What a member of an [`Orbit`] has of its own. The lists of all members are alike: same length, same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its contexts.
    pub contexts: Vec<CtxId>,
    /// Its objects, such as the word of its CPU.
    pub objects: Vec<Obj>,
}

/// Interchangeable contexts: exchanging all that two members have of their own makes no difference to what can happen.
///
/// Values that name contexts are renamed where the machine knows that they do (locks, words of CPUs). Whoever declares
/// an orbit promises that nothing else names a member: no context learns a name, no other value holds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orbit {
    /// Two or more.
    pub members: Vec<Member>,
}

/// Builds a [`Machine`]: objects, types, contexts. What it makes is there before the start of every execution.
#[derive(Debug)]
pub struct Setup {
    mem: Mem,
    specs: Vec<CtxSpec>,
    names: Vec<String>,
    obj_names: BTreeMap<u32, String>,
    own: Vec<Obj>,
    orbits: Vec<Orbit>,
    watchers: std::collections::BTreeSet<CtxId>,
    homebound: Vec<CtxId>,
    real_time: Vec<(CtxId, RealTime)>,
    between_expiries: Vec<CostClass>,
}

impl Setup {
    /// A machine with this many CPUs.
    pub fn new(cpus: u16) -> Setup {
        let mut s = Setup {
            mem: Mem::new(),
            specs: Vec::new(),
            names: Vec::new(),
            obj_names: BTreeMap::new(),
            own: Vec::new(),
            orbits: Vec::new(),
            watchers: std::collections::BTreeSet::new(),
            homebound: Vec::new(),
            real_time: Vec::new(),
            between_expiries: Vec::new(),
        };
        for c in 0..cpus {
            let obj = s.object(&format!("cpu{c}"), cpu::IDLE, Kind::Plain, Holder::Cpu);
            s.own.push(obj);
        }
        s
    }

    fn object(&mut self, name: &str, value: u64, kind: Kind, holder: Holder) -> Obj {
        let obj = Obj(self.mem.values.len() as u32);
        self.mem.values.push(value);
        self.mem.meta.push(Meta { alloc: 0, kind, holder });
        self.mem.life.push(0);
        if !name.is_empty() {
            self.obj_names.insert(obj.0, name.to_string());
        }
        obj
    }

    /// A shared variable with its initial value.
    pub fn var<T: Word>(&mut self, name: &str, init: T) -> Var<T> {
        Var::fixed(self.object(name, init.to_word(), Kind::Plain, Holder::LastWriter))
    }

    /// A lock word: 0 when free, else the owner plus one.
    pub fn lock(&mut self, name: &str) -> Var<Option<CtxId>> {
        self.lock_of(name, name)
    }

    /// A lock of a class that it shares with others, as lockdep has it.
    pub fn lock_of(&mut self, class: &str, name: &str) -> Var<Option<CtxId>> {
        let lock = self.object(name, 0, Kind::Plain, Holder::Value);
        self.lock_class(lock, class);
        Var::fixed(lock)
    }

    pub(crate) fn races(&mut self) -> &mut Option<Box<crate::data_race::DataRaces>> {
        &mut self.mem.races
    }

    pub(crate) fn lockdep(&mut self) -> &mut crate::lockdep::Lockdep {
        &mut self.mem.lockdep
    }

    /// A variable that, while it is waited for, is held by one known context (what a CPU's softirq is running, say).
    pub fn var_of<T: Word>(&mut self, name: &str, init: T, holder: CtxId) -> Var<T> {
        Var::fixed(self.object(name, init.to_word(), Kind::Plain, Holder::Ctx(holder)))
    }

    /// Says who holds an object that others wait for.
    pub fn held_by(&mut self, obj: Obj, holder: CtxId) {
        self.mem.meta[obj.index()].holder = Holder::Ctx(holder);
    }

    /// An empty list.
    pub fn list(&mut self, name: &str) -> ListVar {
        let index = self.mem.lists.len() as u32;
        self.mem.lists.push(List::default());
        ListVar(self.object(name, 0, Kind::List(index), Holder::LastWriter), index)
    }

    /// An empty queue of timers.
    pub fn timer_queue(&mut self, name: &str) -> QueueVar {
        let index = self.mem.queues.len() as u32;
        self.mem.queues.push(TimerQueue::default());
        QueueVar(self.object(name, 0, Kind::Queue(index), Holder::LastWriter), index)
    }

    /// A struct type. Its index is stable: types are registered in one order.
    ///
    /// # Panics
    /// With more than 255 fields; callers check the size of a scenario first.
    pub fn struct_type(&mut self, name: &str, fields: &[&str]) -> TypeId {
        assert!(fields.len() <= usize::from(u8::MAX), "too many fields");
        let fields = fields.iter().map(ToString::to_string).collect();
        self.mem.types.push(TypeInfo { name: name.to_string(), fields });
        TypeId(self.mem.types.len() as u32 - 1)
    }

    /// An allocation that exists before the start, its fields poisoned. `owner` and the order of calls name it.
    pub fn preallocated(&mut self, ty: TypeId) -> Ptr {
        let seq = self.mem.allocs.len() as u32;
        let p = add_alloc(&mut self.mem, ty, CtxId(u16::MAX), seq);
        self.mem.values[p.alive().index()] = crate::mem::ALIVE;
        p
    }

    /// Sets the initial value of a field or variable.
    pub fn init<T: Word>(&mut self, var: Var<T>, value: T) {
        self.mem.values[var.obj().index()] = value.to_word();
    }

    /// Fills shared memory before the start with the same operations that steps use (lists and queues above all).
    /// Nothing is checked.
    pub fn fill<R>(&mut self, f: impl FnOnce(&mut Mem) -> R) -> R {
        self.mem.undeclared = true;
        let r = f(&mut self.mem);
        self.mem.undeclared = false;
        r
    }

    /// A context. Its number is the order of this call. Where its token is that of another one of its CPU, or not fit for
    /// the text of schedules, it gets one that is.
    ///
    /// # Panics
    /// With more than [`cpu::MAX_CONTEXTS`] contexts; callers check the size of a scenario first.
    pub fn context(&mut self, mut spec: CtxSpec) -> CtxId {
        assert!(self.specs.len() < cpu::MAX_CONTEXTS, "too many contexts");
        spec.token = crate::schedule::unique_token(&spec, &self.specs);
        self.specs.push(spec);
        self.mem.frames.push(crate::mem::CallStack::default());
        CtxId(self.specs.len() as u16 - 1)
    }

    /// The contexts of each CPU so far, in the order of their numbers.
    pub fn contexts_of_cpus(&self) -> Vec<Vec<CtxId>> {
        let mut of = vec![Vec::new(); self.own.len()];
        for (i, spec) in self.specs.iter().enumerate() {
            if let Some(cpu) = spec.cpu {
                of[cpu.index()].push(CtxId(i as u16));
            }
        }
        of
    }

    /// Says that a context watches a reader for a grace period.
    pub(crate) fn watcher(&mut self, ctx: CtxId) {
        self.watchers.insert(ctx);
    }

    /// Declares contexts as interchangeable.
    ///
    /// # Panics
    /// If the members do not have equally many contexts and objects each.
    pub fn interchangeable(&mut self, orbit: Orbit) {
        let shape = |m: &Member| (m.contexts.len(), m.objects.len());
        let alike = orbit.members.windows(2).all(|m| shape(&m[0]) == shape(&m[1]));
        assert!(alike, "members of an orbit are alike");
        self.orbits.push(orbit);
    }

    /// Timed runs: the context keeps to its CPU. While only such contexts step, those of different CPUs touch nothing in
    /// common that one of them writes, and they give no other kind of context anything to do. The CPUs then need not wait
    /// for each other.
    pub fn keeps_to_its_cpu(&mut self, ctx: CtxId) {
        self.homebound.push(ctx);
    }

    /// Timed runs: the task has a real-time class. In searches any task that can step may step.
    pub fn real_time(&mut self, ctx: CtxId, class: RealTime) {
        self.real_time.push((ctx, class));
    }

    /// Timed runs: between the ends of two expiries of one CPU ([`Mem::expiry_over`]) lie at least steps of these classes. A run
    /// with a limit on expiries then knows how long it cannot be reached.
    pub fn between_expiries(&mut self, steps: &[CostClass]) {
        self.between_expiries = steps.to_vec();
    }

    /// The contexts so far.
    pub fn contexts(&self) -> &[CtxSpec] {
        &self.specs
    }

    pub(crate) fn set_buffers(&mut self, buffers: crate::tso::Buffers) {
        self.mem.buffers = Some(Box::new(buffers));
    }

    /// The number that the next context will get.
    pub fn next_context(&self) -> CtxId {
        CtxId(self.specs.len() as u16)
    }

    /// A name for a body of the scenario, used by [`crate::mem::FrameName::Body`].
    pub fn name(&mut self, name: &str) -> u32 {
        self.names.push(name.to_string());
        self.names.len() as u32 - 1
    }

    /// The object that holds the word of a CPU.
    pub fn own(&self, cpu: CpuId) -> Obj {
        self.own[cpu.index()]
    }

    /// The machine, as it is before the start of every execution.
    pub fn build(self) -> Machine {
        let own = |s: &CtxSpec| s.cpu.map(|c| self.own[c.index()]);
        let slots = self.specs.iter().map(|s| RefCell::new(Slot::new(own(s)))).collect();
        let initial = Initial {
            values: self.mem.values.clone(),
            lists: self.mem.lists.clone(),
            queues: self.mem.queues.clone(),
        };
        Machine {
            tso: self.mem.buffers.is_some(),
            plain: self.mem.races.is_some(),
            mem: RefCell::new(self.mem),
            slots,
            specs: self.specs,
            names: self.names,
            obj_names: self.obj_names,
            own: self.own,
            orbits: self.orbits,
            watchers: self.watchers,
            initial: RefCell::new(initial),
            arena: RefCell::new(BTreeMap::new()),
            learning: Cell::new(false),
            timed: Cell::new(false),
            traced: Cell::new(false),
            footprints: Cell::new(true),
            homebound: self.homebound,
            real_time: self.real_time,
            between_expiries: self.between_expiries,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Initial {
    pub values: Vec<u64>,
    lists: Vec<List>,
    queues: Vec<TimerQueue>,
}

/// A machine that executions run on, one at a time.
#[derive(Debug)]
pub struct Machine {
    pub(crate) mem: RefCell<Mem>,
    pub(crate) slots: Vec<RefCell<Slot>>,
    pub(crate) specs: Vec<CtxSpec>,
    pub(crate) names: Vec<String>,
    obj_names: BTreeMap<u32, String>,
    pub(crate) own: Vec<Obj>,
    orbits: Vec<Orbit>,
    /// Contexts that watch the readers of grace periods.
    pub(crate) watchers: std::collections::BTreeSet<CtxId>,
    pub(crate) initial: RefCell<Initial>,
    /// Where the n-th allocation of a context of some type lies; found once, kept between executions.
    arena: RefCell<BTreeMap<(u16, u32, u32), u32>>,
    pub(crate) learning: Cell<bool>,
    pub(crate) timed: Cell<bool>,
    /// The timed run is traced.
    pub(crate) traced: Cell<bool>,
    /// Steps declare what they touch.
    pub(crate) footprints: Cell<bool>,
    pub(crate) homebound: Vec<CtxId>,
    pub(crate) real_time: Vec<(CtxId, RealTime)>,
    pub(crate) between_expiries: Vec<CostClass>,
    /// Contexts have store buffers.
    pub(crate) tso: bool,
    /// Races of plain accesses are looked for.
    pub(crate) plain: bool,
}

fn add_alloc(mem: &mut Mem, ty: TypeId, owner: CtxId, seq: u32) -> Ptr {
    let base = Obj(mem.values.len() as u32);
    mem.allocs.push(Alloc { ty, base, owner, seq, born: None, died: None });
    let alloc = mem.allocs.len() as u32;
    mem.values.push(NEVER);
    mem.meta.push(Meta { alloc, kind: Kind::Plain, holder: Holder::LastWriter });
    mem.life.push(0);
    for before in 1..=mem.types[ty.0 as usize].fields.len() {
        mem.values.push(POISON);
        mem.meta.push(Meta { alloc, kind: Kind::Plain, holder: Holder::LastWriter });
        mem.life.push(before as u8);
    }
    Ptr(base.0)
}

impl Machine {
    /// The contexts, by number.
    pub fn contexts(&self) -> &[CtxSpec] {
        &self.specs
    }

    /// A search begins: nothing is known of locks yet. `marking`: functions and events are marked; `learning`: what contexts
    /// have learned is noted, for the names of states.
    pub(crate) fn begin_search(&self, marking: bool, learning: bool) {
        let mem = &mut *self.mem.borrow_mut();
        mem.marking = marking;
        mem.lockdep.forget();
        self.learning.set(learning);
    }

    /// It is over.
    pub(crate) fn end_search(&self) {
        self.mem.borrow_mut().marking = false;
        self.learning.set(false);
    }

    /// Interchangeable contexts.
    pub fn orbits(&self) -> &[Orbit] {
        &self.orbits
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> u16 {
        self.own.len() as u16
    }

    /// The names of bodies.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the run has a clock: a timed run, in which gates and costs count.
    pub fn is_timed(&self) -> bool {
        self.timed.get()
    }

    /// Whether functions and events are marked (it costs time); for timed runs, before they begin.
    pub fn set_marking(&self, on: bool) {
        self.mem.borrow_mut().marking = on;
    }

    /// Looks at shared memory between steps.
    #[inline(always)]
    pub fn with_mem<R>(&self, f: impl FnOnce(&Mem) -> R) -> R {
        f(&self.mem.borrow())
    }

    /// Puts what is known of locks aside, and takes up what another search knows.
    pub(crate) fn exchange_known(&self, known: &mut crate::lockdep::Known) {
        std::mem::swap(&mut self.mem.borrow_mut().lockdep.known, known);
    }

    pub(crate) fn own_of(&self, ctx: CtxId) -> Option<Obj> {
        self.specs[ctx.index()].cpu.map(|c| self.own[c.index()])
    }

    /// Where the `seq`-th allocation of `owner` lies.
    pub(crate) fn place_of(&self, ty: TypeId, owner: CtxId, seq: u32) -> Ptr {
        let mut arena = self.arena.borrow_mut();
        let base = *arena.entry((owner.0, seq, ty.0)).or_insert_with(|| {
            let mut mem = self.mem.borrow_mut();
            let from = mem.values.len();
            let p = add_alloc(&mut mem, ty, owner, seq);
            self.initial.borrow_mut().values.extend_from_slice(&mem.values[from..]);
            p.0
        });
        Ptr(base)
    }

    /// A freed place of the right size that a timed run may hand out again, or a new one.
    pub(crate) fn reuse(&self, ty: TypeId, owner: CtxId, seq: u32) -> Ptr {
        const KEPT: usize = 4096; // as KASAN's quarantine: freed memory stays poisoned for a while
        let recycled = {
            let mut mem = self.mem.borrow_mut();
            let size = mem.types[ty.0 as usize].fields.len();
            let q = mem.quarantine.as_mut().and_then(|q| q.get_mut(size));
            q.filter(|q| q.len() > KEPT).and_then(std::collections::VecDeque::pop_front)
        };
        let Some(base) = recycled else { return self.place_of(ty, owner, seq) };
        let mut mem = self.mem.borrow_mut();
        let alloc = mem.meta[base as usize].alloc as usize - 1;
        mem.allocs[alloc].ty = ty;
        let size = mem.types[ty.0 as usize].fields.len();
        mem.values[base as usize + 1..=base as usize + size].fill(POISON);
        Ptr(base)
    }

    /// Sets the whole of shared memory back to the start.
    pub(crate) fn reset_memory(&self) {
        let mem = &mut *self.mem.borrow_mut();
        let initial = self.initial.borrow();
        mem.values.copy_from_slice(&initial.values);
        for (l, i) in mem.lists.iter_mut().zip(&initial.lists) {
            l.clone_from(i);
        }
        for (q, i) in mem.queues.iter_mut().zip(&initial.queues) {
            q.clone_from(i);
        }
        self.reset_run(mem);
    }

    /// Sets back only what an execution wrote.
    pub(crate) fn reset_objects(&self, dirty: &[Obj]) {
        let mem = &mut *self.mem.borrow_mut();
        let initial = self.initial.borrow();
        for o in dirty {
            mem.values[o.index()] = initial.values[o.index()];
            match mem.meta[o.index()].kind {
                Kind::Plain => {}
                Kind::List(l) => mem.lists[l as usize].clone_from(&initial.lists[l as usize]),
                Kind::Queue(q) => mem.queues[q as usize].clone_from(&initial.queues[q as usize]),
            }
        }
        self.reset_run(mem);
    }

    fn reset_run(&self, mem: &mut Mem) {
        mem.findings.clear();
        mem.last_writer.clear();
        mem.absolute.clear();
        mem.own_writes = 0;
        mem.marks.clear();
        mem.returned = None;
        mem.calls = 0;
        mem.step_no = 0;
        mem.unchanged = 0;
        if let Some(b) = &mut mem.buffers {
            b.reset();
        }
        mem.lockdep.reset();
        if let Some(races) = &mut mem.races {
            races.reset();
        }
        mem.expiries = 0;
        mem.expiries_over = 0;
        mem.now = crate::ids::Nanos(0);
    }

    pub(crate) fn reset_slots(&self) {
        for s in &self.slots {
            s.borrow_mut().reset();
        }
    }

    /// Whether the context is where it was before its first step.
    pub(crate) fn is_at_home(&self, ctx: CtxId) -> bool {
        let slot = self.slots[ctx.index()].borrow();
        let stored = self.mem.borrow().buffers.as_ref().is_some_and(|b| b.made(ctx) > 0);
        slot.status == Status::Idle && slot.at_home && !stored
    }

    pub(crate) fn status(&self, ctx: CtxId) -> Status {
        self.slots[ctx.index()].borrow().status
    }

    /// The name of an object: `timers[7].timer`, `bpf_hrtimer #1.prog`. Allocations are numbered in the order of birth
    /// of this execution.
    pub fn obj_name(&self, obj: Obj) -> String {
        if let Some(n) = self.obj_names.get(&obj.0) {
            return n.clone();
        }
        let mem = self.mem.borrow();
        let Some(a) = mem.meta[obj.index()].alloc.checked_sub(1) else {
            return format!("object {}", obj.0);
        };
        let alloc = &mem.allocs[a as usize];
        let ty = &mem.types[alloc.ty.0 as usize];
        let of = format!("{} #{}", ty.name, self.number_of(&mem, a as usize));
        match (obj.0 - alloc.base.0).checked_sub(1) {
            None => of,
            Some(f) => format!("{of}.{}", ty.fields.get(f as usize).map_or("?", String::as_str)),
        }
    }

    /// How many objects there are by now; they are numbered from 0.
    pub fn objects(&self) -> u32 {
        self.mem.borrow().values.len() as u32
    }

    /// What people call an object, without the numbers that tell it from others of its kind: `flows.lru_lock` for
    /// `flows.lru_lock.0`, `bpf_hrtimer.expires` for a member of any `bpf_hrtimer`.
    pub fn kind_name(&self, obj: Obj) -> String {
        if let Some(n) = self.obj_names.get(&obj.0) {
            return without_numbers(n);
        }
        let mem = self.mem.borrow();
        let Some(a) = mem.meta[obj.index()].alloc.checked_sub(1) else { return String::new() };
        let alloc = &mem.allocs[a as usize];
        let ty = &mem.types[alloc.ty.0 as usize];
        match (obj.0 - alloc.base.0).checked_sub(1) {
            None => ty.name.clone(),
            Some(f) => format!("{}.{}", ty.name, ty.fields.get(f as usize).map_or("?", |f| f)),
        }
    }

    fn number_of(&self, mem: &Mem, a: usize) -> usize {
        let me = &mem.allocs[a];
        let born = |x: &Alloc| x.born.map_or(0, |b| b.step);
        let rank = |x: &Alloc| (born(x), x.owner, x.seq);
        1 + mem
            .allocs
            .iter()
            .filter(|x| x.ty == me.ty && mem.values[x.base.index()] != NEVER && rank(x) < rank(me))
            .count()
    }

    /// What a pointer points to, as a name.
    pub fn pointee(&self, word: u64) -> Option<String> {
        let p = <Option<Ptr> as Word>::from_word(word)?;
        let known = {
            let mem = self.mem.borrow();
            p.to_word() == word && mem.meta.get(p.alive().index()).is_some_and(|m| m.alloc != 0)
        };
        known.then(|| self.obj_name(p.alive()))
    }
}

/// A name without its indices: neither `[0]` nor a part that is a number.
fn without_numbers(name: &str) -> String {
    let parts = name.split(['.', '[', ']']);
    let named = |part: &&str| !part.is_empty() && !part.bytes().all(|b| b.is_ascii_digit());
    parts.filter(named).collect::<Vec<_>>().join(".")
}
