//! The supervisor of one autonomous coding CLI: the Round (one agent run under defenses), the Loop (`serve`) and
//! the Witness (`monitor`). Synchronous, no runtime, no network.

pub mod event;
