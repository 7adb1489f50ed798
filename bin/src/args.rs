//! The command line as it is written: plain facts, nothing opened or built.

use crate::examples;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use timerace_scenarios::config::Project;

/// Simulate and explore races of bpf_timer on a modelled kernel.
#[derive(Parser, Debug)]
#[command(name = "timerace", version, long_version = long_version(), about)]
#[command(
    after_help = "Exit codes: 0 every expectation holds, 1 one failed, 2 wrong usage or bad \
input, 3 inconclusive (a bound was hit), 4 nothing was run, 5 a replay diverged, 70 internal error, \
130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Reads the command line. Its own messages keep to `--color` too, which is not known before.
pub fn parse() -> Result<Cli, clap::Error> {
    use clap::{ColorChoice, CommandFactory, FromArgMatches};
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let plain = words.windows(2).any(|w| w[0] == "--color" && w[1] == "never")
        || words.iter().any(|w| w == "--color=never");
    let colour = if plain { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = Cli::command().color(colour).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// Flags that every command takes.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// What is printed: human, or json (one object, keys sorted); `check` also has short (a line per message, as compilers
    /// print them), `run` also rtla (the histogram of `rtla timerlat hist`) and timehist (a line per expiry, in the manner
    /// of `perf sched timehist`).
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, hide_possible_values = true)]
    pub format: Format,
    /// Folder for results; one that an earlier run wrote is replaced as a whole, any other is left alone.
    #[arg(short = 'o', long = "out", global = true, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads; the result is the same for any number.
    #[arg(short = 'j', long = "jobs", global = true, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// Colour of messages: auto (on a terminal, unless NO_COLOR is set), always or never.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "TIMERACE_COLOR",
          hide_possible_values = true)]
    pub color: Color,
    /// Colours of pictures: light or dark; without it light, and pages follow the system.
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    pub theme: Option<ThemeArg>,
    /// A PNG beside every SVG file.
    #[arg(long, global = true)]
    pub png: bool,
    /// Columns of the interleaving; made to be pasted into mail.
    #[arg(long, global = true, value_name = "N", default_value_t = 75,
          value_parser = clap::value_parser!(u16).range(40..=400))]
    pub width: u16,
    /// No progress, no notes.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More about what was read and chosen.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Wall time on stderr (and in JUnit); results never hold any.
    #[arg(long, global = true)]
    pub timing: bool,
    /// The configuration of the working directory; no flag.
    #[arg(skip)]
    pub project: Arc<Project>,
}

/// Form of the output.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Human,
    /// One JSON object, keys sorted.
    Json,
    /// `check` only: one line per message, as compilers print them.
    Short,
    /// `run` only: the histogram in the shape of `rtla timerlat hist`.
    Rtla,
    /// `run` only: a line per expiry with three intervals, in the manner of `perf sched timehist`.
    Timehist,
}

/// On which page pictures will stand.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThemeArg {
    /// White.
    Light,
    /// Nearly black.
    Dark,
}

impl ThemeArg {
    /// Its colours.
    pub fn of(self) -> timerace_reports::theme::Theme {
        match self {
            ThemeArg::Light => timerace_reports::theme::Theme::Light,
            ThemeArg::Dark => timerace_reports::theme::Theme::Dark,
        }
    }
}

/// When to use colour.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which kernel to model.
#[derive(Args, Debug, Clone, Default)]
pub struct KernelArgs {
    /// A release such as v6.7 or v6.1.192, or one with fixes: v6.7+0281b919e175.
    #[arg(long, value_name = "V", env = "TIMERACE_KERNEL")]
    pub kernel: Option<String>,
    /// Add a fix, by its 12-digit commit id or its name; repeat for more.
    #[arg(long, value_name = "FIX")]
    pub with: Vec<String>,
    /// Remove a fix; repeat for more.
    #[arg(long, value_name = "FIX")]
    pub without: Vec<String>,
}

