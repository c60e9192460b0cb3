"""From rounds to figures: medians with least and most, and ratios taken pair by pair within each round."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from .workloads import Round


class Spread(msgspec.Struct):
    """A median and what it was taken from."""

    median: float
    least: float
    most: float


class Measured(msgspec.Struct, omit_defaults=True):
    """One workload on one peer: all rounds, their spreads, and Relay against it.

    ratio: Relay's rate over the peer's, of the same round; more is better. p50_ratio: Relay's p50 over the peer's;
    less is better. Absent for Relay itself, and where a round of the pair has no such figure.
    """

    rounds: list[Round]
    rate: Spread
    p50_ms: Spread | None = None
    p99_ms: Spread | None = None
    drain_s: Spread | None = None
    client_us: Spread | None = None
    daemon_us: Spread | None = None
    ratio: Spread | None = None
    p50_ratio: Spread | None = None


def spread(values: Iterable[float | None]) -> Spread | None:
    """The spread of the values, or None where one is absent or there are none."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    return Spread(statistics.median(present), min(present), max(present))


def measured(rounds: Sequence[Round], relay: Sequence[Round] | None) -> Measured:
    """The figures of one peer. relay: Relay's rounds of the same workload, in the same order; None: this is Relay."""
    assert rounds, "a peer without rounds is missing, not measured"
    rate = spread(one.rate for one in rounds)
    assert rate is not None, "every round has a rate"
    figures = Measured(
        list(rounds),
        rate,
        p50_ms=spread(one.p50_ms for one in rounds),
        p99_ms=spread(one.p99_ms for one in rounds),
        drain_s=spread(one.drain_s for one in rounds),
        client_us=spread(one.client_us for one in rounds),
        daemon_us=spread(one.daemon_us for one in rounds),
    )
    if relay is not None:
        pairs = list(zip(relay, rounds, strict=True))
        figures.ratio = spread(_over(ours.rate, theirs.rate) for ours, theirs in pairs)
        figures.p50_ratio = spread(_over(ours.p50_ms, theirs.p50_ms) for ours, theirs in pairs)
    return figures


def _over(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if upper is not None and lower else None
