//! Small programs, and the truth about them by trying every schedule.

pub mod brute;
pub mod toy;
