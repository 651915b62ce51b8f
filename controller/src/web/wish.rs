//! A wish as it is posted to `/api/v1/actions`, made into an action of the hub. Pure.

use serde::Deserialize;

use crate::fleetview::silence::Matcher;
use crate::fleetview::state::{Fleet, StreamId};
use crate::watcher::act::Action;

/// The longest silence, in seconds: a month.
const LONGEST_S: u64 = 31 * 86_400;
/// Matchers of one silence.
const MATCHERS: usize = 16;
/// Services of one resume; none means all.
const SERVICES: usize = 1000;
/// The longest comment, in characters.
const COMMENT: usize = 500;

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// Sends nothing of what all matchers match.
    Silence {
        /// As in `silence host=pi*`.
        matchers: Vec<Matcher>,
        /// How long, in seconds.
        seconds: u64,
        /// Why.
        #[serde(default)]
        comment: String,
    },
    /// Ends a silence.
    Unsilence {
        /// Its number.
        silence: i64,
    },
    /// Takes note of an alert.
    Acknowledge {
        /// Its id.
        alert: String,
    },
    /// Takes that back.
    Unacknowledge {
        /// Its id.
        alert: String,
    },
    /// Stops a service after its round.
    Stop {
        /// The host.
        host: String,
        /// The project.
        project: String,
    },
    /// Starts a service.
    Start {
        /// The host.
        host: String,
        /// The project.
        project: String,
    },
    /// Starts services that were stopped for a detector; an empty list means all of them.
    Resume {
        /// Which.
        services: Vec<Service>,
    },
}

/// A project on a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The host.
    pub host: String,
    /// The project.
    pub project: String,
}

impl Wish {
    /// Reads a request's body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Wish, String> {
        serde_json::from_slice(body).map_err(|error| format!("the body is no action: {error}"))
    }

    /// Returns the action, and what it is in words.
    ///
    /// # Errors
    /// When it names something that is not there, or asks for too much.
    pub fn action(self, fleet: &Fleet) -> Result<(Action, String), String> {
        let stream = |host: String, project: String| {
            let id = StreamId { host: host.into(), project: project.into() };
            if fleet.streams.contains_key(&id) { Ok(id) } else { Err(format!("{id} is not watched")) }
        };
        let alert = |id: String| {
            let found = fleet.alerts.open().find(|alert| alert.key.id() == id);
            found.map(|alert| alert.key.clone()).ok_or_else(|| format!("no alert {id:?} is open"))
        };
        Ok(match self {
            Wish::Silence { matchers, seconds, comment } => {
                if matchers.is_empty() || matchers.len() > MATCHERS {
                    return Err(format!("a silence has 1 to {MATCHERS} matchers"));
                }
                if !(1..=LONGEST_S).contains(&seconds) {
                    return Err(format!("a silence lasts 1 to {LONGEST_S} seconds"));
                }
                let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                let comment: String = comment.chars().filter(|c| !c.is_control()).take(COMMENT).collect();
                (Action::Silence { matchers, seconds, comment }, format!("silence {}", texts.join(" ")))
            }
            Wish::Unsilence { silence } => (Action::Unsilence(silence), format!("end silence {silence}")),
            Wish::Acknowledge { alert: id } => {
                let key = alert(id)?;
                let what = format!("take note of {} on {}", key.detector, key.subject);
                (Action::Acknowledge(key), what)
            }
            Wish::Unacknowledge { alert: id } => {
                let key = alert(id)?;
                let what = format!("take back the note of {} on {}", key.detector, key.subject);
                (Action::Unacknowledge(key), what)
            }
            Wish::Stop { host, project } => {
                let id = stream(host, project)?;
                let what = format!("stop {id}");
                (Action::Stop(id), what)
            }
            Wish::Start { host, project } => {
                let id = stream(host, project)?;
                let what = format!("start {id}");
                (Action::Start(id), what)
            }
            Wish::Resume { services } => {
                if services.len() > SERVICES {
                    return Err(format!("at most {SERVICES} services are resumed at once"));
                }
                let ids = services.into_iter().map(|one| stream(one.host, one.project));
                let ids = ids.collect::<Result<Vec<_>, _>>()?;
                let what = match ids.as_slice() {
                    [] => "resume everything that was auto-stopped".to_owned(),
                    [one] => format!("resume {one}"),
                    [..] => format!("resume {} services", ids.len()),
                };
                (Action::Resume(ids), what)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::tests::{fire, fleet, say};

    #[test]
    fn a_wish_is_read_checked_and_put_into_words() {
        let mut fleet = fleet(1);
        say(&mut fleet, "pi0001", true);
        fire(&mut fleet, "pi0001", "hung", "no output");
        let id = fleet.alerts.open().next().unwrap().key.id();
        let ack = format!(r#"{{"action":"acknowledge","alert":"{id}"}}"#);
        for (body, expected) in [
            (
                r#"{"action":"silence","matchers":["host=pi*","detector=hung"],"seconds":60}"#,
                "silence host=pi* detector=hung",
            ),
            (r#"{"action":"unsilence","silence":7}"#, "end silence 7"),
            (r#"{"action":"stop","host":"pi0001","project":"research"}"#, "stop pi0001/research"),
            (r#"{"action":"start","host":"pi0001","project":"research"}"#, "start pi0001/research"),
            (r#"{"action":"resume","services":[]}"#, "resume everything that was auto-stopped"),
            (
                r#"{"action":"resume","services":[{"host":"pi0001","project":"research"}]}"#,
                "resume pi0001/research",
            ),
            (&ack, "take note of hung on pi0001/research"),
        ] {
            let (_, what) = Wish::parse(body.as_bytes()).unwrap().action(&fleet).unwrap();
            assert_eq!(what, expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fleet = fleet(1);
        for (body, expected) in [
            ("", "no action"),
            (r#"{"action":"explode"}"#, "explode"),
            (r#"{"action":"stop","host":"pi0001"}"#, "project"),
            (r#"{"action":"stop","host":"moon","project":"research"}"#, "moon/research is not watched"),
            (r#"{"action":"stop","host":"pi0001","project":"research","now":true}"#, "now"),
            (r#"{"action":"acknowledge","alert":"0123"}"#, "no alert"),
            (r#"{"action":"silence","matchers":[],"seconds":60}"#, "1 to 16"),
            (r#"{"action":"silence","matchers":["hosts=pi"],"seconds":60}"#, "there are: host"),
            (r#"{"action":"silence","matchers":["host=pi"],"seconds":99999999}"#, "lasts"),
            (r#"{"action":"resume"}"#, "services"),
        ] {
            let error = Wish::parse(body.as_bytes()).and_then(|wish| wish.action(&fleet)).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
