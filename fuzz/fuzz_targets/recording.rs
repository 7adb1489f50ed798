//! See `timerace_tests::fuzz::recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| timerace_tests::fuzz::recording(text));
