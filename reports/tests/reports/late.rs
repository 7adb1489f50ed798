//! Latency: statistics, the terminal's histogram, rtla's shape, CSV and the picture.

use crate::golden;
use std::collections::BTreeMap;
use timerace_core::result::Expiry;
use timerace_core::{CpuId, Nanos};
use timerace_reports::hdr_log::hdr_log;
use timerace_reports::latency::{Histogram, Latencies, LatencyRecorder};
use timerace_reports::latency_csv::{HEADER, LatencyCsv, TimerName};
use timerace_reports::latency_svg::{LatencyPlot, Limit, Series, latency_svg};
use timerace_reports::theme::Theme;

/// Numbers that look like delays: most near 1.4 us, and `busy` in a thousand late behind something else.
fn delays(seed: u64, n: usize, busy: u64) -> Vec<u64> {
    let mut x = seed;
    let mut next = move || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 33) % 1000
    };
    (0..n)
        .map(|_| {
            let base = 850 + (0..4).map(|_| next() * next() / 1600).sum::<u64>();
            let tail = if next() < busy { next() * next() / 60 * (1 + next() / 500) } else { 0 };
            base + tail
        })
        .collect()
}

fn histogram(values: &[u64]) -> Histogram {
    let mut h = Histogram::default();
    values.iter().for_each(|v| h.record(*v));
    h
}

fn expiry(timer: u32, cpu: u16, late: u64, irq: bool) -> Expiry {
    let programmed = Nanos(100_000);
    let at = programmed.plus(late);
    Expiry {
        timer,
        cpu: CpuId(cpu),
        armed: Nanos(50),
        abs: false,
        programmed,
        irq: irq.then(|| programmed.plus(late / 2)),
        taken: at,
        softirq: at,
        callback: at,
        exit: at.plus(700),
    }
}

#[test]
fn percentiles_are_those_of_the_sorted_samples() {
    for (seed, n) in [(1, 1), (2, 2), (3, 99), (4, 1000), (5, 20_011)] {
        let mut values = delays(seed, n, 90);
        values.extend([u64::from(u32::MAX) * seed, 0]);
        let h = histogram(&values);
        values.sort_unstable();
        for (of, out_of) in [(0, 1), (50, 100), (90, 100), (99, 100), (999, 1000), (1, 1)] {
            let rank = (values.len() as u64 * of).div_ceil(out_of).max(1);
            let exact = values[rank as usize - 1];
            let got = h.percentile_ns(of, out_of);
            assert!(
                got >= exact && got - exact <= exact / 1000,
                "{of}/{out_of}: {got} for {exact}"
            );
        }
        assert_eq!((h.min_ns(), h.max_ns()), (values[0], values[values.len() - 1]));
        let sum: u128 = values.iter().map(|v| u128::from(*v)).sum();
        assert_eq!(u128::from(h.mean_ns()), sum / values.len() as u128);
    }
}

#[test]
fn buckets_tile_the_numbers() {
    for ns in [0, 1, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 123_456_789, u64::MAX - 1, u64::MAX]
    {
        let h = histogram(&[ns]);
        let (low, high, n) = h.buckets().next().unwrap();
        assert!(low <= ns && ns <= high && n == 1, "{ns} in {low}..={high}");
        assert!(high - low <= low / 1000, "{ns}: {low}..={high}");
        assert_eq!(h.summary().p99_ns, ns);
    }
}

#[test]
fn merging_is_the_histogram_of_all() {
    let (a, b) = (delays(7, 500, 10), delays(8, 900, 200));
    let mut merged = histogram(&a);
    merged.merge(&histogram(&b));
    let mut other = histogram(&b);
    other.merge(&histogram(&a));
    assert_eq!(merged, histogram(&[a, b].concat()));
    assert_eq!(merged, other);
}

#[test]
fn no_samples_are_no_trouble() {
    let h = Histogram::default();
    assert_eq!((h.summary().max_ns, h.mean_ns(), h.min_ns()), (0, 0, 0));
    assert!(h.terminal().contains("p99.9 0.0"));
    assert!(Latencies::default().hist_txt().contains("count:"));
    assert!(latency_svg(&plot(&[], &[]), Theme::Light).unwrap().contains("no expiries"));
    assert!(
        latency_svg(&plot(&[("idle", &h)], &[]), Theme::Light).unwrap().contains("no expiries")
    );
}

