//! A manual page from a command line's own definition. Pure; both programs use it.

use clap::{Arg, ArgAction, Command};

/// Returns the page in roff, section 1. `exits` are the exit codes with their meaning.
pub fn page(mut definition: Command, version: &str, exits: &[(u8, String)]) -> String {
    definition.build();
    let program = definition.get_name().to_owned();
    let about = about(&definition);
    let mut page = format!(
        ".TH {} 1 \"\" \"{} {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n[\\fIOPTIONS\\fR] \
         \\fIVERB\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n{}.\nStandard output is the result, standard error is \
         everything else.\n.SH OPTIONS\n",
        text(&program.to_uppercase()),
        text(&program),
        text(version),
        text(&program),
        text(&about),
        text(&program),
        text(about.trim_end_matches('.')),
    );
    options(&mut page, &definition, Globals::Shown);
    page.push_str(".SH VERBS\n");
    for verb in verbs(&definition) {
        section(&mut page, verb, "");
    }
    if !exits.is_empty() {
        page.push_str(".SH \"EXIT STATUS\"\n");
        for (code, meaning) in exits {
            page.push_str(&format!(".TP\n.B {code}\n{}\n", line(meaning)));
        }
    }
    page
}

/// Whether the options of every verb are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Globals {
    Shown,
    Left,
}

fn section(page: &mut String, verb: &Command, above: &str) {
    let path = format!("{above}{}", verb.get_name());
    let usage = verb.clone().render_usage().to_string();
    let long = verb.get_long_about().map(ToString::to_string).unwrap_or_else(|| about(verb));
    page.push_str(&format!(".SS {}\n.nf\n{}\n.fi\n", text(&path), line(usage.trim_start_matches("Usage: "))));
    for paragraph in long.split("\n\n") {
        page.push_str(&format!(
            ".PP\n{}\n",
            line(&paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        ));
    }
    options(page, verb, Globals::Left);
    for below in verbs(verb) {
        section(page, below, &format!("{path} "));
    }
}

fn options(page: &mut String, command: &Command, globals: Globals) {
    let shown = command.get_arguments().filter(|arg| {
        !arg.is_hide_set() && arg.get_id() != "help" && (globals == Globals::Shown || !arg.is_global_set())
    });
    for arg in shown {
        page.push_str(&format!(".TP\n{}\n{}\n", title(arg), line(&meaning(arg))));
    }
}

fn title(arg: &Arg) -> String {
    let short = arg.get_short().map(|letter| format!("\\fB\\-{letter}\\fR"));
    let long = arg.get_long().map(|name| format!("\\fB\\-\\-{}\\fR", text(name)));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values = arg.get_value_names().unwrap_or_default().iter().filter(|_| takes_value);
    let values: Vec<String> = values.map(|name| format!("\\fI{}\\fR", text(name))).collect();
    format!("{} {}", names.join(", "), values.join(" ")).trim().to_owned()
}

fn meaning(arg: &Arg) -> String {
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if !takes_value {
        return meaning;
    }
    let words: Vec<String> =
        arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    if !words.is_empty() {
        meaning.push_str(&format!(" [{}]", words.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() {
        meaning.push_str(&format!(" [default: {}]", defaults.join(",")));
    }
    meaning.trim().to_owned()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

/// A line of running text: what begins with a dot or a quote would be a command.
fn line(words: &str) -> String {
    let words = text(words);
    if words.starts_with(['.', '\'']) { format!("\\&{words}") } else { words }
}

fn text(words: &str) -> String {
    words.replace('\\', "\\e").replace('-', "\\-").replace('`', "\\(ga")
}
