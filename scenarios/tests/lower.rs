//! Scenarios in resolved form.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use timerace_kernel::world::*;
use timerace_kernel::{Fix, KernelVersion, World};
use timerace_scenarios::diag::{self, Diagnostic, Style};
use timerace_scenarios::load;
use timerace_scenarios::lower::{kernel_of, lower};

fn render(diags: &[Diagnostic], source: &str) -> String {
    diag::render_all(diags, "t.ron", source, Style::Plain)
}

fn world(source: &str) -> Result<World, Vec<Diagnostic>> {
    let scenario = load::parse(source, &[]).unwrap_or_else(|d| panic!("{}", render(&d, source)));
    lower(&scenario, source, KernelVersion::newest())
}

fn good(source: &str) -> World {
    world(source).unwrap_or_else(|d| panic!("{}", render(&d, source)))
}

fn bad(source: &str) -> Vec<(&'static str, String)> {
    let text = |span: timerace_scenarios::span::Span| source[span.range()].to_string();
    world(source).unwrap_err().iter().map(|d| (d.code, text(d.primary.0))).collect()
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ok").join(name);
    fs::read_to_string(path).unwrap()
}

fn scenario(rest: &str) -> String {
    format!("Scenario(schema: 1, name: \"t\", machine: (cpus: 2),\n{rest})")
}

fn texts(ops: &[Op]) -> Vec<&str> {
    ops.iter().map(|op| op.text.as_str()).collect()
}

#[test]
fn the_files_of_the_handbook_lower() {
    for name in [
        "ring-3",
        "r07-raw",
        "r06-timer-init-uref",
        "r09-mutual-cancel",
        "killed-loader-pinned-map",
        "periodic-under-net-rx",
        "cancel-vs-delete",
        "uref-drop-on-ctrl-c",
        "lru-evict-running-callback",
        "every-expectation",
        "small-forms",
    ] {
        let world = good(&file(&format!("{name}.ron")));
        assert_eq!(world.name, name);
    }
}

#[test]
fn the_library_lowers_and_boots() {
    for entry in timerace_scenarios::library::LIBRARY {
        let scenario = load::parse(entry.source, &[]).unwrap();
        let kernel = kernel_of(&scenario).unwrap();
        // What is about newer kernels is refused by v6.7, as it is there.
        let on = |kernel: KernelVersion| {
            let world = lower(&scenario, &entry.open().text, kernel)
                .unwrap_or_else(|d| panic!("{}", render(&d, entry.source)));
            timerace_kernel::boot(&world, false).map(|_| ())
        };
        let kernels = match kernel {
            Some(k) => vec![k],
            None => ["v6.7", "v7.3"].map(|k| KernelVersion::parse(k).unwrap()).to_vec(),
        };
        let booted: Vec<_> = kernels.into_iter().map(on).collect();
        assert!(booted.iter().any(Result::is_ok), "{}: {booted:?}", entry.name());
    }
}

#[test]
fn operations_keep_their_places_and_texts() {
    let source = file("r07-raw.ron");
    let world = good(&source);
    let freer = &world.tasks[0];
    assert_eq!(freer.name, "freer");
    let lines: Vec<&str> = source.lines().collect();
    let mut seen = 0;
    let mut check = |op: &Op| {
        let at = world.at(op.at);
        let rest = &lines[at.line as usize - 1][at.col as usize - 1..];
        let head = op.text.split("..").next().unwrap().trim_end_matches(", ");
        assert!(rest.starts_with(head), "{rest} / {}", op.text);
        seen += 1;
    };
    for op in &freer.body.ops {
        check(op);
        if let OpKind::If { then, .. } = &op.kind {
            then.iter().for_each(&mut check);
        }
    }
    assert_eq!(seen, 6);
    assert_eq!(
        texts(&freer.body.ops),
        ["lock(\"L\")", "xchg(\"p\", \"slot\", NULL)", "unlock(\"L\")", "if(\"p != NULL\", ..)"]
    );
    let (p, r) = (LocalId(0), LocalId(1));
    assert_eq!(freer.body.locals, ["p", "r"]);
    assert_eq!(
        freer.body.ops[1].kind,
        OpKind::Xchg { into: p, on: Place::Var(VarId(1)), value: Operand::Null }
    );
    let OpKind::If { cond, then, otherwise } = &freer.body.ops[3].kind else { panic!() };
    assert_eq!(*cond, Cond::Cmp(Operand::Local(p), CmpOp::Ne, Operand::Null));
    let on = Place::Member(p, FieldIx(0));
    assert_eq!(then[0].kind, OpKind::FetchAdd { into: r, on, by: Operand::Int(1) });
    assert_eq!(then[1].kind, OpKind::Free(p));
    assert!(otherwise.is_empty());
    assert_eq!(world.vars[1].kind, VarKind::New(TypeIx(0)));
    assert_eq!(world.types[0].fields[0].kind, FieldKind::Unsigned);
}

