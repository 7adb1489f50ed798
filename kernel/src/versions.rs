//! Kernel releases and the fixes that each has.
//!
//! An era of the model is an algorithm, a fix is a flag. [`FIXES`] is the one table: a fix, the mainline release that
//! first has it, one line of explanation; [`STABLE`] lists the stable releases with what they took on top of their base.
//! A scenario names a release and may add or remove fixes, which is how "what if only this is backported?" is asked.

use std::fmt;
use std::str::FromStr;

/// A release of the kernel: `v6.7`, `v6.1.192`. Compared by number.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Release {
    /// 6 of v6.1.192.
    pub major: u16,
    /// 1 of v6.1.192.
    pub minor: u16,
    /// 192 of v6.1.192; 0 for a mainline release.
    pub patch: u16,
}

impl Release {
    /// A mainline release.
    pub const fn mainline(major: u16, minor: u16) -> Release {
        Release { major, minor, patch: 0 }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)?;
        if self.patch > 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

impl FromStr for Release {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Release, VersionError> {
        let bad = || VersionError::Syntax { text: text.to_string() };
        let numbers = text.strip_prefix('v').ok_or_else(bad)?;
        let parts: Result<Vec<u16>, _> = numbers.split('.').map(str::parse).collect();
        match parts.map_err(|_| bad())?[..] {
            [major, minor] => Ok(Release { major, minor, patch: 0 }),
            [major, minor, patch] => Ok(Release { major, minor, patch }),
            _ => Err(bad()),
        }
    }
}

/// A fix or feature that changes what the model does.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fix {
    /// 5eaed6eedbe9
    TimerSlotZeroed,
    /// a8abb0c3dc1e
    CopySkipsLockAndTimer,
    /// 5e0bc3082e2e
    NoTimersInTracing,
    /// 275c30bcee66
    NoLruReinit,
    /// f76fa6b33805
    IterHoldsUref,
    /// bpf_mem_alloc in the hash map
    BpfMemAlloc,
    /// generic free of special fields in map_free
    MapFreeFields,
    /// 997849c4b969
    NoReuseReinit,
    /// f71f8530494b
    TimerAbs,
    /// d6247ecb6c1e
    TimerCpuPin,
    /// fd381ce60a2d
    InitUrefRecheck,
    /// 876673364161
    DeferInnerMapFree,
    /// 0281b919e175
    CancelFreeRcu,
    /// d4523831f07a
    CancelDeadlk,
    /// a6fcd19d7eac
    DeferFreeInCallback,
    /// b9e9ed90b10c
    FreeAfterBucketUnlock,
    /// 6d78b4473cdb
    MemcgNoSpin,
    /// e25ddfb388c8
    RtRefused,
}

/// A row of the table of fixes.
#[derive(Debug)]
pub struct FixInfo {
    /// Which.
    pub fix: Fix,
    /// The mainline commit, 12 digits; `None` where a series stands for it.
    pub commit: Option<&'static str>,
    /// Its stable name.
    pub name: &'static str,
    /// The first mainline release with it.
    pub since: Release,
    /// What it changes.
    pub what: &'static str,
}

const fn row(
    fix: Fix,
    commit: &'static str,
    name: &'static str,
    since: (u16, u16),
    what: &'static str,
) -> FixInfo {
    let commit = if commit.is_empty() { None } else { Some(commit) };
    FixInfo { fix, commit, name, since: Release::mainline(since.0, since.1), what }
}

