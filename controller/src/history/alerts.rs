//! Alerts: the open ones, and every one that was.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::error::HistoryError;
use super::store::Store;
use crate::fleetview::alert::{Ack, AlertState, Key, Phase};

/// Writes an alert as it stands. One that never fired leaves nothing behind.
pub(super) fn write(work: &Transaction<'_>, alert: &AlertState) -> rusqlite::Result<()> {
    let (key, since) = (alert.key.stored(), alert.since.as_millisecond());
    if alert.phase == Phase::Resolved {
        work.prepare_cached("DELETE FROM acks WHERE key = ?")?.execute([&key])?;
    }
    if alert.fired_at.is_none() {
        work.prepare_cached("DELETE FROM alerts WHERE key = ? AND since = ?")?.execute((&key, since))?;
        return Ok(());
    }
    let doc = serde_json::to_string(alert)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let resolved = alert.resolved_at.map(Timestamp::as_millisecond);
    let mut insert = work.prepare_cached("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?)")?;
    insert.execute((&key, since, resolved, doc))?;
    if alert.acked.is_none() {
        // Nobody has taken note of what it has become.
        work.prepare_cached("DELETE FROM acks WHERE key = ? AND at <= ?")?
            .execute((&key, alert.sent_at.map(Timestamp::as_millisecond)))?;
    }
    Ok(())
}

impl Store {
    /// Returns the alerts that are open, the oldest first. What cannot be read as one is left out.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn open_alerts(&self) -> Result<Vec<AlertState>, HistoryError> {
        let docs = self.rows("SELECT doc FROM alerts WHERE resolved IS NULL ORDER BY since", [], |row| {
            row.get::<_, String>(0)
        })?;
        let mut acks: HashMap<Key, Ack> = self.acks()?.into_iter().collect();
        let mut open = read(docs);
        // Another process may have taken note of one that the monitor has not written again since.
        for alert in &mut open {
            alert.acked = acks.remove(&alert.key);
        }
        Ok(open)
    }

    /// Returns alerts that are over since `from`, the newest first, `most` of them.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn past_alerts(&self, from: Timestamp, most: usize) -> Result<Vec<AlertState>, HistoryError> {
        let docs = self.rows(
            "SELECT doc FROM alerts WHERE resolved >= ? ORDER BY resolved DESC LIMIT ?",
            (from.as_millisecond(), i64::try_from(most).unwrap_or(i64::MAX)),
            |row| row.get::<_, String>(0),
        )?;
        Ok(read(docs))
    }
}

fn read(docs: Vec<String>) -> Vec<AlertState> {
    docs.iter().filter_map(|doc| serde_json::from_str(doc).ok()).collect()
}
