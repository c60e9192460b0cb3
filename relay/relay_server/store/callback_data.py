"""Callbacks, as they are asked of a store and answered: commands, outcomes and questions."""

from typing import Literal

from msgspec import Struct

from .commands import Command
from .outcomes import Decided
from .questions import Found, Question

CallbackState = Literal["waiting", "delivered", "dead"]


class DueCallbacks(Command):
    """What is to be posted now: of each integration in `room` up to so many, but none of `busy`. Reads only."""

    room: dict[str, int]
    busy: frozenset[int]


class EndCallback(Command):
    """An attempt was made: where the callback stands now, when it is tried again (`waiting`), and what went wrong."""

    callback: int
    state: CallbackState
    due_at: int | None
    reason: str | None


class RetryCallback(Command):
    """Try one again now that was given up, or that waits. `integration`: whose it is."""

    integration: str
    callback: int


class Job(Struct):
    """One callback to be posted. `attempts`: those that were made."""

    callback: int
    event: str
    integration: str
    message: int
    kind: str
    at: int
    body: str
    attempts: int


class CallbacksDue(Decided):
    """`due_at`: when the next one is due that is not due yet, ms since 1970; None: there is none."""

    jobs: list[Job]
    due_at: int | None


class CallbackEnded(Decided):
    """What became of the attempt is noted."""

    callback: int


class CallbackItem(Struct):
    """One callback as it is shown. `callback`: its place in the queue; `event`: the id that its receiver knows."""

    callback: int
    event: str
    integration: str
    message: int
    kind: str
    at: int
    state: CallbackState
    attempts: int
    due_at: int | None
    tried_at: int | None
    reason: str | None


class CallbackRetried(Decided):
    """How it stands now; None: this integration has no such callback. One that was delivered stays delivered."""

    item: CallbackItem | None


class CallbacksPage(Question):
    """Callbacks of an integration in these states, the newest first, older than `before`."""

    integration: str
    states: tuple[CallbackState, ...]
    limit: int
    before: int


class CallbackCounts(Question):
    """How many callbacks each of these integrations has, by state."""

    integrations: list[str]


class CallbacksFound(Found):
    """`next`: go on before this one; None: that was all."""

    items: list[CallbackItem]
    next: int | None


class CallbacksCounted(Found):
    """counts: by integration, then by state; a state of which there is none is left out."""

    counts: dict[str, dict[str, int]]


class ThreadOfKey(Question):
    """The thread of what `sender` made or reported under the first of these idempotency keys that is known."""

    sender: str
    keys: list[str]


class ThreadFound(Found):
    """None: no key is known, or known any more."""

    thread: int | None
