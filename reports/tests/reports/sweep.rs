//! Sweeps as rows and as maps.

use crate::{golden, svg};
use timerace_reports::latency::Summary;
use timerace_reports::sweep::{Axis, Cell, Kind, Outcome, Sweep};
use timerace_reports::sweep_svg::sweep_svg;
use timerace_reports::theme::Theme;

fn axis(name: &str, values: &[&str], ns: Option<&[i64]>) -> Axis {
    let values = values.iter().map(|v| (*v).to_string()).collect();
    Axis { name: name.to_string(), values, ns: ns.map(<[i64]>::to_vec) }
}

fn explored(schedules: u64, bugs: u64, complete: bool, exit_code: u8) -> Cell {
    let class = (bugs > 0).then(|| "LEAK".to_string());
    Cell {
        at: Vec::new(),
        outcome: Outcome::Explored { schedules, bugs, complete },
        class,
        exit_code,
    }
}

fn timed(p99: u64) -> Cell {
    let late = Summary { count: 10, min_ns: 1, p50_ns: 2, p99_ns: p99, p999_ns: p99, max_ns: p99 };
    let late = if p99 == 0 { Summary::default() } else { late };
    Cell {
        at: Vec::new(),
        outcome: Outcome::Timed { runs: 1, bugs: 0, late },
        class: None,
        exit_code: 0,
    }
}

/// Cells in the order of the grid.
fn sweep(kind: Kind, axes: Vec<Axis>, mut cells: Vec<Cell>) -> Sweep {
    for (i, cell) in cells.iter_mut().enumerate() {
        let mut rest = i;
        cell.at = axes
            .iter()
            .rev()
            .map(|a| {
                let at = rest % a.values.len();
                rest /= a.values.len();
                at
            })
            .collect();
        cell.at.reverse();
    }
    let (scenario, kernel, command) = ("s".into(), "v6.7".into(), "timerace sweep s.ron".into());
    Sweep { scenario, kernel, kind, axes, cells, command }
}

fn square() -> Sweep {
    let axes = vec![
        axis("len", &["1us", "2us"], Some(&[1000, 2000])),
        axis("off", &["-1us", "0ns", "1us"], Some(&[-1000, 0, 1000])),
    ];
    let cells = vec![
        explored(7, 0, true, 0),
        explored(100, 1, true, 1),
        explored(7, 7, false, 1),
        explored(7, 0, false, 3),
        explored(7, 0, true, 1),
        explored(100, 91, true, 1),
    ];
    sweep(Kind::Explored, axes, cells)
}

#[test]
fn a_row_per_cell_with_the_unit_in_the_name() {
    let csv = String::from_utf8(square().csv().unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "len_ns,off_ns,schedules,bugs,complete,class");
    assert_eq!(lines[1], "1000,-1000,7,0,1,");
    assert_eq!(lines[2], "1000,0,100,1,1,LEAK");
    assert_eq!(lines.len(), 7);
    let s = sweep(Kind::Timed, vec![axis("n", &["1", "2"], None)], vec![timed(0), timed(9)]);
    let csv = String::from_utf8(s.csv().unwrap()).unwrap();
    assert_eq!(
        csv,
        "n,expiries,min_ns,p50_ns,p99_ns,p999_ns,max_ns,runs,bugs,class\n1,0,,,,,,1,0,\n2,10,1,2,9,9,9,1,0,\n"
    );
}

#[test]
fn the_map_goes_up_and_to_the_right() {
    let text = square().text();
    let expected = "\
s  v6.7
off -1us .. 1us (3), len 1us .. 2us (2), 6 cells

  2us  ?!9
  1us  .1#
       ^-1us..1us

";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("  3 of 6 cells have a bug; first: len=1us off=0ns\n"), "{text}");
    assert!(text.contains("  4 cells have an expectation that fails\n"), "{text}");
    assert!(text.contains("  1 cell has hit a bound"), "{text}");
    assert!(text.is_ascii());
}

