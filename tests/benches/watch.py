#!/usr/bin/env python3
"""What watching a fleet costs the controller: CPU, memory and descriptors per host.

Runs `monitor --json` over the hosts of an inventory for so long, and reads /proc of that process. The hosts are
whatever the inventory names; for many of them on one machine see docs/performance-fleet.md.
"""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time


def usage(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    with open(f"/proc/{pid}/status") as status:
        rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return ticks / os.sysconf("SC_CLK_TCK"), rss, len(os.listdir(f"/proc/{pid}/fd"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("controller")
    parser.add_argument("--inventory", required=True)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--settle", type=int, default=30, help="seconds until every host is connected")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, tempfile.TemporaryFile() as lines:
        environment = {**os.environ, "XDG_STATE_HOME": state}
        command = [options.controller, "-i", options.inventory, "monitor", "--json"]
        process = subprocess.Popen(command, stdout=lines, env=environment)
        try:
            time.sleep(options.settle)
            cpu, _, _ = usage(process.pid)
            time.sleep(options.seconds)
            after, rss, descriptors = usage(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        lines.seek(0)
        said = [json.loads(line) for line in lines]
        hosts = {line["host"] for line in said if line["type"] == "link_up"}
        size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(state) for name in names)
        count = max(len(hosts), 1)
        print(f"{len(hosts)} hosts, {len(said)} lines")
        print(f"CPU: {100 * (after - cpu) / options.seconds:.2f} % of a core, {1000 * (after - cpu) / options.seconds / count:.3f} ms a second and host")
        print(f"memory: {rss} KiB, {rss / count:.1f} KiB a host")
        print(f"descriptors: {descriptors}, {descriptors / count:.2f} a host")
        print(f"history: {size} bytes")


if __name__ == "__main__":
    main()
