//! Completions for the shells people use, made from a command line's own definition. Pure; both programs use it.

mod bash;
mod fish;
mod words;
mod zsh;

#[cfg(test)]
mod tests;

use clap::{Command, ValueEnum};

use words::Verb;

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Returns the script that completes a program's command line.
pub fn completions(definition: Command, shell: Shell) -> String {
    let program = definition.get_name().to_owned();
    let root = Verb::root(definition);
    match shell {
        Shell::Bash => bash::script(&program, &root),
        Shell::Zsh => zsh::script(&program, &root),
        Shell::Fish => fish::script(&program, &root),
    }
}

/// Returns a program's name as part of a function's name.
fn identifier(program: &str) -> String {
    program.replace('-', "_")
}
