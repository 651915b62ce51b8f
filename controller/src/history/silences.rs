//! Silences: written by any process, honoured by the one that monitors.

use jiff::Timestamp;
use serde_json::Value;

use super::error::HistoryError;
use super::store::Store;
use crate::fleetview::silence::Silence;

impl Store {
    /// Returns the silences that end after `now`.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn silences(&self, now: Timestamp) -> Result<Vec<Silence>, HistoryError> {
        let rows = self.rows(
            "SELECT id, matchers, comment, by, start, until FROM silences WHERE until > ? ORDER BY until, id",
            [now.as_millisecond()],
            |row| {
                let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
                Ok((row.get::<_, i64>(0)?, texts, [row.get::<_, i64>(4)?, row.get::<_, i64>(5)?]))
            },
        )?;
        let read = |(id, [matchers, comment, by], [from, until]): (i64, [String; 3], [i64; 2])| {
            Some(Silence {
                id,
                matchers: serde_json::from_str(&matchers).ok()?,
                comment,
                by,
                from: Timestamp::from_millisecond(from).ok()?,
                until: Timestamp::from_millisecond(until).ok()?,
            })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Adds a silence and returns its number; the one it carries is ignored.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn silence(&mut self, silence: &Silence) -> Result<i64, HistoryError> {
        let matchers: Vec<Value> =
            silence.matchers.iter().map(|matcher| Value::from(matcher.to_string())).collect();
        let done = self.connection.execute(
            "INSERT INTO silences (matchers, comment, by, start, until) VALUES (?, ?, ?, ?, ?)",
            (
                Value::from(matchers).to_string(),
                &silence.comment,
                &silence.by,
                silence.from.as_millisecond(),
                silence.until.as_millisecond(),
            ),
        );
        self.named(done)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Ends a silence now and returns whether there was one to end.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn expire(&mut self, id: i64, now: Timestamp) -> Result<bool, HistoryError> {
        let now = now.as_millisecond();
        let done =
            self.connection.execute("UPDATE silences SET until = ?1 WHERE id = ?2 AND until > ?1", (now, id));
        Ok(self.named(done)? > 0)
    }
}
