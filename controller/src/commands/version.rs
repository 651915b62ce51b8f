//! `--version`: who this program is, and the agents it carries.

use serde_json::json;

use crate::bundle;
use crate::error::{Error, Exit};
use crate::output::print;
use crate::verb::{Global, context};

/// Prints it.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(global: &Global) -> Result<Exit, Error> {
    let version = env!("CARGO_PKG_VERSION");
    let printed = if global.json {
        print::json_line(&json!({
            "program": "agent-runner-fleet",
            "version": version,
            "protocol": agent_runner::version::PROTOCOL,
            "agents": bundle::agents(),
        }))
    } else {
        print::text(&format!("agent-runner-fleet {version}\n"))
    };
    context::printed(printed)?;
    Ok(Exit::Ok)
}
