//! What the model does: a behavior for a whole run, and what it means for one request.

use std::fmt;
use std::str::FromStr;

use super::failure::Refusal;

/// How the provider behaves until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behavior {
    /// Writes a file, commits it, says that it is done.
    Work,
    /// Adds a line to a file and commits it, however often it was asked before.
    Append,
    /// Answers without doing anything.
    Idle,
    /// Writes a file and does not commit it.
    Dirty,
    /// Runs one command many times.
    Repeat,
    /// Leaves a process behind that left its process group.
    Helper,
    /// Refuses the key: 401.
    Refused,
    /// Works, and refuses the key half-way.
    RefusedLater,
    /// The key may not do this: 403.
    Forbidden,
    /// 429 without a word about when.
    Limited,
    /// 429 with `retry-after` and the reset headers.
    LimitedUntil,
    /// The account's own limit, with its reset time.
    AccountLimit,
    /// 500.
    Broken,
    /// Overloaded: 529 from Anthropic, 503 from the others.
    Overloaded,
    /// Overloaded once, then works.
    Blip,
    /// Streams with pauses.
    Slow,
    /// Every stream ends half-way.
    Cut,
    /// Never answers.
    Hang,
    /// Writes a file, then never answers again.
    HangLater,
    /// 200 with something that is no answer.
    Garbage,
    /// The conversation is too long for the model.
    TooLong,
    /// Nobody listens: the run is given a port that is closed.
    Unreachable,
}

/// Every behavior, with the name used in files and on command lines, and what people read.
const ALL: [(Behavior, &str, &str); 22] = [
    (Behavior::Work, "work", "edits, commits, answers"),
    (Behavior::Append, "append", "adds a line, commits, answers"),
    (Behavior::Idle, "idle", "answers"),
    (Behavior::Dirty, "dirty", "edits, does not commit"),
    (Behavior::Repeat, "repeat", "calls one tool again and again"),
    (Behavior::Helper, "helper", "leaves a process behind"),
    (Behavior::Refused, "refused", "401"),
    (Behavior::RefusedLater, "refused-later", "401 after an edit"),
    (Behavior::Forbidden, "forbidden", "403"),
    (Behavior::Limited, "limited", "429"),
    (Behavior::LimitedUntil, "limited-until", "429 with a reset time"),
    (Behavior::AccountLimit, "account-limit", "account's limit"),
    (Behavior::Broken, "broken", "500"),
    (Behavior::Overloaded, "overloaded", "529 or 503"),
    (Behavior::Blip, "blip", "529 or 503 once"),
    (Behavior::Slow, "slow", "slow stream"),
    (Behavior::Cut, "cut", "stream cut half-way"),
    (Behavior::Hang, "hang", "no answer"),
    (Behavior::HangLater, "hang-later", "no answer after an edit"),
    (Behavior::Garbage, "garbage", "no JSON"),
    (Behavior::TooLong, "too-long", "context too long"),
    (Behavior::Unreachable, "unreachable", "connection refused"),
];

/// How often [`Behavior::Repeat`] runs its command: one more than what counts as an anomaly by default.
const REPEATED: usize = 16;

/// A tool call, in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Runs a command in the work tree.
    Shell(String),
    /// Writes a file of the work tree.
    Write {
        /// The file, relative to the work tree.
        path: String,
        /// What is in it.
        content: String,
    },
}

/// The answer to one request, in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The final text.
    Say(String),
    /// The final text, with pauses.
    SaySlowly(String),
    /// A tool call.
    Call(Tool),
    /// An HTTP error.
    Fail(Refusal),
    /// Half a stream.
    Half,
    /// Nothing.
    Nothing,
    /// No answer of any dialect.
    Garbage,
}

impl Behavior {
    /// All of them, in the order of documents.
    pub fn all() -> impl Iterator<Item = Behavior> {
        ALL.iter().map(|(behavior, _, _)| *behavior)
    }

