//! What an exhaustive search claims, so that anybody can check it: `certificate.json`.
//!
//! It holds the scenario's text and the arguments, so it needs no other file; the counts and the digests do not depend on
//! the order of the search, on the number of threads or on the way of counting.

use crate::cover::Scope;
use crate::json::{self, ExploreResult};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use timerace_core::result::Engine;

/// What a certificate is made of.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// The result of the search.
    pub result: &'a ExploreResult,
    /// The scenario file as it was named.
    pub file: &'a str,
    /// The text of the scenario.
    pub source: &'a str,
    /// The texts of the fragments that it uses, by name.
    pub fragments: &'a BTreeMap<String, String>,
    /// Arguments of `explore` after the file.
    pub args: &'a [String],
    /// Version of the program.
    pub version: &'a str,
    /// Contexts of the machine.
    pub contexts: usize,
    /// Objects of shared memory at the start.
    pub objects: usize,
    /// SHA-256 of the scenario after expansion: comments, spelling and the order of maps do not change it.
    pub scenario_digest: &'a str,
    /// Fixes of the modelled kernel, by name.
    pub fixes: &'a [&'static str],
    /// What the scenario puts into the world, and what is not looked at.
    pub scope: &'a Scope,
    /// Name and text of what steps cost, where that is not generic.
    pub costs: Option<(&'a str, String)>,
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    let mut out = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

impl Certificate<'_> {
    /// The object, with the keys of `explore` and those that a check needs.
    pub fn value(&self) -> Value {
        let e = &self.result.exploration;
        let mut v = json::explore(self.result);
        v["kind"] = json!("certificate");
        v["version"] = json!(self.version);
        v["args"] = json!(self.args);
        v["source"] = json!(self.source);
        v["source_sha256"] = json!(sha256(self.source));
        // Their names are relative to that of the file.
        if !self.fragments.is_empty() {
            v["file"] = json!(self.file);
            v["fragments"] = json!(self.fragments);
        }
        v["contexts"] = json!(self.contexts);
        v["objects"] = json!(self.objects);
        v["scenario_digest"] = json!(self.scenario_digest);
        v["fixes"] = json!(self.fixes);
        v["model_digest"] = json!(sha256(&self.model()));
        v["costs"] = match &self.costs {
            Some((name, text)) => json!({ "name": name, "text": text }),
            None => Value::Null,
        };
        v["reductions"] = json!(reductions(e.engine));
        v["longest"] = json!(e.longest);
        v["scope"] = self.scope();
        v["blocked"] = json!(e.blocked);
        v["stuck"] = json!(e.stuck);
        v["final_states"] = json!(e.final_states);
        v["state_digest"] = json!(format!("{:016x}", e.state_digest));
        v["trace_digest"] = json!(format!("{:016x}", e.trace_digest));
        v
    }
}

impl Certificate<'_> {
    /// What tells one model from another: the program's version, the release and its fixes.
    fn model(&self) -> String {
        format!("{} {} {}", self.version, self.result.kernel, self.fixes.join(" "))
    }

    fn scope(&self) -> Value {
        let s = self.scope;
        json!({
            "cpus": s.cpus,
            "tasks": s.tasks,
            "programs": s.programs,
            "map_entries": s.map_entries,
            "irqs": s.irqs,
            "timing": s.timing,
            "memory": s.memory,
            "not_covered": s.not_covered,
        })
    }
}

/// What an engine leaves out without losing anything.
fn reductions(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Traces => &["source sets", "sleep sets"],
        Engine::States => &["state matching", "sleep sets", "symmetry"],
        Engine::Layers => &["state matching"],
        Engine::Sample => &[],
    }
}

/// Where two certificates differ, one line for each key: what is claimed, and what is.
pub fn differences(claimed: &Value, is: &Value) -> Vec<String> {
    let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default();
    let mut all: Vec<String> = keys(claimed);
    all.extend(keys(is));
    all.sort();
    all.dedup();
    let differs = all.iter().filter(|k| claimed[k.as_str()] != is[k.as_str()]);
    differs
        .map(|k| format!("{k}: claimed {}, is {}", claimed[k.as_str()], is[k.as_str()]))
        .collect()
}
