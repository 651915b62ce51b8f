//! Many hosts at once: bounded, one outcome for each, and a failure is nobody else's.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use crate::cancel::Cancel;
use crate::slot::Slots;

/// How to spread over hosts.
#[derive(Debug, Clone)]
pub struct FanoutOptions {
    /// Hosts worked on at once.
    pub forks: NonZeroUsize,
    /// Hosts held at once: those worked on, and beside them those that are silent.
    pub most: NonZeroUsize,
    /// How long one host may take in all.
    pub per_host_deadline: Option<Duration>,
    /// What Ctrl-C reaches us through.
    pub cancel: Cancel,
}

/// What became of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The work ended by itself.
    Done(T),
    /// It took longer than it may.
    TimedOut(Duration),
    /// It hit a bug of ours; the text is the panic's.
    Panicked(String),
    /// It was cut short by the user.
    Aborted,
    /// It was never started: the user had stopped the run.
    Skipped,
}

/// Runs `work` for each item and returns the outcomes as they come: exactly one for each item.
///
/// An item is taken when there is room for it, and after the end of whatever made the room: what `items` yields may
/// depend on how others ended. Its first `None` while nothing runs is the end. Dropping the receiver aborts what is running and starts nothing more.
pub fn run<L, I, T, F, W>(items: L, options: FanoutOptions, work: F) -> mpsc::Receiver<(I, Outcome<T>)>
where
    L: IntoIterator<Item = I, IntoIter: Send + 'static>,
    I: Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(I) -> W + Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let (outcomes, receiver) = mpsc::channel(options.forks.get().min(1024));
    tokio::spawn(coordinate(items.into_iter(), options, (work, outcomes)));
    receiver
}

async fn coordinate<I, T, F, W>(
    mut waiting: impl Iterator<Item = I>,
    options: FanoutOptions,
    (work, outcomes): (F, mpsc::Sender<(I, Outcome<T>)>),
) where
    I: Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(I) -> W + Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let mut running: JoinSet<Outcome<T>> = JoinSet::new();
    let mut hosts: HashMap<Id, I> = HashMap::new();
    let slots = Slots::default();
    let has_room = |running: usize| {
        let at_work = running.saturating_sub(slots.given_up());
        at_work < options.forks.get() && running < options.most.get().max(options.forks.get())
    };
    loop {
        while has_room(running.len()) && !options.cancel.is_stopping() {
            let Some(item) = waiting.next() else { break };
            let (task, deadline) = (work(item.clone()), options.per_host_deadline);
            let started = running.spawn(slots.clone().hold(async move {
                match deadline {
                    None => Outcome::Done(task.await),
                    Some(after) => timeout(after, task).await.map_or(Outcome::TimedOut(after), Outcome::Done),
                }
            }));
            hosts.insert(started.id(), item);
        }
        if options.cancel.is_stopping() {
            for item in waiting.by_ref() {
                if outcomes.send((item, Outcome::Skipped)).await.is_err() {
                    return;
                }
            }
        }
        let ended = tokio::select! {
            ended = running.join_next_with_id() => ended,
            () = slots.changed(), if !running.is_empty() => continue,
            () = options.cancel.stopping(), if !options.cancel.is_stopping() => continue,
            () = options.cancel.aborting(), if !running.is_empty() => {
                running.abort_all();
                running.join_next_with_id().await
            }
            () = outcomes.closed() => return,
        };
        let Some(ended) = ended else { return };
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), failure(error)),
        };
        let item = hosts.remove(&id).expect("each task was entered when it was started");
        if outcomes.send((item, outcome)).await.is_err() {
            return;
        }
    }
}

