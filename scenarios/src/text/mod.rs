//! Readers of the strings that have a grammar of their own.
//!
//! Each takes the text and gives a value whose places are bytes *of that text*; [`crate::read`]
//! moves them into the file.

pub(crate) mod cond;
pub(crate) mod cursor;
pub(crate) mod duration;
pub(crate) mod errno;
pub(crate) mod kernel;
pub(crate) mod object;

pub(crate) use cursor::{Cursor, TextError};
