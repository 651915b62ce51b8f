//! docs/commands.md, from the command line's own definition and the exit codes.

use clap::{Arg, ArgAction, Command};

use crate::commands::man::meaning;
use crate::error::Exit;

const INTRO: &str = r"# agent-runner

<!-- Made from the command line's definition in `agent/src/cli.rs` and `agent/src/commands/`. Change it there, then run
     `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference`. -->

`agent-runner [--config PATH] [--json] VERB`. stdout is the result, stderr is everything else. With `--json` the result
is for programs: its fields are only ever added to. Results without `--json` are for eyes and may change.

The verbs that address a service or a project by its folder (`install`, `uninstall`, `start`, `stop`, `kill`, `cancel`,
`restart`, `status`, `peek`, `watch`, and `monitor` in modes `anomaly` and `narrate`) insist that the configuration
is called `agent-runner.toml`; the others take any name.
";

const EXITS: &str = r"
## Exit codes

| code | who | meaning |
| --- | --- | --- |
";

/// Returns the page.
pub(super) fn page() -> String {
    let mut root = crate::cli::definition();
    root.build();
    let mut page = INTRO.to_owned();
    page.push_str("\n## Everywhere\n");
    options(&mut page, root.get_arguments());
    page.push_str("\n## Verbs\n\n");
    for verb in verbs(&root) {
        page.push_str(&format!("- [`{0}`](#{0}): {1}\n", verb.get_name(), about(verb)));
    }
    for verb in verbs(&root) {
        section(&mut page, verb, &format!("agent-runner {}", verb.get_name()));
    }
    page.push_str(EXITS);
    for exit in Exit::ALL {
        let (who, meaning) = meaning(exit);
        page.push_str(&format!("| {} | {who} | {meaning} |\n", exit.code()));
    }
    page
}

fn section(page: &mut String, verb: &Command, path: &str) {
    let depth = if path.split(' ').count() > 2 { "###" } else { "##" };
    let title = path.trim_start_matches("agent-runner ");
    let usage = verb.clone().render_usage().to_string();
    page.push_str(&format!("\n{depth} `{title}`\n\n`{}`\n\n", usage.trim_start_matches("Usage: ")));
    let text = verb.get_long_about().or_else(|| verb.get_about());
    page.push_str(&format!("{}\n", text.map(ToString::to_string).unwrap_or_default().trim()));
    options(page, verb.get_arguments().filter(|arg| !arg.is_global_set()));
    for below in verbs(verb) {
        section(page, below, &format!("{path} {}", below.get_name()));
    }
}

fn options<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let shown = args.filter(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    let rows: Vec<String> = shown.map(row).collect();
    if !rows.is_empty() {
        page.push_str(&format!("\n| argument | |\n| --- | --- |\n{}", rows.concat()));
    }
}

fn row(arg: &Arg) -> String {
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let names = arg.get_value_names().unwrap_or_default();
    let value: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let value = if takes_value { value.join(" ") } else { String::new() };
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), Some(short)) => format!("-{short}, --{long}"),
        (Some(long), None) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<_> = if takes_value { arg.get_possible_values() } else { Vec::new() };
    for word in words {
        let help = word.get_help().map(|help| format!(": {help}")).unwrap_or_default();
        text.push_str(&format!("<br>`{}`{help}", word.get_name()));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() {
        text.push_str(&format!("<br>Default: `{}`", defaults.join(",")));
    }
    format!("| `{}` | {} |\n", format!("{name} {value}").trim(), text.replace('|', "\\|"))
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

fn about(verb: &Command) -> String {
    verb.get_about().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_exit_code_is_listed_once_and_in_order() {
    // A new variant needs an arm here, and then a place in the list.
    let place = |exit| match exit {
        Exit::Ok => 0,
        Exit::Failed => 1,
        Exit::Usage => 2,
        Exit::MemLoopPersistent => 3,
        Exit::MemLoop => 4,
        Exit::GaveUp => 5,
        Exit::Environment => 6,
        Exit::Config => 7,
        Exit::Interrupted => 8,
    };
    for (index, exit) in Exit::ALL.into_iter().enumerate() {
        assert_eq!(place(exit), index);
    }
    assert!(Exit::ALL.is_sorted_by_key(|exit| exit.code()));
}
