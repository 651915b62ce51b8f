//! `watch` in a real terminal: what it draws, how it follows the terminal's size, and what it leaves behind.

use std::fs;
use std::process::Command;

use agent_runner::event::Event;
use agent_runner_tests::run::run;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::tmux::Tmux;
use agent_runner_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::watched::project;

const AGENT: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");

/// A terminal with a shell in a project that has seen many rounds.
struct Terminal {
    tmux: Tmux,
    _project: TempDir,
}

impl Terminal {
    /// `None` where there is no tmux.
    fn open() -> Option<Terminal> {
        let dir = tempfile::tempdir().unwrap();
        let tmux = or_skip(Tmux::open(dir.path(), (80, 24)))?;
        let log = project(dir.path());
        for round_num in 1..=60 {
            log.append(&Event::RoundEnd { round_num });
        }
        Some(Terminal { tmux, _project: dir })
    }

    fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.tmux.wait_until(what, wanted).unwrap()
    }

    fn watches(&self) -> String {
        self.tmux.enter(&format!("{AGENT} watch --interval 60 --events 50"));
        self.shows("the newest events", |screen| screen.contains("round=60"))
    }

    /// The process of `watch`.
    fn pid(&self) -> Pid {
        let shell = self.tmux.says("#{pane_pid}");
        let found = run(Command::new("pgrep").args(["-P", &shell, "-f", "watch --interval"]), wait::DEADLINE)
            .unwrap();
        Pid::from_raw(found.stdout.trim().parse().unwrap())
    }

    /// What runs below the shell is stopped.
    fn stops(&self) {
        let pid = self.pid();
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(wait::until(wait::DEADLINE, || state().contains(") T ")), "{}", state());
    }

    /// The shell is back on its own screen, echoes what is typed, and has a cursor.
    fn is_as_before(&self) {
        self.shows("the shell's screen", |screen| {
            !screen.contains("round=60") && screen.trim_end().ends_with("ready$")
        });
        assert_eq!(self.tmux.says("#{cursor_flag} #{wrap_flag} #{alternate_on}"), "1 1 0");
        self.tmux.enter("echo visible");
        self.shows("an echo", |screen| screen.contains("ready$ echo visible\nvisible"));
        self.tmux.enter("clear");
    }
}

#[test]
fn watch_fits_the_terminal_follows_its_size_and_leaves_it_as_it_was() {
    let Some(terminal) = Terminal::open() else { return };
    let small = terminal.watches();
    assert!(small.contains("alerts") && !small.contains("round=30\n"), "{small}");
    assert!(small.lines().all(|line| line.chars().count() <= 80), "{small}");
    // The next look is a minute away: a new size is a new frame.
    terminal.tmux.resize((120, 50));
    terminal.shows("more events", |screen| screen.contains("round=30\n") && screen.contains("round=60"));
    terminal.tmux.resize((80, 24));
    terminal.shows("fewer events", |screen| !screen.contains("round=30\n") && screen.contains("round=60"));
    terminal.tmux.press(&["q"]);
    terminal.is_as_before();

    terminal.watches();
    terminal.tmux.press(&["C-c"]);
    terminal.is_as_before();

    terminal.watches();
    kill(terminal.pid(), Signal::SIGTERM).unwrap();
    terminal.is_as_before();
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.watches();
    for signalled in [false, true] {
        if signalled {
            kill(terminal.pid(), Signal::SIGTSTP).unwrap();
        } else {
            terminal.tmux.press(&["C-z"]);
        }
        terminal.is_as_before();
        // A job that goes on in the background leaves the terminal to the shell: it is stopped again.
        terminal.tmux.enter("bg");
        terminal.shows("the job goes on", |screen| {
            screen.contains("[1] ") && screen.trim_end().ends_with("ready$")
        });
        terminal.stops();
        terminal.is_as_before();
        terminal.tmux.enter("fg");
        terminal.shows("the newest events", |screen| screen.contains("round=60"));
        assert_eq!(terminal.tmux.says("#{cursor_flag} #{wrap_flag} #{alternate_on}"), "0 0 1");
        // Its size is followed, and its keys are heard.
        terminal.tmux.resize((120, 50));
        terminal.shows("more events", |screen| screen.contains("round=30\n") && screen.contains("round=60"));
        terminal.tmux.resize((80, 24));
        terminal
            .shows("fewer events", |screen| !screen.contains("round=30\n") && screen.contains("round=60"));
    }
    terminal.tmux.press(&["q"]);
    terminal.is_as_before();
}

#[test]
fn who_is_stopped_without_a_word_listens_again_when_it_goes_on() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.watches();
    kill(terminal.pid(), Signal::SIGSTOP).unwrap();
    // The shell has its own way with the terminal meanwhile.
    terminal.shows("the shell", |screen| screen.trim_end().ends_with("ready$"));
    terminal.tmux.enter("stty sane; fg");
    terminal.shows("nothing else", |screen| screen.contains("round=60") && !screen.contains("ready$"));
    terminal.tmux.press(&["q"]);
    terminal.is_as_before();
}
