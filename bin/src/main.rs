//! `timerace`: the command line. It reads arguments, prints, and exits; the work is in the other crates.

mod args;
mod clock;
mod commands;
mod examples;
mod fail;
mod finals;
mod interrupt;
mod output;
mod parallel;
mod pictures;
mod progress;
mod saved;
mod search;
mod session;
mod settings;

use clap::error::ErrorKind;
use fail::{Fail, code};
use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        output::complain(&format!("timerace: internal error: {info}"));
        output::complain(&report_it());
    }));
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(e) => {
            let usage = !matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to complain.
            let _ = e.print();
            return ExitCode::from(if usage { code::USAGE } else { code::OK });
        }
    };
    interrupt::install(commands::can_be_partial(&cli));
    let start = std::time::Instant::now();
    let result = std::panic::catch_unwind(|| commands::dispatch(&cli));
    if cli.common.timing {
        output::complain(&format!("wall time: {} ms", start.elapsed().as_millis()));
    }
    ExitCode::from(exit_code(result))
}

/// The exit code of a command, after everything has been said that is left to say.
fn exit_code(result: std::thread::Result<Result<u8, Fail>>) -> u8 {
    let code = match result {
        Ok(Ok(code)) => code,
        Ok(Err(Fail { code, message })) => {
            output::complain(&message);
            return code;
        }
        Err(_) => return code::INTERNAL,
    };
    if let Some(e) = output::broken() {
        output::complain(&format!("error: cannot write to standard output: {e}"));
        return code::USAGE;
    }
    if interrupt::asked() {
        output::complain("interrupted: the result is partial");
        return code::INTERRUPTED;
    }
    code
}

/// How to report an internal error.
fn report_it() -> String {
    let command: Vec<String> = std::env::args().collect();
    format!(
        "This is a mistake in timerace {}, not in your scenario. Please report it with the lines\n\
         above, the scenario file and the command line:\n  {}",
        env!("CARGO_PKG_VERSION"),
        command.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_ours_is_70_and_says_how_to_report_it() {
        let panicked = std::thread::spawn(|| -> Result<u8, Fail> { panic!("planted") }).join();
        assert_eq!(exit_code(panicked), 70);
        let text = report_it();
        assert!(text.contains("Please report it") && text.contains(env!("CARGO_PKG_VERSION")));
        assert!(text.lines().last().is_some_and(|l| l.contains("timerace")), "the command line");
        assert_eq!(exit_code(Ok(Ok(3))), 3);
        assert_eq!(exit_code(Ok(Err(Fail::usage("wrong")))), 2);
    }
}
