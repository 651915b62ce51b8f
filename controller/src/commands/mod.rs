//! One verb a file: its arguments, whose docs are `--help`, and `run`. Here the environment may be read.

mod context;
mod on_hosts;
mod prompt;
mod script;

pub mod version;

pub mod demo;
pub mod hosts;
pub mod init;
pub mod ping;
pub mod ssh_check;
pub mod trust;

pub mod deploy;
pub mod exec;
pub mod logs;
pub mod plan;

pub mod agent_verb;
pub mod cancel;
pub mod kill;
pub mod restart;
pub mod start;
pub mod status;
pub mod stop;

pub mod monitor;

pub use context::Ctx;

use clap::{Args, Subcommand};

use crate::error::{Error, Exit};

/// The hosts a verb is for.
#[derive(Debug, Clone, Args)]
pub struct Patterns {
    /// Hosts, @groups, globs and ranges, with , & and ! between them [default: all]
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start three throw-away SSH hosts in this process and show the whole job on them
    Demo(demo::DemoArgs),
    /// Write a commented fleet.toml to start from
    Init(init::InitArgs),
    /// Show what the inventory says of hosts and groups
    Hosts(hosts::HostsArgs),
    /// Show the host keys of new hosts and record them
    Trust(trust::TrustArgs),
    /// Show how hosts are reached: settings and their sources, the way, login, host key, limits
    SshCheck(ssh_check::SshCheckArgs),
    /// Log in to hosts
    Ping(ping::PingArgs),
    /// Run a command on hosts
    Exec(exec::ExecArgs),
    /// Show what a deploy would change
    Plan(plan::PlanArgs),
    /// Bring agent, configuration and units to the hosts, batch by batch
    Deploy(deploy::DeployArgs),
    /// Show whether the projects run
    Status(status::StatusArgs),
    /// Start the projects
    Start(start::StartArgs),
    /// Stop the projects after their round
    Stop(stop::StopArgs),
    /// End the projects and their rounds now
    Kill(kill::KillArgs),
    /// Interrupt the running rounds, then stop
    Cancel(cancel::CancelArgs),
    /// Stop and start the projects
    Restart(restart::RestartArgs),
    /// Show the projects' logs of many hosts as one
    Logs(logs::LogsArgs),
    /// Follow every host in one stream, and stop those that do harm
    Monitor(monitor::MonitorArgs),
}

/// Runs a verb.
///
/// # Errors
/// What the verb returns.
pub fn run(ctx: &Ctx, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Demo(args) => demo::run(ctx, args),
        Command::Init(args) => init::run(ctx, args),
        Command::Hosts(args) => hosts::run(ctx, args),
        Command::Trust(args) => trust::run(ctx, args),
        Command::SshCheck(args) => ssh_check::run(ctx, args),
        Command::Ping(args) => ping::run(ctx, args),
        Command::Exec(args) => exec::run(ctx, args),
        Command::Plan(args) => plan::run(ctx, args),
        Command::Deploy(args) => deploy::run(ctx, args),
        Command::Status(args) => status::run(ctx, args),
        Command::Start(args) => start::run(ctx, args),
        Command::Stop(args) => stop::run(ctx, args),
        Command::Kill(args) => kill::run(ctx, args),
        Command::Cancel(args) => cancel::run(ctx, args),
        Command::Restart(args) => restart::run(ctx, args),
        Command::Logs(args) => logs::run(ctx, args),
        Command::Monitor(args) => monitor::run(ctx, args),
    }
}
