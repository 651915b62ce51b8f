//! `agent-runner-fleet` as the tests run it: cargo hands tests the programs of their own package only.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_runner_fleet::main()
}
