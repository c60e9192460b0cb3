"""What the store knows of integrations, for those who ask; and whether there is a courier at all.

The courier itself is imported when an integration wants to be called: an HTTP client is nothing that every relay needs.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from relay_proto.errors import RelayError

from ..integrations import listeners
from ..store import interface as ask
from .desk import check_running

if TYPE_CHECKING:
    from ..server import Relay
    from .courier import Courier


def make_courier(relay: "Relay") -> "Courier | None":
    """Who carries out the callbacks of this relay; None when nobody wants any."""
    if not listeners(relay.config.integrations):
        return None
    from .courier import Courier

    return Courier(relay, relay.config.integrations)


class Asker:
    """Waits for one answer of the store: the origin of its question."""

    writable = True

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, found: Any) -> None:
        """The store has answered, or the desk has refused."""
        if self.answer.done():
            return  # nobody waits any more
        if isinstance(found, RelayError):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


async def counts(relay: "Relay", integrations: list[str]) -> ask.CallbacksCounted:
    """How many callbacks each has, by state."""
    asker = Asker()
    found: ask.CallbacksCounted = await _look_up(relay, asker, ask.CallbackCounts(asker, 0, integrations))
    return found


async def page(
    relay: "Relay", integration: str, states: tuple[ask.CallbackState, ...], limit: int, before: int
) -> ask.CallbacksFound:
    """Callbacks of one, the newest first."""
    asker = Asker()
    question = ask.CallbacksPage(asker, 0, integration, states, limit, before)
    found: ask.CallbacksFound = await _look_up(relay, asker, question)
    return found


async def retry(relay: "Relay", integration: str, callback: int) -> ask.CallbackItem | None:
    """Try it again now; how it stands then. None: there is none."""
    check_running(relay)
    asker = Asker()
    relay.broker.commands.append(ask.RetryCallback(asker, None, integration, callback))
    relay.wake()
    found: ask.CallbackRetried = await asker.answer
    if relay.courier is not None:
        relay.courier.wake()
    return found.item


async def thread_of(relay: "Relay", sender: str, keys: list[str]) -> int | None:
    """The thread of what was made, or reported again, under the first of these idempotency keys that is known."""
    asker = Asker()
    found: ask.ThreadFound = await _look_up(relay, asker, ask.ThreadOfKey(asker, 0, sender, keys))
    return found.thread


async def _look_up(relay: "Relay", asker: Asker, question: ask.Question) -> Any:
    check_running(relay)
    relay.broker.look_up(question)
    relay.wake()
    return await asker.answer
