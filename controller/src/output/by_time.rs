//! Log lines of many hosts in the order of time. Pure.

use jiff::Timestamp;
use serde::Serialize;

/// Where a log line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// What the agent printed in a round.
    Round,
    /// What the service printed.
    Journal,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When; the host's clock.
    pub time: Timestamp,
    /// The host.
    pub host: String,
    /// The project.
    pub project: String,
    /// Which of its logs.
    pub source: LogSource,
    /// The line itself.
    pub line: String,
}

impl LogLine {
    /// Returns the line for people.
    pub fn text(&self) -> String {
        let mark = match self.source {
            LogSource::Round => "",
            LogSource::Journal => " journal",
        };
        format!("{:.0} {}/{}{mark}: {}", self.time, self.host, self.project, self.line)
    }

    /// Returns the line for programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": 1,
            "time": self.time.to_string(),
            "host": self.host,
            "project": self.project,
            "source": self.source,
            "line": self.line,
        })
    }
}

/// Gives each line of a round's log its time: what the line itself says, else the last time a line said, else `began`.
pub fn timed(lines: &str, began: Timestamp) -> Vec<(Timestamp, String)> {
    let mut now = began;
    let mut timed = Vec::new();
    for line in lines.lines() {
        now = stamp(line).unwrap_or(now);
        timed.push((now, line.to_owned()));
    }
    timed
}

/// Puts the lines of all logs into the order of time; those of one log keep theirs.
pub fn merge(mut lines: Vec<LogLine>) -> Vec<LogLine> {
    lines.sort_by_key(|line| line.time);
    lines
}

/// Reads a line of `journalctl -o short-unix`: seconds with a fraction, host, program, words.
pub fn journal(line: &str) -> Option<(Timestamp, String)> {
    let (seconds, rest) = line.split_once(' ')?;
    let (whole, fraction) = seconds.split_once('.')?;
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let micros = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?;
    let (_host, words) = rest.split_once(' ').unwrap_or(("", rest));
    Some((Timestamp::from_microsecond(micros).ok()?, words.to_owned()))
}

/// Returns when a round began, from its log's name: `R<N>-<YYYYMMDDTHHMMSS>.log`, UTC.
pub fn began(path: &str) -> Option<Timestamp> {
    let name = path.rsplit('/').next()?.strip_suffix(".log")?;
    let (_, stamp) = name.rsplit_once('-')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", stamp).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Reads the time a line begins with, or that its JSON carries.
fn stamp(line: &str) -> Option<Timestamp> {
    if line.starts_with('{') {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        return value.get("timestamp").or_else(|| value.get("ts"))?.as_str()?.parse().ok();
    }
    let word = line.trim_start_matches('[').split([' ', ']']).next()?;
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn lines_take_their_own_time_or_that_of_the_line_before() {
        let began = at("2026-01-02T03:04:05Z");
        let log = "hello\n2026-01-02T03:05:00Z step\n  more\n{\"timestamp\":\"2026-01-02T03:06:00Z\"}\n{}\n";
        let times: Vec<Timestamp> = timed(log, began).into_iter().map(|(time, _)| time).collect();
        let step = at("2026-01-02T03:05:00Z");
        let json = at("2026-01-02T03:06:00Z");
        assert_eq!(times, [began, step, step, json, json]);
    }

    #[test]
    fn names_of_logs_and_lines_of_the_journal_carry_times() {
        assert_eq!(super::began("/x/rounds/R12-20260102T030405.log"), Some(at("2026-01-02T03:04:05Z")));
        assert_eq!(super::began("/x/round-current.log"), None);
        let read = journal("1767323045.250000 pi1 agent-runner[7]: round 3 ok");
        assert_eq!(read, Some((at("2026-01-02T03:04:05.25Z"), "agent-runner[7]: round 3 ok".to_owned())));
        assert_eq!(journal("-- No entries --"), None);
    }

    #[test]
    fn many_logs_become_one_and_ties_keep_their_order() {
        let line = |second: i64, host: &str, text: &str| LogLine {
            time: Timestamp::from_second(second).unwrap(),
            host: host.to_owned(),
            project: "p".to_owned(),
            source: LogSource::Round,
            line: text.to_owned(),
        };
        let merged = merge(vec![line(1, "a", "1"), line(5, "a", "2"), line(5, "a", "3"), line(3, "b", "4")]);
        let order: Vec<&str> = merged.iter().map(|line| line.line.as_str()).collect();
        assert_eq!(order, ["1", "4", "2", "3"]);
        assert_eq!(merged[1].text(), "1970-01-01T00:00:03Z b/p: 4");
    }
}
