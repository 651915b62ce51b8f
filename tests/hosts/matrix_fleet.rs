//! The odd hosts of the matrix, and a controller that knows them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agent_runner_tests::fleet::Controller;
use agent_runner_tests::lab::{Host, HostOptions, Lab, Sudo};
use agent_runner_tests::run::{checked, find_program};
use agent_runner_tests::skip::Unavailable;
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::wait;

/// The password of the host that wants one.
pub(crate) const PASSWORD: &str = "open 'sesame";

/// Odd hosts, up.
pub(crate) struct MatrixFleet {
    pub(crate) controller: Controller,
    pub(crate) has_dropbear: bool,
    pub(crate) has_busybox: bool,
    lab: Lab,
}

impl MatrixFleet {
    /// Whether the resolver that never answers was asked.
    pub(crate) fn slow_resolver_was_asked(&self) -> anyhow::Result<bool> {
        let [fish, ..] = self.lab.hosts() else { return Ok(false) };
        Ok(fish.root("test -s /run/asked")?.success())
    }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Boots them and writes what the controller needs to reach each.
pub(crate) fn matrix_fleet() -> Result<MatrixFleet, Unavailable> {
    let options = [
        HostOptions {
            login_shell: "/usr/bin/fish".into(),
            umask: Some(0o77),
            sshd_lines: lines(&["Banner /etc/issue", "UseDNS yes"]),
            ..HostOptions::default()
        },
        HostOptions {
            login_shell: "/bin/tcsh".into(),
            sshd_lines: lines(&[
                "MaxSessions 1",
                "MaxStartups 2:50:4",
                "HostKey /etc/ssh/ssh_host_ecdsa_key",
            ]),
            sudo: Sudo::Passwordless,
            ..HostOptions::default()
        },
        HostOptions {
            sshd_lines: lines(&["AuthorizedKeysFile none", "TrustedUserCAKeys /etc/ssh/ca.pub"]),
            ..HostOptions::default()
        },
        HostOptions {
            sshd_lines: lines(&[
                "PubkeyAuthentication no",
                "PasswordAuthentication yes",
                "KbdInteractiveAuthentication yes",
                "UsePAM yes",
            ]),
            ..HostOptions::default()
        },
        HostOptions::default(),
        HostOptions::default(),
    ];
    let lab = Lab::up_with(&options)?;
    let [fish, tcsh, certificate, password, middle, inner] = lab.hosts() else {
        return Err(Unavailable::Failed(anyhow::anyhow!("six hosts were asked for")));
    };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test"))?;
    let home = controller.home().to_owned();
    fish.mount_small_disk("/home/ops/full", 1)?;
    fish.fill_disk("/home/ops/full")?;
    root(
        tcsh,
        "rm -f /usr/lib/openssh/sftp-server /bin/gzip /usr/bin/gzip; ssh-keygen -A && systemctl restart ssh",
    )?;
    let ca = Key::generate(home.join("ca"), KeyKind::Ed25519, "")?;
    root(certificate, &format!("echo '{}' > /etc/ssh/ca.pub && systemctl restart ssh", ca.public()?))?;
    let signed = Key::generate(home.join("signed"), KeyKind::Ed25519, "")?;
    let paths = [ca.path(), signed.path()].map(|path| path.display().to_string());
    checked("ssh-keygen", &["-q", "-I", "ops", "-n", "ops", "-s", &paths[0], &paths[1]], wait::DEADLINE)?;
    root(password, &format!("echo \"ops:{PASSWORD}\" | chpasswd"))?;
    for (host, from) in [(middle, fish), (inner, middle)] {
        let line = format!("AllowUsers ops@{}", from.address());
        root(host, &format!("echo '{line}' > /etc/ssh/sshd_config.d/10-from.conf && systemctl restart ssh"))?;
    }
    mute_resolver(fish)?;
    let (has_dropbear, has_busybox) = (dropbear(middle)?, busybox(middle)?);
    let recorded = fs::read_to_string(lab.known_hosts()).map_err(anyhow::Error::from)?;
    let ecdsa = root(tcsh, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ecdsa_key.pub")?;
    let other = Key::generate(home.join("other"), KeyKind::Ed25519, "")?.public()?;
    let own = key_of(&recorded, fish)?;
    let mut known = recorded.clone();
    if has_dropbear {
        let key = root(middle, "cat /root/dropbear/key.pub")?;
        known.push_str(&format!("[{}]:2200 {key}\n", middle.address()));
    }
    if has_busybox {
        let key = root(middle, "cat /root/busybox/key.pub")?;
        known.push_str(&format!("[{}]:2201 {key}\n", middle.address()));
    }
    controller.write("known", &known)?;
    controller.write("known-changed", &format!("{} {other}\n", fish.address()))?;
    controller.write("known-second", &format!("{} {ecdsa}\n", tcsh.address()))?;
    controller.write("known-revoked", &format!("{0} {own}\n@revoked {0} {own}\n", fish.address()))?;
    controller.write("known-nobody", "")?;
    let mut config = String::new();
    let mut host = |alias: &str, host: &Host, more: &str| {
        config.push_str(&format!("Host {alias}\n    HostName {}\n{more}", host.address()));
    };
    let home = home.display();
    host("fish", fish, "");
    host("tcsh", tcsh, "");
    host("s*", tcsh, "");
    host("m??", tcsh, "");
    for (alias, of, known) in [
        ("changed", fish, "changed"),
        ("second", tcsh, "second"),
        ("revoked", fish, "revoked"),
        ("stranger", fish, "nobody"),
    ] {
        host(alias, of, &format!("    UserKnownHostsFile {home}/known-{known}\n"));
    }
    host("certificate", certificate, &format!("    IdentityFile {home}/signed\n"));
    host("no-certificate", certificate, "");
    host("password", password, "    PreferredAuthentications publickey,password\n");
    host("asks", password, "    PreferredAuthentications keyboard-interactive\n");
    host("middle", middle, "    ProxyJump fish\n");
    host("straight", middle, "");
    host("inner", inner, "    ProxyJump fish,middle-hop\n");
    host("middle-hop", middle, "");
    host("dropbear", middle, "    Port 2200\n");
    host("busybox", middle, "    Port 2201\n");
    config.push_str(&format!(
        "Host *\n    User ops\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {home}/known\n",
        lab.key().display()
    ));
    // The pattern of four must not catch other names that begin alike.
    let config = config.replace("Host s*\n", "Host s1 s2 s3 s4\n");
    controller.write(".ssh/config", &config)?;
    // Settings that differ make connections of their own to one and the same host.
    let several: String =
        (1..=12).map(|n| format!("[hosts.m{n:02}]\nconnect_timeout = {}\n", 40 + n)).collect();
    let names = "\"fish\", \"tcsh\", \"s[1-4]\", \"changed\", \"second\", \"revoked\", \"stranger\", \"certificate\", \
                 \"no-certificate\", \"password\", \"asks\", \"middle\", \"straight\", \"inner\", \"dropbear\", \"busybox\"";
    controller.write(
        "fleet.toml",
        &format!("[fleet]\nname = \"odd\"\n[groups.odd]\nhosts = [{names}]\n{several}"),
    )?;
    controller.write("askpass", &format!("#!/bin/sh\ncat <<'E'\n{PASSWORD}\nE\n"))?;
    let askpass = controller.home().join("askpass");
    fs::set_permissions(askpass, fs::Permissions::from_mode(0o755)).map_err(anyhow::Error::from)?;
    Ok(MatrixFleet { controller, has_dropbear, has_busybox, lab })
}

fn root(host: &Host, command: &str) -> anyhow::Result<String> {
    host.root(command)?.checked()
}

fn key_of(recorded: &str, host: &Host) -> anyhow::Result<String> {
    let begin = format!("{} ", host.address());
    let line = recorded.lines().find_map(|line| line.strip_prefix(&begin));
    line.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("no key of {begin}is recorded"))
}

/// Starts this machine's dropbear on a host, beside its sshd; `false` where this machine has none.
fn dropbear(host: &Host) -> anyhow::Result<bool> {
    let folder = host.root_dir().join("root/dropbear");
    fs::create_dir(&folder)?;
    if !copy_dropbear(&folder)? {
        return Ok(false);
    }
    let start = "cd /root/dropbear && export LD_LIBRARY_PATH=/root/dropbear\n\
                 ./dropbearkey -t ed25519 -f key | grep ^ssh- | cut -d' ' -f1,2 > key.pub\n\
                 /root/dropbear/dropbear -r /root/dropbear/key -p 2200 -P /root/dropbear/pid";
    root(host, start)?;
    Ok(true)
}

/// Starts dropbear in a root of its own that holds busybox and nothing else: no coreutils, no bash, no sudo. `false` where
/// this machine lacks either.
fn busybox(host: &Host) -> anyhow::Result<bool> {
    let Some(busybox) = find_program("busybox") else { return Ok(false) };
    let inside = host.root_dir().join("root/busybox");
    for folder in ["bin", "dev", "etc", "lib", "lib64", "proc", "root", "tmp", "home/ops/.ssh"] {
        fs::create_dir_all(inside.join(folder))?;
    }
    if !copy_dropbear(&inside.join("lib"))? {
        return Ok(false);
    }
    fs::copy(busybox, inside.join("bin/busybox"))?;
    fs::write(inside.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nops:x:1000:1000::/home/ops:/bin/sh\n")?;
    fs::write(inside.join("etc/group"), "root:x:0:\nops:x:1000:\n")?;
    let start = "cd /root/busybox && cp /lib64/ld-linux-*.so.* lib64/ && mount --bind /dev dev\n\
                 cp /home/ops/.ssh/authorized_keys home/ops/.ssh/ && chown -R 1000:1000 home/ops\n\
                 chroot . /bin/busybox --install -s /bin\n\
                 LD_LIBRARY_PATH=/lib chroot . /lib/dropbearkey -t ed25519 -f /root/key | grep ^ssh- | cut -d' ' -f1,2 > key.pub\n\
                 LD_LIBRARY_PATH=/lib chroot . /lib/dropbear -r /root/key -p 2201 -P /root/pid";
    root(host, start)?;
    Ok(true)
}

/// Copies this machine's dropbear with its libraries; `false` where it has none.
fn copy_dropbear(folder: &Path) -> anyhow::Result<bool> {
    let Some(server) = find_program("dropbear") else { return Ok(false) };
    let Some(keygen) = find_program("dropbearkey") else { return Ok(false) };
    let needed = checked("ldd", &[&server.display().to_string()], wait::DEADLINE)?;
    let libraries =
        needed.lines().filter_map(|line| line.split("=> ").nth(1)?.split(' ').next().map(str::to_owned));
    for file in libraries.chain([server.display().to_string(), keygen.display().to_string()]) {
        let Some(name) = Path::new(&file).file_name() else { continue };
        fs::copy(&file, folder.join(name))?;
    }
    Ok(true)
}

/// Gives a host a resolver that is asked and never answers, and says where it counts.
fn mute_resolver(host: &Host) -> anyhow::Result<()> {
    let script = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:53', Proto => 'udp') or die;\n\
                  while (defined $s->recv(my $b, 512)) { open my $f, '>>', '/run/asked'; print $f 'x'; close $f }\n";
    host.put("/root/mute", script.as_bytes(), 0o644)?;
    let resolv = "printf 'nameserver 127.0.0.1\\noptions timeout:2 attempts:1\\n' > /etc/resolv.conf";
    root(host, &format!("{resolv} && systemd-run --quiet --unit=mute perl /root/mute"))?;
    Ok(())
}
