"""The run: each workload on each peer, round by round, A B C B C A, each on a fresh daemon with an empty data folder.

The order turns by one place every round, so that no peer always follows the same neighbour. Before each measurement
the kernel writes out what earlier ones left dirty (`sync`): otherwise an fsync here would pay for pages written there.
"""

import os
from collections.abc import Sequence

import msgspec

from .figures import Measured, measured
from .peers import Peer
from .processes import BenchError, Workspace, tail
from .progress import say, step
from .worker import GRACE_S
from .workloads import WORKLOADS, Round


class Plan(msgspec.Struct):
    """What a run was asked to do; it stands in the results beside the numbers."""

    rounds: int
    window_s: float
    warmup_s: float
    workloads: list[str]
    peers: list[str]
    idle_agents: int
    idle_rest_s: float


def run_workloads(workspace: Workspace, plan: Plan, peers: Sequence[Peer]) -> dict[str, dict[str, Measured]]:
    """Figures by workload and peer. Raises BenchError when a process fails: then there is no table."""
    results: dict[str, dict[str, Measured]] = {}
    for workload in plan.workloads:
        rounds: dict[str, list[Round]] = {peer.name: [] for peer in peers}
        for number in range(plan.rounds):
            turn = number % len(peers)
            for peer in [*peers[turn:], *peers[:turn]]:
                one = run_round(workspace, plan, peer, workload)
                rounds[peer.name].append(one)
                step()
                say(f"{WORKLOADS[workload]}, round {number + 1} of {plan.rounds}: {peer.title} {one.rate:,.0f}/s")
        relay = rounds.get("relay")
        results[workload] = {
            name: measured(taken, None if name == "relay" else relay) for name, taken in rounds.items()
        }
    return results


def run_round(workspace: Workspace, plan: Plan, peer: Peer, workload: str) -> Round:
    """Starts the peer's daemon, runs one client process, stops the daemon."""
    if peer.start is None:
        os.sync()
        return _run_client(workspace, plan, peer, workload, str(workspace.new_folder(peer.name)), 0)
    daemon = peer.start(workspace)
    os.sync()
    one = _run_client(workspace, plan, peer, workload, daemon.url, daemon.pid)
    daemon.stop()
    return one


def _run_client(workspace: Workspace, plan: Plan, peer: Peer, workload: str, url: str, daemon_pid: int) -> Round:
    log = workspace.new_folder(f"{peer.name}-client") / "log.txt"
    arguments = [peer.client, workload, url, str(plan.warmup_s), str(plan.window_s), str(daemon_pid)]
    client = workspace.start_client("bench.worker", arguments, log)
    printed, _ = client.communicate(timeout=plan.warmup_s + plan.window_s + 2 * GRACE_S)
    if client.returncode != 0:
        raise BenchError(f"the client of {peer.title} failed at {WORKLOADS[workload]!r}\n{tail(log)}")
    return msgspec.json.decode(printed, type=Round)
