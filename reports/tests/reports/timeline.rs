//! What runs where when.

use crate::build::{self, T};
use crate::{golden, svg};
use timerace_core::record::Record;
use timerace_core::result::Expiry;
use timerace_core::{CpuId, CtxKind, Nanos};
use timerace_reports::estimate::span;
use timerace_reports::origin::Origin;
use timerace_reports::page::{Page, TimedParts, report_html};
use timerace_reports::pftrace::pftrace;
use timerace_reports::slices::{Level, Slice, slices};
use timerace_reports::theme::Theme;
use timerace_reports::timeline_svg::{TimelinePlot, timeline_svg};

/// A task arms a timer, is interrupted, and spins for its callback on another CPU, which comes late; then nothing for long.
fn run() -> (Record, Vec<Expiry>) {
    let mut b = build::Build::new();
    let (task, canceller) = (b.task("prog", 0), b.task("cancel", 1));
    let irq = b.ctx("hrtimer interrupt", "timer-irq", Some(0), CtxKind::Hardirq);
    let rx = b.ctx("NET_RX softirq", "net-rx", Some(0), CtxKind::Softirq);
    let soft = b.ctx("HRTIMER softirq", "timer", Some(0), CtxKind::Softirq);
    b.timed();
    b.enter(task, "bpf_timer_start", "timers[0]");
    let at = |b: &mut build::Build, ctx, text: &str, from: u64, took: u64, entry: bool| {
        b.step(ctx, text, &[T::R("x")]);
        let s = b.rec.steps.last_mut().unwrap();
        (s.at, s.took, s.entry) = (Nanos(from), took, entry);
    };
    at(&mut b, task, "hrtimer_start(&t->timer, expires)", 5_000, 2_000, false);
    at(&mut b, task, "work()", 7_000, 10_000, false);
    at(&mut b, irq, "raise_softirq_irqoff(HRTIMER_SOFTIRQ)", 15_000, 1_000, true);
    at(&mut b, rx, "<NET_RX softirq>", 16_000, 12_000, true);
    at(&mut b, soft, "base->running = timer", 28_000, 500, true);
    b.enter(soft, "bpf_timer_cb", "timers[0]");
    b.body(soft, "cb");
    at(&mut b, soft, "work()", 28_500, 6_000, false);
    b.leave(soft);
    b.leave(soft);
    b.enter(canceller, "bpf_timer_cancel", "timers[0]");
    at(&mut b, canceller, "hrtimer_try_to_cancel(&t->timer)", 30_000, 500, false);
    at(&mut b, soft, "base->running = NULL", 34_500, 300, false);
    at(&mut b, canceller, "while (base->running == timer)", 34_800, 200, false);
    at(&mut b, task, "return", 36_300, 400, false);
    at(&mut b, canceller, "return", 934_000, 5_000, false);
    let expiry = Expiry {
        timer: 0,
        cpu: CpuId(0),
        armed: Nanos(5_000),
        abs: false,
        programmed: Nanos(15_000),
        irq: Some(Nanos(15_000)),
        softirq: Nanos(28_000),
        taken: Nanos(28_000),
        callback: Nanos(28_500),
        exit: Nanos(34_500),
    };
    (b.done("", [0, 0, 0]), vec![expiry])
}

fn of(all: &[Slice], cpu: u16, level: Level) -> Vec<(u64, u64, &str)> {
    let here = all.iter().filter(|s| s.cpu == CpuId(cpu) && s.level == level);
    here.map(|s| (s.from, s.to, if s.spins { "spins" } else { s.name.as_str() })).collect()
}

#[test]
fn an_interrupted_task_goes_on_and_a_waiting_one_spins() {
    let all = slices(&run().0);
    let task = of(&all, 0, Level::Task);
    let f = "bpf_timer_start";
    assert_eq!(task, [(5_000, 15_000, f), (34_800, 36_700, f)]);
    assert_eq!(of(&all, 0, Level::Hardirq), [(15_000, 16_000, "hrtimer interrupt")]);
    let soft = of(&all, 0, Level::Softirq);
    let expected = [
        (16_000, 28_000, "NET_RX"),
        (28_000, 28_500, "HRTIMER"),
        (28_500, 34_500, "cb"),
        (34_500, 34_800, "HRTIMER"),
    ];
    assert_eq!(soft, expected);
    let cancel = of(&all, 1, Level::Task);
    assert_eq!(cancel[1], (30_500, 34_800, "spins"));
    assert!(all.iter().all(|s| s.callback == (s.name == "cb")));
}

