//! What a command line offers, as the shells need it: verbs, options, and what an option's value can be.

use clap::{Arg, ArgAction, Command, ValueHint};

/// A verb with everything below it; the root is the program itself.
pub(super) struct Verb {
    /// Its words with a slash before each; empty for the program.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) options: Vec<Choice>,
    /// What its arguments without a name can be, in order.
    pub(super) arguments: Vec<Choice>,
    pub(super) verbs: Vec<Verb>,
}

/// An option or an argument.
pub(super) struct Choice {
    /// Its names with their dashes, or what stands for its value.
    pub(super) names: Vec<String>,
    pub(super) help: String,
    pub(super) value: Value,
    pub(super) repeats: bool,
}

/// What an option takes.
pub(super) enum Value {
    /// Nothing.
    Nothing,
    /// A path.
    Path,
    /// One of these words.
    OneOf(Vec<String>),
    /// Something only the user knows.
    Free,
}

impl Verb {
    /// Reads a definition.
    pub(super) fn root(mut definition: Command) -> Verb {
        definition.build();
        Verb::of(&definition, String::new())
    }

    /// Returns this verb and all below it.
    pub(super) fn all(&self) -> Vec<&Verb> {
        let below = self.verbs.iter().flat_map(Verb::all);
        [self].into_iter().chain(below).collect()
    }

    fn of(command: &Command, path: String) -> Verb {
        let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
        let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set());
        Verb {
            name: command.get_name().to_owned(),
            about: command.get_about().map(ToString::to_string).unwrap_or_default(),
            options: shown().filter(|arg| !arg.is_positional()).map(Choice::of).collect(),
            arguments: shown().filter(|arg| arg.is_positional()).map(Choice::of).collect(),
            verbs: verbs.map(|verb| Verb::of(verb, format!("{path}/{}", verb.get_name()))).collect(),
            path,
        }
    }
}

impl Choice {
    fn of(arg: &Arg) -> Choice {
        let long = arg.get_long().map(|name| format!("--{name}"));
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let named: Vec<String> = long.into_iter().chain(short).collect();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Choice {
            names: if named.is_empty() { vec![arg.get_id().to_string()] } else { named },
            help: help.lines().next().unwrap_or_default().to_owned(),
            value: Value::of(arg),
            repeats: matches!(arg.get_action(), ArgAction::Append | ArgAction::Count),
        }
    }
}

impl Value {
    fn of(arg: &Arg) -> Value {
        if !matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
            return Value::Nothing;
        }
        let words = arg.get_possible_values();
        let shown = words.iter().filter(|word| !word.is_hide_set());
        let words: Vec<String> = shown.map(|word| word.get_name().to_owned()).collect();
        let paths = [ValueHint::AnyPath, ValueHint::FilePath, ValueHint::DirPath];
        if !words.is_empty() {
            Value::OneOf(words)
        } else if paths.contains(&arg.get_value_hint()) {
            Value::Path
        } else {
            Value::Free
        }
    }
}
