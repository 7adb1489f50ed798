//! Turns the record of a timerace run into things that people and scripts read.
//!
//! A report is a function from data to text or bytes: the same data gives the same bytes. This crate reads records, search
//! results and latency samples, and knows no model: no BPF, no scenario files, no terminal. Only [`out_dir`] touches the
//! file system.
//!
//! Where to start reading: [`interleaving`] lays a run out as rows, a column per CPU (which steps a picture shows:
//! [`choose`]); [`race_text`], [`splat`] and [`steps`] write these rows as text.

pub mod arrows;
pub mod causes;
pub mod certificate;
pub mod choose;
pub mod compare;
mod counts;
pub mod cover;
pub mod estimate;
mod facts;
pub mod final_states;
pub mod final_states_svg;
pub mod ftrace;
pub mod github;
pub mod graph_svg;
pub mod graphs;
mod gutter;
pub mod happens_before_svg;
pub mod hdr_log;
pub mod holds;
pub mod interleaving;
pub mod json;
pub mod junit;
pub mod ktap;
pub mod latency;
pub mod latency_csv;
pub mod latency_svg;
pub mod latency_table;
mod led_to;
pub mod lock_order;
mod marks;
pub mod matrix_svg;
pub mod num;
mod order;
pub mod origin;
pub mod out_dir;
pub mod page;
mod passing;
pub mod pftrace;
#[cfg(feature = "png")]
pub mod png;
pub mod race_marks;
pub mod race_svg;
pub mod race_text;
pub mod rank_sum;
pub mod rows;
pub mod sarif;
mod scale;
pub mod schedule_ron;
pub mod shiviz;
pub mod shrunk;
pub mod slices;
pub mod splat;
pub mod starved;
pub mod states;
pub mod steps;
pub mod suite;
pub mod suite_html;
pub mod svg;
pub mod sweep;
pub mod sweep_svg;
pub mod table;
pub mod theme;
pub mod timehist;
pub mod timeline_svg;
pub mod waits;
mod why;