/// Which kernels to model.
#[derive(Args, Debug, Clone, Default)]
pub struct KernelsArgs {
    /// A release, a range such as v6.7..v6.9, or v6.7+0281b919e175; repeat for more.
    #[arg(long, value_name = "V", env = "TIMERACE_KERNEL", value_delimiter = ',')]
    pub kernel: Vec<String>,
    /// Add a fix, by its 12-digit commit id or its name; repeat for more.
    #[arg(long, value_name = "FIX")]
    pub with: Vec<String>,
    /// Remove a fix; repeat for more.
    #[arg(long, value_name = "FIX")]
    pub without: Vec<String>,
}

/// A scenario file and what to put into it.
#[derive(Args, Debug, Clone)]
pub struct FileArgs {
    /// The scenario; `-` reads standard input.
    pub file: PathBuf,
    /// Replace a parameter of the scenario; repeat for more.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (k, v) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((k.to_string(), v.to_string()))
}

/// Inclusive range of seeds: `A..B`.
fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (a, b) = text.split_once("..").ok_or("expected A..B, both ends included")?;
    let number = |t: &str| t.parse::<u64>().map_err(|_| format!("`{t}` is not a number"));
    let (a, b) = (number(a)?, number(b)?);
    if a > b { Err(format!("{a} is greater than {b}")) } else { Ok((a, b)) }
}

/// Bytes, with K, M, G or T for powers of 1024: `512M`.
fn size(text: &str) -> Result<u64, String> {
    let bad =
        || format!("`{text}` is no size: a number of bytes, or one with K, M, G or T behind it");
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find(|u| text.to_ascii_uppercase().ends_with(u.0));
    let digits = unit.map_or(text, |_| &text[..text.len() - 1]);
    let n: u64 = digits.parse().map_err(|_| bad())?;
    n.checked_mul(1 << unit.map_or(0, |u| u.1)).filter(|n| *n > 0).ok_or_else(bad)
}

/// A number of preemptions, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preemptions {
    /// No bound.
    All,
    /// At most so many.
    AtMost(u32),
}

fn preemptions(text: &str) -> Result<Preemptions, String> {
    if text == "all" {
        return Ok(Preemptions::All);
    }
    let n = text.parse().map_err(|_| format!("`{text}` is neither a number nor `all`"))?;
    Ok(Preemptions::AtMost(n))
}