#[test]
fn everything_around_a_loader_that_is_killed() {
    let world = good(&file("killed-loader-pinned-map.ron"));
    assert_eq!(world.machine.preempt, Preempt::Voluntary);
    assert_eq!(world.machine.memory, Memory::Tso);
    assert_eq!(world.machine.grace_period, Some(Ns { min: 1_000_000, max: 20_000_000 }));
    assert_eq!(world.timing, Timing::Respect);
    assert_eq!(world.paths, ["/sys/fs/bpf/timers"]);
    assert_eq!(world.stop, Stop::Time(100_000_000));
    assert_eq!(world.limits, Limits { steps: Some(100_000), expiries: Some(200) });
    let timers = &world.maps[0];
    assert!(timers.flags.no_prealloc && timers.kind == MapKind::Hash);
    assert_eq!(world.types[timers.value.index()].fields[1].offset, 8);
    let cb = &world.progs[1];
    let on = Place::ValueMember(ValueRef::Value, FieldIx(0));
    let n = LocalId(0);
    assert_eq!(cb.body.ops[0].kind, OpKind::FetchAdd { into: n, on, by: Operand::Int(1) });
    let OpKind::If { then, otherwise, .. } = &cb.body.ops[1].kind else { panic!() };
    let timer = ObjRef { value: ValueRef::Value, field: Some(FieldIx(1)), byte: None };
    let start = Call::TimerStart(timer, Nsecs::Of(Ns::fixed(1_000_000)), 0);
    assert_eq!(then[0].kind, OpKind::Call { call: start, returns: Returns::Any, bind: None });
    assert_eq!(then[0].text, "may_fail(bpf_timer_start(\"value->timer\", \"$period\"))");
    let elem = ElemRef { map: MapRef::Map(MapId(0)), key: KeyRef::Itself };
    let returns = Returns::OneOf(vec![0, -2]);
    let call = Call::MapDelete(elem);
    assert_eq!(otherwise[0].kind, OpKind::Call { call, returns, bind: None });
    assert_eq!(world.progs[2].attach, Some(Attach::TpBtf("hrtimer_start".into())));

    let [loader, cleaner] = &world.tasks[..] else { panic!() };
    assert!(loader.cap_bpf && cleaner.sched == Sched::Fifo(50));
    assert_eq!(loader.body.locals, ["fd", "prog"]);
    let pin = Call::ObjPin(FdRef::Local(LocalId(0)), PathId(0));
    let call = |call| OpKind::Call { call, returns: Returns::Success, bind: None };
    assert_eq!(loader.body.ops[1].kind, call(pin));
    assert_eq!(loader.body.ops[5].kind, call(Call::Kill(TaskId(0), Signal::Kill)));
    let [wait, unlink] = &cleaner.body.ops[..] else { panic!() };
    assert_eq!(wait.kind, OpKind::SleepUntilTime(Ns::fixed(50_000_000)));
    assert_eq!(wait.text, "at(\"50ms\", unlink(\"/sys/fs/bpf/timers\"))");
    assert_eq!(unlink.kind, call(Call::Unlink(PathId(0))));
    assert_eq!(unlink.text, "unlink(\"/sys/fs/bpf/timers\")");

    let [events] = &world.cpu_events[..] else { panic!() };
    assert!(events.cpu == 1 && events.steps.is_empty());
    let every = When::Every(Ns { min: 100_000, max: 200_000 });
    let work = Work::Takes(Ns { min: 5_000, max: 30_000 });
    assert_eq!(events.sources[0].when, every);
    assert_eq!(events.sources[0].what, Event::Softirq("NET_RX".into(), work));
    assert_eq!(events.sources[1].when, When::Poisson(Ns::fixed(1_000_000)));
    let Event::Nmi(Work::Body(body)) = &events.sources[3].what else { panic!() };
    assert_eq!(body.ops[0].kind, call(Call::ProgRun(ProgId(2))));
}

