//! What is effective and why: a flag, the environment, the scenario, timerace.ron, or the default, in this order.

use crate::args::{Color, Common, KernelsArgs, PolicyArg, Preemptions, SearchArgs};
use crate::fail::Fail;
use crate::session::{KernelError, choose_kernel, kernels};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use timerace_core::timed::Costs;
use timerace_scenarios::ast::{ParamValue, PolicyKind, Preemptions as Declared, Scenario};
use timerace_scenarios::config::CONFIG;
use timerace_scenarios::costs;

/// Folder of results where nothing else is said.
const OUT: &str = "timerace-out";

/// The flags of a search, completed by what timerace.ron says and the scenario leaves open.
pub fn search(common: &Common, scenario: &Scenario, args: &SearchArgs) -> SearchArgs {
    let file = &common.project.config.explore;
    let own = &scenario.explore;
    let mut args = args.clone();
    if own.policy.is_none() {
        args.policy = args.policy.or_else(|| file.policy.map(|p| policy(p.node)));
    }
    if own.preemptions.is_none() {
        args.preemptions = args.preemptions.or_else(|| file.preemptions.map(|p| bound(p.node)));
    }
    if own.max_schedules.is_none() {
        args.max_schedules = args.max_schedules.or_else(|| file.max_schedules.map(|n| n.node));
    }
    args.irqs = args.irqs.or_else(|| irqs(common, scenario));
    args
}

/// Ticks that timerace.ron allows and the scenario does not speak of.
pub fn irqs(common: &Common, scenario: &Scenario) -> Option<u32> {
    let file = common.project.config.explore.irqs;
    file.filter(|_| scenario.explore.irqs.is_none()).map(|n| n.node)
}

/// The file of costs: that of the flag, else that of timerace.ron.
pub fn costs(common: &Common, flag: Option<&Path>) -> Option<PathBuf> {
    let file = || common.project.config.costs.as_ref().map(|p| common.project.path(p));
    flag.map(Path::to_path_buf).or_else(file)
}

/// The folder below which results go without `-o`.
pub fn out(common: &Common) -> PathBuf {
    common.project.config.out.as_ref().map_or_else(|| OUT.into(), |p| common.project.path(p))
}

fn policy(kind: PolicyKind) -> PolicyArg {
    match kind {
        PolicyKind::Exhaustive => PolicyArg::Exhaustive,
        PolicyKind::Random => PolicyArg::Random,
        PolicyKind::Pct => PolicyArg::Pct,
    }
}

fn bound(declared: Declared) -> Preemptions {
    match declared {
        Declared::All => Preemptions::All,
        Declared::AtMost(n) => Preemptions::AtMost(n),
    }
}

/// A value with its origin.
pub struct Setting {
    /// What is set.
    pub name: String,
    /// To what.
    pub value: String,
    /// By what: `--kernel`, `TIMERACE_KERNEL`, `scenario`, the path of timerace.ron, `default`.
    pub from: String,
}

/// Where a value comes from.
struct Origins<'c> {
    common: &'c Common,
}

impl Origins<'_> {
    /// The first that is there counts.
    fn pick(
        &self,
        name: &str,
        given: Option<(String, &str)>,
        own: Option<String>,
        file: Option<String>,
        default: &str,
    ) -> Setting {
        let config = self
            .common
            .project
            .file
            .as_ref()
            .map_or(CONFIG.to_string(), |p| p.display().to_string());
        let (value, from) = match (given, own, file) {
            (Some((value, from)), ..) => (value, from.to_string()),
            (None, Some(value), _) => (value, "scenario".to_string()),
            (None, None, Some(value)) => (value, config),
            (None, None, None) => (default.to_string(), "default".to_string()),
        };
        Setting { name: name.to_string(), value, from }
    }
}