#[test]
fn texts_of_a_run() {
    golden::check("latency.txt", &histogram(&delays(42, 10_000, 30)).terminal());
    let mut l = LatencyRecorder::default();
    for (i, late) in delays(42, 2000, 30).into_iter().enumerate() {
        l.record(&expiry(i as u32 % 3, i as u16 % 2, late, true));
    }
    l.record(&expiry(0, 1, 2_000_000, true));
    let l = l.finish();
    golden::check("hist.txt", &l.hist_txt());
    let names = ["timers[0]".to_string(), "timers[1]".to_string()];
    let summaries = l.summaries(&names);
    let keys: Vec<&str> = summaries.keys().map(String::as_str).collect();
    assert_eq!(keys, ["timer 2", "timers[0]", "timers[1]"]);
    assert_eq!(summaries.values().map(|s| s.count).sum::<u64>(), l.overall().count());
    // The samples of another run, in which these timers expired in another order.
    let other = ["timers[1]".to_string(), "timers[0]".to_string()];
    let mut both = BTreeMap::new();
    l.add_to(&mut both, &names);
    l.add_to(&mut both, &other);
    let count = |of: &str| summaries[of].count;
    assert_eq!(both["timers[0]"].count(), count("timers[0]") + count("timers[1]"));
    assert_eq!(both["timer 2"].count(), 2 * count("timer 2"));
}

#[test]
fn the_log_of_hdrhistogram_is_read_back_and_merges() {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let runs: Vec<Latencies> = (1..3u64)
        .map(|seed| {
            let mut l = LatencyRecorder::default();
            for (i, late) in delays(seed, 3_000, 30).into_iter().enumerate() {
                l.record(&expiry(0, i as u16 % 2, late, true));
            }
            l.finish()
        })
        .collect();
    let mut ours = Histogram::default();
    let mut theirs: BTreeMap<Option<String>, hdrhistogram::Histogram<u64>> = BTreeMap::new();
    for l in &runs {
        ours.merge(l.overall());
        let log = hdr_log(l, 1_500_000_000).unwrap();
        assert_eq!(log, hdr_log(l, 1_500_000_000).unwrap());
        assert!(String::from_utf8_lossy(&log).starts_with("#timerace: lateness"));
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(i) = entry.unwrap() else { continue };
            assert_eq!(i.duration().as_millis(), 1_500);
            let bytes = base64_of(i.encoded_histogram());
            let h = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            let tag = i.tag().map(|t| t.as_str().to_string());
            let all = theirs.entry(tag).or_insert(hdrhistogram::Histogram::new(3).unwrap());
            all.add(h).unwrap();
        }
    }
    let tags: Vec<Option<&str>> = theirs.keys().map(Option::as_deref).collect();
    assert_eq!(tags, [None, Some("CPU-000"), Some("CPU-001")]);
    let all = &theirs[&None];
    assert_eq!(all.len(), ours.count());
    for (share, ns) in [(0.5, ours.percentile_ns(50, 100)), (0.99, ours.percentile_ns(99, 100))] {
        let is = all.value_at_quantile(share) as f64;
        assert!((is / ns as f64 - 1.0).abs() < 0.003, "{share}: {is}, not {ns}");
    }
    assert!((all.max() as f64 / ours.max_ns() as f64 - 1.0).abs() < 0.002);
}

/// The bytes of a text in base64.
fn base64_of(text: &str) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => u32::from(b - b'A'),
        b'a'..=b'z' => u32::from(b - b'a') + 26,
        b'0'..=b'9' => u32::from(b - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let plain: Vec<u8> = text.bytes().filter(|b| *b != b'=').collect();
    let four = |c: &[u8]| {
        let bits = c.iter().fold(0, |n, b| n << 6 | digit(*b)) << (6 * (4 - c.len()));
        bits.to_be_bytes()[1..c.len()].to_vec()
    };
    plain.chunks(4).flat_map(four).collect()
}

