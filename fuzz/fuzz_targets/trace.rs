//! What `calibrate` reads: ftrace text and tables of latencies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use timerace_scenarios::calibrate;

fuzz_target!(|text: &str| {
    for name in ["trace.txt", "samples.csv"] {
        if let Ok(recording) = calibrate::read(name, text) {
            assert!(recording.samples() > 0, "an empty recording was accepted");
        }
    }
});
