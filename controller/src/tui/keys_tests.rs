//! What each key does to the model, and what it asks for.

use super::fixture::{at, facts, id, shelf};
use super::keys::{Effect, Key, press, tick};
use super::model::{Mode, Model, Screen};
use super::question::Wish;
use super::rows::Sort;
use super::view::{Entry, View};
use crate::fleetview::alert::{Key as AlertKey, Subject};
use crate::watcher::act::Action;

/// Presses keys, written as text: `<Enter>` and its kin are one key, everything else is a character.
fn typed(model: &mut Model, keys: &str) -> Vec<Effect> {
    let (fleet, facts) = (shelf(), facts());
    let mut effects = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
        let (key, after) = match named {
            Some(("Enter", after)) => (Key::Enter, after),
            Some(("Esc", after)) => (Key::Esc, after),
            Some(("Tab", after)) => (Key::Tab, after),
            Some(("Del", after)) => (Key::Backspace, after),
            Some(("Down", after)) => (Key::Down, after),
            Some(("PgDn", after)) => (Key::PageDown, after),
            Some(("Up", after)) => (Key::Up, after),
            Some(("C-c", after)) => (Key::Interrupt, after),
            Some((other, _)) => panic!("no key {other}"),
            None => (Key::Char(first), rest.split_at(first.len_utf8()).1),
        };
        rest = after;
        let view = View::of(model, &fleet, &facts, at(1000));
        effects.extend(press(model, key, &view));
    }
    effects
}

fn by_host() -> Model {
    Model { sort: Sort::Host, ..Model::default() }
}

fn rows(model: &Model) -> Vec<String> {
    let (fleet, facts) = (shelf(), facts());
    let view = View::of(model, &fleet, &facts, at(1000));
    let words = view.entries.iter().map(|entry| match entry {
        Entry::Heading(name, size) => format!("{name}:{size}"),
        Entry::Host(row) => row.stream.host.to_string(),
    });
    words.collect()
}

fn alert(host: &str, detector: &str) -> AlertKey {
    AlertKey::new(Subject::Stream(id(host)), detector)
}

#[test]
fn a_capital_letter_asks_and_only_a_yes_acts() {
    let cases: [(&str, &[Action]); 14] = [
        ("Sy", &[Action::Stop(id("pi1"))]),
        ("S", &[]),
        ("Sn", &[]),
        ("S<Esc>y", &[]),
        ("S<Enter>", &[]),
        ("Sxjy", &[Action::Stop(id("pi1"))]),
        ("jRy", &[Action::Resume(vec![id("pi2")])]),
        ("jTy", &[]),
        ("jSy", &[]),
        ("Ry", &[]),
        ("/pi7<Enter>Ty", &[Action::Start(id("pi7"))]),
        ("jAy", &[Action::Acknowledge(alert("pi2", "oauth_fail"))]),
        ("jjjAy", &[Action::Unacknowledge(alert("pi4", "rate_limit_active"))]),
        ("Ay", &[]),
    ];
    for (keys, expected) in cases {
        let mut model = by_host();
        let acts: Vec<Effect> = expected.iter().cloned().map(Effect::Act).collect();
        assert_eq!(typed(&mut model, keys), acts, "{keys}");
        assert_eq!(model.underway, expected.len(), "{keys}");
    }
}

#[test]
fn a_question_names_the_host_and_what_happens() {
    for (keys, title, words) in [
        ("S", "Stop pi1/research?", "Round 12 runs now and ends first"),
        ("/pi5<Enter>S", "Stop pi5/research?", "connection timed out. This may fail"),
        ("/pi7<Enter>T", "Start pi7/research?", "Host pi7, project research"),
        ("jR", "Resume pi2/research?", "It was stopped for oauth_fail"),
        ("M", "Silence pi1?", "No alert of host pi1 is sent"),
        ("jA", "Take note of the alerts of pi2/research?", "pi2/research oauth_fail: not sent again"),
    ] {
        let mut model = by_host();
        typed(&mut model, keys);
        let Mode::Ask(question) = &model.mode else { panic!("{keys}: {:?} {:?}", model.mode, model.notice) };
        assert_eq!(question.title, title);
        let lines = question.lines.join(" ");
        assert!(lines.contains(words), "{keys}: {lines}");
    }
}

