//! `bpf_timer_cb()`: the function of every bpf_timer.

use crate::interp::Act;
use crate::kernel::Kernel;
use crate::objects::{Armed, Callback, Elem, MapObj, Timer};
use crate::promises;
use timerace_core::{Cx, Nanos, Ptr, Word, site, step};

/// What the first step of a callback learns.
struct Called {
    callback: Callback,
    map: usize,
    value: Elem,
    /// Timed runs: how the timer was armed, and its expiry.
    armed: Armed,
    programmed: i64,
}

impl Kernel {
    /// `bpf_timer_cb()`, all versions, in HRTIMER_SOFTIRQ.
    ///
    /// 1. `map`, `value`; 2. `callback_fn`, NULL: return (one step: the first two never change). 3. `hrtimer_running = t`.
    /// 4. The key: an array's index on the stack, otherwise a pointer into the element. 5. The callback. 6.
    ///    `hrtimer_running = NULL`. 7. HRTIMER_NORESTART.
    pub(crate) async fn bpf_timer_cb(&self, cx: Cx<'_>, t: Timer) {
        let f = cx.enter("bpf_timer_cb");
        let taken = cx.now();
        // 1., 2.
        let Some(called) = self.callback_fn(cx, t).await else { return };
        // 3.
        self.callback_starts(cx, t, called.callback, self.maps[called.map].obj).await;
        let began = cx.now();
        let timer = if self.timed { self.timer_word(cx, called.map, called.value) } else { 0 };
        // 4., 5.
        let mut act = Act::callback(called.callback, called.map, called.value);
        self.run_callback(cx, &mut act).await;
        // 6., 7.
        self.callback_ends(cx, &called, timer, (taken, began)).await;
        f.ret(0);
    }

    /// Steps 1 and 2.
    async fn callback_fn(&self, cx: Cx<'_>, t: Timer) -> Option<Called> {
        let mut step = cx.step(site!("callback_fn = t->callback_fn", Memory));
        step = step.reads(t.map().obj()).reads(t.value().obj()).reads(t.callback_fn().obj());
        // From v7.0 on nobody waits for a callback that has got so far: this is where it starts.
        let promised = self.flags.lock_free.then(|| self.map_objs.clone());
        if let Some(maps) = &promised {
            step = maps.iter().fold(step, |s, m| s.reads(m.released().obj()));
            step = step.reads(t.promise().obj());
        }
        let (what, map, value) = step!(step, move |m| {
            let value: Ptr = m.load(t.value());
            let (func, map) = (m.load(t.callback_fn()), m.load(t.map()));
            if func == 0 {
                m.expiry_over();
            } else if let Some(maps) = &promised
                && let Some(owner) = (map as usize).checked_sub(1).and_then(|i| maps.get(i))
            {
                promises::callback_starts(m, t, *owner);
            }
            (func, map, value)
        });
        let callback = Callback::from_word(what)?;
        let map = (map as usize).checked_sub(1)?;
        // Times are for statistics; explored runs have none.
        let (armed, programmed) = if self.timed {
            cx.machine().with_mem(|m| (m.peek(t.armed().obj()), m.peek(t.expires().obj())))
        } else {
            Default::default()
        };
        let (armed, programmed) = (Armed::from_word(armed), programmed as i64);
        Some(Called { callback, map, value: Elem(value), armed, programmed })
    }

    /// Step 3. This is where the callback starts: up to v6.19 the promises are about this step.
    async fn callback_starts(&self, cx: Cx<'_>, t: Timer, callback: Callback, map: MapObj) {
        let running = self.cpu(cx).hrtimer_running;
        let text = self.progs[callback.prog].obj.insns();
        let waited_for = !self.flags.lock_free;
        let mut step = cx.step(site!("this_cpu_write(hrtimer_running, t)", Call));
        step = step.writes(running.obj()).reads(text.obj());
        if waited_for {
            step = step.reads(t.promise().obj()).reads(map.released().obj());
        }
        step!(step, move |m| {
            m.store(running, Some(t.0));
            m.load(text);
            if waited_for {
                promises::callback_starts(m, t, map);
            }
        });
    }

    /// Step 6; a timed run notes the expiry.
    async fn callback_ends(
        &self,
        cx: Cx<'_>,
        called: &Called,
        timer: u64,
        (taken, began): (Nanos, Nanos),
    ) {
        let cpu = self.cpu(cx);
        let (running, irq_at, pass) = (cpu.hrtimer_running, cpu.irq_at, cpu.now);
        let mut step = cx.step(site!("this_cpu_write(hrtimer_running, NULL)", Memory));
        step = step.writes(running.obj()).exclusive();
        if !self.timed {
            return step!(step, move |m| m.store(running, None));
        }
        let sample = timerace_core::result::Expiry {
            timer: 0,
            cpu: cx.cpu().unwrap_or_default(),
            armed: Nanos(called.armed.at),
            abs: called.armed.abs,
            programmed: Nanos(u64::try_from(called.programmed).unwrap_or(0)),
            irq: None,
            softirq: began,
            taken,
            callback: began,
            exit: began,
        };
        step!(step.reads(irq_at.obj()).reads(pass.obj()), move |m| {
            m.store(running, None);
            let (irq, softirq, exit) = (m.load(irq_at), m.load(pass), m.now());
            let expiry = timerace_core::result::Expiry {
                irq: Some(Nanos(irq)),
                softirq: Nanos(softirq as u64),
                exit,
                ..sample
            };
            m.sample(expiry, timer);
        });
    }
}
