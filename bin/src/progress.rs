//! Progress on stderr, only on a terminal.

use crate::args::{Common, Format};
use crate::search::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// A count that goes up.
pub struct Bar(ProgressBar);

impl Bar {
    /// A new one; invisible where nobody would see it.
    pub fn new(common: &Common, what: &'static str) -> Bar {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let visible = !common.quiet
            && common.format == Format::Human
            && !dumb
            && std::io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {human_pos} {msg} in {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Bar(bar)
    }

    /// One more is done.
    pub fn one_more(&self) {
        self.0.inc(1);
    }

    /// Takes it away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn schedules(&mut self, n: u64) {
        self.0.set_position(n);
    }
}