#[test]
fn stretches_of_a_cpu_do_not_overlap() {
    for rec in [run().0, build::cancel_free_uaf(true)] {
        let all = slices(&rec);
        for (i, a) in all.iter().enumerate() {
            let others = all[i + 1..].iter().filter(|b| b.cpu == a.cpu);
            assert!(others.clone().all(|b| b.from >= a.to || b.to <= a.from), "{a:?}");
        }
    }
}

#[test]
fn the_picture_cuts_idle_time_and_says_how_late() {
    let (rec, expiries) = run();
    let plot = TimelinePlot {
        title: "The latest callback: timers[0], 13.5 \u{b5}s late".to_string(),
        about: "spin on kernel v6.7, seed 1. Simulated cost model, not measured hardware."
            .to_string(),
        command: "timerace run spin.ron --kernel v6.7 --seed 1".to_string(),
    };
    let drawn = timeline_svg(&rec, &expiries, &plot, Theme::Light).unwrap();
    svg::check("timeline", &drawn);
    golden::check("timeline.svg", &drawn);
    for part in
        [">13.5 \u{b5}s late<", ">+10.0 \u{b5}s<", ">spins<", ">NET_RX<", "idle time cut out"]
    {
        assert!(drawn.contains(part), "{part}");
    }
    svg::check("dark", &timeline_svg(&rec, &expiries, &plot, Theme::Dark).unwrap());
    assert_eq!(timeline_svg(&build::three_cpus(), &[], &plot, Theme::Light), None);
}

/// The fields of a message: number, and a number or bytes.
fn fields(mut b: &[u8]) -> Vec<(u64, Result<u64, &[u8]>)> {
    fn varint(b: &mut &[u8]) -> u64 {
        let n = b.iter().position(|x| x & 0x80 == 0).unwrap() + 1;
        let v = b[..n].iter().rev().fold(0, |v, x| v << 7 | u64::from(x & 0x7f));
        *b = &b[n..];
        v
    }
    let mut out = Vec::new();
    while !b.is_empty() {
        let key = varint(&mut b);
        let value = match key & 7 {
            0 => Ok(varint(&mut b)),
            1 => {
                let (v, rest) = b.split_at(8);
                b = rest;
                Ok(u64::from_le_bytes(v.try_into().unwrap()))
            }
            2 => {
                let n = varint(&mut b) as usize;
                let (v, rest) = b.split_at(n);
                b = rest;
                Err(v)
            }
            other => panic!("wire type {other}"),
        };
        out.push((key >> 3, value));
    }
    out
}

