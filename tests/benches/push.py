#!/usr/bin/env python3
"""Measures bringing the agent and a project to many hosts, cold and unchanged, beside scp of the same bytes.

The servers are those of fanout.py: OpenSSH on many addresses of 127.0.0.0/8, each with a home of its own. Nothing runs
under systemd there: the project's scope is detached, and what it started is ended by its process id. Nothing leaves
loopback.

    cargo build --release -p agent-runner-fleet
    tests/benches/push.py              # 50 and 200 hosts, three times
    tests/benches/push.py --sizes 5 --runs 1

Ends with 1 when any host did not end as it should: changed and then ok, or without a file that scp brought.
"""

import argparse
import hashlib
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from fanout import KEX, Fleet, Ran, addresses, machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = "AGENT_RUNNER_BENCH"
PROMPT = "Nothing is done here: the agent of this project sleeps, and this text is as long as a prompt has to be.\n" * 8
CONFIG = """schema_version = 1
[agent]
command = ["/bin/sleep", "86400"]
prompt_arg_template = []
prompt_delivery = "stdin"
[runtime]
work_dir = "."
log_dir = "~/.agent-runner/{project}/logs"
[prompt]
file = "./prompts/main.md"
"""
FLEET = """[fleet]
name = "push"
[groups.hosts]
hosts = [HOSTS]
[projects.demo]
on = "hosts"
work_dir = "~/demo"
config = "agent-runner.toml"
prompts = "prompts"
service = { scope = "detached", monitor = false }
[rollout]
batch = ["100%"]
max_fail = "100%"
confirm_s = 120
"""
WRONG = []


class Homes(Fleet):
    """Servers on which each address is a host with a home of its own."""

    def serve(self, number, hosts):
        session = self.folder / "session"
        session.write_text(
            "#!/bin/sh\n"
            "set -- $SSH_CONNECTION\n"
            "unset DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME\n"
            f"export HOME={self.folder}/homes/$3 SHELL=/bin/sh {MARK}={self.folder.name}\n"
            'cd || exit 1\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        session.chmod(0o755)
        config = self.folder / f"sshd_config.{number}"
        lines = [f"ListenAddress {host}:{self.port}" for host in hosts]
        lines += [f"HostKey {self.folder}/host", f"AuthorizedKeysFile {self.folder}/authorized"]
        # The account's own shell runs the session, and what it does when it starts is none of the hosts' business.
        lines += [f"SetEnv HOME={self.bare_home}"]
        lines += [f"ForceCommand {session}", "Subsystem sftp /usr/lib/openssh/sftp-server"]
        lines += ["PidFile none", "StrictModes no", "UsePAM no", "UseDNS no", "PermitRootLogin yes"]
        lines += ["MaxStartups 2000:30:3000", "PerSourceMaxStartups none", "PrintMotd no", "LogLevel ERROR"]
        config.write_text("\n".join(lines) + "\n")
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        with open(self.folder / "sshd.log", "ab") as log:
            self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def home(self, host):
        return self.folder / "homes" / host

    def furnish(self):
        """Gives each host an empty home with a repository in it."""
        self.end_services()
        shutil.rmtree(self.folder / "homes", ignore_errors=True)
        template = self.folder / "template"
        if not template.exists():
            quiet = {"env": {"PATH": os.environ["PATH"], "HOME": str(self.folder)}, "check": True}
            subprocess.run(["git", "init", "--quiet", template], **quiet)
            name = ["-c", "user.name=push", "-c", "user.email=push@example.invalid"]
            subprocess.run(["git", "-C", template, *name, "commit", "--quiet", "--allow-empty", "-m", "begin"], **quiet)
        for host in self.hosts:
            shutil.copytree(template, self.home(host) / "demo")
            (self.home(host) / ".gitconfig").write_text("[user]\nname = push\nemail = push@example.invalid\n")

    def services(self):
        """The processes that sessions of these servers left."""
        mark, found = f"{MARK}={self.folder.name}".encode(), []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
                except OSError:
                    continue
        return found

    def end_services(self):
        until = time.monotonic() + 60
        while left := self.services():
            if time.monotonic() > until:
                raise SystemExit(f"these do not end: {left}")
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)

    def close(self):
        super().close()
        self.end_services()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def prepare(args, fleet, user):
    """Writes what the clients read and returns their environment."""
    home = fleet.folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / "prompts").mkdir()
    ssh = f"Host 127.*\n  Port {fleet.port}\n  User {user}\n  IdentityFile {fleet.folder}/client\n  IdentitiesOnly yes\n"
    ssh += f"  UserKnownHostsFile {fleet.known}\n  KexAlgorithms {KEX}\n"
    (home / ".ssh/config").write_text(ssh)
    (home / "fleet.toml").write_text(FLEET.replace("HOSTS", ", ".join(f'"{host}"' for host in fleet.hosts)))
    (home / "agent-runner.toml").write_text(CONFIG)
    (home / "prompts/main.md").write_text(PROMPT)
    (fleet.folder / "hosts").write_text("\n".join(fleet.hosts) + "\n")
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "USER": user}