/// All fixes, in the order of [`Fix`].
pub const FIXES: [FixInfo; 18] = [
    row(
        Fix::TimerSlotZeroed,
        "5eaed6eedbe9",
        "timer-slot-zeroed",
        (5, 17),
        "a new element's timer is zeroed",
    ),
    row(
        Fix::CopySkipsLockAndTimer,
        "a8abb0c3dc1e",
        "copy-skips-lock-and-timer",
        (5, 17),
        "an update skips the timer of a value that also has a bpf_spin_lock",
    ),
    row(
        Fix::NoTimersInTracing,
        "5e0bc3082e2e",
        "no-timers-in-tracing",
        (5, 16),
        "kprobe, tracepoint, perf_event and raw_tracepoint programs may not use timers",
    ),
    row(
        Fix::NoLruReinit,
        "275c30bcee66",
        "no-lru-reinit",
        (6, 0),
        "an element popped from the LRU list is not zeroed again",
    ),
    row(
        Fix::IterHoldsUref,
        "f76fa6b33805",
        "iter-holds-uref",
        (6, 0),
        "a map iterator holds a user reference",
    ),
    row(
        Fix::BpfMemAlloc,
        "",
        "bpf-mem-alloc",
        (6, 1),
        "elements of a BPF_F_NO_PREALLOC hash are reused at once on the same CPU",
    ),
    row(
        Fix::MapFreeFields,
        "",
        "map-free-fields",
        (6, 2),
        "map_free cancels and frees the timers that are left in a map",
    ),
    row(
        Fix::NoReuseReinit,
        "997849c4b969",
        "no-reuse-reinit",
        (6, 3),
        "a reused element's timer is not zeroed",
    ),
    row(
        Fix::TimerAbs,
        "f71f8530494b",
        "timer-abs",
        (6, 4),
        "bpf_timer_start takes BPF_F_TIMER_ABS",
    ),
    row(
        Fix::TimerCpuPin,
        "d6247ecb6c1e",
        "timer-cpu-pin",
        (6, 7),
        "bpf_timer_start takes BPF_F_TIMER_CPU_PIN",
    ),
    row(
        Fix::InitUrefRecheck,
        "fd381ce60a2d",
        "init-uref-recheck",
        (6, 7),
        "bpf_timer_init tests usercnt after it has published the timer",
    ),
    row(
        Fix::DeferInnerMapFree,
        "876673364161",
        "defer-inner-map-free",
        (6, 8),
        "an inner map is freed after a grace period",
    ),
    row(
        Fix::CancelFreeRcu,
        "0281b919e175",
        "cancel-free-rcu",
        (6, 8),
        "a timer is freed after a grace period, and bpf_timer_cancel is a reader",
    ),
    row(
        Fix::CancelDeadlk,
        "d4523831f07a",
        "cancel-deadlk",
        (6, 10),
        "bpf_timer_cancel fails in a callback whose own timer is being cancelled",
    ),
    row(
        Fix::DeferFreeInCallback,
        "a6fcd19d7eac",
        "defer-free-in-callback",
        (6, 10),
        "in a timer callback, cancel and free is left to a kworker",
    ),
    row(
        Fix::FreeAfterBucketUnlock,
        "b9e9ed90b10c",
        "free-after-bucket-unlock",
        (6, 13),
        "a deleted hash element is freed after its bucket is unlocked",
    ),
    row(
        Fix::MemcgNoSpin,
        "6d78b4473cdb",
        "memcg-no-spin",
        (6, 17),
        "bpf_timer_init allocates without spinning in the memory cgroup",
    ),
    row(
        Fix::RtRefused,
        "e25ddfb388c8",
        "rt-refused",
        (6, 17),
        "programs with timers are refused on PREEMPT_RT",
    ),
];

/// The mainline releases that the model knows, in order.
pub const MAINLINE: [Release; 15] = [
    Release::mainline(5, 15),
    Release::mainline(5, 16),
    Release::mainline(5, 17),
    Release::mainline(5, 18),
    Release::mainline(5, 19),
    Release::mainline(6, 0),
    Release::mainline(6, 1),
    Release::mainline(6, 2),
    Release::mainline(6, 3),
    Release::mainline(6, 4),
    Release::mainline(6, 5),
    Release::mainline(6, 6),
    Release::mainline(6, 7),
    Release::mainline(6, 8),
    Release::mainline(6, 9),
];

/// Stable releases that the model knows, with the fixes that they took on top of their mainline base.
pub const STABLE: [(Release, &[Fix]); 1] = [(
    Release { major: 6, minor: 1, patch: 192 },
    &[
        Fix::NoReuseReinit,
        Fix::InitUrefRecheck,
        Fix::DeferInnerMapFree,
        Fix::CancelFreeRcu,
        Fix::CancelDeadlk,
        Fix::DeferFreeInCallback,
        Fix::FreeAfterBucketUnlock,
        Fix::MemcgNoSpin,
        Fix::RtRefused,
    ],
)];

