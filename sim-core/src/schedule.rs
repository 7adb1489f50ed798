//! Schedules: the answers given at the choice points of a run, and their short text.
//!
//! `1x4,2x7,1`: CPU1 for 4 steps, CPU2 for 7, CPU1 to its end. `2!tick` is an interrupt on CPU2, `0!gp` a grace period.
//! Where a CPU has several contexts that could run, the name follows: `1:kworkerx3`. `1=2` takes an alternative (counted
//! from 0) of one step that has some; `1!enomem` is `1=1`. What follows the text is the default order
//! ([`crate::policy::default_pick`]). Names are unique on their CPU ([`crate::Setup::context`] sees to it), so each text
//! means one schedule.

use crate::ids::{CpuId, CtxId};
use crate::machine::{CtxSpec, Machine};
use crate::policy::{Choice, Diverged, Policy, default_pick};
use std::fmt::Write as _;

/// One answer: who steps, and which alternative it takes.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pick {
    /// The context.
    pub ctx: CtxId,
    /// The alternative, 0 for steps that have none.
    pub alt: u8,
}

/// The answers of a run, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Schedule {
    /// One per step.
    pub picks: Vec<Pick>,
}

/// Whom a token of the text means.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Target {
    /// `1`: the context that is running on the CPU.
    Cpu(CpuId),
    /// `1:name`.
    Named(CpuId, String),
    /// `1!name`: an idle daemon of the CPU begins.
    Event(CpuId, String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Token {
    target: Target,
    count: Option<u32>,
    alt: u8,
    text: String,
}

/// A schedule as people write it: a policy that follows it.
#[derive(Clone, Debug)]
pub struct ShortSchedule {
    tokens: Vec<Token>,
    specs: Vec<CtxSpec>,
    at: usize,
    left: Option<u32>,
    current: Option<CtxId>,
    /// Who ran last on each CPU.
    recent: Vec<Option<CtxId>>,
    step: u32,
}

impl ShortSchedule {
    /// Reads the short text.
    ///
    /// # Errors
    /// What is wrong with it, naming the part.
    pub fn parse(text: &str, machine: &Machine) -> Result<ShortSchedule, String> {
        let mut tokens = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            tokens.push(parse_token(part, machine)?);
        }
        Ok(ShortSchedule {
            tokens,
            specs: machine.contexts().to_vec(),
            at: 0,
            left: None,
            current: None,
            recent: vec![None; usize::from(machine.cpus())],
            step: 0,
        })
    }

    fn resolve(&self, token: &Token, choice: &Choice<'_>) -> Result<CtxId, String> {
        let on = |c: &CtxId, cpu: CpuId| home(&self.specs[c.index()]) == cpu;
        let named = |c: &CtxId, n: &str| short_token(&self.specs[c.index()]) == n;
        let candidates: Vec<CtxId> = match &token.target {
            Target::Cpu(cpu) => return self.on_cpu(*cpu, choice),
            Target::Named(cpu, n) => {
                choice.ready.iter().copied().filter(|c| on(c, *cpu) && named(c, n)).collect()
            }
            Target::Event(cpu, n) => choice
                .ready
                .iter()
                .copied()
                .filter(|c| (choice.idle)(*c) && on(c, *cpu) && named(c, n))
                .collect(),
        };
        candidates.first().copied().ok_or_else(|| {
            let can = self.offers(choice);
            match &token.target {
                Target::Event(cpu, n) => format!("`{n}` cannot come on {cpu} there; {can}"),
                Target::Named(cpu, n) => format!("`{n}` cannot step on {cpu} there; {can}"),
                Target::Cpu(cpu) => format!("{cpu} cannot step there; {can}"),
            }
        })
    }

    /// What could stand there instead.
    fn offers(&self, choice: &Choice<'_>) -> String {
        let token = |c: &CtxId| {
            let spec = &self.specs[c.index()];
            let sign = if (choice.idle)(*c) { '!' } else { ':' };
            format!("{}{sign}{}", home(spec).0, short_token(spec))
        };
        format!("possible: {}", choice.ready.iter().map(token).collect::<Vec<_>>().join(", "))
    }

    fn on_cpu(&self, cpu: CpuId, choice: &Choice<'_>) -> Result<CtxId, String> {
        let here: Vec<CtxId> = choice
            .ready
            .iter()
            .copied()
            .filter(|c| self.specs[c.index()].cpu == Some(cpu) && !(choice.idle)(*c))
            .collect();
        match here.as_slice() {
            [one] => Ok(*one),
            [] => Err(format!("nothing can step on {cpu} there; {}", self.offers(choice))),
            many => match self.recent.get(cpu.index()).copied().flatten() {
                Some(r) if many.contains(&r) => Ok(r),
                _ => {
                    let names: Vec<&str> =
                        many.iter().map(|c| self.specs[c.index()].token.as_str()).collect();
                    Err(format!(
                        "{cpu} has several that can step: say {}:{}",
                        cpu.0,
                        names.join(" or ")
                    ))
                }
            },
        }
    }
}

