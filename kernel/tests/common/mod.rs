//! Small worlds built in code, and the search over their schedules.
#![allow(dead_code)]

use std::collections::BTreeSet;
use timerace_core::dpor::{Ignore, Observer, Options, View, explore};
use timerace_core::exec::Exec;
use timerace_core::policy::{Limits, Random, run as run_policy};
use timerace_core::result::Exploration;
use timerace_core::timed::{TimedOptions, Unwatched, run_timed};
use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World, boot};

pub const CLOCK_MONOTONIC: u64 = 1;

pub fn kernel(text: &str) -> KernelVersion {
    KernelVersion::parse(text).expect(text)
}

/// A world with one map of one-timer values.
pub fn world(k: KernelVersion, cpus: u16, kind: MapKind, max_entries: u32) -> World {
    let mut w = World::new("test", k, cpus);
    let mut ty = TypeDef::one_timer();
    ty.fields.push(FieldDef {
        name: "data".into(),
        offset: 16,
        size: 8,
        kind: FieldKind::Unsigned,
    });
    ty.size = 24;
    w.types.push(ty);
    w.maps.push(map("timers", kind, max_entries));
    w
}

pub fn map(name: &str, kind: MapKind, max_entries: u32) -> MapDef {
    MapDef::new(name, kind, max_entries)
}

pub fn op(kind: OpKind) -> Op {
    Op::of(kind)
}

pub fn ret(codes: &[i64], call: Call) -> Op {
    Op::returning(codes, call)
}

pub fn call(call: Call) -> Op {
    Op::call(call)
}

pub fn any(call: Call) -> Op {
    op(OpKind::Call { call, returns: Returns::Any, bind: None })
}

pub fn elem(key: i64) -> ElemRef {
    ElemRef::of(MapId(0), key)
}

pub fn timer(key: i64) -> ObjRef {
    ObjRef::in_elem(elem(key))
}

pub fn own_timer() -> ObjRef {
    ObjRef { value: ValueRef::Value, field: None, byte: None }
}

pub fn init(key: i64) -> Call {
    Call::TimerInit(timer(key), CLOCK_MONOTONIC)
}

pub fn set_callback(key: i64, f: usize) -> Call {
    Call::TimerSetCallback(timer(key), ProgId(f as u32))
}

pub fn start(key: i64, ns: u64) -> Call {
    Call::TimerStart(timer(key), Nsecs::Of(Ns::fixed(ns)), 0)
}

pub fn cancel(key: i64) -> Call {
    Call::TimerCancel(timer(key))
}

pub fn update(key: i64) -> Call {
    Call::MapUpdate { elem: elem(key), flag: UpdateFlag::Any, value: None }
}

pub fn delete(key: i64) -> Call {
    Call::MapDelete(elem(key))
}

pub fn prog(w: &mut World, name: &str, kind: ProgKind, ops: Vec<Op>) -> usize {
    w.progs.push(ProgDef::new(name, kind, ops));
    w.progs.len() - 1
}

pub fn run(p: usize) -> Op {
    call(Call::ProgRun(ProgId(p as u32)))
}

pub fn task(w: &mut World, name: &str, cpu: u16, ops: Vec<Op>) {
    w.tasks.push(TaskDef::new(name, cpu, ops));
}

/// Every inequivalent schedule.
pub fn search(w: &World) -> Exploration {
    let (machine, kernel) = boot(w, false).expect("the world boots");
    let options = Options { keep_going: true, ..Options::default() };
    let x = explore(&mut Exec::new(&machine, &kernel), &options, &mut Ignore);
    assert!(x.complete, "{:?}", x.bounds);
    x
}

/// The findings of a search as `CLASS function function`.
pub fn findings(w: &World) -> BTreeSet<String> {
    let x = search(w);
    println!(
        "{} on {}: {} schedules, {} failing, {} blocked",
        w.name, w.kernel, x.schedules, x.failing, x.blocked
    );
    let text = |f: &timerace_core::result::Found| {
        format!("{} {} {}", f.class, f.functions[0], f.functions[1])
    };
    x.findings.iter().map(text).collect()
}

/// What a search finds first: `CLASS function function`.
pub fn first_finding(w: &World) -> String {
    let (machine, kernel) = boot(w, false).expect("the world boots");
    let x = explore(&mut Exec::new(&machine, &kernel), &Options::default(), &mut Ignore);
    let f = x.findings.first().expect("there is a finding");
    format!("{} {} {}", f.class, f.functions[0], f.functions[1])
}

pub fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

pub fn with(k: &str, fix: Fix) -> KernelVersion {
    kernel(k).with(fix)
}

struct States(BTreeSet<(u64, usize)>);

impl Observer for States {
    fn needs_marks(&self) -> bool {
        false
    }
    fn execution(&mut self, view: &View<'_>) {
        self.0.insert((view.mem.state_digest(), view.mem.findings(&[]).len()));
    }
}

/// Random executions end in no state that the search does not know: what steps declare is what they touch.
pub fn random_runs_agree(w: &World, runs: u32) {
    let (machine, kernel) = boot(w, false).expect("the world boots");
    let mut exec = Exec::new(&machine, &kernel);
    let mut known = States(BTreeSet::new());
    let options = Options { keep_going: true, ..Options::default() };
    assert!(explore(&mut exec, &options, &mut known).complete);
    let mut random = Random::new(1);
    for n in 0..runs {
        exec.restart();
        run_policy(&mut exec, &mut random, Limits::default());
        let end = machine.with_mem(|m| (m.state_digest(), m.findings(&[]).len()));
        assert!(known.0.contains(&end), "{}: run {n} of {} states", w.kernel, known.0.len());
    }
}

/// A timed run: what the first operation of line 7 has read.
pub fn data_of_line_7(w: &World) -> Vec<i64> {
    let (machine, kernel) = boot(w, true).expect("the world boots");
    let options = TimedOptions { seed: 0, max_steps: 100_000, ..TimedOptions::default() };
    kernel.log().begin();
    run_timed(&machine, &kernel, &options, &mut Unwatched);
    let logged = kernel.log().take();
    logged.ops.iter().find(|o| o.at == LineId(7)).expect("it ran").data.clone()
}
