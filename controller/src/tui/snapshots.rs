//! The screens as text files in `snapshots/`; `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner-fleet snapshots`
//! writes them.

use std::path::Path;
use std::sync::Arc;

use agent_runner::witness::alert::Blindness;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw::{Scene, draw};
use super::feed::Feed;
use super::fixture::{at, facts, feed, id, many, shelf};
use super::keys::{Key, press};
use super::look::Look;
use super::model::{Model, Screen};
use super::view::View;
use crate::fleetview::state::Fleet;

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// What is on the screen, by the name of its file.
fn screens() -> Vec<(&'static str, Model)> {
    let typed = |keys: &str| {
        let mut model = Model::default();
        for key in keys.chars() {
            let key = if key == '\n' { Key::Enter } else { Key::Char(key) };
            let (fleet, facts) = (shelf(), facts());
            let view = View::of(&model, &fleet, &facts, at(1000));
            press(&mut model, key, &view);
        }
        model
    };
    let detail = |host: &str, lines: Result<Vec<String>, String>| {
        let mut model = typed(&format!("/{host}\n\n"));
        assert_eq!(model.screen, Screen::Detail(id(host)));
        model.fetched(&id(host), lines);
        model
    };
    let log = (1..80).map(|number| {
        format!("step {number}: \u{1b}[32mok\u{1b}[0m \u{65e5}\u{672c}\t{}", "x".repeat(number))
    });
    vec![
        ("hosts", typed("j")),
        ("grouped", typed("b")),
        ("filter", typed("/team-a")),
        ("alerts", typed("a")),
        ("detail", detail("pi2", Ok(log.collect()))),
        ("unreachable", detail("pi5", Err("pi5/research: connection timed out".into()))),
        ("question", typed("/pi1 !pi10\nS")),
        ("silence", typed("aM")),
        ("help", typed("?")),
    ]
}

fn drawn((fleet, feed): (&Fleet, &Feed), model: &Model, look: Look, size: (u16, u16)) -> Buffer {
    let facts = facts();
    let view = View::of(model, fleet, &facts, at(1000));
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame.buffer_mut(), Scene { model, view: &view, feed, look })).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(super::text::width(symbol).max(1)).unwrap();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn every_screen_looks_as_it_was_agreed_on() {
    let (fleet, feed) = (shelf(), feed());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui/snapshots");
    let mut stale = Vec::new();
    for (name, model) in screens() {
        for size in SIZES {
            let path = folder.join(format!("{name}-{}x{}.txt", size.0, size.1));
            let now = text(&drawn((&fleet, &feed), &model, Look::Plain, size));
            if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
                agent_runner::store::atomic::replace_with_mode(&path, now.as_bytes(), 0o644).unwrap();
            }
            if std::fs::read_to_string(&path).unwrap_or_default() != now {
                stale.push(format!("{}\n{now}", path.display()));
            }
        }
    }
    assert!(stale.is_empty(), "AGENT_RUNNER_WRITE_DOCS=1 writes them:\n{}", stale.join("\n"));
}

#[test]
fn without_colour_the_same_is_said_and_nothing_is_coloured() {
    let (fleet, feed) = (shelf(), feed());
    for (name, model) in screens() {
        for size in SIZES {
            let plain = drawn((&fleet, &feed), &model, Look::Plain, size);
            let coloured = drawn((&fleet, &feed), &model, Look::Coloured, size);
            assert_eq!(text(&plain), text(&coloured), "{name}");
            let uncoloured = |buffer: &Buffer| {
                buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
            };
            assert!(uncoloured(&plain), "{name}");
            // A ground of its own always comes with an ink that is read on it.
            let readable = |buffer: &Buffer| {
                buffer.content().iter().all(|cell| (cell.bg == Color::Reset) || (cell.fg != Color::Reset))
            };
            assert!(readable(&coloured), "{name}");
        }
    }
}

#[test]
fn any_size_can_be_drawn_and_no_cell_holds_a_control_character() {
    let (fleet, feed) = (shelf(), feed());
    let many = many(200);
    for (name, model) in screens() {
        for width in [1, 20, 49, 50, 61, 80, 111, 139, 140, 250] {
            for height in [1, 5, 11, 12, 15, 24, 29, 30, 70] {
                for fleet in [&fleet, &many] {
                    let buffer = drawn((fleet, &feed), &model, Look::Coloured, (width, height));
                    let clean = |cell: &ratatui::buffer::Cell| !cell.symbol().chars().any(char::is_control);
                    assert!(buffer.content().iter().all(clean), "{name} at {width} by {height}");
                }
            }
        }
    }
}

#[test]
fn a_host_whose_detectors_cannot_judge_says_which_and_why() {
    let (mut fleet, feed) = (shelf(), feed());
    let said = Arc::make_mut(fleet.streams.get_mut(&id("pi1")).unwrap());
    let blind = Blindness { detector: "oauth_fail".into(), error: "round.log: no access\u{1b}[2J".into() };
    said.state.as_mut().unwrap().cannot_judge = vec![blind];
    let model = Model { screen: Screen::Detail(id("pi1")), ..Model::default() };
    let shown = text(&drawn((&fleet, &feed), &model, Look::Plain, (80, 24)));
    assert!(shown.contains("oauth_fail cannot judge: round.log: no access"), "{shown}");
}

#[test]
fn two_hundred_hosts_show_their_counts_and_the_chosen_one() {
    let fleet = many(200);
    let mut model = Model::default();
    let facts = facts();
    let view = View::of(&model, &fleet, &facts, at(1000));
    press(&mut model, Key::End, &view);
    let shown = text(&drawn((&fleet, &Feed::default()), &model, Look::Plain, (80, 24)));
    let last = view.rows().next_back().unwrap().stream.host.clone();
    assert!(shown.contains(&*last), "{last}\n{shown}");
    let counts: usize = view.counts.values().sum();
    assert_eq!(counts, 200);
    assert!(shown.contains("200 projects on 200 hosts"), "{shown}");
}
