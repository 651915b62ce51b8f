//! A box over the rest: a question and its answers.

use agent_runner::plain::plain;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::page::Page;
use crate::tui::look::Look;
use crate::tui::question::{Question, Wish};
use crate::tui::text::{fit, wrap};

/// The widest box, in columns.
const WIDE: usize = 76;
/// The most lines one sentence may take.
const SENTENCE: usize = 3;

/// Draws the box.
pub(super) fn question((buffer, body): (&mut Buffer, Rect), asked: &Question, look: Look) {
    let columns = WIDE.min(usize::from(body.width).saturating_sub(4)).saturating_sub(4);
    let mut lines: Vec<String> = Vec::new();
    for sentence in &asked.lines {
        lines.extend(wrap(&plain(sentence), columns, SENTENCE));
    }
    let inner = framed((buffer, body), (&asked.title, WIDE, lines.len() + 3), look);
    let mut page = Page::new(buffer, inner, look);
    for line in &lines {
        page.text(line, Style::new());
    }
    page.line("");
    match &asked.wish {
        Wish::Do(_) => page.line(vec![
            Span::styled("y", look.heading()),
            Span::raw(" yes    "),
            Span::styled("n, Esc", look.heading()),
            Span::raw(" no"),
        ]),
        Wish::Silence { text, problem, .. } => {
            page.line(vec![
                Span::raw("for how long? "),
                Span::styled(plain(text), look.heading()),
                Span::styled(" ", look.chosen()),
                Span::styled("   Enter yes, Esc no", look.faint()),
            ]);
            if let Some(problem) = problem {
                page.text(problem, look.bad());
            }
        }
    }
}

/// Draws an empty box with a title in the middle of the body and returns its inside.
pub(super) fn framed(
    (buffer, body): (&mut Buffer, Rect),
    (title, wide, high): (&str, usize, usize),
    look: Look,
) -> Rect {
    let width = u16::try_from(wide).unwrap_or(u16::MAX).min(body.width);
    let height = u16::try_from(high + 2).unwrap_or(u16::MAX).min(body.height);
    let frame =
        Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    Clear.render(frame, buffer);
    let title = format!(" {} ", fit(&plain(title), usize::from(width).saturating_sub(6)));
    let block = Block::bordered().border_type(BorderType::Plain).title(Span::styled(title, look.heading()));
    block.render(frame, buffer);
    Rect { x: frame.x + 2, y: frame.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) }
}
