//! One verb a file: its arguments, whose docs are `--help`, and `run`. What they share is in `verb`.

pub mod completions;
pub mod man;
pub mod version;

pub mod demo;
pub mod hosts;
pub mod init;
pub mod ping;
pub mod ssh_check;
pub mod trust;

pub mod audit;
pub mod deploy;
pub mod doctor;
pub mod exec;
pub mod install;
pub mod lock;
pub mod logs;
pub mod plan;
pub mod push;
pub mod rollback;
pub mod uninstall;
pub mod unlock;

pub mod cancel;
pub mod kill;
pub mod restart;
pub mod start;
pub mod status;
pub mod stop;

pub mod alerts;
pub mod events;
pub mod history;
pub mod monitor;
pub mod peek;
pub mod resume;
pub mod silence;
pub mod watch;

use clap::Subcommand;

use crate::error::{Error, Exit};
use crate::verb::Ctx;

/// The verbs; their help is the documentation of their arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Hosts(hosts::HostsArgs),
    Trust(trust::TrustArgs),
    SshCheck(ssh_check::SshCheckArgs),
    Ping(ping::PingArgs),
    Doctor(doctor::DoctorArgs),
    Exec(exec::ExecArgs),
    Plan(plan::PlanArgs),
    Deploy(deploy::DeployArgs),
    Rollback(rollback::RollbackArgs),
    Push(push::PushArgs),
    Install(install::InstallArgs),
    Uninstall(uninstall::UninstallArgs),
    Lock(lock::LockArgs),
    Unlock(unlock::UnlockArgs),
    Audit(audit::AuditArgs),
    Status(status::StatusArgs),
    Start(start::StartArgs),
    Stop(stop::StopArgs),
    Kill(kill::KillArgs),
    Cancel(cancel::CancelArgs),
    Restart(restart::RestartArgs),
    Logs(logs::LogsArgs),
    Peek(peek::PeekArgs),
    Events(events::EventsArgs),
    Monitor(monitor::MonitorArgs),
    Watch(watch::WatchArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Alerts(alerts::AlertsArgs),
    Silence(silence::SilenceArgs),
    Resume(resume::ResumeArgs),
    History(history::HistoryArgs),
}

/// Runs a verb.
///
/// # Errors
/// What the verb returns.
pub(crate) fn run(ctx: &Ctx, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Demo(args) => demo::run(ctx, args),
        Command::Init(args) => init::run(ctx, args),
        Command::Hosts(args) => hosts::run(ctx, args),
        Command::Trust(args) => trust::run(ctx, args),
        Command::SshCheck(args) => ssh_check::run(ctx, args),
        Command::Ping(args) => ping::run(ctx, args),
        Command::Doctor(args) => doctor::run(ctx, args),
        Command::Exec(args) => exec::run(ctx, args),
        Command::Plan(args) => plan::run(ctx, args),
        Command::Deploy(args) => deploy::run(ctx, args),
        Command::Rollback(args) => rollback::run(ctx, args),
        Command::Push(args) => push::run(ctx, args),
        Command::Install(args) => install::run(ctx, args),
        Command::Uninstall(args) => uninstall::run(ctx, args),
        Command::Lock(args) => lock::run(ctx, args),
        Command::Unlock(args) => unlock::run(ctx, args),
        Command::Audit(args) => audit::run(ctx, args),
        Command::Status(args) => status::run(ctx, args),
        Command::Start(args) => start::run(ctx, args),
        Command::Stop(args) => stop::run(ctx, args),
        Command::Kill(args) => kill::run(ctx, args),
        Command::Cancel(args) => cancel::run(ctx, args),
        Command::Restart(args) => restart::run(ctx, args),
        Command::Logs(args) => logs::run(ctx, args),
        Command::Peek(args) => peek::run(ctx, args),
        Command::Events(args) => events::run(ctx, args),
        Command::Monitor(args) => monitor::run(ctx, args),
        Command::Watch(args) => watch::run(ctx, args),
        Command::Completions(args) => completions::run(ctx, args),
        Command::Man(args) => man::run(ctx, args),
        Command::Alerts(args) => alerts::run(ctx, args),
        Command::Silence(args) => silence::run(ctx, args),
        Command::Resume(args) => resume::run(ctx, args),
        Command::History(args) => history::run(ctx, args),
    }
}
