//! The pages, and what they are made of: blocks, comments and text, each with its line.

use std::fs;
use std::path::{Path, PathBuf};

/// A page by its path below the root.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What a page is made of. Lines count from one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// `<!-- .. -->` that begins a line, without its ends.
    Comment { line: usize, text: String },
    /// What stands between two fences.
    Block(Block<'a>),
    /// Lines up to an empty one.
    Text { line: usize, text: String },
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// Where its opening is.
    pub(crate) line: usize,
    /// What follows the opening: the language, and what tests are told.
    pub(crate) info: &'a str,
    pub(crate) lines: Vec<&'a str>,
    pub(crate) closed: bool,
}

impl Block<'_> {
    pub(crate) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |all, line| all + line + "\n")
    }

    pub(crate) fn language(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }
}

/// The folder that holds everything.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every page of the root and of `docs/`, by name.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.extend(files(&root().join("docs")));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let page = |path: &PathBuf| Page {
        name: path.strip_prefix(root()).unwrap().display().to_string(),
        text: fs::read_to_string(path).unwrap(),
    };
    let mut pages: Vec<Page> = paths.iter().map(page).collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(pages.len() > 25, "only {} pages", pages.len());
    pages
}

/// Every file below a folder, but for what builds leave there.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with("target") => {}
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// The parts of a page, from its top.
pub(crate) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    while let Some((line, first)) = lines.next() {
        let begin = first.trim_start();
        if let Some(info) = begin.strip_prefix("```") {
            let mut block = Block { line, info, lines: Vec::new(), closed: false };
            for (_, inner) in lines.by_ref() {
                if inner.trim_start().starts_with("```") {
                    block.closed = true;
                    break;
                }
                block.lines.push(inner);
            }
            parts.push(Part::Block(block));
        } else if let Some(rest) = begin.strip_prefix("<!--") {
            let mut comment = rest.to_owned();
            while !comment.contains("-->") {
                let Some((_, more)) = lines.next() else { break };
                comment = format!("{comment} {}", more.trim());
            }
            let inside = comment.split("-->").next().unwrap_or_default();
            parts.push(Part::Comment { line, text: inside.trim().to_owned() });
        } else if !begin.is_empty() {
            let mut text = first.to_owned();
            let goes_on = |(_, next): &(usize, &str)| {
                !next.trim().is_empty()
                    && !["```", "<!--"].iter().any(|sign| next.trim_start().starts_with(sign))
            };
            while let Some((_, next)) = lines.next_if(goes_on) {
                text = format!("{text}\n{next}");
            }
            parts.push(Part::Text { line, text });
        }
    }
    parts
}

/// What stands between backticks in the text of a page, with the line it begins in; one that is broken over two lines
/// is joined by a space.
pub(crate) fn spans(text: &str) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    for part in parts(text) {
        let Part::Text { line, text } = part else { continue };
        let mut at = line;
        for (index, piece) in text.split('`').enumerate() {
            if index % 2 == 1 {
                spans.push((at, piece.split_whitespace().collect::<Vec<_>>().join(" ")));
            }
            at += piece.matches('\n').count();
        }
    }
    spans
}

#[test]
fn a_page_falls_into_its_parts() {
    let text = "# T\na `b\nc` d\n<!-- one\n  two -->\n```sh x=y\nls\n\n```\n\n```\nnever closed\n";
    let block = |line, info, lines: &[&'static str], closed| {
        Part::Block(Block { line, info, lines: lines.to_vec(), closed })
    };
    assert_eq!(
        parts(text),
        [
            Part::Text { line: 1, text: "# T\na `b\nc` d".into() },
            Part::Comment { line: 4, text: "one two".into() },
            block(6, "sh x=y", &["ls", ""], true),
            block(11, "", &["never closed"], false),
        ]
    );
    assert_eq!(spans("x `a`\n\ny `b\nc`, `d`\n"), [(1, "a".into()), (3, "b c".into()), (4, "d".into())]);
}