#[test]
fn a_silence_lasts_as_long_as_was_written() {
    let seconds = |effects: &[Effect]| match effects {
        [Effect::Act(Action::Silence { matchers, seconds, .. })] => {
            Some((matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), *seconds))
        }
        _ => None,
    };
    for (keys, expected) in [
        ("M<Enter>", Some(("host=pi1".to_owned(), 7200))),
        ("M<Del><Del>90m<Enter>", Some(("host=pi1".to_owned(), 5400))),
        ("M<Del><Enter>", Some(("host=pi1".to_owned(), 2))),
        ("M<Del><Del>soon<Enter>", None),
        ("M<Esc>", None),
    ] {
        assert_eq!(seconds(&typed(&mut by_host(), keys)), expected, "{keys}");
    }
    let mut model = by_host();
    typed(&mut model, "M<Del><Del>soon<Enter>");
    let Mode::Ask(question) = &model.mode else { panic!("{:?}", model.mode) };
    let Wish::Silence { problem: Some(problem), .. } = &question.wish else { panic!("{question:?}") };
    assert!(problem.contains("90s, 30m, 8h or 2d"), "{problem}");
    // The alert that is chosen, not the whole host.
    let effects = typed(&mut Model::default(), "aM<Enter>");
    assert_eq!(seconds(&effects).unwrap().0, "detector=oauth_fail host=pi2 project=research");
}

#[test]
fn a_silenced_alert_offers_the_end_of_its_silence() {
    let mut model = Model { alert: Some(alert("pi7", "hung")), screen: Screen::Alerts, ..Model::default() };
    assert_eq!(typed(&mut model, "My"), [Effect::Act(Action::Unsilence(4))]);
}

#[test]
fn the_filter_narrows_while_it_is_written_and_esc_takes_it_back() {
    for (keys, filter, shown) in [
        ("/team-b", "team-b", "pi3 pi4"),
        ("/team-b<Del>a<Enter>", "team-a", "pi1 pi2"),
        ("/team-b<Enter>/x<Esc>", "team-b", "pi3 pi4"),
        ("/team-b<Enter><Esc>", "", "pi1 pi2 pi3 pi4 pi5 pi6 pi7 pi8 pi10"),
        ("/q!S?<Enter>", "q!S?", ""),
        ("a/pi10<Enter>", "pi10", "pi10"),
    ] {
        let mut model = by_host();
        assert_eq!(typed(&mut model, keys), [], "{keys}");
        assert_eq!((model.filter.as_str(), rows(&model).join(" ").as_str()), (filter, shown), "{keys}");
    }
}

#[test]
fn the_choice_is_a_host_and_not_a_place() {
    let mut model = by_host();
    typed(&mut model, "jj");
    assert_eq!(model.stream, Some(id("pi3")));
    typed(&mut model, "r");
    assert_eq!((model.stream.clone(), rows(&model)[0].as_str()), (Some(id("pi3")), "pi10"));
    typed(&mut model, "<Down>");
    assert_eq!(model.stream, Some(id("pi2")), "in the order turned round");
    typed(&mut model, "G");
    assert_eq!(model.stream, Some(id("pi1")));
    typed(&mut model, "<PgDn>g<Up>");
    assert_eq!(model.stream, Some(id("pi10")));
}

