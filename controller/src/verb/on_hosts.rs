//! What verbs over hosts share: selecting them, working on each within the limits, and the recap.

use std::collections::HashSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory::{HostName, Inventory, Selection};
use clap::Args;

use super::context::{Ctx, Global, printed};
use crate::cancel::Cancel;
use crate::connection::{self, Connections, Given};
use crate::error::{Error, Exit, config, usage};
use crate::fanout::{self, FanoutOptions};
use crate::last_run;
use crate::open_files;
use crate::output::print;
use crate::output::progress::{Progress, Show};
use crate::output::recap::{self, HostResult, Recap, Status, Stopped};
use crate::output::result_line::ResultLine;
use crate::ssh::{Client, ClientOptions};
use crate::targets::{self, Projects, Target};

/// Hosts at work at the same time, when nobody says. Each costs a connection (a descriptor and under 100 KiB) here and
/// nothing there, so a laptop holds many more; what is scarce, the starts of connections, has limits of its own.
const FORKS: u32 = 64;
/// How long one host may take in a verb that says nothing of its own, in seconds.
const HOST_DEADLINE_S: u64 = 600;

/// What a deadline leaves a host's task to hand in what it has.
const GRACE: Duration = Duration::from_secs(1);

/// The hosts a verb is for.
#[derive(Debug, Clone, Args)]
pub struct Patterns {
    /// Hosts, @groups, globs and ranges, with , & and ! between them [default: all]
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
}

/// One way over all hosts: what it is called, how it is shown, how long one host may take.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The verb.
    pub verb: &'a str,
    /// How progress is shown.
    pub show: Show,
    /// How long it goes on.
    pub span: Span,
}

/// How long a way over all hosts goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Until all have ended, each within this time.
    UpTo(Duration),
    /// Until the first Ctrl-C: all hosts are worked on at the same time.
    UntilInterrupted,
}

impl Ctx {
    /// Returns the names a selection stands for, in the inventory's order: the patterns, of these only what
    /// `--limit` names, without what `--exclude` names, and only those of `--shard`.
    ///
    /// # Errors
    /// When the selection is wrong or empty.
    pub fn names(&self, inventory: &Inventory, patterns: &[String]) -> Result<Vec<HostName>, Error> {
        let mut names = self.selected(inventory, patterns)?;
        if let Some(shard) = self.global.shard {
            names.retain(|name| shard.holds(name));
            if names.is_empty() {
                return Err(usage(format!("none of the selected hosts is in the shard {shard}")));
            }
        }
        Ok(names)
    }

    /// Returns whether every host is meant: nothing on the command line selects.
    pub fn means_all(&self, patterns: &[String]) -> bool {
        let Global { limit, exclude, shard, .. } = &self.global;
        patterns.is_empty() && limit.is_empty() && exclude.is_empty() && shard.is_none()
    }

