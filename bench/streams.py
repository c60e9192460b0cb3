"""What listeners cost those who send: `python -m bench.streams`.

Two relays: nobody listens to the first; to the second N listeners do, in a process of their own. One process sends to
both, by turns, so that each pair of windows sees the same machine. The figure is the median of the pairs' ratios.
"""

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from .links.relay import RelayLink
from .machine import has_uvloop, raise_file_limit
from .peers import start_relay
from .processes import BenchError, Daemon, Workspace, open_workspace, tail
from .progress import say
from .workloads import BODY_BYTES, IN_FLIGHT, WORKLOADS, run_on_loop, sends

SENDERS = {"one": 1, "in-flight": IN_FLIGHT}


class Pair(msgspec.Struct):
    """Two windows, one after the other: messages a second without and with listeners, and what those were told.

    told: message events that all listeners together were told. fewest: of those, what the last of them was told.
    """

    without: float
    listened: float
    told: int
    fewest: int
    gaps: int
    megabytes: float

    @property
    def ratio(self) -> float:
        return self.listened / self.without


class Listeners:
    """The process of the listeners."""

    def __init__(self, workspace: Workspace, daemon: Daemon, count: int, agent: str | None) -> None:
        self._log = workspace.new_folder("listeners") / "log.txt"
        arguments = [str(urlsplit(daemon.url).port), str(count), *([agent] if agent else [])]
        self._process = workspace.start_client("bench.stream_load", arguments, self._log)
        say(f"{count} listeners: {self._next_line()['seconds']:.2f} s until each was told hello")

    def counted(self) -> dict[str, Any]:
        """What they were told since this was asked before."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        said = self._next_line()
        if said["lost"]:
            raise BenchError(f"{said['lost']} listeners lost their stream: there is no figure")
        return said

    def _next_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the process of the listeners ended with code {self._process.wait()}\n{tail(self._log)}")
        said: dict[str, Any] = json.loads(line)
        return said


async def measure(
    quiet: str, listened: str, listeners: Listeners, senders: int, pairs: int, window_s: float
) -> list[Pair]:
    """Pairs of windows, each pair the other way round than the one before it."""
    links = {False: RelayLink(), True: RelayLink()}
    await links[False].open(quiet, b"x" * BODY_BYTES)
    await links[True].open(listened, b"x" * BODY_BYTES)
    found: list[Pair] = []
    for number in range(pairs):
        rates: dict[bool, float] = {}
        told: dict[str, Any] = {}
        for is_listened in (True, False) if number % 2 else (False, True):
            os.sync()
            listeners.counted()
            rates[is_listened] = (await sends(links[is_listened], senders, window_s / 4, window_s, None)).rate
            if is_listened:
                told = listeners.counted()
        found.append(Pair(rates[False], rates[True], told["events"], told["fewest"], told["gaps"], told["bytes"] / 1e6))
    for link in links.values():
        await link.close()
    return found


def run_streams(
    workspace: Workspace, count: int, agent: str | None, workload: str, pairs: int, window_s: float
) -> list[Pair]:
    """Two relays, the listeners of one, and the pairs."""
    quiet, listened = start_relay(workspace), start_relay(workspace)
    listeners = Listeners(workspace, listened, count, agent)
    found = run_on_loop(
        lambda: measure(quiet.url, listened.url, listeners, SENDERS[workload], pairs, window_s), has_uvloop()
    )
    quiet.stop()
    listened.stop()
    return found


def ratio_of(pairs: list[Pair]) -> float:
    """The median of what was left of the rate."""
    return statistics.median(pair.ratio for pair in pairs)


@click.command(context_settings={"show_default": True})
@click.option("--listeners", type=click.IntRange(1), default=500, help="How many listen.")
@click.option("--for", "agent", default=None, help="Whom they listen for; without it, to everything.")
@click.option("--pairs", type=click.IntRange(1), default=9, help="Pairs of windows of each workload.")
@click.option("--seconds", type=click.FloatRange(0.05), default=1.0, help="The length of a window.")
@click.option("--json", "file", type=click.Path(path_type=Path), default=None, help="Where the pairs go.")
def main(listeners: int, agent: str | None, pairs: int, seconds: float, file: Path | None) -> None:
    """Measures how much slower sends are while many listen to a relay's events."""
    raise_file_limit()
    results: dict[str, list[Pair]] = {}
    try:
        with open_workspace() as workspace:
            for workload in SENDERS:
                results[workload] = run_streams(workspace, listeners, agent, workload, pairs, seconds)
                click.echo(_line(workload, results[workload], seconds))
    except (BenchError, subprocess.SubprocessError) as error:
        raise click.ClickException(str(error)) from error
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


def _line(workload: str, pairs: list[Pair], seconds: float) -> str:
    without, listened = (statistics.median(getattr(pair, name) for pair in pairs) for name in ("without", "listened"))
    told, megabytes, gaps = (
        statistics.median(getattr(pair, name) for pair in pairs) for name in ("told", "megabytes", "gaps")
    )
    low, high = min(pair.ratio for pair in pairs), max(pair.ratio for pair in pairs)
    return (
        f"{WORKLOADS[workload]}: {without:,.0f}/s without, {listened:,.0f}/s with listeners: "
        f"{ratio_of(pairs):.0%} ({low:.0%}-{high:.0%}); told {told / seconds / 1.25:,.0f} events/s, "
        f"{megabytes / seconds / 1.25:.1f} MB/s, {gaps:,.0f} gaps a window"
    )


if __name__ == "__main__":
    main(prog_name="python -m bench.streams")
