//! Keeping the log bounded.

use jiff::{SignedDuration, Timestamp};

use super::error::HistoryError;
use super::store::Store;

/// Days the log and past alerts are kept.
const DAYS: i64 = 90;
/// The most lines of the log; the oldest go first.
const LINES: i64 = 5_000_000;
/// The most past alerts; those that ended first go first.
const ALERTS: i64 = 100_000;
/// The most that is removed in one go, so that nobody waits for long.
const AT_ONCE: i64 = 20_000;

impl Store {
    /// Removes what is too old or beyond the bound, a part at a time. Returns whether there is more.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn prune(&mut self, now: Timestamp) -> Result<bool, HistoryError> {
        let oldest = now.checked_sub(SignedDuration::from_hours(DAYS * 24)).unwrap_or(Timestamp::UNIX_EPOCH);
        let oldest = oldest.as_millisecond();
        let prune = || {
            // Ids grow by one a line, so the newest tells how many there can be.
            let newest: i64 =
                self.connection.query_row("SELECT coalesce(max(id), 0) FROM log", [], |row| row.get(0))?;
            let gone = self.connection.execute(
                "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at < ?1 OR id <= ?2 ORDER BY id LIMIT ?3)",
                (oldest, newest - LINES, AT_ONCE),
            )?;
            self.connection.execute("DELETE FROM alerts WHERE resolved < ?", [oldest])?;
            let past = self.past_alerts_up_to(ALERTS)?;
            self.connection.execute("DELETE FROM silences WHERE until < ?", [oldest])?;
            Ok(i64::try_from(gone.max(past)).unwrap_or_default() >= AT_ONCE)
        };
        self.named(prune())
    }

    /// Removes the past alerts that ended first until so many are left, a part at a time. Returns how many
    /// went.
    pub(super) fn past_alerts_up_to(&self, most: i64) -> rusqlite::Result<usize> {
        self.connection.execute(
            "DELETE FROM alerts WHERE (key, since) IN (SELECT key, since FROM alerts WHERE resolved IS NOT NULL \
             ORDER BY resolved DESC LIMIT ?1 OFFSET ?2)",
            (AT_ONCE, most),
        )
    }
}