    /// Refuses the options that select hosts, for `what` is not about selected ones.
    ///
    /// # Errors
    /// Where one is given.
    pub fn selects_nothing(&self, what: &str, hint: &str) -> Result<(), Error> {
        let Global { limit, exclude, shard, list_hosts, .. } = &self.global;
        let options = [
            ("--limit", !limit.is_empty()),
            ("--exclude", !exclude.is_empty()),
            ("--shard", shard.is_some()),
            ("--list-hosts", *list_hosts),
        ];
        let given: Vec<&str> =
            options.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).collect();
        if given.is_empty() {
            return Ok(());
        }
        Err(usage(format!("{what} takes no {}", given.join(", "))).hinted(hint))
    }

    fn selected(&self, inventory: &Inventory, patterns: &[String]) -> Result<Vec<HostName>, Error> {
        let select = |patterns: &[String]| {
            inventory.select(&self.selection(inventory, patterns)).map_err(|error| usage(error.to_string()))
        };
        let mut names = select(patterns)?;
        if !self.global.limit.is_empty() && !patterns.is_empty() {
            let limit: HashSet<HostName> = select(&self.global.limit)?.into_iter().collect();
            names.retain(|name| limit.contains(name));
            if names.is_empty() {
                return Err(usage("no host is both in the patterns and in --limit"));
            }
        } else if !self.global.limit.is_empty() {
            return select(&self.global.limit);
        }
        Ok(names)
    }

    /// Returns the projects of every host; with names given, only those.
    ///
    /// # Errors
    /// When a name is no project's.
    pub fn projects<'a>(&self, inventory: &'a Inventory, only: &[String]) -> Result<Projects<'a>, Error> {
        Projects::of(inventory, only).map_err(|unknown| {
            let known: Vec<&str> = inventory.projects.iter().map(|project| project.name.as_str()).collect();
            let hint = if known.is_empty() {
                "the inventory has no [projects]".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            };
            usage(format!("no project is called {unknown:?}")).hinted(hint)
        })
    }

    /// Returns the selected hosts with how each is reached.
    ///
    /// # Errors
    /// When the selection is wrong or empty, or a host's settings are.
    pub fn targets(&self, inventory: &Inventory, patterns: &[String]) -> Result<Vec<Target>, Error> {
        let names = self.names(inventory, patterns)?;
        let connections = self.connections()?;
        let mut targets =
            targets::resolve(inventory, names, &connections).map_err(|error| config(error.to_string()))?;
        self.add_sudo(&mut targets)?;
        Ok(targets)
    }

    /// Returns what decides how hosts are reached.
    ///
    /// # Errors
    /// When OpenSSH's configuration cannot be read or understood.
    pub fn connections(&self) -> Result<Connections, Error> {
        let local =
            connection::local(self.home().as_deref(), &self.user(), &self.machine(), self.variables());
        let given = Given { user: self.global.user.clone(), connect_timeout: self.global.connect_timeout };
        let connections = Connections::load(local, given).map_err(|error| config(error.to_string()))?;
        Ok(match dirs::cache_dir() {
            Some(folder) => connections.cached_in(folder.join("agent-runner-fleet/ssh-g")),
            None => connections,
        })
    }

    /// Adds what the command line says of sudo.
    fn add_sudo(&self, targets: &mut [Target]) -> Result<(), Error> {
        if self.global.r#become {
            targets.iter_mut().for_each(Target::want_sudo);
        }
        if !self.global.ask_become_pass || self.global.list_hosts {
            return Ok(());
        }
        if !targets.iter().any(Target::becomes) {
            return Err(usage("--ask-become-pass, and no selected host uses sudo").hinted("add --become"));
        }
        let password = self.become_password.get_or_init(|| self.secret("password for sudo on the hosts: "));
        let Some(password) = password else {
            return Err(usage("--ask-become-pass, and nobody answered").hinted(
                "run it on a terminal, or name a program with SSH_ASKPASS and SSH_ASKPASS_REQUIRE=force",
            ));
        };
        targets.iter_mut().for_each(|target| target.set_sudo_password(password.clone()));
        Ok(())
    }

    /// Shows the selected hosts, a name a line.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn list_hosts(&self, targets: &[Target]) -> Result<Exit, Error> {
        self.list_names(targets.iter().map(|target| &target.name))
    }

    /// As [`list_hosts`](Self::list_hosts), for verbs that reach no host.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn list_names<'a>(&self, names: impl IntoIterator<Item = &'a HostName>) -> Result<Exit, Error> {
        let names: String = names.into_iter().map(|name| format!("{name}\n")).collect();
        printed(print::text(&names))?;
        Ok(Exit::Ok)
    }

    /// Returns how many hosts may be at work at the same time: as many as wanted, or as the open files allow.
    pub fn forks(&self, inventory: &Inventory) -> NonZeroUsize {
        let given = self.global.forks.or_else(|| inventory.defaults.forks.as_ref().map(|set| set.value));
        self.forks_for(usize::try_from(given.unwrap_or(FORKS)).unwrap_or(usize::MAX))
    }

    /// Returns how many hosts the open files allow, up to `wanted`, and says so where that is fewer.
    fn forks_for(&self, wanted: usize) -> NonZeroUsize {
        let (forks, limit) = within_open_files(wanted);
        if let Some(limit) = limit.filter(|_| forks.get() < wanted) {
            print::note(&format!(
                "warning: {limit} open files allow {forks} hosts at a time, not {wanted} (ulimit -n)"
            ));
        }
        forks
    }

    /// Returns the SSH client of this run.
    pub fn client(&self) -> Client {
        self.client_beside(None)
    }

    /// As [`client`](Self::client), but it asks nothing: the terminal is taken.
    pub fn silent_client(&self) -> Client {
        Client::new(ClientOptions {
            agent_socket: self.env("SSH_AUTH_SOCK").map(Into::into),
            accept_new: self.global.accept_new,
            ..ClientOptions::default()
        })
    }

    /// As [`client`](Self::client); its questions wait for the live line to step aside.
    fn client_beside(&self, progress: Option<Arc<Progress>>) -> Client {
        Client::new(ClientOptions {
            agent_socket: self.env("SSH_AUTH_SOCK").map(Into::into),
            accept_new: self.global.accept_new,
            ask_password: self.global.ask_pass,
            prompter: self.prompter(progress),
            ..ClientOptions::default()
        })
    }

    /// Works on every target, so many at a time, each within its deadline, and returns how each ended, in their order.
    ///
    /// # Errors
    /// When the runtime cannot be started.
    pub fn each_host<F, Fut>(
        &self,
        inventory: &Inventory,
        verb: &str,
        targets: Vec<Target>,
        work: F,
    ) -> Result<Recap, Error>
    where
        F: Fn(Client, Target) -> Fut + Send + 'static,
        Fut: Future<Output = HostResult> + Send + 'static,
    {
        let pass = Pass { verb, show: self.show(), span: Span::UpTo(self.deadline()) };
        self.each_host_in(inventory, pass, targets, work)
    }

    /// As [`each_host`](Self::each_host), shown and bounded as `pass` says.
    ///
    /// # Errors
    /// When the runtime cannot be started.
    pub fn each_host_in<F, Fut>(
        &self,
        inventory: &Inventory,
        pass: Pass<'_>,
        targets: Vec<Target>,
        work: F,
    ) -> Result<Recap, Error>
    where
        F: Fn(Client, Target) -> Fut + Send + 'static,
        Fut: Future<Output = HostResult> + Send + 'static,
    {
        let verb = pass.verb;
        let progress = Arc::new(Progress::new(pass.show, verb, targets.len()));
        let names: Vec<String> = targets.iter().map(|target| target.name.to_string()).collect();
        let skipped = |name: &String| HostResult::new(name.clone(), Status::Skipped, "");
        let mut results: Vec<HostResult> = names.iter().map(skipped).collect();
        let items: Vec<(usize, Target)> = targets.into_iter().enumerate().collect();
        let what = verb.to_owned();
        let interrupted = self.block_on(async {
            let client = self.client_beside(Some(progress.clone()));
            let cancel = self.cancel(&progress)?;
            let (forks, per_host_deadline) = match pass.span {
                Span::UpTo(deadline) => (self.forks(inventory), Some(deadline.saturating_add(GRACE))),
                Span::UntilInterrupted => {
                    abort_when_interrupted(cancel.clone());
                    (self.forks_for(items.len()), None)
                }
            };
            let options = FanoutOptions {
                forks,
                most: within_open_files(items.len()).0,
                // A verb that bounds its own commands hands in what they had printed.
                per_host_deadline,
                cancel: cancel.clone(),
            };
            let steps = progress.clone();
            let mut outcomes = fanout::run(items, options, move |(_, target)| {
                steps.step(target.name.as_str(), &what);
                work(client.clone(), target)
            });
            while let Some(((number, target), outcome)) = outcomes.recv().await {
                let result = recap::of_outcome(target.name.as_str(), outcome, |result| result);
                progress.ended(&result);
                if let Some(place) = results.get_mut(number) {
                    *place = result;
                }
            }
            Ok(cancel.is_stopping())
        })?;
        progress.finish();
        let stopped = if interrupted { Stopped::ByInterrupt } else { Stopped::No };
        Ok(Recap { results, stopped })
    }

    /// Returns what Ctrl-C reaches a run through: the first one stops starting hosts and says who is still at work, a
    /// second one within two seconds aborts.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn cancel(&self, progress: &Arc<Progress>) -> Result<Cancel, Error> {
        let cancel = Cancel::new();
        cancel.listen().map_err(|error| config("cannot listen for signals").caused_by(error))?;
        let (told, progress, questions) = (cancel.clone(), progress.clone(), self.questions.clone());
        tokio::spawn(async move {
            told.stopping().await;
            // An open question lets nothing be printed; what is said waits for its end, and is said before the run's.
            progress.interrupted();
            questions.call_off();
        });
        Ok(cancel)
    }

    /// Returns how long one host may take in all.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.global.timeout.unwrap_or(HOST_DEADLINE_S))
    }

    /// With `--json`, shows each host's result, a line each; for verbs whose recap is all they have to say.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print_results(&self, recap: &Recap) -> Result<(), Error> {
        if self.global.json {
            for result in &recap.results {
                printed(print::json_line(&ResultLine::of(result)))?;
            }
        }
        Ok(())
    }

    /// Shows the recap on stderr, remembers it for `@failed`, and returns the exit code.
    ///
    /// # Errors
    /// None; a verb ends with its answer.
    pub fn finish(&self, inventory: &Inventory, recap: &Recap) -> Result<Exit, Error> {
        if let Some(state) = dirs::state_dir() {
            let path = last_run::path(&state, &inventory.fleet.name);
            if let Err(error) = last_run::write(&path, recap) {
                print::note(&format!(
                    "warning: {} cannot be written, so @failed keeps its old meaning: {error}",
                    path.display()
                ));
            }
        }
        if !self.global.quiet {
            print::note(recap.text().trim_end());
        }
        Ok(recap.exit())
    }

    fn selection(&self, inventory: &Inventory, patterns: &[String]) -> Selection {
        let mut selection = Selection::limit(patterns.iter().cloned());
        selection.exclude.clone_from(&self.global.exclude);
        if let Some(state) = dirs::state_dir() {
            selection.remembered = last_run::read(&last_run::path(&state, &inventory.fleet.name));
        }
        selection
    }
}

/// Makes the first interrupt the last: what goes on for ever has nothing to bring to an end.
fn abort_when_interrupted(cancel: Cancel) {
    tokio::spawn(async move {
        cancel.stopping().await;
        cancel.abort();
    });
}

/// Returns how many hosts the open files allow, up to `wanted`, and the limit of open files.
pub(crate) fn within_open_files(wanted: usize) -> (NonZeroUsize, Option<u64>) {
    let wanted = NonZeroUsize::new(wanted).unwrap_or(NonZeroUsize::MIN);
    match open_files::raise() {
        Ok(limit) => (open_files::forks_within(limit, wanted), Some(limit)),
        Err(_) => (wanted, None),
    }
}
