//! CPUs that go offline.

use crate::hotplug::Hotplug;
use crate::world::{Event, OpKind, World};
use timerace_core::Setup;

/// Whether the CPU goes offline.
fn goes_down(w: &World, cpu: u16) -> bool {
    let events = w.cpu_events.iter().filter(|e| e.cpu == cpu);
    events.flat_map(|e| &e.sources).any(|s| s.what == Event::CpuDown)
}

/// The CPU that takes over: the first that stays online.
pub(super) fn target(w: &World) -> Option<usize> {
    (0..w.machine.cpus).find(|c| !goes_down(w, *c)).map(usize::from)
}

/// Whether some CPU goes offline.
pub(super) fn is_needed(w: &World) -> bool {
    (0..w.machine.cpus).any(|c| goes_down(w, c))
}

/// What the CPU needs for it.
pub(super) fn of_cpu(s: &mut Setup, w: &World, cpu: u16) -> Option<Hotplug> {
    let target = target(w).filter(|_| goes_down(w, cpu))?;
    let comes = |ops: &[crate::world::Op]| {
        let mut comes = false;
        super::need::each_op(ops, &mut |op| comes |= op.kind == OpKind::SetCpu(cpu));
        comes
    };
    let tasks = w.tasks.iter().filter(|t| t.cpu == cpu || comes(&t.body.ops)).count();
    let steps = w.cpu_events.iter().filter(|e| e.cpu == cpu && !e.steps.is_empty()).count();
    Some(Hotplug {
        online: s.var(&format!("hrtimer_bases.{cpu}.online"), true),
        tasks: s.var(&format!("tasks of CPU{cpu}"), (tasks + steps) as i64),
        target,
    })
}
