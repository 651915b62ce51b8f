//! The `agent-runner-fleet` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_runner_fleet::main()
}
