//! What many hosts printed, alike ones once. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent_runner_inventory::fold_names;
use similar::TextDiff;

use crate::ssh::Output;

/// Lines of context around a difference.
const CONTEXT: usize = 3;

/// The outputs of a run, by what they are. Outputs that are alike are kept once.
#[derive(Debug, Default)]
pub struct Folded {
    groups: BTreeMap<Printed, Vec<(usize, String)>>,
}

/// What makes two hosts alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Printed {
    /// How the command ended; empty for exit code 0.
    end: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

/// How outputs that are not alike are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Whole.
    Whole,
    /// As their difference from what most hosts printed.
    AsDiff,
}

impl Folded {
    /// Adds what a host printed; `place` is its place in the selection.
    pub fn add(&mut self, place: usize, host: &str, output: Output) {
        let end = if output.success() { String::new() } else { output.status.to_string() };
        let Output { stdout, stderr, truncated, .. } = output;
        let hosts = self.groups.entry(Printed { end, stdout, stderr, truncated }).or_default();
        hosts.push((place, host.to_owned()));
    }

    /// Returns the groups as text: the one with the earliest host first, or, for differences, the largest first.
    pub fn text(self, others: Others) -> String {
        let mut groups: Vec<(Printed, Vec<(usize, String)>)> = self.groups.into_iter().collect();
        groups.iter_mut().for_each(|(_, hosts)| hosts.sort());
        groups.sort_by_key(|(_, hosts)| hosts.first().map(|(place, _)| *place));
        if others == Others::AsDiff {
            groups.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
        }
        let mut text = String::new();
        let mut most: Option<(String, String)> = None;
        for (printed, hosts) in groups {
            let names = fold_names(hosts.iter().map(|(_, name)| name.as_str()));
            let body = printed.body();
            let head =
                if printed.end.is_empty() { names.clone() } else { format!("{names}  [{}]", printed.end) };
            let _ = writeln!(text, "{head}");
            match &most {
                Some((of, majority)) if others == Others::AsDiff => {
                    text.push_str(&diff((of, majority), (&names, &body)));
                }
                Some(_) | None => text.push_str(&body),
            }
            most.get_or_insert((names, body));
        }
        text
    }
}

impl Printed {
    /// Returns the output, indented; lines of stderr carry a mark.
    fn body(&self) -> String {
        let mut body = String::new();
        for line in String::from_utf8_lossy(&self.stdout).lines() {
            let _ = writeln!(body, "  {line}");
        }
        for line in String::from_utf8_lossy(&self.stderr).lines() {
            let _ = writeln!(body, "  ! {line}");
        }
        if self.truncated {
            body.push_str("  (cut here: it printed more than is kept; --output-dir keeps all)\n");
        }
        body
    }
}

fn diff((of, majority): (&str, &str), (names, body): (&str, &str)) -> String {
    if majority == body {
        // Alike but for how it ended, which the head says.
        return String::new();
    }
    TextDiff::from_lines(majority, body).unified_diff().context_radius(CONTEXT).header(of, names).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::ExitStatus;

    fn output(code: u32, stdout: &str, stderr: &str) -> Output {
        Output {
            status: ExitStatus::Code(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        }
    }

    fn folded(outputs: &[Output]) -> Folded {
        let mut folded = Folded::default();
        // Hosts end in any order.
        for (number, output) in outputs.iter().enumerate().rev() {
            folded.add(number, &format!("pi{}", number + 1), output.clone());
        }
        folded
    }

    #[test]
    fn what_is_alike_in_output_and_end_is_shown_once() {
        let [a, b, c] = [output(0, "6.1\n", ""), output(3, "6.1\n", ""), output(0, "6.1\n", "slow\n")];
        let text = folded(&[b, a.clone(), a.clone(), c, a]).text(Others::Whole);
        assert_eq!(text, "pi1  [exit code 3]\n  6.1\npi[2-3,5] (3)\n  6.1\npi4\n  6.1\n  ! slow\n");
    }

    #[test]
    fn the_others_are_shown_as_their_difference_from_the_majority() {
        let most = output(0, "a\nb\n", "");
        let text = folded(&[output(0, "a\nc\n", ""), most.clone(), output(1, "a\nb\n", ""), most])
            .text(Others::AsDiff);
        assert_eq!(
            text,
            "pi[2,4] (2)\n  a\n  b\n\
             pi1\n--- pi[2,4] (2)\n+++ pi1\n@@ -1,2 +1,2 @@\n   a\n-  b\n+  c\n\
             pi3  [exit code 1]\n"
        );
    }

    #[test]
    fn output_that_was_cut_says_so() {
        let text = folded(&[Output { truncated: true, ..output(0, "a", "") }]).text(Others::Whole);
        assert_eq!(text, "pi1\n  a\n  (cut here: it printed more than is kept; --output-dir keeps all)\n");
    }
}
