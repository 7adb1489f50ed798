//! Rules that depend on the version of the kernel.
//!
//! They are asked when the kernel is known, not when the file is read. A stable release has its
//! fixes by number only where that is on record; fixes that the file adds or takes away count.

use std::collections::{BTreeMap, BTreeSet};

use timerace_core::detect::{CLASSES, Class};
use timerace_kernel::KernelVersion;
use timerace_kernel::versions::{Fix, releases};

use super::for_each_invoke;
use super::maps::users;
use super::visit::for_each_step;
use crate::ast::{
    BugClass, Call, Expectation, Invoke, KernelTerm, Map, MapKind, ObjBase, PlainKind, Predicate,
    Preempt, ProgKind, Scenario, StepKind, TimerFlag, Version,
};
use crate::diag::{Diagnostic, quote};
use crate::judge::is_for;
use crate::layout::Layouts;
use crate::span::{Sp, Span};

/// Introduced `BPF_F_TIMER_ABS`, v6.4.
const FIX_ABS: &str = "f71f8530494b";
/// Introduced `BPF_F_TIMER_CPU_PIN`, v6.7.
const FIX_PIN: &str = "d6247ecb6c1e";
/// No timers in kprobe, tracepoint, perf event and raw tracepoint programs, v5.16 to v6.19.
const FIX_TRACING: &str = "5e0bc3082e2e";
/// No timers on PREEMPT_RT, v6.17 and stable releases.
const FIX_RT: &str = "e25ddfb388c8";
/// Introduced `bpf_wq`, v6.10.
const FIX_WQ: &str = "81f1d7a583fa";
/// Introduced `bpf_timer_cancel_async`, v7.0.
const FIX_ASYNC: &str = "a7e172aa4ca2";

const EINVAL: i64 = 22;

/// A kernel: its version and what the file changes about it.
struct Kernel<'s> {
    version: Version,
    scenario: &'s Scenario,
}

impl Kernel<'_> {
    /// Whether it has a change that mainline has from `since` on and the file may switch.
    fn has(&self, fix: &str, in_version: bool) -> bool {
        let Some(choice) = &self.scenario.kernel else { return in_version };
        let names = |list: &[crate::span::Sp<String>]| list.iter().any(|name| name.node == fix);
        (in_version || names(&choice.with)) && !names(&choice.without)
    }

    fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version >= Version(major, minor, 0)
    }
}

/// What the kernel of this version refuses, and expectations that cannot apply to it.
///
/// `version` is (major, minor, stable release); mainline releases have 0 at the end.
pub(crate) fn rules(scenario: &Scenario, version: (u32, u32, u32)) -> Vec<Diagnostic> {
    let version = Version(version.0, version.1, version.2);
    let kernel = Kernel { version, scenario };
    let excuses = Excuses::of(scenario);
    let mut diags = Vec::new();
    check_calls(&kernel, &excuses, &mut diags);
    check_programs(&kernel, &excuses, &mut diags);
    check_maps(&kernel, &excuses, &mut diags);
    check_expectations(&kernel, &mut diags);
    diags.sort_by_key(|diag| (diag.primary.0, diag.code));
    diags
}

/// Expectations that are for none of the kernels that were chosen: typing mistakes in a release, mostly.
pub(crate) fn never_apply(scenario: &Scenario, kernels: &[KernelVersion]) -> Vec<Diagnostic> {
    let mut diags = Vec::new();
    for expectation in &scenario.expect {
        let mut inner = expectation;
        let mut left: Vec<KernelVersion> = kernels.to_vec();
        while let Expectation::On(_, next) | Expectation::KnownBug(_, next) = &inner.node {
            if let Expectation::On(cond, _) = &inner.node {
                left.retain(|kernel| is_for(cond, *kernel));
            }
            inner = next;
        }
        if left.is_empty() && !kernels.is_empty() {
            let names: Vec<String> = kernels.iter().map(ToString::to_string).collect();
            let message = "this expectation is for none of the kernels";
            diags.push(
                Diagnostic::warning("W0409", expectation.span, message)
                    .label("never judged")
                    .note(format!("the kernels are {}", names.join(", "))),
            );
        }
    }
    diags
}

