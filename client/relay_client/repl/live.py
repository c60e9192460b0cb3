"""What comes to a REPL by itself, while its prompt is open: messages and news are taken in, announced, and reported.

Rules
- A message is reported as surfaced after it was printed, and no sooner. One that a burst pushed aside is not: it stays
  unread, and `inbox` shows it.
- What comes again after a reconnect is not printed again, as long as it was not dealt with.
- What the relay tells by itself (a reply is overdue, a message is replaced) is a line with a star.
- What was taken away is not unread any more; what was replaced after it was surfaced is.
- What the relay tells of the connection comes from the client's log, at once, and never gives way to a burst.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final

from relay_proto import limits
from relay_proto.errors import RelayError
from relay_proto.frames import Event, OwedReply

from ..cli.escape import escape
from ..cli.events import event_lines, owed_lines
from . import paint
from .announcer import Announcer, Left

if TYPE_CHECKING:
    from relay_client import Events, Message

    from .desk import Desk

OWES_EVERY_S: Final = 1.0
"""Seconds between two questions what is owed, however much happens."""

FULL: Final = f"* {limits.CREDIT_MAX:,} messages are unread; the relay keeps what comes next until some are dealt with"


class Live:
    """The loops beside the prompt of one desk. A script that watches uses `listen` and `announce` alone."""

    def __init__(self, desk: "Desk") -> None:
        self.desk = desk
        self._announcer: Announcer[Message | list[str]] = Announcer(_sender)
        self._came = asyncio.Event()
        self._seen: list[int] = []  # printed, not reported yet
        self._seen_some = asyncio.Event()
        self._is_full = False
        self._owed: set[tuple[int, str]] = set()  # what the user was told last that is owed

    def loops(self, events: "Events") -> "tuple[Coroutine[Any, Any, None], ...]":
        """All that runs as long as the session lives; each raises why it ended (Replaced, Unauthorized)."""
        return self.receive(), self.announce(), self.report(), self.count_owed(), self.listen(events)

    # -- messages ----------------------------------------------------------------------------------------------------

    async def receive(self) -> None:
        """Takes what is delivered."""
        desk = self.desk
        before = await self._seen_before()
        while True:
            message = await desk.agent.receive(surfaced=False)
            if message.message in before and message.message not in desk.unread:
                before.discard(message.message)
                desk.unread[message.message] = message
                desk.seen.add(message.message)
                desk.note(message)
                continue
            is_new = message.message not in desk.unread
            desk.unread[message.message] = message
            if is_new:
                desk.seen.discard(message.message)  # an offer that was given back comes anew
                desk.note(message)
                self._tell(message)
                if message.reply_by_at is not None:
                    desk.owes_changed()
            self._warn_when_full()

    async def _seen_before(self) -> set[int]:
        """What was in front of the user before this session and is not dealt with: a line says how much that is."""
        found: set[int] = set()
        after: int | None = None
        with contextlib.suppress(RelayError):  # the token may not allow it: then all of it is printed
            while len(found) < limits.CREDIT_MAX:
                page = await self.desk.agent.inbox(limit=limits.PAGE_MAX, after=after)
                found.update(item.message for item in page if item.stage == "surfaced")
                if not isinstance(page.next, int):
                    break
                after = page.next
        if found:
            what = (
                "1 message that you saw before is"
                if len(found) == 1
                else f"{len(found):,} messages that you saw before are"
            )
            self._news([f"{what} not acked; inbox shows what there is"])
        return found

    def _warn_when_full(self) -> None:
        """Says once that the relay holds back what comes next: otherwise it would look as if nobody wrote any more."""
        was_full, self._is_full = self._is_full, len(self.desk.unread) >= limits.CREDIT_MAX
        if self._is_full and not was_full:
            self.desk.show([paint.news_line(FULL)])

    async def announce(self) -> None:
        """Prints what came, as often as the announcer lets it."""
        desk, loop = self.desk, asyncio.get_running_loop()
        while True:
            due_at = self._announcer.due_at()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if due_at is None else due_at):
                    await self._came.wait()
            self._came.clear()
            self._announcer.forget(self._is_gone)
            items, left = self._announcer.take(loop.time())
            if items or left:
                desk.show(self._lines(items, left))
                await desk.printed()
                self._seen += [item.message for item in items if not isinstance(item, list)]
                self._seen_some.set()

    def _lines(self, items: "Iterable[Message | list[str]]", left: Left | None) -> list[str]:
        desk = self.desk
        now, width = desk.now(), desk.width()
        lines: list[str] = []
        rings = desk.settings.bell and left is not None
        for item in items:
            if isinstance(item, list):
                lines += [paint.news_line(line) for line in item]
            else:
                lines += paint.message_lines(item, now=now, own=desk.agent.name, width=width, is_unread=True)
                rings = rings or desk.settings.bell
        if left is not None:
            lines.append(paint.left_line(str(left)))
        if rings:
            lines[0] = "\a" + lines[0]
        return lines

    def _is_gone(self, item: "Message | list[str]") -> bool:
        desk = self.desk
        return not isinstance(item, list) and (item.message not in desk.unread or item.message in desk.seen)

    async def report(self) -> None:
        """Tells the relay what was printed. Beside `announce`: while there is no connection this waits, printing does
        not."""
        while True:
            await self._seen_some.wait()
            self._seen_some.clear()
            seen, self._seen = self._seen, []
            with contextlib.suppress(RelayError):  # a full disk, a quota: no reason to end the session
                await self.desk.surfaced(message for message in seen if message in self.desk.unread)

    # -- news --------------------------------------------------------------------------------------------------------

    async def listen(self, events: "Events") -> None:
        """Tells what the relay tells; first what is owed now.

        `events` was made before anything else was asked, so that nothing is missed. Raises when the session ends.
        """
        desk = self.desk
        with contextlib.suppress(RelayError):  # the token may not allow it; why a session ends is raised below
            owed = await desk.agent.owed()
            desk.owed_count = sum(item.agent == desk.agent.name for item in owed)
            self._owed = owed_pairs(owed)
            self._news(owed_lines(owed, desk.agent.name, now=desk.now()))
        async for event in events:
            await self._heard(event)

    async def _heard(self, event: Event) -> None:
        """Tells one event, and forgets what it takes away."""
        desk = self.desk
        message = event.message or 0
        if event.event in ("withdrawn", "superseded") and event.stage in ("expired", "superseded"):
            desk.forget(message)
        elif event.event == "task.claimed" and event.agent != desk.agent.name:
            desk.forget(message)  # another one's to do
        elif event.event == "claim.lost":
            desk.fences.pop(message, None)
        elif event.event == "owed" or event.event.startswith("reply."):
            desk.owes_changed()
        if not self._is_known(event):
            self._news(event_lines(event, desk.agent.name, now=desk.now()))
        if event.pair is not None:
            await self._paired(event)

    def _is_known(self, event: Event) -> bool:
        """Whether it needs no line: the user has just done it, and the answer to the command says so (an invitation, a
        task); or what is owed after a reconnect is what was owed before."""
        own = self.desk.agent.name
        if event.event == "owed":
            before, self._owed = self._owed, owed_pairs(event.items or [])
            return self._owed <= before
        if event.pair is not None:
            return event.pair.state == "pending" and event.pair.sender == own
        return event.event.startswith("task.") and event.agent == own

    async def _paired(self, event: Event) -> None:
        """Who is invited is told how to answer. Who opened a pair that was accepted talks in it from then on; who is in
        one that is over does not."""
        desk, record = self.desk, event.pair
        assert record is not None
        if record.state == "pending" and record.to == desk.agent.name:
            self._news([f"pair accept {record.pair} takes part, pair reject {record.pair} declines"])
        elif record.state == "active" and record.pair == desk.opened:
            desk.opened = None
            with contextlib.suppress(RelayError):
                pair = await desk.agent.pair(record.pair)
                desk.enter(pair)
                self._news([f"what you say goes to {pair.partner}; pair hangup ends it"])
        elif record.state in ("rejected", "ended") and desk.leave(record.pair):
            whom = "nobody" if desk.peer is None else escape(desk.peer)
            self._news([f"what you say goes to {whom} now"])

    async def count_owed(self) -> None:
        """Keeps the number of replies that are owed, asking anew when it may have changed."""
        desk = self.desk
        while True:
            await desk.owes_asked.wait()
            desk.owes_asked.clear()
            with contextlib.suppress(RelayError):
                owed = await desk.agent.owed()
                desk.owed_count = sum(item.agent == desk.agent.name for item in owed)
            await asyncio.sleep(OWES_EVERY_S)

    def _news(self, lines: list[str]) -> None:
        if lines:
            self._tell([f"* {line}" for line in lines])

    def _tell(self, item: "Message | list[str]") -> None:
        self._announcer.came(item, asyncio.get_running_loop().time())
        self._came.set()


def owed_pairs(items: "Iterable[OwedReply]") -> set[tuple[int, str]]:
    """Which reply is owed by whom."""
    return {(item.message, item.agent) for item in items}


def _sender(item: "Message | list[str]") -> str | None:
    return None if isinstance(item, list) else item.sender
