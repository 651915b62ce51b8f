//! Silences: written by any process, honoured by the one that monitors.

use jiff::Timestamp;
use serde_json::Value;

use super::asked;
use super::error::HistoryError;
use super::store::{Store, write_one};
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

    /// Adds a silence, with a line of the log, and returns its number; the one it carries is ignored.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn silence(&mut self, silence: &Silence) -> Result<i64, HistoryError> {
        let matchers: Vec<Value> =
            silence.matchers.iter().map(|matcher| Value::from(matcher.to_string())).collect();
        let mut id = 0;
        let done = self.transact(|work| {
            work.execute(
                "INSERT INTO silences (matchers, comment, by, start, until) VALUES (?, ?, ?, ?, ?)",
                (
                    Value::from(matchers).to_string(),
                    &silence.comment,
                    &silence.by,
                    silence.from.as_millisecond(),
                    silence.until.as_millisecond(),
                ),
            )?;
            id = work.last_insert_rowid();
            write_one(work, &asked::silenced(id, silence))
        });
        self.named(done)?;
        Ok(id)
    }

    /// Ends a silence now, for `by`, and returns whether there was one to end.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn expire(&mut self, id: i64, by: &str, now: Timestamp) -> Result<bool, HistoryError> {
        let mut was_in_force = false;
        let done = self.transact(|work| {
            let sql = "UPDATE silences SET until = ?1 WHERE id = ?2 AND until > ?1";
            was_in_force = work.execute(sql, (now.as_millisecond(), id))? > 0;
            if was_in_force { write_one(work, &asked::ended(id, by, now)) } else { Ok(()) }
        });
        self.named(done)?;
        Ok(was_in_force)
    }
}