#[test]
fn every_step_has_a_form() {
    // The one thing that a world has no form for: a local that holds a map.
    let source = file("every-step.ron").replace("may_fail(bpf_timer_cancel(\"inner[3]\")),", "");
    let world = good(&source);
    let all = &world.progs[0];
    let timer = |value| ObjRef { value, field: None, byte: None };
    let elem = |map, key| ValueRef::Elem(ElemRef { map, key: KeyRef::Int(key) });
    let found = |call: Call| {
        let has = |op: &Op| matches!(&op.kind, OpKind::Call { call: c, .. } if *c == call);
        let nested = |op: &Op| match &op.kind {
            OpKind::If { then, otherwise, .. } => then.iter().chain(otherwise).any(has),
            _ => false,
        };
        assert!(all.body.ops.iter().any(|op| has(op) || nested(op)), "{call:?}");
    };
    let timers = MapRef::Map(MapId(0));
    found(Call::TimerInit(timer(elem(timers, 7)), 1));
    let named = ObjRef { field: Some(FieldIx(1)), ..timer(elem(timers, 7)) };
    found(Call::TimerSetCallback(named, ProgId(1)));
    found(Call::TimerStart(timer(elem(timers, 7)), Nsecs::Of(Ns::fixed(10_000)), 3));
    let v = ValueRef::Local(
        all.body.locals.iter().position(|l| l == "v").map(|at| LocalId(at as u32)).unwrap(),
    );
    let member = ObjRef { field: Some(FieldIx(1)), ..timer(v) };
    found(Call::TimerStart(member, Nsecs::Of(Ns::fixed(1_500_000)), 0));
    let now = all.body.locals.iter().position(|l| l == "now").map(|at| LocalId(at as u32)).unwrap();
    let since = |ns| Nsecs::Local { base: now, plus: Ns::fixed(ns) };
    found(Call::KtimeGetNs);
    found(Call::TimerStart(timer(elem(timers, 7)), since(1_000_000), 1));
    found(Call::TimerStart(timer(elem(timers, 7)), since(0), 1));
    found(Call::TimerCancel(timer(v)));
    found(Call::TimerCancel(ObjRef { byte: Some(8), ..timer(elem(timers, 7)) }));
    // In a program an inner map is whatever is in the slot ..
    let slot = MapRef::Slot(MapId(2), 1);
    let inner = ObjRef { field: Some(FieldIx(1)), ..timer(elem(slot, 3)) };
    found(Call::TimerCancel(inner));
    found(Call::WqSetCallback(
        ObjRef { field: Some(FieldIx(1)), ..timer(elem(MapRef::Map(MapId(1)), 0)) },
        ProgId(2),
    ));
    let flag = UpdateFlag::Exist;
    let seven = ElemRef { map: timers, key: KeyRef::Int(7) };
    found(Call::MapUpdate { elem: seven, flag, value: Some(Operand::Int(3)) });

    // .. in a task it is a map of its own.
    let names: Vec<&str> = world.maps.iter().map(|map| map.name.as_str()).collect();
    assert_eq!(names, ["timers", "jobs", "outer", "outer[0]", "outer[1]"]);
    assert_eq!(world.maps[2].slots, [(0, MapId(3)), (1, MapId(4))]);
    assert_eq!(world.maps[3].value, world.maps[0].value);
    let loader = &world.tasks[1].body;
    let calls: Vec<&Call> = loader
        .ops
        .iter()
        .filter_map(|op| match &op.kind {
            OpKind::Call { call, .. } => Some(call),
            _ => None,
        })
        .collect();
    assert!(calls.contains(&&Call::MapGetFdById(MapId(3))));
    let outer0 = ElemRef { map: MapRef::Map(MapId(2)), key: KeyRef::Int(0) };
    let value = Some(Operand::Map(timers));
    assert!(calls.contains(&&Call::MapUpdate { elem: outer0, flag: UpdateFlag::Any, value }));
    assert!(calls.contains(&&Call::Close(FdRef::Map(MapId(0)))));
    assert!(calls.contains(&&Call::Close(FdRef::Prog(ProgId(0)))));
    let pinned = Box::new(Call::LinkCreate(ProgId(3)));
    let own = PathId(world.paths.iter().position(|path| path.contains("pin@")).unwrap() as u32);
    assert!(calls.contains(&&Call::Pin(pinned, own)));
    let ops: Vec<&OpKind> = loader.ops.iter().map(|op| &op.kind).collect();
    assert!(ops.contains(&&OpKind::ClockStep { clock: 0, by_ns: -1_000_000_000 }));
    assert!(ops.contains(&&OpKind::Unblock(TaskId(2))));
    assert!(ops.contains(&&OpKind::Exit(0)));

    raw_steps(&world);
}