#[test]
fn slices_of_the_trace_nest_and_flows_lead_to_callbacks() {
    let (rec, expiries) = run();
    let bytes = pftrace(&rec, &expiries);
    assert_eq!(bytes, pftrace(&rec, &expiries));
    let (mut tracks, mut open, mut last) = (Vec::new(), std::collections::BTreeMap::new(), 0);
    let (mut flows, mut begun) = (Vec::new(), 0);
    for (field, packet) in fields(&bytes) {
        let packet = fields(packet.unwrap_err());
        let get =
            |m: &[(u64, Result<u64, &[u8]>)], n| m.iter().find(|f| f.0 == n).map(|f| f.1.unwrap());
        assert_eq!((field, get(&packet, 10)), (1, Some(1)));
        if let Some((_, d)) = packet.iter().find(|f| f.0 == 60) {
            tracks.push(get(&fields(d.unwrap_err()), 1).unwrap());
            continue;
        }
        let at = get(&packet, 8).unwrap();
        assert!(at >= last, "time goes on");
        last = at;
        let event = fields(packet.iter().find(|f| f.0 == 11).unwrap().1.unwrap_err());
        let track = get(&event, 11).unwrap();
        assert!(tracks.contains(&track), "{track} was described before");
        let depth: &mut i32 = open.entry(track).or_default();
        match get(&event, 9) {
            Some(1) => *depth += 1,
            Some(2) => *depth -= 1,
            other => panic!("{other:?}"),
        }
        assert!((0..=1).contains(depth), "slices of a level touch, they do not overlap");
        begun += usize::from(get(&event, 9) == Some(1));
        let name = event.iter().find(|f| f.0 == 23).map(|f| f.1.unwrap_err().to_vec());
        for f in event.iter().filter(|f| matches!(f.0, 47 | 48)) {
            flows.push((f.0, f.1.unwrap(), String::from_utf8(name.clone().unwrap()).unwrap()));
        }
    }
    assert!(open.values().all(|d| *d == 0));
    assert_eq!(begun, slices(&rec).len());
    let lead = [(47, 1, "bpf_timer_start".to_string()), (48, 1, "cb".to_string())];
    assert_eq!(flows, lead);
}

#[test]
fn the_page_of_a_timed_run_has_its_pictures_and_its_command() {
    let (rec, expiries) = run();
    let plot = TimelinePlot { title: "t".into(), about: "a".into(), command: "c".into() };
    let timed = TimedParts {
        title: "How late".into(),
        about: "seed 1".into(),
        command: "timerace run x.ron --seed 1".into(),
        timeline: timeline_svg(&rec, &expiries, &plot, Theme::Page),
        latency: Some(["<svg class=\"l\"/>".into(), "<svg class=\"d\"/>".into()]),
    };
    let page = Page { timed: Some(timed), ..Page::default() };
    let html = report_html(&rec, None, &Origin::default(), &page);
    for part in [
        "<h1>How late</h1>",
        "<pre>timerace run x.ron --seed 1</pre>",
        "<figure class=\"light-only\"><svg class=\"l\"/>",
        "<figure class=\"dark-only\"><svg class=\"d\"/>",
        "fill=\"var(--callback)\"",
        "<g data-step=\"1\">",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("timerace replay"));
}

#[test]
fn a_race_is_numbered_in_its_window() {
    let rec = build::cancel_free_uaf(true);
    let plot = TimelinePlot {
        title: "BUG: use-after-free in bpf_timer_cancel / bpf_timer_cancel_and_free".to_string(),
        about: "cancel-vs-delete on kernel v6.7, seed 7.".to_string(),
        command: "timerace run cancel-vs-delete.ron --kernel v6.7 --seed 7".to_string(),
    };
    for theme in [Theme::Light, Theme::Dark] {
        let drawn = timeline_svg(&rec, &[], &plot, theme).unwrap();
        svg::check("timeline with a race", &drawn);
        // Where the lock is dropped, the free, the use: each with its line.
        for text in
            ["spin_unlock(&amp;timer-&gt;lock)", "kfree(t)", "hrtimer_cancel(&amp;t-&gt;timer)"]
        {
            assert!(drawn.contains(&format!(">{text}</text>")), "{text}");
        }
        for no in 1..=3 {
            assert!(drawn.contains(&format!(">{no}</text>")), "{no}");
        }
        let used = rec.findings[0].at.step as usize;
        let from = rec.steps.iter().find(|s| s.text.contains("spin_unlock")).unwrap().at;
        let words = format!("race window {}", span(rec.steps[used - 1].at.since(from)));
        let words = words.replace(" us", " \u{b5}s");
        assert!(drawn.contains(&words) && drawn.contains("not ordered"), "{words}");
    }
    golden::check("timeline-race.svg", &timeline_svg(&rec, &[], &plot, Theme::Light).unwrap());
    let (from, to) = timerace_reports::race_marks::around_race(&rec).unwrap();
    let at = rec.steps[rec.findings[0].at.step as usize - 1].at.0;
    assert!(from < at && at < to);
    assert_eq!(timerace_reports::race_marks::around_race(&run().0), None);
}
