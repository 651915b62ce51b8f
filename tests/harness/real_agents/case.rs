//! What a CLI goes through: a behavior of the provider, and what the operator does meanwhile.

use std::fmt;
use std::str::FromStr;

use crate::mock_provider::Behavior;

/// One run of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// The round is left alone.
    Provider(Behavior),
    /// The round is stopped in the middle of a turn, after an edit; the CLI's session is continued afterwards.
    Stopped,
    /// Rounds under `serve`, which is stopped during the first and started again.
    Served,
    /// No login is configured, so whoever asks the provider at all is refused.
    LoggedOut,
    /// The CLI tries again as often as it does by itself, and the wall clock ends it.
    Patient(Behavior),
}

/// Those that are no behavior of the provider alone.
const OWN: [Case; 5] = [
    Case::LoggedOut,
    Case::Stopped,
    Case::Served,
    Case::Patient(Behavior::Overloaded),
    Case::Patient(Behavior::Refused),
];

impl Case {
    /// All of them, in the order of documents. [`Behavior::Append`] is for many rounds of one work tree, not for one.
    pub fn all() -> impl Iterator<Item = Case> {
        let single = Behavior::all().filter(|behavior| *behavior != Behavior::Append);
        single.map(Case::Provider).chain(OWN)
    }

    /// Those that a gate plays: one of every kind of end.
    pub fn quick() -> impl Iterator<Item = Case> {
        use Behavior::{AccountLimit, Dirty, Forbidden, HangLater, Helper, Refused, RefusedLater, Work};
        let plain = [Work, Dirty, Helper, Refused, RefusedLater, Forbidden, AccountLimit, HangLater];
        plain.map(Case::Provider).into_iter().chain([Case::LoggedOut, Case::Stopped, Case::Served])
    }

    /// How the provider behaves.
    #[must_use]
    pub fn behavior(self) -> Behavior {
        match self {
            Case::Provider(behavior) | Case::Patient(behavior) => behavior,
            Case::Stopped => Behavior::HangLater,
            Case::Served => Behavior::Append,
            Case::LoggedOut => Behavior::Refused,
        }
    }

    /// Requests to the model without which the case was not played: the CLI had not come so far.
    #[must_use]
    pub fn least_requests(self) -> usize {
        match (self, self.behavior()) {
            (Case::LoggedOut, _) | (_, Behavior::Unreachable) => 0,
            (_, Behavior::HangLater) => 2,
            _ => 1,
        }
    }

    /// Its name in files and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Case::Provider(behavior) => behavior.name(),
            Case::LoggedOut => "logged-out",
            Case::Stopped => "stopped",
            Case::Served => "served",
            Case::Patient(Behavior::Refused) => "refused-again",
            Case::Patient(_) => "overloaded-again",
        }
    }

    /// What happens, for people.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Case::Provider(behavior) => behavior.told(),
            Case::LoggedOut => "no login configured",
            Case::Stopped => "stopped in the middle of a turn",
            Case::Served => "served: stopped during a round, started again",
            Case::Patient(Behavior::Refused) => "401, all of its retries",
            Case::Patient(_) => "529 or 503, all of its retries",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Case> {
        let own = OWN.into_iter().find(|case| case.name() == name);
        own.map_or_else(|| name.parse().map(Case::Provider), Ok)
    }
}
