//! What the fleet looks like through the model at one instant. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::model::Model;
use super::rows::{self, Facts, Grouping, Row};
use super::status::Status;
use crate::fleetview::alert::{AlertState, Muted, Phase, Subject};
use crate::fleetview::state::{Fleet, Moment, Stop, StreamId};

/// One line of the host table.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The name of a group, and how many streams are in it.
    Heading(String, usize),
    /// A stream.
    Host(Row),
}

/// Everything that is drawn, and that keys are about.
#[derive(Debug)]
pub struct View<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What does not change.
    pub facts: &'a Facts,
    /// Now.
    pub now: Moment,
    /// How many streams are in each status, filtered or not.
    pub counts: BTreeMap<Status, usize>,
    /// The table, as it is sorted, filtered and grouped.
    pub entries: Vec<Entry>,
    /// Open alerts: those that ask for a person, then those somebody took note of, the silenced, the explained and
    /// those that do not fire yet; within each the worst first.
    pub alerts: Vec<&'a AlertState>,
}

impl<'a> View<'a> {
    /// Looks at the fleet.
    pub fn of(model: &Model, fleet: &'a Fleet, facts: &'a Facts, now: Moment) -> View<'a> {
        let mut all = rows::rows(fleet, facts, now);
        let mut counts = BTreeMap::new();
        for row in &all {
            *counts.entry(row.status).or_default() += 1;
        }
        all.retain(|row| rows::matches(row, &model.filter));
        rows::sort(&mut all, model.sort, model.grouping, model.descending);
        let mut alerts: Vec<&AlertState> = fleet.alerts.open().collect();
        alerts.sort_by_key(|alert| (standing(alert), Reverse(alert.severity), alert.since, &alert.key));
        View { fleet, facts, now, counts, entries: grouped(all, model.grouping), alerts }
    }

    /// Returns the rows of the table, without its headings.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Host(row) => Some(row),
            Entry::Heading(..) => None,
        })
    }

    /// Returns the chosen stream: the first one where none is chosen, or where the chosen one is not shown.
    pub fn stream(&self, model: &Model) -> Option<&Row> {
        let chosen = self.rows().find(|row| Some(&row.stream) == model.stream.as_ref());
        chosen.or_else(|| self.rows().next())
    }

    /// Returns the row of a stream, shown or not.
    pub fn row(&self, stream: &StreamId) -> Option<Row> {
        let shown = self.rows().find(|row| row.stream == *stream).cloned();
        shown.or_else(|| {
            rows::rows(self.fleet, self.facts, self.now).into_iter().find(|row| row.stream == *stream)
        })
    }

    /// Returns the chosen alert, as [`View::stream`] does.
    pub fn alert(&self, model: &Model) -> Option<&'a AlertState> {
        let chosen = self.alerts.iter().find(|alert| Some(&alert.key) == model.alert.as_ref());
        chosen.or_else(|| self.alerts.first()).copied()
    }

    /// Returns how many open alerts ask for a person, and how many do not.
    pub fn loud_and_quiet(&self) -> (usize, usize) {
        let loud = self.alerts.iter().filter(|alert| rows::is_loud(alert)).count();
        (loud, self.alerts.len() - loud)
    }

    /// Returns whether the controller's brake holds stops back.
    pub fn brake_holds(&self) -> bool {
        let held = |stop| stop == Stop::HeldBack;
        self.fleet.streams.values().any(|state| state.alerts.values().any(|open| held(open.stop)))
    }

    /// Returns the stream an alert is about: its own, or the first one of its host.
    pub fn stream_of(&self, alert: &AlertState) -> Option<StreamId> {
        match &alert.key.subject {
            Subject::Stream(stream) => Some(stream.clone()),
            Subject::Host(host) => self.fleet.on_host(host).next().map(|(id, _)| id.clone()),
            Subject::Account(_) | Subject::Fleet => None,
        }
    }
}

/// Returns where an alert stands in the list.
fn standing(alert: &AlertState) -> u8 {
    match (alert.phase, &alert.muted, &alert.acked) {
        (Phase::Firing, None, None) => 0,
        (Phase::Firing, None, Some(_)) => 1,
        (Phase::Firing, Some(Muted::Silenced(_)), _) => 2,
        (Phase::Firing, Some(Muted::Inhibited(_)), _) => 3,
        (Phase::Pending | Phase::Resolved, _, _) => 4,
    }
}

fn grouped(rows: Vec<Row>, grouping: Grouping) -> Vec<Entry> {
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for name in rows.iter().filter_map(|row| grouping.of(row)) {
        *sizes.entry(name).or_default() += 1;
    }
    let mut entries = Vec::with_capacity(rows.len() + sizes.len());
    let mut current = None;
    for row in rows {
        let name = grouping.of(&row);
        if name != current
            && let Some(name) = &name
        {
            entries.push(Entry::Heading(name.clone(), sizes.get(name).copied().unwrap_or_default()));
        }
        current = name;
        entries.push(Entry::Host(row));
    }
    entries
}
