//! Services that were stopped for a detector and that nobody has brought back.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::error::HistoryError;
use super::store::Store;
use crate::fleetview::state::{AutoStopped, StreamId};
use crate::fleetview::told::StoppedBy;

pub(super) fn write(
    work: &Transaction<'_>,
    stream: &StreamId,
    stopped: &AutoStopped,
) -> rusqlite::Result<()> {
    let mut insert = work.prepare_cached("INSERT OR REPLACE INTO stops VALUES (?, ?, ?, ?, ?)")?;
    let at = stopped.at.as_millisecond();
    insert.execute((&*stream.host, &*stream.project, &stopped.detector, stopped.by.as_str(), at))?;
    Ok(())
}

pub(super) fn remove(work: &Transaction<'_>, stream: &StreamId) -> rusqlite::Result<()> {
    let mut delete = work.prepare_cached("DELETE FROM stops WHERE host = ? AND project = ?")?;
    delete.execute((&*stream.host, &*stream.project))?;
    Ok(())
}

impl Store {
    /// Returns where and when the controller itself stopped something, from the log: what was brought back since counts
    /// too.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn own_stops(&self, since: Timestamp) -> Result<Vec<(Arc<str>, Timestamp)>, HistoryError> {
        let sql = "SELECT host, at FROM log
            WHERE at >= ? AND kind = 'stop' AND json_extract(body, '$.by') = ? ORDER BY at";
        self.rows(sql, (since.as_millisecond(), StoppedBy::Controller.as_str()), |row| {
            let host: String = row.get(0)?;
            Ok((host.into(), Timestamp::from_millisecond(row.get(1)?).unwrap_or_default()))
        })
    }

    /// Returns them, the oldest first.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn stops(&self) -> Result<Vec<(StreamId, AutoStopped)>, HistoryError> {
        let sql = "SELECT host, project, detector, by, at FROM stops ORDER BY at, host, project";
        self.rows(sql, [], |row| {
            let (host, project, by): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
            let at = Timestamp::from_millisecond(row.get(4)?).unwrap_or_default();
            let by = if by == StoppedBy::Host.as_str() { StoppedBy::Host } else { StoppedBy::Controller };
            let stream = StreamId { host: host.into(), project: project.into() };
            Ok((stream, AutoStopped { detector: row.get(2)?, at, by }))
        })
    }
}