fn raw_steps(world: &World) {
    let raw = &world.tasks[0].body;
    let ops: Vec<&OpKind> = raw.ops.iter().map(|op| &op.kind).collect();
    let local = |name: &str| LocalId(raw.locals.iter().position(|l| l == name).unwrap() as u32);
    let var = |name: &str| VarId(world.vars.iter().position(|v| v.name == name).unwrap() as u32);
    let has = |kind: OpKind| assert!(ops.contains(&&kind), "{kind:?}");
    let flag = Place::Var(var("flag"));
    has(OpKind::Read { order: Order::Once, into: local("r"), from: flag });
    has(OpKind::Read { order: Order::Plain, into: local("r"), from: flag });
    has(OpKind::Read { order: Order::AcquireRelease, into: local("r"), from: flag });
    has(OpKind::Write { order: Order::Once, to: flag, value: Operand::Local(local("r")) });
    has(OpKind::Write { order: Order::Plain, to: flag, value: Operand::Int(-1) });
    has(OpKind::Write { order: Order::AcquireRelease, to: flag, value: Operand::Int(2) });
    let (old, new) = (Operand::Null, Operand::Local(local("p")));
    has(OpKind::Cmpxchg { into: local("q"), on: Place::Var(var("empty")), old, new });
    has(OpKind::Trylock(local("got"), var("M")));
    has(OpKind::LockIrqsave(var("S")));
    has(OpKind::Context(ContextOp::PreemptEnable));
    has(OpKind::Alloc(local("o"), TypeIx(0)));
    let word = Place::Member(local("o"), FieldIx(0));
    has(OpKind::Write { order: Order::Once, to: word, value: Operand::Int(5) });
    has(OpKind::Free(local("o")));
    has(OpKind::SynchronizeRcu);
    has(OpKind::Barrier(Barrier::Write));
    let cmp = |op, n| Cond::Cmp(Operand::Place(Place::Var(var("refs"))), op, Operand::Int(n));
    let flag_is = |op, n| Cond::Cmp(Operand::Place(flag), op, Operand::Int(n));
    let either = Cond::Any(vec![cmp(CmpOp::Gt, 0), cmp(CmpOp::Le, -1)]);
    has(OpKind::WaitUntil(Cond::All(vec![flag_is(CmpOp::Eq, 2), either])));
    has(OpKind::SleepUntil(flag_is(CmpOp::Ne, 3)));
    assert!(world.tasks[2].blocked);
}

