//! Grace periods.
//!
//! A grace period ends when every reader has been outside its read section at some moment since it began. Readers are seen
//! outside in any order, and one that begins a new section later is not waited for again. So each reader has a watcher of
//! its own, a helper context with one step: "this reader is outside". It touches the reader's word and nothing else that
//! others touch, which keeps the number of inequivalent schedules as small as the meaning allows.

use crate::ctx::Cx;
use crate::ids::{CtxId, Obj};
use crate::machine::{CtxKind, CtxSpec, Setup};
use crate::mem::{Mem, Var};
use crate::schedule::token_of;
use crate::site;
use crate::step::{Gate, Label, Rel};

/// A flow of grace periods, one at a time: the watchers of its readers.
#[derive(Clone, Debug)]
pub struct GracePeriods {
    /// One per reader: set while the grace period in progress has not seen it outside.
    waiting: Vec<Var<bool>>,
    readers: Vec<Obj>,
    /// The watcher of the first reader; the others follow.
    first: CtxId,
}

impl GracePeriods {
    /// Creates the watchers. A reader is an object that is 0 outside its section: the word of a preemptible task, or
    /// that of a CPU, on which every section with preemption, softirqs or interrupts off is one. `name` is for people; in
    /// schedules the watchers are called `token` and the reader, on the CPU `home`: `1!qs-cpu0`.
    pub fn new(
        setup: &mut Setup,
        name: &str,
        token: &str,
        home: u16,
        readers: &[(String, Obj)],
    ) -> GracePeriods {
        let first = setup.next_context();
        let mut waiting = Vec::new();
        for (reader, _) in readers {
            let me = setup.context(CtxSpec {
                name: format!("{name}: quiescent state of {reader}"),
                token: format!("{token}-{}-{home}", token_of(reader)),
                cpu: None,
                kind: CtxKind::Helper,
                daemon: true,
            });
            setup.watcher(me);
            waiting.push(setup.var_of(&format!("{name} waits for {reader}"), false, me));
        }
        GracePeriods { waiting, readers: readers.iter().map(|r| r.1).collect(), first }
    }

    /// Which watcher a context is, if it is one.
    pub fn watcher(&self, ctx: CtxId) -> Option<usize> {
        let i = usize::from(ctx.0).checked_sub(self.first.index())?;
        (i < self.waiting.len()).then_some(i)
    }

    /// The objects that the step which begins a grace period writes, beside its own.
    pub fn objects(&self) -> impl Iterator<Item = Obj> + '_ {
        self.waiting.iter().map(|w| w.obj())
    }

    /// Begins a grace period, as part of a step that declared [`GracePeriods::objects`].
    pub fn begin(words: &[Var<bool>], m: &mut Mem) {
        for w in words {
            m.store(*w, true);
        }
    }

    /// What [`GracePeriods::begin`] sets.
    pub fn words(&self) -> Vec<Var<bool>> {
        self.waiting.clone()
    }

    /// The body of a watcher.
    pub async fn watch(&self, cx: Cx<'_>, i: usize) {
        let (waiting, reader) = (self.waiting[i], self.readers[i]);
        // A quiescent state of a CPU has all its stores behind it.
        let stores = cx.machine().slots_of_cpu(reader);
        loop {
            cx.step(site!("quiescent state", Free, quiet))
                .writes(waiting.obj())
                .when(waiting.obj(), Rel::Ne, 0)
                .when(reader, Rel::Eq, 0)
                .when_empty(&stores)
                .idle()
                .run(move |m: &mut Mem| m.store(waiting, false))
                .await;
        }
    }

    /// Waits for the end of the grace period.
    pub async fn end(&self, cx: Cx<'_>, label: impl Into<Label>, gate: Gate) {
        let mut step = cx.step(label).asleep().gate(gate);
        for w in &self.waiting {
            step = step.when(w.obj(), Rel::Eq, 0);
        }
        step.run(|_: &mut Mem| ()).await;
    }
}
