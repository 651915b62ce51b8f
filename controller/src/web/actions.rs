//! Wishes that run or have run: a bounded list that every page sees, so that nobody wonders who stopped what.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_runner::store::time;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Wishes that are remembered.
const KEPT: usize = 50;
/// Wishes that may run at once.
const RUNNING: usize = 16;

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: u64,
    what: String,
    by: String,
    begun: Timestamp,
    ended: Option<Timestamp>,
    outcome: Option<Result<String, String>>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: VecDeque<Entry>,
}

/// The list; clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    list: Arc<Mutex<List>>,
}

impl Actions {
    /// Notes that a wish begins and returns its number; none when too many run.
    pub fn begin(&self, what: String, by: &str, now: Timestamp) -> Option<u64> {
        let mut list = self.lock();
        if list.entries.iter().filter(|entry| entry.outcome.is_none()).count() >= RUNNING {
            return None;
        }
        list.next += 1;
        let id = list.next;
        if list.entries.len() >= KEPT {
            // The oldest that is over goes; what runs stays.
            let over = list.entries.iter().position(|entry| entry.outcome.is_some());
            if let Some(over) = over {
                list.entries.remove(over);
            }
        }
        list.entries.push_back(Entry { id, what, by: by.to_owned(), begun: now, ended: None, outcome: None });
        Some(id)
    }

    /// Notes what came of a wish.
    pub fn end(&self, id: u64, outcome: Result<String, String>, now: Timestamp) {
        if let Some(entry) = self.lock().entries.iter_mut().find(|entry| entry.id == id) {
            entry.outcome = Some(outcome);
            entry.ended = Some(now);
        }
    }

    /// Returns them as JSON, the newest first.
    pub fn list(&self) -> Vec<Value> {
        self.lock().entries.iter().rev().map(json).collect()
    }

    /// Returns one of them.
    pub fn get(&self, id: u64) -> Option<Value> {
        self.lock().entries.iter().find(|entry| entry.id == id).map(json)
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json(entry: &Entry) -> Value {
    let (status, said) = match &entry.outcome {
        None => ("running", None),
        Some(Ok(said)) => ("done", Some(said)),
        Some(Err(said)) => ("failed", Some(said)),
    };
    json!({
        "id": entry.id,
        "what": entry.what,
        "by": entry.by,
        "begun": time::stamp(entry.begun),
        "ended": entry.ended.map(time::stamp),
        "status": status,
        "said": said,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_bounded_in_number_and_those_that_run_are_kept() {
        let actions = Actions::default();
        let now = Timestamp::UNIX_EPOCH;
        let first = actions.begin("stop a".into(), "me", now).unwrap();
        for _ in 1..RUNNING {
            actions.begin("stop b".into(), "me", now).unwrap();
        }
        assert_eq!(actions.begin("one too many".into(), "me", now), None);
        for number in 0..200 {
            let id = number + 2;
            actions.end(id, Err("no".into()), now);
            assert!(actions.begin("again".into(), "me", now).is_some());
        }
        assert_eq!(actions.list().len(), KEPT);
        assert_eq!(actions.get(first).unwrap()["status"], "running");
        actions.end(first, Ok("a: stopped".into()), now);
        assert_eq!(actions.get(first).unwrap()["said"], "a: stopped");
    }
}
