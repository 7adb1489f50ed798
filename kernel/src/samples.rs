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
    args: Vec<u64>,
    /// By map and key, for keys below [`DIRECT`]: the number plus one.
    small: Vec<Vec<u32>>,
    /// By argument: the others.
    large: BTreeMap<u64, u32>,
}

/// Keys below this are looked up by index: those of arrays, and of most examples.
const DIRECT: u64 = 1 << 22;

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

    /// What the timer in an element is numbered by: its key now.
    pub(crate) fn timer_word(&self, cx: Cx<'_>, map: usize, e: Elem) -> u64 {
        let key = cx.machine().with_mem(|m| m.peek(e.key().obj()));
        Arg::Elem { map, key }.word()
    }
}

impl TimerNames {
    /// The number of a timer, from [`Kernel::timer_word`].
    pub fn number(&self, arg: u64) -> u32 {
        let names = &mut *self.0.borrow_mut();
        let next = names.args.len() as u32;
        let id = match Arg::from_word(arg) {
            Arg::Elem { map, key } if key < DIRECT => {
                if names.small.len() <= map {
                    names.small.resize(map + 1, Vec::new());
                }
                let of_map = &mut names.small[map];
                if of_map.len() <= key as usize {
                    of_map.resize(key as usize + 1, 0);
                }
                let place = &mut of_map[key as usize];
                if *place == 0 {
                    *place = next + 1;
                }
                *place - 1
            }
            _ => *names.large.entry(arg).or_insert(next),
        };
        if id == next {
            names.args.push(arg);
        }
        id
    }
}
