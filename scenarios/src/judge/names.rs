//! Names of expectations: see [`super`].

use std::collections::BTreeSet;

use crate::ast::{Expectation, Predicate};

/// Hands out names; each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// The name, or with `_2` and so on behind it if there is one already.
    pub fn take(&mut self, name: String) -> String {
        let mut unique = name.clone();
        let mut n = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{name}_{n}");
            n += 1;
        }
        unique
    }
}

/// The name of an expectation, before others are looked at.
pub(super) fn name(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Never(p) => format!("never_{}", key(p)),
        Expectation::Always(p) => format!("always_{}", key(p)),
        Expectation::Sometimes(p) => format!("sometimes_{}", key(p)),
        Expectation::On(_, inner) => name(inner),
        Expectation::KnownBug(_, inner) => format!("known_bug_{}", name(inner)),
        Expectation::Latency(limits) => format!("latency_{}", plain(&limits.of.to_string())),
        Expectation::Drift { of, .. } => format!("drift_{}", plain(&of.to_string())),
        Expectation::Hold { lock, .. } => format!("hold_{}", plain(lock)),
        Expectation::Count(_) => "count".to_string(),
    }
}

/// What it is that happens.
fn key(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Class(class) => class.word().to_ascii_lowercase(),
        Predicate::After(_, last) | Predicate::During(_, last) | Predicate::Within(_, last) => {
            key(last)
        }
        Predicate::Overlap(..) => "overlap".to_string(),
        Predicate::Entered(_) => "entered".to_string(),
        Predicate::Running(_) => "running".to_string(),
        Predicate::Leaked(_) => "leaked".to_string(),
        Predicate::UrefZero(_) => "uref_zero".to_string(),
        Predicate::Evicted(_) => "evicted".to_string(),
        Predicate::Final(_) => "final".to_string(),
        Predicate::Returned(..) => "returned".to_string(),
        Predicate::Called(_) => "called".to_string(),
    }
}

/// Only `[a-z0-9_]`: `flows.lru_lock` is `flows_lru_lock`, `timers[7]` is `timers_7`.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => out.push(c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out.trim_matches('_').to_string()
}
