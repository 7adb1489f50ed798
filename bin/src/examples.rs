//! What the help of each command shows. A test reads every line of it as a command line.

/// Examples by command; texts of clap's `after_help`.
pub const DEMO: &str = "\
Examples:
  timerace demo                    the first race of the list, and its fix
  timerace demo r09 -o here        another one, with its pictures and its scenario
  timerace demo --list             all of them";

/// Of `new`.
pub const NEW: &str = "\
Examples:
  timerace new --kind cancel a.ron     a cancel that races with a delete
  timerace new --kind periodic p.ron   a periodic timer and limits on its latency";

/// Of `check`.
pub const CHECK: &str = "\
Examples:
  timerace check a.ron b.ron             everything that is wrong with them
  timerace check --kernel v6.6 a.ron     and what this kernel lacks
  timerace check --format short a.ron    one line per message, for editors";

/// Of `run`.
pub const RUN: &str = "\
Examples:
  timerace run p.ron                         how late are callbacks, and why
  timerace run p.ron --seed 7 -o out         with pictures and rows
  timerace run p.ron --for 10s               ten seconds of virtual time
  timerace run p.ron --seeds 1..100 -j 2     a hundred runs
  timerace run p.ron --costs lab/costs.ron   with the costs of your machine";

/// Of `explore`.
pub const EXPLORE: &str = "\
Examples:
  timerace explore a.ron --kernel v6.7                      until the first bug
  timerace explore a.ron --kernel v6.7 --with 0281b919e175  the same kernel with one fix
  timerace explore a.ron --keep-going -j 2                  all distinct bugs
  timerace explore a.ron --policy pct --max-schedules 5000  a sample of something big";

/// Of `replay`.
pub const REPLAY: &str = "\
Examples:
  timerace replay a.ron --kernel v6.7 --schedule 1x12,2      step by step
  timerace replay a.ron --schedule out/schedule.ron          what explore has saved
  timerace replay a.ron --schedule 1x12,2 --until 20 --full  every step up to the 20th";

/// Of `shrink`.
pub const SHRINK: &str = "\
Examples:
  timerace shrink a.ron --kernel v6.7 --schedule 1x12,2    the least that shows the same
  timerace shrink a.ron --schedule out/schedule.ron -o less";

/// Of `test`.
pub const TEST: &str = "\
Examples:
  timerace test scenarios/                              a suite
  timerace test scenarios/ --kernel v6.7..v6.12 -j 2    the matrix
  timerace test scenarios/ --junit junit.xml --ktap     for CI
  timerace test scenarios/ --shard 1/4                  a quarter of it
  timerace test out/schedule.ron                        a saved schedule again

A schedule.ron that explore has saved is a test: on its own kernel it must fit and show
what the scenario expects, on others it is followed as far as it fits.";

/// Of `sweep`.
pub const SWEEP: &str = "\
Examples:
  timerace sweep a.ron                                    the parameters of the file
  timerace sweep a.ron --axis cb_len=1us..12us/1us        others
  timerace sweep p.ron --kernel v6.6..v6.12 --seeds 1..5  timed runs over kernels";

/// Of `report`.
pub const REPORT: &str = "\
Examples:
  timerace report out --theme dark -o out-dark   the same pictures for a dark page
  timerace report out --only race.txt            one file; the others stay";

/// Of `verify`.
pub const VERIFY: &str = "\
Examples:
  timerace verify out/certificate.json             search again and compare
  timerace verify out/certificate.json --recount   and count without the reduction";

/// Of `conform`.
pub const CONFORM: &str = "\
Examples:
  timerace conform cases-6.1.jsonl.gz            the model against recordings of v6.1
  timerace conform cases-6.1.jsonl.gz -k cancel  only some of them";

/// Of `calibrate`.
pub const CALIBRATE: &str = "\
Examples:
  timerace calibrate samples.csv -o lab1                   costs of your machine
  timerace calibrate trace.txt --kernel v6.12 -o lab1      from text of ftrace
  timerace calibrate samples.csv --load noise.ron -o lab1  that had this load, without it
  timerace run p.ron --costs lab1/costs.ron                and what they are for";

/// Of `compare`.
pub const COMPARE: &str = "\
Examples:
  timerace compare v6.7..v6.8 a.ron                        two releases
  timerace compare v6.7..v6.7+0281b919e175 a.ron           a release, and with one fix
  timerace compare p.ron --versus period=50us --seeds 1..20
  timerace compare v6.7..v6.8 a.ron --format json";

/// Of `kernels`.
pub const KERNELS: &str = "\
Examples:
  timerace kernels
  timerace kernels diff v6.7 v6.8       what the second has and the first has not
  timerace kernels --format json";

/// Of `explain`.
pub const EXPLAIN: &str = "\
Examples:
  timerace explain                      the list
  timerace explain E0103                a code of a message
  timerace explain USE_AFTER_FREE       a class of findings
  timerace explain bpf_timer_cancel     a helper
  timerace explain memory               a rule of the machine
  timerace explain 0281b919e175         a fix, and which kernels have it";

#[cfg(test)]
mod tests {
    use crate::args::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn every_command_has_examples_and_all_of_them_are_command_lines() {
        let all = Cli::command();
        let mut lines = 0;
        for command in all.get_subcommands().filter(|c| !c.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            if name == "help" {
                continue;
            }
            assert!(help.starts_with("Examples:\n"), "{name} has no examples");
            assert!(help.lines().all(|l| l.len() <= 90 && l.is_ascii()), "{name}");
            for line in help.lines().filter(|l| l.starts_with("  timerace ")) {
                // Two spaces end the command and begin what it is for.
                let line = line.trim_start();
                let words = line.split("  ").next().unwrap_or(line).split_whitespace();
                let parsed = Cli::try_parse_from(words);
                assert!(
                    parsed.is_ok(),
                    "{line}: {}",
                    parsed.err().map(|e| e.to_string()).unwrap_or_default()
                );
                lines += 1;
            }
        }
        assert!(lines > 30, "{lines}");
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
