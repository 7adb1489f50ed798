//! Records made by hand, as the recorder of the machine makes them from a run.

use std::collections::BTreeMap;
use timerace_core::policy::Ended;
use timerace_core::record::{Call, Edge, FindingRecord, Record, Side, StepRecord, Touch, Wait};
use timerace_core::schedule::{Pick, Schedule};
use timerace_core::{Class, CpuId, CtxId, CtxKind, CtxSpec, Nanos, Obj};

/// What a step does to an object.
pub enum T<'a> {
    /// Reads it.
    R(&'a str),
    /// Writes this value.
    W(&'a str, &'a str),
    /// An allocation comes to life (`alive`) or dies (`FREED`).
    Life(&'a str, &'a str),
    /// An access to a field reads whether the allocation lives.
    Lives(&'a str),
}
use T::{Life, Lives, R, W};

pub struct Build {
    pub rec: Record,
    objects: BTreeMap<String, Obj>,
    values: BTreeMap<Obj, String>,
    last: BTreeMap<Obj, (u32, Vec<u32>)>,
    last_of: BTreeMap<CtxId, u32>,
    stacks: BTreeMap<CtxId, Vec<Call>>,
    lines: BTreeMap<CtxId, u32>,
    calls: u32,
    now: u64,
}

impl Build {
    pub fn new() -> Build {
        Build {
            rec: Record {
                contexts: Vec::new(),
                steps: Vec::new(),
                findings: Vec::new(),
                marks: Vec::new(),
                schedule: Schedule::default(),
                text: String::new(),
                switches: 0,
                preemptions: 0,
                interrupts: 0,
                ended: Ended::Complete,
                state: 0,
                passing: None,
                times: None,
            },
            objects: BTreeMap::new(),
            values: BTreeMap::new(),
            last: BTreeMap::new(),
            last_of: BTreeMap::new(),
            stacks: BTreeMap::new(),
            lines: BTreeMap::new(),
            calls: 0,
            now: 0,
        }
    }

    pub fn ctx(&mut self, name: &str, token: &str, cpu: Option<u16>, kind: CtxKind) -> CtxId {
        let daemon = kind != CtxKind::Task;
        let (name, token) = (name.to_string(), token.to_string());
        self.rec.contexts.push(CtxSpec { name, token, cpu: cpu.map(CpuId), kind, daemon });
        CtxId(self.rec.contexts.len() as u16 - 1)
    }

    pub fn task(&mut self, name: &str, cpu: u16) -> CtxId {
        self.ctx(name, name, Some(cpu), CtxKind::Task)
    }

    pub fn value(&mut self, name: &str, value: &str) {
        let obj = self.obj(name);
        self.values.insert(obj, value.to_string());
    }

    pub fn timed(&mut self) -> &mut Self {
        self.now = 31_200;
        self
    }

    fn obj(&mut self, name: &str) -> Obj {
        let next = Obj(self.objects.len() as u32);
        *self.objects.entry(name.to_string()).or_insert(next)
    }

    pub fn line(&mut self, ctx: CtxId, line: u32) {
        self.lines.insert(ctx, line);
    }

    pub fn enter(&mut self, ctx: CtxId, name: &str, arg: &str) {
        self.push(ctx, name, arg, false, false);
    }

    pub fn body(&mut self, ctx: CtxId, name: &str) {
        self.push(ctx, name, "", false, true);
    }

    pub fn leaf(&mut self, ctx: CtxId, name: &str) {
        self.push(ctx, name, "", true, false);
    }

    fn push(&mut self, ctx: CtxId, name: &str, arg: &str, leaf: bool, body: bool) {
        self.calls += 1;
        let (name, arg) = (name.to_string(), arg.to_string());
        let call = Call { name, arg, id: self.calls, leaf, body };
        self.stacks.entry(ctx).or_default().push(call);
    }

    pub fn leave(&mut self, ctx: CtxId) {
        self.stacks.entry(ctx).or_default().pop();
    }

    /// A step; its number.
    pub fn step(&mut self, ctx: CtxId, text: &str, does: &[T<'_>]) -> u32 {
        let no = self.rec.steps.len() as u32 + 1;
        let touches: Vec<Touch> = does.iter().map(|t| self.touch(t)).collect();
        let mut after: Vec<Edge> = Vec::new();
        if let Some(from) = self.last_of.insert(ctx, no) {
            after.push(Edge { from, over: None });
        }
        for t in &touches {
            let (writer, readers) = self.last.entry(t.obj).or_default();
            if *writer != 0 && *writer != no {
                after.push(Edge { from: *writer, over: Some(t.name.clone()) });
            }
            if t.write {
                let before = readers.drain(..).filter(|r| *r != no);
                after.extend(before.map(|from| Edge { from, over: Some(t.name.clone()) }));
                *writer = no;
            } else {
                readers.push(no);
            }
        }
        let own: Vec<u32> = self.rec.steps.iter().filter(|s| s.ctx == ctx).map(|s| s.no).collect();
        after.retain(|e| e.over.is_none() || !own.contains(&e.from));
        after.sort_by_key(|e| (e.from, e.over.is_some()));
        after.dedup_by_key(|e| e.from);
        let at = Nanos(self.now);
        if self.now > 0 {
            self.now += 700;
        }
        self.rec.schedule.picks.push(Pick { ctx, alt: 0 });
        self.rec.steps.push(StepRecord {
            no,
            ctx,
            at,
            took: if at.0 > 0 { 700 } else { 0 },
            text: text.to_string(),
            quiet: false,
            entry: false,
            stack: self.stacks.get(&ctx).cloned().unwrap_or_default(),
            touches,
            after,
            line: self.lines.get(&ctx).copied(),
            alt: 0,
            ret: None,
        });
        no
    }

    pub fn quiet(&mut self, ctx: CtxId, text: &str) -> u32 {
        let no = self.step(ctx, text, &[]);
        self.rec.steps.last_mut().unwrap().quiet = true;
        no
    }

    pub fn entry(&mut self, ctx: CtxId, text: &str, does: &[T<'_>]) -> u32 {
        let no = self.step(ctx, text, does);
        self.rec.steps.last_mut().unwrap().entry = true;
        no
    }

    fn touch(&mut self, t: &T<'_>) -> Touch {
        let (name, write, internal, after) = match t {
            R(n) => (*n, false, false, None),
            W(n, v) => (*n, true, false, Some(*v)),
            Life(n, v) => (*n, true, true, Some(*v)),
            Lives(n) => (*n, false, true, None),
        };
        let obj = self.obj(name);
        let default = if internal { "alive" } else { "0" };
        let before = self.values.get(&obj).cloned().unwrap_or_else(|| default.to_string());
        let after = after.map_or_else(|| before.clone(), str::to_string);
        self.values.insert(obj, after.clone());
        Touch { obj, name: name.to_string(), write, internal, before, after }
    }

    pub fn lock(&mut self, ctx: CtxId, name: &str) -> u32 {
        self.value(name, "free");
        let me = self.rec.contexts[ctx.index()].name.clone();
        self.step(ctx, &format!("spin_lock(&{name})"), &[W(name, &me)])
    }

    pub fn unlock(&mut self, ctx: CtxId, name: &str) -> u32 {
        self.step(ctx, &format!("spin_unlock(&{name})"), &[W(name, "free")])
    }

    /// The side of a finding at a step that was made, blamed on the innermost function that is not a leaf.
    pub fn side(&self, no: u32) -> Side {
        let s = &self.rec.steps[no as usize - 1];
        let func = s.stack.iter().rev().find(|c| !c.leaf).map_or("(idle)", |c| &c.name);
        Side { step: no, ctx: s.ctx, func: func.to_string(), text: s.text.clone() }
    }

    pub fn finding(
        &mut self,
        class: Class,
        at: Side,
        other: Option<Side>,
        object: Option<&str>,
    ) -> &mut FindingRecord {
        let mut functions = [at.func.clone(), other.as_ref().unwrap_or(&at).func.clone()];
        functions.sort();
        let object = object.map(str::to_string);
        let waits = Vec::new();
        let (born, locks) = (None, Vec::new());
        let f = FindingRecord { class, functions, at, other, born, object, waits, locks };
        self.rec.findings.push(f);
        self.rec.findings.last_mut().unwrap()
    }

    pub fn done(mut self, text: &str, counts: [u32; 3]) -> Record {
        self.rec.text = text.to_string();
        [self.rec.switches, self.rec.preemptions, self.rec.interrupts] = counts;
        self.rec
    }
}

const HRTIMER: &str = "bpf_hrtimer #1";

/// CVE-2024-26737: a cancel uses the timer after a delete has freed it.
pub fn cancel_free_uaf(timed: bool) -> Record {
    let mut b = Build::new();
    if timed {
        b.timed();
    }
    let (cancel, delete) = (b.task("cancel", 1), b.task("delete", 2));
    b.value("timers[7].timer", HRTIMER);
    b.line(cancel, 14);
    b.body(cancel, "prog cancel");
    b.enter(cancel, "bpf_timer_cancel", "timers[7]");
    b.quiet(cancel, "local_irq_save(flags)");
    b.lock(cancel, "timer->lock");
    b.step(cancel, "t = timer->timer", &[R("timers[7].timer")]);
    b.unlock(cancel, "timer->lock");
    b.line(delete, 19);
    b.enter(delete, "bpf_map_delete_elem", "timers[7]");
    b.enter(delete, "htab_map_delete_elem", "");
    b.lock(delete, "htab->bucket_lock");
    b.step(delete, "hlist_nulls_del_rcu(&l->hash_node)", &[W("timers.buckets[3]", "1")]);
    b.enter(delete, "bpf_timer_cancel_and_free", "timers[7]");
    b.lock(delete, "timer->lock");
    b.step(delete, "t = timer->timer", &[R("timers[7].timer")]);
    b.step(delete, "timer->timer = NULL", &[W("timers[7].timer", "NULL")]);
    b.unlock(delete, "timer->lock");
    b.leaf(delete, "hrtimer_cancel");
    b.value("bpf_hrtimer #1.state", "armed");
    let does = [W("bpf_hrtimer #1.state", "idle"), Lives(HRTIMER)];
    b.step(delete, "hrtimer_cancel(&t->timer)", &does);
    b.leave(delete);
    b.leaf(delete, "kfree");
    let freed = b.step(delete, "kfree(t)", &[Life(HRTIMER, "FREED")]);
    b.leave(delete);
    b.leave(delete);
    b.unlock(delete, "htab->bucket_lock");
    b.leaf(cancel, "hrtimer_cancel");
    let does = [W("bpf_hrtimer #1.state", "idle"), Lives(HRTIMER)];
    let used = b.step(cancel, "hrtimer_cancel(&t->timer)", &does);
    let (at, other) = (b.side(used), b.side(freed));
    let f = b.finding(Class::UseAfterFree, at.clone(), Some(other), Some(HRTIMER));
    f.born = Some(Side { step: 0, ctx: CtxId(0), func: String::new(), text: String::new() });
    b.done("1x4,2x9,1", [2, 1, 0])
}

/// CVE-2024-42239: two callbacks cancel each other's timer and wait for ever.
pub fn mutual_cancel() -> Record {
    let mut b = Build::new();
    let softirqs =
        [0u16, 1].map(|c| b.ctx("HRTIMER softirq", "hrtimer", Some(c), CtxKind::Softirq));
    for (i, ctx) in softirqs.into_iter().enumerate() {
        let (me, other) = (i + 1, 2 - i);
        let running = format!("cpu{i}.hrtimer_running");
        let timer = format!("bpf_hrtimer #{me}");
        b.value(&running, "NULL");
        b.entry(ctx, "<HRTIMER softirq>", &[W(&format!("cpu{i}.pending"), "0")]);
        b.enter(ctx, "hrtimer_run_softirq", "");
        b.enter(ctx, "bpf_timer_cb", &format!("timers[{me}]"));
        b.step(ctx, "hrtimer_running = t", &[W(&running, &timer)]);
        b.body(ctx, &format!("cb_{me}"));
        b.enter(ctx, "bpf_timer_cancel", &format!("timers[{other}]"));
    }
    for (i, ctx) in softirqs.into_iter().enumerate() {
        let other = 1 - i;
        let slot = format!("timers[{}].timer", other + 1);
        b.value(&slot, &format!("bpf_hrtimer #{}", other + 1));
        b.step(ctx, "t = timer->timer", &[R(&slot)]);
        let running = format!("cpu{other}.hrtimer_running");
        b.step(ctx, "ret = hrtimer_try_to_cancel(&t->timer)", &[R(&running)]);
    }
    let text = "hrtimer_cancel_wait_running(&t->timer)".to_string();
    let wait = |waiter, holder| Wait {
        waiter,
        holder,
        nested: false,
        func: "bpf_timer_cancel".to_string(),
        text: text.clone(),
        body: None,
        through_cpu: false,
        over: "base.running".to_string(),
    };
    let waits = vec![wait(softirqs[0], softirqs[1]), wait(softirqs[1], softirqs[0])];
    let side =
        |ctx| Side { step: 8, ctx, func: "bpf_timer_cancel".to_string(), text: text.clone() };
    let f = b.finding(Class::Deadlock, side(softirqs[0]), Some(side(softirqs[1])), None);
    f.waits = waits;
    b.done("0!hrtimer,0,1!hrtimer,1,0x2,1", [3, 1, 2])
}

/// A timer is put into a map after the walk that releases the timers of a map without users.
pub fn init_uref_leak() -> Record {
    let mut b = Build::new();
    let (init, close) = (b.task("init", 0), b.task("close", 1));
    b.value("timers.usercnt", "1");
    b.value("timers[0].timer", "NULL");
    b.line(init, 12);
    b.body(init, "prog init");
    b.enter(init, "bpf_timer_init", "timers[0]");
    b.lock(init, "timer->lock");
    b.step(init, "t = timer->timer", &[R("timers[0].timer")]);
    b.step(init, "atomic64_read(&map->usercnt)", &[R("timers.usercnt")]);
    b.leaf(init, "bpf_map_kmalloc_node");
    b.value(HRTIMER, "not allocated");
    let born = b.step(init, "t = bpf_map_kmalloc_node(map)", &[Life(HRTIMER, "alive")]);
    b.leave(init);
    b.line(close, 21);
    b.enter(close, "bpf_map_put_uref", "timers");
    b.step(close, "atomic64_dec_and_test(&map->usercnt)", &[W("timers.usercnt", "0")]);
    b.enter(close, "array_map_free_timers", "");
    b.enter(close, "bpf_timer_cancel_and_free", "timers[0]");
    let seen = b.step(close, "READ_ONCE(timer->timer)", &[R("timers[0].timer")]);
    b.leave(close);
    b.leave(close);
    let put = b.step(init, "timer->timer = t", &[W("timers[0].timer", HRTIMER)]);
    b.unlock(init, "timer->lock");
    let (at, other, born) = (b.side(put), b.side(seen), b.side(born));
    b.finding(Class::Leak, at, Some(other), Some(HRTIMER)).born = Some(born);
    b.done("0x4,1x2,0", [2, 1, 0])
}

/// A grace period is on nobody's side: three CPUs, RCU, and a free by the callback of the grace period.
pub fn three_cpus() -> Record {
    let mut b = Build::new();
    let prog = b.task("lookup", 0);
    let (update, worker) =
        (b.task("update", 1), b.ctx("kworker/2", "kworker", Some(2), CtxKind::Kworker));
    let gp = b.ctx("grace period", "gp1", None, CtxKind::Helper);
    b.value("outer[0]", "bpf_map #1");
    b.value("gp.pending", "0");
    b.value("system_wq", "0");
    b.body(prog, "prog lookup");
    b.enter(prog, "bpf_map_lookup_elem", "outer[0]");
    b.step(prog, "inner_map = READ_ONCE(*inner)", &[R("outer[0]")]);
    b.enter(update, "bpf_map_update_elem", "outer[0]");
    b.step(update, "xchg(ptr, new)", &[W("outer[0]", "bpf_map #2")]);
    b.enter(update, "bpf_map_put", "");
    b.step(
        update,
        "atomic64_dec_and_test(&map->refcnt)",
        &[W("bpf_map #1.refcnt", "0"), Lives("bpf_map #1")],
    );
    b.step(update, "call_rcu(&map->rcu)", &[W("gp.pending", "1")]);
    b.entry(gp, "<grace period>", &[W("gp.pending", "0")]);
    b.step(gp, "queue_work(system_wq, &map->work)", &[W("system_wq", "1")]);
    b.entry(worker, "process_one_work()", &[W("system_wq", "0")]);
    b.enter(worker, "bpf_map_free_deferred", "");
    let freed = b.step(worker, "bpf_map_area_free(array)", &[Life("bpf_map #1", "FREED")]);
    b.leave(prog);
    b.enter(prog, "bpf_map_lookup_elem", "inner[0]");
    let used = b.step(
        prog,
        "index >= array->map.max_entries",
        &[R("bpf_map #1.max_entries"), Lives("bpf_map #1")],
    );
    let (at, other) = (b.side(used), b.side(freed));
    b.finding(Class::UseAfterFree, at, Some(other), Some("bpf_map #1"));
    b.done("0,1x3,1!gp,1:gp,2!kworker,2,0", [4, 1, 2])
}

/// An interrupt comes between two steps of a task and deletes what the task is using.
pub fn interrupted() -> Record {
    let mut b = Build::new();
    let task = b.task("start", 0);
    let irq = b.ctx("NET_RX softirq", "net-rx", Some(0), CtxKind::Softirq);
    let other = b.task("load", 1);
    b.value("timers[1].timer", HRTIMER);
    b.value("raised", "0");
    b.enter(other, "raise_softirq", "");
    b.step(other, "__raise_softirq_irqoff(NET_RX)", &[W("raised", "1")]);
    b.leave(other);
    for i in 0..8 {
        b.step(other, "work()", &[W(&format!("scratch{i}"), "1")]);
    }
    b.body(task, "prog start");
    b.enter(task, "bpf_timer_start", "timers[1]");
    b.step(task, "t = READ_ONCE(timer->timer)", &[R("timers[1].timer")]);
    b.entry(irq, "raise NET_RX", &[W("raised", "0")]);
    b.enter(irq, "net_rx_action", "");
    b.body(irq, "xdp");
    b.enter(irq, "bpf_timer_cancel_and_free", "timers[1]");
    b.step(irq, "t = xchg(&timer->timer, NULL)", &[W("timers[1].timer", "NULL")]);
    b.leaf(irq, "kfree");
    let freed = b.step(irq, "kfree(t)", &[Life(HRTIMER, "FREED")]);
    let used = b.step(task, "mode = t->mode", &[R("bpf_hrtimer #1.mode"), Lives(HRTIMER)]);
    let (at, other) = (b.side(used), b.side(freed));
    b.finding(Class::UseAfterFree, at, Some(other), Some(HRTIMER));
    b.done("1x9,0,0!net-rx,0:net-rx", [2, 0, 1])
}

/// The steps of [`cancel_free_uaf`] so many times; the finding is in the last of them.
pub fn repeated(times: usize) -> Record {
    let mut rec = cancel_free_uaf(false);
    let first = rec.steps.clone();
    let n = first.len();
    rec.steps = (0..times * n)
        .map(|i| {
            let mut s = first[i % n].clone();
            s.no = i as u32 + 1;
            s.after.retain(|_| false);
            s
        })
        .collect();
    let shift = ((times - 1) * n) as u32;
    let f = &mut rec.findings[0];
    f.at.step += shift;
    f.other.as_mut().unwrap().step += shift;
    rec
}
