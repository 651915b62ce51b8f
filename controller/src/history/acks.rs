//! Who has taken note of which alert: written by any process, read by the one that monitors.

use jiff::Timestamp;

use super::asked;
use super::error::HistoryError;
use super::store::{Store, write_one};
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

    /// Notes that somebody has taken note of an alert, with a line of the log.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn acknowledge(&mut self, key: &Key, ack: &Ack) -> Result<(), HistoryError> {
        let done = self.transact(|work| {
            let row = (key.stored(), &ack.by, ack.at.as_millisecond());
            work.execute("INSERT OR REPLACE INTO acks VALUES (?, ?, ?)", row)?;
            write_one(work, &asked::noted("ack", key, ack))
        });
        self.named(done)
    }

    /// Takes that back; `back` says who does, and when.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn unacknowledge(&mut self, key: &Key, back: &Ack) -> Result<(), HistoryError> {
        let done = self.transact(|work| {
            work.execute("DELETE FROM acks WHERE key = ?", [key.stored()])?;
            write_one(work, &asked::noted("unack", key, back))
        });
        self.named(done)
    }
}
