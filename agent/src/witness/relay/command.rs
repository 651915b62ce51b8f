//! The ssh command line of a relay: pure. ssh has no argv for the other side, so every word is quoted here.

use crate::store::follow::Cursor;

/// A host that cannot be reached is given up after this.
const CONNECT_S: u32 = 15;
/// An idle link is asked this often whether it lives, and given up after three silent answers.
const ALIVE_S: u32 = 5;

/// A place before the first month of any log.
const BEFORE_ALL: &str = "events-:0";

/// What is relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relayed {
    /// Events of these kinds, as they were written, from now on.
    Events(Vec<String>),
    /// Every event of these kinds from the first on, as lines for people.
    Narrate(Vec<String>),
    /// Alerts and their ends.
    Anomaly,
    /// The stream of a controller.
    Stream,
    /// The page, under this port here.
    Http(u16),
}

/// The host at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What ssh calls it.
    pub host: String,
    /// The configuration there; the default is `agent-runner.toml` in the folder ssh starts in.
    pub config: Option<String>,
}

/// How far the relay came, and how it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The newest `ts` seen.
    pub since: Option<String>,
    /// The place behind the newest event of a stream.
    pub cursor: Option<Cursor>,
    /// Whether the program over there knows no stream, so that its log is followed from a time on.
    pub is_by_time: bool,
    /// The page's port over there, each connection's own: the page of one that was cut may still hold its port.
    pub port: u16,
}

/// Returns whether ssh takes a host's name for a host.
pub fn is_host(host: &str) -> bool {
    !host.is_empty() && !host.starts_with('-') && !host.chars().any(|c| c.is_control() || c == ' ')
}

/// Returns the command line of a relay.
pub fn argv(remote: &Remote, relayed: &Relayed, place: &Place) -> Vec<String> {
    let options = match relayed {
        Relayed::Http(port) => {
            let forward = format!("127.0.0.1:{port}:127.0.0.1:{}", place.port);
            vec!["-o".to_owned(), "ExitOnForwardFailure=yes".to_owned(), "-L".to_owned(), forward]
        }
        Relayed::Events(_) | Relayed::Narrate(_) | Relayed::Anomaly | Relayed::Stream => Vec::new(),
    };
    ssh(remote, options, verb(relayed, place))
}

/// Returns the command line of a verb that answers and ends; its words must be plain.
pub fn argv_of_one_answer(remote: &Remote, verb: &[&str]) -> Vec<String> {
    ssh(remote, Vec::new(), verb.iter().map(|&word| word.to_owned()).collect())
}

fn ssh(remote: &Remote, more: Vec<String>, verb: Vec<String>) -> Vec<String> {
    let mut argv: Vec<String> = ["ssh", "-T"].map(str::to_owned).to_vec();
    let options = [
        "BatchMode=yes".to_owned(),
        format!("ConnectTimeout={CONNECT_S}"),
        format!("ServerAliveInterval={ALIVE_S}"),
        "ServerAliveCountMax=3".to_owned(),
        // A shared connection has its own keepalive, and lives on without us.
        "ControlMaster=no".to_owned(),
        "ControlPath=none".to_owned(),
    ];
    for option in options {
        argv.extend(["-o".to_owned(), option]);
    }
    argv.extend(more);
    argv.extend([remote.host.clone(), "--".to_owned(), "agent-runner".to_owned()]);
    argv.extend(verb);
    if let Some(config) = &remote.config {
        argv.extend(["--config".to_owned(), quoted(config)]);
    }
    argv
}

fn verb(relayed: &Relayed, place: &Place) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let tail = |kinds: &[String], since: Option<&str>| {
        let mut verb = words(&["events", "--tail", "--kind"]);
        verb.push(quoted(&kinds.join(",")));
        verb.extend(since.into_iter().flat_map(|since| ["--since".to_owned(), quoted(since)]));
        verb
    };
    let stream = |cursor: Option<String>| {
        let mut verb = words(&["monitor", "--mode", "stream"]);
        verb.extend(cursor.into_iter().flat_map(|cursor| ["--cursor".to_owned(), quoted(&cursor)]));
        verb
    };
    let reached = place.cursor.as_ref().map(|cursor| format!("{}:{}", cursor.file, cursor.offset));
    match relayed {
        Relayed::Events(kinds) if place.is_by_time => tail(kinds, place.since.as_deref()),
        Relayed::Narrate(kinds) if place.is_by_time => {
            tail(kinds, Some(place.since.as_deref().unwrap_or("1970-01-01T00:00:00.000Z")))
        }
        Relayed::Narrate(_) => stream(Some(reached.unwrap_or_else(|| BEFORE_ALL.to_owned()))),
        Relayed::Events(_) | Relayed::Stream => stream(reached),
        Relayed::Anomaly => stream(None),
        Relayed::Http(_) => {
            let mut verb = words(&["monitor", "--mode", "http", "--port"]);
            verb.push(place.port.to_string());
            verb
        }
    }
}

