//! See `timerace_tests::fuzz::schedule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| timerace_tests::fuzz::schedule(text));
