//! What people and programs see of a run: lines, progress, the recap. stdout is the result, stderr everything else.

pub mod print;

pub mod progress;
pub mod recap;
pub mod result_line;

pub mod by_time;
pub mod folded;
pub mod host_files;
pub mod prefixed;

pub mod fleet_lines;
pub mod live;
