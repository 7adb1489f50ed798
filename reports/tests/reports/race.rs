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
