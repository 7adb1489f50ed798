//! Records that the machine itself makes: what reports take for a lock, a pointer or a free must be what is recorded.

use crate::golden;
use timerace_core::exec::Exec;
use timerace_core::machine::Body;
use timerace_core::mem::TypeId;
use timerace_core::policy::Limits;
use timerace_core::record::{Record, record};
use timerace_core::schedule::ShortSchedule;
use timerace_core::{CpuId, CtxId, CtxKind, CtxSpec, Cx, Machine, Model, Ptr, Setup, Var, site};
use timerace_reports::interleaving::{Detail, interleaving};
use timerace_reports::origin::Origin;
use timerace_reports::race_text::{WIDTH, race_text};
use timerace_reports::splat::splat;
use timerace_reports::steps::steps_table;

#[derive(Copy, Clone)]
enum Play {
    /// One uses what the other frees.
    Use,
    /// Two take two locks in opposite orders.
    Locks,
}

struct Toy {
    play: Play,
    slot: Var<Option<Ptr>>,
    locks: [Var<Option<CtxId>>; 2],
}

/// The entry of a system call: functions are entered after it, as a context that has not stepped is in none.
async fn begin(cx: Cx<'_>) {
    cx.step(site!("entry_SYSCALL_64()", Syscall, quiet)).run(|_| ()).await;
}

async fn cancel(cx: Cx<'_>, toy: &Toy) {
    begin(cx).await;
    let _f = cx.enter("bpf_timer_cancel");
    cx.lock(site!("spin_lock(&timer->lock)", Lock), toy.locks[0]).await;
    let t = cx.read(site!("t = timer->timer", Memory), toy.slot).await;
    cx.unlock(site!("spin_unlock(&timer->lock)", Lock), toy.locks[0]).await;
    let Some(t) = t else { return };
    let _leaf = cx.enter_leaf("hrtimer_cancel");
    cx.write(site!("hrtimer_cancel(&t->timer)", Hrtimer), t.field::<u64>(0), 0).await;
}

async fn delete(cx: Cx<'_>, toy: &Toy) {
    begin(cx).await;
    let _f = cx.enter("bpf_map_delete_elem");
    let _g = cx.enter("bpf_timer_cancel_and_free");
    cx.lock(site!("spin_lock(&timer->lock)", Lock), toy.locks[0]).await;
    let t = cx.xchg(site!("t = xchg(&timer->timer, NULL)", Atomic), toy.slot, None).await;
    cx.unlock(site!("spin_unlock(&timer->lock)", Lock), toy.locks[0]).await;
    let Some(t) = t else { return };
    let _leaf = cx.enter_leaf("kfree");
    cx.free(site!("kfree(t)", Alloc), t).await;
}

async fn two_locks(cx: Cx<'_>, [first, second]: [Var<Option<CtxId>>; 2]) {
    begin(cx).await;
    let _f = cx.enter("bpf_map_update_elem");
    cx.lock(site!("raw_spin_lock(&first->lock)", Lock), first).await;
    cx.lock(site!("raw_spin_lock(&second->lock)", Lock), second).await;
    cx.unlock(site!("raw_spin_unlock(&second->lock)", Lock), second).await;
    cx.unlock(site!("raw_spin_unlock(&first->lock)", Lock), first).await;
}

impl Model for Toy {
    fn start<'m>(&'m self, cx: Cx<'m>) -> Body<'m> {
        match (self.play, cx.id().0) {
            (Play::Use, 0) => Box::pin(cancel(cx, self)),
            (Play::Use, _) => Box::pin(delete(cx, self)),
            (Play::Locks, 0) => Box::pin(two_locks(cx, self.locks)),
            (Play::Locks, _) => Box::pin(two_locks(cx, [self.locks[1], self.locks[0]])),
        }
    }
}

fn boot(play: Play) -> (Machine, Toy) {
    let mut s = Setup::new(2);
    let ty: TypeId = s.struct_type("bpf_hrtimer", &["state"]);
    let t = s.preallocated(ty);
    s.init(t.field::<u64>(0), 1);
    let slot = s.var("timers[7].timer", Some(t));
    let locks = ["timers[7].lock", "htab.lock"].map(|n| s.lock(n));
    for (cpu, name) in ["cancel", "delete"].into_iter().enumerate() {
        let (name, token) = (name.to_string(), name.to_string());
        let cpu = Some(CpuId(cpu as u16));
        s.context(CtxSpec { name, token, cpu, kind: CtxKind::Task, daemon: false });
    }
    (s.build(), Toy { play, slot, locks })
}

fn run(play: Play, schedule: &str) -> Record {
    let (machine, toy) = boot(play);
    let mut policy = ShortSchedule::parse(schedule, &machine).unwrap();
    record(&mut Exec::new(&machine, &toy), &mut policy, Limits::default())
}

fn everything(rec: &Record) -> String {
    let origin = Origin { file: "toy.ron".into(), kernel: "v6.7".into(), ..Origin::default() };
    let whole = race_text(&interleaving(rec, Some(0), Detail::Full), WIDTH);
    [splat(rec, 0, &origin), whole, steps_table(rec, None, false)].join("\n")
}

#[test]
fn a_use_after_free_of_the_machine() {
    let rec = run(Play::Use, "0x4,1x5,0");
    assert_eq!(rec.findings.len(), 1);
    golden::check("machine-use.txt", &everything(&rec));
}

#[test]
fn a_deadlock_of_the_machine() {
    let rec = run(Play::Locks, "0x2,1x2");
    assert_eq!(rec.findings.len(), 1);
    golden::check("machine-locks.txt", &everything(&rec));
}
