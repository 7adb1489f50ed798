//! SARIF 2.1.0: failures for viewers that step through code flows. An interleaving is a code flow with one thread flow
//! per CPU; `executionOrder` runs across them.

use crate::certificate::sha256;
use crate::suite::{Check, Failure, FlowStep, SuiteCase};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The log of a suite. `version`: that of this program; `meaning`: what a kind of failure is, in one sentence.
pub fn sarif(cases: &[SuiteCase], version: &str, meaning: &dyn Fn(&str) -> String) -> Value {
    let all = || cases.iter().flat_map(|case| case.failures().map(move |(c, f)| (case, c, f)));
    let kinds: BTreeMap<&str, ()> = all().map(|(_, _, f)| (f.kind.as_str(), ())).collect();
    let rules: Vec<Value> = kinds
        .keys()
        .map(|kind| json!({ "id": kind, "shortDescription": { "text": meaning(kind) } }))
        .collect();
    let results: Vec<Value> = all().map(|(case, check, f)| result(case, check, f)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "timerace", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(case: &SuiteCase, check: &Check, f: &Failure) -> Value {
    let on = format!("{} on {}: {}", case.scenario, case.kernel, f.message);
    let key = [&case.scenario, &case.kernel, &check.name, &f.kind].map(String::as_str).join("\n");
    let mut result = json!({
        "ruleId": f.kind,
        "level": "error",
        "message": { "text": format!("{on}\nRepeat: {}", f.repeat) },
        "locations": [place(&case.file, check.line)],
        "partialFingerprints": { "timerace/v1": sha256(&key) },
    });
    if !f.flow.is_empty() {
        result["codeFlows"] = json!([{
            "message": { "text": f.schedule.as_ref().map_or_else(String::new, |s| format!("schedule {s}")) },
            "threadFlows": threads(&f.flow),
        }]);
    }
    result
}

/// One per CPU, in the order of their numbers; what belongs to no CPU comes last.
fn threads(flow: &[FlowStep]) -> Vec<Value> {
    let mut cpus: BTreeMap<u32, Vec<&FlowStep>> = BTreeMap::new();
    for step in flow {
        cpus.entry(step.cpu.map_or(u32::MAX, u32::from)).or_default().push(step);
    }
    let thread = |(cpu, steps): (&u32, &Vec<&FlowStep>)| {
        let id = if *cpu == u32::MAX { "other".to_string() } else { format!("CPU{cpu}") };
        let locations: Vec<Value> = steps.iter().map(|s| location(s)).collect();
        json!({ "id": id, "locations": locations })
    };
    cpus.iter().map(thread).collect()
}

fn location(step: &FlowStep) -> Value {
    let mut at = match &step.place {
        Some((file, line)) => place(file, *line),
        None => json!({}),
    };
    at["message"] = json!({ "text": step.text });
    if let Some(function) = &step.function {
        at["logicalLocations"] = json!([{ "name": function, "kind": "function" }]);
    }
    json!({
        "executionOrder": step.order,
        "nestingLevel": step.depth,
        "module": step.context,
        "location": at,
    })
}

fn place(file: &str, line: u32) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": { "startLine": line.max(1) },
        },
    })
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for b in path.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(b));
            }
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
