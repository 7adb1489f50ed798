//! The two-column picture.

use crate::{build, golden};
use timerace_core::record::Record;
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::race_text::{WIDTH, race_text};

fn race(rec: &Record, detail: Detail) -> String {
    race_text(&interleaving(rec, Some(0), detail), WIDTH)
}

#[test]
fn pictures_of_known_races() {
    golden::check("race-cancel-free.txt", &race(&build::cancel_free_uaf(false), Detail::Chosen));
    golden::check("race-mutual-cancel.txt", &race(&build::mutual_cancel(), Detail::Chosen));
    golden::check("race-init-uref.txt", &race(&build::init_uref_leak(), Detail::Chosen));
    golden::check("race-three-cpus.txt", &race(&build::three_cpus(), Detail::Chosen));
    golden::check("race-interrupted.txt", &race(&build::interrupted(), Detail::Chosen));
}

#[test]
fn pictures_of_every_step() {
    golden::check("race-cancel-free-full.txt", &race(&build::cancel_free_uaf(false), Detail::Full));
    golden::check("race-interrupted-full.txt", &race(&build::interrupted(), Detail::Full));
}

#[test]
fn a_finding_with_one_side_shows_its_call() {
    let mut rec = build::cancel_free_uaf(false);
    let f = &mut rec.findings[0];
    (f.class, f.other, f.object) = (timerace_core::Class::WrongErrno, None, None);
    let text = race(&rec, Detail::Chosen);
    let read = "spin_lock(&timer->lock)\nt = timer->timer  // reads bpf_hrtimer #1\n";
    assert!(text.contains(read), "{text}");
    assert!(text.contains("timer->timer = NULL"), "{text}");
    assert!(!text.contains("bucket_lock"), "{text}");
}

#[test]
fn a_finding_that_is_nowhere_shows_the_end_of_the_run() {
    let mut rec = build::interrupted();
    let f = &mut rec.findings[0];
    (f.at.step, f.other, f.object) = (0, None, None);
    let text = race(&rec, Detail::Chosen);
    assert!(text.contains("mode = t->mode") && text.lines().count() <= 20, "{text}");
}

#[test]
fn pictures_are_short() {
    for rec in [build::cancel_free_uaf(false), build::init_uref_leak(), build::interrupted()] {
        let rows = interleaving(&rec, Some(0), Detail::Chosen).rows.len();
        assert!((7..=14).contains(&rows), "{rows}");
    }
}

#[test]
fn narrow_pictures_are_staggered_and_wide_names_too() {
    let il = interleaving(&build::cancel_free_uaf(false), Some(0), Detail::Chosen);
    golden::check("race-narrow.txt", &race_text(&il, 40));
    let empty = interleaving(&build::Build::new().rec, Some(0), Detail::Chosen);
    assert_eq!(race_text(&empty, WIDTH), "(no steps)\n");
}
