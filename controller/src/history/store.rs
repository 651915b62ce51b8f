//! Opening the file, and what is written in one transaction.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_runner::store::follow::Cursor;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::error::HistoryError;
use super::schema;
use crate::fleetview::alert::AlertState;
use crate::fleetview::state::{AutoStopped, StreamId};

/// How long another process's transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns where a fleet's history is: below the user's state folder.
pub fn path(state: &Path, fleet: &str) -> PathBuf {
    state.join("agent-runner-fleet").join(format!("{fleet}.history.db"))
}

/// One change, written together with others.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A line of the log.
    Log {
        /// When it happened.
        at: Timestamp,
        /// Whose; empty for the fleet's own.
        host: String,
        /// Of which project; empty for the host's own.
        project: String,
        /// What: `event`, `alert`, `resolved`, `stop`, `stop_failed`, `brake`, `resume`, `link`, `reboot`; and of what
        /// people ask for `asked`, `ack`, `unack`, `silence`.
        kind: &'static str,
        /// The event's kind, the detector, or the verb that was asked for.
        name: String,
        /// The whole of it, as JSON.
        body: String,
    },
    /// The place behind a stream's last event.
    Cursor(StreamId, Cursor),
    /// An alert as it stands.
    Alert(Box<AlertState>),
    /// A service was stopped for a detector.
    Stopped(StreamId, AutoStopped),
    /// It runs again.
    Resumed(StreamId),
    /// A message for a sink.
    Message {
        /// The sink's name.
        sink: String,
        /// When.
        at: Timestamp,
        /// What it is sent, as JSON.
        body: String,
    },
}

/// A fleet's history.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    pub(super) connection: Connection,
}

impl Store {
    /// Opens a history and makes it where there is none, for this user's eyes only.
    ///
    /// # Errors
    /// When it cannot be made or read, or a newer release has written it.
    pub fn open(path: &Path) -> Result<Store, HistoryError> {
        let file = |source| HistoryError::File { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
        }
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(file)?;
        if made.metadata().map_err(file)?.permissions().mode() & 0o077 != 0 {
            made.set_permissions(fs::Permissions::from_mode(0o600)).map_err(file)?;
        }
        drop(made);
        let sql = |source| HistoryError::Sql { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(sql)?;
        connection.busy_timeout(PATIENCE).map_err(sql)?;
        // WAL: readers never wait for the writer. NORMAL: a power cut may lose the last transactions, never the file.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql)?;
        let found = schema::migrate(&mut connection).map_err(sql)?;
        if found != schema::newest() {
            return Err(HistoryError::Newer { path: path.to_owned(), found, known: schema::newest() });
        }
        Ok(Store { path: path.to_owned(), connection })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it or nothing.
    ///
    /// # Errors
    /// When SQLite refuses: the disk is full, or another process holds the file for too long.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), HistoryError> {
        let path = self.path.clone();
        self.transact(|work| entries.iter().try_for_each(|entry| write_one(work, entry)))
            .map_err(|source| HistoryError::Sql { path, source })
    }

    pub(super) fn transact(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        work(&transaction)?;
        transaction.commit()
    }

    /// Returns the places behind every stream's last event.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn cursors(&self) -> Result<Vec<(StreamId, Cursor)>, HistoryError> {
        let sql = "SELECT host, project, file, offset, mark FROM cursors \
                   LEFT JOIN marks USING (host, project, file, offset)";
        self.rows(sql, [], |row| {
            let (host, project): (String, String) = (row.get(0)?, row.get(1)?);
            let offset = u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
            Ok((
                StreamId { host: host.into(), project: project.into() },
                Cursor { file: row.get(2)?, offset, mark: row.get(4)? },
            ))
        })
    }

    /// Forgets the places in the logs of hosts that the inventory does not name any more.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn keep_hosts(&mut self, names: &BTreeSet<&str>) -> Result<(), HistoryError> {
        let known: Vec<String> = self.rows("SELECT DISTINCT host FROM cursors", [], |row| row.get(0))?;
        let gone: Vec<&String> = known.iter().filter(|host| !names.contains(host.as_str())).collect();
        let done = self.transact(|work| {
            gone.iter().try_for_each(|host| {
                work.execute("DELETE FROM cursors WHERE host = ?", [host])?;
                work.execute("DELETE FROM marks WHERE host = ?", [host]).map(|_| ())
            })
        });
        self.named(done)
    }

    pub(super) fn named<T>(&self, result: rusqlite::Result<T>) -> Result<T, HistoryError> {
        result.map_err(|source| HistoryError::Sql { path: self.path.clone(), source })
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, HistoryError> {
        let all = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(params, read)?.collect()
        };
        self.named(all())
    }

    /// Returns a number that changes when another process has written.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn data_version(&self) -> Result<i64, HistoryError> {
        self.named(self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }
}

pub(super) fn write_one(work: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    match entry {
        Entry::Log { at, host, project, kind, name, body } => {
            let mut insert = work.prepare_cached(
                "INSERT INTO log (at, host, project, kind, name, body) VALUES (?, ?, ?, ?, ?, ?)",
            )?;
            insert.execute((at.as_millisecond(), host, project, kind, name, body))?;
        }
        Entry::Cursor(stream, cursor) => {
            let offset = i64::try_from(cursor.offset).unwrap_or(i64::MAX);
            work.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)")?.execute((
                &*stream.host,
                &*stream.project,
                &cursor.file,
                offset,
            ))?;
            work.prepare_cached("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)")?.execute((
                &*stream.host,
                &*stream.project,
                &cursor.file,
                offset,
                cursor.mark,
            ))?;
        }
        Entry::Alert(alert) => super::alerts::write(work, alert)?,
        Entry::Stopped(stream, stopped) => super::stops::write(work, stream, stopped)?,
        Entry::Resumed(stream) => super::stops::remove(work, stream)?,
        Entry::Message { sink, at, body } => super::outbox::add(work, (sink, *at, body))?,
    }
    Ok(())
}