def deploy(args, fleet, env, expected):
    """Runs our deploy and holds each host's end against what it shall be."""
    ours = [args.ours, "-i", pathlib.Path(env["HOME"]) / "fleet.toml", "deploy", "--quiet", "--json"]
    ran = Ran([str(word) for word in [*ours, "--forks", str(len(fleet.hosts))]], env, 0, False)
    ends = {said["host"]: said for said in (json.loads(line) for _, line in ran.lines)}
    for host in fleet.hosts:
        end = ends.get(host, {})
        if end.get("result") != expected:
            WRONG.append(f"deploy of {len(fleet.hosts)}: {host} is not {expected}: {json.dumps(end)[:400]}")
    if ran.code != 0:
        WRONG.append(f"deploy of {len(fleet.hosts)} ended with {ran.code}: {ran.errors[-400:]}")
    return ran


def scp(args, fleet, env, options):
    """Runs scp of the same files to every host and holds what arrived against what was sent."""
    files = [fleet.folder / "agent-runner", pathlib.Path(env["HOME"]) / "agent-runner.toml"]
    files.append(pathlib.Path(env["HOME"]) / "prompts/main.md")
    command = ["xargs", "-a", fleet.folder / "hosts", "-P", str(len(fleet.hosts)), "-I{}", "scp", "-q", *options]
    command += ["-F", pathlib.Path(env["HOME"]) / ".ssh/config", "-oStrictHostKeyChecking=yes", *files, "{}:"]
    ran = Ran([str(word) for word in command], env, 0, True)
    for host in fleet.hosts:
        for file in files:
            if sha256(fleet.home(host) / file.name) != sha256(file):
                WRONG.append(f"scp to {len(fleet.hosts)}: {host} has no whole {file.name}: {ran.errors[-400:]}")
    return ran


def measure(args, size, user):
    """Prints a row for each tool."""
    rows = {}
    with tempfile.TemporaryDirectory(prefix="push-") as name:
        os.chmod(name, 0o755)
        fleet = Homes(pathlib.Path(name), addresses(size), args.port, 0)
        try:
            env = prepare(args, fleet, user)
            for _ in range(args.runs):
                fleet.furnish()
                rows.setdefault("agent-runner-fleet deploy, cold", []).append(deploy(args, fleet, env, "changed"))
                rows.setdefault("agent-runner-fleet deploy, unchanged", []).append(deploy(args, fleet, env, "ok"))
                current = fleet.home(fleet.hosts[0]) / ".local/share/agent-runner/current/agent-runner"
                shutil.copyfile(current, fleet.folder / "agent-runner")
                for tool, options in (("scp by xargs, the same bytes", []), ("scp -C by xargs", ["-C"])):
                    fleet.furnish()
                    rows.setdefault(tool, []).append(scp(args, fleet, env, options))
        finally:
            fleet.close()
    for tool, runs in rows.items():
        wall, cpu, rss = (statistics.median(getattr(ran, what) for ran in runs) for what in ("wall", "cpu", "rss"))
        row = [str(size), tool, f"{wall:.2f}", f"{cpu:.2f}", f"{cpu * 1000 / size:.1f}", f"{rss:.0f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=str(ROOT / "target/release/agent-runner-fleet"))
    parser.add_argument("--sizes", default="50,200", help="how many hosts, as 50,200")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--port", type=int, default=2223)
    args = parser.parse_args()
    # Servers and services are ended on the way out, also when somebody else ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not shutil.which(args.ours):
        raise SystemExit(f"{args.ours} is not there: cargo build --release -p agent-runner-fleet")
    print(f"{machine()}\n")
    print("| hosts | tool | wall s | client CPU s | CPU ms/host | peak RSS MiB |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in args.sizes.split(","):
        measure(args, int(size), pwd.getpwuid(os.getuid()).pw_name)
    for line in WRONG[:20]:
        print(f"WRONG: {line}", file=sys.stderr)
    if WRONG:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
