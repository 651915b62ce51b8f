//! Asking the log: lines by time, host and kind, and sums per hour for charts.

use agent_runner::event::ENDED_WELL;
use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::error::HistoryError;
use super::store::Store;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Not before.
    pub since: Timestamp,
    /// Only of these hosts; none means all, the fleet's own lines included.
    pub hosts: Option<Vec<String>>,
    /// Only of these kinds or names; none means all.
    pub kinds: Vec<String>,
    /// The newest so many.
    pub most: usize,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// Whose; empty for the fleet's own.
    pub host: String,
    /// Of which project; empty for the host's own.
    pub project: String,
    /// What.
    pub kind: String,
    /// The event's kind or the detector.
    pub name: String,
    /// The whole of it.
    pub body: Value,
}

/// What happened in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hour {
    /// Rounds whose agent ended.
    pub rounds: u64,
    /// Those of them that did not end well.
    pub failures: u64,
    /// What they cost, in US dollars.
    pub cost_usd: f64,
}

impl Store {
    /// Returns lines of the log, the oldest first.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn log(&self, wanted: &Wanted) -> Result<Vec<LogLine>, HistoryError> {
        let mut sql = "SELECT at, host, project, kind, name, body FROM log WHERE at >= ?".to_owned();
        let mut params = vec![Sql::from(wanted.since.as_millisecond())];
        let mut one_of = |columns: &[&str], values: &[String]| {
            let marks = vec!["?"; values.len()].join(", ");
            let tests: Vec<String> = columns.iter().map(|column| format!("{column} IN ({marks})")).collect();
            sql.push_str(&format!(" AND ({})", tests.join(" OR ")));
            for _ in columns {
                params.extend(values.iter().map(|value| Sql::from(value.clone())));
            }
        };
        if let Some(hosts) = &wanted.hosts {
            one_of(&["host"], hosts);
        }
        if !wanted.kinds.is_empty() {
            one_of(&["kind", "name"], &wanted.kinds);
        }
        sql.push_str(" ORDER BY at DESC, id DESC LIMIT ?");
        params.push(Sql::from(i64::try_from(wanted.most).unwrap_or(i64::MAX)));
        let mut lines = self.rows(&sql, rusqlite::params_from_iter(params), |row| {
            let body: String = row.get(5)?;
            Ok(LogLine {
                at: Timestamp::from_millisecond(row.get(0)?).unwrap_or_default(),
                host: row.get(1)?,
                project: row.get(2)?,
                kind: row.get(3)?,
                name: row.get(4)?,
                body: serde_json::from_str(&body).unwrap_or_default(),
            })
        })?;
        lines.reverse();
        Ok(lines)
    }

    /// Returns for each host and hour (in hours since 1970) what its rounds did.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn hours(&self, since: Timestamp) -> Result<Vec<(String, i64, Hour)>, HistoryError> {
        // None of the words holds a quote.
        let well = ENDED_WELL.map(|cause| format!("'{cause}'")).join(", ");
        let sql = format!(
            "SELECT host, at / 3600000 AS hour,
                sum(name = 'agent_exit'),
                sum(name = 'agent_exit' AND json_extract(body, '$.exit_cause') NOT IN ({well})),
                total(CASE WHEN name = 'agent_usage_recorded' THEN json_extract(body, '$.cost_usd') END)
            FROM log WHERE at >= ? AND kind = 'event' AND name IN ('agent_exit', 'agent_usage_recorded')
            GROUP BY host, hour ORDER BY hour, host"
        );
        self.rows(&sql, [since.as_millisecond()], |row| {
            let count = |column| -> rusqlite::Result<u64> {
                let count: Option<i64> = row.get(column)?;
                Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
            };
            let hour = Hour { rounds: count(2)?, failures: count(3)?, cost_usd: row.get(4)? };
            Ok((row.get(0)?, row.get(1)?, hour))
        })
    }
}
