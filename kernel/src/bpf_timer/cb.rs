//! `bpf_timer_cb()`: the function of every bpf_timer.

use crate::interp::Act;
use crate::kernel::Kernel;
use crate::objects::{Callback, Elem, Timer};
use crate::promises;
use timerace_core::{Cx, Ptr, Word, site};

impl Kernel {
    /// `bpf_timer_cb()`, all versions, in HRTIMER_SOFTIRQ.
    ///
    /// 1. `map`, `value`; 2. `callback_fn`, NULL: return (one step: the first two never change). 3. `hrtimer_running = t`.
    /// 4. The key: an array's index on the stack, otherwise a pointer into the element. 5. The callback. 6.
    ///    `hrtimer_running = NULL`. 7. HRTIMER_NORESTART.
    pub(crate) async fn bpf_timer_cb(&self, cx: Cx<'_>, t: Timer) {
        let _f = cx.enter("bpf_timer_cb");
        // 1., 2.
        let (map, value, callback) = cx
            .step(site!("callback_fn = t->callback_fn", Memory))
            .reads(t.map().obj())
            .reads(t.value().obj())
            .reads(t.callback_fn().obj())
            .run(move |m| {
                let value: Ptr = m.load(t.value());
                (m.load(t.map()), value.to_word(), m.load(t.callback_fn()))
            })
            .await;
        let Some(callback) = Callback::from_word(callback) else { return };
        let (map, value) = (map as usize - 1, Elem(Ptr::from_word(value)));
        // 3. This is where the callback starts: the promises are about this step.
        let running = self.cpu(cx).hrtimer_running;
        let (object, text) = (self.maps[map].obj, self.progs[callback.prog].obj.insns());
        cx.step(site!("this_cpu_write(hrtimer_running, t)", Call))
            .writes(running.obj())
            .reads(t.promise().obj())
            .reads(object.released().obj())
            .reads(text.obj())
            .run(move |m| {
                m.store(running, Some(t.0));
                m.load(text);
                promises::callback_starts(m, t, object);
            })
            .await;
        // 4., 5.
        self.run_callback(cx, Act::callback(callback, map, value)).await;
        // 6.
        cx.write(site!("this_cpu_write(hrtimer_running, NULL)", Memory), running, None).await;
    }
}
