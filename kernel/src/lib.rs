//! A model of the Linux kernel's `bpf_timer`, hrtimers and maps.
//!
//! The crate runs on `timerace_core`, which knows CPUs, shared memory and schedules but no BPF. It knows no file, no
//! policy and no picture: a [`World`] says what is on the machine, and the model makes the steps.

pub mod versions;
pub mod world;

pub use versions::{Fix, KernelVersion, Release};
pub use world::World;
