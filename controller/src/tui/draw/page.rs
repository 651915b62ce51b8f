//! A part of the screen that is filled from the top, a line at a time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::look::Look;
use crate::tui::text::{fit, width};

/// The part, and what of it is left.
pub(super) struct Page<'b> {
    buffer: &'b mut Buffer,
    left: Rect,
    look: Look,
}

impl<'b> Page<'b> {
    pub(super) fn new(buffer: &'b mut Buffer, area: Rect, look: Look) -> Page<'b> {
        let left = area.intersection(buffer.area);
        Page { buffer, left, look }
    }

    /// Returns how many lines are left.
    pub(super) fn room(&self) -> usize {
        usize::from(self.left.height)
    }

    /// Returns how many columns there are.
    pub(super) fn columns(&self) -> usize {
        usize::from(self.left.width)
    }

    /// Returns the style kit.
    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Writes a line; without room nothing happens.
    pub(super) fn line<'l>(&mut self, line: impl Into<Line<'l>>) {
        if self.left.height > 0 {
            self.buffer.set_line(self.left.x, self.left.y, &line.into(), self.left.width);
            self.left.y += 1;
            self.left.height -= 1;
        }
    }

    /// Writes a text, cut to the width.
    pub(super) fn text(&mut self, text: &str, style: Style) {
        let text = fit(text, self.columns());
        self.line(Span::styled(text, style));
    }

    /// Writes a heading with a rule behind it; what is chosen there is marked.
    pub(super) fn heading(&mut self, words: &str, focused: bool) {
        let words = fit(words, self.columns().saturating_sub(4));
        let rule = self.columns().saturating_sub(width(&words) + 4);
        let lead = if focused { "\u{2501}\u{2501} " } else { "\u{2500}\u{2500} " };
        let style = if focused { self.look.heading() } else { Style::new() };
        self.line(vec![
            Span::styled(lead, self.look.faint()),
            Span::styled(words, style),
            Span::styled(format!(" {}", "\u{2500}".repeat(rule)), self.look.faint()),
        ]);
    }

    /// Writes cells at their columns; each is cut to its width, so that no cell can move its neighbour.
    pub(super) fn cells(&mut self, cells: &[(usize, String, Style)], ground: Style) {
        if self.left.height == 0 {
            return;
        }
        let row = Rect { height: 1, ..self.left };
        self.buffer.set_style(row, ground);
        let mut column = 0;
        for (wide, text, style) in cells {
            let x = row.x.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
            let room = usize::from(row.right().saturating_sub(x)).min(*wide);
            self.buffer.set_stringn(x.min(row.right()), row.y, fit(text, room), room, ground.patch(*style));
            column += wide + 1;
        }
        self.left.y += 1;
        self.left.height -= 1;
    }

    /// Takes so many lines off the top as a page of their own.
    pub(super) fn split(&mut self, lines: usize) -> Page<'_> {
        let height = u16::try_from(lines).unwrap_or(u16::MAX).min(self.left.height);
        let top = Rect { height, ..self.left };
        self.left.y += height;
        self.left.height -= height;
        Page { buffer: self.buffer, left: top, look: self.look }
    }
}

/// Returns the window of so many lines that shows the chosen one, as its first line.
pub(super) fn window(chosen: usize, all: usize, room: usize) -> usize {
    chosen.saturating_sub(room / 2).min(all.saturating_sub(room))
}
