//! What a key does. Pure: (model, key, view) gives the new model and what is to be done.

use super::model::{Back, Mode, Model, Screen, Tail};
use super::question::{self, Question, Wish};
use super::rows::Row;
use super::view::View;
use crate::fleetview::alert::AlertState;
use crate::fleetview::state::StreamId;
use crate::span;
use crate::watcher::act::Action;

/// Rows a page key moves.
const PAGE: isize = 10;
/// The longest filter or span that can be written, in characters.
const WRITTEN: usize = 60;
/// How far a log can be scrolled up, in lines: as many as are fetched.
pub const TAIL_LINES: u32 = 200;
/// Seconds after which the log that is looked at is fetched again.
const FETCH_AGAIN_S: i64 = 5;

/// A key, as far as anything here is bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Yes, that one.
    Enter,
    /// No, back.
    Esc,
    /// To the other pane.
    Tab,
    /// Takes the last character back.
    Backspace,
    /// One up.
    Up,
    /// One down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    Home,
    /// To the last.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The dashboard ends.
    Quit,
    /// The hub does this.
    Act(Action),
    /// The end of a stream's log is fetched.
    Fetch(StreamId),
}

/// Takes a key.
pub fn press(model: &mut Model, key: Key, view: &View<'_>) -> Vec<Effect> {
    if key == Key::Interrupt {
        return vec![Effect::Quit];
    }
    match std::mem::take(&mut model.mode) {
        Mode::Browse => browse(model, key, view),
        Mode::Help => Vec::new(),
        Mode::Filter(before) => filter(model, key, before),
        Mode::Ask(question) => answer(model, key, question),
    }
}

/// Takes the passing of time: the log that is looked at is fetched again.
pub fn tick(model: &mut Model, view: &View<'_>) -> Vec<Effect> {
    let Screen::Detail(stream) = &model.screen else { return Vec::new() };
    let due = match model.tail.as_ref().filter(|tail| tail.stream == *stream) {
        Some(tail) => !tail.waits && view.now.wall.as_second() - tail.asked.as_second() >= FETCH_AGAIN_S,
        None => true,
    };
    let current = view.row(stream).is_some_and(|row| row.status.is_current());
    let stream = stream.clone();
    if due && current { fetch(model, stream, view) } else { Vec::new() }
}

fn browse(model: &mut Model, key: Key, view: &View<'_>) -> Vec<Effect> {
    match key {
        Key::Char('q') => return vec![Effect::Quit],
        Key::Char('?' | 'h') => model.mode = Mode::Help,
        Key::Char('/') if !matches!(model.screen, Screen::Detail(_)) => {
            model.screen = Screen::Hosts;
            model.mode = Mode::Filter(model.filter.clone());
        }
        Key::Char('s') => model.sort = model.sort.next(),
        Key::Char('r') => model.descending = !model.descending,
        Key::Char('b') => model.grouping = model.grouping.next(),
        Key::Tab | Key::Char('a') => {
            model.screen = if model.screen == Screen::Alerts { Screen::Hosts } else { Screen::Alerts };
        }
        Key::Esc => return escape(model),
        Key::Enter | Key::Char('p') => return open(model, view),
        Key::Up | Key::Char('k') => go(model, view, -1),
        Key::Down | Key::Char('j') => go(model, view, 1),
        Key::PageUp => go(model, view, -PAGE),
        Key::PageDown => go(model, view, PAGE),
        Key::Home | Key::Char('g') => go(model, view, isize::MIN),
        Key::End | Key::Char('G') => go(model, view, isize::MAX),
        Key::Char(letter @ ('S' | 'T' | 'R' | 'M' | 'A')) => ask(model, letter, view),
        Key::Char(_) | Key::Backspace | Key::Interrupt => {}
    }
    Vec::new()
}

/// Goes back one step: from one stream to where it was chosen, from the alerts to the hosts, then to no filter.
fn escape(model: &mut Model) -> Vec<Effect> {
    match (&model.screen, model.back) {
        (Screen::Detail(_), Back::Alerts) => model.screen = Screen::Alerts,
        (Screen::Detail(_), Back::Hosts) | (Screen::Alerts, _) => model.screen = Screen::Hosts,
        (Screen::Hosts, _) => model.filter.clear(),
    }
    Vec::new()
}

fn open(model: &mut Model, view: &View<'_>) -> Vec<Effect> {
    let (stream, back) = match &model.screen {
        Screen::Detail(stream) => (stream.clone(), model.back),
        Screen::Hosts => match view.stream(model) {
            Some(row) => (row.stream.clone(), Back::Hosts),
            None => return Vec::new(),
        },
        Screen::Alerts => match view.alert(model).map(|alert| (alert, view.stream_of(alert))) {
            Some((_, Some(stream))) => (stream, Back::Alerts),
            Some((alert, None)) => {
                let text = format!("{} is more than one host", alert.key.subject);
                model.say(&text, view.now.wall);
                return Vec::new();
            }
            None => return Vec::new(),
        },
    };
    model.back = back;
    model.stream = Some(stream.clone());
    model.screen = Screen::Detail(stream.clone());
    model.scroll = 0;
    fetch(model, stream, view)
}