/// How to answer at choice points.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyArg {
    /// Every inequivalent schedule.
    Exhaustive,
    /// Uniformly random choices.
    Random,
    /// Random priorities with few change points.
    Pct,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a built-in race; nothing else needed
    #[command(after_help = examples::DEMO)]
    Demo {
        /// Which; without it the first of the list.
        name: Option<String>,
        /// Print the names of all built-in scenarios.
        #[arg(long)]
        list: bool,
    },
    /// Write a commented scenario to start from
    #[command(after_help = examples::NEW)]
    New {
        /// What kind of scenario.
        #[arg(long, value_enum, default_value_t = Kind::Cancel)]
        kind: Kind,
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Read scenarios and report every problem; run nothing
    #[command(after_help = examples::CHECK)]
    Check {
        /// Scenario files; `-` reads standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        kernel: KernelsArgs,
        /// Replace a parameter of the scenario; repeat for more.
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        set: Vec<(String, String)>,
        /// Upgrade files of an older schema to the newest one; comments stay.
        #[arg(long)]
        fix: bool,
    },
    /// One timed, deterministic execution: what happened, and how late timers were
    #[command(after_help = examples::RUN)]
    Run {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        kernel: KernelArgs,
        /// What steps cost, instead of the generic costs.
        #[arg(long, value_name = "FILE")]
        costs: Option<PathBuf>,
        /// All draws follow from it.
        #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
        seed: u64,
        /// The same for each seed, both ends included.
        #[arg(long, value_name = "A..B", value_parser = seeds)]
        seeds: Option<(u64, u64)>,
        /// So much virtual time, such as 10s, instead of what `stop` of the scenario says.
        #[arg(long = "for", value_name = "DURATION", value_parser = timerace_scenarios::length)]
        length: Option<u64>,
        /// What tracepoints say: trace.txt in the folder of -o, or instead of the result on standard output.
        #[arg(long, value_enum, value_name = "KIND", conflicts_with = "seeds")]
        trace: Option<TraceArg>,
    },
    /// Every inequivalent interleaving within the bounds, or a sample
    #[command(after_help = examples::EXPLORE)]
    Explore {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        kernel: KernelArgs,
        #[command(flatten)]
        search: SearchArgs,
        /// What steps cost, instead of the generic costs: for `timing: Respect`, and for how wide windows are.
        #[arg(long, value_name = "FILE")]
        costs: Option<PathBuf>,
        /// Draw every step of the interleaving.
        #[arg(long)]
        full: bool,
    },
    /// One schedule again, step by step
    #[command(after_help = examples::REPLAY)]
    Replay {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        kernel: KernelArgs,
        /// The short text (`1x4,2x7,1`) or the path of a schedule.ron.
        #[arg(long, value_name = "S")]
        schedule: String,
        /// Ticks that may come at any point, as in the search.
        #[arg(long, value_name = "N")]
        irqs: Option<u32>,
        /// Stop after this step.
        #[arg(long, value_name = "N")]
        until: Option<u32>,
        /// Print every step, also those that belong to another.
        #[arg(long)]
        full: bool,
    },
    /// Pictures and pages of a saved result again
    #[command(after_help = examples::REPORT)]
    Report {
        /// A folder that -o wrote, or its result.json.
        path: PathBuf,
        /// Only this file, such as race.svg; the others stay.
        #[arg(long, value_name = "FILE")]
        only: Option<String>,
    },
    /// The smallest schedule, then the smallest scenario, that still shows the same finding
    #[command(after_help = examples::SHRINK)]
    Shrink {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        kernel: KernelArgs,
        /// A schedule that shows it: the short text (`1x4,2x7,1`) or the path of a schedule.ron.
        #[arg(long, value_name = "S")]
        schedule: String,
    },
    /// Search again as a certificate says, and compare
    #[command(after_help = examples::VERIFY)]
    Verify {
        /// A certificate.json of `explore`.
        file: PathBuf,
        /// Count again without the reduction, where that is small enough.
        #[arg(long)]
        recount: bool,
    },
    /// Expectations of many scenarios, on one or more kernels
    #[command(after_help = examples::TEST)]
    Test(TestArgs),
    /// Run or explore a scenario over a grid of its parameters
    #[command(after_help = examples::SWEEP)]
    Sweep {
        #[command(flatten)]
        file: FileArgs,
        /// A parameter with its values, instead of those of the file: NAME=FROM..TO/STEP or NAME=VALUE,VALUE; repeat for more.
        #[arg(long, value_name = "AXIS", value_parser = timerace_scenarios::grid::Axis::parse)]
        axis: Vec<timerace_scenarios::grid::Axis>,
        /// A release, a range such as v6.7..v6.9, or v6.7+0281b919e175; several are an axis of their own.
        #[arg(long, value_name = "V", env = "TIMERACE_KERNEL", value_delimiter = ',')]
        kernel: Vec<String>,
        /// Add a fix, by its 12-digit commit id or its name; repeat for more.
        #[arg(long, value_name = "FIX")]
        with: Vec<String>,
        /// Remove a fix; repeat for more.
        #[arg(long, value_name = "FIX")]
        without: Vec<String>,
        /// What to do in each cell; without it, scenarios with `stop:` are run, all others explored.
        #[arg(long, value_enum)]
        mode: Option<Mode>,
        #[command(flatten)]
        search: SearchArgs,
        /// Timed runs: one for each seed, both ends included, instead of one with --seed.
        #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
        seeds: Option<(u64, u64)>,
        /// Timed runs: what steps cost, instead of the generic costs.
        #[arg(long, value_name = "FILE")]
        costs: Option<PathBuf>,
    },
    /// Play recordings of real kernels on the model and compare
    #[command(after_help = examples::CONFORM)]
    Conform {
        /// Recordings; a name that ends in `.gz` is unpacked.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only cases whose id contains this.
        #[arg(short = 'k', value_name = "PATTERN")]
        pattern: Option<String>,
    },
    /// Fit the costs of timed runs to latency samples or traces of a real machine
    #[command(after_help = examples::CALIBRATE)]
    Calibrate {
        /// Latency samples (CSV, also of a run), text of ftrace or of trace-cmd; a name that ends in `.gz` is unpacked.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        kernel: KernelArgs,
        /// Costs that the recordings do not tell, instead of the generic ones.
        #[arg(long, value_name = "FILE")]
        costs: Option<PathBuf>,
        /// What the machine did besides: a fragment of background load (it can use others), of this name or built in.
        /// Costs are those of the machine without it.
        #[arg(long, value_name = "FILE")]
        load: Option<PathBuf>,
        /// Replace a parameter of the load; repeat for more.
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, requires = "load")]
        set: Vec<(String, String)>,
        /// What the costs are called.
        #[arg(long, default_value = "calibrated")]
        name: String,
    },
    /// Two kernels, or two settings: verdicts, where the same schedule goes two ways, latencies
    #[command(after_help = examples::COMPARE)]
    Compare(CompareArgs),
    /// Versions, the fixes each has, commit ids
    #[command(after_help = examples::KERNELS)]
    Kernels {
        /// Without it, the table.
        #[command(subcommand)]
        what: Option<KernelsWhat>,
    },
    /// Help on codes, bug classes, helpers, words of scenarios, rules of the model, kernels, built-in scenarios
    #[command(after_help = examples::EXPLAIN)]
    Explain {
        /// Such as E0103, USE_AFTER_FREE or bpf_timer_cancel; without it the list.
        topic: Option<String>,
    },
    /// Write man pages, completions, or the reference of scenario files
    #[command(hide = true)]
    Gen {
        /// Which.
        #[arg(value_enum)]
        kind: GenKind,
        /// The folder to write them to.
        dir: PathBuf,
    },
}

