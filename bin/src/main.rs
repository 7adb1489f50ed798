//! `timerace`: the command line. It reads arguments, prints, and exits; the work is in the other crates.

mod args;
mod commands;
mod fail;
mod finals;
mod output;
mod parallel;
mod pictures;
mod progress;
mod saved;
mod search;
mod session;

use clap::Parser;
use clap::error::ErrorKind;
use fail::{Fail, code};
use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("timerace: internal error: {info}");
        eprintln!("This is a mistake in timerace, not in your scenario. Please report it with the");
        eprintln!("command line, the scenario file and the lines above.");
    }));
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let usage = !matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to complain.
            let _ = e.print();
            return ExitCode::from(if usage { code::USAGE } else { code::OK });
        }
    };
    let result = std::panic::catch_unwind(|| commands::dispatch(&cli));
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(Fail { code, message })) => {
            output::complain(&message);
            ExitCode::from(code)
        }
        Err(_) => ExitCode::from(code::INTERNAL),
    }
}
