//! The program from end to end.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod calibrate;
mod certificate;
mod compare;
mod config;
mod determinism;
mod fragments;
mod hard;
mod ktap;
mod memory;
mod newcomer;
mod params;
mod pictures;
mod races;
mod report;
mod seeds;
mod selftests;
mod sessions;
mod shrink;
mod suite;
mod support;
mod sweep;
mod timing;
mod trace;
mod words;