/// What is made from the definition of the command line.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenKind {
    /// Man pages.
    Man,
    /// Completions of shells.
    Completions,
    /// The page of the manual that lists the words of scenario files.
    Reference,
}

/// The versions of everything that results depend on.
fn long_version() -> &'static str {
    use timerace_kernel::versions::{MAINLINE, releases};
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| {
        let name =
            |r: Option<&timerace_kernel::Release>| r.map_or_else(String::new, ToString::to_string);
        let stable: Vec<String> =
            releases().iter().filter(|r| r.patch > 0).map(ToString::to_string).collect();
        format!(
            "{}\nkernels {} to {}, {}\nscenario schema {}, result schema {}",
            env!("CARGO_PKG_VERSION"),
            name(MAINLINE.first()),
            name(MAINLINE.last()),
            stable.join(", "),
            timerace_scenarios::upgrade::NEWEST,
            timerace_reports::json::SCHEMA,
        )
    })
}

/// What is asked about kernels.
#[derive(Subcommand, Debug)]
pub enum KernelsWhat {
    /// The fixes that only one of two kernels has
    Diff {
        /// The first one, such as v6.7.
        a: String,
        /// The second one.
        b: String,
    },
}

/// What to compare.
#[derive(Args, Debug, Clone)]
pub struct CompareArgs {
    /// Two kernels, such as v6.7..v6.8 or v6.7..v6.7+0281b919e175, and the scenario; with --versus the scenario alone.
    #[arg(required = true, num_args = 1..=2, value_names = ["A..B", "FILE"])]
    pub what: Vec<String>,
    /// Replace a parameter of the scenario, on both sides.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Replace a parameter on the second side only.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub versus: Vec<(String, String)>,
    /// The kernel of both sides.
    #[arg(long, value_name = "V", env = "TIMERACE_KERNEL")]
    pub kernel: Option<String>,
    /// Add a fix on both sides.
    #[arg(long, value_name = "FIX")]
    pub with: Vec<String>,
    /// Remove a fix on both sides.
    #[arg(long, value_name = "FIX")]
    pub without: Vec<String>,
    /// Seeds of the timed runs, both ends included; without it 1..10.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<(u64, u64)>,
    /// What to do; without it, scenarios with `stop:` are run, all others explored and run.
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Run at most this many schedules on each side.
    #[arg(long, value_name = "N")]
    pub max_schedules: Option<u64>,
}

/// What a sweep does in each cell.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Timed runs.
    Run,
    /// Searches.
    Explore,
}

/// Which text of a trace.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceArg {
    /// That of the kernel's ftrace.
    Ftrace,
}

