//! What the documents say, held against the programs: every block is run or says why not, every command line, key,
//! link and name is there.
#![expect(clippy::unwrap_used, reason = "what the documents hold must be there, or the test fails")]

/// Command lines against the programs' definitions.
#[path = "documents/command_lines.rs"]
mod command_lines;
/// Examples of files and messages against what reads and writes them.
#[path = "documents/examples.rs"]
mod examples;
/// Names that only have to be there: links, keys, variables, packages.
#[path = "documents/links.rs"]
mod links;
/// What each block says of who runs it.
#[path = "documents/marks.rs"]
mod marks;
/// The pages and their parts.
#[path = "documents/page.rs"]
mod page;
/// Lines of a shell.
#[path = "documents/shell.rs"]
mod shell;
/// Blocks that need this machine only, run as they are written.
#[path = "documents/typed.rs"]
mod typed;