#[test]
fn every_field_has_a_form() {
    let source = file("every-field.ron");
    let found = bad(&source);
    assert_eq!(found, [("E0110", "BPF_F_NUMA_NODE".to_string())]);
    let world = good(&source.replace(", BPF_F_NUMA_NODE", ""));
    assert_eq!(world.machine.cpus, 256);
    assert_eq!(world.machine.tick, Some(true));
    assert_eq!(world.machine.nohz, Nohz::Full);
    assert!(!world.machine.high_res && !world.machine.timer_migration);
    let elem = &world.types[1];
    let names: Vec<(&str, u32)> =
        elem.fields.iter().map(|field| (field.name.as_str(), field.offset)).collect();
    assert_eq!(
        names[8..],
        [
            ("p", 32),
            ("k", 40),
            ("head.rcu", 48),
            ("head.lock", 64),
            ("list[0]", 72),
            ("list[1]", 76),
            ("list[2]", 80),
            ("list[3]", 84),
            ("timer", 128),
            ("work", 144),
        ]
    );
    let hash = &world.maps[0];
    assert_eq!((hash.key_size, hash.memcg), (8, Some(MemcgId(0))));
    let armed = ElemInit::Armed { after: Ns::fixed(1_000_000), callback: ProgId(0) };
    assert_eq!(hash.init, [(1, ElemInit::Present), (2, ElemInit::Initialised), (-3, armed)]);
    assert!(world.progs[1].sleepable && world.tasks[0].cap_bpf && !world.tasks[1].cap_bpf);
    assert_eq!(world.tasks[2].body.ops[0].kind, OpKind::Work(Ns::fixed(12_000)));
    assert_eq!(world.faults.len(), 4);
    assert_eq!(world.irqs, 1);
    assert_eq!(world.stop, Stop::Expiries(10_000));
    let [zero, three] = &world.cpu_events[..] else { panic!() };
    assert_eq!((zero.steps.len(), zero.sources.len()), (1, 11));
    assert!(matches!(zero.sources[3].what, Event::Step(_)));
    assert_eq!(three.sources[1].what, Event::CpuUp);
}

#[test]
fn kernels_are_looked_up() {
    let kernel = |choice: &str| {
        let source = scenario(choice);
        let scenario = load::parse(&source, &[]).unwrap();
        kernel_of(&scenario).map_err(|d| (d.code, source[d.primary.0.range()].to_string()))
    };
    assert_eq!(kernel(""), Ok(None));
    let plain = kernel("kernel: \"v6.7\"").unwrap().unwrap();
    assert_eq!(plain.to_string(), "v6.7");
    let changed = kernel(
        "kernel: Kernel(base: \"v6.7\", with: [\"0281b919e175\"], without: [\"init-uref-recheck\"])",
    );
    let changed = changed.unwrap().unwrap();
    assert!(changed.has(Fix::CancelFreeRcu) && !changed.has(Fix::InitUrefRecheck));
    assert_eq!(kernel("kernel: \"v4.19\""), Err(("E0114", "\"v4.19\"".into())));
    let unknown = kernel("kernel: Kernel(base: \"v6.7\", with: [\"0281b919e176\"])");
    assert_eq!(unknown, Err(("E0114", "\"0281b919e176\"".into())));
}

#[test]
fn what_a_world_cannot_say_is_said() {
    let maps = "maps: { \"t\": ARRAY(max_entries: 2), \"o\": ARRAY_OF_MAPS(max_entries: 1, inner: \"t\") },";
    let prog = |body: &str| {
        bad(&scenario(&format!("{maps} progs: {{ \"p\": (type: TIMER_CB, body: [{body}]) }},")))
    };
    let cancel = "let(\"m\", bpf_map_lookup_elem(\"o[0]\")), may_fail(bpf_timer_cancel(\"m[1]\"))";
    assert_eq!(prog(cancel), [("E0110", "m[1]".into())]);
    let itself = "may_fail(bpf_timer_cancel(\"o[self][1]\"))";
    assert_eq!(prog(itself)[0].0, "E0110");
    let stop = bad(&scenario("stop: time(\"1ms..2ms\")"));
    assert_eq!(stop, [("E0110", "\"1ms..2ms\"".into())]);
    let fix = bad(&scenario("expect: [ on(\"has nonsense\", never(ANY_BUG)) ]"));
    assert_eq!(fix[0].0, "E0114");
    let huge = bad(&scenario("types: { \"t\": [ array(\"a\", 100000, u8(\"x\")) ] }"));
    assert_eq!(huge[0].0, "E0115");
}