/// The CPU under which a context stands in the text: its own, or for a helper the number at the end of its token.
pub fn home(spec: &CtxSpec) -> CpuId {
    spec.cpu.unwrap_or_else(|| {
        let head = spec.token.trim_end_matches(|c: char| c.is_ascii_digit());
        CpuId(spec.token[head.len()..].parse().unwrap_or(0))
    })
}

/// The name of a context in the text, on its CPU.
pub fn short_token(spec: &CtxSpec) -> &str {
    if spec.cpu.is_some() {
        return &spec.token;
    }
    let head = spec.token.trim_end_matches(|c: char| c.is_ascii_digit());
    head.strip_suffix('-').unwrap_or(head)
}

/// A name as the text can hold it: lower case letters, digits, `_` and `-`.
pub fn token_of(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect()
}

/// The context's token, or if another one on its CPU has it, or could be taken for it with a count behind, one with a
/// letter more.
pub(crate) fn unique_token(spec: &CtxSpec, others: &[CtxSpec]) -> String {
    let cpu = home(spec);
    let counted = |a: &str, b: &str| {
        let rest = a.strip_prefix(b).and_then(|r| r.strip_prefix('x'));
        rest.is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
    };
    let short = short_token(spec);
    let own = token_of(short);
    let more = (1..).map(|i| format!("{own}-{}", letters(i)));
    let free = |t: &String| {
        let taken = |o: &str| o == t || counted(o, t) || counted(t, o);
        !others.iter().filter(|o| home(o) == cpu).any(|o| taken(short_token(o)))
    };
    let token = std::iter::once(own.clone()).chain(more).find(free).unwrap_or_default();
    match spec.cpu {
        None if token == short => spec.token.clone(),
        None => format!("{token}-{}", cpu.0),
        Some(_) => token,
    }
}

/// a, b, .. z, aa, ab ..
fn letters(i: usize) -> String {
    let letter = char::from(b'a' + (i % 26) as u8);
    if i < 26 { letter.to_string() } else { format!("{}{letter}", letters(i / 26 - 1)) }
}

fn parse_token(part: &str, machine: &Machine) -> Result<Token, String> {
    let bad = |why: &str| format!("`{part}` in the schedule: {why}");
    let digits = part.chars().take_while(char::is_ascii_digit).count();
    let (cpu, rest) = part.split_at(digits);
    let cpu: u16 = cpu.parse().map_err(|_| bad("expected the number of a CPU"))?;
    if cpu >= machine.cpus() {
        return Err(bad(&format!("the machine has CPUs 0 to {}", machine.cpus() - 1)));
    }
    let cpu = CpuId(cpu);
    let (rest, mut alt) = match rest.split_once('=') {
        Some((r, a)) => (r, a.parse().map_err(|_| bad("expected a number after `=`"))?),
        None => (rest, 0),
    };
    let known = |n: &str| machine.contexts().iter().any(|s| home(s) == cpu && short_token(s) == n);
    // A name may end like a count: `0!net-rx0`.
    let (name, count) = match rest.get(1..) {
        Some(n) if !rest.starts_with('x') && known(n) => (rest, None),
        _ => split_count(rest).map_err(|e| bad(&e))?,
    };
    if count.is_some() && alt != 0 {
        return Err(bad("an alternative is that of one step: no count beside it"));
    }
    let target = match name.chars().next() {
        None => Target::Cpu(cpu),
        Some(':') => Target::Named(cpu, name[1..].to_string()),
        Some('!') if name == "!enomem" => {
            alt = 1;
            Target::Cpu(cpu)
        }
        Some('!') => Target::Event(cpu, name[1..].to_string()),
        Some(_) => return Err(bad("expected `xN`, `:name` or `!event` after the CPU")),
    };
    if let Target::Named(c, n) | Target::Event(c, n) = &target
        && !known(n)
    {
        let names: Vec<&str> =
            machine.contexts().iter().filter(|s| home(s) == *c).map(short_token).collect();
        return Err(bad(&format!("{c} has no `{n}`; it has {}", names.join(", "))));
    }
    Ok(Token { target, count, alt, text: part.to_string() })
}

