//! fish.

use super::identifier;
use super::words::{Choice, Value, Verb};

/// Returns the script.
pub(super) fn script(program: &str, root: &Verb) -> String {
    let function = format!("__{}_at", identifier(program));
    let all = root.all();
    let paths: Vec<&str> =
        all.iter().map(|verb| verb.path.as_str()).filter(|path| !path.is_empty()).collect();
    let mut script = format!(
        "# fish completion for {program}\n\nfunction {function}\n    set -l verb ''\n    \
         for word in (commandline -opc)[2..-1]\n        switch \"$verb/$word\"\n            case {}\n                \
         set verb \"$verb/$word\"\n        end\n    end\n    test \"$verb\" = \"$argv[1]\"\nend\n\n",
        paths.join(" ")
    );
    for verb in all {
        let start = format!("complete -c {program} -n '{function} \"{}\"'", verb.path);
        for below in &verb.verbs {
            script.push_str(&format!("{start} -f -a {} -d {}\n", below.name, quoted(&below.about)));
        }
        for argument in &verb.arguments {
            if let Value::OneOf(words) = &argument.value {
                script.push_str(&format!("{start} -f -a {}\n", quoted(&words.join(" "))));
            }
        }
        for option in &verb.options {
            script.push_str(&format!("{start}{}\n", option_of(option)));
        }
    }
    script
}

fn option_of(option: &Choice) -> String {
    let mut text = String::new();
    for name in &option.names {
        match name.strip_prefix("--") {
            Some(long) => text.push_str(&format!(" -l {long}")),
            None => text.push_str(&format!(" -s {}", name.trim_start_matches('-'))),
        }
    }
    match &option.value {
        Value::Nothing => {}
        Value::Path => text.push_str(" -r -F"),
        Value::OneOf(words) => text.push_str(&format!(" -x -a {}", quoted(&words.join(" ")))),
        Value::Free => text.push_str(" -x"),
    }
    if !option.help.is_empty() {
        text.push_str(&format!(" -d {}", quoted(&option.help)));
    }
    text
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
