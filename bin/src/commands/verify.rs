//! `timerace verify`: whether a certificate says the truth.

use crate::args::{Cli, Command, Common, SearchArgs};
use crate::clock::{Clock, Timely};
use crate::fail::{Fail, code};
use crate::output;
use crate::saved::fragments_of;
use crate::search::{MAX_MEMORY, Searched, Silent, search};
use crate::session::{Session, Source};
use clap::Parser;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use timerace_core::dpor::{Ignore, Options, explore_every_branch};
use timerace_core::exec::Exec;
use timerace_core::result::Engine;
use timerace_core::states::explore_states;
use timerace_reports::certificate::{Certificate, differences, sha256};
use timerace_scenarios::costs;

/// Executions of a recount before it is given up.
const RECOUNT: u64 = 1_000_000;

/// The certificate of a search.
pub fn certificate(s: &Session, args: &SearchArgs, found: &Searched) -> Result<Value, Fail> {
    let (machine, _) = s.boot(false)?;
    let mut all = s.arguments();
    all.extend(args.flags());
    let result = found.result(s);
    let c = Certificate {
        result: &result,
        file: &s.source.name,
        source: s.source.own_text(),
        fragments: &s.source.fragments(),
        args: &all,
        version: env!("CARGO_PKG_VERSION"),
        contexts: machine.contexts().len(),
        objects: machine.with_mem(timerace_core::Mem::objects),
        scenario_digest: &s.scenario.digest(),
        fixes: &s.kernel.fixes().map(|f| f.info().name).collect::<Vec<_>>(),
        scope: &found.scope,
        costs: s.costs_file.as_ref().map(|_| (s.costs.name.as_str(), costs::text(&s.costs))),
    };
    Ok(c.value())
}

/// Searches again as the certificate says, and compares. `recount`: also without the reduction.
pub fn verify(common: &Common, file: &Path, recount: bool) -> Result<u8, Fail> {
    let claimed = read(file)?;
    let (s, args) = ask(common, file, &claimed)?;
    let mut found = search(&s, &args, common.jobs, &mut Silent)?;
    found.explain(&s)?;
    let is = certificate(&s, &args, &found)?;
    let mut out = String::new();
    let wrong = differences(&claimed, &is);
    for line in &wrong {
        let _ = writeln!(out, "differs  {line}");
    }
    let e = &found.exploration;
    if wrong.is_empty() {
        let _ = writeln!(out, "ok       the search gives the same: {} schedules", e.schedules);
    }
    let mut exit = if wrong.is_empty() { code::OK } else { code::FAILED };
    if recount && exit == code::OK {
        let (line, ok) = recounted(&s, &args, &found)?;
        exit = match ok {
            Some(true) => code::OK,
            Some(false) => code::FAILED,
            None => code::INCONCLUSIVE,
        };
        out.push_str(&line);
    }
    output::print(&out);
    Ok(exit)
}

fn read(file: &Path) -> Result<Value, Fail> {
    let bad = |why: &dyn std::fmt::Display| {
        Fail::usage(format!("error: {}: no certificate: {why}", file.display()))
    };
    let text = timerace_scenarios::load::read_file(file).map_err(|e| bad(&e))?;
    let v: Value = serde_json::from_str(&text)
        .map_err(|e| bad(&format!("not the JSON of a certificate.json of `explore` ({e})")))?;
    if v["kind"] != "certificate" {
        return Err(bad(&"its `kind` is not `certificate`"));
    }
    let Some(source) = v["source"].as_str() else { return Err(bad(&"it has no `source`")) };
    if v["source_sha256"] != sha256(source) {
        return Err(bad(&"`source` was changed: its SHA-256 is another"));
    }
    Ok(v)
}

/// The scenario and the arguments of a certificate.
fn ask(common: &Common, file: &Path, claimed: &Value) -> Result<(Session, SearchArgs), Fail> {
    let args = claimed["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line = ["timerace", "explore", "-"].into_iter().chain(args);
    let bad = |why: String| Fail::usage(format!("error: {}: `args`: {why}", file.display()));
    let cli = Cli::try_parse_from(line).map_err(|e| bad(e.to_string()))?;
    let Some(Command::Explore { file: of, kernel, search, .. }) = cli.command else {
        return Err(bad("not those of explore".to_string()));
    };
    let text = claimed["source"].as_str().unwrap_or_default();
    // Messages are about the certificate, unless fragments lie beside the scenario that it names.
    let shown = file.display().to_string();
    let name = claimed["file"].as_str().unwrap_or(&shown);
    let source = Source::with_fragments(name, text, fragments_of(claimed));
    let mut s = Session::of(common, source, &kernel, &of.set)?;
    s.set_irqs(search.irqs);
    if let Some(text) = claimed["costs"]["text"].as_str() {
        s.costs = costs::parse(text, &shown).map_err(|e| Fail::usage(e.to_string()))?;
        s.costs_file = Some(file.to_path_buf());
    }
    Ok((s, search))
}

/// What counting without the reduction says; `None`: it cannot tell.
fn recounted(
    s: &Session,
    args: &SearchArgs,
    found: &Searched,
) -> Result<(String, Option<bool>), Fail> {
    let e = &found.exploration;
    if !e.complete {
        return Ok(("?        the search is not complete: nothing to recount\n".to_string(), None));
    }
    let (machine, model) = s.boot(false)?;
    let mut exec = Exec::new(&machine, &model);
    let options = Options {
        keep_going: true,
        max_schedules: Some(args.max_schedules.unwrap_or(RECOUNT).min(RECOUNT)),
        max_memory: Some(args.max_memory.unwrap_or(MAX_MEMORY)),
        limits: s.limits(),
        ..Options::default()
    };
    let bugs = e.failing > 0;
    if e.engine == Engine::States {
        let all = explore_states(&mut exec, false, &options, &mut Ignore);
        // Without symmetry there may be more states than memory for them.
        let told = all.complete && all.engine == Engine::States;
        let ok = told.then_some((all.failing > 0) == bugs && all.states >= e.states);
        return Ok((said(ok, &format!("{} states without symmetry", all.states)), ok));
    }
    let all = explore_every_branch(&mut exec, &options, &mut Timely(Clock::of(s)?));
    if e.engine == Engine::Layers {
        // It counts ways to states, not schedules: verdict and final states can be compared.
        let same = (all.failing > 0, all.final_states, all.state_digest)
            == (bugs, e.final_states, e.state_digest);
        let ok = all.complete.then_some(same);
        let text = format!("{} final states without the reduction", all.final_states);
        return Ok((said(ok, &text), ok));
    }
    let same = (all.schedules, all.failing, all.trace_digest, all.final_states, all.state_digest)
        == (e.schedules, e.failing, e.trace_digest, e.final_states, e.state_digest);
    let ok = all.complete.then_some(same);
    let text = format!(
        "{} schedules, {} failing, {} final states without the reduction",
        all.schedules, all.failing, all.final_states
    );
    Ok((said(ok, &text), ok))
}

fn said(ok: Option<bool>, text: &str) -> String {
    match ok {
        Some(true) => format!("ok       {text}\n"),
        Some(false) => format!("differs  {text}\n"),
        None => format!("?        too large to recount: {text} so far\n"),
    }
}
