//! Messages that wait for their sinks, in order, bounded.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use super::error::HistoryError;
use super::store::Store;

/// The most messages that wait for one sink; the oldest go first, and are counted.
pub const OUTBOX_MOST: i64 = 10_000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number; they are sent in this order.
    pub id: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What is sent, as JSON.
    pub body: String,
}

pub(super) fn add(work: &Transaction<'_>, (sink, at, body): (&str, Timestamp, &str)) -> rusqlite::Result<()> {
    let mut insert = work.prepare_cached("INSERT INTO outbox (sink, at, body) VALUES (?, ?, ?)")?;
    insert.execute((sink, at.as_millisecond(), body))?;
    let waiting: i64 = work
        .prepare_cached("SELECT count(*) FROM outbox WHERE sink = ?")?
        .query_row([sink], |row| row.get(0))?;
    if waiting > OUTBOX_MOST {
        let mut delete = work.prepare_cached(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sink = ? ORDER BY id LIMIT ?)",
        )?;
        let gone = delete.execute((sink, waiting - OUTBOX_MOST))?;
        count_dropped(work, sink, gone)?;
    }
    Ok(())
}

fn count_dropped(work: &Transaction<'_>, sink: &str, gone: usize) -> rusqlite::Result<()> {
    let mut count = work
        .prepare_cached("INSERT INTO dropped VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + ?2")?;
    count.execute((sink, i64::try_from(gone).unwrap_or(i64::MAX)))?;
    Ok(())
}

impl Store {
    /// Returns the message a sink gets next.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn next_message(&self, sink: &str) -> Result<Option<Message>, HistoryError> {
        let next = || {
            let mut select = self
                .connection
                .prepare_cached("SELECT id, at, body FROM outbox WHERE sink = ? ORDER BY id LIMIT 1")?;
            let read = |row: &rusqlite::Row<'_>| {
                let at = Timestamp::from_millisecond(row.get(1)?).unwrap_or_default();
                Ok(Message { id: row.get(0)?, at, body: row.get(2)? })
            };
            select.query_row([sink], read).optional()
        };
        self.named(next())
    }

    /// Removes a message that was taken.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn message_sent(&mut self, id: i64) -> Result<(), HistoryError> {
        let done = self.connection.execute("DELETE FROM outbox WHERE id = ?", [id]);
        self.named(done).map(|_| ())
    }

    /// Removes a message that its sink will never take, and counts it as dropped.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn message_dropped(&mut self, sink: &str, id: i64) -> Result<(), HistoryError> {
        let done = self.transact(|work| {
            let gone = work.execute("DELETE FROM outbox WHERE id = ?", [id])?;
            count_dropped(work, sink, gone)
        });
        self.named(done)
    }

    /// Returns how many messages wait for a sink, and how many were dropped.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn waiting(&self, sink: &str) -> Result<(u64, u64), HistoryError> {
        let count = |sql: &str| -> rusqlite::Result<u64> {
            let count: Option<i64> =
                self.connection.prepare_cached(sql)?.query_row([sink], |row| row.get(0)).optional()?;
            Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
        };
        let both = || {
            Ok((
                count("SELECT count(*) FROM outbox WHERE sink = ?")?,
                count("SELECT count FROM dropped WHERE sink = ?")?,
            ))
        };
        self.named(both())
    }

    /// Forgets what waits for sinks that the inventory does not name any more.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn keep_sinks(&mut self, names: &[String]) -> Result<(), HistoryError> {
        let known: Vec<String> = self.rows("SELECT DISTINCT sink FROM outbox", [], |row| row.get(0))?;
        for gone in known.iter().filter(|name| !names.contains(name)) {
            let done = self.connection.execute("DELETE FROM outbox WHERE sink = ?", [gone]);
            self.named(done)?;
        }
        Ok(())
    }
}
