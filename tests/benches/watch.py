#!/usr/bin/env python3
"""What watching a fleet costs the controller: time until all hosts are heard, CPU, memory and descriptors per host.

Makes the hosts itself: a few OpenSSH servers on addresses of 127.0.0.0/8, 16 each, on which a small script says what
an agent says while nothing happens: hello, state, and a heartbeat each 10 s. `monitor --json` watches them, and /proc
of that process is read. Nothing leaves loopback, and only processes started here are ended.

    cargo build --release -p agent-runner-fleet
    tests/benches/watch.py                        # 1000 hosts for two minutes
    tests/benches/watch.py --hosts 50 --seconds 20

Ends with 1 when a host is not heard, or an alert fires that should not.
"""

import argparse
import json
import os
import pathlib
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import fanout

AGENT = """#!/bin/sh
case "$*" in *'monitor --mode stream'*) ;; *) exit 1 ;; esac
read -r at <"$HOME/clock"
echo '{"type":"hello","protocol":1,"version":"0.1.0","project":"bench","boot_id":"b","at":"'$at'","monitor_active":true,"auto_stop_on":[],"cursor":{"file":"events-2026-11.jsonl","offset":0}}'
echo '{"type":"state","active":true,"round_num":1,"phase":null,"running":false,"since":null,"last_exit_code":0,"last_duration_s":1.0,"disk_used_pct":10.0,"throttled_until":null}'
while sleep 10; do
    read -r at <"$HOME/clock"
    echo '{"type":"heartbeat","at":"'$at'"}'
done
"""


class Clock:
    """The time in a file, for a thousand scripts that would otherwise each start a program to know it."""

    def __init__(self, path):
        self.path, self.over = path, threading.Event()
        self.write()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(1):
            self.write()

    def write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(time.strftime("%Y-%m-%dT%H:%M:%S.000Z\n", time.gmtime()))
        fresh.rename(self.path)

    def end(self):
        self.over.set()
        self.thread.join()


def usage(pid):
    """CPU seconds, resident KiB and descriptors of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return ticks / os.sysconf("SC_CLK_TCK"), rss, len(os.listdir(f"/proc/{pid}/fd"))


def lines(path):
    """The whole lines that were said so far."""
    said = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in said.splitlines()]


def heard(path):
    return {line["host"] for line in lines(path) if line["type"] == "state"}


def measure(options, folder, fleet, user):
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text(
        f"Host 127.*\n  Port {options.port}\n  User {user}\n  IdentityFile {folder}/client\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {fleet.known}\n  KexAlgorithms {fanout.KEX}\n"
    )
    listed = ", ".join(f'"{host}"' for host in fleet.hosts)
    (folder / "fleet.toml").write_text(
        f'[fleet]\nname = "bench"\n[groups.hosts]\nhosts = [{listed}]\n'
        '[projects.bench]\non = "all"\nwork_dir = "~/bench"\nconfig = "c.toml"\n'
    )
    (folder / "c.toml").write_text("")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "USER": user}
    command = [options.ours, "-i", str(folder / "fleet.toml"), "monitor", "--json"]
    out = folder / "said"
    began = time.monotonic()
    with open(out, "wb") as said, open(folder / "errors", "wb") as errors:
        monitor = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=errors, env=env, cwd=folder)
    try:
        while len(heard(out)) < len(fleet.hosts) and time.monotonic() - began < options.settle:
            if monitor.poll() is not None:
                raise SystemExit(f"the monitor ended: {(folder / 'errors').read_text()}")
            time.sleep(0.25)
        took = time.monotonic() - began
        connecting, _, _ = usage(monitor.pid)
        # What connecting left behind is done with.
        time.sleep(5)
        cpu, first, _ = usage(monitor.pid)
        since = time.monotonic()
        time.sleep(options.seconds)
        after, rss, descriptors = usage(monitor.pid)
        rate = (after - cpu) / (time.monotonic() - since)
    finally:
        monitor.send_signal(signal.SIGINT)
        try:
            monitor.wait(60)
        except subprocess.TimeoutExpired:
            monitor.kill()
            monitor.wait()
    wrong = [line for line in lines(out) if line["type"] in ("alert", "link_down", "stop_wanted")]
    missing = set(fleet.hosts) - heard(out)
    count = len(fleet.hosts)
    state = home / ".local/state/agent-runner-fleet"
    history = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    row = [f"{count}", f"{took:.1f}", f"{connecting:.2f}", f"{100 * rate:.2f}", f"{1e6 * rate / count:.1f}"]
    row += [f"{first / 1024:.0f}", f"{rss / 1024:.0f}", f"{rss / count:.1f}", f"{descriptors / count:.2f}", f"{history / 1024:.0f}"]
    print("| " + " | ".join(row) + " |")
    for line in wrong[:10]:
        print(f"WRONG: {line}", file=sys.stderr)
    if missing:
        print(f"WRONG: not heard within {options.settle} s: {sorted(missing)[:10]}", file=sys.stderr)
    return not wrong and not missing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=str(fanout.ROOT / "target/release/agent-runner-fleet"))
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120, help="how long is measured once all are heard")
    parser.add_argument("--settle", type=int, default=300, help="seconds until every host has to be heard")
    parser.add_argument("--port", type=int, default=2223)
    options = parser.parse_args()
    if not 1 <= options.hosts <= 4000:
        raise SystemExit("--hosts is 1 to 4000: each is two processes on this machine")
    # Servers are ended on the way out, also when somebody else ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not shutil.which(options.ours):
        raise SystemExit(f"{options.ours} is not there: cargo build --release -p agent-runner-fleet")
    options.ours = str(pathlib.Path(options.ours).resolve())
    user = pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="watch-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        far = folder / "far"
        agent = far / ".local/bin/agent-runner"
        agent.parent.mkdir(parents=True)
        agent.write_text(AGENT)
        agent.chmod(0o755)
        session = folder / "session"
        session.write_text(f'#!/bin/sh\nHOME={far}; export HOME\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
        session.chmod(0o755)
        clock = Clock(far / "clock")
        try:
            print(f"{fanout.machine()}\n")
            fleet = fanout.Fleet(folder, fanout.addresses(options.hosts), options.port, 0, [f"ForceCommand {session}"])
            try:
                print("| hosts | all heard after s | CPU s until then | CPU, % of a core | CPU, µs a second and host | RSS at first, MiB | RSS at the end, MiB | KiB a host | descriptors a host | history, KiB |")
                print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
                well = measure(options, folder, fleet, user)
            finally:
                fleet.close()
        finally:
            clock.end()
    if not well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
