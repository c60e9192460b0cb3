"""Callbacks at the desk: the courier asks the store through the turns, as everyone does, and is told what was found."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from relay_proto.errors import RelayError

from .store import interface as ask

if TYPE_CHECKING:
    from .broker import Broker


class Courier(Protocol):
    """Who carries callbacks out."""

    def changed(self, changes: Iterable[ask.Change]) -> None:
        """This happened to work, and is on disk with whatever is to be called because of it."""
        ...


class Asker(Protocol):
    """The origin of a command or a question about callbacks: who waits for what is found, or for the refusal."""

    writable: bool

    def settle(self, found: Any) -> None: ...


QUESTIONS: Final = (ask.CallbacksPage, ask.CallbackCounts, ask.ThreadOfKey)
ITS_OWN: Final = (ask.DueCallbacks, ask.EndCallback)
"""What the courier asks for as long as it is refused: the desk asks again."""


def settled(broker: "Broker", command: ask.Command, outcome: Any, now: float, now_ms: int) -> None:
    command.origin.settle(outcome)


def refused(command: ask.RetryCallback, error: RelayError) -> None:
    command.origin.settle(error)


SETTLE: Final[dict[type[Any], Callable[..., None]]] = dict.fromkeys(
    (ask.CallbacksDue, ask.CallbackEnded, ask.CallbackRetried), settled
)
