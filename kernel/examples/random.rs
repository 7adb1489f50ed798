//! Random executions of race R07 (a cancel against a free on v6.7), for counting instructions: `random EXECUTIONS`. The
//! difference between two numbers of executions is what they cost.

use timerace_core::dpor::{Ignore, Options};
use timerace_core::exec::Exec;
use timerace_core::policy::Random;
use timerace_core::sample::sample;
use timerace_kernel::world::{
    Body, Call, ElemRef, KeyRef, LineId, MapDef, MapFlags, MapId, MapKind, MapRef, Ns, Nsecs,
    ObjRef, Op, OpKind, ProgDef, ProgId, ProgKind, Returns, TaskDef, TypeDef, TypeIx, ValueRef,
};
use timerace_kernel::{KernelVersion, World, boot};

fn any(call: Call) -> Op {
    let kind = OpKind::Call { call, returns: Returns::Any, bind: None };
    Op { kind, at: LineId(0), text: String::new() }
}

fn prog(w: &mut World, name: &str, kind: ProgKind, ops: Vec<Op>) -> ProgId {
    let body = Body::of(ops);
    let name = name.to_string();
    let sleepable = kind == ProgKind::Syscall;
    w.progs.push(ProgDef { name, kind, sleepable, attach: None, body, at: LineId(0) });
    ProgId(w.progs.len() as u32 - 1)
}

/// One task arms a timer and deletes its element, another one cancels the timer meanwhile.
fn world() -> World {
    let mut w = World::new("r07", KernelVersion::parse("v6.7").expect("the table has v6.7"), 2);
    w.types.push(TypeDef::one_timer());
    w.maps.push(MapDef {
        name: "timers".into(),
        kind: MapKind::Hash,
        max_entries: 1,
        flags: MapFlags::default(),
        key_size: 4,
        value: TypeIx(0),
        slots: Vec::new(),
        memcg: None,
        init: Vec::new(),
        at: LineId(0),
    });
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Int(0) };
    let timer = ObjRef { value: ValueRef::Elem(elem), field: None, byte: None };
    let cb = prog(&mut w, "tick", ProgKind::TimerCb, Vec::new());
    let arm = vec![
        any(Call::TimerInit(timer, 1)),
        any(Call::TimerSetCallback(timer, cb)),
        any(Call::TimerStart(timer, Nsecs::Of(Ns::fixed(1_000)), 0)),
    ];
    let arm = prog(&mut w, "arm", ProgKind::Syscall, arm);
    let cancel = prog(&mut w, "cancel", ProgKind::Syscall, vec![any(Call::TimerCancel(timer))]);
    let update = Call::MapUpdate { elem, flag: Default::default(), value: None };
    let bodies = [
        vec![any(update), any(Call::ProgRun(arm)), any(Call::MapDelete(elem))],
        vec![any(Call::ProgRun(cancel))],
    ];
    for (cpu, ops) in bodies.into_iter().enumerate() {
        w.tasks.push(TaskDef {
            name: format!("task{cpu}"),
            cpu: cpu as u16,
            sched: Default::default(),
            cap_bpf: true,
            cap_net_admin: true,
            memcg: None,
            blocked: false,
            body: Body::of(ops),
            at: LineId(0),
        });
    }
    w
}

fn main() {
    let Some(n) = std::env::args().nth(1).and_then(|a| a.parse().ok()) else {
        eprintln!("usage: random EXECUTIONS");
        std::process::exit(2);
    };
    let (machine, kernel) = boot(&world(), false).expect("the world boots");
    let options = Options { max_schedules: Some(n), keep_going: true, ..Options::default() };
    let mut exec = Exec::new(&machine, &kernel);
    let e = sample(&mut exec, "random", &mut Random::new(1), &options, &mut Ignore);
    println!("{} executions, {} steps, {} failing", e.schedules, e.steps, e.failing);
}
