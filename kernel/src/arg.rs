//! Arguments of functions and labels, packed into a word: which element, map or program a step is about.

use crate::kernel::{Kernel, Role};
use crate::objects::{AsyncCb, BpfWork, Callback, Elem, MIGRATION_BASE, MapObj, Timer};
use crate::world::{MapId, ProgId, VarKind};
use timerace_core::mem::{Mem, POISON};
use timerace_core::{Obj, Ptr};

/// What a word says to readers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Arg {
    /// Nothing.
    None,
    /// A map, by index.
    Map(usize),
    /// An element.
    Elem {
        /// Index of the map.
        map: usize,
        /// Its key; the low 40 bits are kept.
        key: u64,
    },
    /// A program, by index.
    Prog(usize),
    /// A variable, by index.
    Var(usize),
    /// An error or other return code.
    Code(i64),
    /// A path in bpffs, by index.
    Path(usize),
    /// A task, by index.
    Task(usize),
    /// What the user wrote: the operation at this line of the source (index of [`crate::world::LineId`]).
    Text(usize),
}

const KEY_BITS: u32 = 40;
const INDEX_BITS: u32 = 20;
const KEY_MASK: u64 = (1 << KEY_BITS) - 1;

fn pack(kind: u64, index: usize, key: u64) -> u64 {
    kind << (KEY_BITS + INDEX_BITS) | (index as u64) << KEY_BITS | (key & KEY_MASK)
}

impl Arg {
    /// The word.
    pub fn word(self) -> u64 {
        match self {
            Arg::None => 0,
            Arg::Map(i) => pack(1, i, 0),
            Arg::Elem { map, key } => pack(2, map, key),
            Arg::Prog(i) => pack(3, i, 0),
            Arg::Var(i) => pack(4, i, 0),
            Arg::Code(c) => pack(5, 0, c as u64),
            Arg::Path(i) => pack(6, i, 0),
            Arg::Task(i) => pack(7, i, 0),
            Arg::Text(i) => pack(8, i, 0),
        }
    }

    /// What the word says.
    pub fn from_word(word: u64) -> Arg {
        let index = (word >> KEY_BITS) as usize & ((1 << INDEX_BITS) - 1);
        let key = word & KEY_MASK;
        match word >> (KEY_BITS + INDEX_BITS) {
            1 => Arg::Map(index),
            2 => Arg::Elem { map: index, key },
            3 => Arg::Prog(index),
            4 => Arg::Var(index),
            5 => Arg::Code(((key << (64 - KEY_BITS)) as i64) >> (64 - KEY_BITS)),
            6 => Arg::Path(index),
            7 => Arg::Task(index),
            8 => Arg::Text(index),
            _ => Arg::None,
        }
    }
}

impl Kernel {
    /// The argument under which functions and marks name a map.
    pub fn arg_of_map(map: MapId) -> u64 {
        Arg::Map(map.index()).word()
    }

    /// The argument under which functions and marks name an element.
    pub fn arg_of_elem(map: MapId, key: i64) -> u64 {
        Arg::Elem { map: map.index(), key: key as u64 }.word()
    }

    /// The argument under which functions name a program.
    pub fn arg_of_prog(prog: ProgId) -> u64 {
        Arg::Prog(prog.index()).word()
    }

    pub(crate) fn arg_text(&self, arg: u64) -> String {
        let w = &self.world;
        match Arg::from_word(arg) {
            Arg::None => String::new(),
            Arg::Map(i) => w.maps.get(i).map_or_else(String::new, |m| m.name.clone()),
            Arg::Elem { map, key } => {
                let name = w.maps.get(map).map_or("?", |m| m.name.as_str());
                format!("{name}[{key}]")
            }
            Arg::Prog(i) => w.progs.get(i).map_or_else(String::new, |p| p.name.clone()),
            Arg::Var(i) => w.vars.get(i).map_or_else(String::new, |v| v.name.clone()),
            Arg::Code(c) => match crate::errno::name(c) {
                Some(name) => format!("-{name}"),
                None => c.to_string(),
            },
            Arg::Path(i) => w.paths.get(i).cloned().unwrap_or_default(),
            Arg::Text(i) => self.texts.get(&i).cloned().unwrap_or_default(),
            Arg::Task(i) => w.tasks.get(i).map_or_else(String::new, |t| t.name.clone()),
        }
    }

    /// The name of an object that exists from the start. An element of a hash is called by the key that it has now; of one
    /// that never had any, nothing can be said.
    pub(crate) fn static_name(&self, mem: &Mem, p: Ptr) -> Option<String> {
        if let Some(i) = self.maps.iter().position(|m| m.obj == MapObj(p)) {
            return Some(self.world.maps[i].name.clone());
        }
        if let Some(i) = self.progs.iter().position(|g| g.obj.0 == p) {
            return Some(self.world.progs[i].name.clone());
        }
        let holds = |m: &crate::map::Map| m.index_of(p);
        let (i, at) = self.maps.iter().enumerate().find_map(|(i, m)| Some((i, holds(m)?)))?;
        let key = match self.maps[i].kind.is_array() {
            true => at as u64,
            false => mem.peek(Elem(p).key().obj()),
        };
        (key != POISON).then(|| format!("{}[{key}]", self.world.maps[i].name))
    }

