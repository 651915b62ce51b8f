//! The verbs that set a project up, as an operator runs them: the real program, real git, a home of their own.
#![expect(clippy::unwrap_used, reason = "a test's set-up that fails is the test's failure")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new() -> Project {
        let project = Project { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(project.work_dir()).unwrap();
        project
    }

    fn in_git() -> Project {
        let project = Project::new();
        for arguments in [
            &["init", "--quiet"][..],
            &["config", "user.email", "a@example.org"],
            &["config", "user.name", "A"],
        ] {
            assert!(project.command("git").args(arguments).status().unwrap().success());
        }
        project
    }

    fn work_dir(&self) -> PathBuf {
        self.dir.path().join("shelf")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work_dir().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        agent_runner::store::atomic::replace_with_mode(&self.path(name), text.as_bytes(), 0o640).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.work_dir()).env_clear().env("HOME", self.dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_agent-runner")).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}{err}");
        format!("{out}{err}")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[test]
fn init_scaffolds_and_commits_exactly_its_files() {
    let project = Project::in_git();
    project.write("mine.txt", "staged by the operator");
    project.git(&["add", "mine.txt"]);
    project.write(".gitignore", "target/");
    let json: serde_json::Value = serde_json::from_str(&project.ends(&["init", "--json"], 0)).unwrap();
    assert_eq!(json["committed"], true);
    assert_eq!(json["preset"], "claude");
    assert_eq!(project.git(&["log", "-1", "--format=%s"]), "chore: agent-runner initial config");
    let committed = project.git(&["show", "--name-only", "--format="]);
    assert_eq!(committed, ".gitignore\nagent-runner.toml\nprompts/main.md");
    assert_eq!(project.git(&["status", "--porcelain"]), "A  mine.txt");
    assert_eq!(project.read(".gitignore"), "target/\nlogs/\n");
    let config =
        agent_runner::config::types::Config::load(&project.path("agent-runner.toml"), Some(Path::new("/h")));
    assert_eq!(config.unwrap().config.runtime.log_dir, Path::new("/h/.agent-runner/shelf/logs"));
}

#[test]
fn init_refuses_where_it_would_do_harm() {
    let outside = Project::new();
    assert!(outside.ends(&["init"], 1).contains("is not in a git work tree"));
    let project = Project::in_git();
    project.ends(&["init", "--no-commit"], 0);
    assert_eq!(project.git(&["log", "--oneline"]), "");
    project.write("prompts/main.md", "my prompt");
    assert!(project.ends(&["init"], 1).contains("already exists"));
    assert!(project.ends(&["init", "--force", "--preset", "nope"], 1).contains("presets: aider, claude"));
    assert!(project.ends(&["--config", "other.toml", "init"], 78).contains("is called agent-runner.toml"));
    assert_eq!(project.read("prompts/main.md"), "my prompt");
    project.ends(&["init", "--force", "--no-commit"], 0);
    assert_ne!(project.read("prompts/main.md"), "my prompt");
}

#[test]
fn a_commit_that_git_refuses_is_no_error() {
    let project = Project::in_git();
    project.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
    let hook = project.path(".git/hooks/pre-commit");
    std::fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = project.ends(&["init"], 0);
    assert!(said.contains("not committed"), "{said}");
    assert!(project.path("agent-runner.toml").exists());
}

const OLD: &str = "# mine\n[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{prompt}\"]\n[runtime]\nwork_dir = \".\"\n\
    log_dir = \"logs\"\n[prompt]\nfile = \"p\"\n[vcs]\norphan_action = \"stash\" # keep\n";

