//! Each command line of our programs in any document, against the program's own definition: whoever types it is not
//! told that a verb, an option or a value does not exist.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::page::{Page, Part, pages, parts, spans};
use super::shell;

/// Options of other programs that stand alone in the text.
const FOREIGN: &[&str] = &[
    // cargo
    "--locked",
    // agent CLIs
    "--model",
    "--session-id",
    "--yes-always",
    "-na",
    // scripts that measure
    "--long-log-for-all",
    "--quick",
    // the compiler and the linker
    "--icf=all",
    "-O2",
    "-Zbuild-std",
];

/// Whether a mention may leave out what a program insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Somebody copies it.
    Line,
    /// It is about a verb or an option.
    Mention,
}

fn programs() -> Vec<Command> {
    vec![agent_runner::cli::definition(), agent_runner_fleet::cli::definition()]
}

/// A word that stands for what a person puts there: `HOST`, `PATTERN..`, `KIND,..`.
fn is_placeholder(word: &str) -> bool {
    let word = name_of(word);
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || b"_/:".contains(&byte))
}

/// A placeholder without the sign that there may be several.
fn name_of(placeholder: &str) -> &str {
    placeholder.trim_end_matches("..").trim_end_matches(',')
}

/// The ways to read a mention: without the signs of a synopsis, with each of its alternatives.
fn readings(words: &[String]) -> Vec<Vec<String>> {
    let mut readings = vec![Vec::new()];
    for word in words {
        let optional = word.starts_with("[-") || is_placeholder(word.trim_matches(['[', ']', '<', '>']));
        let bare = if optional { word.trim_matches(['[', ']', '<', '>']) } else { word.as_str() };
        let bare = bare.strip_suffix(']').filter(|_| !bare.contains('[')).unwrap_or(bare);
        let bare = bare.strip_prefix('<').and_then(|word| word.strip_suffix('>')).unwrap_or(bare);
        let bare = if is_placeholder(bare) { name_of(bare) } else { bare };
        if ["OPTIONS", "COMMAND"].contains(&bare) {
            continue;
        }
        let alternatives: Vec<&str> = bare.split('|').collect();
        readings = readings
            .iter()
            .flat_map(|reading: &Vec<String>| {
                alternatives.iter().map(|word| [reading.clone(), vec![(*word).to_owned()]].concat())
            })
            .collect();
    }
    readings
}

