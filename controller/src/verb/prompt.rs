//! Asking for a passphrase or a password: on the terminal, or through the program `SSH_ASKPASS` names.

use std::io::{self, IsTerminal, PipeReader};
use std::sync::Arc;
use std::time::Duration;

use agent_runner::plain::plain;
use agent_runner::process::capture::{Capture, capture};
use agent_runner::process::child::{Environment, Stdin};
use secrecy::SecretString;

use super::{Ctx, terminal};
use crate::output::progress::Progress;
use crate::ssh::{Prompt, Prompter};

/// How long the person may take: as long as sshd waits for a login.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// The most that the program may answer, in bytes.
const ASKPASS_OUTPUT: usize = 4096;

/// The most characters of a host's own question that are shown.
const QUESTION: usize = 200;

/// Who answers questions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Nobody,
    Terminal,
    Program(String),
}

impl Ctx {
    /// Returns who answers the questions of a run, if anybody can; the live line waits meanwhile.
    pub(crate) fn prompter(&self, progress: Option<Arc<Progress>>) -> Option<Prompter> {
        let (who, questions, run) = (self.who(), self.questions.clone(), self.questions.run());
        (who != Who::Nobody).then(|| {
            Arc::new(move |prompt: Prompt| {
                let question = words(&prompt);
                questions.put(run, |called_off| match &progress {
                    Some(progress) => progress.pause(|| ask(&who, &question, called_off)),
                    None => ask(&who, &question, called_off),
                })
            }) as Prompter
        })
    }

    /// Asks for a secret; `None` where nobody can be asked, or the question was called off.
    pub(crate) fn secret(&self, question: &str) -> Option<SecretString> {
        self.questions.put(self.questions.run(), |called_off| ask(&self.who(), question, called_off))
    }

    fn who(&self) -> Who {
        let terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
        who(|name| self.env(name), terminal)
    }
}

/// Decides as ssh(1) does: the terminal where there is one, else the program where there is a display; the variable
/// `SSH_ASKPASS_REQUIRE` shifts that.
fn who(env: impl Fn(&str) -> Option<String>, terminal: bool) -> Who {
    let program = env("SSH_ASKPASS");
    let display = env("DISPLAY").or_else(|| env("WAYLAND_DISPLAY")).is_some();
    match (env("SSH_ASKPASS_REQUIRE").as_deref(), program) {
        (Some("force" | "prefer"), Some(program)) => Who::Program(program),
        (Some("force"), None) => Who::Nobody,
        (Some("never"), _) | (_, None) if terminal => Who::Terminal,
        (Some("never"), _) | (_, None) => Who::Nobody,
        (_, Some(_)) if terminal => Who::Terminal,
        (_, Some(program)) if display => Who::Program(program),
        (_, Some(_)) => Who::Nobody,
    }
}

fn ask(who: &Who, question: &str, called_off: &PipeReader) -> Option<SecretString> {
    match who {
        Who::Nobody => None,
        Who::Terminal => {
            let asked = terminal::secret(question, called_off, ANSWER_WITHIN);
            asked.inspect_err(|error| tracing::warn!(%error, "the terminal cannot be asked")).ok().flatten()
        }
        Who::Program(program) => ask_program(program, question),
    }
}

fn ask_program(program: &str, question: &str) -> Option<SecretString> {
    let asked = Capture {
        argv: vec![program.into(), question.into()],
        cwd: "/".into(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: ANSWER_WITHIN,
        output_limit: ASKPASS_OUTPUT,
    };
    let said = match capture(asked) {
        Ok(said) => said,
        Err(error) => {
            tracing::warn!(program, %error, "SSH_ASKPASS cannot be run");
            return None;
        }
    };
    // Any other end than 0 is the person's "cancel".
    let text = String::from_utf8(said.stdout).ok().filter(|_| said.status.is_success() && !said.timed_out)?;
    Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Returns the question as it is put: one line that begins with words of ours, whatever a host would like to be asked.
fn words(prompt: &Prompt) -> String {
    let words = match prompt {
        Prompt::Passphrase { key, attempt: 0 } => format!("passphrase of {}: ", key.display()),
        Prompt::Passphrase { key, .. } => format!("that was not it; passphrase of {}: ", key.display()),
        Prompt::Password { user } => format!("password of {user} on the hosts: "),
        Prompt::Question { host, text } => {
            format!("{host} asks: {}", plain(text).chars().take(QUESTION).collect::<String>())
        }
    };
    plain(&words)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn who_is_asked_is_decided_as_ssh_does() {
        let program = || Who::Program("/bin/ask".to_owned());
        for (askpass, require, display, terminal, expected) in [
            (false, "", false, true, Who::Terminal),
            (false, "", true, false, Who::Nobody),
            (true, "", true, true, Who::Terminal),
            (true, "", true, false, program()),
            (true, "", false, false, Who::Nobody),
            (true, "prefer", false, true, program()),
            (true, "force", false, false, program()),
            (false, "force", true, true, Who::Nobody),
            (true, "never", true, false, Who::Nobody),
            (true, "never", true, true, Who::Terminal),
        ] {
            let env = |name: &str| match name {
                "SSH_ASKPASS" if askpass => Some("/bin/ask".to_owned()),
                "SSH_ASKPASS_REQUIRE" if !require.is_empty() => Some(require.to_owned()),
                "WAYLAND_DISPLAY" if display => Some("wayland-0".to_owned()),
                _ => None,
            };
            assert_eq!(who(env, terminal), expected, "{askpass} {require} {display} {terminal}");
        }
    }

    #[test]
    fn a_hosts_question_is_one_short_line_that_says_who_asks() {
        let asked = |text: &str| words(&Prompt::Question { host: "pi1".into(), text: text.into() });
        assert_eq!(asked("One-time code: "), "pi1 asks: One-time code: ");
        let imitation = asked("\r\u{1b}[2K\u{9b}1Apassphrase of /home/me/.ssh/id_ed25519: \n");
        assert!(!imitation.contains(char::is_control), "{imitation:?}");
        assert!(imitation.starts_with("pi1 asks: "), "{imitation:?}");
        let long = asked(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), "pi1 asks: ".len() + QUESTION);
        let key = Prompt::Passphrase { key: "/k\u{1b}[2J".into(), attempt: 0 };
        assert!(!words(&key).contains(char::is_control));
    }

    #[test]
    fn the_program_gets_the_question_and_its_failure_is_no_answer() {
        let secret = ask_program("/bin/echo", "password of pi: ").unwrap();
        assert_eq!(secret.expose_secret(), "password of pi: ");
        assert!(ask_program("/bin/false", "x").is_none());
        assert!(ask_program("/nonexistent/ask", "x").is_none());
    }
}