fn failure<T>(error: JoinError) -> Outcome<T> {
    match error.try_into_panic() {
        Ok(panic) => Outcome::Panicked(panic_text(panic.as_ref())),
        Err(_) => Outcome::Aborted,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("unknown panic").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn options(forks: usize) -> FanoutOptions {
        FanoutOptions {
            forks: NonZeroUsize::new(forks).unwrap(),
            most: NonZeroUsize::new(1000).unwrap(),
            per_host_deadline: None,
            cancel: Cancel::new(),
        }
    }

    async fn all<I, T>(mut receiver: mpsc::Receiver<(I, Outcome<T>)>) -> Vec<(I, Outcome<T>)> {
        let mut outcomes = Vec::new();
        while let Some(outcome) = receiver.recv().await {
            outcomes.push(outcome);
        }
        outcomes
    }

    #[tokio::test]
    async fn no_more_hosts_than_forks_are_worked_on_and_each_has_one_outcome() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (n, m) = (Arc::clone(&now), Arc::clone(&most));
        let receiver = run(0..50, options(7), move |i| {
            let (now, most) = (Arc::clone(&n), Arc::clone(&m));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                i * 2
            }
        });
        let mut outcomes = all(receiver).await;
        outcomes.sort_by_key(|(i, _)| *i);
        assert_eq!(outcomes, (0..50).map(|i| (i, Outcome::Done(i * 2))).collect::<Vec<_>>());
        assert!((1..=7).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn a_panic_and_a_timeout_are_those_hosts_own() {
        let mut options = options(3);
        options.per_host_deadline = Some(Duration::from_millis(50));
        let receiver = run(vec![0, 1, 2], options, |i| async move {
            match i {
                0 => panic!("bug {i}"),
                1 => std::future::pending().await,
                _ => i,
            }
        });
        let mut outcomes = all(receiver).await;
        outcomes.sort_by_key(|(i, _)| *i);
        let expected = [
            (0, Outcome::Panicked("bug 0".to_owned())),
            (1, Outcome::TimedOut(Duration::from_millis(50))),
            (2, Outcome::Done(2)),
        ];
        assert_eq!(outcomes, expected);
    }

    #[tokio::test]
    async fn silent_hosts_keep_nobody_from_their_turn() {
        let silence = Arc::new(tokio::sync::Semaphore::new(0));
        let over = Arc::clone(&silence);
        let mut receiver = run(0..40, options(10), move |i| {
            let silence = Arc::clone(&silence);
            async move {
                if i < 20 {
                    let _over = crate::slot::waiting(silence.acquire()).await;
                }
                i
            }
        });
        for _ in 0..20 {
            let (i, _) = receiver.recv().await.unwrap();
            assert!(i >= 20, "{i} is silent");
        }
        over.close();
        assert_eq!(all(receiver).await.len(), 20);
    }

    #[tokio::test]
    async fn stopping_starts_nobody_more_and_lets_the_running_end() {
        let options = options(2);
        let cancel = options.cancel.clone();
        let go = Arc::new(tokio::sync::Notify::new());
        let (gate, starts) = (Arc::clone(&go), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&starts);
        let receiver = run(0..10, options, move |i| {
            let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                i
            }
        });
        while starts.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        cancel.interrupt(Instant::now());
        let outcomes = tokio::spawn(all(receiver));
        while !outcomes.is_finished() {
            go.notify_waiters();
            tokio::task::yield_now().await;
        }
        let outcomes = outcomes.await.unwrap();
        let of = |wanted: fn(&Outcome<i32>) -> bool| outcomes.iter().filter(|(_, o)| wanted(o)).count();
        assert_eq!(of(|o| matches!(o, Outcome::Done(_))), 2);
        assert_eq!(of(|o| matches!(o, Outcome::Skipped)), 8);
    }

    #[tokio::test]
    async fn aborting_cuts_the_running_short_with_an_outcome_each() {
        let options = options(2);
        let cancel = options.cancel.clone();
        let receiver = run(0..4, options, |_| std::future::pending::<()>());
        let now = Instant::now();
        cancel.interrupt(now);
        cancel.interrupt(now);
        let outcomes = all(receiver).await;
        assert_eq!(outcomes.len(), 4);
        assert!(
            outcomes.iter().all(|(_, o)| matches!(o, Outcome::Aborted | Outcome::Skipped)),
            "{outcomes:?}"
        );
    }
}
