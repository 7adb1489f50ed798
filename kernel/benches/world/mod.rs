//! The world of the benchmarks: so many periodic timers on so many CPUs.

use timerace_core::result::Expiry;
use timerace_core::timed::{Cause, TimedEnd, TimedOptions, Watch, run_timed};
use timerace_kernel::world::{
    Body, Call, ElemRef, KeyRef, LineId, MapDef, MapFlags, MapId, MapKind, MapRef, Ns, Nsecs,
    ObjRef, Op, OpKind, Operand, Place, ProgDef, ProgId, ProgKind, Returns, Stop, TaskDef, TypeDef,
    TypeIx, ValueRef, VarDef, VarId, VarKind,
};
use timerace_kernel::{KernelVersion, World, boot};

/// What a run is made of.
#[derive(Copy, Clone, Debug)]
pub struct Size {
    pub timers: u32,
    pub cpus: u16,
    pub period_ns: u64,
    pub expiries: u64,
}

fn op(kind: OpKind) -> Op {
    Op { kind, at: LineId(0), text: String::new() }
}

fn call(call: Call) -> Op {
    op(OpKind::Call { call, returns: Returns::Any, bind: None })
}

/// A task per CPU arms its share of the timers of one array; every callback starts its own timer again.
pub fn world(size: Size) -> World {
    let kernel = KernelVersion::parse("v6.7").expect("the table has v6.7");
    let mut w = World::new("periodic", kernel, size.cpus);
    w.types.push(TypeDef::one_timer());
    w.maps.push(MapDef {
        name: "timers".into(),
        kind: MapKind::Array,
        max_entries: size.timers,
        flags: MapFlags::default(),
        key_size: 4,
        value: TypeIx(0),
        slots: Vec::new(),
        memcg: None,
        init: Vec::new(),
        at: LineId(0),
    });
    let share = u64::from(size.timers) / u64::from(size.cpus);
    let tick = ProgId(u32::from(size.cpus));
    for cpu in 0..size.cpus {
        let next = VarId(u32::from(cpu));
        let first = i64::from(cpu) * share as i64;
        let name = format!("next{cpu}");
        w.vars.push(VarDef { name, kind: VarKind::Int(first), at: LineId(0) });
        w.progs.push(prog(
            &format!("arm{cpu}"),
            ProgKind::Syscall,
            arm(next, share, tick, size.period_ns),
        ));
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
    let again = call(Call::TimerStart(own, Nsecs::Of(Ns::fixed(size.period_ns)), 0));
    w.progs.push(prog("tick", ProgKind::TimerCb, Body::of(vec![again])));
    w.stop = Stop::Expiries(size.expiries);
    w
}

fn prog(name: &str, kind: ProgKind, body: Body) -> ProgDef {
    let sleepable = kind == ProgKind::Syscall;
    ProgDef { name: name.into(), kind, sleepable, attach: None, body, at: LineId(0) }
}

/// `repeat(n, [key = next++, init, set_callback, start])`
fn arm(next: VarId, n: u64, callback: ProgId, period_ns: u64) -> Body {
    let mut body = Body::default();
    let key = body.local("key");
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Local(key) };
    let timer = ObjRef { value: ValueRef::Elem(elem), field: None, byte: None };
    let take = op(OpKind::FetchAdd { into: key, on: Place::Var(next), by: Operand::Int(1) });
    let start = Nsecs::Of(Ns::fixed(period_ns));
    let each = vec![
        take,
        call(Call::TimerInit(timer, 1)),
        call(Call::TimerSetCallback(timer, callback)),
        call(Call::TimerStart(timer, start, 0)),
    ];
    body.ops.push(op(OpKind::Repeat { times: n, body: each }));
    body
}

/// Lateness in powers of two.
#[derive(Debug)]
pub struct Lateness(pub [u64; 64]);

impl Watch for Lateness {
    fn expiry(&mut self, e: &Expiry, _: &[(Cause, u64)]) {
        self.0[(e.late_ns() | 1).ilog2() as usize] += 1;
    }
}

/// Runs it: virtual nanoseconds, and how late callbacks were.
pub fn model(w: &World, expiries: u64) -> (u64, Lateness) {
    let (machine, kernel) = boot(w, true).expect("the world boots");
    let options =
        TimedOptions { expiries: Some(expiries), max_steps: u64::MAX, ..TimedOptions::default() };
    let mut late = Lateness([0; 64]);
    let (run, _) = run_timed(&machine, &kernel, &options, &mut late);
    assert_eq!((run.ended, run.expiries), (TimedEnd::Expiries, expiries));
    (run.virtual_ns, late)
}