impl Fix {
    /// Its row of the table.
    pub fn info(self) -> &'static FixInfo {
        &FIXES[self as usize]
    }

    /// The fix with this name or 12-digit commit id.
    pub fn find(name_or_commit: &str) -> Option<Fix> {
        FIXES
            .iter()
            .find(|f| f.name == name_or_commit || f.commit == Some(name_or_commit))
            .map(|f| f.fix)
    }

    fn bit(self) -> u64 {
        1 << self as u32
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().commit.unwrap_or(self.info().name))
    }
}

/// Why a text names no kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VersionError {
    /// Not of the form `v6.7` or `v6.1.192`.
    Syntax {
        /// What was given.
        text: String,
    },
    /// A release that the model does not know.
    Unknown {
        /// What was given.
        release: Release,
        /// The known release that is nearest below it, or the first one.
        nearest: Release,
    },
    /// A range whose first release comes after its last.
    Backwards {
        /// The first one.
        from: Release,
        /// The last one.
        to: Release,
    },
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionError::Syntax { text } => {
                write!(f, "`{text}` is no kernel release: releases look like v6.7 or v6.1.192")
            }
            VersionError::Unknown { release, nearest } => {
                write!(f, "{release} is not modelled: the nearest release is {nearest}")
            }
            VersionError::Backwards { from, to } => {
                write!(f, "{from}..{to} is empty: {from} comes after {to}")
            }
        }
    }
}

impl std::error::Error for VersionError {}

/// A kernel: a release, and the fixes that it has. Fixes may have been added to or removed from those of the release.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct KernelVersion {
    release: Release,
    fixes: u64,
}

fn fixes_of(release: Release) -> u64 {
    let base = Release::mainline(release.major, release.minor);
    let mainline = FIXES.iter().filter(|f| f.since <= base).map(|f| f.fix);
    let stable = STABLE.iter().filter(|s| s.0 == release).flat_map(|s| s.1.iter().copied());
    mainline.chain(stable).fold(0, |set, f| set | f.bit())
}

/// All releases that the model knows, by number.
pub fn releases() -> Vec<Release> {
    let mut all: Vec<Release> =
        MAINLINE.iter().copied().chain(STABLE.iter().map(|s| s.0)).collect();
    all.sort_unstable();
    all
}

impl KernelVersion {
    /// The kernel of a release, as released.
    ///
    /// # Errors
    /// The release is not in the table.
    pub fn of(release: Release) -> Result<KernelVersion, VersionError> {
        let all = releases();
        if all.contains(&release) {
            return Ok(KernelVersion { release, fixes: fixes_of(release) });
        }
        let nearest = all.iter().rev().find(|r| **r < release).unwrap_or(&all[0]);
        Err(VersionError::Unknown { release, nearest: *nearest })
    }

    /// The kernel of `v6.7` or `v6.1.192`.
    ///
    /// # Errors
    /// The text is no release, or the release is not in the table.
    pub fn parse(text: &str) -> Result<KernelVersion, VersionError> {
        KernelVersion::of(text.parse()?)
    }

    /// The kernels of `v6.7..v6.12`, both ends included: the mainline releases between them and the ends themselves.
    /// A single release is a range of one.
    ///
    /// # Errors
    /// An end is no release of the table, or the range is empty.
    pub fn range(text: &str) -> Result<Vec<KernelVersion>, VersionError> {
        let Some((from, to)) = text.split_once("..") else {
            return Ok(vec![KernelVersion::parse(text)?]);
        };
        let (from, to) = (KernelVersion::parse(from)?.release, KernelVersion::parse(to)?.release);
        if from > to {
            return Err(VersionError::Backwards { from, to });
        }
        let wanted =
            |r: &Release| (from..=to).contains(r) && (r.patch == 0 || *r == from || *r == to);
        releases().into_iter().filter(wanted).map(KernelVersion::of).collect()
    }

    /// The newest mainline kernel of the table.
    pub fn newest() -> KernelVersion {
        let release = MAINLINE[MAINLINE.len() - 1];
        KernelVersion { release, fixes: fixes_of(release) }
    }

