//! `watch` in a real terminal: what it draws, how it follows the terminal's size, and what it leaves behind.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use agent_runner::event::Event;
use agent_runner::store::event_log::EventLog;
use agent_runner::store::layout::Layout;
use agent_runner_tests::run::{find_program, run};
use agent_runner_tests::skip::skip;
use agent_runner_tests::wait;
use tempfile::TempDir;

const AGENT: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");

/// A terminal of its own server; gone with the test.
struct Terminal {
    dir: TempDir,
    tmux: PathBuf,
}

impl Terminal {
    /// A terminal with a shell in a project that has seen many rounds. `None` where there is no tmux.
    fn open() -> Option<Terminal> {
        let Some(tmux) = find_program("tmux") else {
            skip("no tmux is installed");
            return None;
        };
        let terminal = Terminal { dir: tempfile::tempdir().unwrap(), tmux };
        let dir = terminal.dir.path();
        let config = "schema_version = 1\n[agent]\ncommand = [\"true\"]\nprompt_arg_template = [\"{prompt}\"]\n[runtime]\n\
                      work_dir = \".\"\nlog_dir = \"logs\"\n[prompt]\nfile = \"main.md\"\n";
        fs::File::create(dir.join("agent-runner.toml")).unwrap().write_all(config.as_bytes()).unwrap();
        fs::create_dir_all(dir.join("logs/rounds")).unwrap();
        let log = EventLog::new(Layout::new(dir.join("logs")));
        for round_num in 1..=60 {
            log.append(&Event::RoundEnd { round_num });
        }
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "exec sh"]);
        terminal.types(&format!("PS1='ready> '; cd {}; clear", dir.display()));
        terminal.shows("the shell", |screen| screen.trim_end().ends_with("ready>"));
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.tmux);
        command
            .arg("-S")
            .arg(self.socket())
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm");
        run(&mut command, Duration::from_secs(20)).unwrap().stdout
    }

    fn socket(&self) -> PathBuf {
        Path::new(self.dir.path()).join("terminal")
    }

    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        assert!(wait::until(wait::DEADLINE, || wanted(&self.screen())), "{what}:\n{}", self.screen());
    }

    fn watches(&self) {
        self.types(&format!("{AGENT} watch --interval 60 --events 50"));
        self.shows("the newest events", |screen| screen.contains("round=60"));
    }

    /// The shell is back on its own screen, echoes what is typed, and has a cursor.
    fn is_as_before(&self) {
        self.shows("the shell's screen", |screen| {
            !screen.contains("round=60") && screen.trim_end().ends_with("ready>")
        });
        assert_eq!(
            self.tmux(&["display-message", "-p", "#{cursor_flag} #{wrap_flag} #{alternate_on}"]).trim(),
            "1 1 0"
        );
        self.types("echo visible");
        self.shows("an echo", |screen| screen.contains("ready> echo visible\nvisible"));
        self.types("clear");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn watch_fits_the_terminal_follows_its_size_and_leaves_it_as_it_was() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.watches();
    let small = terminal.screen();
    assert!(small.contains("alerts") && !small.contains("round=30\n"), "{small}");
    assert!(small.lines().all(|line| line.chars().count() <= 80), "{small}");
    // The next look is a minute away: a new size is a new frame.
    terminal.tmux(&["resize-window", "-x", "120", "-y", "50"]);
    terminal.shows("more events", |screen| screen.contains("round=30\n") && screen.contains("round=60"));
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.shows("fewer events", |screen| !screen.contains("round=30\n") && screen.contains("round=60"));
    terminal.tmux(&["send-keys", "q"]);
    terminal.is_as_before();

    terminal.watches();
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.is_as_before();

    terminal.watches();
    let pid = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let found = run(Command::new("pgrep").args(["-P", pid.trim()]), Duration::from_secs(20)).unwrap();
    let watch: i32 = found.stdout.trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(watch), nix::sys::signal::Signal::SIGTERM).unwrap();
    terminal.is_as_before();
}
