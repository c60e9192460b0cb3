"""What idle agents cost the daemon: memory each, and processor time at rest.

Memory is read from the kernel (/proc/PID/smaps_rollup) before the first agent connects, when the last one is
registered, and after the rest. The figure is the growth of resident memory over the agents. Processor time is counted
over the rest, in which every agent heartbeats as often as the relay asked for.
"""

import json
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from .machine import raise_file_limit
from .peers import start_relay
from .processes import BenchError, Workspace, processor_seconds, tail
from .progress import say

FILES_SPARE = 200
"""Open files beside the agents' sockets: the store, the log, the loop."""


class Memory(msgspec.Struct):
    """Of one process, in KiB. resident: RSS. proportional: PSS. private: clean and dirty pages nobody else maps."""

    resident: int
    proportional: int
    private: int


class Idle(msgspec.Struct):
    """What N idle agents cost. *_kib_each: growth over the agents. rest_cpu_percent: of one core, while at rest."""

    agents: int
    connect_s: float
    resident_kib_each: float
    proportional_kib_each: float
    private_kib_each: float
    resident_kib_each_after_rest: float
    before: Memory
    registered: Memory
    rested: Memory
    rest_s: float
    rest_cpu_percent: float
    heartbeat_s: float


def read_memory(pid: int) -> Memory:
    """The memory of a process now. Raises BenchError where the kernel does not tell (not Linux)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists():
        raise BenchError(f"{rollup} does not exist: memory can be measured on Linux only")
    kib: dict[str, int] = {}
    for line in rollup.read_text().splitlines()[1:]:
        name, amount, *_ = line.split()
        kib[name.rstrip(":")] = int(amount)
    return Memory(kib["Rss"], kib["Pss"], kib["Private_Clean"] + kib["Private_Dirty"])


def run_idle(workspace: Workspace, agents: int, rest_s: float) -> Idle:
    """Starts a relay, connects `agents` idle ones from another process, measures, stops both."""
    files = raise_file_limit()
    if agents + FILES_SPARE > files:
        raise BenchError(f"{agents} agents need {agents + FILES_SPARE} open files; this system allows {files}")
    daemon = start_relay(workspace)
    log = workspace.new_folder("idle-client") / "log.txt"
    before = read_memory(daemon.pid)
    load = workspace.start_client("bench.idle_load", [str(urlsplit(daemon.url).port), str(agents)], log)
    said = _next_line(load, log)
    registered = read_memory(daemon.pid)
    say(f"idle agents: {agents:,} registered in {said['seconds']:.2f} s; at rest for {rest_s:g} s")
    cpu_before, started = processor_seconds(daemon.pid), time.perf_counter()
    time.sleep(rest_s)
    cpu_after, rested_s = processor_seconds(daemon.pid), time.perf_counter() - started
    rested = read_memory(daemon.pid)
    assert load.stdin is not None
    load.stdin.close()
    lost = _next_line(load, log)["lost"]
    if lost:
        raise BenchError(f"{lost:g} of {agents} idle agents lost their connection: there is no figure")
    load.wait()
    daemon.stop()
    assert cpu_before is not None, "where there is smaps_rollup, there is stat"
    assert cpu_after is not None, "the daemon was alive: its agents were"
    return Idle(
        agents,
        said["seconds"],
        (registered.resident - before.resident) / agents,
        (registered.proportional - before.proportional) / agents,
        (registered.private - before.private) / agents,
        (rested.resident - before.resident) / agents,
        before,
        registered,
        rested,
        rested_s,
        (cpu_after - cpu_before) / rested_s * 100,
        said["heartbeat_s"],
    )


def _next_line(load: "subprocess.Popen[bytes]", log: Path) -> dict[str, float]:
    assert load.stdout is not None
    line = load.stdout.readline()
    if not line:
        raise BenchError(f"the process of the idle agents ended with code {load.wait()}\n{tail(log)}")
    said: dict[str, float] = json.loads(line)
    return said
