//! The only place that prints.

use crate::args::{Color, Common};
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use timerace_scenarios::diag::Style;

/// The first thing that went wrong with standard output.
static BROKEN: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a result on stdout. When it cannot be written the command goes on, for the sake of its files and its exit code:
/// see [`broken`].
pub fn print(text: &str) {
    if BROKEN.get().is_some() {
        return;
    }
    let mut out = std::io::stdout().lock();
    if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let _ = BROKEN.set(e);
    }
}

/// Why results could not be printed, to be told in the end. A reader that went away (`| head`) has seen enough.
pub fn broken() -> Option<&'static std::io::Error> {
    BROKEN.get().filter(|e| e.kind() != std::io::ErrorKind::BrokenPipe)
}

/// Standard output for what is printed as it comes. As of [`print()`], what cannot be written is told in the end.
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if BROKEN.get().is_none()
            && let Err(e) = std::io::stdout().write_all(bytes)
        {
            let _ = BROKEN.set(e);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if BROKEN.get().is_none()
            && let Err(e) = std::io::stdout().flush()
        {
            let _ = BROKEN.set(e);
        }
        Ok(())
    }
}

/// Prints a JSON object on stdout.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}

/// Prints a failure on stderr.
pub fn complain(message: &str) {
    let message = message.trim_end();
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Prints a note on stderr, unless asked to be quiet.
pub fn note(common: &Common, message: &str) {
    if !common.quiet {
        complain(message);
    }
}

/// How messages about scenario files look.
pub fn style(common: &Common) -> Style {
    let colour = match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let set = |k| std::env::var_os(k).is_some_and(|v| !v.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
            !set("NO_COLOR") && !dumb && std::io::stderr().is_terminal()
        }
    };
    if colour { Style::Ansi } else { Style::Plain }
}
