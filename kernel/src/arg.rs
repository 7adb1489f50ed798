//! Arguments of functions and labels, packed into a word: which element, map or program a step is about.

use crate::kernel::Kernel;
use crate::objects::MapObj;
use crate::world::{MapId, ProgId};
use timerace_core::Ptr;

/// What a word says to readers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Arg {
    /// Nothing.
    None,
    /// A map, by index.
    Map(usize),
    /// An element.
    Elem {
        /// Index of the map.
        map: usize,
        /// Its key; the low 40 bits are kept.
        key: u64,
    },
    /// A program, by index.
    Prog(usize),
    /// A variable, by index.
    Var(usize),
    /// An error or other return code.
    Code(i64),
    /// A path in bpffs, by index.
    Path(usize),
    /// A task, by index.
    Task(usize),
    /// What the user wrote: the operation at this line of the source (index of [`crate::world::LineId`]).
    Text(usize),
}

const KEY_BITS: u32 = 40;
const INDEX_BITS: u32 = 20;
const KEY_MASK: u64 = (1 << KEY_BITS) - 1;

fn pack(kind: u64, index: usize, key: u64) -> u64 {
    kind << (KEY_BITS + INDEX_BITS) | (index as u64) << KEY_BITS | (key & KEY_MASK)
}

impl Arg {
    /// The word.
    pub fn word(self) -> u64 {
        match self {
            Arg::None => 0,
            Arg::Map(i) => pack(1, i, 0),
            Arg::Elem { map, key } => pack(2, map, key),
            Arg::Prog(i) => pack(3, i, 0),
            Arg::Var(i) => pack(4, i, 0),
            Arg::Code(c) => pack(5, 0, c as u64),
            Arg::Path(i) => pack(6, i, 0),
            Arg::Task(i) => pack(7, i, 0),
            Arg::Text(i) => pack(8, i, 0),
        }
    }

    /// What the word says.
    pub fn from_word(word: u64) -> Arg {
        let index = (word >> KEY_BITS) as usize & ((1 << INDEX_BITS) - 1);
        let key = word & KEY_MASK;
        match word >> (KEY_BITS + INDEX_BITS) {
            1 => Arg::Map(index),
            2 => Arg::Elem { map: index, key },
            3 => Arg::Prog(index),
            4 => Arg::Var(index),
            5 => Arg::Code(((key << (64 - KEY_BITS)) as i64) >> (64 - KEY_BITS)),
            6 => Arg::Path(index),
            7 => Arg::Task(index),
            8 => Arg::Text(index),
            _ => Arg::None,
        }
    }
}

impl Kernel {
    /// The argument under which functions and marks name a map.
    pub fn arg_of_map(map: MapId) -> u64 {
        Arg::Map(map.index()).word()
    }

    /// The argument under which functions and marks name an element.
    pub fn arg_of_elem(map: MapId, key: i64) -> u64 {
        Arg::Elem { map: map.index(), key: key as u64 }.word()
    }

    /// The argument under which functions name a program.
    pub fn arg_of_prog(prog: ProgId) -> u64 {
        Arg::Prog(prog.index()).word()
    }

    pub(crate) fn arg_text(&self, arg: u64) -> String {
        let w = &self.world;
        match Arg::from_word(arg) {
            Arg::None => String::new(),
            Arg::Map(i) => w.maps.get(i).map_or_else(String::new, |m| m.name.clone()),
            Arg::Elem { map, key } => {
                let name = w.maps.get(map).map_or("?", |m| m.name.as_str());
                format!("{name}[{key}]")
            }
            Arg::Prog(i) => w.progs.get(i).map_or_else(String::new, |p| p.name.clone()),
            Arg::Var(i) => w.vars.get(i).map_or_else(String::new, |v| v.name.clone()),
            Arg::Code(c) => match crate::errno::name(c) {
                Some(name) => format!("-{name}"),
                None => c.to_string(),
            },
            Arg::Path(i) => w.paths.get(i).cloned().unwrap_or_default(),
            Arg::Text(i) => self.texts.get(&i).cloned().unwrap_or_default(),
            Arg::Task(i) => w.tasks.get(i).map_or_else(String::new, |t| t.name.clone()),
        }
    }

    /// The name of an object that exists from the start.
    pub(crate) fn static_name(&self, p: Ptr) -> Option<String> {
        if let Some(i) = self.maps.iter().position(|m| m.obj == MapObj(p)) {
            return Some(self.world.maps[i].name.clone());
        }
        if let Some(i) = self.progs.iter().position(|g| g.obj.0 == p) {
            return Some(self.world.progs[i].name.clone());
        }
        let holds = |m: &crate::map::Map| m.index_of(p);
        let (i, at) = self.maps.iter().enumerate().find_map(|(i, m)| Some((i, holds(m)?)))?;
        Some(format!("{}[{at}]", self.world.maps[i].name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for a in [
            Arg::None,
            Arg::Map(3),
            Arg::Elem { map: 2, key: 0xffff_ffff },
            Arg::Prog(1),
            Arg::Code(-22),
            Arg::Code(7),
            Arg::Path(4),
        ] {
            assert_eq!(Arg::from_word(a.word()), a);
        }
    }
}
