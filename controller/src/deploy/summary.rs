//! What changed on a host, in one line for people. Pure.

use agent_runner::apply::report::{Change, What};

/// The most file names that a line names.
const NAMED: usize = 3;

/// Returns in one line what changed: the agent, the files by their short names, the services.
pub fn summary(changes: &[Change]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut files: Vec<&str> = Vec::new();
    // What keeps our files out of git's sight is no news to a person.
    for change in changes.iter().filter(|change| !change.name.ends_with(".git/info/exclude")) {
        let short = change.name.rsplit('/').next().unwrap_or(&change.name);
        match change.what {
            What::Binary => said.push(binary(change)),
            What::File => files.push(short),
            What::Env => said.push("environment".to_owned()),
            What::Repo => said.push(format!("clone of {short}")),
            What::Unit => said.push(short.to_owned()),
            What::Service => said.push(format!("{} {short}", change.action.as_str())),
        }
    }
    files.dedup();
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    if more > 0 {
        said.insert(0, format!("{} and {more} more files", files.join(", ")));
    } else if !files.is_empty() {
        said.insert(0, files.join(", "));
    }
    said.join(", ")
}

/// `0.1.0-1a2b.. -> 0.2.0-3c4d..` is `agent 0.2.0`.
fn binary(change: &Change) -> String {
    let folder = change.diff.rsplit(" -> ").next().unwrap_or_default();
    format!("agent {}", folder.rsplit_once('-').map_or(folder, |(version, _)| version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_runner::apply::report::Action;

    #[test]
    fn a_line_names_the_agent_a_few_files_and_the_services() {
        let change = |what, name: &str, action, diff: &str| Change {
            project: None,
            what,
            name: name.to_owned(),
            action,
            diff: diff.to_owned(),
        };
        let mut changes = vec![
            change(What::Binary, "agent-runner", Action::Update, "0.1.0-aa -> 0.2.0-rc.1-bb"),
            change(What::File, "/w/agent-runner.toml", Action::Update, ""),
            change(What::File, "/w/.git/info/exclude", Action::Update, ""),
            change(What::Service, "serve", Action::HandOver, ""),
        ];
        assert_eq!(summary(&changes), "agent-runner.toml, agent 0.2.0-rc.1, hand over serve");
        changes.extend((0..4).map(|n| change(What::File, &format!("/w/p{n}.md"), Action::Create, "")));
        assert!(summary(&changes).starts_with("agent-runner.toml, p0.md, p1.md and 2 more files, "));
    }
}
