//! See `timerace_tests::fuzz::scenario`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| timerace_tests::fuzz::scenario(text));
