//! The strings of a file that have a grammar of their own: durations, objects, conditions, kernels.

use std::fmt;

use crate::span::Sp;

/// A length of time, or a range of lengths, in nanoseconds: `"10us"`, `"5us..30us"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// Shortest.
    pub min_ns: u64,
    /// Longest; never below `min_ns`, and equal to it unless a range was written.
    pub max_ns: u64,
}

impl Duration {
    /// One length.
    #[must_use]
    pub fn fixed(ns: u64) -> Self {
        Duration { min_ns: ns, max_ns: ns }
    }

    /// Whether several lengths are possible.
    #[must_use]
    pub fn is_range(self) -> bool {
        self.min_ns != self.max_ns
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, i128::from(self.min_ns), i128::from(self.max_ns))
    }
}

/// A difference of times, which may be negative; only `clock_step` takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedDuration {
    /// Lowest, in nanoseconds.
    pub min_ns: i64,
    /// Highest; never below `min_ns`.
    pub max_ns: i64,
}

impl SignedDuration {
    /// One difference.
    #[must_use]
    pub fn fixed(ns: i64) -> Self {
        SignedDuration { min_ns: ns, max_ns: ns }
    }
}

impl fmt::Display for SignedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(f, i128::from(self.min_ns), i128::from(self.max_ns))
    }
}

fn write_range(f: &mut fmt::Formatter<'_>, min: i128, max: i128) -> fmt::Result {
    write_ns(f, min)?;
    if min == max {
        return Ok(());
    }
    f.write_str("..")?;
    write_ns(f, max)
}

/// The largest unit without a fraction: one spelling for each length.
fn write_ns(f: &mut fmt::Formatter<'_>, ns: i128) -> fmt::Result {
    let (factor, unit) = match ns {
        0 => (1, "ns"),
        _ if ns % 1_000_000_000 == 0 => (1_000_000_000, "s"),
        _ if ns % 1_000_000 == 0 => (1_000_000, "ms"),
        _ if ns % 1_000 == 0 => (1_000, "us"),
        _ => (1, "ns"),
    };
    write!(f, "{}{unit}", ns / factor)
}

/// A string that names an object: `"m[7].timer"`, `"p->word"`, `"value"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjExpr {
    /// What it starts with.
    pub base: Sp<ObjBase>,
    /// The keys in brackets: none, one, or two for an element of an inner map.
    pub keys: Vec<Sp<Key>>,
    /// The members behind `->` or `.`, and indices of arrays.
    pub path: Vec<Sp<PathSeg>>,
    /// The byte of the value behind `+` (cases for the verifier).
    pub byte: Option<Sp<u32>>,
}

/// What an object string starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjBase {
    /// A name that is not looked up yet; never in a tree that the loader gave out.
    Name(String),
    /// A declared map.
    Map(String),
    /// A local of this body.
    Local(String),
    /// A shared variable.
    Var(String),
    /// A program, where a file descriptor is asked for.
    Prog(String),
    /// The value that the callback was called with.
    Value,
    /// The key that the callback was called with.
    Key,
}

impl ObjBase {
    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            ObjBase::Name(name)
            | ObjBase::Map(name)
            | ObjBase::Local(name)
            | ObjBase::Var(name)
            | ObjBase::Prog(name) => name,
            ObjBase::Value => "value",
            ObjBase::Key => "key",
        }
    }

    /// Whether members are reached by `->`.
    fn is_pointer(&self) -> bool {
        !matches!(self, ObjBase::Map(_) | ObjBase::Prog(_))
    }
}

/// A key in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A number.
    Int(i64),
    /// `self`: what a lookup of the callback's `*key` gives now.
    Itself,
}

/// A part of the way from an object to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSeg {
    /// A member.
    Member(String),
    /// An element of an array.
    Index(u32),
}

impl ObjExpr {
    /// Whether it is only a name, `value` or `key`.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.keys.is_empty() && self.path.is_empty() && self.byte.is_none()
    }
}

impl fmt::Display for ObjExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.text())?;
        for key in &self.keys {
            match key.node {
                Key::Int(key) => write!(f, "[{key}]")?,
                Key::Itself => f.write_str("[self]")?,
            }
        }
        for (index, seg) in self.path.iter().enumerate() {
            match &seg.node {
                PathSeg::Index(index) => write!(f, "[{index}]")?,
                PathSeg::Member(name) => {
                    let arrow = index == 0 && self.keys.is_empty() && self.base.is_pointer();
                    write!(f, "{}{name}", if arrow { "->" } else { "." })?;
                }
            }
        }
        match &self.byte {
            Some(byte) => write!(f, "+{}", byte.node),
            None => Ok(()),
        }
    }
}

