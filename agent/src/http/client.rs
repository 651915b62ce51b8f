//! One connection: reads a head, takes an answer or a stream, and is dropped when it dawdles. Never blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::request::{self, Refusal, Target};
use super::response;
use crate::process::wait::Interest;

/// How long a client may take to send its head, or to take what was written for it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a client may take to close after its answer.
const CLOSING: Duration = Duration::from_secs(2);
/// Bytes read at once.
const PIECE: usize = 4096;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    stage: Stage,
    pending: Vec<u8>,
    deadline: Option<Instant>,
    seen: u64,
}

#[derive(Debug)]
enum Stage {
    /// Its head is not whole yet.
    Asking(Vec<u8>),
    /// It gets an answer that ends.
    Answered,
    /// It gets an event whenever something changed.
    Following,
    /// Everything is written; what it still sends is read away, so that closing does not cut the answer off.
    Closing,
}

/// What became of a client after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on.
    Goes,
    /// It asks for this.
    Asks(Target),
    /// It is over.
    Over,
}

impl Client {
    /// Takes a connection over.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub(super) fn new(stream: TcpStream, now: Instant) -> io::Result<Client> {
        stream.set_nonblocking(true)?;
        let stage = Stage::Asking(Vec::new());
        Ok(Client { stream, stage, pending: Vec::new(), deadline: Some(now + PATIENCE), seen: 0 })
    }

    /// Returns what to wait for.
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, Interest) {
        let interest = if self.pending.is_empty() { Interest::Read } else { Interest::Write };
        (self.stream.as_fd(), interest)
    }

    /// Returns when it has taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns whether it takes events.
    pub(super) fn is_follower(&self) -> bool {
        matches!(self.stage, Stage::Following)
    }

    /// Returns whether it has taken everything sent so far and not yet seen edition `edition`.
    pub(super) fn wants(&self, edition: u64) -> bool {
        self.is_follower() && self.pending.is_empty() && self.seen != edition
    }

    /// Gives it an edition of what it follows.
    pub(super) fn update(&mut self, edition: u64, event: Vec<u8>, now: Instant) {
        self.seen = edition;
        self.send(event, now);
    }

    /// Keeps an idle connection alive.
    pub(super) fn comment(&mut self, now: Instant) {
        if self.is_follower() && self.pending.is_empty() {
            self.send(response::comment(), now);
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Turn::Over;
        }
        self.try_turn(now).unwrap_or(Turn::Over)
    }

    /// Gives it an answer that ends.
    pub(super) fn answer(&mut self, bytes: Vec<u8>, now: Instant) {
        self.stage = Stage::Answered;
        self.send(bytes, now);
    }

    /// Makes it a follower.
    pub(super) fn follow(&mut self, now: Instant) {
        self.stage = Stage::Following;
        self.send(response::stream(), now);
    }

    fn send(&mut self, bytes: Vec<u8>, now: Instant) {
        self.pending.extend(bytes);
        self.deadline = Some(now + PATIENCE);
    }

    fn try_turn(&mut self, now: Instant) -> io::Result<Turn> {
        self.write(now)?;
        if !self.pending.is_empty() {
            return Ok(Turn::Goes);
        }
        let mut piece = [0; PIECE];
        loop {
            let count = match self.stream.read(&mut piece) {
                Ok(0) => return Ok(Turn::Over),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Goes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Stage::Asking(head) = &mut self.stage else {
                // What a client says after its question means nothing; one piece a turn keeps the others served.
                return Ok(Turn::Goes);
            };
            head.extend_from_slice(piece.get(..count).unwrap_or_default());
            match request::parse(head) {
                None => {}
                Some(Ok(target)) => return Ok(Turn::Asks(target)),
                Some(Err(refusal)) => {
                    self.refuse(refusal, now);
                    self.write(now)?;
                    return Ok(Turn::Goes);
                }
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, now: Instant) {
        self.answer(response::refused(refusal), now);
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(count) => {
                    self.pending.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.stage {
            Stage::Answered => {
                self.stream.shutdown(Shutdown::Write)?;
                self.stage = Stage::Closing;
                self.deadline = Some(now + CLOSING);
            }
            Stage::Following => self.deadline = None,
            Stage::Asking(_) | Stage::Closing => {}
        }
        Ok(())
    }
}
