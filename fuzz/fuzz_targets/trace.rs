//! See `timerace_tests::fuzz::trace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| timerace_tests::fuzz::trace(text));
