"""What happened to one task, as the agents saw it: who said what, when, and what the relay answered.

Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share. An operation took effect at one moment
between `invoked_at` and `returned_at`. One whose answer never came (`answer` is None) may have taken effect or not, and
if it did, then before `returned_at`, which is infinite where nothing is known.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

NEVER: Final = float("inf")
SHOWN: Final = ("fence", "state", "holder", "agent", "lease_s", "attempts", "attempts_max")
"""What is told of an answer."""


@dataclass(slots=True, frozen=True)
class Answer:
    """What the relay said. `code` is None for ok; `detail` has what it told besides."""

    code: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={self.detail[name]}" for name in SHOWN if name in self.detail)
        return f"{self.code or 'ok'} {told}".rstrip()


@dataclass(slots=True, frozen=True)
class Operation:
    """One request about the task. `instance` names the process that said it, or that a visit stood beside.

    `visit` names the visit that said it, if one did: what that claims again is its own claim, not the session's.
    """

    agent: str
    instance: str
    op: str
    invoked_at: float
    returned_at: float = NEVER
    answer: Answer | None = None
    fence: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)
    message: int = 0
    visit: str = ""

    @property
    def claimer(self) -> str:
        """Who may ask for the same claim again."""
        return self.visit or self.instance

    def __str__(self) -> str:
        until = "?" if self.returned_at == NEVER else f"{self.returned_at:.4f}"
        words = [self.op, *([f"fence={self.fence}"] if self.fence else [])]
        words += [f"{name}={value}" for name, value in self.arguments.items()]
        return f"{self.invoked_at:.4f}-{until} {self.claimer} {' '.join(words)} -> {self.answer or 'no answer'}"


class Signs:
    """When an instance said anything at all, about whatever: each sign renews its leases.

    A sign was heard at some moment from when it was sent until it was answered; one without an answer perhaps never.
    """

    def __init__(self, signs: list[tuple[float, float]]) -> None:
        self._signs = sorted((sent_at, heard_by) for sent_at, heard_by in signs if heard_by < NEVER)

    def silent_from(self, at: float, lease_s: float) -> float:
        """The earliest moment from `at` on at which a lease of this length may have ended in silence."""
        while True:
            # The latest sign that was heard for certain by then, and within the last lease.
            place = bisect_left(self._signs, (at, 0.0))
            while place and self._signs[place - 1][0] + lease_s > at:
                place -= 1
                sent_at, heard_by = self._signs[place]
                if heard_by < at:
                    at = sent_at + lease_s
                    break
            else:
                return at


@dataclass(slots=True)
class History:
    """All operations on one task, and what else is known of the time in which they took place.

    signs: of each instance. restarts: each a moment at which the daemon was dead; the next one made every held lease
    fresh, so that it is like a sign of all. attempts_max: bad ends after which the work is buried.
    """

    message: int
    operations: list[Operation]
    signs: dict[str, Signs] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    attempts_max: int = 3
    _all: Signs = field(init=False)

    def __post_init__(self) -> None:
        self._all = Signs([(at, at) for at in self.restarts])

    def silent_from(self, instance: str, at: float, lease_s: float) -> float:
        """The earliest moment from `at` on at which a lease of this instance may have ended."""
        while True:
            later = self._all.silent_from(at, lease_s)
            if instance in self.signs:
                later = self.signs[instance].silent_from(later, lease_s)
            if later == at:
                return at
            at = later