    /// Its release.
    pub fn release(self) -> Release {
        self.release
    }

    /// Whether it has the fix.
    pub fn has(self, fix: Fix) -> bool {
        self.fixes & fix.bit() != 0
    }

    /// The same kernel with the fix.
    #[must_use]
    pub fn with(self, fix: Fix) -> KernelVersion {
        KernelVersion { fixes: self.fixes | fix.bit(), ..self }
    }

    /// The same kernel without the fix.
    #[must_use]
    pub fn without(self, fix: Fix) -> KernelVersion {
        KernelVersion { fixes: self.fixes & !fix.bit(), ..self }
    }

    /// Its fixes, in the order of the table.
    pub fn fixes(self) -> impl Iterator<Item = Fix> {
        FIXES.iter().map(|f| f.fix).filter(move |f| self.has(*f))
    }

    /// Fixes added to those of the release.
    pub fn added(self) -> impl Iterator<Item = Fix> {
        let released = fixes_of(self.release);
        self.fixes().filter(move |f| released & f.bit() == 0)
    }

    /// Fixes of the release that were taken away.
    pub fn removed(self) -> impl Iterator<Item = Fix> {
        let released = fixes_of(self.release);
        FIXES.iter().map(|f| f.fix).filter(move |f| released & f.bit() != 0 && !self.has(*f))
    }
}

impl fmt::Display for KernelVersion {
    /// `v6.7`, `v6.7 with 0281b919e175`, `v6.8 without 0281b919e175`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.release)?;
        for fix in self.added() {
            write!(f, " with {fix}")?;
        }
        for fix in self.removed() {
            write!(f, " without {fix}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_fixes() {
        for (i, row) in FIXES.iter().enumerate() {
            assert_eq!(row.fix as usize, i, "{}", row.name);
            assert!(row.commit.is_none_or(|c| c.len() == 12));
            assert_eq!(Fix::find(row.name), Some(row.fix));
        }
        assert_eq!(Fix::find("0281b919e175"), Some(Fix::CancelFreeRcu));
        assert_eq!(Fix::find("0281b919e176"), None);
    }

    #[test]
    fn a_stable_release_has_its_backports_but_not_the_features() {
        let k = KernelVersion::parse("v6.1.192").expect("in the table");
        assert!(k.has(Fix::CancelFreeRcu) && k.has(Fix::BpfMemAlloc) && !k.has(Fix::TimerAbs));
        assert!(!KernelVersion::parse("v6.1").expect("in the table").has(Fix::CancelFreeRcu));
        assert!(k.release() < Release::mainline(6, 2));
    }

    #[test]
    fn ranges_take_mainline_releases_and_their_ends() {
        let names = |t: &str| -> Vec<String> {
            KernelVersion::range(t).expect(t).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("v5.19..v6.2"), ["v5.19", "v6.0", "v6.1", "v6.2"]);
        assert_eq!(names("v6.1.192..v6.2"), ["v6.1.192", "v6.2"]);
        assert_eq!(names("v6.7"), ["v6.7"]);
        assert!(matches!(KernelVersion::range("v6.7..v6.1"), Err(VersionError::Backwards { .. })));
    }

    #[test]
    fn display_names_what_was_changed() {
        let k = KernelVersion::parse("v6.7").expect("in the table");
        assert_eq!(k.with(Fix::CancelFreeRcu).to_string(), "v6.7 with 0281b919e175");
        assert_eq!(k.without(Fix::InitUrefRecheck).to_string(), "v6.7 without fd381ce60a2d");
        assert_eq!(k.with(Fix::CancelFreeRcu).without(Fix::CancelFreeRcu), k);
    }

    #[test]
    fn unknown_releases_name_the_nearest() {
        let e = KernelVersion::parse("v6.1.7").expect_err("not in the table");
        let nearest = Release::mainline(6, 1);
        assert!(matches!(e, VersionError::Unknown { nearest: n, .. } if n == nearest));
        assert!(matches!(KernelVersion::parse("6.7"), Err(VersionError::Syntax { .. })));
    }
}
