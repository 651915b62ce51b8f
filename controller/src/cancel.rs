//! Ctrl-C: once stops starting, twice aborts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Two interrupts within this time mean it.
const TWICE_WITHIN: Duration = Duration::from_secs(2);

/// How far a run has been called off. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub struct Cancel {
    state: Arc<watch::Sender<State>>,
}

/// What the interrupts so far ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopping { since: Instant },
    Aborting,
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// Returns a run that goes on.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::Running)) }
    }

    /// Takes an interrupt at `now`: the first stops, another within two seconds of the last aborts.
    pub fn interrupt(&self, now: Instant) {
        self.state.send_modify(|state| *state = after_interrupt(*state, now));
    }

    /// Aborts at once.
    pub fn abort(&self) {
        self.state.send_replace(State::Aborting);
    }

    /// Whether no new host may be started.
    pub fn is_stopping(&self) -> bool {
        *self.state.borrow() != State::Running
    }

    /// Whether what runs is to be cut short.
    pub fn is_aborting(&self) -> bool {
        *self.state.borrow() == State::Aborting
    }

    /// Waits until no new host may be started.
    pub async fn stopping(&self) {
        self.wait(|state| *state != State::Running).await;
    }

    /// Waits until what runs is to be cut short.
    pub async fn aborting(&self) {
        self.wait(|state| *state == State::Aborting).await;
    }

    /// Waits for the next interrupt, of whatever kind.
    pub async fn interrupted(&self) {
        // We hold a sender ourselves, so the channel cannot close.
        let _ = self.state.subscribe().changed().await;
    }

    /// Turns SIGINT and SIGTERM of this process into interrupts, as long as the runtime lives.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let cancel = self.clone();
        tokio::spawn(async move {
            loop {
                let received = tokio::select! {
                    received = int.recv() => received,
                    received = term.recv() => received,
                };
                if received.is_none() {
                    return;
                }
                cancel.interrupt(Instant::now());
            }
        });
        Ok(())
    }

    async fn wait(&self, wanted: impl FnMut(&State) -> bool) {
        // We hold a sender ourselves, so the channel cannot close.
        let _ = self.state.subscribe().wait_for(wanted).await;
    }
}

fn after_interrupt(state: State, now: Instant) -> State {
    match state {
        State::Running => State::Stopping { since: now },
        State::Stopping { since } if now.saturating_duration_since(since) <= TWICE_WITHIN => State::Aborting,
        State::Stopping { .. } => State::Stopping { since: now },
        State::Aborting => State::Aborting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_interrupt_stops_and_a_second_soon_after_aborts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (interrupts, stopping, aborting) in [
            (&[][..], false, false),
            (&[0], true, false),
            (&[0, 2], true, true),
            (&[0, 3], true, false),
            (&[0, 3, 5], true, true),
            (&[0, 1, 60], true, true),
        ] {
            let cancel = Cancel::new();
            for second in interrupts {
                cancel.clone().interrupt(at(*second));
            }
            assert_eq!((cancel.is_stopping(), cancel.is_aborting()), (stopping, aborting), "{interrupts:?}");
        }
    }
}