/// What to test, and what to write about it.
#[derive(Args, Debug, Clone, Default)]
pub struct TestArgs {
    /// Scenario files, saved schedules, and folders of them.
    pub paths: Vec<PathBuf>,
    /// The kernels.
    #[command(flatten)]
    pub kernels: KernelsArgs,
    /// Only scenarios whose name contains this; repeat for more.
    #[arg(short = 'k', value_name = "PATTERN")]
    pub pattern: Vec<String>,
    /// Run at most this many schedules of each.
    #[arg(long, value_name = "N")]
    pub max_schedules: Option<u64>,
    /// Most memory for each table of states of each, such as 512M; without it 4G.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<u64>,
    /// Replace a parameter of those scenarios that have it.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Scenarios with parameters of several values: at most so many combinations of each.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_cells: u64,
    /// Only the K-th of N parts; a case keeps its part when others come and go.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Print KTAP instead of the table.
    #[arg(long)]
    pub ktap: bool,
    /// Write JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write SARIF, with a code flow for each interleaving.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Say failures where a CI system shows them at their lines; auto: under GitHub Actions.
    #[arg(long, value_enum, default_value_t = Annotations::Auto)]
    pub annotations: Annotations,
    /// Exit with 0 although a bound was hit before all was decided.
    #[arg(long)]
    pub allow_inconclusive: bool,
    /// Exit codes of kselftest: 0 pass, 1 fail, 4 skip.
    #[arg(long)]
    pub ksft_exit: bool,
    /// Write the `golden:` digests of the named scenarios anew, and show what is different; not in CI.
    #[arg(long)]
    pub bless: bool,
}

/// For whom failures are annotated.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Annotations {
    /// GitHub, under GitHub Actions.
    #[default]
    Auto,
    /// GitHub: `::error` lines, and the matrix in the step summary.
    Github,
    /// Nobody.
    None,
}

/// A part of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((number, of)) if 1 <= number && number <= of => Ok(Shard { number, of }),
        _ => Err("expected K/N, with K from 1 to N".to_string()),
    }
}

/// How to search.
#[derive(Args, Debug, Clone)]
pub struct SearchArgs {
    /// Who answers at choice points.
    #[arg(long, value_enum)]
    pub policy: Option<PolicyArg>,
    /// At most so many preemptions, or `all`.
    #[arg(long, value_name = "N|all", value_parser = preemptions)]
    pub preemptions: Option<Preemptions>,
    /// Ticks that may come at any point.
    #[arg(long, value_name = "N")]
    pub irqs: Option<u32>,
    /// Run at most this many schedules.
    #[arg(long, value_name = "N")]
    pub max_schedules: Option<u64>,
    /// Most memory for each table of states, such as 512M; without it 4G.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<u64>,
    /// Go on after the first schedule with a finding.
    #[arg(long)]
    pub keep_going: bool,
    /// Seed of random and pct.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Default for SearchArgs {
    /// What a command line without any of these flags says.
    fn default() -> SearchArgs {
        SearchArgs {
            policy: None,
            preemptions: None,
            irqs: None,
            max_schedules: None,
            max_memory: None,
            keep_going: false,
            seed: 1,
        }
    }
}

impl SearchArgs {
    /// The flags as they are written.
    pub fn flags(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(v) = value {
                all.extend([format!("--{name}"), v]);
            }
        };
        let policy = self.policy.and_then(|p| p.to_possible_value());
        flag("policy", policy.map(|p| p.get_name().to_string()));
        flag(
            "preemptions",
            self.preemptions.map(|p| match p {
                Preemptions::All => "all".to_string(),
                Preemptions::AtMost(n) => n.to_string(),
            }),
        );
        flag("max-schedules", self.max_schedules.map(|n| n.to_string()));
        flag("max-memory", self.max_memory.map(|n| n.to_string()));
        if self.keep_going {
            all.push("--keep-going".to_string());
        }
        if self.seed != 1 {
            all.extend(["--seed".to_string(), self.seed.to_string()]);
        }
        all
    }
}

/// What `new` writes.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A periodic timer and its latency.
    Periodic,
    /// A cancel that races with a delete.
    Cancel,
    /// The last user reference goes while a timer is armed.
    Uref,
    /// An eviction from a full LRU map meets a running callback.
    Lru,
    /// A small concurrency pattern in raw steps.
    Raw,
}
