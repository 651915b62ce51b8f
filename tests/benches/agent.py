#!/usr/bin/env python3
"""Measures the agent on this machine: tests/benches/agent.py PROGRAM [OTHER-PROGRAM]

The figures of docs/performance.md: start-up, memory while a round runs, wake-ups while nothing happens, the overhead of
a round, and how soon the end of the agent is noticed. Every program is measured in the same run, on the same project.
"""

import datetime, glob, json, os, shutil, signal, statistics, subprocess, sys, tempfile, time

QUIET_S = 25


class Project:
    """A git work tree with a scripted agent."""

    def __init__(self, script):
        self.root = tempfile.mkdtemp(prefix="bench-")
        self.logs = f"{self.root}/logs"
        os.mkdir(f"{self.root}/work")
        self.env = {"HOME": self.root, "PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@example.org"}
        self.write("agent.sh", script)
        self.write("work/prompt.md", "Do what has to be done. " * 30)
        self.write("work/agent-runner.toml", f'''schema_version = 1
[agent]
command = ["sh", "{self.root}/agent.sh"]
prompt_arg_template = ["{{prompt}}"]
[prompt]
file = "prompt.md"
[runtime]
work_dir = "."
log_dir = "{self.logs}"
''')
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
            subprocess.run(["git", *arguments], cwd=f"{self.root}/work", env=self.env, check=True)

    def write(self, name, text):
        with open(f"{self.root}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, program, *arguments):
        argv = [program, "--config", f"{self.root}/work/agent-runner.toml", *arguments]
        return subprocess.Popen(argv, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def events(self, kind):
        lines = [line for path in glob.glob(f"{self.logs}/events-*.jsonl") for line in open(path, encoding="utf-8")]
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def remove(self):
        shutil.rmtree(self.root)


def ended(child):
    """Reaps a child; returns the CPU seconds it and everything it waited for took."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def start_up(program):
    times = []
    for _ in range(100):
        before = time.perf_counter()
        ended(subprocess.Popen([program, "--version"], stdout=subprocess.DEVNULL))
        times.append(time.perf_counter() - before)
    return statistics.median(times) * 1000


def field(path, name):
    with open(path, encoding="utf-8") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def cpu_ms(pid):
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        return int(file.read().split()[0]) / 1e6


def while_a_round_runs(program):
    project = Project("touch \"$HOME/there\"; exec sleep 600")
    serve = project.start(program, "serve")
    while not os.path.exists(f"{project.root}/there"):
        time.sleep(0.05)
    time.sleep(2)
    with open(f"{project.logs}/agent-runner.lock.holder", encoding="utf-8") as file:
        pids = {"serve": serve.pid, "round": json.load(file)["pid"]}
    looks = lambda: {name: (field(f"/proc/{pid}/status", "voluntary_ctxt_switches"), cpu_ms(pid)) for name, pid in pids.items()}
    before = looks()
    time.sleep(QUIET_S)
    after = looks()
    figures = {}
    for name, pid in pids.items():
        figures[f"{name}: PSS KiB"] = field(f"/proc/{pid}/smaps_rollup", "Pss")
        figures[f"{name}: RSS KiB"] = field(f"/proc/{pid}/smaps_rollup", "Rss")
        figures[f"{name}: wake-ups in {QUIET_S} s"] = after[name][0] - before[name][0]
        figures[f"{name}: CPU ms in {QUIET_S} s"] = round(after[name][1] - before[name][1], 2)
    figures["together: PSS KiB"] = figures["serve: PSS KiB"] + figures["round: PSS KiB"]
    os.kill(pids["serve"], signal.SIGTERM)
    os.kill(pids["round"], signal.SIGTERM)
    ended(serve)
    project.remove()
    return figures


def a_round(program):
    # The end is stamped by the agent itself; its own run time is what the event says.
    project = Project("date +%s.%N >\"$HOME/ended\"")
    walls, cpus, noticed = [], [], []
    for _ in range(15):
        before = time.perf_counter()
        cpu = ended(project.start(program, "round"))
        wall = time.perf_counter() - before
        exit_event = project.events("agent_exit")[-1]
        walls.append(wall - exit_event["duration_s"])
        cpus.append(cpu)
        at = datetime.datetime.fromisoformat(exit_event["ts"].replace("Z", "+00:00")).timestamp()
        with open(f"{project.root}/ended", encoding="utf-8") as file:
            noticed.append(at - float(file.read()))
    project.remove()
    middle = lambda values: round(statistics.median(values) * 1000, 1)
    return {
        "a round beside its agent: wall ms": middle(walls),
        "a round with its agent: CPU ms": middle(cpus),
        "end of the agent to its event: ms": middle(noticed),
    }


def main():
    for program in sys.argv[1:]:
        program = os.path.abspath(program)
        figures = {"size KiB": os.stat(program).st_size // 1024, "--version: ms": round(start_up(program), 2)}
        figures |= a_round(program) | while_a_round_runs(program)
        print(f"{program}   (load {os.getloadavg()[0]:.1f})")
        for name, value in figures.items():
            print(f"  {name:40} {value}")


main()