/// The newest mainline release of which the file expects a bug, if it does not expect it of this kernel.
pub(crate) fn bug_elsewhere(scenario: &Scenario, kernel: KernelVersion) -> Option<KernelVersion> {
    let bug = |kernel| expects(scenario, kernel, &CLASSES);
    if bug(kernel) { None } else { mainline().find(|kernel| bug(*kernel)) }
}

/// The newest mainline release of which the file expects a finding of one of these classes. A bug that came and went
/// between two releases is that of a release without the fixes that it went with.
pub(crate) fn newest_with(scenario: &Scenario, classes: &[Class]) -> Option<KernelVersion> {
    let has = |kernel: &KernelVersion| expects(scenario, *kernel, classes);
    let without = |e: &Sp<Expectation>| {
        let fixes = lacked(&e.node);
        mainline().map(|kernel| fixes.iter().fold(kernel, |k, fix| k.without(*fix))).find(has)
    };
    mainline().find(has).or_else(|| scenario.expect.iter().find_map(without))
}

/// Mainline releases, the newest first.
fn mainline() -> impl Iterator<Item = KernelVersion> {
    let all = releases().into_iter().rev().filter(|release| release.patch == 0);
    all.filter_map(|release| KernelVersion::of(release).ok())
}

/// The fixes that a kernel must lack for an expectation to be meant for it.
fn lacked(expectation: &Expectation) -> Vec<Fix> {
    let Expectation::On(cond, _) = expectation else { return Vec::new() };
    let fix = |term: &Sp<KernelTerm>| match &term.node {
        KernelTerm::Lacks(name) => Fix::find(name),
        _ => None,
    };
    cond.terms.iter().filter_map(fix).collect()
}

/// Whether the file says that this kernel has a bug of one of these classes.
fn expects(scenario: &Scenario, kernel: KernelVersion, classes: &[Class]) -> bool {
    scenario.expect.iter().any(|expectation| {
        let (mut inner, mut known) = (&expectation.node, false);
        while let Expectation::On(_, next) | Expectation::KnownBug(_, next) = inner {
            match inner {
                Expectation::On(cond, _) if !is_for(cond, kernel) => return false,
                Expectation::KnownBug(..) => known = true,
                _ => {}
            }
            inner = &next.node;
        }
        match inner {
            Expectation::Never(p) => known && names_one(p, classes),
            Expectation::Sometimes(p) | Expectation::Always(p) => !known && names_one(p, classes),
            _ => false,
        }
    })
}

/// Whether a predicate speaks of findings of one of these classes.
fn names_one(predicate: &Predicate, classes: &[Class]) -> bool {
    let mut named = false;
    predicate.for_each(&mut |p| {
        named |= match p {
            Predicate::Class(BugClass::AnyBug) => classes.len() == CLASSES.len(),
            Predicate::Class(class) => classes.iter().any(|c| c.name() == class.word()),
            Predicate::Leaked(_) => classes.contains(&Class::Leak),
            _ => false,
        };
    });
    named
}

/// What the file expects to be refused.
struct Excuses {
    progs: BTreeSet<String>,
    maps: BTreeSet<String>,
}

impl Excuses {
    fn of(scenario: &Scenario) -> Self {
        let mut excuses = Excuses { progs: BTreeSet::new(), maps: BTreeSet::new() };
        for_each_invoke(scenario, &mut |invoke| {
            if !invoke.returns.allows_some_error() {
                return;
            }
            match &invoke.call.node {
                Call::ProgLoad { prog } => {
                    excuses.progs.insert(prog.node.clone());
                }
                Call::MapCreate { map } => {
                    if let ObjBase::Map(name) = &map.base.node {
                        excuses.maps.insert(name.clone());
                    }
                }
                _ => {}
            }
        });
        excuses
    }
}

