//! What contexts of a timed run wait for, in words: the callback of a timer, the work of a kworker; and timers that wait.

use crate::arg::Arg;
use crate::kernel::Kernel;
use crate::objects::{BpfWork, Elem, Timer};
use crate::rcu::{TAG_WQ_DELETE, TAG_WQ_WORK, pointer};
use timerace_core::mem::{Mem, POISON, Ptr, Word};
use timerace_core::{CpuId, Obj, Var};

impl Kernel {
    /// The argument that names what the object says is running: the element of the timer or of the work.
    pub(crate) fn awaited_arg(&self, m: &Mem, over: Obj) -> Arg {
        let word = m.peek(over);
        if self.is_running(over) {
            let t = Option::<Ptr>::from_word(word).map(Timer);
            return t.map_or(Arg::None, |t| self.owner(m, t.map(), t.value()));
        }
        match pointer(word) {
            Some(p) if self.is_work(over) && word & (TAG_WQ_WORK | TAG_WQ_DELETE) != 0 => {
                let w = BpfWork(p);
                self.owner(m, w.map(), w.value())
            }
            _ => self.element_with(m, over),
        }
    }

    /// The same in words; `None`: the name of the object is enough. `kind`: that name, without what tells it from others.
    pub(crate) fn awaited_text(&self, over: Obj, kind: &str, what: u64) -> Option<String> {
        let what = self.arg_text(what);
        let of = if what.is_empty() { String::new() } else { format!(" of {what}") };
        match kind.split_once('.') {
            _ if self.is_running(over) => Some(format!("callback{of}")),
            _ if self.is_work(over) => Some(format!("work{of}")),
            Some((_, field)) if !what.is_empty() => Some(format!("{what}.{field}")),
            _ => None,
        }
    }

    /// The element that has the lock.
    fn element_with(&self, m: &Mem, lock: Obj) -> Arg {
        let Some((p, ty)) = m.allocation(lock) else { return Arg::None };
        let key = m.peek(Elem(p).key().obj());
        let map = self.ty.elems.iter().position(|t| *t == ty).filter(|_| key != POISON);
        map.map_or(Arg::None, |map| Arg::Elem { map, key })
    }

    /// The element of a timer that is queued, and the CPU of its base.
    pub(crate) fn queued_text(&self, m: &Mem, queue: u32, timer: u64) -> (String, Option<CpuId>) {
        let t = Timer(Ptr::from_word(timer));
        let name = self.arg_text(self.owner(m, t.map(), t.value()).word());
        let name = if name.is_empty() { "a timer".to_string() } else { name };
        let base = self.bases.iter().find(|b| b.queue.index() == queue);
        (name, base.map(|b| CpuId(b.cpu as u16)))
    }

    /// `base->running`
    fn is_running(&self, o: Obj) -> bool {
        self.bases.iter().any(|b| b.running.obj() == o)
    }

    /// `worker->current_work`
    fn is_work(&self, o: Obj) -> bool {
        self.cpus.iter().filter_map(|c| c.current_work).flatten().any(|v| v.obj() == o)
    }

    /// The element that a timer or work belongs to; nothing if its fields say none any more.
    fn owner(&self, m: &Mem, map: Var<u64>, value: Var<Ptr>) -> Arg {
        let (map, value) = (m.peek(map.obj()) as usize, m.peek(value.obj()));
        if map == 0 || map > self.maps.len() || value == 0 || value == POISON {
            return Arg::None;
        }
        let key = m.peek(Elem(Ptr::from_word(value)).key().obj());
        if key == POISON { Arg::None } else { Arg::Elem { map: map - 1, key } }
    }
}
