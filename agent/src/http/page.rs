//! The page and its sections as HTML: pure. Every value is foreign and is escaped here.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::board::State;
use crate::event::ended_well;
use crate::peek::answer::RecentRound;
use crate::witness::alert::Severity;
use crate::witness::narrate;

/// The page's style.
pub(super) const STYLE: &str = include_str!("page.css");
/// The page's script.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Characters of a line of the agent's log that are shown.
const LINE_CHARS: usize = 300;

/// One section. An empty body hides it.
struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

/// Returns the whole page.
pub(super) fn page(project: &str, state: &State) -> String {
    let name = escaped(project);
    let sections = sections(state);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name} - agent-runner</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/page.css\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n<script src=\"/page.js\" defer></script>\n\
         </head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the state</a>\n<header>\n<h1>{name}</h1>\n\
         <nav aria-label=\"Sections\">"
    );
    for section in sections.iter().filter(|section| !["throttle", "ended"].contains(&section.id)) {
        page.push_str(&format!("<a href=\"#{}\">{}</a>", section.id, section.title));
    }
    page.push_str("</nav>\n<p id=\"link\" role=\"status\">as it was when this page was loaded</p>\n</header>\n<main id=\"main\">\n");
    for Section { id, title, body } in &sections {
        let hidden = if body.is_empty() { " hidden" } else { "" };
        page.push_str(&format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\"{hidden}>\n<h2 id=\"{id}-title\">{title}</h2>\n\
             <div class=\"body\">{body}</div>\n</section>\n"
        ));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Returns the sections as one line of JSON: what changes while the page is open.
pub(super) fn update(state: &State) -> String {
    let sections = sections(state).into_iter();
    let bodies: Map<String, Value> =
        sections.map(|section| (section.id.to_owned(), Value::String(section.body))).collect();
    Value::Object(bodies).to_string()
}

fn sections(state: &State) -> Vec<Section> {
    let section = |id, title, body| Section { id, title, body };
    vec![
        section("throttle", "Throttled", throttle(state)),
        section("ended", "The agent asked to end the loop", ended(state)),
        section("round", "Round", round(state)),
        section("alerts", "Alerts", alerts(state)),
        section("narrative", "Narrative", text("Narrative", &state.narrative)),
        section("events", "Recent events", events(state)),
        section("agent", "Agent", text("What the agent printed", &clipped(&state.more.agent_log))),
        section("log", "Round log", text("Round log", &state.round_log_tail)),
    ]
}

fn throttle(state: &State) -> String {
    let Some(limit) = &state.rate_limit else { return String::new() };
    let mut body = format!(
        "<p>Until <time datetime=\"{0}\">{0}</time> ({1})",
        escaped(&limit.throttled_until_iso),
        escaped(&limit.limit_type)
    );
    if let Some(round_num) = limit.since_round {
        // Writing to a string cannot fail.
        let _ = write!(body, ", since round {round_num}");
    }
    if let Some(phase) = &limit.phase {
        let _ = write!(body, ", phase {}", escaped(phase));
    }
    body.push_str("</p>");
    body
}

fn ended(state: &State) -> String {
    if !state.self_terminated.present {
        return String::new();
    }
    format!("<p>{}</p>", escaped(state.self_terminated.reason.as_deref().unwrap_or("without a reason")))
}

fn round(state: &State) -> String {
    let round = &state.round_state;
    let mut body = "<dl>".to_owned();
    let mut row = |name: &str, value: String| {
        let _ = write!(body, "<dt>{name}</dt><dd>{value}</dd>");
    };
    row("Round", round.round_num.map_or_else(|| "none yet".to_owned(), |number| number.to_string()));
    if let Some(phase) = &round.phase {
        row("Phase", escaped(phase));
    }
    row(
        "State",
        match (round.running, state.serving) {
            (true, _) => running(state),
            (false, true) => "between rounds".to_owned(),
            (false, false) => "<span class=\"warning\">the service is not running</span>".to_owned(),
        },
    );
    if let Some(outcome) = round.last_outcome {
        let class = if outcome == "ok" { "good" } else { "critical" };
        let took = round.last_duration_s.map(|seconds| format!(" in {seconds:.0} s")).unwrap_or_default();
        row("Last outcome", format!("<span class=\"{class}\">{outcome}</span>{took}"));
    }
    if let Some(at) = &round.last_completed_at {
        row("Last completed", format!("<time datetime=\"{0}\">{0}</time>", escaped(at)));
    }
    if !state.more.recent.is_empty() {
        row("Newest rounds", strip(state));
    }
    body.push_str("</dl>");
    body
}

