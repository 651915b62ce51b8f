//! A project that is only looked at: a configuration, a log dir, and whatever a test appends to its events.

use std::fs;
use std::path::Path;

use agent_runner::store::event_log::EventLog;
use agent_runner::store::layout::Layout;

const CONFIG: &str = "schema_version = 1\n[agent]\ncommand = [\"true\"]\nprompt_arg_template = [\"{prompt}\"]\n\
                      [runtime]\nwork_dir = \".\"\nlog_dir = \"logs\"\n[prompt]\nfile = \"main.md\"\n";

/// Makes it in a folder, which may be there, and returns its event log.
pub(crate) fn project(dir: &Path) -> EventLog {
    fs::create_dir_all(dir.join("logs/rounds")).unwrap();
    fs::write(dir.join("agent-runner.toml"), CONFIG).unwrap();
    EventLog::new(Layout::new(dir.join("logs")))
}