fn check_calls(kernel: &Kernel<'_>, excuses: &Excuses, diags: &mut Vec<Diagnostic>) {
    // Helpers stand in programs only.
    for (name, prog) in &kernel.scenario.progs {
        let excused = excuses.progs.contains(&name.node);
        for_each_step(&prog.body, &mut |step| {
            if let StepKind::Invoke(invoke) = &step.node {
                check_call(kernel, invoke, excused, diags);
            }
        });
    }
}

fn check_call(kernel: &Kernel<'_>, invoke: &Invoke, excused: bool, diags: &mut Vec<Diagnostic>) {
    let version = kernel.version;
    let missing = match &invoke.call.node {
        Call::TimerStart { flags, .. } => {
            for flag in flags.iter().filter(|_| !invoke.returns.allows_error(EINVAL)) {
                let (known, since) = match flag.node {
                    TimerFlag::Abs => (kernel.has(FIX_ABS, kernel.at_least(6, 4)), "v6.4"),
                    TimerFlag::CpuPin => (kernel.has(FIX_PIN, kernel.at_least(6, 7)), "v6.7"),
                };
                if !known {
                    diags.push(unknown_flag(flag.node, flag.span, version, since));
                }
            }
            None
        }
        Call::TimerCancelAsync { .. } if !kernel.has(FIX_ASYNC, kernel.at_least(7, 0)) => {
            Some(("bpf_timer_cancel_async", "v7.0"))
        }
        Call::WqInit { .. } | Call::WqSetCallback { .. } | Call::WqStart { .. }
            if !kernel.has(FIX_WQ, kernel.at_least(6, 10)) =>
        {
            Some(("bpf_wq", "v6.10"))
        }
        _ => None,
    };
    // A program that is expected to be refused may call what it likes.
    if let Some((what, since)) = missing.filter(|_| !excused) {
        diags.push(
            Diagnostic::error("E0319", invoke.call.span, format!("{version} has no `{what}`"))
                .label(format!("came with {since}")),
        );
    }
}

fn unknown_flag(flag: TimerFlag, span: Span, version: Version, since: &str) -> Diagnostic {
    Diagnostic::error("E0316", span, format!("{version} does not know {flag}"))
        .label(format!("came with {since}"))
        .help("to see it refused: ret([0, EINVAL], bpf_timer_start(..))")
        .note("an unknown flag gives EINVAL when the program runs")
}

/// A map with a timer for each program that uses one: the first in the order of the names.
fn timer_maps<'s>(scenario: &'s Scenario, layouts: &Layouts) -> BTreeMap<String, &'s str> {
    let mut found = BTreeMap::new();
    let users = users(scenario);
    let mut maps: Vec<_> = scenario.maps.iter().collect();
    maps.sort_by(|a, b| a.0.node.cmp(&b.0.node));
    for (name, map) in maps {
        if has_timer(map, layouts) {
            for prog in users.get(&name.node).into_iter().flatten() {
                found.entry(prog.clone()).or_insert(name.node.as_str());
            }
        }
    }
    found
}

fn has_timer(map: &Map, layouts: &Layouts) -> bool {
    let layout = layouts.of_value(map);
    layout.is_some_and(|layout| layouts.specials(layout, PlainKind::BpfTimer).count > 0)
}

