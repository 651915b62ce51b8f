//! Asking for a passphrase or a password: on the terminal, or through the program `SSH_ASKPASS` names.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use secrecy::SecretString;

use crate::ssh::{Prompt, Prompter};

/// Returns who answers questions: a person at the terminal, or nobody.
pub(super) fn prompter() -> Option<Prompter> {
    io::stdin().is_terminal().then(|| Arc::new(|prompt| ask(&prompt)) as Prompter)
}

fn ask(prompt: &Prompt) -> Option<SecretString> {
    let question = match prompt {
        Prompt::Passphrase { key, attempt: 0 } => format!("passphrase of {}: ", key.display()),
        Prompt::Passphrase { key, .. } => format!("that was not it; passphrase of {}: ", key.display()),
        Prompt::Password { user } => format!("password of {user} on the hosts: "),
        Prompt::Question { host, text } => format!("{host} asks: {text}"),
    };
    rpassword::prompt_password(question).ok().map(SecretString::from)
}
