//! `timerace shrink`: the smallest schedule, then the smallest scenario, that still shows the same finding.

use crate::args::{Common, FileArgs, Format, KernelArgs, SearchArgs};
use crate::commands::replay::fitting;
use crate::fail::{Fail, code};
use crate::output;
use crate::pictures;
use crate::saved::{self, SCENARIO};
use crate::search::{Silent, explain, search};
use crate::session::{Session, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use timerace_core::exec::Exec;
use timerace_core::least::{Effort, Least, Shown, Wanted, effort, fewer, least};
use timerace_core::policy::Replay;
use timerace_core::record::{Record, record};
use timerace_reports::shrunk::{Part, Row, Shrinking, shrunk_json, shrunk_text};
use timerace_scenarios::shrink::{
    Answer, Size, shrink as shrink_text, with_expectation, without_expectation, without_use,
};

/// Steps of the search for the least schedule of a scenario.
const BUDGET: u64 = 20_000_000;
/// Steps of the search in each smaller scenario.
const TRY_BUDGET: u64 = 2_000_000;
/// Schedules after which it is not looked any further whether an expectation holds in the smaller scenario.
const SCHEDULES: u64 = 100_000;

/// What is shrunk, and how it was asked for.
struct Asked<'a> {
    common: &'a Common,
    kernel: &'a KernelArgs,
    s: Session,
    wanted: Wanted,
    /// What smaller scenarios are made from: the scenario, without fragments where it has some.
    base: Source,
    /// Values of its parameters.
    set: Vec<(String, String)>,
}

/// Shrinks a schedule and its scenario, prints both, and writes them.
pub fn shrink(
    common: &Common,
    file: &FileArgs,
    kernel: &KernelArgs,
    schedule: &str,
) -> Result<u8, Fail> {
    let s = Session::open(common, file, kernel)?;
    let (wanted, given, text) = given(&s, schedule)?;
    let (base, set) = (s.source.clone(), file.set.clone());
    let mut asked = Asked { common, kernel, s, wanted, base, set };
    let (least, exact) = asked.least(&given)?;
    let mut best = asked.without_fragments(&least).unwrap_or_else(|| least.clone());
    let shrunk = shrink_text(&asked.base, &asked.set, &mut |smaller| {
        let found = asked.within(smaller, best.effort);
        match found {
            Some(Least::Found(shown)) => {
                best = shown;
                Answer::Yes
            }
            Some(Least::OutOfBudget) => Answer::Undecided,
            Some(Least::None) | None => Answer::No,
        }
    });
    let source = asked.expecting(shrunk.source)?;
    let small = asked.session(&asked.base.with_text(&source))?;
    let (rec, finding) = recorded(&small, &asked.wanted, &best)?;
    let least_text = recorded(&asked.s, &asked.wanted, &least)?.0.text;
    let shrinking = Shrinking {
        given: Row { text, effort: given.effort },
        least: Row { text: least_text, effort: least.effort },
        exact,
        shrunk: Row { text: rec.text.clone(), effort: best.effort },
        parts: parts(&Size::of(&asked.s.scenario), &Size::of(&small.scenario)),
        tries: shrunk.tries,
        undecided: shrunk.undecided,
        source: &source,
    };
    asked.report(&small, &shrinking, &rec, finding)?;
    Ok(if shrunk.undecided > 0 { code::INCONCLUSIVE } else { code::OK })
}

/// The first finding of the schedule, what the schedule takes, and its short text.
fn given(s: &Session, schedule: &str) -> Result<(Wanted, Shown, String), Fail> {
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    let rec = fitting(s, schedule)?;
    let nothing = || Fail {
        code: code::NOTHING,
        message: "error: nothing to shrink: the schedule shows no finding".to_string(),
    };
    let f = rec.findings.first().ok_or_else(nothing)?;
    let wanted = Wanted { class: f.class, functions: f.functions.clone() };
    let shown = effort(&mut exec, &rec.schedule, &wanted, s.limits()).ok_or_else(nothing)?;
    Ok((wanted, shown, rec.text))
}

/// A schedule with everything noted, and which of its findings is the one.
fn recorded(s: &Session, wanted: &Wanted, shown: &Shown) -> Result<(Record, usize), Fail> {
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    let mut rec = record(&mut exec, &mut Replay::new(&shown.schedule), s.limits());
    let same = |f: &timerace_core::record::FindingRecord| {
        f.class == wanted.class && f.functions == wanted.functions
    };
    let finding = rec.findings.iter().position(same).expect("the schedule shows the finding");
    explain(s, &mut rec, finding)?;
    Ok((rec, finding))
}