#[test]
fn inner_maps_exist_where_they_are_named() {
    let world = good(&scenario(
        r#"maps: {
            "t": HASH(max_entries: 2, init: { 7: initialised }),
            "o": HASH_OF_MAPS(max_entries: 4, inner: "t", init: { 5: present }),
        },
        tasks: { "a": (cpu: 0, body: [
            let("fd", bpf_map_create("o[1]")),
            bpf_map_update_elem("o[1]", BPF_ANY, "fd"),
            bpf_map_update_elem("o[2]", BPF_ANY, "o[3]"),
            bpf_map_update_elem("o[3][7]", BPF_ANY),
        ]) },"#,
    ));
    let names: Vec<&str> = world.maps.iter().map(|map| map.name.as_str()).collect();
    assert_eq!(names, ["t", "o", "o[1]", "o[2]", "o[3]", "o[5]"]);
    // The first is created by the task, the second only comes by the update.
    assert_eq!(world.maps[1].slots, [(3, MapId(4)), (5, MapId(5))]);
    // What the template says about elements is meant for the maps made after it.
    assert!(world.maps[0].init.is_empty());
    assert_eq!(world.maps[4].init, [(7, ElemInit::Initialised)]);
    let elem = ElemRef { map: MapRef::Map(MapId(4)), key: KeyRef::Int(7) };
    let call = Call::MapUpdate { elem, flag: UpdateFlag::Any, value: None };
    let kind = OpKind::Call { call, returns: Returns::Success, bind: None };
    assert_eq!(world.tasks[0].body.ops[3].kind, kind);
}

#[test]
fn pointers_are_followed_through_variables() {
    let source = scenario(
        r#"types: { "a": [ u64("x"), u64("n") ], "b": [ u64("n"), ptr("x") ] },
        vars: { "slot": ptr(NULL), "other": ptr(NULL) },
        tasks: {
            "reader": (cpu: 0, body: [
                read("p", "slot"),
                if("p != NULL", [ read("r", "p->n") ]),
            ]),
            "writer": (cpu: 1, body: [ alloc("q", "a"), write("slot", "q") ]),
            "loops": (cpu: 1, body: [
                read("s", "other"),
                repeat(2, [ read("w", "s->n"), write("other", "t"), alloc("t", "b"), read("s", "other") ]),
            ]),
        },"#,
    );
    // The reader comes before the writer in the file, and what the loop reads is set at its end.
    let source = source
        .replace("read(\"s\", \"other\"),\n", "alloc(\"t\", \"b\"), read(\"s\", \"other\"),\n");
    let world = good(&source);
    let OpKind::If { then, .. } = &world.tasks[0].body.ops[1].kind else { panic!() };
    let from = Place::Member(LocalId(0), FieldIx(1));
    assert_eq!(then[0].kind, OpKind::Read { order: Order::Once, into: LocalId(1), from });
    let OpKind::Repeat { times: 2, body } = &world.tasks[2].body.ops[2].kind else { panic!() };
    let OpKind::Read { from: Place::Member(_, field), .. } = body[0].kind else { panic!() };
    assert_eq!(field, FieldIx(0));
    // Different types in one variable: the member has no place.
    let both = source.replace(
        "alloc(\"q\", \"a\"),",
        "alloc(\"q\", \"a\"), alloc(\"z\", \"b\"), write(\"slot\", \"z\"),",
    );
    assert_eq!(bad(&both), [("E0207", "p->n".to_string())]);
}
