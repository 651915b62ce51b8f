//! `--version`: who this binary is. The controller reads the JSON to decide what it can ask of a host.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};

/// The controller's protocol: verbs, manifest and JSON shapes together. A change that an older reader cannot
/// ignore raises it.
pub const PROTOCOL: u32 = 1;

/// What `--version --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Always `agent-runner`.
    pub program: String,
    /// The release.
    pub version: String,
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The target triple it was built for.
    pub target: String,
    /// The build: `release` or `debug`.
    pub build: String,
}

impl Version {
    /// Returns this binary's.
    pub fn own() -> Version {
        Version {
            program: "agent-runner".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
            target: env!("AGENT_RUNNER_TARGET").into(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        }
    }
}

/// Prints it.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(format: Format) -> Result<Exit, Error> {
    let version = Version::own();
    printed(match format {
        Format::Json => output::print_json(&version),
        Format::Pretty => output::print(&format!("agent-runner {}\n", version.version)),
    })?;
    Ok(Exit::Ok)
}
