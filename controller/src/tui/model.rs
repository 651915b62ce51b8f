//! What the person at the keyboard has chosen: screen, selection, order, filter, and what is being asked. Values only;
//! [`super::keys`] changes them.

use std::collections::VecDeque;

use agent_runner::plain::plain;
use jiff::Timestamp;

use super::question::Question;
use super::rows::{Grouping, Sort};
use crate::fleetview::alert::Key as AlertKey;
use crate::fleetview::state::StreamId;

/// Lines that came in over standard error and are shown again after the end.
const COMPLAINTS: usize = 50;
/// Seconds a message stays on the screen.
const NOTICE_S: i64 = 20;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// The hosts.
    Hosts,
    /// The alerts.
    Alerts,
    /// One stream.
    Detail(StreamId),
}

/// What the keys mean at the moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Mode {
    /// Moving and choosing.
    #[default]
    Browse,
    /// The filter is written; this is what it was before.
    Filter(String),
    /// A question is open.
    Ask(Question),
    /// The keys are explained.
    Help,
}

/// The end of a round's log, as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Whose.
    pub stream: StreamId,
    /// The lines, or why there are none; nothing while it is asked for the first time.
    pub lines: Option<Result<Vec<String>, String>>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Whether an answer is still to come.
    pub waits: bool,
}

/// A message to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
    /// Whether it went wrong.
    pub bad: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What is looked at.
    pub screen: Screen,
    /// What the keys mean.
    pub mode: Mode,
    /// The chosen stream: itself, not its place, so that it stays chosen when rows move.
    pub stream: Option<StreamId>,
    /// The chosen alert.
    pub alert: Option<AlertKey>,
    /// Where the screen of one stream came from.
    pub back: Back,
    /// What hosts are sorted by.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub descending: bool,
    /// What hosts are put together by.
    pub grouping: Grouping,
    /// Only rows that hold this.
    pub filter: String,
    /// The log that was fetched last.
    pub tail: Option<Tail>,
    /// How far the log is scrolled up, in lines.
    pub scroll: usize,
    /// Requests whose answer is still to come.
    pub underway: usize,
    /// The newest message.
    pub notice: Option<Notice>,
    /// What was written to standard error meanwhile, the newest last.
    pub complaints: VecDeque<String>,
}

/// Where a screen came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// From the hosts.
    Hosts,
    /// From the alerts.
    Alerts,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            screen: Screen::Hosts,
            mode: Mode::Browse,
            stream: None,
            alert: None,
            back: Back::Hosts,
            sort: Sort::Urgency,
            descending: false,
            grouping: Grouping::None,
            filter: String::new(),
            tail: None,
            scroll: 0,
            underway: 0,
            notice: None,
            complaints: VecDeque::new(),
        }
    }
}

impl Model {
    /// Says something to the person.
    pub fn say(&mut self, text: &str, now: Timestamp) {
        self.notice = Some(Notice { at: now, text: plain(text), bad: false });
    }

    /// Says what went wrong.
    pub fn complain(&mut self, text: &str, now: Timestamp) {
        self.notice = Some(Notice { at: now, text: plain(text), bad: true });
    }

    /// Takes the answer to something that was asked of the hub.
    pub fn answered(&mut self, answer: Result<String, String>, now: Timestamp) {
        self.underway = self.underway.saturating_sub(1);
        match answer {
            Ok(text) => self.say(&text, now),
            Err(text) => self.complain(&text, now),
        }
    }

    /// Takes a log; one that nobody looks at any more is dropped.
    pub fn fetched(&mut self, stream: &StreamId, lines: Result<Vec<String>, String>) {
        let Some(tail) = self.tail.as_mut().filter(|tail| tail.stream == *stream) else { return };
        tail.waits = false;
        tail.lines = Some(match lines {
            Ok(lines) => Ok(lines.iter().map(|line| plain(line)).collect()),
            Err(why) => Err(plain(&why)),
        });
    }

    /// Takes a line that something wrote to standard error.
    pub fn overheard(&mut self, line: &str, now: Timestamp) {
        if line.trim().is_empty() {
            return;
        }
        if self.complaints.len() >= COMPLAINTS {
            self.complaints.pop_front();
        }
        self.complaints.push_back(line.to_owned());
        self.complain(line.trim(), now);
    }

    /// Returns the message to show at `now`.
    pub fn notice(&self, now: Timestamp) -> Option<&Notice> {
        self.notice.as_ref().filter(|notice| now.as_second() - notice.at.as_second() < NOTICE_S)
    }
}
