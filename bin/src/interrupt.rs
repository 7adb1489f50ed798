//! Ctrl-C and SIGTERM: the first asks for an end, so that what was done so far is written and marked as partial; the
//! second ends the program at once.

use crate::fail::code;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Handles the signals from now on. Where that is not possible they end the program as always.
pub fn install() {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        let end = flag::register_conditional_shutdown(
            signal,
            i32::from(code::INTERRUPTED),
            Arc::clone(asked),
        );
        if end.is_ok() {
            // After the one above, so that only a second signal finds the flag set.
            let _ = flag::register(signal, Arc::clone(asked));
        }
    }
}

/// Whether the user wants an end.
pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}
