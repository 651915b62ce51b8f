//! A scripted agent CLI: prints what the real one prints, really works in a real git tree, and misbehaves on
//! request. It is one `sh` script, so that it runs wherever an agent can be deployed.

mod mode;
mod script;

pub use mode::Mode;
pub use script::{SCRIPT, argv, install, left_behind, mode_command, prompt, runs, set_mode};
