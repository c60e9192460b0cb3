"""One message of an outbox goes to the relay, over the connection that is there now."""

import asyncio

from relay_proto import codec
from relay_proto.errors import KeyConflict, UnknownMessage
from relay_proto.frames import GetMessage, Ok, Send, StoredMessage

from .calls import read
from .link import Link
from .outbox_items import PendingSend
from .outbox_rules import is_same, leaving


class ConnectionWasLost(Exception):
    """The message had no answer when its connection was lost: the relay has it or not. It leaves again, by its key."""


class Handover:
    """Sends one message at a time. It asks over this connection only: after the next one it has waited longer."""

    __slots__ = ("_link", "_scope")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._scope: asyncio.Timeout | None = None

    async def hand_over(self, item: PendingSend, now: int) -> None:
        """Send it and wait until the relay has it. `now`: ms since 1970.

        Raises what the relay answers; Expired; BadFrame or BadRequest for what the file should not hold;
        ConnectionWasLost; why the link ended.
        """
        frame = item.frame
        try:
            await self._ask(leaving(frame, self._link.conversation.next_id(), item.queued_at, now))
        except KeyConflict as conflict:
            if not await self._is_there(frame, conflict):
                raise

    def connection_lost(self) -> None:
        """There is no connection any more: whoever is on its way has no answer."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def _is_there(self, frame: Send, conflict: KeyConflict) -> bool:
        """True when the message that has the key is this one: an answer was lost."""
        message = conflict.detail.get("message")
        if not isinstance(message, int):
            return False
        try:
            ok = await self._ask(GetMessage(id=self._link.conversation.next_id(), message=message))
        except UnknownMessage:
            return False
        return is_same(frame, read(ok.item, StoredMessage))

    async def _ask(self, frame: Send | GetMessage) -> Ok:
        data = codec.encode_checked(frame)
        try:
            async with asyncio.timeout(None) as self._scope:
                if not self._link.connected:
                    raise ConnectionWasLost
                return await self._link.ask(frame.id, data)
        except TimeoutError:
            raise ConnectionWasLost from None
        finally:
            self._scope = None
