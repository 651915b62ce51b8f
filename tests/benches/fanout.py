#!/usr/bin/env python3
"""Measures running a trivial command on many hosts, cold: ours and its peers, in one run on one machine.

Every address of 127.0.0.0/8 is this machine, so a few OpenSSH servers, 16 addresses each, are thousands of hosts.
Nothing leaves loopback, and only processes started here are ended. Peers that are not installed are left out and said.

    cargo build --release -p agent-runner-fleet
    python3 -m venv peers && peers/bin/pip install parallel-ssh ClusterShell pyinfra
    cargo install bssh --root peers
    tests/benches/fanout.py --peers peers/bin --sizes 50,200,1000

`--limit-files 1024` runs ours under `ulimit -n 1024`; `--black-holes 30` makes that share of the hosts silent.
"""

import argparse
import os
import pathlib
import pwd
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PER_SERVER = 16  # sshd takes no more ListenAddress lines.
# Curve25519 for all: OpenSSH's post-quantum default costs its client 50 ms of CPU, which ours does not offer.
KEX = "curve25519-sha256"


def addresses(count):
    return [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(count)]


class Fleet:
    """The servers, and what clients need to reach them."""

    def __init__(self, folder, hosts, port, silent):
        self.folder, self.hosts, self.port = folder, hosts, port
        self.servers, self.holes = [], []
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
        for name in ("host", "client"):
            subprocess.run(keygen + [str(folder / name)], check=True)
        key = (folder / "host.pub").read_text().split()
        self.known = folder / "known_hosts"
        self.known.write_text("".join(f"[{host}]:{port} {key[0]} {key[1]}\n" for host in hosts))
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        speaking = hosts[: len(hosts) - silent]
        for start in range(0, len(speaking), PER_SERVER):
            self.serve(start // PER_SERVER, speaking[start : start + PER_SERVER])
        for host in hosts[len(hosts) - silent :]:
            # Takes connections and never says anything: the kernel answers for it.
            hole = socket.socket()
            hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            hole.bind((host, port))
            hole.listen(16)
            self.holes.append(hole)
        for host in speaking[::PER_SERVER]:
            self.wait(host)

    def serve(self, number, hosts):
        config = self.folder / f"sshd_config.{number}"
        lines = [f"ListenAddress {host}:{self.port}" for host in hosts]
        lines += [f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/authorized"]
        lines += ["PidFile none", "StrictModes no", "UsePAM no", "UseDNS no", "PermitRootLogin yes"]
        lines += ["MaxStartups 2000:30:3000", "PerSourceMaxStartups none", "PrintMotd no", "LogLevel ERROR"]
        config.write_text("\n".join(lines) + "\n")
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        log = open(self.folder / "sshd.log", "ab")
        self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def wait(self, host):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((host, self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"no server at {host}: {(self.folder / 'sshd.log').read_text()}")

    def close(self):
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
        for server in self.servers:
            server.wait()
        for hole in self.holes:
            hole.close()


def tree_rss(pid):
    """Resident KiB of a process and all below it."""
    parents, sizes = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry)], sizes[int(entry)] = int(stat[1]), int(stat[21]) * 4
            except OSError:
                continue
    total = 0
    for process in sizes:
        at = process
        while at in parents and at != pid:
            at = parents[at]
        total += sizes[process] if at == pid else 0
    return total


def measure(command, env, files, is_tree):
    """Runs a command and returns wall seconds, CPU seconds, peak resident MiB, exit code and output."""

    def limit():
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=limit)
        peak, over = [0], threading.Event()

        def watch():
            while not over.wait(0.1):
                peak[0] = max(peak[0], tree_rss(child.pid))

        # Walking /proc costs CPU that the servers want: only where there is a tree to add up.
        watcher = threading.Thread(target=watch)
        if is_tree:
            watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        over.set()
        if is_tree:
            watcher.join()
        said.seek(0)
        text = said.read().decode(errors="replace")
    rss = max(usage.ru_maxrss, peak[0]) / 1024
    return wall, usage.ru_utime + usage.ru_stime, rss, child.returncode, text