/// Quotes a word for the shell at the other end; a leading `~/` stays the home folder there.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let (home, rest) = match word.strip_prefix("~/") {
        Some(rest) => ("~/", rest),
        None => ("", word),
    };
    if !rest.is_empty() && rest.chars().all(is_plain) {
        return format!("{home}{rest}");
    }
    format!("{home}'{}'", rest.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(relayed: &Relayed, place: &Place, expected: &str) {
        let remote = Remote { host: "pi".into(), config: None };
        let line = argv(&remote, relayed, place).join(" ");
        assert!(line.ends_with(&format!(" pi -- agent-runner {expected}")), "{line}");
        assert!(line.contains("-o ServerAliveInterval=5 -o ServerAliveCountMax=3"), "{line}");
    }

    #[test]
    fn every_mode_asks_for_what_goes_on_where_it_stopped() {
        let kinds = vec!["round_start".to_owned(), "round_end".to_owned()];
        let new = Place::default();
        let old = Place {
            since: Some("2026-03-01T00:00:00.000Z".into()),
            cursor: Some(Cursor::at("events-2026-03.jsonl", 7)),
            is_by_time: false,
            port: 61_000,
        };
        let (events, narrate) = (Relayed::Events(kinds.clone()), Relayed::Narrate(kinds));
        check(&events, &new, "monitor --mode stream");
        check(&events, &old, "monitor --mode stream --cursor events-2026-03.jsonl:7");
        check(&narrate, &new, "monitor --mode stream --cursor events-:0");
        check(&narrate, &old, "monitor --mode stream --cursor events-2026-03.jsonl:7");
        let new_by_time = Place { is_by_time: true, ..new.clone() };
        let old_by_time = Place { is_by_time: true, ..old.clone() };
        let tail = "events --tail --kind round_start,round_end";
        check(&events, &new_by_time, tail);
        check(&events, &old_by_time, &format!("{tail} --since 2026-03-01T00:00:00.000Z"));
        check(&narrate, &new_by_time, &format!("{tail} --since 1970-01-01T00:00:00.000Z"));
        check(&narrate, &old_by_time, &format!("{tail} --since 2026-03-01T00:00:00.000Z"));
        check(&Relayed::Anomaly, &old, "monitor --mode stream");
        check(&Relayed::Stream, &new, "monitor --mode stream");
        check(&Relayed::Stream, &old, "monitor --mode stream --cursor events-2026-03.jsonl:7");
        check(&Relayed::Http(8765), &old, "monitor --mode http --port 61000");
        let remote = Remote { host: "pi".into(), config: Some("~/my work/a.toml".into()) };
        let line = argv_of_one_answer(&remote, &["monitor", "--once"]).join(" ");
        assert!(line.ends_with(" pi -- agent-runner monitor --once --config ~/'my work/a.toml'"), "{line}");
        let line = argv(&remote, &Relayed::Http(1), &old).join(" ");
        assert!(line.contains("-L 127.0.0.1:1:127.0.0.1:61000 pi -- "), "{line}");
        assert!(line.ends_with(" --config ~/'my work/a.toml'"), "{line}");
    }

    #[test]
    fn no_word_is_more_than_a_word_at_the_other_end() {
        for (word, expected) in [
            ("a,b", "a,b"),
            ("", "''"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("~/x;y", "~/'x;y'"),
            ("a\nb", "'a\nb'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
        for (host, expected) in
            [("pi", true), ("user@pi", true), ("-oProxyCommand=x", false), ("", false), ("a b", false)]
        {
            assert_eq!(is_host(host), expected, "{host:?}");
        }
    }
}