/// A condition: comparisons joined by `&&` or `||`.
// Nearly all are comparisons.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cond {
    /// A comparison.
    Cmp {
        /// Left side.
        left: Sp<Operand>,
        /// How they are compared.
        op: CmpOp,
        /// Right side.
        right: Sp<Operand>,
    },
    /// All hold; at least two.
    All(Vec<Cond>),
    /// At least one holds; at least two.
    Any(Vec<Cond>),
}

impl Cond {
    /// Calls `f` with each side of each comparison, from left to right.
    pub fn for_each_operand<'a>(&'a self, f: &mut dyn FnMut(&'a Sp<Operand>)) {
        match self {
            Cond::Cmp { left, right, .. } => {
                f(left);
                f(right);
            }
            Cond::All(conds) | Cond::Any(conds) => {
                conds.iter().for_each(|cond| cond.for_each_operand(f));
            }
        }
    }

    /// The same for changes.
    pub(crate) fn for_each_operand_mut(&mut self, f: &mut dyn FnMut(&mut Sp<Operand>)) {
        match self {
            Cond::Cmp { left, right, .. } => {
                f(left);
                f(right);
            }
            Cond::All(conds) | Cond::Any(conds) => {
                conds.iter_mut().for_each(|cond| cond.for_each_operand_mut(f));
            }
        }
    }
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (conds, word) = match self {
            Cond::Cmp { left, op, right } => {
                return write!(f, "{} {} {}", left.node, op.symbol(), right.node);
            }
            Cond::All(conds) => (conds, " && "),
            Cond::Any(conds) => (conds, " || "),
        };
        for (index, cond) in conds.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            match cond {
                Cond::Cmp { .. } => cond.fmt(f)?,
                _ => write!(f, "({cond})")?,
            }
        }
        Ok(())
    }
}

/// How two integers or pointers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CmpOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CmpOp {
    /// As written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            CmpOp::Eq => "==",
            CmpOp::Ne => "!=",
            CmpOp::Lt => "<",
            CmpOp::Le => "<=",
            CmpOp::Gt => ">",
            CmpOp::Ge => ">=",
        }
    }

    /// Whether `left op right` is true of two ordered things.
    #[must_use]
    pub fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            CmpOp::Eq => left == right,
            CmpOp::Ne => left != right,
            CmpOp::Lt => left < right,
            CmpOp::Le => left <= right,
            CmpOp::Gt => left > right,
            CmpOp::Ge => left >= right,
        }
    }
}

/// A side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Int(i64),
    /// `NULL`, also: an element that is absent.
    Null,
    /// A local, a shared variable, a member or (in `final`) an element.
    Object(ObjExpr),
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Int(value) => value.fmt(f),
            Operand::Null => f.write_str("NULL"),
            Operand::Object(object) => object.fmt(f),
        }
    }
}

/// A release: `v6.7` is (6, 7, 0), `v6.1.192` is (6, 1, 192). Ordered by these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(
    /// Major.
    pub u32,
    /// Minor.
    pub u32,
    /// Stable release; 0 for mainline.
    pub u32,
);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.2 {
            0 => write!(f, "v{}.{}", self.0, self.1),
            patch => write!(f, "v{}.{}.{patch}", self.0, self.1),
        }
    }
}

/// For which kernels an expectation is meant: all terms must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelCond {
    /// The terms; at least one.
    pub terms: Vec<Sp<KernelTerm>>,
}

/// A part of a kernel condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelTerm {
    /// `< v6.8`; `op` is never `==` or `!=`.
    Release {
        /// How the kernel's release is compared with `version`.
        op: CmpOp,
        /// The release to compare with.
        version: Version,
    },
    /// `v6.1..v6.7`, both ends included.
    Range(Version, Version),
    /// `has FIX`: a fix name or commit id.
    Has(String),
    /// `lacks FIX`.
    Lacks(String),
}

impl KernelCond {
    /// Whether the condition holds for a kernel of this release; `has_fix` answers for fixes.
    #[must_use]
    pub fn holds(&self, version: Version, has_fix: &dyn Fn(&str) -> bool) -> bool {
        self.terms.iter().all(|term| match &term.node {
            KernelTerm::Release { op, version: bound } => op.holds(&version, bound),
            KernelTerm::Range(low, high) => *low <= version && version <= *high,
            KernelTerm::Has(fix) => has_fix(fix),
            KernelTerm::Lacks(fix) => !has_fix(fix),
        })
    }
}

impl fmt::Display for KernelCond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match &term.node {
                KernelTerm::Release { op, version } => write!(f, "{} {version}", op.symbol())?,
                KernelTerm::Range(low, high) => write!(f, "{low}..{high}")?,
                KernelTerm::Has(fix) => write!(f, "has {fix}")?,
                KernelTerm::Lacks(fix) => write!(f, "lacks {fix}")?,
            }
        }
        Ok(())
    }
}
