#!/usr/bin/env python3
"""Measures running a trivial command on many hosts, cold: ours and its peers, in one run on one machine.

Every address of 127.0.0.0/8 is this machine, so a few OpenSSH servers, 16 addresses each, are thousands of hosts.
Nothing leaves loopback, and only processes started here are ended. Peers that are not installed are left out and said.

    cargo build --release -p agent-runner-fleet
    python3 -m venv peers && peers/bin/pip install parallel-ssh ClusterShell pyinfra
    cargo install bssh --root peers
    tests/benches/fanout.py --peers peers/bin          # everything, as docs/performance-fleet.md shows it
    tests/benches/fanout.py --peers peers/bin --quick  # 50 hosts, once

Ends with 1 when any host was not reached that should be, or the other way round.
"""

import argparse
import json
import os
import pathlib
import pwd
import resource
import select
import shutil
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
LONGEST = 1800  # Seconds any run may take.


def addresses(count):
    return [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(count)]


class Fleet:
    """The servers, and what clients need to reach them."""

    def __init__(self, folder, hosts, port, silent, lines=()):
        self.lines = lines
        self.folder, self.hosts, self.port, self.silent = folder, hosts, port, silent
        self.servers, self.holes = [], []
        self.bare_home = folder / "bare"
        self.bare_home.mkdir()
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
        for name in ("host", "client"):
            subprocess.run(keygen + [str(folder / name)], check=True)
        key = (folder / "host.pub").read_text().split()
        self.known = folder / "known_hosts"
        self.known.write_text("".join(f"[{host}]:{port} {key[0]} {key[1]}\n" for host in hosts))
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        try:
            # Spread evenly: the silent ones are among those that are started first, too.
            dead = {hosts[number * len(hosts) // silent] for number in range(silent)} if silent else set()
            self.speaking = [host for host in hosts if host not in dead]
            for start in range(0, len(self.speaking), PER_SERVER):
                self.serve(start // PER_SERVER, self.speaking[start : start + PER_SERVER])
            for number, host in enumerate(sorted(dead)):
                self.dig(host, swallows=number % 2 == 0)
            for host in self.speaking[::PER_SERVER]:
                self.wait(host)
        except BaseException:
            self.close()
            raise

    def serve(self, number, hosts):
        config = self.folder / f"sshd_config.{number}"
        lines = [f"ListenAddress {host}:{self.port}" for host in hosts]
        lines += [f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/authorized"]
        lines += ["PidFile none", "StrictModes no", "UsePAM no", "UseDNS no", "PermitRootLogin yes"]
        # What the account's shell does when it starts is none of the servers' business: some take seconds for it.
        lines += [f"SetEnv HOME={self.bare_home}"]
        lines += ["MaxStartups 2000:30:3000", "PerSourceMaxStartups none", "PrintMotd no", "LogLevel ERROR"]
        config.write_text("\n".join([*lines, *self.lines]) + "\n")
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        with open(self.folder / "sshd.log", "ab") as log:
            self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def dig(self, host, swallows):
        """A host that is as good as off: it takes connections and says nothing, or its packets get no answer at all."""
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((host, self.port))
        hole.listen(1024 if swallows else 0)
        self.holes.append(hole)
        # Once the queue is full, the kernel drops what comes.
        for _ in range(0 if swallows else 3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((host, self.port))
            self.holes.append(filler)

    def wait(self, host):
        until = time.monotonic() + 120
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


class Ran:
    """One run of one tool."""

    def __init__(self, command, env, files, is_tree):
        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        began = time.monotonic()
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, preexec_fn=limit
            )
            peak, over = [0], threading.Event()

            def watch():
                while not over.wait(0.1):
                    peak[0] = max(peak[0], tree_rss(child.pid))

            # Walking /proc costs CPU that the servers want: only where there is a tree to add up.
            watcher = threading.Thread(target=watch)
            if is_tree:
                watcher.start()
            # Each line of stdout with the time it came.
            self.lines, rest, until = [], b"", began + LONGEST
            while True:
                if not select.select([child.stdout], [], [], max(0, until - time.monotonic()))[0]:
                    child.kill()
                    break
                piece = os.read(child.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *whole, rest = (rest + piece).split(b"\n")
                self.lines += [(time.monotonic() - began, line) for line in whole]
            _, status, usage = os.wait4(child.pid, 0)
            self.wall = time.monotonic() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            over.set()
            if is_tree:
                watcher.join()
            said.seek(0)
            self.errors = said.read().decode(errors="replace")
        self.code = child.returncode
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss = max(usage.ru_maxrss, peak[0]) / 1024


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
    config = home / ".ssh/config"
    config.write_text(ssh)
    (folder / "hosts").write_text("\n".join(hosts) + "\n")
    (folder / "inventory.py").write_text(
        f"all_hosts = {hosts!r}, dict(ssh_port={port}, ssh_user={user!r}, ssh_key='{folder}/client',"
        f" ssh_known_hosts_file='{fleet.known}', ssh_strict_host_key_checking='yes')\n"
    )
    listed = ", ".join(f'"{host}"' for host in hosts)
    (folder / "fleet.toml").write_text(f'[fleet]\nname = "bench"\n[groups.hosts]\nhosts = [{listed}]\n')
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "USER": user}
    peers = pathlib.Path(args.peers) if args.peers else pathlib.Path("/nonexistent")
    options = f"-F {config} -oStrictHostKeyChecking=yes"
    every = ",".join(f"{user}@{host}:{port}" for host in hosts)
    ours = [args.ours, "-i", folder / "fleet.toml", "exec", "--quiet", "--json"]
    ours += ["--forks", str(args.forks)] if args.forks else []
    ours += ["--connect-timeout", str(args.connect_timeout), "--", "true"]
    xargs = ["xargs", "-a", folder / "hosts", "-P", count, "-I{}", "ssh", "-F", config, "-oStrictHostKeyChecking=yes", "{}", "true"]
    pssh = [peers / "python", "-c", PARALLEL_SSH, folder / "hosts", str(port), folder / "client", user]
    clush = [peers / "clush", "-q", "-o", options, "-f", count, "--hostfile", folder / "hosts", "true"]
    pyinfra = [peers / "pyinfra", "-y", "--parallel", count, folder / "inventory.py", "exec", "--", "true"]
    bssh = [peers / "bssh", "-H", every, "-i", folder / "client", "--parallel", count]
    bssh += ["--strict-host-key-checking", "no", "exec", "true"]
    known = [("agent-runner-fleet", ours, False), ("OpenSSH by xargs", xargs, True)]
    known += [("parallel-ssh", pssh, False), ("ClusterShell (OpenSSH)", clush, True), ("pyinfra", pyinfra, False), ("bssh", bssh, False)]
    for name, command, is_tree in known:
        if shutil.which(str(command[0])):
            yield name, [str(word) for word in command], env, is_tree
        elif name not in SKIPPED:
            SKIPPED.add(name)
            print(f"SKIPPED: {name}: {command[0]} is not installed", file=sys.stderr)


SKIPPED = set()
WRONG = []


def check_ours(ran, fleet, what):
    """Holds each host's end against what it is; returns when the last one that speaks had ended."""
    ends = {}
    for at, line in ran.lines:
        said = json.loads(line)
        ends.setdefault(said["host"], []).append((at, said["result"]))
    for host in fleet.hosts:
        expected = "ok" if host in fleet.speaking_set else "unreachable"
        if [result for _, result in ends.get(host, [])] != [expected]:
            WRONG.append(f"{what}: {host} is {expected}, and its lines say {ends.get(host)}")
    if ran.code != (4 if fleet.silent else 0):
        WRONG.append(f"{what}: ended with {ran.code}: {ran.errors[-800:]}")
    return max((at for host in fleet.speaking for at, _ in ends.get(host, [])), default=0)


def measure(args, case, user):
    """Prints a row for each tool."""
    size, percent, files, only_ours, runs = case
    note = "".join([f", {percent} % silent" if percent else "", f", {files} open files" if files else ""])
    with tempfile.TemporaryDirectory(prefix="fanout-") as name:
        os.chmod(name, 0o755)
        fleet = Fleet(pathlib.Path(name), addresses(size), args.port, size * percent // 100)
        fleet.speaking_set = set(fleet.speaking)
        try:
            for name, command, env, is_tree in tools(args, fleet, user):
                is_ours = name == "agent-runner-fleet"
                if only_ours and not is_ours:
                    continue
                results = []
                for _ in range(runs):
                    ran = Ran(command, env, files, is_tree)
                    done = check_ours(ran, fleet, f"{size} hosts{note}") if is_ours else ran.wall
                    if not is_ours and ran.code != 0:
                        print(f"{name} ended with {ran.code}: {ran.errors[-400:]}", file=sys.stderr)
                        name = f"{name} (failed)" if not name.endswith("(failed)") else name
                    results.append((ran.wall, done, ran.cpu, ran.rss))
                wall, done, cpu, rss = (statistics.median(column) for column in zip(*results))
                row = [f"{size}{note}", name, f"{wall:.2f}", f"{done:.2f}", f"{cpu:.2f}", f"{cpu * 1000 / size:.2f}", f"{rss:.0f}"]
                print("| " + " | ".join(row) + " |", flush=True)
        finally:
            fleet.close()


def machine():
    """What was measured on, in a line."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    server = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores of {model}, {server}, load {load:.1f} before it began, {time.strftime('%Y-%m-%d', time.gmtime())}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=str(ROOT / "target/release/agent-runner-fleet"))
    parser.add_argument("--peers", help="the folder with the peers' programs")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--quick", action="store_true", help="50 hosts, once, and 50 of which 30 %% are silent")
    parser.add_argument("--sizes", help="only these, as 50,200")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--port", type=int, default=2222)
    parser.add_argument("--forks", type=int, default=0, help="hosts at work at once, of ours (what it chooses by itself)")
    parser.add_argument("--limit-files", type=int, default=0, help="with --sizes: ours under ulimit -n")
    parser.add_argument("--black-holes", type=int, default=0, metavar="PERCENT", help="with --sizes: hosts that are off")
    parser.add_argument("--connect-timeout", type=int, default=10)
    args = parser.parse_args()
    # Servers are ended on the way out, also when somebody else ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    user = pwd.getpwuid(os.getuid()).pw_name
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not shutil.which(args.ours):
        raise SystemExit(f"{args.ours} is not there: cargo build --release -p agent-runner-fleet")
    runs, only = args.runs, args.only_ours
    # Hosts, percent of them silent, limit of open files, only ours, runs.
    if args.sizes:
        only = only or bool(args.limit_files or args.black_holes)
        cases = [(int(size), args.black_holes, args.limit_files, only, runs) for size in args.sizes.split(",")]
    elif args.quick:
        cases = [(50, 0, 0, only, 1), (50, 30, 0, True, 1)]
    else:
        cases = [(size, 0, 0, only, runs) for size in (50, 200, 250, 1000)]
        cases += [(1000, 0, 1024, True, runs), (1000, 30, 0, True, runs), (1000, 30, 1024, True, runs), (4000, 0, 0, True, 1)]
    print(f"{machine()}\n")
    print("| hosts | tool | wall s | the last host that speaks, s | client CPU s | CPU ms/host | peak RSS MiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for case in cases:
        measure(args, case, user)
    for line in WRONG[:20]:
        print(f"WRONG: {line}", file=sys.stderr)
    if WRONG:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
