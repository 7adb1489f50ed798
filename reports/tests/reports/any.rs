//! Records of any shape: what a report promises holds for all of them, and none makes it panic.

use proptest::prelude::*;
use timerace_core::detect::CLASSES;
use timerace_core::policy::Ended;
use timerace_core::record::{Call, Edge, FindingRecord, Record, Side, StepRecord, Touch, Wait};
use timerace_core::schedule::Schedule;
use timerace_core::{CpuId, CtxId, CtxKind, CtxSpec, Nanos, Obj};
use timerace_reports::happens_before_svg::happens_before_svg;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::race_svg::race_svg;
use timerace_reports::race_text::{WIDTH, race_text};
use timerace_reports::schedule_ron::{self, SavedSchedule};
use timerace_reports::theme::Theme;
use timerace_reports::{json, origin::Origin, splat::splat, steps::steps_table};

const KINDS: [CtxKind; 6] = [
    CtxKind::Task,
    CtxKind::Kworker,
    CtxKind::Softirq,
    CtxKind::Hardirq,
    CtxKind::Nmi,
    CtxKind::Helper,
];
const TEXTS: [&str; 12] = [
    "spin_lock(&timer->lock)",
    "spin_unlock(&timer->lock)",
    "t = timer->timer",
    "timer->timer = NULL",
    "rcu_read_lock()",
    "rcu_read_unlock()",
    "kfree(t)",
    "",
    "\u{b5}s \u{2192} \u{1f600}\t(",
    "a_function_with_a_very_long_name_that_no_column_can_hold(and, its, arguments, are, longer)",
    "<HRTIMER softirq>",
    "x = ",
];
const VALUES: [&str; 6] = ["free", "NULL", "1", "obj #1", "alive", "FREED"];

fn pick<T: Copy + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = T> {
    (0..of.len()).prop_map(move |i| of[i])
}

fn contexts() -> impl Strategy<Value = Vec<CtxSpec>> {
    let one = (pick(&KINDS), 0u16..6, pick(&["cancel", "HRTIMER softirq", "\u{fc}", ""]));
    let spec = |(kind, cpu, name): (CtxKind, u16, &str)| CtxSpec {
        name: name.to_string(),
        token: format!("t{cpu}"),
        cpu: (kind != CtxKind::Helper).then_some(CpuId(cpu)),
        kind,
        daemon: false,
    };
    prop::collection::vec(one.prop_map(spec), 0..6)
}

fn touch() -> impl Strategy<Value = Touch> {
    let parts = (0u32..4, any::<bool>(), any::<bool>(), pick(&VALUES), pick(&VALUES));
    parts.prop_map(|(obj, write, internal, before, after)| Touch {
        obj: Obj(obj),
        name: ["timer->lock", "obj #1", "obj #1.state", "slot"][obj as usize].to_string(),
        write,
        internal,
        before: before.to_string(),
        after: after.to_string(),
    })
}

fn call() -> impl Strategy<Value = Call> {
    let names = &[
        "bpf_timer_cancel",
        "kfree",
        "a_name_of_a_function_that_does_not_end_before_it_has_to",
        "cb x",
    ];
    (pick(names), 0u32..5, any::<bool>(), any::<bool>()).prop_map(|(name, id, leaf, body)| Call {
        name: name.to_string(),
        arg: format!("timers[{id}]"),
        id,
        leaf,
        body,
    })
}

fn step() -> impl Strategy<Value = StepRecord> {
    let edges = prop::collection::vec((0u32..50, any::<bool>()), 0..3);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2), 0u64..100_000);
    let lists = (prop::collection::vec(call(), 0..5), prop::collection::vec(touch(), 0..3), edges);
    (0u16..7, pick(&TEXTS), flags, lists).prop_map(|(ctx, text, flags, (stack, touches, edges))| {
        let (quiet, entry, at) = flags;
        let edge =
            |(from, over): (u32, bool)| Edge { from, over: over.then(|| "slot".to_string()) };
        StepRecord {
            no: 0,
            ctx: CtxId(ctx),
            at: Nanos(at),
            took: 700,
            text: text.to_string(),
            quiet,
            entry,
            stack,
            touches,
            after: edges.into_iter().map(edge).collect(),
            line: Some(7),
            alt: 1,
            ret: None,
        }
    })
}

fn side() -> impl Strategy<Value = Side> {
    (0u32..50, 0u16..7, pick(&TEXTS)).prop_map(|(step, ctx, text)| Side {
        step,
        ctx: CtxId(ctx),
        func: "bpf_timer_cancel".to_string(),
        text: text.to_string(),
    })
}