fn running(state: &State) -> String {
    let mut text = "<span class=\"good\">running</span>".to_owned();
    if let Some(started) = &state.more.started {
        let minutes = state.more.budget_s.div_ceil(60);
        let _ =
            write!(text, " since <time datetime=\"{0}\">{0}</time>, at most {minutes} min", escaped(started));
    }
    text
}

/// Returns the newest rounds as one mark each, for eyes, and counted for whoever has the page read out.
fn strip(state: &State) -> String {
    let running = state.round_state.round_num.filter(|_| state.round_state.running);
    let well = |round: &RecentRound| {
        round.exit_code == Some(0) || round.exit_cause.as_deref().is_some_and(ended_well)
    };
    let marks = state.more.recent.iter().map(|round| {
        let (class, mark, word) = match (round.exit_code, round.timed_out) {
            _ if running == Some(round.round_num) => ("dim", ">", "runs"),
            _ if round.exit_cause.as_deref().is_some_and(ended_well) => ("good", "+", "ended well"),
            (_, Some(true)) => ("warning", "t", "timed out"),
            (Some(0), _) => ("good", "+", "ended well"),
            (Some(_), _) => ("critical", "x", "failed"),
            (None, _) => ("dim", ".", "has no end"),
        };
        format!("<span class=\"{class}\" title=\"round {} {word}\">{mark}</span>", round.round_num)
    });
    let marks: String = marks.collect();
    let (good, bad): (Vec<_>, Vec<_>) =
        state.more.recent.iter().filter(|round| round.exit_code.is_some()).partition(|round| well(round));
    let (good, bad) = (good.len(), bad.len());
    format!("<span class=\"strip\" aria-hidden=\"true\">{marks}</span>{good} good, {bad} failed")
}

/// A line of JSON may be as long as a book.
fn clipped(text: &str) -> String {
    let clip = |line: &str| match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{} ...\n", line.get(..end).unwrap_or_default()),
        None => format!("{line}\n"),
    };
    text.lines().map(clip).collect()
}

fn alerts(state: &State) -> String {
    if state.alerts.is_empty() && state.cannot_judge.is_empty() {
        return "<p class=\"good\">none</p>".to_owned();
    }
    let mut body = "<ul>".to_owned();
    for blindness in &state.cannot_judge {
        let _ = write!(body, "<li><span class=\"warning\">{}</span></li>", escaped(&blindness.to_string()));
    }
    for alert in &state.alerts {
        let class = match alert.severity {
            Severity::Info => "dim",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let hint = alert.context.get("hint").and_then(Value::as_str).filter(|hint| !hint.is_empty());
        let hint = hint.map(|hint| format!("<br><span class=\"dim\">{}</span>", escaped(hint)));
        let hint = hint.unwrap_or_default();
        let _ = write!(
            body,
            "<li><span class=\"{class}\">{} {}</span>: {}{hint}</li>",
            alert.severity.as_str(),
            escaped(&alert.detector),
            escaped(&alert.message)
        );
    }
    body.push_str("</ul>");
    body
}

fn events(state: &State) -> String {
    let lines: Vec<String> = state.records.iter().map(narrate::line).collect();
    text("Recent events", &lines.join("\n"))
}

/// Returns a text that can be scrolled with the keyboard.
fn text(label: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return "<p class=\"dim\">nothing yet</p>".to_owned();
    }
    format!("<pre tabindex=\"0\" role=\"region\" aria-label=\"{label}\">{}</pre>", escaped(text))
}

