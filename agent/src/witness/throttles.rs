//! Which agents the provider throttles, and until when. Each agent by itself, so that one agent's recovery never hides
//! another's throttle; the reckoning is the Loop's own.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::provider::throttle;
use crate::store::record::Record;

/// Agents remembered; a project has one for each phase at most.
const AGENTS: usize = 64;

/// The throttles of all agents.
#[derive(Debug, Clone, Default)]
pub struct Throttles {
    reckoned: throttle::Throttles,
    met: BTreeMap<String, Met>,
}

/// Where an agent met its throttle.
#[derive(Debug, Clone, Default)]
struct Met {
    round_num: Option<i64>,
    phase: Option<String>,
}

/// One throttle that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// The throttled agent.
    pub agent: String,
    /// What the provider called it.
    pub classification: String,
    /// When it is over.
    pub until: Timestamp,
    /// The round that met it.
    pub since_round: Option<i64>,
    /// That round's phase.
    pub phase: Option<String>,
}

impl Throttles {
    /// Folds the next event in.
    pub fn event(&mut self, record: &Record) {
        self.reckoned.apply(record);
        let agent = record.str("agent").filter(|_| record.kind == "transient_error_detected");
        if let Some(agent) = agent
            && (self.met.len() < AGENTS || self.met.contains_key(agent))
        {
            let phase = record.str("phase").filter(|phase| !phase.is_empty()).map(str::to_owned);
            self.met.insert(agent.to_owned(), Met { round_num: record.round_num(), phase });
        }
    }

    /// Returns the throttles that hold at `now`, by agent. A reset that is no representable time is none.
    pub fn active(&self, now: Timestamp) -> Vec<Throttle> {
        let active = self.reckoned.unrecovered().filter(|throttle| throttle.is_active(now));
        let known = active.filter_map(|throttle| {
            let met = self.met.get(&throttle.agent).cloned().unwrap_or_default();
            Some(Throttle {
                agent: throttle.agent.clone(),
                classification: throttle.classification.clone(),
                until: Timestamp::from_second(throttle.effective_reset(now)).ok()?,
                since_round: met.round_num,
                phase: met.phase,
            })
        });
        known.collect()
    }
}