PARALLEL_SSH = """
import sys
from pssh.clients import ParallelSSHClient
hosts = open(sys.argv[1]).read().split()
client = ParallelSSHClient(hosts, user=sys.argv[4], port=int(sys.argv[2]), pkey=sys.argv[3], pool_size=len(hosts))
output = client.run_command("true")
client.join(output)
sys.exit(any(host.exit_code for host in output))
"""


def tools(args, fleet, user):
    """Name, command, environment, whether it is a tree of processes."""
    folder, hosts, port = fleet.folder, fleet.hosts, fleet.port
    count = str(len(hosts))
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    ssh = f"Host 127.*\n  Port {port}\n  User {user}\n  IdentityFile {folder}/client\n  IdentitiesOnly yes\n"
    ssh += f"  UserKnownHostsFile {fleet.known}\n  KexAlgorithms {KEX}\n"
    (home / ".ssh/config").write_text(ssh)
    (folder / "hosts").write_text("\n".join(hosts) + "\n")
    (folder / "inventory.py").write_text(
        f"all_hosts = {hosts!r}, dict(ssh_port={port}, ssh_user={user!r}, ssh_key='{folder}/client',"
        f" ssh_known_hosts_file='{fleet.known}', ssh_strict_host_key_checking='yes')\n"
    )
    listed = ", ".join(f'"{host}"' for host in hosts)
    (folder / "fleet.toml").write_text(f'[fleet]\nname = "bench"\n[groups.hosts]\nhosts = [{listed}]\n')
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "USER": user}
    peers = pathlib.Path(args.peers) if args.peers else None
    options = f"-F {home}/.ssh/config -oStrictHostKeyChecking=yes"
    every = ",".join(f"{user}@{host}:{port}" for host in hosts)
    ours = [args.ours, "-i", str(folder / "fleet.toml"), "exec", "--quiet", "--forks", count]
    known = [
        ("agent-runner-fleet", ours + ["--connect-timeout", str(args.connect_timeout), "--", "true"], env, False),
    ]
    if peers and not args.only_ours:
        known += [
            ("parallel-ssh", [peers / "python", "-c", PARALLEL_SSH, folder / "hosts", str(port), folder / "client", user], env, False),
            ("ClusterShell", [peers / "clush", "-q", "-o", options, "-f", count, "--hostfile", folder / "hosts", "true"], env, True),
            ("pyinfra", [peers / "pyinfra", "-y", "--parallel", count, folder / "inventory.py", "exec", "--", "true"], env, False),
            ("bssh", [peers / "bssh", "-H", every, "-i", folder / "client", "--parallel", count, "--strict-host-key-checking", "no", "exec", "true"], env, False),
        ]
    for name, command, env, is_tree in known:
        if pathlib.Path(command[0]).exists():
            yield name, [str(word) for word in command], env, is_tree
        else:
            print(f"SKIPPED: {name}: {command[0]} is not installed", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=str(ROOT / "target/release/agent-runner-fleet"))
    parser.add_argument("--peers", help="the folder with the peers' programs")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--sizes", default="50,200,1000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--port", type=int, default=2222)
    parser.add_argument("--limit-files", type=int, default=0)
    parser.add_argument("--black-holes", type=int, default=0, metavar="PERCENT")
    parser.add_argument("--connect-timeout", type=int, default=30)
    args = parser.parse_args()
    # Servers are ended on the way out, also when somebody else ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    user = pwd.getpwuid(os.getuid()).pw_name
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| hosts | tool | wall s | client CPU s | CPU ms/host | peak RSS MiB |\n|---|---|---|---|---|---|", flush=True)
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="fanout-") as name:
            os.chmod(name, 0o755)
            silent = size * args.black_holes // 100
            fleet = Fleet(pathlib.Path(name), addresses(size), args.port, silent)
            try:
                for name, command, env, is_tree in tools(args, fleet, user):
                    results = []
                    for _ in range(args.runs):
                        *numbers, code, text = measure(command, env, args.limit_files, is_tree)
                        if code != 0 and not silent:
                            print(f"{name} ended with {code}: {text[-800:]}", file=sys.stderr)
                        results.append(numbers)
                    wall, cpu, rss = (statistics.median(column) for column in zip(*results))
                    print(f"| {size} | {name} | {wall:.2f} | {cpu:.2f} | {cpu * 1000 / size:.2f} | {rss:.0f} |", flush=True)
            finally:
                fleet.close()


if __name__ == "__main__":
    main()