#[test]
fn csv_is_read_back() {
    let name = TimerName { map: "timers".to_string(), key: "7, \"x\"".to_string() };
    let mut csv = LatencyCsv::new(Vec::new()).unwrap();
    csv.row(&expiry(0, 1, 900, true), &name, "NET_RX").unwrap();
    csv.row(&expiry(5, 0, 0, false), &TimerName::of("5"), "").unwrap();
    let bytes = csv.finish().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(!text.contains('\r') && text.ends_with('\n'));
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), HEADER.as_slice());
    let rows: Vec<Vec<String>> =
        reader.records().map(|r| r.unwrap().iter().map(str::to_string).collect()).collect();
    let first = ["1", "timers", "7, \"x\"", "1", "50", "100000", "100450", "100900", "100900"];
    assert_eq!(rows[0][..9], first);
    assert_eq!(rows[0][9..], ["101600", "900", "NET_RX"]);
    assert_eq!(rows[1][..7], ["2", "5", "", "0", "50", "100000", ""]);
    assert_eq!(rows[1][11], "");
}

fn limit(of: &str, share: Option<(u64, u64)>, ns: u64) -> Limit {
    Limit { of: of.to_string(), share, ns }
}

fn plot<'a>(series: &[(&str, &'a Histogram)], limits: &[Limit]) -> LatencyPlot<'a> {
    LatencyPlot {
        title: String::new(),
        about: "One bpf_timer, 100 \u{b5}s period, 4 CPUs".to_string(),
        kernel: "v6.12".to_string(),
        seed: 42,
        command: "timerace run periodic.ron --kernel v6.12 --seed 42 --plot latency".to_string(),
        series: series.iter().map(|(n, h)| Series { name: (*n).to_string(), samples: h }).collect(),
        limits: limits.to_vec(),
    }
}

#[test]
fn pictures() {
    let (idle, busy) = (histogram(&delays(1, 100_000, 2)), histogram(&delays(2, 100_000, 60)));
    let two = plot(
        &[("idle machine", &idle), ("NET_RX busy", &busy)],
        &[limit("", Some((999, 1000)), 15_000)],
    );
    golden::check("latency.svg", &latency_svg(&two, Theme::Light).unwrap());
    let dark = latency_svg(&two, Theme::Dark).unwrap();
    golden::check("latency-dark.svg", &dark);
    assert!(dark.to_lowercase().contains("#0f1318") && !dark.to_lowercase().contains("#ffffff"));
    let limits = [limit("timers", None, 60_000), limit("timers[0]", Some((99, 100)), 20_000)];
    let one = histogram(&delays(3, 5000, 30));
    let drawn = latency_svg(&plot(&[("timers[0]", &one)], &limits), Theme::Light).unwrap();
    golden::check("latency-one.svg", &drawn);
    let all: Vec<Histogram> = (0..8).map(|i| histogram(&delays(i, 2000, 10 * i))).collect();
    let names: Vec<String> = (0..8).map(|i| format!("timers[{i}]")).collect();
    let series: Vec<(&str, &Histogram)> = names.iter().map(String::as_str).zip(&all).collect();
    let limits = [limit("timers", Some((99, 100)), 20_000)];
    let drawn = latency_svg(&plot(&series, &limits), Theme::Light).unwrap();
    golden::check("latency-many.svg", &drawn);
    assert!(drawn.contains("timers[7]"), "each series has a plot of its own");
    let drawn = latency_svg(&plot(&series[..6], &limits), Theme::Light).unwrap();
    golden::check("latency-six.svg", &drawn);
}

#[test]
fn limits_are_drawn_for_the_timers_that_they_are_about() {
    let (quick, slow) = (histogram(&[1000; 2000]), histogram(&[90_000; 2000]));
    let series = [("a[0]", &quick), ("ab[0]", &slow)];
    let says = |of| {
        latency_svg(&plot(&series, &[limit(of, Some((99, 100)), 20_000)]), Theme::Light).unwrap()
    };
    assert!(says("a").contains("within every limit"), "`a` is not `ab`");
    assert!(says("ab").contains("ab[0]: p99 is 90.0 \u{b5}s, over the limit of 20 \u{b5}s"));
    assert!(says("a").contains("expect: p99 &lt;= 20 \u{b5}s"));
}

