//! The built-in scenarios: the files of `library/`, compiled in, so that `demo` needs nothing else.

use crate::source::Source;

/// A built-in scenario.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below `library/`, such as `races/r07-cancel-free-uaf.ron`.
    pub path: &'static str,
    /// The file.
    pub source: &'static str,
}

impl Entry {
    /// The name for command lines: the file's name without ending.
    pub fn name(&self) -> &'static str {
        let file = self.path.rsplit('/').next().unwrap_or(self.path);
        file.strip_suffix(".ron").unwrap_or(file)
    }

    /// The file with the fragments that it uses.
    pub fn open(&self) -> Source {
        Source::of(self.path, self.source)
    }

    /// The first line of its story.
    pub fn title(&self) -> &'static str {
        let first = self.source.lines().next().unwrap_or_default();
        first.trim_start_matches('/').trim()
    }
}

macro_rules! library {
    ($($path:literal),* $(,)?) => {
        &[$(Entry { path: $path, source: include_str!(concat!("../library/", $path)) }),*]
    };
}

macro_rules! fragments {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../library/", $path)))),*]
    };
}

/// All built-in scenarios: races first.
pub const LIBRARY: &[Entry] = library![
    "races/r07-cancel-free-uaf.ron",
    "races/r01-init-garbage.ron",
    "races/r02-copy-overwrite.ron",
    "races/r03-trace-reentry-kprobe.ron",
    "races/r03-trace-reentry.ron",
    "races/r04-lru-reinit.ron",
    "races/r05-htab-reinit.ron",
    "races/r06-timer-init-uref.ron",
    "races/r08-inner-map-uaf.ron",
    "races/r09-mutual-cancel.ron",
    "races/r10-self-arm-free.ron",
    "races/r11-mutual-free.ron",
    "races/r12-rt-sleep-under-raw-lock.ron",
    "races/r13-bucket-wait-delete.ron",
    "races/r13-bucket-wait-lookup-and-delete.ron",
    "races/r13-bucket-wait-replace.ron",
    "races/r14-lru-wait.ron",
    "races/r15-memcg-spin.ron",
    "races/r17-stale-reinit.ron",
    "races/r18-start-irqs-off.ron",
    "races/r19-async-loop.ron",
    "races/r20-rcu-reentry.ron",
    "races/r21-start-delete-uaf.ron",
    "races/r22-sleepable-callback.ron",
    "races/r23-iter-uref.ron",
    "races/r24-lost-on-dying-cpu.ron",
    "races/r26-free-in-nmi.ron",
    "races/r25-wq-start-uaf.ron",
    "races/r27-lru-lock-reentry.ron",
    "races/r28-put-under-bucket.ron",
    "races/r29-wq-recursion-skip.ron",
    "races/h1-rt-spurious-edeadlk.ron",
    "races/h11-wq-prog-freed.ron",
    "races/r30-hardirq-self-spin.ron",
    "races/d3-recheck-no-barrier.ron",
    "races/d4-free-waits-for-cancel.ron",
    "races/d5-spare-element-late.ron",
    "races/d5d-armed-before-free.ron",
    "races/d6-double-put.ron",
    "races/d6-lost-free.ron",
    "races/h2-uref-walk-skip.ron",
    "races/h3-three-way-wait.ron",
    "races/h4-callback-outlives-value.ron",
    "races/h5-armed-after-cancel.ron",
    "races/h6-start-overtaken.ron",
    "races/h7-command-order.ron",
    "races/h8-ping-pong.ron",
    "races/h9-prog-put-in-nmi.ron",
    "races/h12-cancel-in-expire-tracepoint.ron",
    "seed-example.ron",
    "wq-sleepable-callback.ron",
    "periodic-under-net-rx.ron",
    "periodic-in-background-load.ron",
    "cancel-pending.ron",
    "cancel-running.ron",
    "cancel-own-callback.ron",
    "delete-pending.ron",
    "update-pending.ron",
    "loader-killed.ron",
    "loader-killed-pinned.ron",
    "init-without-uref.ron",
    "prog-kept-by-timer.ron",
    "init-enomem.ron",
    "memcg-limit.ron",
    "no-cap-bpf.ron",
    "inner-map.ron",
    "realtime-means-monotonic.ron",
    "update-locked-keeps-timer.ron",
    "edeadlk-cancels-nothing.ron",
    "inherited-timer.ron",
    "selftests/free-timer-rt.ron",
    "selftests/free-timer.ron",
    "selftests/htab-update-concurrent.ron",
    "selftests/htab-update-free-fields.ron",
    "selftests/htab-update-reenter.ron",
    "selftests/lru-bug.ron",
    "selftests/rhash-timer.ron",
    "selftests/timer-abs.ron",
    "selftests/timer-async-cancel.ron",
    "selftests/timer-crash-hash.ron",
    "selftests/timer-deferred-calls.ron",
    "selftests/timer-destroy-while-armed.ron",
    "selftests/timer-evict-own-element.ron",
    "selftests/timer-lockup.ron",
    "selftests/timer-mim.ron",
    "selftests/timer-own-cancel-and-delete.ron",
    "selftests/timer-pinned.ron",
    "selftests/timer-rearm-chain.ron",
    "selftests/timer-replace-frees.ron",
    "selftests/timer-start-deadlock.ron",
    "selftests/timer-start-delete-race.ron",
    "selftests/timer-stress-async-cancel.ron",
    "selftests/timer-stress-nmi-cancel.ron",
    "selftests/timer-stress-nmi-race.ron",
    "selftests/timer-stress-nmi-update.ron",
    "selftests/timer-stress.ron",
    "selftests/wq.ron",
    "patterns/ring-3.ron",
    "patterns/r07-raw.ron",
    "patterns/r07-raw-fixed.ron",
    "patterns/r06-recheck-barrier.ron",
    "patterns/r06-recheck-no-barrier.ron",
    "patterns/mutual-cancel-barrier.ron",
    "patterns/mutual-cancel-no-barrier.ron",
    "patterns/lock-order.ron",
    "patterns/lock-order-trylock.ron",
    "patterns/irq-safety.ron",
    "patterns/irq-safety-irqsave.ron",
    "patterns/data-race.ron",
    "patterns/data-race-marked.ron",
    "patterns/rcu-stall.ron",
    "patterns/rcu-stall-outside.ron",
    "patterns/wait-type.ron",
    "patterns/wait-type-raw.ron",
    "patterns/uninit-read.ron",
    "patterns/uninit-read-ordered.ron",
];

