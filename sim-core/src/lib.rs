//! A deterministic machine for kernel-style concurrency, and policies that drive it.
//!
//! The crate knows CPUs with their interrupt levels, shared memory made of small objects, locks, RCU, work items, timer
//! queues and a virtual clock. It does not know BPF, files or terminals: a [`Model`] (the `timerace-kernel` crate, or one
//! of your own) supplies the code that runs on the machine as ordinary `async` functions.
//!
//! One idea holds it together: *a run is a pure function of (scenario, model, schedule)*. The unit of interleaving is a
//! [step](mod@step): it declares what it touches and when it may happen *before* it happens, and then acts on shared memory
//! at once. Everything between two steps is local to its context.
//!
//! Where to start reading: [`mod@step`] (the contract), [`mem`] (shared memory), [`ctx`] (what a model's code calls),
//! [`exec`] (one execution), [`dpor`] (every inequivalent execution), [`timed`] (the virtual clock). A model of your own
//! from start to end, with a bug and its repair: `examples/timer_wheel.rs`.

// The tests in the crate share their toy model with those outside, which know the crate by its name.
#[cfg(test)]
extern crate self as timerace_core;

pub mod bounded;
pub mod cpu;
pub mod ctx;
mod data_race;
pub mod detect;
mod digests;
pub mod dpor;
pub mod ends;
pub mod exec;
pub mod exhaustive;
pub mod ids;
pub mod least;
pub mod lockdep;
pub mod machine;
pub mod mem;
pub mod mix;
pub mod nearest;
mod order;
pub mod policy;
mod prefetch;
pub mod queue;
pub mod rcu;
mod ready;
pub mod record;
pub mod result;
pub mod sample;
pub mod schedule;
#[cfg(test)]
mod soundness;
pub mod states;
pub mod step;
pub mod timed;
pub mod timing;
pub mod tso;

pub use ctx::Cx;
pub use detect::{Class, Finding};
pub use ids::{CpuId, CtxId, Nanos, Obj};
pub use machine::{CtxKind, CtxSpec, Machine, Model, Setup};
pub use mem::{Mem, Ptr, Var, Word};
pub use step::{Guard, Label, Site};
