//! The scenario in which the rounds of a recording are played.

use super::Recording;

/// The map of the rounds. Fragments of load have names of their own.
pub(super) const TIMERS: &str = "calibrate_timers";
/// A round begins long after the one before is over; on an idle CPU nothing happens meanwhile.
const IDLE_DELAY_NS: u64 = 20_000_000;
const IDLE_SLEEP_NS: u64 = 2_000_000_000_000;
/// A delay of single timers is between a quarter and three quarters of this, so that they are due at any moment of a load;
/// or of so many times the lateness that nine of ten have, for most to be over before the next.
const SINGLE_NS: u64 = 1_000_000;
const LATE_TIMES: u64 = 4;
/// Under a load the longest delay of timers that are pending together. The longer, the more there is to simulate.
const TOGETHER_NS: u64 = 4_000_000;
/// And between their rounds.
const BETWEEN_NS: u64 = 1_000_000;
/// So many times of starts take turns with their timers: one that is very late is not started anew before it ran.
const TURNS: usize = 16;
const TURNS_TOGETHER: usize = 2;

/// When timers are started and due.
pub(super) struct Plan {
    /// Of a round.
    pub timers: usize,
    same_expiry: bool,
    /// From the start to the expiry, in nanoseconds; somewhere between.
    delay: (u64, u64),
    /// From the start of a round to that of the next, in nanoseconds; somewhere between.
    apart: (u64, u64),
    turns: usize,
}

impl Plan {
    /// On a CPU that does nothing else.
    pub fn idle(timers: usize, same_expiry: bool) -> Plan {
        Plan {
            timers,
            same_expiry,
            delay: (IDLE_DELAY_NS, IDLE_DELAY_NS),
            apart: (IDLE_SLEEP_NS, IDLE_SLEEP_NS),
            turns: 1,
        }
    }

    /// Under a load, which goes on meanwhile.
    pub fn loaded(r: &Recording) -> Plan {
        let late = LATE_TIMES * of_ten(r.rounds.iter().flatten().map(|s| s.late_ns()), 9);
        if r.timers() == 1 {
            return Plan::singles(SINGLE_NS.max(late));
        }
        let delays = r.rounds.iter().filter_map(|round| {
            let first = round.first()?;
            Some(first.expected.saturating_sub(first.armed))
        });
        let delay = of_ten(delays, 5).min(TOGETHER_NS);
        let over = delay + BETWEEN_NS.max(late);
        Plan {
            timers: r.timers(),
            same_expiry: r.same_expiry,
            delay: (delay, delay),
            apart: (over, over + BETWEEN_NS),
            turns: TURNS_TOGETHER,
        }
    }

    /// Single timers, to see whether they expire at all.
    pub fn trial() -> Plan {
        Plan::singles(SINGLE_NS)
    }

    fn singles(ns: u64) -> Plan {
        let delay = (ns / 4, ns / 4 * 3);
        Plan { timers: 1, same_expiry: false, delay, apart: (ns, 2 * ns), turns: TURNS }
    }

    /// What a round takes, on average.
    pub fn round_ns(&self) -> u64 {
        self.apart.0.midpoint(self.apart.1)
    }
}

/// The value that so many of ten do not exceed.
fn of_ten(of: impl Iterator<Item = u64>, n: usize) -> u64 {
    let mut of: Vec<u64> = of.collect();
    of.sort_unstable();
    of.get(of.len() * n / 10).copied().unwrap_or(0)
}

/// The scenario, for ever. The task that starts the timers does not wait for those of a load. `uses`: a fragment of load.
pub(super) fn text_of_rounds(plan: &Plan, uses: Option<&str>) -> String {
    let (timers, turns) = (plan.timers, plan.turns);
    let lines = |of: std::ops::Range<usize>, line: &dyn Fn(usize) -> String| -> String {
        of.map(line).collect()
    };
    let init = lines(0..timers * turns, &|k| {
        let init = format!("bpf_timer_init(\"{TIMERS}[{k}]\", CLOCK_MONOTONIC)");
        format!("{init},\nbpf_timer_set_callback(\"{TIMERS}[{k}]\", \"calibrate_cb\"),\n")
    });
    let range =
        |(a, b): (u64, u64)| if a == b { format!("{a}ns") } else { format!("{a}ns..{b}ns") };
    let delay = range(plan.delay);
    let (now, when) = match plan.same_expiry {
        true => (
            "let(\"now\", bpf_ktime_get_ns()),\n",
            format!("\"now + {delay}\", [BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN]"),
        ),
        false => ("", format!("\"{delay}\"")),
    };
    let prog = |name: &str, body: &str| {
        format!("\"calibrate_{name}\": (type: SYSCALL, body: [\n{body}]),\n")
    };
    let arm = lines(0..turns, &|turn| {
        let own = turn * timers..(turn + 1) * timers;
        let starts = lines(own, &|k| format!("bpf_timer_start(\"{TIMERS}[{k}]\", {when}),\n"));
        prog(&format!("arm{turn}"), &format!("{now}{starts}"))
    });
    let apart = range(plan.apart);
    let rounds = lines(0..turns, &|turn| {
        format!("prog_run(\"calibrate_arm{turn}\"), sleep(\"{apart}\"),\n")
    });
    let uses = uses.map_or(String::new(), |file| format!("use: [{file:?}],\n"));
    format!(
        "Scenario(schema: 1, name: \"round\", {uses}machine: (cpus: 1, tick: false),\n\
         maps: {{ \"{TIMERS}\": ARRAY(max_entries: {}) }},\n\
         progs: {{ {}{arm}\"calibrate_cb\": (type: TIMER_CB, body: []) }},\n\
         tasks: {{ \"calibrate_user\": (cpu: 0, sched: SCHED_FIFO(99), body: [\n\
         prog_run(\"calibrate_init\"), repeat(1_000_000_000, [\n{rounds}]) ]) }},\n\
         stop: idle)\n",
        timers * turns,
        prog("init", &init)
    )
}
