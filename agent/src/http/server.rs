//! The server: one `poll` over the listener, the clients, the log dir and the signals.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::board::{Board, State};
use super::client::{Client, Turn};
use super::page;
use super::request::Target;
use super::response;
use crate::config::types::Config;
use crate::error::in_words;
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait::Interest;
use crate::store::layout::Layout;
use crate::witness::wake::{Wake, Woken};

/// Clients at once; further ones wait in the kernel's queue.
const CLIENTS_MAX: usize = 32;
/// The shortest time between two looks for followers.
const LOOK_AFTER: Duration = Duration::from_millis(250);
/// The longest: the agent's log is written without a sign, and processes end without one.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest wait without any client.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a stream stays silent.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// How long an error of accept, such as no descriptors left, keeps from trying again.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Opens the port; 0 takes a free one. Nobody beyond this machine can reach it.
///
/// # Errors
/// When the port is taken or not permitted.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until SIGINT, SIGTERM or the end of stdout's reader. `load` reads the configuration again; a broken one leaves
/// the last good one in force.
///
/// # Errors
/// When signals cannot be taken, or waiting fails.
pub fn serve(listener: &TcpListener, config: Config, load: impl Fn() -> Option<Config>) -> io::Result<()> {
    let signals = Signals::block(&[SignalInput::Term, SignalInput::Int, SignalInput::Hup])?;
    let mut wake = Wake::new(Layout::new(&config.runtime.log_dir));
    let mut server = Server::new(config);
    let stdout = io::stdout();
    loop {
        let woken = {
            let mut others = vec![(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
            others.extend(server.clients.iter().map(Client::interest));
            if server.clients.len() < CLIENTS_MAX && Instant::now() >= server.accept_from {
                others.push((listener.as_fd(), Interest::Read));
            }
            wake.wait(&others, server.deadline())?
        };
        match woken {
            Woken::Other(0 | 1) => return Ok(()),
            Woken::Written => server.is_stale = !server.clients.is_empty(),
            Woken::Other(_) | Woken::Deadline => {}
        }
        let is_due = server.is_due();
        if is_due && server.reload(load()) == Log::Elsewhere {
            wake = Wake::new(Layout::new(&server.config.runtime.log_dir));
        }
        server.turn(listener);
        if is_due {
            server.tell();
        }
    }
}

/// Where the log is after the configuration was read again.
#[derive(Debug, PartialEq, Eq)]
enum Log {
    Here,
    Elsewhere,
}

struct Server {
    config: Config,
    board: Board,
    clients: Vec<Client>,
    /// Whether something was written since the last look for followers.
    is_stale: bool,
    looked: Instant,
    commented: Instant,
    accept_from: Instant,
    /// The newest edition of what followers get, and its number.
    edition: (u64, String),
}

impl Server {
    fn new(config: Config) -> Server {
        let now = Instant::now();
        Server {
            board: Board::new(config.clone()),
            config,
            clients: Vec::new(),
            is_stale: false,
            looked: now,
            commented: now,
            accept_from: now,
            edition: (0, String::new()),
        }
    }

    fn deadline(&self) -> Instant {
        if self.clients.is_empty() {
            let is_refused = Instant::now() < self.accept_from;
            return if is_refused { self.accept_from } else { Instant::now() + IDLE };
        }
        let clients = self.clients.iter().filter_map(Client::deadline);
        clients.min().map_or(self.next_look(), |first| first.min(self.next_look()))
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next_look()
    }

    fn next_look(&self) -> Instant {
        self.looked + if self.is_stale { LOOK_AFTER } else { LOOK_EVERY }
    }

    fn reload(&mut self, config: Option<Config>) -> Log {
        let Some(config) = config.filter(|config| *config != self.config) else { return Log::Here };
        let moved = config.runtime.log_dir != self.config.runtime.log_dir;
        self.board = Board::new(config.clone());
        self.config = config;
        if moved { Log::Elsewhere } else { Log::Here }
    }

    /// Lets every client do what it can, and takes new ones.
    fn turn(&mut self, listener: &TcpListener) {
        self.accept(listener);
        let now = Instant::now();
        let mut clients = std::mem::take(&mut self.clients);
        clients.retain_mut(|client| match client.turn(now) {
            Turn::Goes => true,
            Turn::Over => false,
            Turn::Asks(target) => {
                self.answer(client, target, now);
                client.turn(now) != Turn::Over
            }
        });
        self.clients = clients;
    }

    fn accept(&mut self, listener: &TcpListener) {
        while self.clients.len() < CLIENTS_MAX {
            match listener.accept() {
                // A connection that cannot be made non-blocking is not served.
                Ok((stream, _)) => self.clients.extend(Client::new(stream, Instant::now()).ok()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.accept_from = Instant::now() + ACCEPT_AGAIN;
                    return;
                }
            }
        }
    }

    fn answer(&mut self, client: &mut Client, target: Target, now: Instant) {
        let answer = match target {
            Target::Style => response::found("text/css; charset=utf-8", page::STYLE.as_bytes()),
            Target::Script => response::found("text/javascript; charset=utf-8", page::SCRIPT.as_bytes()),
            Target::Page | Target::State | Target::Events => match self.board.look(Timestamp::now()) {
                Ok(state) => return self.answer_with(client, target, (&state, now)),
                Err(error) => response::failed(&in_words(&error)),
            },
        };
        client.answer(answer, now);
    }

    fn answer_with(&mut self, client: &mut Client, target: Target, (state, now): (&State, Instant)) {
        match target {
            Target::Events => {
                self.publish(state);
                client.follow(now);
                client.update(self.edition.0, response::event(&self.edition.1), now);
            }
            Target::State => {
                // Text, numbers and maps with string keys always serialise.
                let json = serde_json::to_vec_pretty(state).unwrap_or_default();
                client.answer(response::found("application/json", &json), now);
            }
            Target::Page | Target::Style | Target::Script => {
                let html = page::page(self.board.project(), state);
                client.answer(response::found("text/html; charset=utf-8", html.as_bytes()), now);
            }
        }
    }

    /// Makes a new edition when something changed.
    fn publish(&mut self, state: &State) {
        let update = page::update(state);
        if update != self.edition.1 {
            self.edition = (self.edition.0 + 1, update);
        }
    }

    /// Tells the followers what changed. One that has not taken the last edition yet gets a later one: each is whole.
    fn tell(&mut self) {
        let now = Instant::now();
        (self.looked, self.is_stale) = (now, false);
        if !self.clients.iter().any(Client::is_follower) {
            return;
        }
        // A log that cannot be read now is looked at again.
        if let Ok(state) = self.board.look(Timestamp::now()) {
            self.publish(&state);
        }
        let (edition, text) = &self.edition;
        let comments = now >= self.commented + COMMENT_EVERY;
        for client in &mut self.clients {
            if client.wants(*edition) {
                client.update(*edition, response::event(text), now);
            } else if comments {
                client.comment(now);
            }
        }
        if comments {
            self.commented = now;
        }
        self.clients.retain_mut(|client| !client.is_follower() || client.turn(now) != Turn::Over);
    }
}
