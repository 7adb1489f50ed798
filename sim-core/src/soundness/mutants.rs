//! Planted errors: the comparison with brute force finds each of them.

use super::common::Program;
use super::{Truth, check_sample, check_states, check_traces, program};
use crate::dpor::mutant::{Mutant, with};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Each error, and how many programs suffice to find it.
const LIST: [(Mutant, u64); 11] = [
    (Mutant::WaitingForgotten, 400),
    (Mutant::ImmediateRacesOnly, 400),
    (Mutant::GuardNotAsked, 400),
    (Mutant::WeakInitials, 400),
    (Mutant::SuccessIsRead, 400),
    (Mutant::EntryLeavesCpu, 400),
    (Mutant::UndeclaredVariable, 400),
    (Mutant::ReadersNotRead, 400),
    (Mutant::WriterIgnoresReaders, 400),
    (Mutant::NeverWoken, 400),
    (Mutant::LearnedForgotten, 400),
];

#[test]
fn planted_errors_are_found() {
    all_are_found(&LIST, &|p, truth, _| {
        let traces = check_traces(p, truth);
        check_states(p, truth, &traces);
    });
}

/// Errors in what samples remember.
#[test]
fn planted_errors_of_samples_are_found() {
    let list = [(Mutant::LearnedForgotten, 100), (Mutant::HistoryForgotten, 100)];
    all_are_found(&list, &check_sample);
}

fn all_are_found(list: &[(Mutant, u64)], check: &dyn Fn(&Program, &Truth, u64)) {
    let mut caught: Vec<Option<u64>> = vec![None; list.len()];
    for seed in 0..list.iter().map(|l| l.1).max().unwrap() {
        let p = program(seed);
        let Some(truth) = Truth::of(&p) else { continue };
        for ((mutant, programs), caught) in list.iter().zip(&mut caught) {
            if caught.is_some() || seed >= *programs {
                continue;
            }
            let wrong = with(Some(*mutant), || {
                let compare = AssertUnwindSafe(|| check(&p, &truth, seed));
                quietly(|| catch_unwind(compare).is_err())
            });
            if wrong {
                *caught = Some(seed);
            }
        }
        if caught.iter().all(Option::is_some) {
            break;
        }
    }
    let found: Vec<_> = list.iter().zip(&caught).map(|(l, c)| (l.0, *c)).collect();
    println!("{found:?}");
    assert!(caught.iter().all(Option::is_some), "not found: {found:?}");
}

/// Without the messages of panics, which are what is wanted here.
pub fn quietly<R>(f: impl FnOnce() -> R) -> R {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let r = f();
    QUIET.set(false);
    r
}
