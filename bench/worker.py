"""The client process: one workload on one peer for one round. Started by the harness, it prints one Round as JSON.

    python -m bench.worker PEER WORKLOAD URL WARMUP_S WINDOW_S DAEMON_PID

PEER is relay, nats or sqlite; for sqlite, URL is the folder of its file and DAEMON_PID is 0. A process of its own for
each round: no peer inherits another's heap, and the harness takes no time from what it measures.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from . import sqlite_limit, workloads
from .links.link import Link
from .machine import has_uvloop
from .workloads import BODY_BYTES, Round, run_on_loop

GRACE_S = 60.0
"""Beyond warm-up and window, how long a round may take to connect, to drain and to close."""


def make_link(peer: str) -> Link:
    """The Link of one peer. Only its library is imported: the others may be missing."""
    match peer:
        case "relay":
            from .links.relay import RelayLink

            return RelayLink()
        case "nats":
            from .links.nats import NatsLink

            return NatsLink()
    raise ValueError(f"peer is {peer!r}; the clients are relay, nats and sqlite")


async def measure(peer: str, workload: str, url: str, warmup_s: float, window_s: float, daemon_pid: int) -> Round:
    """Connects, runs one round, closes."""
    async with asyncio.timeout(warmup_s + window_s + GRACE_S):
        link = make_link(peer)
        await link.open(url, b"x" * BODY_BYTES)
        measured = await workloads.run(workload, link, warmup_s, window_s, daemon_pid)
        await link.close()
    return measured


def main(arguments: list[str]) -> None:
    peer, workload, url, warmup, window, daemon_pid = arguments
    warmup_s, window_s = float(warmup), float(window)
    if peer == "sqlite":
        measured = sqlite_limit.run(workload, Path(url), warmup_s, window_s)
    else:
        measured = run_on_loop(lambda: measure(peer, workload, url, warmup_s, window_s, int(daemon_pid)), has_uvloop())
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