#[test]
fn every_text_is_inside_the_picture_and_every_number_is_one() {
    let far = histogram(&[0, 3, 5_000_000_000_000, u64::MAX / 4]);
    let one = histogram(&[1000]);
    let (idle, busy) = (histogram(&delays(1, 10, 2)), histogram(&delays(2, 100_000, 60)));
    let long = "a name that is much longer than there is room for at the right";
    let limits = [limit("", Some((999, 1000)), 15_000), limit("", None, 1)];
    let many: Vec<(&str, &Histogram)> =
        (0..40).map(|i| if i % 2 == 0 { ("far", &far) } else { (long, &busy) }).collect();
    for p in [
        plot(&[("far", &far)], &limits),
        plot(&[(long, &one), ("b", &one), ("c", &one), ("d", &one)], &[]),
        plot(&[("idle", &idle), (long, &busy)], &limits),
        plot(
            &[(long, &one), ("b", &busy), ("c", &idle), ("d", &far), ("e", &one), ("f", &one)],
            &limits,
        ),
        plot(&many, &limits),
        LatencyPlot { title: "t".repeat(500), command: "c".repeat(500), ..plot(&[], &[]) },
    ] {
        let svg = latency_svg(&p, Theme::Dark).unwrap();
        assert_eq!(svg, latency_svg(&p, Theme::Dark).unwrap());
        roxmltree::Document::parse(&svg).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        check_texts(&svg);
        check_numbers(&svg);
    }
}

/// Values near a limit, from well below to above it: their numbers stand beside its line, not on it.
#[test]
fn numbers_keep_clear_of_the_lines_of_limits() {
    let bug = Theme::Light.palette().bug.to_uppercase();
    for tenths in 4..=30 {
        let limit_ns = 15_000;
        let tail: Vec<u64> =
            (0..2_000).map(|i| if i % 50 == 0 { limit_ns * tenths / 10 } else { 2_000 }).collect();
        let h = histogram(&tail);
        let limits = [limit("", Some((999, 1000)), limit_ns), limit("", None, 2 * limit_ns)];
        let svg = latency_svg(&plot(&[("timers[0]", &h)], &limits), Theme::Light).unwrap();
        let red = |tag: &&str| attribute(tag, "stroke") == bug;
        let line = |tag: &str| -> f64 {
            attribute(tag, "points").split([' ', ',']).nth(1).unwrap().parse().unwrap()
        };
        let lines: Vec<f64> = svg.split("<polyline").skip(1).filter(red).map(line).collect();
        assert!(lines.len() > 20, "{}", lines.len());
        let mut numbers = 0;
        for part in svg.split("<text").skip(1) {
            let (tag, rest) = part.split_once('>').unwrap();
            let words = rest.split_once("</text>").unwrap().0.trim();
            let y: f64 = attribute(tag, "y").parse().unwrap();
            let x: f64 = attribute(tag, "x").parse().unwrap();
            // In the right plot; its units are eighths of a pixel.
            if words.parse::<f64>().is_err() || !(712.0 * 8.0..1130.0 * 8.0).contains(&x) {
                continue;
            }
            numbers += 1;
            let on = lines.iter().find(|l| (y - 9.0 * 8.0..y + 8.0).contains(l));
            assert!(on.is_none(), "{tenths}: {words} at {y} lies on the line at {on:?}");
        }
        assert!(numbers >= 2, "{numbers}");
    }
}

/// Of one plot and of small ones, with limits on all sides of each other: each text can be read.
#[test]
fn texts_of_limits_keep_clear_of_each_other() {
    let of = |seed| histogram(&delays(seed, 600, 30));
    let all: Vec<Histogram> = (0..8).map(of).collect();
    let names: Vec<String> = (0..8).map(|i| format!("timers[{i}]")).collect();
    let series: Vec<(&str, &Histogram)> = names.iter().map(String::as_str).zip(&all).collect();
    for near in [100, 104, 110, 120, 135, 160, 250] {
        let limits = [
            limit("timers", None, 60_000),
            limit("timers", Some((99, 100)), 60_000 * 100 / near),
            limit("timers[0]", Some((1, 2)), 60_000 * 100 / near * 100 / near),
        ];
        for shown in [&series[..1], &series[..]] {
            let svg = latency_svg(&plot(shown, &limits), Theme::Light).unwrap();
            let texts = boxes(&svg);
            for (i, (a, words)) in texts.iter().enumerate() {
                for (b, others) in &texts[i + 1..] {
                    let apart = a[1] <= b[0] || b[1] <= a[0] || a[3] <= b[2] || b[3] <= a[2];
                    assert!(apart, "{near}: `{words}` lies on `{others}`");
                }
            }
        }
    }
}

