//! `timerace kernels`: the modelled releases and their fixes.

use crate::args::{Common, Format};
use crate::commands::compare::rules;
use crate::fail::{Fail, code};
use crate::output;
use serde_json::json;
use timerace_kernel::KernelVersion;
use timerace_kernel::versions::{FIXES, releases};
use timerace_reports::compare::Rule;

/// Prints the table.
pub fn kernels(common: &Common) -> Result<u8, Fail> {
    let versions: Vec<KernelVersion> =
        releases().into_iter().filter_map(|r| KernelVersion::of(r).ok()).collect();
    if common.format == Format::Json {
        let kernels: Vec<_> = versions
            .iter()
            .map(|v| {
                let fixes: Vec<_> = v
                    .fixes()
                    .map(|f| json!({ "name": f.info().name, "commit": f.info().commit }))
                    .collect();
                json!({ "kernel": v.to_string(), "fixes": fixes })
            })
            .collect();
        output::print_json(&json!({ "schema": 1, "kernels": kernels }));
        return Ok(code::OK);
    }
    let mut text = String::from("kernel      what is new in the model\n");
    // A stable release is compared with the mainline release that it is based on.
    let mut before: Option<KernelVersion> = None;
    for v in &versions {
        let new = v.fixes().filter(|f| before.is_none_or(|b| !b.has(*f)));
        let new: Vec<&str> = new.map(|f| f.info().name).collect();
        let new = if new.is_empty() { "-".to_string() } else { new.join(", ") };
        text.push_str(&format!("{:<11} {new}\n", v.to_string()));
        if v.release().patch == 0 {
            before = Some(*v);
        }
    }
    text.push_str("\nfix                          commit        what it does\n");
    for f in &FIXES {
        let commit = f.commit.unwrap_or("-");
        text.push_str(&format!("{:<28} {commit:<13} {}\n", f.name, f.what));
    }
    text.push_str("\nAdd or remove one: --kernel v6.7 --with 0281b919e175\n");
    output::print(&text);
    Ok(code::OK)
}

/// Prints what two kernels differ in.
pub fn diff(common: &Common, a: &str, b: &str) -> Result<u8, Fail> {
    let kernel =
        |text: &str| KernelVersion::parse(text).map_err(|e| Fail::usage(format!("error: {e}")));
    let (a, b) = (kernel(a)?, kernel(b)?);
    let rules = rules(a, b);
    if common.format == Format::Json {
        let list = |added: bool| {
            let those = rules.iter().filter(|r| r.added == added);
            let one = |r: &Rule| json!({ "name": r.name, "commit": r.commit, "since": r.since, "what": r.what });
            those.map(one).collect::<Vec<_>>()
        };
        output::print_json(&json!({
            "schema": 1, "from": a.to_string(), "to": b.to_string(),
            "added": list(true), "removed": list(false),
        }));
        return Ok(code::OK);
    }
    let mut text = format!("{a} -> {b}\n");
    for r in &rules {
        let word = if r.added { "+" } else { "-" };
        let commit = r.commit.as_deref().unwrap_or("-");
        text.push_str(&format!("{word} {:<28} {commit:<13} {}\n", r.name, r.what));
    }
    if rules.is_empty() {
        text.push_str("no difference in the model\n");
    }
    output::print(&text);
    Ok(code::OK)
}
