"""One run's results: what is printed, and what goes to the JSON file."""

import datetime
from pathlib import Path

import msgspec

from .figures import Measured
from .idle import Idle
from .rounds import Plan

SENDS_TARGET = 25_000
SENDS_RATIO_TARGET = 4.0
ONE_P50_TARGET = 1.3
IDLE_AGENTS_TARGET = 5_000
IDLE_KIB_TARGET = 15.0


class Target(msgspec.Struct):
    """A bound that the project set itself, and whether this run kept it."""

    words: str
    met: bool


class Report(msgspec.Struct):
    """Everything of one run. workloads: figures by workload and peer. missing: why, by peer that was left out."""

    taken_at: str
    machine: dict[str, str]
    plan: Plan
    missing: dict[str, str]
    warnings: list[str]
    workloads: dict[str, dict[str, Measured]]
    idle: Idle | None
    targets: list[Target]


def make_report(
    machine: dict[str, str],
    plan: Plan,
    missing: dict[str, str],
    warnings: list[str],
    workloads: dict[str, dict[str, Measured]],
    idle: Idle | None,
) -> Report:
    """The report of a run that ends now."""
    taken_at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Report(taken_at, machine, plan, missing, warnings, workloads, idle, targets(workloads, idle))


def targets(workloads: dict[str, dict[str, Measured]], idle: Idle | None) -> list[Target]:
    """The bounds that can be judged from what was measured; those that can't are left out, not guessed."""
    judged: list[Target] = []
    in_flight, one = workloads.get("in-flight", {}), workloads.get("one", {})
    if "relay" in in_flight:
        rate = in_flight["relay"].rate.median
        peer = in_flight.get("nats-always")
        ratio = peer.ratio.median if peer is not None and peer.ratio is not None else None
        against = f"{ratio:.1f} x NATS sync always" if ratio is not None else "NATS sync always not measured"
        judged.append(
            Target(
                f"100 in flight: at least {SENDS_TARGET:,} sends a second or {SENDS_RATIO_TARGET:g} x NATS sync always"
                f": {rate:,.0f}, {against}",
                rate >= SENDS_TARGET or (ratio is not None and ratio >= SENDS_RATIO_TARGET),
            )
        )
    if "relay" in one and "nats-always" in one and one["nats-always"].p50_ratio is not None:
        slower = one["nats-always"].p50_ratio.median
        judged.append(
            Target(
                f"one at a time: p50 at most {ONE_P50_TARGET:g} x that of NATS sync always: {slower:.2f} x",
                slower <= ONE_P50_TARGET,
            )
        )
    if idle is not None and idle.agents >= IDLE_AGENTS_TARGET:
        each = max(idle.resident_kib_each, idle.resident_kib_each_after_rest)
        judged.append(
            Target(
                f"{idle.agents:,} idle agents: at most {IDLE_KIB_TARGET:g} KiB of daemon memory each: {each:.1f} KiB",
                each <= IDLE_KIB_TARGET,
            )
        )
    return judged


def save(report: Report, file: Path) -> None:
    """Writes the report as indented JSON; the folder is made when it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
