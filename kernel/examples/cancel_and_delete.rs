//! A scenario built in Rust: a program cancels a timer while a task deletes its element (CVE-2024-26737), on the kernel
//! without the fix, on the same kernel with it, and on the release that has it.
//!
//! `cargo run -p timerace-kernel --example cancel_and_delete`

use std::error::Error;
use timerace_core::dpor::{Ignore, Options, explore};
use timerace_core::exec::Exec;
use timerace_core::result::Exploration;
use timerace_kernel::world::{
    Call, ElemInit, ElemRef, MapDef, MapId, MapKind, ObjRef, Op, ProgDef, ProgId, ProgKind,
    TaskDef, TypeDef,
};
use timerace_kernel::{Fix, KernelVersion, World, boot};

const EINVAL: i64 = -22;

fn cancel_and_delete(kernel: KernelVersion) -> World {
    let mut w = World::new("cancel-and-delete", kernel, 2);
    w.types.push(TypeDef::one_timer());
    let mut timers = MapDef::new("timers", MapKind::Hash, 1);
    timers.init = vec![(7, ElemInit::Initialised)];
    w.maps.push(timers);

    let elem = ElemRef::of(MapId(0), 7);
    let cancel = Call::TimerCancel(ObjRef::in_elem(elem));
    // -EINVAL: the element was deleted before.
    let body = vec![Op::returning(&[0, 1, EINVAL], cancel)];
    w.progs.push(ProgDef::new("cancel", ProgKind::Syscall, body));
    w.tasks.push(TaskDef::new("canceller", 0, vec![Op::call(Call::ProgRun(ProgId(0)))]));
    w.tasks.push(TaskDef::new("deleter", 1, vec![Op::call(Call::MapDelete(elem))]));
    w
}

/// Every inequivalent schedule on that kernel.
fn search(kernel: KernelVersion) -> Result<Exploration, Box<dyn Error>> {
    let (machine, model) = boot(&cancel_and_delete(kernel), false)?;
    let options = Options { keep_going: true, ..Options::default() };
    Ok(explore(&mut Exec::new(&machine, &model), &options, &mut Ignore))
}

fn main() -> Result<(), Box<dyn Error>> {
    let v6_7 = KernelVersion::parse("v6.7")?;
    for kernel in [v6_7, v6_7.with(Fix::CancelFreeRcu), KernelVersion::parse("v6.8")?] {
        let x = search(kernel)?;
        println!("{kernel}: {} schedules, {} fail", x.schedules, x.failing);
        for f in &x.findings {
            println!("  {} in {} / {}", f.class, f.functions[0], f.functions[1]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use timerace_core::Class;

    #[test]
    fn the_fix_ends_the_race() -> Result<(), Box<dyn Error>> {
        let without = search(KernelVersion::parse("v6.7")?)?;
        assert!(without.findings.iter().any(|f| f.class == Class::UseAfterFree));
        for kernel in ["v6.8", "v6.12", "v7.0"] {
            let with = search(KernelVersion::parse(kernel)?)?;
            assert!(with.complete && with.findings.is_empty(), "{kernel}");
        }
        Ok(())
    }
}
