//! The startup battery: everything a round needs, checked before anything is changed.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use super::{container, program, prompt};
use crate::config::overlap::overlaps;
use crate::config::types::{Agent, Config, Delivery};
use crate::error::{Exit, in_words};
use crate::git::{Git, GitError, Place};
use crate::store::atomic;
use crate::store::layout::Layout;

/// The checks there are, in order; `doctor` lists them.
pub const CHECKS: [&str; 9] = [
    "config_loaded",
    "log_dir_writable",
    "work_dir_is_git_repo",
    "prompt_file_exists",
    "prompt_smoke_passes",
    "phase_window_overlap",
    "agent_cli_in_path",
    "stdin_container_interactive",
    "control_plane_outside_container",
];

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The check's name, with `:phase` when it is about one phase.
    pub check: String,
    /// Why it failed.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
    /// Whether it can heal by itself.
    pub class: Class,
}

/// Whether a failure can heal by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A person has to change something.
    Permanent,
    /// The environment is in the way.
    Environmental,
}

/// Returns what the process ends with: a permanent failure outweighs the others.
pub fn exit_for(failures: &[Failure]) -> Exit {
    if failures.iter().any(|failure| failure.class == Class::Permanent) {
        Exit::Config
    } else {
        Exit::Environment
    }
}

/// The supervisor's search path of commands, as far as who asks knows it.
#[derive(Debug, Clone, Copy)]
pub enum SearchPath<'a> {
    /// This one; `None` is what execvp falls back to.
    Known(Option<&'a OsStr>),
    /// It will be somebody else's, e.g. systemd's: a command named without a path cannot be judged.
    Unknown,
}

/// Runs the battery and returns what failed; `git` learns where the repository is.
pub fn battery(config: &Config, git: &mut Git, path: SearchPath<'_>) -> Vec<Failure> {
    let mut found = Findings::default();
    log_dir_writable(config, &mut found);
    work_dir_is_git_repo(config, git.locate(), &mut found);
    prompts(config, None, &config.prompt.files, &mut found);
    for (name, phase) in &config.phases.overrides {
        if let Some(files) = &phase.prompt_files {
            prompts(config, Some(name), files, &mut found);
        }
    }
    phase_window_overlap(config, &mut found);
    agent(config, (None, &config.agent), path, &mut found);
    for (name, phase) in &config.phases.overrides {
        if let Some(own) = &phase.agent {
            agent(config, (Some(name), own), path, &mut found);
        }
    }
    found.failures
}

#[derive(Debug, Default)]
struct Findings {
    failures: Vec<Failure>,
}

impl Findings {
    fn permanent(&mut self, check: (&str, Option<&str>), reason: String, fix: &str) {
        self.add(check, reason, (fix, Class::Permanent));
    }

    fn environmental(&mut self, check: &str, reason: String, fix: &str) {
        self.add((check, None), reason, (fix, Class::Environmental));
    }

    fn add(&mut self, (check, phase): (&str, Option<&str>), reason: String, (fix, class): (&str, Class)) {
        let check = phase.map_or_else(|| check.to_owned(), |phase| format!("{check}:{phase}"));
        self.failures.push(Failure { check, reason, fix: fix.to_owned(), class });
    }
}

fn log_dir_writable(config: &Config, found: &mut Findings) {
    let layout = Layout::new(&config.runtime.log_dir);
    let probed = atomic::make_folder(layout.root()).and_then(|()| atomic::probe(&layout.write_probe()));
    if let Err(error) = probed {
        let reason = format!("{} is not writable: {}", layout.root().display(), in_words(&error));
        found.environmental(
            "log_dir_writable",
            reason,
            "free disk space, or fix its permissions or runtime.log_dir",
        );
    }
}

fn work_dir_is_git_repo(config: &Config, located: Result<Option<&Place>, GitError>, found: &mut Findings) {
    const CHECK: &str = "work_dir_is_git_repo";
    let work_dir = config.runtime.work_dir.display();
    match located {
        Ok(Some(_)) => {}
        Ok(None) => {
            let reason = format!("{work_dir} is not inside a git work tree");
            found.permanent((CHECK, None), reason, "run `git init` there, or correct runtime.work_dir");
        }
        Err(GitError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let reason = if config.runtime.work_dir.is_dir() {
                "git is not installed".to_owned()
            } else {
                format!("{work_dir} does not exist")
            };
            found.permanent((CHECK, None), reason, "install git, and correct runtime.work_dir");
        }
        Err(error) => {
            let reason = format!("cannot look at {work_dir}: {}", in_words(&error));
            found.environmental(CHECK, reason, "see whether the disk or another git holds it up");
        }
    }
}

