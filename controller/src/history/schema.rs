//! The tables, by version. A file of an older version is brought to today's when it is opened; a newer one is refused.

use rusqlite::Connection;

/// Each entry brings a file to the next version; the first makes version 1 of an empty file.
const STEPS: &[&str] = &["
    CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        host TEXT NOT NULL,
        project TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX log_at ON log (at);
    CREATE INDEX log_host ON log (host, at);
    CREATE TABLE cursors (
        host TEXT NOT NULL,
        project TEXT NOT NULL,
        file TEXT NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (host, project)
    ) WITHOUT ROWID;
    CREATE TABLE alerts (
        key TEXT NOT NULL,
        since INTEGER NOT NULL,
        resolved INTEGER,
        doc TEXT NOT NULL,
        PRIMARY KEY (key, since)
    ) WITHOUT ROWID;
    CREATE INDEX alerts_resolved ON alerts (resolved);
    CREATE TABLE acks (
        key TEXT PRIMARY KEY,
        by TEXT NOT NULL,
        at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE silences (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        matchers TEXT NOT NULL,
        comment TEXT NOT NULL,
        by TEXT NOT NULL,
        start INTEGER NOT NULL,
        until INTEGER NOT NULL
    );
    CREATE TABLE stops (
        host TEXT NOT NULL,
        project TEXT NOT NULL,
        detector TEXT NOT NULL,
        by TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (host, project)
    ) WITHOUT ROWID;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sink TEXT NOT NULL,
        at INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX outbox_sink ON outbox (sink, id);
    CREATE TABLE dropped (
        sink TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) WITHOUT ROWID;
"];

/// What a place's file is known by, beside the place: in a table of its own that an older release of the same version
/// does not see. It goes on in `cursors` alone, so a mark counts only for the very place it was written with.
const MARKS: &str = "
    CREATE TABLE IF NOT EXISTS marks (
        host TEXT NOT NULL,
        project TEXT NOT NULL,
        file TEXT NOT NULL,
        offset INTEGER NOT NULL,
        mark INTEGER,
        PRIMARY KEY (host, project)
    ) WITHOUT ROWID
";

/// The version this release writes.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Returns the file's version after bringing it to the newest, or the version found where that is newer still.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let version =
        |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    // Two processes may open a new file at once: the second one finds the first one's tables.
    let work = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = version(&work)?;
    if found < 0 || found > newest() {
        return Ok(found);
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        work.execute_batch(step)?;
    }
    work.execute_batch(MARKS)?;
    work.pragma_update(None, "user_version", newest())?;
    work.commit()?;
    Ok(newest())
}
