"""What an agent can ask the relay: who is there, what was said, how far it came, who owes what. It changes nothing."""

from relay_proto.frames import (
    AgentCard,
    Agents,
    DeliveryState,
    Explanation,
    GetMessage,
    GetOverview,
    Inbox,
    Overview,
    Owed,
    OwedReply,
    Presence,
    Receipts,
    StoredMessage,
    Thread,
    Why,
)

from .calls import Calls, read
from .message import Page


class Questions(Calls):
    """The part of `Agent` that asks."""

    async def agents(
        self,
        tag: str | None = None,
        cap: str | None = None,
        label: str | None = None,
        channel: str | None = None,
        status: Presence | None = None,
        machine: str | None = None,
    ) -> list[AgentCard]:
        """All agents that the relay knows and every given filter holds for, ordered by id. Follows all pages."""
        cards: list[AgentCard] = []
        after: int | str | None = None
        while True:
            ok = await self._ask(
                Agents, tag=tag, cap=cap, label=label, channel=channel, status=status, machine=machine, after=after
            )
            cards += read(ok.items or [], list[AgentCard])
            after = ok.next
            if after is None:
                return cards

    async def inbox(
        self,
        *,
        limit: int = 100,
        after: int | None = None,
        channel: str | None = None,
        unread: bool = True,
        agent: str | None = None,
    ) -> Page[StoredMessage]:
        """A page of an inbox (default: this agent's), oldest first; reading it changes nothing.

        `unread`: only what is not dealt with. For the next page pass `after=page.next`, until that is None. A page may
        be shorter than `limit` before the end.
        """
        ok = await self._ask(Inbox, limit=limit, after=after, channel=channel, unread=unread, agent=agent)
        return Page(read(ok.items or [], list[StoredMessage]), ok.next)

    async def message(self, message: int) -> StoredMessage:
        """One message with its deliveries and the state of its work. Raises UnknownMessage."""
        return read((await self._ask(GetMessage, message=message)).item, StoredMessage)

    async def thread(self, thread: int, limit: int = 100, after: int | None = None) -> Page[StoredMessage]:
        """A page of a thread, oldest first. `thread` is the id of any of its messages.

        For the next page pass `after=page.next`, until that is None. Raises UnknownMessage.
        """
        ok = await self._ask(Thread, thread=thread, limit=limit, after=after)
        return Page(read(ok.items or [], list[StoredMessage]), ok.next)

    async def receipts(self, message: int) -> list[DeliveryState]:
        """How far a message that this agent sent came, at each recipient."""
        return (await self._ask(Receipts, message=message)).deliveries or []

    async def owed(self, agent: str | None = None) -> list[OwedReply]:
        """The replies that are still owed, both ways: `item.agent` owes one to `item.asker`; this agent is one of them.

        `agent`: of whom; default this one. What was asked before a restart is among them: an `ask` that nobody waits
        for any more is still answered by a message with `reply_to`, which then comes out of the loop.
        """
        return read((await self._ask(Owed, agent=agent)).items or [], list[OwedReply])

    async def why(self, *, agent: str | None = None, message: int | None = None) -> Explanation:
        """What an agent or a message waits for, since when, and who could unblock it, in plain sentences.

        Give exactly one of the two. Raises BadRequest when it is not one, UnknownAgent, UnknownMessage.
        """
        return read((await self._ask(Why, agent=agent, message=message)).item, Explanation)

    async def overview(self, limit: int = 10) -> Overview:
        """The relay at a glance: its counters, who is there, the oldest messages nobody dealt with, stuck work.

        `limit`: entries of each list, 1 to 50. Counters only grow while the relay runs: the difference of two, over the
        difference of `uptime_s`, is a rate. What is counted in the store may be 5 s old (`counted_at`).
        """
        return read((await self._ask(GetOverview, limit=limit)).item, Overview)
