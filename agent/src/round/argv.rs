//! The agent's command line and environment: pure.

use std::path::Path;

use super::options::Resume;
use crate::config::types::{Agent, Delivery};
use crate::process::child::Environment;

/// What stands for the prompt in an argument of the template.
const PROMPT: &str = "{prompt}";

/// What stands for the work dir in a word of the prefix.
const WORK_DIR: &str = "{work_dir}";

/// Returns the agent's program and arguments. In argv delivery the prompt loses its NULs, which no argument can hold.
pub fn arguments(agent: &Agent, work_dir: &Path, resume: Option<&Resume>, prompt: &str) -> Vec<String> {
    let work_dir = work_dir.to_string_lossy();
    let prefix = agent.exec_prefix.iter().map(|word| word.replace(WORK_DIR, &work_dir));
    let resume = resume.into_iter().flat_map(|resume| [resume.flag.clone(), resume.session_id.clone()]);
    let template = agent.prompt_arg_template.iter().map(|word| match agent.prompt_delivery {
        Delivery::Stdin => word.clone(),
        Delivery::Argv => word.replace(PROMPT, &prompt.replace('\0', "")),
    });
    prefix.chain(agent.command.iter().cloned()).chain(resume).chain(template).collect()
}

/// What the agent is told of its round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    /// The log dir.
    pub log_dir: &'a Path,
    /// The round's number.
    pub round_num: i64,
    /// The phase, when there are phases.
    pub phase: Option<&'a str>,
    /// The work dir.
    pub work_dir: &'a Path,
}

/// Returns the agent's environment: ours, what it is told, the operator's variables, and PWD, each winning over what
/// comes before.
pub fn environment(agent: &Agent, told: &Told<'_>) -> Environment {
    let mut env = Environment::inherited()
        .with("AGENT_RUNNER_LOG_DIR", told.log_dir)
        .with("AGENT_RUNNER_ROUND_NUM", told.round_num.to_string())
        .with("AGENT_RUNNER_PHASE", told.phase.unwrap_or_default());
    for (name, value) in &agent.env {
        env = env.with(name, value);
    }
    env.with("PWD", told.work_dir).without("AGENT_RUNNER_FAILPOINT")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    pub(in crate::round) fn agent() -> Agent {
        Agent {
            command: vec!["/opt/bin/claude".into(), "--x".into()],
            prompt_arg_template: vec!["-p".into(), "say: {prompt} {prompt}".into()],
            name: None,
            env: BTreeMap::from([
                ("PWD".into(), "/evil".into()),
                ("AGENT_RUNNER_PHASE".into(), "mine".into()),
            ]),
            prompt_delivery: Delivery::Argv,
            exec_prefix: vec!["wrap".into(), "{work_dir}:{work_dir}".into()],
            terminal_marker: String::new(),
            sigterm_grace_s: 10,
        }
    }

    fn check(agent: &Agent, resume: Option<&Resume>, expected: &[&str]) {
        assert_eq!(arguments(agent, Path::new("/w"), resume, "hi\0{work_dir}"), expected);
    }

    #[test]
    fn the_prompt_goes_into_the_template_in_argv_delivery_only() {
        let argv = agent();
        let expected = ["wrap", "/w:/w", "/opt/bin/claude", "--x", "-p", "say: hi{work_dir} hi{work_dir}"];
        check(&argv, None, &expected);
        let stdin =
            Agent { prompt_delivery: Delivery::Stdin, prompt_arg_template: vec!["-p".into()], ..argv };
        let resume = Resume { flag: "--session-id".into(), session_id: "u".into() };
        check(&stdin, Some(&resume), &["wrap", "/w:/w", "/opt/bin/claude", "--x", "--session-id", "u", "-p"]);
    }

    #[test]
    fn the_operators_variables_win_and_pwd_wins_over_all() {
        let told = Told { log_dir: Path::new("/l"), round_num: 3, phase: None, work_dir: Path::new("/w") };
        let env = environment(&agent(), &told);
        let last =
            |name: &str| env.set.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!(last("PWD").unwrap(), "/w");
        assert_eq!(last("AGENT_RUNNER_PHASE").unwrap(), "mine");
        assert_eq!(last("AGENT_RUNNER_ROUND_NUM").unwrap(), "3");
    }
}
