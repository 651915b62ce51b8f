//! The Loop as its operator meets it: the real program, real git, scripted agents, signals and SIGKILL.

#[path = "../support/events.rs"]
mod events;
#[path = "../support/git.rs"]
mod git;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/wait.rs"]
mod wait;

/// A project in a temporary folder, and a `serve` on it.
mod project;

/// Rounds follow each other, and what they are handed.
mod rounds;

/// Everything that ends the Loop by itself, with its exit code.
mod ends;

/// Pauses: the schedule, the throttle, the delay.
mod pauses;

/// TERM, USR1.
mod signals;

/// SIGKILL, at the worst moment.
mod killed;

/// USR2: another program file takes over.
mod handover;