/// The built-in fragments: path below `library/`, and text. Scenarios use them by this path.
pub const FRAGMENTS: &[(&str, &str)] = fragments![
    "common/background-load.ron",
    "common/interrupts.ron",
    "common/irqs-off.ron",
    "common/net-rx-bursts.ron",
    "common/net-rx-periodic.ron",
    "common/net-rx-poisson.ron",
    "common/packets.ron",
    "common/rt-task.ron",
    "common/ticks.ron",
    "common/timers.ron",
];

/// The text of a built-in fragment.
pub fn fragment(path: &str) -> Option<&'static str> {
    FRAGMENTS.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// The built-in scenario with this name, or whose name begins with it and a dash (`r07`).
pub fn find(name: &str) -> Option<&'static Entry> {
    let begins = |e: &&Entry| {
        e.name().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    LIBRARY.iter().find(|e| e.name() == name).or_else(|| LIBRARY.iter().find(begins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn files(dir: &Path, below: &str, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() {
                files(&entry.path(), &format!("{name}/"), out);
            } else {
                out.insert(name);
            }
        }
    }

    #[test]
    fn every_file_is_listed_once() {
        let mut on_disk = BTreeSet::new();
        files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/library")), "", &mut on_disk);
        let paths = LIBRARY.iter().map(|e| e.path).chain(FRAGMENTS.iter().map(|f| f.0));
        let listed: BTreeSet<String> = paths.map(str::to_string).collect();
        assert_eq!(listed, on_disk);
        assert_eq!(LIBRARY.len() + FRAGMENTS.len(), listed.len());
    }

    #[test]
    fn every_file_loads_tells_a_story_and_is_named_as_it_says() {
        for e in LIBRARY {
            let s = crate::load::parse(e.source, &[]);
            let s = s.unwrap_or_else(|d| panic!("{}: {:?}", e.path, d[0]));
            assert_eq!(s.name.node, e.name(), "{}", e.path);
            assert!(e.source.starts_with("// ") && e.title().len() > 20, "{}", e.path);
            assert!(crate::load::warnings(&s).is_empty(), "{}", e.path);
        }
    }

    /// Each fragment can stand beside all others, and says what it is.
    #[test]
    fn every_fragment_can_be_used() {
        let paths: Vec<String> = FRAGMENTS.iter().map(|f| format!("\"{}\"", f.0)).collect();
        let with = |used: &str| {
            format!(
                "Scenario(schema: 1, name: \"x\", machine: (cpus: 1), stop: time(\"1ms\"), use: [{used}])"
            )
        };
        for used in paths.iter().cloned().chain([paths.join(", ")]) {
            let source = Source::of("x.ron", &with(&used));
            let checked = crate::load::check_source(&source, &[]);
            let said = source.render_all(&checked.diagnostics, crate::diag::Style::Plain);
            assert!(checked.diagnostics.is_empty() && checked.scenario.is_some(), "{used}: {said}");
        }
        for (path, text) in FRAGMENTS {
            assert!(text.starts_with("// Background load"), "{path}");
        }
    }

    #[test]
    fn names_may_be_cut_at_a_dash() {
        assert_eq!(find("r07").map(Entry::name), Some("r07-cancel-free-uaf"));
        assert_eq!(find("r0"), None);
    }
}
