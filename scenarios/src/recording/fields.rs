//! Takes a JSON object apart field by field. What is left over was not understood, which is never passed over.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Why a line could not be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// It says something that this reader does not know: the case is unsupported.
    Unknown(String),
    /// It is not what the schema says: the recording is broken.
    Malformed(String),
}

/// The fields of an object that were not yet looked at.
pub(super) struct Fields {
    what: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of an object; `what` names it in messages.
    pub fn of(what: &str, value: Value) -> Result<Fields, Problem> {
        match value {
            Value::Object(map) => Ok(Fields { what: what.to_string(), map }),
            _ => Err(Problem::Malformed(format!("{what} is no object"))),
        }
    }

    /// A field that may be absent or null.
    pub fn maybe<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => serde_json::from_value(v)
                .map(Some)
                .map_err(|e| Problem::Malformed(format!("{name} of {}: {e}", self.what))),
        }
    }

    /// A field that must be there.
    pub fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Problem> {
        self.maybe(name)?.ok_or_else(|| Problem::Malformed(format!("{} has no {name}", self.what)))
    }

    /// A field that says nothing to a comparison: remarks, and what follows from other fields.
    pub fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Everything was looked at.
    pub fn done(self) -> Result<(), Problem> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::Unknown(format!("unknown field {name} of {}", self.what))),
        }
    }

    /// A word of this object that the reader does not know.
    pub fn unknown<T>(&self, name: &str, word: &str) -> Result<T, Problem> {
        Err(Problem::Unknown(format!("unknown {name} {word} of {}", self.what)))
    }
}
