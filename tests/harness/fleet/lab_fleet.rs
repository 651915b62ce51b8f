//! A fleet of lab hosts with one project, `demo`, ready to be deployed.

use std::path::Path;

use super::controller::Controller;
use super::project::PROMPT;
use crate::lab::{Host, Lab};

/// The inventory but for its hosts; tests replace parts of it.
const FLEET: &str = r#"[fleet]
name = "lab"

[groups.lab]
hosts = [HOSTS]

[projects.demo]
on = "lab"
work_dir = "~/demo"
config = "agent-runner.toml"
prompts = "prompts"
service = { scope = "user", monitor = false }

[rollout]
batch = ["100%"]
max_fail = "100%"
confirm_s = 20

[monitor]
brake = "50%"
stale_after_s = 30
"#;

const CONFIG: &str = r#"schema_version = 1

[agent]
command = ["/home/ops/.local/bin/claude", "--output-format", "stream-json"]
prompt_arg_template = ["-p"]
prompt_delivery = "stdin"

[runtime]
work_dir = "."
log_dir = "~/.agent-runner/{project}/logs"
round_budget_s = 60
restart_delay_s = 1

[prompt]
file = "./prompts/main.md"
"#;

/// Returns a controller, the program at `program`, with every host of the lab in its inventory; the hosts have
/// the project's repository and the scripted agent, which sleeps for a second and commits.
///
/// # Errors
/// Where a file cannot be written, here or on a host.
pub fn lab_fleet(program: impl AsRef<Path>, lab: &Lab) -> anyhow::Result<Controller> {
    let controller = Controller::new(program.as_ref())?;
    lab.write_ssh_config(controller.home())?;
    let names: Vec<String> = lab.hosts().iter().map(|host| format!("{:?}", host.name())).collect();
    controller.write("fleet.toml", &FLEET.replace("HOSTS", &names.join(", ")))?;
    controller.write("agent-runner.toml", CONFIG)?;
    controller.write("prompts/main.md", PROMPT)?;
    lab.hosts().iter().try_for_each(Host::furnish)?;
    Ok(controller)
}
