//! Tasks, programs, events.

use super::{Out, sorted, text};
use crate::ast::{Attach, Event, IrqWork, Prog, Sched, Source, Task, Timed, When};
use crate::span::Sp;

impl Out {
    pub(super) fn task(&mut self, name: &str, task: &Task) {
        let Task { cpu, sched, caps, memcg, blocked, body, span: _ } = task;
        let mut fields = format!("cpu: {}", cpu.node);
        match sched.node {
            Sched::Other => {}
            Sched::Fifo(prio) => fields += &format!(", sched: SCHED_FIFO({prio})"),
            Sched::Rr(prio) => fields += &format!(", sched: SCHED_RR({prio})"),
        }
        if let Some(caps) = caps {
            fields += &format!(", caps: [{}]", sorted(caps.iter().map(|cap| cap.node.clone())));
        }
        if let Some(memcg) = memcg {
            fields += &format!(", memcg: {}", text(memcg));
        }
        if *blocked {
            fields += ", start: blocked";
        }
        self.block(&format!("{name}: ({fields}, body: ["), "]),", |out| out.body(body));
    }

    pub(super) fn prog(&mut self, name: &str, prog: &Prog) {
        let Prog { kind, sleepable, attach, body, span: _ } = prog;
        let mut fields = format!("type: {}", kind.node);
        // Written or not, it means the same unless it is a change of the default.
        let plain = Prog { sleepable: None, ..prog.clone() };
        if sleepable.is_some() && prog.is_sleepable() != plain.is_sleepable() {
            fields += &format!(", sleepable: {}", prog.is_sleepable());
        }
        if let Some(attach) = attach {
            fields += &format!(", attach: {}", attach_text(attach));
        }
        self.block(&format!("{name}: ({fields}, body: ["), "]),", |out| out.body(body));
    }

    pub(super) fn cpus(&mut self, cpus: &[(Sp<u32>, Vec<Sp<Event>>)]) {
        let mut sorted: Vec<_> = cpus.iter().filter(|(_, events)| !events.is_empty()).collect();
        if sorted.is_empty() {
            return;
        }
        sorted.sort_by_key(|(cpu, _)| cpu.node);
        self.block("cpus: {", "},", |out| {
            for (cpu, events) in sorted {
                out.block(&format!("{}: [", cpu.node), "],", |out| {
                    events.iter().for_each(|event| out.event(event));
                });
            }
        });
    }

    fn event(&mut self, event: &Event) {
        let Timed { when, source } = match event {
            Event::Step(step) => return self.step(step, "", ","),
            Event::Timed(timed) => timed,
        };
        let (head, tail) = match when {
            When::Anytime => (String::new(), ","),
            When::At(time) => (format!("at(\"{}\", ", time.node), "),"),
            When::Every(period) => (format!("every(\"{}\", ", period.node), "),"),
            When::Poisson(mean) => (format!("poisson(\"{}\", ", mean.node), "),"),
        };
        match &source.node {
            Source::Softirq(vec, work) => {
                self.irq_work(&format!("{head}softirq({}, ", vec.node), work, tail);
            }
            Source::Irq(work) => self.irq_work(&format!("{head}irq("), work, tail),
            Source::Nmi(work) => self.irq_work(&format!("{head}nmi("), work, tail),
            Source::Packet(prog) => self.line(&format!("{head}packet({}){tail}", text(prog))),
            Source::Tick => self.line(&format!("{head}tick(){tail}")),
            Source::CpuDown => self.line(&format!("{head}cpu_down(){tail}")),
            Source::CpuUp => self.line(&format!("{head}cpu_up(){tail}")),
            Source::Step(step) => self.step(step, &head, tail),
        }
    }

    fn irq_work(&mut self, head: &str, work: &IrqWork, tail: &str) {
        match work {
            IrqWork::Takes(time) => self.line(&format!("{head}\"{}\"){tail}", time.node)),
            IrqWork::Body(body) => {
                self.block(&format!("{head}["), &format!("]){tail}"), |out| out.body(body));
            }
        }
    }
}

fn attach_text(attach: &Attach) -> String {
    match attach {
        Attach::TpBtf(name) => format!("tp_btf({})", text(name)),
        Attach::Fentry(name) => format!("fentry({})", text(name)),
        Attach::Fexit(name) => format!("fexit({})", text(name)),
        Attach::PerfEvent(period) => format!("perf_event(\"{}\")", period.node),
        Attach::SchedExt(op) => format!("sched_ext({})", text(op)),
    }
}
