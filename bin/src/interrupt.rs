//! Ctrl-C and SIGTERM. Of commands that can write what was done so far, and mark it as partial, the first asks for an
//! end and the second ends the program at once; other commands end at once, before they write anything.

use crate::fail::code;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Handles the signals from now on. Where that is not possible they end the program as always. `partial`: the command
/// looks at [`asked`], and has something to write then.
pub fn install(partial: bool) {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        let now = if partial { Arc::clone(asked) } else { Arc::new(AtomicBool::new(true)) };
        let end = flag::register_conditional_shutdown(signal, i32::from(code::INTERRUPTED), now);
        if end.is_ok() && partial {
            // After the one above, so that only a second signal finds the flag set.
            let _ = flag::register(signal, Arc::clone(asked));
        }
    }
}

/// Whether the user wants an end.
pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}