    /// Its name in files and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.1)
    }

    /// What the provider does, for people.
    #[must_use]
    pub fn told(self) -> &'static str {
        self.row().map_or("", |row| row.2)
    }

    /// The answer to a request of the main conversation: `results` tool results since the last prompt, and the
    /// number of requests to the model before this one.
    #[must_use]
    pub fn reply(self, results: usize, requests_before: usize) -> Reply {
        let done = || Reply::Say("The work is done.".into());
        match self {
            Behavior::Work => working(results),
            Behavior::Append if results == 0 => Reply::Call(Tool::Shell(
                "echo 'one step further' >>work.md && git add work.md && git commit --quiet --message 'one step'".into(),
            )),
            Behavior::Append => done(),
            Behavior::Idle => done(),
            Behavior::Dirty if results == 0 => working(0),
            Behavior::Dirty => done(),
            Behavior::Repeat if results < REPEATED => Reply::Call(Tool::Shell("ls -a".into())),
            Behavior::Repeat => done(),
            Behavior::Helper if results == 0 => Reply::Call(Tool::Shell(
                "setsid sleep 86400 </dev/null >/dev/null 2>&1 & echo $! > helper.pid; git add helper.pid; git commit -qm helper".into(),
            )),
            Behavior::Helper => done(),
            Behavior::RefusedLater if results == 0 => working(0),
            Behavior::RefusedLater | Behavior::Refused => Reply::Fail(Refusal::Key),
            Behavior::Forbidden => Reply::Fail(Refusal::Permission),
            Behavior::Limited => Reply::Fail(Refusal::Rate),
            Behavior::LimitedUntil => Reply::Fail(Refusal::RateUntil),
            Behavior::AccountLimit => Reply::Fail(Refusal::Account),
            Behavior::Broken => Reply::Fail(Refusal::Broken),
            Behavior::Overloaded => Reply::Fail(Refusal::Overloaded),
            Behavior::TooLong => Reply::Fail(Refusal::TooLong),
            Behavior::Blip if requests_before == 0 => Reply::Fail(Refusal::Overloaded),
            Behavior::Blip => working(results),
            Behavior::Slow => Reply::SaySlowly("The work is done, word after word.".into()),
            Behavior::Cut => Reply::Half,
            Behavior::Hang | Behavior::Unreachable => Reply::Nothing,
            Behavior::HangLater if results == 0 => working(0),
            Behavior::HangLater => Reply::Nothing,
            Behavior::Garbage => Reply::Garbage,
        }
    }

    fn row(self) -> Option<&'static (Behavior, &'static str, &'static str)> {
        ALL.iter().find(|(behavior, _, _)| *behavior == self)
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Behavior {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Behavior> {
        let found = ALL.iter().find(|row| row.1 == name);
        found.map(|row| row.0).ok_or_else(|| anyhow::anyhow!("no behavior is called `{name}`"))
    }
}

fn working(results: usize) -> Reply {
    match results {
        0 => Reply::Call(Tool::Write { path: "work.md".into(), content: "one step further\n".into() }),
        1 => Reply::Call(Tool::Shell("git add work.md && git commit --quiet --message 'one step'".into())),
        _ => Reply::Say("The work is done.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behavior_has_a_name_of_its_own() {
        for behavior in Behavior::all() {
            assert_eq!(behavior.name().parse::<Behavior>().unwrap(), behavior);
            assert!(!behavior.told().is_empty());
        }
        assert!("nonsense".parse::<Behavior>().is_err());
    }

    #[test]
    fn work_ends_after_an_edit_and_a_commit_and_a_blip_hits_once() {
        assert!(matches!(Behavior::Work.reply(0, 0), Reply::Call(Tool::Write { .. })));
        assert!(matches!(Behavior::Work.reply(1, 1), Reply::Call(Tool::Shell(_))));
        assert!(matches!(Behavior::Work.reply(2, 2), Reply::Say(_)));
        assert_eq!(Behavior::Blip.reply(0, 0), Reply::Fail(Refusal::Overloaded));
        assert_eq!(Behavior::Blip.reply(0, 1), Behavior::Work.reply(0, 1));
        assert_eq!(Behavior::RefusedLater.reply(1, 1), Reply::Fail(Refusal::Key));
    }
}
