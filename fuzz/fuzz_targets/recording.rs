//! Recordings of real kernels: read, and played on the model of an old and a new kernel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use timerace_scenarios::recording::{self, Options};

fuzz_target!(|text: &str| {
    if let Ok(report) = recording::conform(text, &Options::default()) {
        let counts = report.counts();
        assert_eq!(counts.agree + counts.disagree + counts.unsupported, report.cases.len());
        let _ = report.text();
    }
});