/// Returns text as it may stand in an element or an attribute: markup escaped, a terminal's colours and other control
/// characters gone, line ends and tabs kept.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            '\x1b' if chars.next_if_eq(&'[').is_some() => {
                while chars.next().is_some_and(|c| !('\x40'..='\x7e').contains(&c)) {}
            }
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::board::{More, RateLimit, RoundState, SelfTerminated};
    use crate::store::record::Record;
    use crate::witness::alert::Blindness;

    const EVIL: &str = "<script>alert('\"&')</script>\x1b[31m\x07";
    const SAFE: &str = "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;";

    fn state() -> State {
        let line =
            serde_json::json!({"ts": "2026-03-01T00:00:00.000Z", "event": "a_b", "raw": EVIL}).to_string();
        State {
            round_state: RoundState {
                round_num: Some(7),
                phase: Some(EVIL.into()),
                running: false,
                last_outcome: Some("failed"),
                last_duration_s: Some(61.0),
                last_completed_at: Some(EVIL.into()),
            },
            narrative: EVIL.into(),
            recent_events: Vec::new(),
            round_log_tail: EVIL.into(),
            self_terminated: SelfTerminated { present: true, reason: Some(EVIL.into()) },
            rate_limit: Some(RateLimit {
                throttled_until_iso: EVIL.into(),
                limit_type: EVIL.into(),
                since_round: Some(3),
                phase: Some(EVIL.into()),
            }),
            records: Record::parse(line.as_bytes()).into_iter().collect(),
            alerts: Vec::new(),
            cannot_judge: vec![Blindness { detector: EVIL.into(), error: EVIL.into() }],
            serving: true,
            more: More {
                started: Some(EVIL.into()),
                budget_s: 60,
                recent: Vec::new(),
                agent_log: EVIL.into(),
            },
        }
    }

    #[test]
    fn nothing_foreign_reaches_the_page_as_markup() {
        let page = page(EVIL, &state());
        assert!(!page.contains("<script>") && !page.contains("alert('"), "{page}");
        assert!(!page.contains('\x1b') && !page.contains('\x07'));
        assert!(page.matches(SAFE).count() >= 13, "{page}");
        let update = update(&state());
        assert!(!update.contains("<script>") && !update.contains('\n'));
    }

    #[test]
    fn a_round_that_was_ended_after_its_result_is_a_good_one() {
        let round = |round_num, exit_code, (timed_out, cause): (bool, &str)| RecentRound {
            round_num,
            phase: None,
            started_at: None,
            ended_at: None,
            exit_code: Some(exit_code),
            duration_s: None,
            timed_out: Some(timed_out),
            exit_cause: Some(cause.to_owned()),
        };
        let mut state = state();
        state.more.recent = vec![
            round(1, 0, (false, "clean")),
            round(2, -9, (true, "grace_kill")),
            round(3, -15, (true, "timeout")),
            round(4, 1, (false, "error")),
        ];
        let strip = strip(&state);
        let marks: String = strip.split(['>', '<']).filter(|part| part.len() == 1).collect();
        assert_eq!(marks, "++tx", "{strip}");
        assert!(strip.ends_with("2 good, 2 failed"), "{strip}");
    }

    #[test]
    fn the_page_has_its_sections_and_asks_nobody_else() {
        let page = page("p", &state());
        for id in ["throttle", "ended", "round", "narrative", "events", "log"] {
            assert!(page.contains(&format!("<section id=\"{id}\" aria-labelledby=\"{id}-title\">")), "{id}");
        }
        for text in [page.as_str(), STYLE, SCRIPT] {
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("url("), "{text}");
        }
        let mut calm = state();
        (calm.rate_limit, calm.self_terminated.present) = (None, false);
        let page = super::page("p", &calm);
        assert!(page.contains("<section id=\"throttle\" aria-labelledby=\"throttle-title\" hidden>"));
    }
}
