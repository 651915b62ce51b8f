//! The keys, and what the signs mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::page::Page;
use super::question::framed;
use crate::tui::look::Look;
use crate::tui::status::STRIP;

const KEYS: [(&str, &str); 14] = [
    ("arrows, PgUp, PgDn", "move, as j k g G do; in a log, scroll"),
    ("Enter, p", "open the host; fetch its log again"),
    ("Esc", "back; from the hosts: drop the filter"),
    ("Tab, a", "between hosts and alerts"),
    ("/", "filter: host, project, account, group, state, alert"),
    ("s, r", "sort by the next column; turn the order round"),
    ("b", "by account, by group, by version, not at all"),
    ("q, Ctrl-C", "quit; the hosts go on"),
    ("S", "stop the project after its round"),
    ("T", "start it"),
    ("R", "resume it after it was stopped for a detector"),
    ("M", "mute: silence the host, or the chosen alert"),
    ("A", "take note of alerts, or take that back"),
    ("", "Capitals act on the host, and ask before they do."),
];

/// Draws the box.
pub(super) fn help((buffer, body): (&mut Buffer, Rect), look: Look) {
    let inner = framed((buffer, body), ("keys", 76, KEYS.len() + 3), look);
    let mut page = Page::new(buffer, inner, look);
    for (keys, does) in KEYS {
        page.line(vec![Span::styled(format!("{keys:<20}"), look.heading()), Span::raw(does)]);
    }
    let sign = |status: &crate::tui::status::Status| {
        let sign = Span::styled(status.sign().to_string(), look.status(*status));
        [sign, Span::styled(format!(" {}  ", status.word()), Style::new())]
    };
    let (first, rest) = STRIP.split_at(5);
    page.line("");
    page.line(first.iter().flat_map(sign).collect::<Vec<_>>());
    page.line(rest.iter().flat_map(sign).collect::<Vec<_>>());
}