#[test]
fn migrate_keeps_a_backup_and_is_done_once() {
    let project = Project::new();
    project.write("agent-runner.toml", OLD);
    let said = project.ends(&["migrate", "--dry-run"], 0);
    assert!(
        said.contains("rewrite: vcs.orphan_action -> vcs.dirty_action")
            && said.contains("+schema_version = 1")
    );
    assert_eq!(project.read("agent-runner.toml"), OLD);
    assert!(!project.path("agent-runner.toml.bak").exists());
    project.ends(&["migrate"], 0);
    let migrated = project.read("agent-runner.toml");
    assert_eq!(migrated, format!("schema_version = 1\n{}", OLD.replace("orphan_action", "dirty_action")));
    assert_eq!(project.read("agent-runner.toml.bak"), OLD);
    let mode =
        |name| std::os::unix::fs::PermissionsExt::mode(&project.path(name).metadata().unwrap().permissions());
    assert_eq!((mode("agent-runner.toml") & 0o777, mode("agent-runner.toml.bak") & 0o777), (0o640, 0o640));
    assert!(project.ends(&["migrate"], 0).contains("Nothing to rewrite."));
    assert_eq!(project.read("agent-runner.toml.bak"), OLD);
}

#[test]
fn migrate_says_what_a_person_has_to_do() {
    let project = Project::new();
    project.write("agent-runner.toml", &format!("{OLD}typo = 1\n"));
    let said = project.ends(&["migrate"], 1);
    assert!(said.contains("MANUAL: line 13: unknown key `typo` in [vcs]"), "{said}");
    assert!(project.read("agent-runner.toml").contains("dirty_action"));
    project.write("agent-runner.toml", "[agent");
    project.ends(&["migrate"], 2);
    assert!(Project::new().ends(&["migrate"], 2).contains("cannot be read"));
}

#[test]
fn migrate_follows_a_link_and_leaves_it_a_link() {
    let project = Project::new();
    project.write("real.toml", OLD);
    std::os::unix::fs::symlink("real.toml", project.path("agent-runner.toml")).unwrap();
    project.ends(&["migrate"], 0);
    assert!(project.path("agent-runner.toml").is_symlink());
    assert!(project.read("real.toml").starts_with("schema_version = 1"));
}

#[test]
fn presets_are_listed_shown_and_tried() {
    let project = Project::new();
    let folder = project.dir.path().join(".config/agent-runner/presets");
    std::fs::create_dir_all(&folder).unwrap();
    let mine = folder.join("mine.toml");
    let text = "[provider]\nagent = \"mine\"\n[[provider.throttle]]\nwhen = { \"/t\" = \"err\" }\nstatus = \"/code\"\n";
    agent_runner::store::atomic::replace(&mine, text.as_bytes()).unwrap();
    let list: serde_json::Value = serde_json::from_str(&project.ends(&["presets", "--json"], 0)).unwrap();
    let names: Vec<_> =
        list["presets"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["aider", "claude", "codewhale", "codex", "gemini", "kimi", "mine", "opencode", "pi"]);
    assert_eq!(project.ends(&["presets", "show", "mine"], 0), text);
    assert!(project.ends(&["presets", "show", "nope"], 1).contains("there is no preset `nope`"));
    project.write("r.log", "noise\n{\"t\":\"err\",\"code\":429}\n");
    let mine = mine.to_str().unwrap();
    let said = project.ends(&["presets", "check", mine, "--log", "r.log"], 0);
    assert!(said.contains("transient_error_detected") && said.contains("rate_limit_model"), "{said}");
    project.write("r.log", "{\"x\":1}\n");
    project.ends(&["presets", "check", mine, "--log", "r.log"], 1);
    project.write("bad.toml", "[provider]\nagent = \"a/b\"\n");
    assert!(project.ends(&["presets", "check", "bad.toml"], 1).contains("base name"));
    agent_runner::store::atomic::replace(&folder.join("bad.toml"), b"x = 1").unwrap();
    assert!(project.ends(&["presets"], 0).contains("bad.toml"));
}

#[test]
fn a_broken_configuration_is_called_so_once() {
    let project = Project::new();
    project.write("agent-runner.toml", "schema_version = 1\n[runtme]\n");
    let output = project.run(&["status"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("config error: ").count(), 1, "{said}");
}
