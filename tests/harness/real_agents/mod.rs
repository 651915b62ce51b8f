//! Real agent CLIs, run by the agent against a provider on loopback: what they print is recorded, so that the presets
//! can be tested without them.

pub mod case;
pub mod cli;
pub mod compare;
pub mod install;
pub mod page;
pub mod play;
pub mod recording;
pub mod sandbox;
pub mod scrub;
mod served;
pub mod table;
