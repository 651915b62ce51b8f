//! Who has taken note of which alert: written by any process, read by the one that monitors.

use jiff::Timestamp;

use super::error::HistoryError;
use super::store::Store;
use crate::fleetview::alert::{Ack, Key};

impl Store {
    /// Returns every acknowledgement.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn acks(&self) -> Result<Vec<(Key, Ack)>, HistoryError> {
        let rows = self.rows("SELECT key, by, at FROM acks", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        })?;
        let read = |(key, by, at): (String, String, i64)| {
            Some((Key::parse(&key)?, Ack { by, at: Timestamp::from_millisecond(at).ok()? }))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Notes that somebody has taken note of an alert; `None` takes it back.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn acknowledge(&mut self, key: &Key, ack: Option<&Ack>) -> Result<(), HistoryError> {
        let key = key.stored();
        let done = match ack {
            Some(ack) => self.connection.execute(
                "INSERT OR REPLACE INTO acks VALUES (?, ?, ?)",
                (&key, &ack.by, ack.at.as_millisecond()),
            ),
            None => self.connection.execute("DELETE FROM acks WHERE key = ?", [&key]),
        };
        self.named(done).map(|_| ())
    }
}