    /// The value of a field or variable whose word means nothing to readers. Empty for what is no state of the kernel:
    /// words that only the model has are not shown.
    pub(crate) fn field_text(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        let null = || (value == 0).then(|| "NULL".to_string());
        let own = |v: Obj| v == obj;
        let times = self.cpus.iter().flat_map(|c| [c.now.obj(), c.irq_at.obj()]);
        if times.chain(self.maps.iter().map(|m| m.obj.released().obj())).any(own) {
            return Some(String::new());
        }
        let running = self.cpus.iter().map(|c| c.hrtimer_running.obj());
        if running.chain(self.bases.iter().map(|b| b.running.obj())).any(own) {
            return null();
        }
        let is_pointer = |k: &VarKind| matches!(k, VarKind::New(_) | VarKind::NullPtr);
        if self.vars.iter().any(|v| is_pointer(&v.kind) && v.objs.contains(&obj)) {
            return null();
        }
        let spare = |m: &crate::map::Map| m.extra.iter().any(|v| v.obj() == obj);
        if self.maps.iter().any(spare) {
            return null();
        }
        let timer = || self.timer_text(mem, obj, value);
        self.elem_text(mem, obj, value).or_else(timer).or_else(|| self.work_text(mem, obj, value))
    }

    fn work_text(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        let fields = |w: &BpfWork| w.prog().obj() == obj || w.callback_fn().obj() == obj;
        let w = mem.living(self.ty.work).into_iter().map(BpfWork).find(fields)?;
        self.cb_text(w.cb(), obj, value)
    }

    /// The fields that timers and work queues have in common.
    fn cb_text(&self, cb: AsyncCb, obj: Obj, value: u64) -> Option<String> {
        let at = if obj == cb.prog.obj() {
            (value as usize).checked_sub(1)
        } else if obj == cb.callback_fn.obj() {
            Callback::from_word(value).map(|c| c.func)
        } else {
            return None;
        };
        at.map_or(Some("NULL".to_string()), |i| self.world.progs.get(i).map(|p| p.name.clone()))
    }

    fn elem_text(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        let fixed = self.maps.iter().flat_map(|m| m.elems.iter().copied());
        let made = self.ty.elems.iter().flat_map(|ty| mem.living(*ty)).map(Elem);
        for e in fixed.chain(made) {
            if e.owned().obj() == obj {
                return Some(String::new());
            }
            if e.slot().obj() == obj {
                return (value == 0).then(|| "NULL".to_string());
            }
            if e.lock().obj() == obj {
                let holder = (value as usize).checked_sub(1);
                return Some(holder.map_or_else(|| "free".to_string(), |c| self.role_text(c)));
            }
        }
        None
    }

    fn timer_text(&self, mem: &Mem, obj: Obj, value: u64) -> Option<String> {
        let fields = |t: &Timer| t.fields().any(|f| f == obj);
        let t = mem.living(self.ty.timer).into_iter().map(Timer).find(fields)?;
        if let Some(text) = self.cb_text(t.cb(), obj, value) {
            return Some(text);
        }
        if obj == t.map().obj() {
            let map = |i: usize| self.world.maps.get(i).map(|m| m.name.clone());
            return (value as usize).checked_sub(1).map_or(Some("NULL".to_string()), map);
        }
        if obj == t.base().obj() {
            let cpu = |b: &crate::objects::ClockBase| format!("base of CPU{}", b.cpu);
            return match value {
                MIGRATION_BASE => Some("migration_base".to_string()),
                at => self.bases.get(at as usize).map(cpu),
            };
        }
        let ghosts = [t.parked().obj(), t.promise().obj(), t.armed().obj()];
        ghosts.contains(&obj).then(String::new)
    }

    /// Who holds a lock of the model's own kind.
    fn role_text(&self, ctx: usize) -> String {
        match self.roles.get(ctx) {
            Some(Role::Task { task, .. }) => {
                let name = self.world.tasks.get(*task).map(|t| t.name.clone());
                // Tasks after those of the scenario stand for the steps listed for a CPU.
                let cpu = self.tasks.get(*task).and_then(|t| t.cpus.first()).unwrap_or(&0);
                name.unwrap_or_else(|| format!("cpu{cpu}"))
            }
            Some(Role::Base(b)) => {
                format!("HRTIMER softirq of CPU{}", self.bases.get(*b).map_or(0, |b| b.cpu))
            }
            Some(Role::Softirq(cpu)) => format!("HRTIMER softirq of CPU{cpu}"),
            Some(Role::Worker { cpu, .. }) => format!("kworker of CPU{cpu}"),
            Some(Role::IrqWork(cpu)) => format!("irq_work of CPU{cpu}"),
            Some(Role::RcuSoftirq(cpu)) => format!("RCU softirq of CPU{cpu}"),
            Some(Role::Source { cpu, .. }) => format!("interrupt of CPU{cpu}"),
            _ => format!("context {ctx}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for a in [
            Arg::None,
            Arg::Map(3),
            Arg::Elem { map: 2, key: 0xffff_ffff },
            Arg::Prog(1),
            Arg::Code(-22),
            Arg::Code(7),
            Arg::Path(4),
        ] {
            assert_eq!(Arg::from_word(a.word()), a);
        }
    }
}
