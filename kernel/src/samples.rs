//! Names for the timers of a timed run's statistics.

use crate::arg::Arg;
use crate::kernel::Kernel;
use crate::objects::Elem;
use std::cell::RefCell;
use std::collections::BTreeMap;
use timerace_core::Cx;

/// Numbers of timers by element, in the order of their first expiry. Not shared state.
#[derive(Debug, Default)]
pub(crate) struct TimerNames(RefCell<Names>);

#[derive(Debug, Default)]
struct Names {
    ids: BTreeMap<u64, u32>,
    args: Vec<u64>,
    /// The last answer for an element, by its dense number.
    last: Vec<(u64, u32)>,
}

impl Kernel {
    /// The names of the timers that [`timerace_core::result::Expiry::timer`] indexes: `timers[7]`.
    pub fn timer_names(&self) -> Vec<String> {
        self.names.0.borrow().args.iter().map(|a| self.arg_text(*a)).collect()
    }

    /// One of them; the number if it has none.
    pub fn timer_name(&self, timer: u32) -> String {
        let arg = self.names.0.borrow().args.get(timer as usize).copied();
        arg.map_or_else(|| format!("timer {timer}"), |a| self.arg_text(a))
    }

    /// The same as arguments: see [`Arg`].
    pub fn timer_args(&self) -> Vec<Arg> {
        self.names.0.borrow().args.iter().map(|a| Arg::from_word(*a)).collect()
    }

    /// The number of the timer in an element, named after its key now.
    pub(crate) fn timer_id(&self, cx: Cx<'_>, map: usize, e: Elem) -> u32 {
        if !self.timed {
            return 0;
        }
        let (key, dense) = cx.machine().with_mem(|m| (m.peek(e.key().obj()), m.dense(e.0)));
        let arg = Arg::Elem { map, key }.word();
        let names = &mut *self.names.0.borrow_mut();
        let dense = dense as usize;
        if names.last.len() <= dense {
            names.last.resize(dense + 1, (0, 0));
        }
        if names.last[dense].0 != arg {
            let next = names.args.len() as u32;
            let id = *names.ids.entry(arg).or_insert(next);
            if id == next {
                names.args.push(arg);
            }
            names.last[dense] = (arg, id);
        }
        names.last[dense].1
    }
}
