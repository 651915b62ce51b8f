//! zsh.

use super::identifier;
use super::words::{Choice, Value, Verb};

/// Returns the script.
pub(super) fn script(program: &str, root: &Verb) -> String {
    let mut script = format!("#compdef {program}\n");
    for verb in root.all() {
        script.push_str(&function(program, verb));
    }
    let main = name(program, root);
    script.push_str(&format!(
        "\nif [[ $funcstack[1] == {main} ]]; then\n    {main} \"$@\"\nelse\n    compdef {main} {program}\nfi\n"
    ));
    script
}

/// Returns the function that completes one verb.
fn function(program: &str, verb: &Verb) -> String {
    let mut text = format!("\n{}() {{\n", name(program, verb));
    let mut specs: Vec<String> = verb.options.iter().flat_map(option).collect();
    if verb.verbs.is_empty() {
        specs.extend(verb.arguments.iter().map(argument));
        text.push_str(&arguments("_arguments -s", &specs));
        text.push_str("}\n");
        return text;
    }
    specs.extend(["'1: :->verb'".to_owned(), "'*:: :->rest'".to_owned()]);
    text.push_str("    local context state state_descr line\n    typeset -A opt_args\n");
    text.push_str(&arguments("_arguments -s -C", &specs));
    text.push_str("    case $state in\n        verb)\n            local -a verbs=(\n");
    for below in &verb.verbs {
        let entry = format!("{}:{}", below.name, below.about);
        text.push_str(&format!("                {}\n", quoted(&entry)));
    }
    text.push_str("            )\n            _describe -t verbs verb verbs\n            ;;\n        rest)\n            case $line[1] in\n");
    for below in &verb.verbs {
        text.push_str(&format!("                {}) {} ;;\n", below.name, name(program, below)));
    }
    text.push_str("            esac\n            ;;\n    esac\n}\n");
    text
}

fn arguments(call: &str, specs: &[String]) -> String {
    let mut text = format!("    {call}");
    for spec in specs {
        text.push_str(&format!(" \\\n        {spec}"));
    }
    text.push('\n');
    text
}

fn name(program: &str, verb: &Verb) -> String {
    format!("_{}{}", identifier(program), verb.path.replace(['/', '-'], "_"))
}

fn option(option: &Choice) -> Vec<String> {
    let star = if option.repeats { "*" } else { "" };
    let help = escaped(&option.help);
    let value = match action(&option.value) {
        None => String::new(),
        Some(action) => format!(":value:{action}"),
    };
    let equals = |name: &str| if name.starts_with("--") && !value.is_empty() { "=" } else { "" };
    let spec = |name: &String| quoted(&format!("{star}{name}{}[{help}]{value}", equals(name)));
    option.names.iter().map(spec).collect()
}

fn argument(argument: &Choice) -> String {
    let star = if argument.repeats { "*" } else { "" };
    let name = argument.names.concat();
    quoted(&format!("{star}:{name}:{}", action(&argument.value).unwrap_or_default()))
}

fn action(value: &Value) -> Option<String> {
    match value {
        Value::Nothing => None,
        Value::Path => Some("_files".to_owned()),
        Value::OneOf(words) => Some(format!("({})", words.join(" "))),
        Value::Free => Some(" ".to_owned()),
    }
}

/// What has a meaning inside an option's description.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '[' | ']' | ':' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
