//! Questions to the person at the terminal: one at a time, and none outlives the run it belongs to.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a question that is called off may take to give the terminal back.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// The questions of a verb.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    state: Mutex<State>,
    changed: Condvar,
}

/// The number of a run within a verb: its questions end with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run(u64);

#[derive(Debug, Default)]
struct State {
    run: Run,
    is_open: bool,
    /// Dropped, it ends the open question.
    open: Option<PipeWriter>,
}

impl Questions {
    /// Returns the run that questions belong to from now on.
    pub(crate) fn run(&self) -> Run {
        self.lock().run
    }

    /// Puts a question once no other is open; `None` where its run is over. What asks ends when its pipe is closed.
    pub(crate) fn put<T>(&self, run: Run, ask: impl FnOnce(&PipeReader) -> Option<T>) -> Option<T> {
        let (called_off, open) = io::pipe().ok()?;
        {
            // Each open question ends by itself, so this does.
            let waits = |state: &mut State| state.is_open && state.run == run;
            let free = self.changed.wait_while(self.lock(), waits);
            let mut state = free.unwrap_or_else(PoisonError::into_inner);
            if state.run != run {
                return None;
            }
            state.is_open = true;
            state.open = Some(open);
        }
        let answer = ask(&called_off);
        let mut state = self.lock();
        state.is_open = false;
        state.open = None;
        self.changed.notify_all();
        answer
    }

    /// Ends the open question and those that wait for their turn: the run is over.
    pub(crate) fn call_off(&self) {
        let mut state = self.lock();
        state.run.0 += 1;
        state.open = None;
        self.changed.notify_all();
    }

    /// As [`call_off`](Self::call_off), and waits until the terminal is given back.
    pub(crate) fn settle(&self) {
        self.call_off();
        let given_back = self.changed.wait_timeout_while(self.lock(), SETTLED_WITHIN, |state| state.is_open);
        drop(given_back.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: its fields are only ever replaced.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn the_end_of_a_run_ends_the_open_question_and_those_behind_it() {
        let questions = Arc::new(Questions::default());
        let run = questions.run();
        let (opened, is_open) = mpsc::channel();
        let asking = |opened: mpsc::Sender<()>| {
            let questions = Arc::clone(&questions);
            thread::spawn(move || {
                questions.put(run, |mut called_off| {
                    opened.send(()).unwrap();
                    // Nobody writes: this ends with the pipe.
                    called_off.read(&mut [0]).ok()
                })
            })
        };
        let (first, second) = (asking(opened.clone()), asking(opened));
        is_open.recv().unwrap();
        questions.settle();
        let answers = [first.join().unwrap(), second.join().unwrap()];
        assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1, "the second was never put");
        assert!(is_open.recv().is_err());
        assert_eq!(questions.put(run, |_| Some(1)), None, "its run is over");
        assert_eq!(questions.put(questions.run(), |_| Some(2)), Some(2));
    }
}