#[test]
fn hosts_are_put_together_by_what_is_chosen() {
    let mut model = by_host();
    typed(&mut model, "b");
    let account = [
        "no account:5",
        "pi5",
        "pi6",
        "pi7",
        "pi8",
        "pi10",
        "team-a:2",
        "pi1",
        "pi2",
        "team-b:2",
        "pi3",
        "pi4",
    ];
    assert_eq!(rows(&model), account);
    typed(&mut model, "b");
    assert_eq!(rows(&model)[..2], ["attic:1", "pi10"]);
    typed(&mut model, "b");
    assert_eq!(rows(&model)[..2], ["0.1.0:8", "pi1"]);
    typed(&mut model, "b");
    assert_eq!(rows(&model).len(), 9);
}

#[test]
fn a_host_opens_with_its_log_and_esc_goes_back_to_where_it_came_from() {
    let mut model = by_host();
    assert_eq!(typed(&mut model, "jj<Enter>"), [Effect::Fetch(id("pi3"))]);
    assert_eq!(model.screen, Screen::Detail(id("pi3")));
    assert_eq!(typed(&mut model, "p"), [], "one answer is still to come");
    model.fetched(&id("pi1"), Ok(vec!["another host's".into()]));
    assert_eq!(model.tail.as_ref().unwrap().lines, None);
    model.fetched(&id("pi3"), Ok((0..50).map(|number| format!("\u{1b}[1mline {number}")).collect()));
    let lines = model.tail.as_ref().unwrap().lines.clone().unwrap().unwrap();
    assert_eq!((lines.len(), lines[49].as_str()), (50, "line 49"));
    typed(&mut model, "<Up><Up>");
    assert_eq!(model.scroll, 2);
    typed(&mut model, "g");
    assert_eq!(model.scroll, 49);
    typed(&mut model, "G");
    assert_eq!(model.scroll, 0);
    typed(&mut model, "<Esc>");
    assert_eq!(model.screen, Screen::Hosts);
    assert_eq!(typed(&mut model, "a<Enter>"), [Effect::Fetch(id("pi2"))]);
    typed(&mut model, "<Esc>");
    assert_eq!(model.screen, Screen::Alerts);
}

#[test]
fn the_log_that_is_looked_at_is_fetched_again_but_not_from_a_host_that_is_gone() {
    let (fleet, facts) = (shelf(), facts());
    let ticked = |model: &mut Model, second: u64| {
        let view = View::of(model, &fleet, &facts, at(second));
        tick(model, &view)
    };
    let mut model = by_host();
    assert_eq!(ticked(&mut model, 1000), []);
    typed(&mut model, "<Enter>");
    assert_eq!(ticked(&mut model, 1010), [], "the first answer is still to come");
    model.fetched(&id("pi1"), Ok(Vec::new()));
    assert_eq!(ticked(&mut model, 1003), []);
    assert_eq!(ticked(&mut model, 1006), [Effect::Fetch(id("pi1"))]);
    let mut gone = Model { screen: Screen::Detail(id("pi5")), ..Model::default() };
    assert_eq!(ticked(&mut gone, 1010), []);
}

#[test]
fn it_ends_with_q_and_from_anywhere_with_ctrl_c() {
    for keys in ["q", "aq", "<Enter>q", "<C-c>", "/x<C-c>", "S<C-c>", "?<C-c>", "M<C-c>"] {
        assert_eq!(typed(&mut by_host(), keys).last(), Some(&Effect::Quit), "{keys}");
    }
    for keys in ["?q", "Sq", "/q"] {
        assert_eq!(typed(&mut by_host(), keys), [], "{keys}");
    }
}

#[test]
fn a_message_goes_after_a_while_and_complaints_are_bounded() {
    let mut model = Model::default();
    model.answered(Err("pi1/research: \u{1b}[31mno\u{7}".into()), at(1000).wall);
    let notice = model.notice(at(1001).wall).unwrap();
    assert_eq!((notice.text.as_str(), notice.bad), ("pi1/research: no\u{fffd}", true));
    assert_eq!(model.notice(at(1020).wall), None);
    for number in 0..1000 {
        model.overheard(&format!("warning {number}"), at(1000).wall);
    }
    assert_eq!((model.complaints.len(), model.complaints.back().unwrap().as_str()), (50, "warning 999"));
}
