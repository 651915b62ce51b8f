//! The page as HTML, from the fleet as it is: what is seen before the script runs, and without it. Pure.
//!
//! The script then fills the same elements from the live stream, as text only. Every value is foreign and is escaped
//! here, as on the agent's own page.

use std::fmt::Write;

use agent_runner::http::escaped;
use agent_runner::store::time;

use super::rows::HostRow;
use super::view::View;

/// The page's style.
pub const STYLE: &str = include_str!("assets/page.css");
/// The page's script, served as one: the fleet, one host, keys and clicks.
pub const SCRIPT: &str =
    concat!(include_str!("assets/page.js"), include_str!("assets/host.js"), include_str!("assets/hands.js"));
/// The page around the hosts.
const FRAME: &str = include_str!("assets/page.html");

/// Returns the page with the fleet as it is.
pub fn page(view: &View) -> String {
    let mut rows: Vec<&HostRow> = view.hosts.values().collect();
    rows.sort_by(|a, b| (a.level, a.standing, &a.name).cmp(&(b.level, b.standing, &b.name)));
    let mut tiles = String::with_capacity(rows.len() * 400);
    for row in rows {
        tile(&mut tiles, row);
    }
    let levels = |word| view.summary.levels.get(word).copied().unwrap_or_default().to_string();
    frame(&[
        ("LOCKED", "no"),
        ("FLEET", &escaped(&view.summary.fleet)),
        ("AT", &time::stamp(view.at)),
        ("DENSITY", density(view.hosts.len())),
        ("ALL", &view.hosts.len().to_string()),
        ("BAD", &levels("bad")),
        ("WARN", &levels("warn")),
        ("OFF", &levels("off")),
        ("WAIT", &levels("wait")),
        ("GOOD", &levels("good")),
        ("TILES", &tiles),
    ])
}

/// Returns the page without anything of the fleet: it asks for the token.
pub fn locked() -> String {
    frame(&[
        ("LOCKED", "yes"),
        ("FLEET", "agent-runner"),
        ("AT", ""),
        ("DENSITY", "cards"),
        ("ALL", "0"),
        ("BAD", "0"),
        ("WARN", "0"),
        ("OFF", "0"),
        ("WAIT", "0"),
        ("GOOD", "0"),
        ("TILES", ""),
    ])
}

/// Returns how close the hosts stand; the script knows the same numbers.
fn density(hosts: usize) -> &'static str {
    match hosts {
        0..=24 => "cards",
        25..=150 => "tiles",
        151.. => "dense",
    }
}

/// Puts values into the frame. Each place occurs once, and no value is looked at again.
fn frame(values: &[(&str, &str)]) -> String {
    let mut out =
        String::with_capacity(FRAME.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = FRAME;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A host; `fill` in the script makes the same of a row.
fn tile(out: &mut String, row: &HostRow) {
    let name = escaped(&row.name);
    let alerts: Vec<String> = row.alerts.iter().map(|alert| escaped(alert)).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<li class=\"{}\" data-host=\"{name}\"><button type=\"button\"><b>{name}</b><span class=\"w\">{}</span><span class=\"a\">{}</span><span class=\"n\">{}</span></button></li>",
        row.level.word(),
        row.word,
        alerts.join(" "),
        escaped(&row.note),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::tests::{fire, fleet, lose, say};

    const EVIL: &str = "<script>alert('\"&')</script>\u{1b}[31m{{TILES}}";

    #[test]
    fn nothing_foreign_reaches_the_page_as_markup() {
        let mut fleet = fleet(2);
        say(&mut fleet, "pi0001", true);
        fire(&mut fleet, "pi0001", EVIL, EVIL);
        lose(&mut fleet, "pi0002", EVIL);
        let page = page(&View::of(&fleet, Vec::new()));
        assert!(!page.contains("<script>") && !page.contains("alert('") && !page.contains("31m"), "{page}");
        assert!(
            page.matches("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;").count() >= 2,
            "{page}"
        );
        assert_eq!(page.matches("data-host=").count(), 2, "a value is no place for values");
    }

    #[test]
    fn the_page_shows_the_worst_first_and_asks_nobody_else() {
        let mut fleet = fleet(3);
        for host in ["pi0001", "pi0002", "pi0003"] {
            say(&mut fleet, host, true);
        }
        fire(&mut fleet, "pi0003", "hung", "no output");
        let page = page(&View::of(&fleet, Vec::new()));
        let at = |text: &str| page.find(text).unwrap();
        assert!(at("data-host=\"pi0003\"") < at("data-host=\"pi0001\""));
        for text in [page.as_str(), STYLE, SCRIPT] {
            for other in ["http:", "https:", "url(", "@import", "innerHTML", "eval(", " style=", "onclick="] {
                let allowed = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!allowed.contains(other), "{other}");
            }
        }
        for name in ["FLEET", "TILES", "ALL", "BAD", "LOCKED"] {
            assert!(FRAME.matches(&format!("{{{{{name}}}}}")).count() >= 1, "{name}");
        }
    }

    #[test]
    fn the_locked_page_tells_nothing() {
        let page = locked();
        assert!(page.contains("data-locked=\"yes\"") && !page.contains("data-host="), "{page}");
    }
}
