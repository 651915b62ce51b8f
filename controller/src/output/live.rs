//! The live fleet view on a terminal: a table that stays at the bottom while lines scroll above it.

use std::time::{Duration, Instant};

use agent_runner::plain::{To, plain, shown};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The most rows that are drawn; the rest is counted in a last one.
const ROWS: usize = 24;

/// The shortest time between two drawings.
const PAUSE: Duration = Duration::from_millis(250);

/// A table under scrolling lines. Drawn on stderr; removed by [`Live::finish`].
#[derive(Debug, Default)]
pub struct Live {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
}

impl Live {
    /// Prints a line above the table.
    pub fn line(&self, line: &str) {
        // A terminal that is gone leaves nobody to tell.
        let _ = self.all.println(shown(line, To::Terminal));
    }

    /// Draws the table anew where it changed.
    pub fn table(&mut self, lines: &[String]) {
        let mut shown: Vec<String> = lines.iter().take(ROWS).map(|line| plain(line)).collect();
        if lines.len() > ROWS {
            shown.push(format!("+{} more", lines.len() - ROWS));
        }
        while self.rows.len() < shown.len() {
            let row = self.all.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                row.set_style(style);
            }
            self.rows.push(row);
        }
        for (row, line) in self.rows.iter().zip(shown) {
            if row.message() != line {
                row.set_message(line);
                row.tick();
            }
        }
    }

    /// Removes the table from the screen.
    pub fn finish(&self) {
        for row in &self.rows {
            row.disable_steady_tick();
            row.finish_and_clear();
        }
        // What could not be cleared scrolls away.
        let _ = self.all.clear();
    }
}

/// Keeps a live table from being drawn more often than a person can read.
#[derive(Debug, Default)]
pub struct Redraw {
    last: Option<Instant>,
}

impl Redraw {
    /// Returns whether it is time, and if so counts from now.
    pub fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}
