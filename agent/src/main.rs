//! The `agent-runner` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_runner::main()
}
