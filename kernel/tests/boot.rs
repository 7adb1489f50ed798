//! What cannot be booted says so.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use timerace_kernel::world::*;
use timerace_kernel::{BootError, World, boot};

fn refusal(w: &World) -> String {
    boot(w, false).expect_err("it is refused").to_string()
}

#[test]
fn what_is_not_modelled_is_refused_with_its_place() {
    let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
    w.lines = vec![At { line: 7, col: 3 }];
    task(&mut w, "t", 0, vec![op(OpKind::Suspend(Ns::fixed(1)))]);
    w.tasks[0].body.ops[0].text = "suspend(..)".into();
    let error = boot(&w, false).unwrap_err();
    assert!(matches!(error, BootError::Unsupported { at: At { line: 7, col: 3 }, .. }));
    assert_eq!(error.to_string(), "`suspend(..)` here is not modelled yet");
}

#[test]
fn machines_that_are_not_modelled() {
    let with = |f: fn(&mut World)| {
        let mut w = world(kernel("v6.9"), 1, MapKind::Array, 1);
        f(&mut w);
        refusal(&w)
    };
    let rt = |w: &mut World| {
        w.machine.preempt = Preempt::Rt;
        let packet = Event::Softirq("NET_RX".into(), Work::Takes(Ns::fixed(1)));
        let source = Source { when: When::Anytime, what: packet, at: LineId(0) };
        w.cpu_events.push(CpuEvents { cpu: 0, sources: vec![source], ..CpuEvents::default() });
    };
    assert!(with(rt).contains("this softirq on PREEMPT_RT"));
    assert!(with(|w| w.machine.high_res = false).contains("high_res"));
    let trie = |w: &mut World| {
        w.maps[0].kind = MapKind::LpmTrie;
        w.types[0].fields.remove(0);
    };
    assert!(with(trie).contains("map type"));
    assert!(with(|w| w.maps[0].kind = MapKind::LpmTrie).contains("-EOPNOTSUPP"));
}

#[test]
fn a_program_that_the_verifier_refuses() {
    let load = |k: &str, kind| {
        let mut w = world(kernel(k), 1, MapKind::Array, 1);
        let p = ProgId(prog(&mut w, "p", kind, vec![any(cancel(0))]) as u32);
        assert_eq!(boot(&w, false).is_err(), k != "v5.15" && kind == ProgKind::Kprobe);
        let codes = if k == "v5.15" || kind != ProgKind::Kprobe { 0..=9 } else { -22..=-22 };
        let codes: Vec<i64> = codes.collect();
        task(&mut w, "t", 0, vec![ret(&codes, Call::ProgLoad(p))]);
        assert_eq!(findings(&w), none(), "{k}");
    };
    for k in ["v5.15", "v5.16", "v6.9"] {
        load(k, ProgKind::Kprobe);
        load(k, ProgKind::Syscall);
    }
}