#[test]
fn a_large_map_is_thinned_with_both_ends() {
    let values: Vec<String> = (0..200).map(|i| format!("{i}us")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let axes =
        vec![axis("k", &["a", "b"], None), axis("y", &values, None), axis("x", &values, None)];
    let cells = (0..2 * 200 * 200).map(|i| timed(i + 1)).collect();
    let text = sweep(Kind::Timed, axes, cells).text();
    assert!(text.lines().all(|l| l.len() <= 75), "{text}");
    assert!(text.contains("  199us  ") && text.contains("\n    0us  0"), "{text}");
    assert!(text.contains("(176 rows, 140 columns left out; all cells in sweep.csv)"), "{text}");
    assert!(text.contains("  k=a\n") && text.contains("  k=b\n"), "{text}");
    assert!(text.contains("0-9 p99 from 0.0 us to 80.0 us"), "{text}");
}

#[test]
fn one_axis_is_a_table() {
    let s = sweep(Kind::Timed, vec![axis("n", &["1", "20"], None)], vec![timed(0), timed(1500)]);
    let text = s.text();
    assert!(
        text.contains("   n  expiries  min us  p50 us  p99 us  max us  bugs  class\n"),
        "{text}"
    );
    assert!(text.contains("  20        10     0.0     0.0     1.5     1.5     0  -\n"), "{text}");
    assert!(text.contains("no cell has a bug"), "{text}");
}

#[test]
fn json_has_the_settings_of_each_cell() {
    let v = square().json();
    assert_eq!(v["cells"][1]["at"]["off"], "0ns");
    assert_eq!(v["cells"][3]["ok"], serde_json::Value::Null);
    assert_eq!((&v["kind"], &v["axes"][0]["name"]), (&"explore".into(), &"len".into()));
}

/// Where a delete and a callback of this length meet.
fn map(kind: Kind, axes: usize, sides: (i64, i64)) -> Sweep {
    let values = |from: i64, to: i64| {
        let ns: Vec<i64> = (from..=to).map(|v| v * 1000).collect();
        let texts: Vec<String> = (from..=to).map(|v| format!("{v}us")).collect();
        (texts, ns)
    };
    let (xs, ys) = (values(-8, sides.0), values(1, sides.1));
    let mut all = vec![
        Axis { name: "kernel".into(), values: vec!["v6.7".into(), "v6.8".into()], ns: None },
        Axis { name: "cb_len".into(), values: ys.0, ns: Some(ys.1) },
        Axis { name: "offset".into(), values: xs.0, ns: Some(xs.1) },
    ];
    all.drain(..3 - axes);
    let n: usize = all.iter().map(|a| a.values.len()).product();
    let cells = (0..n as u64).map(|i| match kind {
        Kind::Explored => {
            let bugs = if i % 21 > 7 && i % 21 < 10 { 6 + i % 7 * 9 } else { 0 };
            explored(100, bugs, i % 13 != 5, if i % 13 == 5 { 3 } else { u8::from(i % 31 == 30) })
        }
        Kind::Timed => timed(if i % 17 == 3 { 0 } else { 900 + 2_300 * (i % 29) }),
    });
    let cells: Vec<Cell> = cells.collect();
    sweep(kind, all, cells)
}

#[test]
fn maps_as_pictures() {
    let explored = map(Kind::Explored, 2, (12, 12));
    golden::check("sweep.svg", &sweep_svg(&explored, Theme::Light));
    let timed = map(Kind::Timed, 3, (12, 6));
    golden::check("sweep-timed.svg", &sweep_svg(&timed, Theme::Dark));
    let none = sweep(Kind::Timed, vec![axis("n", &["1"], None)], vec![self::timed(0)]);
    for (name, s) in [
        ("explored", explored),
        ("timed", timed),
        ("one row", map(Kind::Explored, 1, (20, 1))),
        ("large", map(Kind::Explored, 3, (190, 90))),
        ("none", none),
        ("square", square()),
    ] {
        for theme in [Theme::Light, Theme::Dark] {
            let drawn = sweep_svg(&s, theme);
            svg::check(name, &drawn);
            assert_eq!(drawn, sweep_svg(&s, theme));
        }
    }
}

#[test]
fn every_cell_says_what_it_is() {
    let drawn = sweep_svg(&square(), Theme::Light);
    // 1 of 100, 7 of 7, 91 of 100; not complete; an expectation that fails.
    for part in [">1<", ">100<", ">91<", ">?<", ">!<", "A bug in 3 of 6 cells", ">LEAK<"] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
    assert!(drawn.contains("len=2us off=1us: a bug in 91 of 100 schedules: LEAK"));
}
