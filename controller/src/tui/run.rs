//! The loop: keys, news and seconds go in, a drawing comes out. It draws when something changed, and once a second
//! because ages do.

use std::future::Future;
use std::time::Duration;

use agent_runner::error::in_words;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::draw::{Scene, draw};
use super::feed::Feed;
use super::keys::{Effect, TAIL_LINES, press, tick};
use super::look::Look;
use super::model::Model;
use super::rows::Facts;
use super::terminal::Input;
use super::view::View;
use crate::fleetview::state::{Fleet, Moment, StreamId};
use crate::watcher::hub::{Hub, News};

/// Answers that may wait.
const QUEUE: usize = 64;

/// What the dashboard is about.
#[derive(Debug)]
pub struct Dashboard {
    /// The fleet.
    pub hub: Hub,
    /// What it tells, since before its watch began.
    pub told: News,
    /// What does not change.
    pub facts: Facts,
    /// What is known of earlier.
    pub feed: Feed,
    /// Who sits here, for what is written down.
    pub by: String,
    /// How things look.
    pub look: Look,
}

/// What came of something that was asked of the hub.
enum Answer {
    Acted(Result<String, String>),
    Fetched(StreamId, Result<Vec<String>, String>),
}

/// Shows the fleet until somebody quits or `end` completes, and returns the model as it was left.
///
/// # Errors
/// When the terminal cannot be drawn on.
pub async fn run<B: Backend>(
    dashboard: Dashboard,
    terminal: &mut Terminal<B>,
    inputs: &mut mpsc::Receiver<Input>,
    end: impl Future<Output = ()>,
) -> Result<Model, B::Error> {
    let Dashboard { hub, mut told, facts, mut feed, by, look } = dashboard;
    let mut changes = hub.changes();
    let (answer, mut answers) = mpsc::channel(QUEUE);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut model = Model::default();
    tokio::pin!(end);
    loop {
        let mut effects = Vec::new();
        let mut redraw = true;
        tokio::select! {
            () = &mut end => return Ok(model),
            input = inputs.recv() => {
                let fleet = hub.snapshot();
                let mut next = input.or(Some(Input::Gone));
                // Keys that were pressed faster than a screen is drawn are taken together.
                while let Some(input) = next {
                    effects.extend(take(&mut model, input, (&fleet, &facts)));
                    next = inputs.try_recv().ok();
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(model);
                }
            }
            news = told.recv() => {
                match news {
                    Ok(news) => news.iter().for_each(|one| feed.hear(one, Timestamp::now())),
                    Err(RecvError::Lagged(missed)) => feed.missed += missed,
                    Err(RecvError::Closed) => return Ok(model),
                }
                // The snapshot that shows them comes within a quarter of a second.
                redraw = false;
            }
            Some(answer) = answers.recv() => match answer {
                Answer::Acted(answer) => model.answered(answer, Timestamp::now()),
                Answer::Fetched(stream, lines) => model.fetched(&stream, lines),
            },
            _ = second.tick() => {
                let fleet = hub.snapshot();
                let view = View::of(&model, &fleet, &facts, moment(&fleet));
                effects.extend(tick(&mut model, &view));
            }
        }
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(model),
                Effect::Act(action) => {
                    let (hub, by, answer) = (hub.clone(), by.clone(), answer.clone());
                    tokio::spawn(async move {
                        let acted = hub.act(action, &by).await.map_err(|error| in_words(&error));
                        // The dashboard may have ended.
                        let _ = answer.send(Answer::Acted(acted)).await;
                    });
                }
                Effect::Fetch(stream) => {
                    let (hub, answer) = (hub.clone(), answer.clone());
                    tokio::spawn(async move {
                        let lines = hub.log_tail(&stream, TAIL_LINES).await.map_err(|error| in_words(&error));
                        // The dashboard may have ended.
                        let _ = answer.send(Answer::Fetched(stream, lines)).await;
                    });
                }
            }
        }
        if redraw {
            let fleet = hub.snapshot();
            let view = View::of(&model, &fleet, &facts, moment(&fleet));
            let scene = Scene { model: &model, view: &view, feed: &feed, look };
            terminal.draw(|frame| draw(frame.buffer_mut(), scene))?;
        }
    }
}

fn take(model: &mut Model, input: Input, (fleet, facts): (&Fleet, &Facts)) -> Vec<Effect> {
    match input {
        Input::Key(key) => {
            let view = View::of(model, fleet, facts, moment(fleet));
            press(model, key, &view)
        }
        Input::Resized => Vec::new(),
        Input::Complaint(line) => {
            model.overheard(&line, Timestamp::now());
            Vec::new()
        }
        Input::Gone => vec![Effect::Quit],
    }
}

/// Returns now, by the clock of the snapshot for durations.
fn moment(fleet: &Fleet) -> Moment {
    Moment { wall: Timestamp::now(), mono: fleet.now.mono }
}
