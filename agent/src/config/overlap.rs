//! Phases whose windows would run two agents' rotations against each other.

use serde::{Deserialize, Serialize};

use super::types::{Config, Schedule};
use super::window::Window;

/// Two windows of two phases with different agents that share at least one minute of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The first phase, by name.
    pub phase_a: String,
    /// Its window.
    pub window_a: String,
    /// The second phase.
    pub phase_b: String,
    /// Its window.
    pub window_b: String,
}

/// Returns every overlap. Only phases count that override the agent and have run windows of their own; pairs in
/// different time zones cannot be compared and are left out.
pub fn overlaps(config: &Config) -> Vec<Overlap> {
    let phases: Vec<(&str, &Schedule)> = config
        .phases
        .overrides
        .iter()
        .filter(|(_, own)| own.agent.is_some())
        .filter_map(|(name, own)| Some((name.as_str(), own.schedule.as_ref()?)))
        .filter(|(_, schedule)| !schedule.run_windows.is_empty())
        .collect();
    let mut found = Vec::new();
    for (index, (phase_a, a)) in phases.iter().enumerate() {
        for (phase_b, b) in phases.iter().skip(index + 1).filter(|(_, b)| a.timezone == b.timezone) {
            for window_a in &a.run_windows {
                for window_b in b.run_windows.iter().filter(|window_b| meet((window_a, a), (window_b, b))) {
                    found.push(Overlap {
                        phase_a: (*phase_a).to_owned(),
                        window_a: window_a.text.clone(),
                        phase_b: (*phase_b).to_owned(),
                        window_b: window_b.text.clone(),
                    });
                }
            }
        }
    }
    found
}

fn meet(a: (&Window, &Schedule), b: (&Window, &Schedule)) -> bool {
    let open = |(window, schedule): (&Window, &Schedule), day: usize, minute: u16| {
        window.contains(day, minute)
            && !schedule.pause_windows.iter().any(|pause| pause.contains(day, minute))
    };
    (0..7).any(|day| (0..1440).any(|minute| open(a, day, minute) && open(b, day, minute)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(a: &str, b: &str, expected: &[(&str, &str)]) {
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{{prompt}}\"]\n\
             [runtime]\nwork_dir = \".\"\nlog_dir = \"logs\"\n[prompt]\nfile = \"p\"\n[phases]\nlist = [\"a\", \"b\"]\n\
             [phases.a.agent]\ncommand = [\"y\"]\n[phases.b.agent]\ncommand = [\"z\"]\n\
             [phases.a.schedule]\n{a}\n[phases.b.schedule]\n{b}\n"
        );
        let config = Config::parse(&text, Path::new("/p/agent-runner.toml"), None).unwrap().config;
        let found = overlaps(&config);
        let windows: Vec<_> = found.iter().map(|o| (o.window_a.as_str(), o.window_b.as_str())).collect();
        assert_eq!(windows, expected, "{a} against {b}");
    }

    #[test]
    fn windows_meet_after_the_pauses_are_taken_out() {
        check(
            r#"run_windows = ["09:00-12:00", "20:00-21:00"]"#,
            r#"run_windows = ["11:59-13:00"]"#,
            &[("09:00-12:00", "11:59-13:00")],
        );
        check(r#"run_windows = ["09:00-12:00"]"#, r#"run_windows = ["12:00-13:00"]"#, &[]);
        check(r#"run_windows = ["Mon 09:00-12:00"]"#, r#"run_windows = ["Tue 09:00-12:00"]"#, &[]);
        check(
            r#"run_windows = ["Sun 22:00-06:00"]"#,
            r#"run_windows = ["Mon 05:00-07:00"]"#,
            &[("Sun 22:00-06:00", "Mon 05:00-07:00")],
        );
        check(
            "run_windows = [\"09:00-12:00\"]\npause_windows = [\"11:00-12:00\"]",
            r#"run_windows = ["11:30-13:00"]"#,
            &[],
        );
        check("timezone = \"UTC\"\nrun_windows = [\"09:00-12:00\"]", r#"run_windows = ["09:00-12:00"]"#, &[]);
        check("pause_windows = [\"09:00-12:00\"]", r#"run_windows = ["09:00-12:00"]"#, &[]);
    }
}
