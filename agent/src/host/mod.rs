//! What the host says of itself: memory, pressure, disk, load, control groups. Reading is bounded, parsing is pure.

mod root;

pub mod cgroup;
pub mod cpu;
pub mod disk;
pub mod load;
pub mod memory;
pub mod pressure;

mod boot;
mod memory_verdict;
mod sample;

pub use boot::boot_id;
pub use memory_verdict::{Pressure, Severity, Signal, Thresholds, memory_verdict};
pub use root::Root;
pub use sample::Sample;
