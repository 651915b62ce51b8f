//! A page fitted to a terminal: long lines continue below their value, what does not fit is counted. Pure.

use super::view::View;
use crate::process::terminal::Size;

/// Where values start; what continues a line starts there too.
const INDENT: usize = 10;
/// Narrower than this, continuing below the value would leave no room for it.
const NARROW: usize = 40;

/// Returns the lines of a page that fit into a terminal: of the events the newest.
pub fn fit(view: &View, size: Size) -> Vec<String> {
    let wrap = |text: &str| text.lines().map(|line| wrapped(line, size.columns)).collect::<Vec<_>>();
    let (mut lines, events) = (wrap(&view.head).concat(), wrap(&view.events));
    let mut room = size.rows.saturating_sub(lines.len());
    let fits = |event: &&Vec<String>| {
        let left = room.checked_sub(event.len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    // Whole events only: the end of one tells nothing.
    let whole = events.iter().rev().take_while(fits).count();
    lines.extend(events.into_iter().rev().take(whole).rev().flatten());
    if lines.len() > size.rows {
        let shown = size.rows.saturating_sub(1);
        let more = lines.len() - shown;
        lines.truncate(shown);
        let note: String =
            format!("... {more} more lines; `peek` shows them all").chars().take(size.columns).collect();
        lines.push(note);
    }
    lines
}

/// Breaks a line at blanks where there are some; colours take no room and go on.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let indent = if columns >= NARROW { INDENT } else { 0 };
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut width = 0;
    for word in line.split_inclusive(' ') {
        let length = visible(word.trim_end_matches(' '));
        if width + length > columns && width > indent {
            lines.push(current.trim_end().to_owned());
            current = " ".repeat(indent);
            width = indent;
        }
        for piece in pieces(word) {
            if let Piece::Seen(c) = piece {
                if width >= columns && c != ' ' {
                    lines.push(current);
                    current = " ".repeat(indent);
                    width = indent;
                }
                if width < columns {
                    current.push(c);
                    width += 1;
                }
            } else if let Piece::Colour(code) = piece {
                current.push_str(code);
            }
        }
    }
    lines.push(current);
    lines
}

enum Piece<'a> {
    Seen(char),
    Colour(&'a str),
}

/// Takes a text apart into characters and the colour codes that the page itself wrote.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let code = rest.strip_prefix("\x1b[").and_then(|code| code.find('m'));
        let length = code.map_or(first.len_utf8(), |end| end + 3);
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(if code.is_some() { Piece::Colour(piece) } else { Piece::Seen(first) })
    })
}

fn visible(text: &str) -> usize {
    pieces(text).filter(|piece| matches!(piece, Piece::Seen(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(columns: usize, rows: usize, page: &str) -> Vec<String> {
        fit(&View { head: page.into(), events: String::new() }, Size { columns, rows })
    }

    #[test]
    fn long_lines_continue_below_their_value() {
        let page = "alert     warning disk_warning: disk usage 91% is above the limit\n";
        let expected = ["alert     warning disk_warning: disk", "          usage 91% is above the limit"];
        assert_eq!(at(40, 9, page), expected);
        assert_eq!(at(80, 9, page), [page.trim_end()]);
    }

    #[test]
    fn a_word_wider_than_the_terminal_is_broken_and_loses_nothing() {
        let word: String = ('a'..='z').cycle().take(100).collect();
        let lines = at(40, 99, &format!("log       {word}"));
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line[10..].to_owned()).collect::<String>(), word);
        assert_eq!(at(5, 99, "abcdefgh"), ["abcde", "fgh"]);
    }

    #[test]
    fn colours_take_no_room_and_are_never_broken() {
        let page = format!("round     \x1b[32m{}\x1b[0m", "#".repeat(30));
        assert_eq!(at(40, 9, &page).concat(), page);
        let lines = at(40, 9, &format!("\x1b[1;31m{}\x1b[0m", "x".repeat(41)));
        assert_eq!(lines, [format!("\x1b[1;31m{}", "x".repeat(40)), "          x\x1b[0m".to_owned()]);
    }

    #[test]
    fn the_newest_events_fill_what_the_head_leaves() {
        let view = View { head: "head\n".into(), events: "1\n2\n3\n".into() };
        assert_eq!(fit(&view, Size { columns: 80, rows: 3 }), ["head", "2", "3"]);
        assert_eq!(fit(&view, Size { columns: 80, rows: 1 }), ["head"]);
        assert_eq!(fit(&view, Size { columns: 80, rows: 9 }).len(), 4);
        let long = View { head: "head\n".into(), events: format!("{}\nlast\n", "x".repeat(100)) };
        assert_eq!(fit(&long, Size { columns: 80, rows: 3 }), ["head", "last"]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines = at(80, 3, "1\n2\n3\n4\n5\n");
        assert_eq!(lines, ["1", "2", "... 3 more lines; `peek` shows them all"]);
        assert_eq!(at(80, 5, "1\n2\n3\n4\n5\n").len(), 5);
    }
}
