//! Kernel releases and the fixes that each has.
//!
//! An era of the model is an algorithm, a fix is a flag. [`FIXES`] is the one table: a fix, the mainline release that
//! first has it, one line of explanation; [`STABLE`] lists the stable releases with what they took on top of their base.
//! A scenario names a release and may add or remove fixes, which is how "what if only this is backported?" is asked.

mod table;

pub use table::{FIXES, Fix, FixInfo, MAINLINE, STABLE};

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

impl Fix {
    /// Its row of the table.
    pub fn info(self) -> &'static FixInfo {
        &FIXES[self as usize]
    }

    /// The fix with this name, or with a commit id of 12 or more digits.
    pub fn find(name_or_commit: &str) -> Option<Fix> {
        let hex = name_or_commit.bytes().all(|b| b.is_ascii_hexdigit());
        let is = |commit: &str| hex && name_or_commit.starts_with(commit);
        let mut all = FIXES.iter();
        all.find(|f| f.name == name_or_commit || f.commit.is_some_and(is)).map(|f| f.fix)
    }

    /// The only fix whose commit id or name begins so, for suggestions: ids are abbreviated in many ways.
    pub fn beginning_with(text: &str) -> Option<Fix> {
        let begins = |f: &&FixInfo| {
            f.name.starts_with(text) || f.commit.is_some_and(|commit| commit.starts_with(text))
        };
        let mut all = FIXES.iter().filter(begins).filter(|_| text.len() >= 4);
        all.next().filter(|_| all.next().is_none()).map(|f| f.fix)
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
    /// A release, and behind a `+` what is no fix.
    UnknownFix {
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
                write!(f, "`{text}` is no kernel release: releases look like v6.7 or v6.1.192")?;
                let release = format!("v{}", text.trim_start_matches(['v', 'V']));
                match KernelVersion::parse(&release) {
                    Ok(_) if release != *text => write!(f, "; did you mean {release}?"),
                    _ => Ok(()),
                }
            }
            VersionError::UnknownFix { text } => {
                write!(f, "there is no fix `{text}`")?;
                match Fix::beginning_with(text) {
                    Some(fix) => write!(f, "; did you mean {fix}?"),
                    None => f.write_str("; `timerace kernels` lists names and commits"),
                }
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

    /// The kernel of `v6.7` or `v6.1.192`, or of `v6.7+0281b919e175`: a release with fixes added to it.
    ///
    /// # Errors
    /// The text is no release, the release is not in the table, or a fix is not.
    pub fn parse(text: &str) -> Result<KernelVersion, VersionError> {
        let mut words = text.split('+');
        let release = KernelVersion::of(words.next().unwrap_or_default().parse()?)?;
        words.try_fold(release, |kernel, fix| {
            let unknown = || VersionError::UnknownFix { text: fix.to_string() };
            Ok(kernel.with(Fix::find(fix).ok_or_else(unknown)?))
        })
    }

    /// The kernels of `v6.7..v6.12`, both ends included: the mainline releases between them and the ends themselves.
    /// A single kernel, with fixes or without, is a range of one.
    ///
    /// # Errors
    /// An end is no release of the table, or the range is empty.
    pub fn range(text: &str) -> Result<Vec<KernelVersion>, VersionError> {
        let Some((from, to)) = text.split_once("..") else {
            return Ok(vec![KernelVersion::parse(text)?]);
        };
        let end = |text: &str| KernelVersion::of(text.parse()?).map(KernelVersion::release);
        let (from, to) = (end(from)?, end(to)?);
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
        for (text, near) in [("6.7", Some("v6.7")), ("V6.7", Some("v6.7")), ("7", None)] {
            let e = KernelVersion::parse(text).expect_err(text).to_string();
            assert_eq!(e.split_once("did you mean ").map(|p| p.1.trim_end_matches('?')), near);
        }
    }

    #[test]
    fn a_kernel_may_be_a_release_with_fixes() {
        let k = KernelVersion::parse("v6.7+0281b919e175+cancel-deadlk").expect("both are known");
        assert!(k.has(Fix::CancelFreeRcu) && k.has(Fix::CancelDeadlk));
        assert_eq!(k.release(), Release::mainline(6, 7));
        let long = format!("0281b919e175{}", "0".repeat(28));
        assert_eq!(Fix::find(&long), Some(Fix::CancelFreeRcu), "an id that is not abbreviated");
        let e = KernelVersion::parse("v6.7+0281b9").expect_err("too short").to_string();
        assert_eq!(e, "there is no fix `0281b9`; did you mean 0281b919e175?");
        assert!(KernelVersion::parse("v6.7+").is_err());
        assert!(KernelVersion::range("v6.7..v6.8+0281b919e175").is_err(), "for which of them?");
    }
}
