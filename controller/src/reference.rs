//! `docs/commands-fleet.md`, made from the command line's own definition, so that it cannot say anything else. A stale
//! page fails the test; `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner-fleet reference` writes it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgAction, Command};

#[test]
fn docs_commands_fleet_md_is_what_the_program_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands-fleet.md");
    let page = page(&crate::cli::definition());
    if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
        agent_runner::store::atomic::replace_with_mode(&path, page.as_bytes(), 0o644).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/commands-fleet.md is stale: AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner-fleet reference"
    );
}

const HEAD: &str = "# agent-runner-fleet: verbs

Made from the program's own definition of its command line. `agent-runner-fleet VERB --help` says the same.

";

const EXIT_CODES: &str = "## Exit codes

The bits of a run over hosts are OR-ed; the others stand alone.

| code | meaning |
|---|---|
| 0 | all selected hosts are well |
| 1 | a controller or configuration error before any host ran |
| 2 | at least one host failed |
| 4 | at least one host was unreachable |
| 5 | a wrong command line, an unknown name, an empty selection |
| 8 | stopped by `--max-fail` or the canary gate |
| 16 | at least one host rolled back |
| 32 | drift found (`--exit-code`) |
| 75 | the lock is held by another run |
| 130 | interrupted |

`exec --rc max` ends with the highest code of the command instead.
";

fn page(program: &Command) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| verb | does |\n|---|---|\n");
    for verb in program.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} |", verb.get_name(), about(verb));
    }
    page.push_str("\n## Options of every verb\n\n");
    page.push_str(&table(program.get_arguments()));
    for verb in program.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let _ = write!(page, "\n## {}\n\n`agent-runner-fleet {0}", verb.get_name());
        for arg in verb.get_positionals() {
            let _ = write!(page, " {}", positional(arg));
        }
        page.push_str("`\n\n");
        let long = verb.get_long_about().map_or_else(|| about(verb), ToString::to_string);
        let _ = writeln!(page, "{}", long.trim());
        let own: Vec<&Arg> = verb.get_arguments().collect();
        if !own.is_empty() {
            let _ = write!(page, "\n{}", table(own.into_iter()));
        }
    }
    let _ = write!(page, "\n{EXIT_CODES}");
    page
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = "| option | meaning |\n|---|---|\n".to_owned();
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let name = if arg.is_positional() { positional(arg) } else { option(arg) };
        let _ = writeln!(table, "| `{name}` | {} |", meaning(arg).replace('|', "\\|"));
    }
    table
}

fn positional(arg: &Arg) -> String {
    let names: Vec<&str> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let many = arg.get_num_args().is_some_and(|count| count.max_values() > 1);
    let name = format!("{}{}", names.join(" "), if many { ".." } else { "" });
    let name = if arg.is_last_set() { format!("-- {name}") } else { name };
    if arg.is_required_set() { name } else { format!("[{name}]") }
}

fn option(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let mut text = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        for name in arg.get_value_names().unwrap_or_default() {
            let _ = write!(text, " {name}");
        }
    }
    text
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        let _ = write!(text, "; one of {}", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !defaults.is_empty() && !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count) {
        let _ = write!(text, "; default {}", defaults.join(", "));
    }
    text
}