fn prompts(config: &Config, phase: Option<&str>, files: &[PathBuf], found: &mut Findings) {
    let Some(first) = files.first() else {
        // A phase may run without a prompt; the base must have one, which loading has made sure of.
        if phase.is_none() {
            found.permanent(
                ("prompt_file_exists", None),
                "no prompt is configured".into(),
                "set prompt.file",
            );
        }
        return;
    };
    // A phase's files are one question: does its prompt come together?
    if phase.is_none() && !first.is_file() {
        let reason = format!("{} is missing", first.display());
        found.permanent(("prompt_file_exists", None), reason, "write the prompt file, or correct [prompt]");
    }
    let fix = "write a prompt of at least 500 bytes that begins with a letter";
    let refusal = match prompt::read(files) {
        Ok(pieces) => prompt::refusal(&prompt::assemble(&pieces.texts, &config.prompt)),
        Err(error) => Some(in_words(&error)),
    };
    if let Some(reason) = refusal {
        found.permanent(("prompt_smoke_passes", phase), reason, fix);
    }
}

fn phase_window_overlap(config: &Config, found: &mut Findings) {
    for overlap in overlaps(config) {
        let reason = format!(
            "phases {} ({}) and {} ({}) with different agents may run at the same time",
            overlap.phase_a, overlap.window_a, overlap.phase_b, overlap.window_b
        );
        found.permanent(("phase_window_overlap", None), reason, "separate their run_windows");
    }
}

fn agent(
    config: &Config,
    (phase, agent): (Option<&str>, &Agent),
    path: SearchPath<'_>,
    found: &mut Findings,
) {
    let argv: Vec<String> = agent.exec_prefix.iter().chain(&agent.command).cloned().collect();
    let word = argv.first().map_or("", String::as_str);
    if is_missing(config, agent, path) {
        let place = if word.contains('/') { "file" } else { "on the agent's PATH" };
        let reason = format!("{word} is not an executable {place}");
        found.permanent(("agent_cli_in_path", phase), reason, "install it, or set PATH in [agent.env]");
    }
    if container::detect(&argv).is_none() {
        return;
    }
    let flags = if agent.exec_prefix.is_empty() { &agent.command } else { &agent.exec_prefix };
    if agent.prompt_delivery == Delivery::Stdin && !container::is_interactive(flags) {
        let reason = "the container's stdin is closed, so the prompt cannot reach the agent".to_owned();
        found.permanent(("stdin_container_interactive", phase), reason, "add -i to the container command");
    }
    if config.runtime.log_dir.starts_with(&config.runtime.work_dir) {
        let reason = "log_dir lies inside work_dir, within the container's reach".to_owned();
        found.permanent(
            ("control_plane_outside_container", phase),
            reason,
            "move runtime.log_dir out of work_dir",
        );
    }
}

/// Returns whether an agent's program is known not to be there: what is found on an unknown search path is not known.
fn is_missing(config: &Config, agent: &Agent, path: SearchPath<'_>) -> bool {
    let word = agent.exec_prefix.iter().chain(&agent.command).next().map_or("", String::as_str);
    let path = match path {
        SearchPath::Known(path) => path,
        SearchPath::Unknown if word.contains('/') || agent.env.contains_key("PATH") => None,
        SearchPath::Unknown => return false,
    };
    program::of(config, agent, path).is_none()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_is_always_looked_at_and_a_bare_name_only_on_a_known_search_path() {
        let known = |path| SearchPath::Known(Some(OsStr::new(path)));
        let check = |word, path, expected| {
            let text = format!(
                "schema_version = 1\n[agent]\ncommand = [\"{word}\"]\nprompt_arg_template = [\"{{prompt}}\"]\n\
                 [runtime]\nwork_dir = \"/\"\nlog_dir = \"/l\"\n[prompt]\nfile = \"p.md\"\n"
            );
            let config = Config::parse(&text, Path::new("/p/agent-runner.toml"), None).unwrap().config;
            assert_eq!(is_missing(&config, &config.agent, path), expected, "{word}");
        };
        check("/bin/sh", SearchPath::Unknown, false);
        check("/nonexistent/agent", SearchPath::Unknown, true);
        check("bin/sh", SearchPath::Unknown, false);
        check("no-such-agent", SearchPath::Unknown, false);
        check("no-such-agent", known("/bin"), true);
        check("sh", known("/bin"), false);
        check("sh", known("/nonexistent"), true);
        check("sh", SearchPath::Known(None), false);
    }
}
