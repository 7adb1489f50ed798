//! Timed runs of the full kernel model: 10,000 periodic timers on 8 CPUs, beside a bare binary heap that does nothing but
//! pop and push as many expiries. The ratio of the two is what the model costs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use timerace_core::timed::{Costs, TimedEnd, TimedOptions, Unwatched, run_timed};
use timerace_kernel::world::{
    Body, Call, ElemRef, KeyRef, LineId, MapDef, MapFlags, MapId, MapKind, MapRef, Ns, Nsecs,
    ObjRef, Op, OpKind, Operand, Place, ProgDef, ProgId, ProgKind, Returns, Stop, TaskDef, TypeDef,
    TypeIx, ValueRef, VarDef, VarId, VarKind,
};
use timerace_kernel::{KernelVersion, World, boot};

const TIMERS: u32 = 10_000;
const CPUS: u16 = 8;
const PERIOD_NS: u64 = 1_000_000;
const EXPIRIES: u64 = 200_000;

fn op(kind: OpKind) -> Op {
    Op { kind, at: LineId(0), text: String::new() }
}

fn call(call: Call) -> Op {
    op(OpKind::Call { call, returns: Returns::Any, bind: None })
}

/// A task per CPU arms its share of the timers of one array; every callback starts its own timer again.
fn world() -> World {
    let kernel = KernelVersion::parse("v6.7").expect("the table has v6.7");
    let mut w = World::new("periodic", kernel, CPUS);
    w.types.push(TypeDef::one_timer());
    w.maps.push(MapDef {
        name: "timers".into(),
        kind: MapKind::Array,
        max_entries: TIMERS,
        flags: MapFlags::default(),
        key_size: 4,
        value: TypeIx(0),
        slots: Vec::new(),
        memcg: None,
        init: Vec::new(),
        at: LineId(0),
    });
    let share = u64::from(TIMERS) / u64::from(CPUS);
    let tick = ProgId(u32::from(CPUS));
    for cpu in 0..CPUS {
        let next = VarId(u32::from(cpu));
        let first = i64::from(cpu) * share as i64;
        let name = format!("next{cpu}");
        w.vars.push(VarDef { name, kind: VarKind::Int(first), at: LineId(0) });
        w.progs.push(prog(&format!("arm{cpu}"), ProgKind::Syscall, arm(next, share, tick)));
        let run = call(Call::ProgRun(ProgId(u32::from(cpu))));
        w.tasks.push(TaskDef {
            name: format!("loader{cpu}"),
            cpu,
            sched: Default::default(),
            cap_bpf: true,
            cap_net_admin: true,
            memcg: None,
            blocked: false,
            body: Body::of(vec![run]),
            at: LineId(0),
        });
    }
    let own = ObjRef { value: ValueRef::Value, field: None, byte: None };
    let again = call(Call::TimerStart(own, Nsecs::Of(Ns::fixed(PERIOD_NS)), 0));
    w.progs.push(prog("tick", ProgKind::TimerCb, Body::of(vec![again])));
    w.stop = Stop::Expiries(EXPIRIES);
    w
}

fn prog(name: &str, kind: ProgKind, body: Body) -> ProgDef {
    let sleepable = kind == ProgKind::Syscall;
    ProgDef { name: name.into(), kind, sleepable, attach: None, body, at: LineId(0) }
}

/// `repeat(n, [key = next++, init, set_callback, start])`
fn arm(next: VarId, n: u64, callback: ProgId) -> Body {
    let mut body = Body::default();
    let key = body.local("key");
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Local(key) };
    let timer = ObjRef { value: ValueRef::Elem(elem), field: None, byte: None };
    let take = op(OpKind::FetchAdd { into: key, on: Place::Var(next), by: Operand::Int(1) });
    let start = Nsecs::Of(Ns::fixed(PERIOD_NS));
    let each = vec![
        take,
        call(Call::TimerInit(timer, 1)),
        call(Call::TimerSetCallback(timer, callback)),
        call(Call::TimerStart(timer, start, 0)),
    ];
    body.ops.push(op(OpKind::Repeat { times: n, body: each }));
    body
}

fn model(w: &World) -> u64 {
    let (machine, kernel) = boot(w, true).expect("the world boots");
    let options = TimedOptions {
        seed: 1,
        costs: Costs::default(),
        until: None,
        expiries: Some(EXPIRIES),
        max_steps: u64::MAX,
        goes_on: true,
    };
    let (run, _) = run_timed(&machine, &kernel, &options, &mut Unwatched);
    assert_eq!((run.ended, run.expiries), (TimedEnd::Expiries, EXPIRIES));
    run.virtual_ns
}

fn bare_heap() -> u64 {
    let mut heap: BinaryHeap<Reverse<(u64, u32)>> =
        (0..TIMERS).map(|t| Reverse((PERIOD_NS + u64::from(t) * 100, t))).collect();
    let mut last = 0;
    for _ in 0..EXPIRIES {
        if let Some(Reverse((at, t))) = heap.pop() {
            last = at;
            heap.push(Reverse((at + PERIOD_NS, t)));
        }
    }
    last
}

fn periodic(c: &mut Criterion) {
    let w = world();
    let mut g = c.benchmark_group("periodic-10000-timers-8-cpus");
    g.throughput(Throughput::Elements(EXPIRIES)).sample_size(10);
    g.bench_function("bare-binary-heap", |b| b.iter(|| black_box(bare_heap())));
    g.bench_function("kernel-model", |b| b.iter(|| black_box(model(&w))));
    g.finish();
}

criterion_group!(benches, periodic);
criterion_main!(benches);
