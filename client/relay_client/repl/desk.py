"""What one REPL holds: its agent, the messages that stand in front of the user, and the claims it took.

Rules
- A message that was printed is `surfaced`, no more. It stays in the inbox until ack, reply or done.
- What comes again after a reconnect is not printed again.
- What the relay tells by itself (a reply is overdue, a message is replaced) is a line with a star.
- What was taken away is not unread any more; what was replaced after it was surfaced is.
- A burst is printed whole, at most a credit of lines: what was taken from the client counts as surfaced, so nothing
  may be taken and not shown.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from relay_client import Agent, Events, Message
from relay_proto.frames import AgentCard, Event

from ..cli.events import event_lines, owed_lines
from ..cli.render import message_line

CARDS_FRESH_S: Final = 2.0
"""Seconds that the list of agents serves completion before it is asked for again."""


class Desk:
    """The state of a REPL. `show` prints ready lines; `now` and `width` are asked at each print."""

    def __init__(
        self,
        agent: Agent,
        *,
        show: Callable[[Iterable[str]], None],
        now: Callable[[], datetime],
        width: Callable[[], int | None],
    ) -> None:
        self.agent = agent
        self.show = show
        self.now = now
        self.width = width
        self.unread: dict[int, Message] = {}  # arrived, not dealt with; by id, in the order of arrival
        self.fences: dict[int, int] = {}  # message -> fence of the claim this REPL holds
        self.cards: list[AgentCard] = []
        self._cards_at = float("-inf")
        self._unshown: list[Message] = []
        self._arrived = asyncio.Event()

    async def receive(self) -> None:
        """Takes what is delivered, for as long as the session lives. Raises when it ends (Replaced, Unauthorized)."""
        while True:
            message = await self.agent.receive()
            if message.message not in self.unread:
                self.unread[message.message] = message
                self._unshown.append(message)
                self._arrived.set()

    async def announce(self) -> None:
        """Prints what `receive` took, and reports what was printed as surfaced."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._unshown = self._unshown, []
            shown = [message for message in batch if message.message in self.unread]
            self.show([message_line(message, now=self.now(), width=self.width()) for message in shown])
            await self.surfaced(message.message for message in shown)

    async def listen(self, events: Events) -> None:
        """Prints what the relay tells, for as long as the session lives; first what is owed now.

        `events` was made before anything else was asked, so that nothing is missed. Raises when the session ends.
        """
        self._tell(owed_lines(await self.agent.owed(), self.agent.name, now=self.now()))
        async for event in events:
            self._heard(event)

    def _heard(self, event: Event) -> None:
        """Prints one event, and forgets the message that it takes away."""
        if event.event in ("withdrawn", "superseded") and event.stage in ("expired", "superseded"):
            self.unread.pop(event.message or 0, None)
        elif event.event == "task.claimed" and event.agent != self.agent.name:
            self.unread.pop(event.message or 0, None)  # another one's to do
        self._tell(event_lines(event, self.agent.name, now=self.now()))

    def _tell(self, lines: list[str]) -> None:
        if lines:
            self.show(f"* {line}" for line in lines)

    async def surfaced(self, messages: Iterable[int]) -> None:
        """Tells the relay that the user has these in front of them."""
        if identifiers := list(messages):
            await self.agent.ack(identifiers, stage="surfaced")

    async def settle(self, messages: list[int]) -> None:
        """Acks these as done; they leave the inbox."""
        await self.agent.ack(messages)
        for message in messages:
            self.unread.pop(message, None)

    async def refresh_cards(self) -> list[AgentCard]:
        """Who is there, at most CARDS_FRESH_S old while the relay can be reached, else as last seen."""
        loop_time = asyncio.get_running_loop().time()
        if self.agent.connected and loop_time - self._cards_at > CARDS_FRESH_S:
            self._cards_at = loop_time
            self.cards = await self.agent.agents()
        return self.cards
