//! What the host says of itself: memory, pressure, disk, load, control groups. Reading is bounded, parsing is pure.

mod root;

pub mod cgroup;
pub mod cpu;
pub mod disk;
pub mod load;
pub mod memory;
pub mod pressure;

mod boot;
mod ladder;
mod sample;

pub use boot::boot_id;
pub use ladder::{Pressure, Severity, Signal, Thresholds, ladder};
pub use root::Root;
pub use sample::Sample;