/// Every effective value for a scenario: what `test`, `run` and `explore` would take.
pub fn effective(
    common: &Common,
    scenario: &Scenario,
    args: &KernelsArgs,
) -> Result<Vec<Setting>, Fail> {
    let o = Origins { common };
    let file = &common.project.config;
    let own = &scenario.explore;
    let shown = |p: Declared| match p {
        Declared::All => "all".to_string(),
        Declared::AtMost(n) => n.to_string(),
    };
    let name = |p: PolicyKind| {
        policy(p).to_possible_value().map_or(String::new(), |v| v.get_name().to_string())
    };
    let number = |n: u64| n.to_string();
    let mut all = vec![
        kernel(&o, scenario, args)?,
        o.pick(
            "policy",
            None,
            own.policy.map(|p| name(p.node)),
            file.explore.policy.map(|p| name(p.node)),
            "exhaustive",
        ),
        o.pick(
            "preemptions",
            None,
            own.preemptions.map(|p| shown(p.node)),
            file.explore.preemptions.map(|p| shown(p.node)),
            "all",
        ),
        o.pick(
            "irqs",
            None,
            own.irqs.map(|n| number(n.node.into())),
            file.explore.irqs.map(|n| number(n.node.into())),
            "0",
        ),
        o.pick(
            "max_schedules",
            None,
            own.max_schedules.map(|n| number(n.node)),
            file.explore.max_schedules.map(|n| number(n.node)),
            "no limit",
        ),
        costs_setting(&o)?,
        o.pick(
            "out",
            common.out.as_ref().map(|dir| (dir.display().to_string(), "--out")),
            None,
            file.out.as_ref().map(|_| out(common).display().to_string()),
            OUT,
        ),
        color(&o),
    ];
    for (name, param) in &scenario.params {
        let from = match (&param.value, param.set) {
            (_, true) => "--set".to_string(),
            (ParamValue::Fixed(_), false) => "scenario".to_string(),
            (values, false) => format!("scenario, the first of {}", values.len()),
        };
        all.push(Setting { name: format!("${}", name.node), value: param.chosen.clone(), from });
    }
    Ok(all)
}

fn kernel(o: &Origins<'_>, scenario: &Scenario, args: &KernelsArgs) -> Result<Setting, Fail> {
    let list = |texts: &[String]| -> Result<Option<String>, Fail> {
        let all = kernels(texts, &args.with, &args.without)?;
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        Ok((!names.is_empty()).then(|| names.join(", ")))
    };
    let flag = std::env::args().any(|a| a == "--kernel" || a.starts_with("--kernel="));
    let from = if flag { "--kernel" } else { "TIMERACE_KERNEL" };
    let given = list(&args.kernel)?.map(|names| (names, from));
    let configured: Vec<String> =
        o.common.project.config.kernels.iter().map(|k| k.node.clone()).collect();
    let named = crate::args::KernelArgs {
        kernel: None,
        with: args.with.clone(),
        without: args.without.clone(),
    };
    let own = choose_kernel(scenario, &named).map_err(|e| match e {
        KernelError::Usage(m) => Fail::usage(m),
        KernelError::File(d) => Fail::usage(d.message),
    })?;
    let declared = scenario.kernel.as_ref().map(|_| own.to_string());
    let file = list(&configured)?.map(|names| format!("{names} (test only)"));
    Ok(o.pick("kernel", given, declared, file, &own.to_string()))
}

fn costs_setting(o: &Origins<'_>) -> Result<Setting, Fail> {
    let file = costs(o.common, None);
    let name = match &file {
        Some(path) => {
            let read = costs::read(path).map_err(|e| Fail::usage(e.to_string()))?;
            Some(format!("{} ({})", read.name, path.display()))
        }
        None => None,
    };
    Ok(o.pick("costs", None, None, name, &Costs::default().name))
}

fn color(o: &Origins<'_>) -> Setting {
    let name = |c: Color| c.to_possible_value().map_or(String::new(), |v| v.get_name().to_string());
    let flag = std::env::args().any(|a| a == "--color" || a.starts_with("--color="));
    let variable = std::env::var_os("TIMERACE_COLOR").is_some();
    let given = match (flag, variable) {
        (true, _) => Some((name(o.common.color), "--color")),
        (false, true) => Some((name(o.common.color), "TIMERACE_COLOR")),
        (false, false) => None,
    };
    o.pick("color", given, None, None, "auto")
}
