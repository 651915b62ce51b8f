//! The event log of a project, read whole.

use agent_runner::store::backward;
use agent_runner::store::layout::Layout;
use agent_runner::store::record::Record;

/// Every event so far, oldest first.
pub(crate) fn events(logs: &Layout) -> Vec<Record> {
    let mut records: Vec<Record> = backward::records(logs.events_files()).collect();
    records.reverse();
    records
}
