//! Colours that are read on light and on dark: only the terminal's own sixteen, text in the terminal's own colour, and
//! what is urgent with a ground of its own. Without colour, weight and signs say the same. Pure.

use agent_runner::witness::alert::Severity;
use ratatui::style::{Color, Modifier, Style};

use super::feed::Tone;
use super::status::Status;

/// How things look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// With the terminal's colours.
    Coloured,
    /// Without (`NO_COLOR`).
    Plain,
}

impl Look {
    /// Returns the style of a status.
    pub fn status(self, status: Status) -> Style {
        match status {
            Status::Failing => self.tag(Color::White, Color::Red),
            Status::Unreachable => self.tag(Color::White, Color::Magenta),
            Status::Stale => self.tag(Color::Black, Color::Yellow),
            Status::AutoStopped => self.ink(Color::Red).add_modifier(Modifier::BOLD),
            Status::Throttled => self.tag(Color::Black, Color::Cyan),
            Status::Connecting | Status::Stopped => self.faint(),
            Status::Idle => Style::new(),
            Status::Working => self.ink(Color::Green),
        }
    }

    /// Returns the style of an alert's mark.
    pub fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.tag(Color::White, Color::Red),
            Severity::Warning => self.tag(Color::Black, Color::Yellow),
            Severity::Info => self.tag(Color::Black, Color::Cyan),
        }
    }

    /// Returns the style of a line of a feed.
    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain | Tone::Good => Style::new(),
            Tone::Bad => self.bad(),
        }
    }

    /// Returns the style of what went wrong.
    pub fn bad(self) -> Style {
        self.ink(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of what matters less.
    pub fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Returns the style of a heading.
    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Returns the style of the chosen line.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn ink(self, color: Color) -> Style {
        match self {
            Look::Coloured => Style::new().fg(color),
            Look::Plain => Style::new(),
        }
    }

    fn tag(self, ink: Color, ground: Color) -> Style {
        match self {
            Look::Coloured => Style::new().fg(ink).bg(ground),
            Look::Plain => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        }
    }
}
