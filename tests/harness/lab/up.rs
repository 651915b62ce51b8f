//! A run: boots hosts, and takes everything down when dropped.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;

use super::boot::Machine;
use super::host::{Client, Host};
use super::layout::{RUNS, RunId};
use super::network::{self, Subnet};
use super::options::HostOptions;
use super::overlay::{Content, Disk};
use super::teardown::{Guard, runs};
use super::{debian, needs};
use crate::packages::lock;
use crate::process::Process;
use crate::run::checked;
use crate::skip::Unavailable;
use crate::sshd::keys::{Key, KeyKind};

/// The last part of the first host's address.
const FIRST_ADDRESS: usize = 11;
/// As many as fit into the subnet.
const MAX_HOSTS: usize = 240;
/// Booting more at once than this only makes each slower.
const BOOT_AT_ONCE: usize = 8;

/// Hosts that are up. Dropped, they are gone without a trace; a killed owner's hosts are, too.
#[derive(Debug)]
pub struct Lab {
    hosts: Vec<Host>,
    address: Ipv4Addr,
    id: RunId,
    key: Key,
    guard: Guard,
}

impl Lab {
    /// Boots `count` plain hosts.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where this machine cannot boot hosts.
    pub fn up(count: usize) -> Result<Self, Unavailable> {
        Self::up_with(&vec![HostOptions::default(); count])
    }

    /// Boots one host for each of `options`.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up_with(options: &[HostOptions]) -> Result<Self, Unavailable> {
        needs::check()?;
        let root = debian::root()?;
        Ok(Self::boot(&root, options)?)
    }

    /// The hosts, in the order of their options.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// This machine's address on the bridge: the hosts reach what listens there, and no other machine does.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The middle of the hosts' names.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// A folder that goes with the run: for what must not outlive it, however it ends.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.id.folder()
    }

    /// The private key that may log in as the user and as root.
    #[must_use]
    pub fn key(&self) -> &Path {
        self.key.path()
    }

    /// A `known_hosts` file with the keys the hosts had when they were made.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.id.folder().join("known_hosts")
    }

    /// Fills `home/.ssh` (config, key, known_hosts) so that a client with this HOME reaches every host by
    /// its name, and returns the path of the config.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_ssh_config(&self, home: &Path) -> anyhow::Result<PathBuf> {
        let ssh = home.join(".ssh");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&ssh)?;
        fs::copy(self.known_hosts(), ssh.join("known_hosts"))?;
        let key = ssh.join("id_ed25519");
        fs::copy(self.key(), &key)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        fs::copy(self.key.public_path(), ssh.join("id_ed25519.pub"))?;
        let mut text = String::new();
        for host in &self.hosts {
            text.push_str(&format!(
                "Host {}\n    HostName {}\n    User {}\n    IdentityFile {}\n    IdentitiesOnly yes\n    \
                 UserKnownHostsFile {}\n",
                host.name(),
                host.address(),
                host.user(),
                key.display(),
                ssh.join("known_hosts").display()
            ));
        }
        let config = ssh.join("config");
        fs::write(&config, text)?;
        Ok(config)
    }

    /// Takes everything down and says whether anything is left; dropping does the same.
    ///
    /// # Errors
    /// Where something is left.
    pub fn down(mut self) -> anyhow::Result<()> {
        self.take_down()
    }

    fn boot(root: &Path, options: &[HostOptions]) -> anyhow::Result<Self> {
        anyhow::ensure!(options.len() <= MAX_HOSTS, "at most {MAX_HOSTS} hosts fit into a subnet");
        let (mut lab, subnet) = Self::begin()?;
        let client = Client { key: lab.key().to_owned(), known_hosts: lab.known_hosts() };
        let mut known_hosts = String::new();
        for (number, options) in (1..).zip(options) {
            let address = subnet.address(u8::try_from(FIRST_ADDRESS + number - 1)?);
            let name = lab.id.host(number);
            let content = Content { hostname: &name, authorized_key: &lab.key.public()?, options };
            let disk = Disk::make(lab.id.disks().join(number.to_string()), root, content)?;
            known_hosts.push_str(&format!("{address} {}\n", disk.new_host_key()?));
            let machine = Machine {
                cgroups: lab.id.cgroups(&name, |path| Path::new(path).join("cgroup.procs").exists()),
                root: disk.root(),
                read_only: options.read_only.clone(),
                console: lab.id.folder().join(format!("console-{number}")),
                name,
            };
            let bridge = lab.id.bridge();
            let wrapper = Mutex::new(None);
            lab.hosts.push(Host { address, bridge, machine, disk, client: client.clone(), wrapper });
        }
        fs::write(lab.known_hosts(), known_hosts)?;
        for batch in lab.hosts.chunks(BOOT_AT_ONCE) {
            batch.iter().try_for_each(Host::switch_on)?;
            batch.iter().try_for_each(Host::wait_up)?;
        }
        Ok(lab)
    }

    /// A run without hosts, after clearing away what dead runs left.
    fn begin() -> anyhow::Result<(Self, Subnet)> {
        fs::create_dir_all(RUNS).context(RUNS)?;
        let _lock = lock(&Path::new(RUNS).join("lock"), Duration::from_secs(300))?;
        for run in runs()?.iter().filter(|run| !run.has_owner()) {
            run.down()?;
        }
        let id = new_id()?;
        let folder = id.folder();
        fs::DirBuilder::new().mode(0o700).create(&folder).context("cannot begin a run")?;
        fs::write(folder.join("owner"), serde_json::to_vec(&Process::own()?)?)?;
        let key = Key::generate(folder.join("key"), KeyKind::Ed25519, "")?;
        let guard = Guard::start(&id)?;
        // From here on, whatever fails, dropping it takes everything down.
        let mut lab = Self { hosts: Vec::new(), address: Ipv4Addr::UNSPECIFIED, id, key, guard };
        let disks = lab.id.disks();
        fs::create_dir(&disks)?;
        let point = disks.display().to_string();
        checked("mount", &["-t", "tmpfs", "-o", "mode=0755", "lab-disks", &point], Duration::from_secs(30))?;
        let subnet = network::make_bridge(&lab.id)?;
        lab.address = subnet.address(1);
        Ok((lab, subnet))
    }

    fn take_down(&mut self) -> anyhow::Result<()> {
        let down = self.guard.down();
        // The hosts are dead: this only collects them.
        for host in &self.hosts {
            let _ = host.wrapper();
        }
        down
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.take_down() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "lab {}: {error:#}", self.id.as_str());
        }
    }
}

fn new_id() -> anyhow::Result<RunId> {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    random.get(..6).and_then(RunId::parse).context("the kernel gives no random id")
}
