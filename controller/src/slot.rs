//! The place of a host among those at work, and giving it up while the host is silent: hosts that do not answer must
//! not keep those that do from their turn.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// A host silent for this long is not at work. An answer from anywhere on earth takes a third of it.
const SILENT_AFTER: Duration = Duration::from_secs(1);

tokio::task_local! {
    static SLOT: Slot;
}

/// The place of the work we are in.
#[derive(Debug)]
struct Slot {
    slots: Slots,
    was_given_up: Cell<bool>,
}

/// The places of one run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    given_up: AtomicUsize,
    changed: Notify,
}

/// A place that was given up; dropping it takes it back.
struct GivenUp(Slots);

impl Slots {
    /// Runs a host's work with a place of its own.
    pub async fn hold<F: Future>(self, work: F) -> F::Output {
        SLOT.scope(Slot { slots: self, was_given_up: Cell::new(false) }, work).await
    }

    /// How many places are given up now.
    pub fn given_up(&self) -> usize {
        self.shared.given_up.load(Ordering::Acquire)
    }

    /// Waits until a place is given up.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

/// Waits for a host to say something. If that takes long, the place of the work we are in is another's meanwhile.
pub async fn waiting<F: Future>(answer: F) -> F::Output {
    let Ok(slots) = SLOT.try_with(|slot| slot.slots.clone()) else { return answer.await };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answered = &mut answer => return answered,
        () = sleep(SILENT_AFTER) => {}
    }
    let _given_up = GivenUp::of(slots);
    SLOT.with(|slot| slot.was_given_up.set(true));
    answer.await
}

/// Whether the place of the work we are in was another's in between.
pub fn was_given_up() -> bool {
    SLOT.try_with(|slot| slot.was_given_up.get()).unwrap_or(false)
}

impl GivenUp {
    fn of(slots: Slots) -> GivenUp {
        slots.shared.given_up.fetch_add(1, Ordering::AcqRel);
        slots.shared.changed.notify_one();
        GivenUp(slots)
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.shared.given_up.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_given_up_while_a_host_is_silent_and_taken_back_after() {
        let slots = Slots::default();
        let (say, heard) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(slots.clone().hold(waiting(heard)));
        slots.changed().await;
        assert_eq!(slots.given_up(), 1);
        say.send(7).unwrap();
        assert_eq!(task.await.unwrap().unwrap(), 7);
        assert_eq!(slots.given_up(), 0);
        assert_eq!(slots.clone().hold(waiting(std::future::ready(3))).await, 3);
        let aborted = tokio::spawn(slots.clone().hold(waiting(std::future::pending::<()>())));
        slots.changed().await;
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(slots.given_up(), 0);
    }
}