fn check_programs(kernel: &Kernel<'_>, excuses: &Excuses, diags: &mut Vec<Diagnostic>) {
    let scenario = kernel.scenario;
    let version = kernel.version;
    let layouts = Layouts::of(scenario);
    // The stable releases that are known to have it.
    let stable = matches!(version, Version(6, 1, 192) | Version(6, 12, 117));
    let no_rt = kernel.has(FIX_RT, stable || kernel.at_least(6, 17));
    let banned = kernel.at_least(5, 16) && !kernel.at_least(7, 0);
    let stable_5_15 = matches!(version, Version(5, 15, patch) if patch > 0);
    let no_tracing = kernel.has(FIX_TRACING, banned || stable_5_15);
    let timer_maps = timer_maps(scenario, &layouts);
    for (name, prog) in &scenario.progs {
        let Some(map) = timer_maps.get(&name.node) else { continue };
        if excuses.progs.contains(&name.node) {
            continue;
        }
        let map = quote(map);
        if no_tracing && matches!(prog.kind.node, ProgKind::Kprobe | ProgKind::PerfEvent) {
            let kind = prog.kind.node;
            let message = format!("{version} loads no {kind} program that uses a map with timers");
            diags.push(
                Diagnostic::error("E0317", prog.kind.span, message)
                    .label(format!("it uses \"{map}\"; the verifier says EINVAL"))
                    .note("refused from v5.16 to v6.19; TRACING programs are fine everywhere"),
            );
        }
        if no_rt && scenario.machine.preempt.node == Preempt::Rt {
            let message = format!("{version} loads no program with timers on PREEMPT_RT");
            diags.push(
                Diagnostic::error("E0318", name.span, message)
                    .label(format!("it uses \"{map}\"; the verifier says EOPNOTSUPP"))
                    .also(scenario.machine.preempt.span, "the preemption model")
                    .note("refused since v6.17 and in newer stable releases"),
            );
        }
    }
}

fn check_maps(kernel: &Kernel<'_>, excuses: &Excuses, diags: &mut Vec<Diagnostic>) {
    let scenario = kernel.scenario;
    let version = kernel.version;
    let layouts = Layouts::of(scenario);
    let users = users(scenario);
    for (name, map) in &scenario.maps {
        if map.kind.node == MapKind::Rhash
            && !kernel.at_least(7, 2)
            && !excuses.maps.contains(&name.node)
        {
            let message = format!("{version} has no RHASH maps");
            let diag = Diagnostic::error("E0319", map.kind.span, message);
            diags.push(diag.label("came after v7.0; on record from v7.2"));
        }
        let Some(layout) = layouts.of_value(map) else { continue };
        let found = layouts.specials(layout, PlainKind::BpfTimer);
        let mut progs = users.get(&name.node).into_iter().flatten();
        let refused = progs.find(|prog| !excuses.progs.contains(*prog));
        // Accepted on v6.12; where in between that began is not on record.
        if found.nested && !kernel.at_least(6, 2) && refused.is_some() {
            let span = map.value.as_ref().map_or(map.span, |value| value.span);
            let message = format!("{version} finds no timer at `{}`", quote(&found.path));
            diags.push(
                Diagnostic::error("E0320", span, message)
                    .label("the timer is inside another struct or an array")
                    .note("refused on v6.1, accepted on v6.12"),
            );
        }
    }
}

/// Warns when no expectation is about this kernel.
fn check_expectations(kernel: &Kernel<'_>, diags: &mut Vec<Diagnostic>) {
    let expect = &kernel.scenario.expect;
    let excluded = |expectation: &Expectation| match expectation {
        Expectation::On(cond, _) => cond.terms.iter().any(|term| match &term.node {
            KernelTerm::Release { op, version } => !op.holds(&kernel.version, version),
            KernelTerm::Range(low, high) => kernel.version < *low || kernel.version > *high,
            // Which fixes a kernel has is the kernel's knowledge.
            KernelTerm::Has(_) | KernelTerm::Lacks(_) => false,
        }),
        _ => false,
    };
    if let Some(first) = expect.first()
        && expect.iter().all(|expectation| excluded(expectation))
    {
        let message = format!("no expectation applies to {}", kernel.version);
        diags.push(
            Diagnostic::warning("W0406", first.span, message)
                .label("for other kernels only")
                .note("only `never(ANY_BUG)` is checked, which is implied"),
        );
    }
}
