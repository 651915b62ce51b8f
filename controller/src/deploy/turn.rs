//! A host's turn in a rollout. Reaching a host needs none, so that silent hosts delay nobody; whatever may change it does,
//! so that at most so many are changed at once, and none after too many failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::host::Deployed;
use super::rollout::{Ended, Rollout};
use crate::cancel::Cancel;
use crate::slot;

/// What the hosts of one rollout share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Turns {
    rollout: Arc<Mutex<Rollout>>,
    places: Arc<Semaphore>,
    cancel: Cancel,
}

/// The turn of one host that was started. Dropped, it counts as one that ended badly: it panicked, or was cut short.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    how: Ended,
    /// Free only after the end is counted: whoever comes next knows of it.
    place: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Returns the turns of a rollout, so many at a time.
    pub fn new(rollout: Rollout, at_once: usize, cancel: Cancel) -> Turns {
        Turns { rollout: Arc::new(Mutex::new(rollout)), places: Arc::new(Semaphore::new(at_once)), cancel }
    }

    /// Returns the rollout as it is now.
    pub fn rollout(&self) -> MutexGuard<'_, Rollout> {
        // Nothing panics while it is held.
        self.rollout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the turn of a host that [`Rollout::start`] named.
    pub fn of_started(&self) -> Turn {
        Turn { turns: self.clone(), how: Ended::Badly, place: None }
    }
}

impl Turn {
    /// Waits until the host may be changed and returns whether it may. A host whose place was another's while it was
    /// silent, or that had to wait for one, may not when too many others failed or the run was called off meanwhile.
    pub async fn comes(&mut self) -> bool {
        let places = self.turns.places.clone();
        if let Ok(place) = places.clone().try_acquire_owned() {
            self.place = Some(place);
            return !slot::was_given_up() || !self.is_called_off();
        }
        self.place = tokio::select! {
            // The places are never closed.
            place = places.acquire_owned() => place.ok(),
            () = self.turns.cancel.stopping() => None,
        };
        self.place.is_some() && !self.is_called_off()
    }

    fn is_called_off(&self) -> bool {
        self.turns.rollout().is_stopped() || self.turns.cancel.is_stopping()
    }

    /// Counts how the host ended.
    pub fn end(mut self, deployed: Deployed) -> Deployed {
        self.how = if deployed.result.status.is_bad() { Ended::Badly } else { Ended::Well };
        deployed
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.rollout().ended(self.how);
    }
}
