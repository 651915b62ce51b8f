//! Whether an agent that stays after its result may be ended: pure.

use regex::bytes::Regex;

use crate::event::NamedProcess;
use crate::process::tree::Descendant;

/// Processes listed in an event.
const LISTED_MAX: usize = 5;

/// A live process below the agent, with what is needed to judge it.
#[derive(Debug, Clone)]
pub struct LiveChild {
    /// The process.
    pub process: Descendant,
    /// Its full command line: for matching only, never written anywhere.
    pub command_line: String,
}

/// Who lives below the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Those that extend the grace.
    pub blocking: Vec<Descendant>,
    /// Known helpers that do not, each with the pattern that names it.
    pub ignored: Vec<(Descendant, String)>,
}

/// Sorts the live children by the operator's ignore patterns.
pub fn judge(children: Vec<LiveChild>, ignore: &[Regex]) -> Verdict {
    let mut verdict = Verdict::default();
    for child in children {
        match ignore.iter().find(|pattern| pattern.is_match(child.command_line.as_bytes())) {
            Some(pattern) => verdict.ignored.push((child.process, pattern.as_str().to_owned())),
            None => verdict.blocking.push(child.process),
        }
    }
    verdict
}

impl Verdict {
    /// Returns the first blocking children, by name and pid only.
    pub fn blocking_names(&self) -> Vec<NamedProcess> {
        self.blocking.iter().take(LISTED_MAX).map(|process| named(process, None)).collect()
    }

    /// Returns the first ignored children, by name, pid and pattern only.
    pub fn ignored_names(&self) -> Vec<NamedProcess> {
        self.ignored.iter().take(LISTED_MAX).map(|(process, by)| named(process, Some(by))).collect()
    }
}

fn named(process: &Descendant, matched: Option<&String>) -> NamedProcess {
    NamedProcess { name: process.name.clone(), pid: process.pid, matched: matched.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Case, compile};

    fn child(pid: i32, command_line: &str) -> LiveChild {
        let process =
            Descendant { pid, pgid: pid, name: "sh".into(), start_ticks: 1, state: 'S', rss_pages: 0 };
        LiveChild { process, command_line: command_line.into() }
    }

    #[test]
    fn a_helper_named_by_a_pattern_does_not_count() {
        let ignore = [compile("snapshot-bash-", Case::Exact).unwrap()];
        let verdict =
            judge(vec![child(2, "bash .claude/snapshot-bash-1"), child(3, "make --token=x")], &ignore);
        let names = |list: Vec<NamedProcess>| serde_json::to_string(&list).unwrap();
        assert_eq!(names(verdict.blocking_names()), r#"[{"name":"sh","pid":3}]"#);
        assert_eq!(names(verdict.ignored_names()), r#"[{"name":"sh","pid":2,"matched":"snapshot-bash-"}]"#);
    }

    #[test]
    fn at_most_five_are_listed() {
        let verdict = judge((2..20).map(|pid| child(pid, "x")).collect(), &[]);
        assert_eq!((verdict.blocking.len(), verdict.blocking_names().len()), (18, 5));
    }
}