/// The texts with their left, right, top and bottom; a small bold letter is about 0.6 of its size wide.
fn boxes(svg: &str) -> Vec<([f64; 4], String)> {
    let one =
        |t: Text| ([t.left, t.left + t.wide, t.y - 0.75 * t.size, t.y + 0.2 * t.size], t.words);
    texts(svg, 0.6).map(one).collect()
}

/// A text of a picture.
struct Text {
    words: String,
    left: f64,
    wide: f64,
    y: f64,
    size: f64,
}

/// The texts of a picture whose characters are so wide, as parts of their size.
fn texts(svg: &str, character: f64) -> impl Iterator<Item = Text> + '_ {
    svg.split("<text").skip(1).map(move |part| {
        let (tag, rest) = part.split_once('>').unwrap();
        let words = rest.split_once("</text>").unwrap().0.trim().replace("&lt;", "<");
        let number = |name| attribute(tag, name).parse::<f64>().unwrap();
        let (x, y, size) = (number("x"), number("y"), number("font-size"));
        let wide = character * size * words.chars().count() as f64;
        let left = match attribute(tag, "text-anchor") {
            "start" => x,
            "middle" => x - wide / 2.0,
            _ => x - wide,
        };
        Text { words, left, wide, y, size }
    })
}

fn attribute<'s>(tag: &'s str, name: &str) -> &'s str {
    let from = tag.split_once(&format!(" {name}=\"")).unwrap().1;
    from.split_once('"').unwrap().0
}

/// Widths as in a monospace font: 0.602 of the size a character.
fn check_texts(svg: &str) {
    let canvas: Vec<f64> =
        attribute(svg, "viewBox").split(' ').map(|n| n.parse().unwrap()).collect();
    for Text { words: text, left, wide: width, y, size } in texts(svg, 0.602) {
        assert!(left >= 0.0 && left + width <= canvas[2], "{text} from {left}, wide {width}");
        assert!(y - size >= 0.0 && y + 0.3 * size <= canvas[3], "{text} at {y}");
    }
}

fn check_numbers(svg: &str) {
    for word in svg.split(['"', ' ', ',', '\n']).filter(|w| w.parse::<f64>().is_ok()) {
        let decimals = word.split_once('.').map_or(0, |(_, d)| d.len());
        assert!(decimals <= 2, "{word}");
    }
}

#[test]
fn drift_is_what_a_timer_that_arms_itself_loses() {
    use timerace_core::result::Expiry;
    let mut all = LatencyRecorder::default();
    let drift = |all: &LatencyRecorder| all.clone().finish().drift_ns(0);
    let expiry = |due: u64, armed: u64, late: u64| Expiry {
        timer: 0,
        cpu: CpuId(0),
        armed: Nanos(armed),
        abs: false,
        programmed: Nanos(due),
        irq: None,
        softirq: Nanos(due),
        taken: Nanos(due),
        callback: Nanos(due + late),
        exit: Nanos(due + late + 100),
    };
    assert_eq!(drift(&all), None);
    all.record(&expiry(1_000, 0, 30));
    assert_eq!(drift(&all), None, "nothing armed it again");
    // Armed 40 ns after it was due, then 60: a hundred behind.
    all.record(&expiry(2_040, 1_040, 50));
    all.record(&expiry(3_100, 2_100, 10));
    assert_eq!(drift(&all), Some(100));
    // Armed by somebody else, long after: a new beginning.
    all.record(&expiry(9_000, 8_000, 10));
    all.record(&expiry(10_020, 9_020, 0));
    assert_eq!(drift(&all), Some(100));
    // An absolute time: asked for in time, and 130 ns after it was over.
    let absolute = |due, armed, late| Expiry { abs: true, ..expiry(due, armed, late) };
    all.record(&absolute(11_000, 10_060, 0));
    assert_eq!(drift(&all), Some(100));
    all.record(&absolute(10_960, 11_090, 140));
    assert_eq!(drift(&all), Some(130));
    // It does not add up: the next relative start counts on from the time that was asked for.
    all.record(&expiry(12_150, 11_150, 0));
    assert_eq!(drift(&all), Some(190));
}
