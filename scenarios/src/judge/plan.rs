//! Expectations with their names looked up, those for other kernels left out.

use timerace_core::Class;
use timerace_core::detect::CLASSES;
use timerace_kernel::versions::Fix;
use timerace_kernel::{Arg, KernelVersion, World};

use super::finals::{FinalCond, FinalState, named_element, named_map};
use super::names::{Names, name};
use super::predicate::Pred;
use crate::ast::{
    BugClass, Count, Duration, Expectation, KernelCond, LatencyLimits, Predicate, Scenario,
};
use crate::lower::version_of;
use crate::span::{Sp, Span};

/// What is asked.
pub(super) enum Asked<'a> {
    Never(Pred<'a>),
    Always(Pred<'a>),
    Sometimes(Pred<'a>),
    Count(Count),
    Latency(Box<LatencyLimits>),
    /// Of a timer, or of all timers of a map.
    Drift(String, Duration),
    /// Of a lock.
    Hold(String, Duration),
}

/// An expectation that is meant for this kernel.
pub(super) struct Item<'a> {
    pub name: String,
    pub line: u32,
    pub asked: Asked<'a>,
    /// The reference of a bug that is known.
    pub known_bug: Option<String>,
    /// Whether its predicate names a class of bugs or a leak.
    pub names_bug: bool,
    /// The classes of findings that it names.
    pub classes: Vec<Class>,
    /// Whether it says that there is a bug.
    pub bug_expected: bool,
    /// Whether somebody knows the values at the end.
    pub end_is_known: bool,
}

impl<'a> Item<'a> {
    pub fn predicate(&self) -> Option<&Pred<'a>> {
        match &self.asked {
            Asked::Never(p) | Asked::Always(p) | Asked::Sometimes(p) => Some(p),
            _ => None,
        }
    }

    /// Whether it says what the scenario wants to come into.
    pub fn is_window(&self) -> bool {
        matches!(self.asked, Asked::Sometimes(_)) && !self.names_bug && self.known_bug.is_none()
    }
}

/// All that is asked for one kernel.
pub(super) struct Plan<'a> {
    /// In the order of the file; what is implied comes last.
    pub items: Vec<Item<'a>>,
    /// Functions that predicates name.
    pub names: Vec<String>,
}

impl<'a> Plan<'a> {
    pub fn new(
        scenario: &Scenario,
        source: &str,
        world: &World,
        end: Option<&'a dyn FinalState>,
    ) -> Self {
        let mut builder = Builder { world, end, functions: Vec::new(), expected: Vec::new() };
        let mut names = Names::default();
        let mut items = Vec::new();
        let mut forbids_all = false;
        for expectation in &scenario.expect {
            // Also of those for other kernels, so that names do not depend on the kernel.
            let name = names.take(name(expectation));
            let line = line_of(source, expectation.span);
            let Some((inner, known_bug)) = applicable(expectation, world.kernel) else { continue };
            forbids_all |= known_bug.is_none() && is_never_any_bug(inner);
            items.push(builder.item(name, line, inner, known_bug));
        }
        let implied = match builder.expected.is_empty() {
            true if forbids_all => None,
            true => Some(("never_any_bug", CLASSES.to_vec())),
            false => {
                let others = CLASSES.into_iter().filter(|c| !builder.expected.contains(c));
                Some(("never_other_bug", others.collect()))
            }
        };
        if let Some((name, classes)) = implied.filter(|(_, classes)| !classes.is_empty()) {
            items.push(Item {
                name: names.take(name.to_string()),
                line: line_of(source, scenario.span),
                asked: Asked::Never(Pred::Class(classes.clone())),
                classes,
                known_bug: None,
                names_bug: true,
                bug_expected: false,
                end_is_known: true,
            });
        }
        Plan { items, names: builder.functions }
    }
}

/// The expectation inside conditions on kernels, and the reference if it is known to fail; `None` if it is for others.
fn applicable(
    expectation: &Expectation,
    kernel: KernelVersion,
) -> Option<(&Expectation, Option<String>)> {
    match expectation {
        Expectation::On(cond, inner) => match is_for(cond, kernel) {
            true => applicable(inner, kernel),
            false => None,
        },
        Expectation::KnownBug(reference, inner) => {
            let (inner, deeper) = applicable(inner, kernel)?;
            Some((inner, Some(deeper.unwrap_or_else(|| reference.node.clone()))))
        }
        other => Some((other, None)),
    }
}

/// Whether a condition on kernels holds for this one.
pub(crate) fn is_for(cond: &KernelCond, kernel: KernelVersion) -> bool {
    let has = |name: &str| Fix::find(name).is_some_and(|fix| kernel.has(fix));
    cond.holds(version_of(kernel), &has)
}

