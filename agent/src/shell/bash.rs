//! bash.

use super::identifier;
use super::words::{Choice, Value, Verb};

/// Returns the script.
pub(super) fn script(program: &str, root: &Verb) -> String {
    let function = format!("_{}", identifier(program));
    let all = root.all();
    let verbs: Vec<&str> =
        all.iter().map(|verb| verb.path.as_str()).filter(|path| !path.is_empty()).collect();
    let mut script = format!(
        "# bash completion for {program}\n\n{function}() {{\n    \
         local current=${{COMP_WORDS[COMP_CWORD]}} verb='' skip='' words='' i\n    \
         COMPREPLY=()\n    \
         for ((i = 1; i < COMP_CWORD; i++)); do\n        \
         if [[ -n $skip ]]; then skip=''; continue; fi\n        \
         case \"$verb/${{COMP_WORDS[i]}}\" in\n            \
         {}) verb=\"$verb/${{COMP_WORDS[i]}}\" ;;\n",
        verbs.join(" | ")
    );
    let valued = keys(&all, |value| !matches!(value, Value::Nothing));
    if !valued.is_empty() {
        script.push_str(&format!("            {}) skip=1 ;;\n", valued.join(" | ")));
    }
    script.push_str("        esac\n    done\n    case \"$verb/${COMP_WORDS[COMP_CWORD - 1]}\" in\n");
    for verb in &all {
        for option in &verb.options {
            let Value::OneOf(words) = &option.value else { continue };
            let keys = key(verb, option).join(" | ");
            script.push_str(&format!(
                "        {keys}) COMPREPLY=($(compgen -W '{}' -- \"$current\")); return ;;\n",
                words.join(" ")
            ));
        }
    }
    let paths = keys(&all, |value| matches!(value, Value::Path));
    if !paths.is_empty() {
        let paths = paths.join(" | ");
        script.push_str(&format!("        {paths}) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"));
    }
    let free = keys(&all, |value| matches!(value, Value::Free));
    if !free.is_empty() {
        script.push_str(&format!("        {}) return ;;\n", free.join(" | ")));
    }
    script.push_str("    esac\n    case \"$verb\" in\n");
    for verb in &all {
        script.push_str(&format!("        '{}') words='{}' ;;\n", verb.path, offered(verb).join(" ")));
    }
    script.push_str(&format!(
        "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}}\n\n\
         complete -o bashdefault -o default -F {function} {program}\n"
    ));
    script
}

/// Returns everything that can stand after a verb.
fn offered(verb: &Verb) -> Vec<&str> {
    let words = verb.arguments.iter().filter_map(|argument| match &argument.value {
        Value::OneOf(words) => Some(words),
        Value::Nothing | Value::Path | Value::Free => None,
    });
    let verbs = verb.verbs.iter().map(|below| below.name.as_str());
    let options = verb.options.iter().flat_map(|option| &option.names).map(String::as_str);
    verbs.chain(words.flatten().map(String::as_str)).chain(options).collect()
}

fn keys(verbs: &[&Verb], fits: impl Fn(&Value) -> bool) -> Vec<String> {
    let options = verbs.iter().flat_map(|verb| verb.options.iter().map(move |option| (verb, option)));
    options.filter(|(_, option)| fits(&option.value)).flat_map(|(verb, option)| key(verb, option)).collect()
}

/// Returns what the script sees when an option's value is next.
fn key(verb: &Verb, option: &Choice) -> Vec<String> {
    option.names.iter().map(|name| format!("{}/{name}", verb.path)).collect()
}