/// What a program would say against these words.
fn refused(program: &Command, words: &[String], whole: Whole) -> Option<String> {
    let words: Vec<String> = words
        .iter()
        .map(|word| match word.as_str() {
            "VERB" => "status".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    let line = std::iter::once(program.get_name().to_owned()).chain(words);
    let error = match program.clone().try_get_matches_from(line) {
        Ok(matches) => return wrong_place(program, &matches),
        Err(error) => error,
    };
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => Some(value.as_str()),
        _ => None,
    };
    let kind = error.kind();
    let shown = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&kind);
    let is_incomplete = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ]
    .contains(&kind);
    let about_a_value = [ErrorKind::InvalidValue, ErrorKind::ValueValidation].contains(&kind);
    let stands_for_one = about_a_value && value.is_some_and(is_placeholder);
    // An option that is spoken of by its name alone.
    let is_name = about_a_value && value == Some("");
    let fine = shown || stands_for_one || (whole == Whole::Mention && (is_incomplete || is_name));
    (!fine).then(|| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// A placeholder in the place of something else: a `HOST` where the verb takes projects.
fn wrong_place(program: &Command, matches: &clap::ArgMatches) -> Option<String> {
    let (name, below) = matches.subcommand()?;
    let verb = program.find_subcommand(name)?;
    if below.subcommand().is_some() {
        return wrong_place(verb, below);
    }
    for arg in verb.get_positionals() {
        let taken = arg.get_value_names().unwrap_or_default().first().map(|name| name.as_str());
        let given = below.get_raw(arg.get_id().as_str()).into_iter().flatten();
        for word in given.filter_map(|word| word.to_str()).filter(|word| is_placeholder(word)) {
            let word = if ["HOST", "HOSTS"].contains(&word) { "PATTERN" } else { word };
            if taken.is_some_and(|taken| taken.trim_end_matches('S') != word.trim_end_matches('S')) {
                return Some(format!("{word} stands where `{name}` takes {}", taken.unwrap_or_default()));
            }
        }
    }
    None
}

/// What is wrong with words that begin with one of our programs; `None` where they do not.
fn of_ours(words: &[String], whole: Whole) -> Option<String> {
    let words = shell::behind_variables(words);
    let (first, rest) = words.split_first()?;
    let name = first.rsplit('/').next().unwrap_or_default();
    let programs = programs();
    let program = programs.iter().find(|program| program.get_name() == name)?;
    readings(rest).iter().find_map(|words| refused(program, words, whole))
}

/// What is wrong with a mention of a verb with its options, or of an option alone, without the program before it.
fn of_a_part(words: &[String]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let programs = programs();
    if first.len() > 1 && first.starts_with('-') && first != "--" {
        let option = first.split(['=', ',']).next().unwrap_or_default();
        let known = programs.iter().any(|program| has_option(program, option));
        return (!known && !FOREIGN.contains(&first.as_str()))
            .then(|| format!("neither program has an option {option}"));
    }
    let with_options = rest.iter().any(|word| word.starts_with('-') || word.starts_with("[-"));
    let with_this = |program: &&Command| program.find_subcommand(first).is_some();
    let mut answers = Vec::new();
    for program in programs.iter().filter(with_this).filter(|_| with_options) {
        answers.push(readings(words).iter().find_map(|words| refused(program, words, Whole::Mention)));
    }
    if answers.iter().any(Option::is_none) { None } else { answers.into_iter().flatten().next() }
}

fn has_option(command: &Command, option: &str) -> bool {
    let here = command.get_arguments().any(|arg| {
        arg.get_long().is_some_and(|long| option == format!("--{long}"))
            || arg.get_short().is_some_and(|short| option == format!("-{short}"))
    });
    here || ["--help", "-h"].contains(&option)
        || command.get_subcommands().any(|below| has_option(below, option))
}

/// What is wrong with the command lines of a page, and how many there are.
fn wrong(page: &Page) -> (Vec<String>, usize) {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut hold = |line: usize, words: &[String], found: Option<String>| {
        seen += 1;
        wrong.extend(found.map(|what| format!("{}:{line}: `{}`: {what}", page.name, words.join(" "))));
    };
    for part in parts(&page.text) {
        let Part::Block(block) = part else { continue };
        for (line, typed) in shell::typed(&block) {
            for words in shell::commands(typed) {
                hold(line, &words, of_ours(&words, Whole::Line));
            }
        }
    }
    for (line, span) in spans(&page.text) {
        // An alternative has no blanks around its bar, a pipe has.
        for command in span.split(" | ").flat_map(|command| command.split(" && ")) {
            let words = words(command);
            hold(line, &words, of_ours(&words, Whole::Mention).or_else(|| of_a_part(&words)));
        }
    }
    (wrong, seen)
}

/// The words of a mention: only quotes are special.
fn words(span: &str) -> Vec<String> {
    let kept = span.replace('|', "\u{1}").replace(['(', ')', ';', '&', '#'], "\u{2}");
    let commands = shell::commands(&kept);
    commands.into_iter().flatten().map(|word| word.replace('\u{1}', "|")).collect()
}

#[test]
fn no_document_names_a_verb_or_an_option_that_is_not_there() {
    let (mut all, mut looked_at) = (Vec::new(), 0);
    for page in pages() {
        let (wrong, seen) = wrong(&page);
        all.extend(wrong);
        looked_at += seen;
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
    assert!(looked_at > 500, "only {looked_at} mentions");
    let all: Vec<String> = pages().iter().flat_map(|page| spans(&page.text)).map(|(_, span)| span).collect();
    for option in FOREIGN {
        let named = all.iter().any(|span| span.split(' ').any(|word| word == *option));
        assert!(named, "{option} is in no document: take it out of the list");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        wrong(&Page { name: "p.md".into(), text: text.into() }).0.join("\n")
    }

    #[test]
    fn what_can_be_typed_and_what_is_meant_is_let_through() {
        for span in [
            "agent-runner peek --round latest --log",
            "agent-runner peek --round N --log",
            "agent-runner events",
            "agent-runner [--config PATH] [--json] VERB",
            "agent-runner presets show [OPTIONS] <NAME>",
            "agent-runner man | man -l -",
            "agent-runner-fleet logs [-p PROJECT] [--source round|journal]",
            "agent-runner-fleet exec HOST -- uptime",
            "agent-runner-fleet stop HOST..",
            "agent-runner-fleet VERB --help",
            "exec --output-dir",
            "history --since 2h --host 'pi*' --kind alert",
            "--limit @failed",
            "-f",
            "cargo build --everything",
            "round",
        ] {
            assert_eq!(said(&format!("Say `{span}`.\n")), "", "{span}");
        }
        assert_eq!(
            said(
                "```console\n$ agent-runner-fleet exec @pis -- ls --nosuch | sort\nagent-runner nosuch\n```\n"
            ),
            ""
        );
        assert_eq!(said("```text\n$ agent-runner nosuch\n```\n"), "");
    }

    #[test]
    fn what_a_program_would_refuse_is_found_with_its_line() {
        for (text, expected) in [
            ("A\n`agent-runner pek`\n", "p.md:2: `agent-runner pek`: error: unrecognized subcommand 'pek'"),
            (
                "`agent-runner peek\n--nosuch`\n",
                "p.md:1: `agent-runner peek --nosuch`: error: unexpected argument",
            ),
            ("`agent-runner-fleet deploy HOST`\n", "PATTERN stands where `deploy` takes PROJECT"),
            ("`agent-runner-fleet history --since soon`\n", "invalid value 'soon'"),
            ("`agent-runner-fleet logs --source round|jurnal`\n", "invalid value 'jurnal'"),
            ("`deploy --nosuch`\n", "unexpected argument '--nosuch'"),
            ("`--nosuch`\n", "neither program has an option --nosuch"),
            ("`-Q`\n", "neither program has an option -Q"),
            (
                "```sh\nA=1 agent-runner events   # kinds are missing\n```\n",
                "p.md:2: `A=1 agent-runner events`: error:",
            ),
            ("```\n./agent-runner-fleet pin\n```\n", "unrecognized subcommand 'pin'"),
            ("```console\n$ true && agent-runner round --nosuch\n```\n", "unexpected argument '--nosuch'"),
        ] {
            let found = said(text);
            assert!(found.contains(expected), "{text} says {found:?}, and not {expected:?}");
        }
    }
}