fn finding() -> impl Strategy<Value = FindingRecord> {
    let wait =
        (0u16..7, 0u16..7, any::<bool>(), pick(&TEXTS)).prop_map(|(a, b, through_cpu, text)| {
            Wait {
                waiter: CtxId(a),
                holder: CtxId(b),
                nested: false,
                body: None,
                func: "hrtimer_cancel".to_string(),
                text: text.to_string(),
                through_cpu,
                over: "L".to_string(),
            }
        });
    let sides = (side(), prop::option::of(side()), prop::option::of(side()));
    let object = prop::option::of(pick(&["obj #1", "slot", ""]));
    (pick(&CLASSES), sides, object, prop::collection::vec(wait, 0..4)).prop_map(
        |(class, (at, other, born), object, waits)| FindingRecord {
            class,
            functions: ["a".to_string(), "b".to_string()],
            at,
            other,
            born,
            object: object.map(str::to_string),
            waits,
            locks: Vec::new(),
        },
    )
}

prop_compose! {
    fn record()(
        contexts in contexts(),
        mut steps in prop::collection::vec(step(), 0..60),
        mut findings in prop::collection::vec(finding(), 0..3),
        hit in any::<bool>(),
    ) -> Record {
        for (i, s) in steps.iter_mut().enumerate() {
            s.no = i as u32 + 1;
        }
        // Half of the findings are at steps that exist.
        for f in findings.iter_mut().filter(|_| hit) {
            if let Some(s) = steps.get(f.at.step as usize) {
                f.at = Side { step: s.no, ctx: s.ctx, func: f.at.func.clone(), text: s.text.clone() };
            }
        }
        Record {
            contexts, steps, findings, marks: Vec::new(), schedule: Schedule::default(),
            text: "1x4,2!tick".to_string(), switches: 1, preemptions: 0, interrupts: 2,
            ended: Ended::Complete, state: 0, passing: None, times: None,
        }
    }
}

fn origin() -> Origin {
    Origin { file: "x.ron".to_string(), kernel: "v6.7".to_string(), ..Origin::default() }
}

proptest! {
    #[test]
    fn no_line_is_too_long_and_every_byte_is_ascii(rec in record(), width in 0usize..120) {
        for detail in [Detail::Chosen, Detail::Steps, Detail::Full] {
            for finding in [None, Some(0), Some(1)] {
                let il = interleaving(&rec, finding, detail);
                for (width, most) in [(WIDTH, WIDTH), (width, width.max(24))] {
                    let text = race_text(&il, width);
                    prop_assert!(text.is_ascii());
                    for line in text.lines() {
                        prop_assert!(line.len() <= most, "{} > {most}: {line}", line.len());
                        prop_assert!(!line.ends_with(' ') && !line.contains('\t'));
                    }
                }
            }
        }
    }

    #[test]
    fn every_report_of_every_record(rec in record(), until in prop::option::of(0u32..70)) {
        for finding in 0..3 {
            let text = splat(&rec, finding, &origin());
            prop_assert_eq!(text.is_empty(), finding >= rec.findings.len());
        }
        for full in [false, true] {
            prop_assert!(steps_table(&rec, until, full).starts_with("step"));
        }
        for finding in [None, Some(0), Some(1)] {
            let drawn = race_svg(&rec, finding, &origin(), Theme::Dark);
            crate::svg::check("any record", &drawn);
        }
        crate::shiviz::check(&rec);
        if let Some(drawn) = happens_before_svg(&rec, 0, &origin(), Theme::Light) {
            crate::svg::check("any order", &drawn);
        }
        prop_assert!(json::replay(&rec, &origin(), "v6.7", until).is_object());
        let saved = SavedSchedule::of(&rec, "x", "v6.7");
        prop_assert_eq!(schedule_ron::read(&saved.write()), Ok(saved));
    }

    #[test]
    fn a_picture_without_choice_shows_every_step(rec in record()) {
        let il = interleaving(&rec, None, Detail::Full);
        let shown = il.rows.iter().filter(|r| {
            use timerace_reports::interleaving::RowKind;
            matches!(r.kind, RowKind::Step(_) | RowKind::Entry(Some(_)))
        });
        prop_assert_eq!(shown.count(), rec.steps.len());
        prop_assert_eq!(il.left_out, 0);
    }
}