fn is_never_any_bug(expectation: &Expectation) -> bool {
    matches!(expectation, Expectation::Never(p) if p.node == Predicate::Class(BugClass::AnyBug))
}

/// The line of a place, from 1.
fn line_of(source: &str, span: Span) -> u32 {
    let before = source.get(..span.start).unwrap_or(source);
    let breaks = before.bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}

struct Builder<'w, 'a> {
    world: &'w World,
    end: Option<&'a dyn FinalState>,
    functions: Vec<String>,
    /// Classes that expectations say will be found.
    expected: Vec<Class>,
}

impl<'a> Builder<'_, 'a> {
    fn item(
        &mut self,
        name: String,
        line: u32,
        expectation: &Expectation,
        known_bug: Option<String>,
    ) -> Item<'a> {
        let mut names_bug = false;
        let mut expects = known_bug.is_some();
        let asked = match expectation {
            Expectation::Never(p) => {
                names_bug = p.names_bug();
                Asked::Never(self.predicate(p))
            }
            Expectation::Always(p) => {
                (names_bug, expects) = (p.names_bug(), true);
                Asked::Always(self.predicate(p))
            }
            Expectation::Sometimes(p) => {
                (names_bug, expects) = (p.names_bug(), true);
                Asked::Sometimes(self.predicate(p))
            }
            Expectation::Count(count) => Asked::Count(count.clone()),
            Expectation::Latency(limits) => Asked::Latency(Box::new(limits.clone())),
            Expectation::Drift { of, max } => Asked::Drift(of.to_string(), max.node),
            Expectation::Hold { lock, max } => Asked::Hold(lock.node.clone(), max.node),
            Expectation::On(..) | Expectation::KnownBug(..) => {
                unreachable!("`applicable` looks inside")
            }
        };
        let bug_expected = names_bug && expects;
        let mut named = Vec::new();
        if let Expectation::Never(p) | Expectation::Always(p) | Expectation::Sometimes(p) =
            expectation
        {
            p.for_each(&mut |p| match p {
                Predicate::Class(class) => named.extend(classes(*class)),
                Predicate::Leaked(_) => named.push(Class::Leak),
                _ => {}
            });
        }
        if bug_expected {
            self.expected.extend(&named);
        }
        let (classes, end_is_known) = (named, self.end.is_some());
        Item { name, line, asked, known_bug, names_bug, classes, bug_expected, end_is_known }
    }

    fn predicate(&mut self, predicate: &Predicate) -> Pred<'a> {
        match predicate {
            Predicate::Class(class) => Pred::Class(classes(*class)),
            Predicate::Leaked(name) => Pred::Leaked(name.node.clone()),
            Predicate::Entered(name) | Predicate::Called(name) => Pred::Called(self.function(name)),
            Predicate::Running(name) => Pred::Running(self.function(name)),
            Predicate::Returned(name, code) => Pred::Returned(self.function(name), code.node),
            Predicate::UrefZero(map) => match named_map(map, &map.keys, self.world) {
                Some(map) => Pred::Event("uref_zero", Arg::Map(map.index()).word()),
                None => never(),
            },
            Predicate::Evicted(elem) => match named_element(elem, self.world) {
                Some((map, key)) => {
                    let arg = Arg::Elem { map: map.index(), key: key as u64 };
                    Pred::Event("evicted", arg.word())
                }
                None => never(),
            },
            Predicate::Final(cond) => Pred::Final(FinalCond::new(cond, self.world, self.end)),
            Predicate::Overlap(a, b) => Pred::Overlap(self.function(a), self.function(b)),
            Predicate::After(p, q) => {
                Pred::After(Box::new(self.predicate(p)), Box::new(self.predicate(q)))
            }
            Predicate::During(p, q) => {
                Pred::During(Box::new(self.predicate(p)), Box::new(self.predicate(q)))
            }
            Predicate::Within(name, p) => {
                Pred::Within(self.function(name), Box::new(self.predicate(p)))
            }
        }
    }

    fn function(&mut self, name: &Sp<String>) -> usize {
        let known = self.functions.iter().position(|known| *known == name.node);
        known.unwrap_or_else(|| {
            self.functions.push(name.node.clone());
            self.functions.len() - 1
        })
    }
}

/// What does not exist does not happen.
fn never<'a>() -> Pred<'a> {
    Pred::Class(Vec::new())
}

fn classes(class: BugClass) -> Vec<Class> {
    match class {
        BugClass::AnyBug => CLASSES.to_vec(),
        class => Class::from_name(class.word()).into_iter().collect(),
    }
}