fn fetch(model: &mut Model, stream: StreamId, view: &View<'_>) -> Vec<Effect> {
    let before = model.tail.take().filter(|tail| tail.stream == stream);
    if before.as_ref().is_some_and(|tail| tail.waits) {
        model.tail = before;
        return Vec::new();
    }
    let lines = before.and_then(|tail| tail.lines);
    model.tail = Some(Tail { stream: stream.clone(), lines, asked: view.now.wall, waits: true });
    vec![Effect::Fetch(stream)]
}

/// Moves the choice, or the log.
fn go(model: &mut Model, view: &View<'_>, by: isize) {
    match model.screen {
        Screen::Hosts => {
            let streams: Vec<&StreamId> = view.rows().map(|row| &row.stream).collect();
            let chosen = view.stream(model).map(|row| &row.stream);
            model.stream = moved(&streams, chosen, by).cloned();
        }
        Screen::Alerts => {
            let keys: Vec<_> = view.alerts.iter().map(|alert| &alert.key).collect();
            let chosen = view.alert(model).map(|alert| &alert.key);
            model.alert = moved(&keys, chosen, by).cloned();
        }
        Screen::Detail(_) => {
            let lines =
                model.tail.as_ref().and_then(|tail| tail.lines.as_ref()?.as_ref().ok()).map_or(0, Vec::len);
            model.scroll =
                model.scroll.saturating_add_signed(by.saturating_neg()).min(lines.saturating_sub(1));
        }
    }
}

fn moved<'a, T: PartialEq>(all: &[&'a T], chosen: Option<&T>, by: isize) -> Option<&'a T> {
    let at = all.iter().position(|one| Some(*one) == chosen).unwrap_or(0);
    all.get(at.saturating_add_signed(by).min(all.len().saturating_sub(1))).copied()
}

/// Opens the question of a capital letter.
fn ask(model: &mut Model, letter: char, view: &View<'_>) {
    let question = match (letter, on_alert(model, view)) {
        ('M', Some(alert)) => question::silence_alert(alert),
        ('A', Some(alert)) => question::acknowledge(&alert.key.subject.to_string(), &[alert]),
        (letter, _) => match subject(model, view) {
            None => Err("there is no one host to do that on".to_owned()),
            Some(row) => about_host(letter, view, &row),
        },
    };
    match question {
        Ok(question) => model.mode = Mode::Ask(question),
        Err(why) => model.say(&why, view.now.wall),
    }
}

fn about_host(letter: char, view: &View<'_>, row: &Row) -> Result<Question, String> {
    match letter {
        'S' => question::stop(view, row),
        'T' => question::start(view, row),
        'R' => question::resume(view, row),
        'M' => question::silence_host(row),
        _ => {
            let on: Vec<&AlertState> = view.fleet.alerts.on(&row.stream.host, &row.stream.project).collect();
            question::acknowledge(&row.stream.to_string(), &on)
        }
    }
}

/// Returns the alert that is chosen, where alerts are what is looked at.
fn on_alert<'a>(model: &Model, view: &View<'a>) -> Option<&'a AlertState> {
    if model.screen == Screen::Alerts { view.alert(model) } else { None }
}

/// Returns the stream that a letter is about.
fn subject(model: &Model, view: &View<'_>) -> Option<Row> {
    match &model.screen {
        Screen::Hosts => view.stream(model).cloned(),
        Screen::Alerts => view.row(&view.stream_of(view.alert(model)?)?),
        Screen::Detail(stream) => view.row(stream),
    }
}

fn filter(model: &mut Model, key: Key, before: String) -> Vec<Effect> {
    match key {
        Key::Enter => return Vec::new(),
        Key::Esc => {
            model.filter = before;
            return Vec::new();
        }
        Key::Backspace if model.filter.is_empty() => return Vec::new(),
        Key::Backspace => drop(model.filter.pop()),
        Key::Char(one) if model.filter.chars().count() < WRITTEN => model.filter.push(one),
        Key::Char(_)
        | Key::Tab
        | Key::Up
        | Key::Down
        | Key::PageUp
        | Key::PageDown
        | Key::Home
        | Key::End
        | Key::Interrupt => {}
    }
    model.mode = Mode::Filter(before);
    Vec::new()
}

fn answer(model: &mut Model, key: Key, mut question: Question) -> Vec<Effect> {
    if key == Key::Esc {
        return Vec::new();
    }
    match (&mut question.wish, key) {
        (Wish::Do(actions), Key::Char('y' | 'Y')) => return granted(model, std::mem::take(actions)),
        (Wish::Do(_), Key::Char('n' | 'N' | 'q')) => return Vec::new(),
        (Wish::Do(_), _) => {}
        (Wish::Silence { matchers, text, problem }, Key::Enter) => match span::parse(text.trim()) {
            Ok(seconds) => {
                let matchers = std::mem::take(matchers);
                return granted(model, vec![Action::Silence { matchers, seconds, comment: String::new() }]);
            }
            Err(why) => *problem = Some(why),
        },
        (Wish::Silence { text, problem, .. }, Key::Backspace) => {
            text.pop();
            *problem = None;
        }
        (Wish::Silence { text, problem, .. }, Key::Char(one)) if text.chars().count() < WRITTEN => {
            text.push(one);
            *problem = None;
        }
        (Wish::Silence { .. }, _) => {}
    }
    model.mode = Mode::Ask(question);
    Vec::new()
}

fn granted(model: &mut Model, actions: Vec<Action>) -> Vec<Effect> {
    model.underway += actions.len();
    actions.into_iter().map(Effect::Act).collect()
}
