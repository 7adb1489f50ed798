//! Who looks at a timed run.

use super::{Awaited, Cause, Wait};
use crate::exec::Exec;
use crate::ids::{CpuId, CtxId};
use crate::machine::Model;
use crate::result::Expiry;
use crate::schedule::Pick;

/// Looks at a timed run as it goes.
pub trait Watch {
    /// Whether it wants to know why callbacks were late.
    fn wants_causes(&self) -> bool {
        false
    }
    /// Whether it wants to be told of every step, also of those that happen right after the one before
    /// ([`goes_on`](super::TimedOptions::goes_on)).
    fn wants_steps(&self) -> bool {
        false
    }

    /// An expiry, in the order in which callbacks end (ties: the lower CPU). `causes`: the parts of its lateness in
    /// nanoseconds, which add up to it; empty unless wanted. Expiries come as the run goes on; it keeps few of them.
    fn expiry(&mut self, expiry: &Expiry, causes: &[(Cause, u64)]);

    /// A wait, as it ends, if causes are wanted; those that do not end come at the end of the run. `parts`: nanoseconds by
    /// what was waited for, which add up to it.
    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        let _ = (wait, parts);
    }

    /// From `at` on a CPU does this, if causes are wanted; `ctx` has it. The same may be said again.
    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        let _ = (cpu, at, ctx, cause);
    }

    /// After [`Watch::doing`]: from a later time on the CPU will be idle, unless something is said of it before.
    fn idles(&mut self, cpu: CpuId, from: u64) {
        let _ = (cpu, from);
    }

    /// Before a step. Of steps that happen right after the one before ([`goes_on`](super::TimedOptions::goes_on)) nothing is seen.
    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        let _ = (exec, pick);
    }

    /// After it: how long it keeps its context busy.
    fn took(&mut self, ns: u64) {
        let _ = ns;
    }

    /// Whether the run should go on; asked now and then.
    fn go_on(&mut self) -> bool {
        true
    }
}

/// Two watchers of one run.
impl<A: Watch, B: Watch> Watch for (A, B) {
    fn wants_causes(&self) -> bool {
        self.0.wants_causes() || self.1.wants_causes()
    }

    fn wants_steps(&self) -> bool {
        self.0.wants_steps() || self.1.wants_steps()
    }

    fn expiry(&mut self, expiry: &Expiry, causes: &[(Cause, u64)]) {
        self.0.expiry(expiry, causes);
        self.1.expiry(expiry, causes);
    }

    fn wait(&mut self, wait: &Wait, parts: &[(Awaited, u64)]) {
        self.0.wait(wait, parts);
        self.1.wait(wait, parts);
    }

    fn doing(&mut self, cpu: CpuId, at: u64, ctx: Option<CtxId>, cause: Cause) {
        self.0.doing(cpu, at, ctx, cause);
        self.1.doing(cpu, at, ctx, cause);
    }

    fn idles(&mut self, cpu: CpuId, from: u64) {
        self.0.idles(cpu, from);
        self.1.idles(cpu, from);
    }

    fn before<M: Model>(&mut self, exec: &Exec<'_, M>, pick: Pick) {
        self.0.before(exec, pick);
        self.1.before(exec, pick);
    }

    fn took(&mut self, ns: u64) {
        self.0.took(ns);
        self.1.took(ns);
    }

    fn go_on(&mut self) -> bool {
        self.0.go_on() && self.1.go_on()
    }
}

/// Watches nothing.
#[derive(Copy, Clone, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn expiry(&mut self, _: &Expiry, _: &[(Cause, u64)]) {}
}
