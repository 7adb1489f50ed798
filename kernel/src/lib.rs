//! A model of the Linux kernel's `bpf_timer`, hrtimers and maps.
//!
//! The crate runs on `timerace_core`, which knows CPUs, shared memory and schedules but no BPF. It knows no file, no
//! policy and no picture: a [`World`] says what is on the machine, [`boot`] turns it into a machine and the [`Kernel`]
//! that runs on it, and the model makes the steps.
//!
//! Where to start reading: [`world`] (what can be said), [`versions`] (which kernel does what), then the functions of the
//! kernel, a file for each idea: `bpf_timer/` (the helpers up to v6.19) and `bpf_async/` (from v7.0 on), `hrtimer` and `softirq` (expiry), `map/` (maps, user
//! references), `prog`, `rcu`, `work`; `interp` and `raw` run what a scenario says; `promises` has the detectors. A world
//! built in Rust and explored: `examples/cancel_and_delete.rs`.

pub mod arg;
mod attach;
mod awaited;
mod boot;
mod bpf_async;
mod bpf_timer;
mod bpf_wq;
mod compile;
pub mod errno;
mod faults;
mod finals;
mod flags;
mod functions;
mod hotplug;
mod hrtimer;
mod hrtimer_locked;
mod interp;
mod irq_work;
mod kernel;
pub mod log;
mod map;
mod objects;
mod process;
mod prog;
mod promises;
mod raw;
mod rcu;
mod rt;
mod samples;
mod softirq;
mod source;
mod syscall;
mod time;
mod trace;
pub mod versions;
mod work;
pub mod world;

pub use arg::Arg;
pub use boot::{BootError, MAX_ELEMENTS, boot};
pub use functions::FUNCTIONS;
pub use kernel::Kernel;
pub use versions::{Fix, KernelVersion, Release};
pub use world::World;