/// Splits `:kworkerx3` into name and count. A name may contain an `x`: only a trailing `x` with digits counts.
fn split_count(rest: &str) -> Result<(&str, Option<u32>), String> {
    let digits = rest.chars().rev().take_while(char::is_ascii_digit).count();
    let (head, n) = rest.split_at(rest.len() - digits);
    match head.strip_suffix('x') {
        Some(name) if digits > 0 => {
            let n: u32 = n.parse().map_err(|_| "the count is too large".to_string())?;
            if n == 0 { Err("a count starts at 1".into()) } else { Ok((name, Some(n))) }
        }
        _ => Ok((rest, None)),
    }
}

impl Policy for ShortSchedule {
    fn begin(&mut self) {
        self.at = 0;
        self.left = None;
        self.current = None;
        self.recent.fill(None);
        self.step = 0;
    }

    fn pick(&mut self, choice: &Choice<'_>) -> Result<Pick, Diverged> {
        self.step += 1;
        let pick = self.next(choice).map_err(|reason| Diverged { step: self.step, reason })?;
        if let Some(cpu) = self.specs[pick.ctx.index()].cpu {
            self.recent[cpu.index()] = Some(pick.ctx);
        }
        Ok(pick)
    }
}

impl ShortSchedule {
    fn next(&mut self, choice: &Choice<'_>) -> Result<Pick, String> {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Ok(Pick { ctx: default_pick(choice), alt: 0 });
        };
        let last = self.at + 1 == self.tokens.len();
        // The alternative is that of the token's first step; only the last token goes on behind it.
        let alt = if self.current.is_none() { token.alt } else { 0 };
        let ctx = match self.current {
            Some(c) if choice.ready.contains(&c) && !((choice.idle)(c) && self.left.is_none()) => c,
            Some(_) if self.left.is_none() => {
                // The last token runs to its end; then the default order.
                self.at += 1;
                self.current = None;
                return self.next(choice);
            }
            Some(c) => {
                let name = &self.specs[c.index()].name;
                let can = self.offers(choice);
                return Err(format!("`{}`: {name} cannot step any further; {can}", token.text));
            }
            None => {
                let c = self.resolve(&token, choice)?;
                self.current = Some(c);
                self.left = token.count.or(if last { None } else { Some(1) });
                c
            }
        };
        let alternatives = (choice.alternatives)(ctx);
        if alt >= alternatives {
            let n = alternatives - 1;
            return Err(format!("`{}`: the step has the alternatives 0 to {n}", token.text));
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                self.at += 1;
                self.current = None;
                self.left = None;
            }
        }
        Ok(Pick { ctx, alt })
    }
}

/// One step of a run as the writer of the text needs it.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub pick: Pick,
    /// It was an idle daemon before the step.
    pub was_idle: bool,
    /// A bare CPU number would have meant another context, or nobody.
    pub ambiguous: bool,
    /// The default order would have taken this step, given what happened before.
    pub is_default: bool,
}

/// The short text of a run. Of the tail that the default order takes anyway, only who begins it is said.
pub(crate) fn short_text(taken: &[Taken], specs: &[CtxSpec]) -> String {
    let tail = taken.iter().rev().take_while(|t| t.is_default && t.pick.alt == 0).count();
    let kept = &taken[..(taken.len() - tail + 1).min(taken.len())];
    let mut out = String::new();
    let mut i = 0;
    while i < kept.len() {
        let t = &kept[i];
        let spec = &specs[t.pick.ctx.index()];
        let same = |n: &&Taken| n.pick == t.pick && !n.was_idle && t.pick.alt == 0;
        let n = 1 + kept[i + 1..].iter().take_while(same).count();
        i += n;
        if !out.is_empty() {
            out.push(',');
        }
        let cpu = home(spec).0;
        let _ = match (t.was_idle, t.ambiguous || spec.cpu.is_none()) {
            (true, _) => write!(out, "{cpu}!{}", short_token(spec)),
            (false, true) => write!(out, "{cpu}:{}", short_token(spec)),
            (false, false) => write!(out, "{cpu}"),
        };
        if t.pick.alt != 0 {
            let _ = write!(out, "={}", t.pick.alt);
        }
        // The last token runs to its end, which is what the default order does.
        if n > 1 && i < kept.len() {
            let _ = write!(out, "x{n}");
        }
    }
    out
}
