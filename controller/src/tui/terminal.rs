//! The terminal: taken over, and given back however the program ends.
//!
//! While the dashboard is up, standard error is a pipe: what anything writes there becomes a line of the dashboard instead
//! of a scratch on the screen, and is shown again after the end. Keys are read by a thread of their own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Stdout, Write};
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::unistd::{dup, dup2_stderr, pipe};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc;

use super::keys::Key;

/// How often the thread that reads keys looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);
/// Keys and lines that may wait.
const QUEUE: usize = 256;
/// The longest line of standard error that is kept, in bytes.
const LINE: u64 = 4096;

/// What comes from the keyboard, the window and standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// The window has another size.
    Resized,
    /// Something wrote a line to standard error.
    Complaint(String),
    /// There is no keyboard any more.
    Gone,
}

/// Returns why a dashboard cannot be shown here, if it cannot; `term` is the variable `TERM`.
pub fn refusal(term: Option<&str>) -> Option<&'static str> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Some("watch draws on a whole terminal, and there is none");
    }
    match term {
        None | Some("dumb") => {
            Some("watch draws on a whole terminal, and this one (TERM) cannot move its cursor")
        }
        Some(_) => None,
    }
}

/// The terminal as the dashboard has it; dropped, it is as it was.
#[derive(Debug)]
pub struct Taken {
    /// What is drawn on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    /// What comes in.
    pub inputs: mpsc::Receiver<Input>,
    restore: Arc<Restore>,
}

/// What has to be undone, once.
#[derive(Debug)]
struct Restore {
    taken: AtomicBool,
    stderr: OwnedFd,
}

impl Taken {
    /// Takes the terminal over. A panic of this thread gives it back before it is reported.
    ///
    /// # Errors
    /// When the terminal or a pipe cannot be had.
    pub fn take() -> io::Result<Taken> {
        let stderr = dup(io::stderr())?;
        let (reading, writing) = pipe()?;
        let restore = Arc::new(Restore { taken: AtomicBool::new(true), stderr });
        let (send, inputs) = mpsc::channel(QUEUE);
        let at_panic = restore.clone();
        let before = panic::take_hook();
        let drawing = thread::current().id();
        panic::set_hook(Box::new(move |info| {
            // A panic of another thread ends its task, not the dashboard: its words go through the pipe.
            if thread::current().id() == drawing {
                at_panic.undo();
            }
            before(info);
        }));
        let taken = (|| {
            dup2_stderr(&writing)?;
            enable_raw_mode()?;
            execute!(io::stdout(), EnterAlternateScreen, Hide)?;
            let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
            terminal.clear()?;
            let keys = send.clone();
            let over = restore.clone();
            thread::Builder::new().name("keys".into()).spawn(move || read_keys(&keys, &over))?;
            thread::Builder::new().name("stderr".into()).spawn(move || read_lines(reading, &send))?;
            Ok(terminal)
        })();
        match taken {
            Ok(terminal) => Ok(Taken { terminal, inputs, restore }),
            Err(error) => {
                restore.undo();
                Err(error)
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.restore.undo();
    }
}

impl Restore {
    fn undo(&self) {
        if !self.taken.swap(false, Ordering::SeqCst) {
            return;
        }
        // Each step is worth trying when another one fails: a terminal that is gone cannot be told of it.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
        let _ = dup2_stderr(&self.stderr);
    }
}

fn read_keys(inputs: &mpsc::Sender<Input>, over: &Restore) {
    while over.taken.load(Ordering::SeqCst) {
        let input = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) => match of(key) {
                    Some(key) => Input::Key(key),
                    None => continue,
                },
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_)) => continue,
                Err(_) => Input::Gone,
            },
            Err(_) => Input::Gone,
        };
        let gone = input == Input::Gone;
        if inputs.blocking_send(input).is_err() || gone {
            return;
        }
    }
}

/// Reads what comes through the pipe until its last writer is gone; lines that nobody takes in time are dropped.
fn read_lines(reading: OwnedFd, inputs: &mpsc::Sender<Input>) {
    let mut reading = BufReader::new(File::from(reading));
    loop {
        let mut line = Vec::new();
        match reading.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                // Full only when the dashboard hangs; then it is not the place to complain in.
                let _ = inputs.try_send(Input::Complaint(text));
            }
        }
    }
}

/// Returns the key of an event, where anything is bound to it.
fn of(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    #[expect(clippy::wildcard_enum_match_arm, reason = "of a hundred keys, these are bound")]
    Some(match event.code {
        KeyCode::Char('c' | 'd') if control => Key::Interrupt,
        KeyCode::Char('n') if control => Key::Down,
        KeyCode::Char('p') if control => Key::Up,
        KeyCode::Char('f') if control => Key::PageDown,
        KeyCode::Char('b') if control => Key::PageUp,
        KeyCode::Char(_) if control || event.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(one) => Key::Char(one),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab | KeyCode::BackTab => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