fn parts(before: &Size, after: &Size) -> Vec<Part> {
    let part = |name, of: fn(&Size) -> u64| Part { name, before: of(before), after: of(after) };
    vec![
        part("CPUs", |s| s.cpus),
        part("tasks", |s| s.tasks),
        part("operations", |s| s.operations),
        part("map entries", |s| s.map_entries),
        part("events", |s| s.events),
    ]
}

impl Asked<'_> {
    /// The scenario with another text.
    fn session(&self, source: &Source) -> Result<Session, Fail> {
        Session::of(self.common, source.clone(), self.kernel, &self.set)
    }

    /// A scenario with fragments becomes one without, which stands alone wherever it is written: they are left out, or
    /// else written into it. Its least schedule; `None`: it has none, or that was not decided.
    fn without_fragments(&mut self, most: &Shown) -> Option<Shown> {
        let source = self.s.source.clone();
        let name = (!source.fragments().is_empty()).then_some(&source.name)?;
        let left_out = without_use(source.own_text()).map(|text| (text, self.set.clone()));
        let about = format!("// {}, with its fragments.\n", self.s.scenario.name.node);
        let written_in = (about + &self.s.scenario.canonical(), Vec::new());
        for (text, set) in left_out.into_iter().chain([written_in]) {
            let alone = Source::with_fragments(name, &text, BTreeMap::new());
            let before = std::mem::replace(&mut self.set, set);
            if let Some(Least::Found(shown)) = self.within(&alone, most.effort) {
                self.base = alone;
                return Some(shown);
            }
            self.set = before;
        }
        None
    }

    /// The least schedule that shows the finding, and whether it is known that none takes less.
    fn least(&self, given: &Shown) -> Result<(Shown, bool), Fail> {
        let (machine, model) = self.s.boot(false)?;
        let mut exec = Exec::new(&machine, &model);
        let limits = self.s.limits();
        if let Least::Found(shown) = least(&mut exec, &self.wanted, given.effort, limits, BUDGET) {
            return Ok((shown, true));
        }
        let less = fewer(&mut exec, &given.schedule, &self.wanted, limits);
        Ok((less.unwrap_or_else(|| given.clone()), false))
    }

    /// The least schedule of a smaller scenario; `None` if it does not run.
    fn within(&self, source: &Source, most: Effort) -> Option<Least> {
        let s = self.session(source).ok()?;
        let (machine, model) = s.boot(false).ok()?;
        let mut exec = Exec::new(&machine, &model);
        Some(least(&mut exec, &self.wanted, most, s.limits(), TRY_BUDGET))
    }

    /// The smaller scenario with expectations that hold: what does not hold any more goes, and the finding is expected.
    fn expecting(&self, mut text: String) -> Result<String, Fail> {
        let args = SearchArgs { max_schedules: Some(SCHEDULES), ..SearchArgs::default() };
        loop {
            let found = search(&self.session(&self.base.with_text(&text))?, &args, 1, &mut Silent)?;
            let wrong = found.judged.iter().filter(|j| j.ok == Some(false));
            let lines: Vec<u32> = wrong.map(|j| j.line).collect();
            let Some(last) = lines.iter().max() else { return Ok(text) };
            let class = format!("sometimes({})", self.wanted.class.name());
            let Some(next) = without_expectation(&text, *last)
                .or_else(|| with_expectation(&text, &class).filter(|_| !text.contains(&class)))
            else {
                return Ok(text);
            };
            text = next;
        }
    }

    fn report(
        &self,
        small: &Session,
        shrinking: &Shrinking<'_>,
        rec: &Record,
        finding: usize,
    ) -> Result<(), Fail> {
        let (common, name) = (self.common, &self.s.scenario.name.node);
        let dir = common.out.clone().unwrap_or_else(|| {
            let kernel = self.s.kernel_name().replace(' ', "-");
            PathBuf::from("timerace-out").join(format!("{name}-shrunk")).join(kernel)
        });
        let result = shrunk_json(shrinking, name, &self.s.kernel_name(), rec, finding);
        // What replays the smaller one, so that its pictures can be made again.
        let path = dir.join(SCENARIO).display().to_string();
        let head = ["replay".to_string(), path.clone()].into_iter();
        let tail = ["--schedule".to_string(), rec.text.clone()];
        let command = head.chain(small.arguments()).chain(tail).collect();
        let mut files = saved::files(common, small, result.clone(), command);
        files.extend(pictures::files(common, small, rec, Some(finding), ""));
        if common.format == Format::Json {
            output::print_json(&result);
        } else {
            let origin = small.origin().of_file(&path);
            output::print(&shrunk_text(shrinking, rec, finding, &origin));
        }
        saved::write(common, &dir, files)
    }
}
