"""The outbox of an agent: what it sends while no relay can be reached waits on disk, and leaves in order.

             send, no connection                        ok
    (caller) --------------------> pending (on disk) ---------> the relay
                                      |       ^  |
                                      |       +--+ later: rate_limited, inbox_full, storage_full, unavailable
                                      +--> refused (on disk): unknown_agent, key_conflict, .., expired

Rules
- While anything waits, every send of the agent goes into the line, also with a connection: the relay gets them in the
  order of the calls. They leave one by one: a refusal that means "later" must find nothing sent behind it.
- A message leaves with the key that it got when it was sent, so it may be sent again after any crash or lost answer.
- A send that was on its way when the connection was lost comes into the line too, at its place.
- Each time it leaves, it says how long it has waited. So the relay, which may have it already, finds another content
  under its key, and answers key_conflict: the message that it has is then read and compared.
- All file work runs on one thread of its own, each change in one transaction that no cancellation can cut.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from relay_proto import codec, limits
from relay_proto.errors import BadRequest, RelayError
from relay_proto.fields import QUEUED_HEADER
from relay_proto.frames import Send

from .address import Address
from .conversation import Conversation
from .link import Link
from .message import Page, Receipt
from .outbox_file import OutboxFile
from .outbox_handover import ConnectionWasLost, Handover
from .outbox_items import PendingSend, Queued, RefusedSend
from .outbox_link import OutboxLink
from .outbox_rules import (
    OUTBOX_BYTES_MAX,
    OUTBOX_MESSAGES_MAX,
    Next,
    leaving,
    retry_s,
    what_next,
)
from .waiting import Line

FILE_RETRY_S: Final = 5.0
"""Seconds until the next try, where the file could not be read or written (a full disk, a tool that holds a lock)."""
SETTLED_TOGETHER_MAX: Final = 32
"""Messages that left, until the file is told: a transaction is several fsyncs. A crash sends them again, by key."""
PAGE_MAX: Final = limits.PAGE_MAX

logger = logging.getLogger("relay_client")

T = TypeVar("T")


async def open_with_outbox(
    path: str,
    conversation: Conversation[asyncio.Future[Any]],
    address: Address,
    token: str | None,
    timeout_s: float,
) -> "tuple[Link, Outbox]":
    """Take the outbox, then try to reach the relay: who may not have the outbox must not take the agent over either.

    Raises OutboxInUse, OutboxUnusable, and what `OutboxLink.open` raises.
    """
    link = OutboxLink(conversation, address, token, True)
    outbox = Outbox(path, link)
    await outbox.open()
    link.changed = outbox.connection_changed
    try:
        await link.open(timeout_s)
    except BaseException:
        await outbox.close()
        raise
    outbox.start()
    return link, outbox


def now_ms() -> int:
    """Milliseconds since 1970: the waiting outlives the process, so it can't be the monotonic clock."""
    return time.time_ns() // 1_000_000


class Outbox:
    """What waits for the relay, and what it refused: `agent.outbox`, made by `connect(..., outbox=PATH)`.

    One agent object at a time has the file. What still waits when the agent is closed leaves when the same agent
    connects with the same path again, in whatever process. The file belongs to one agent id; which relay its messages
    go to is the connection's to say.

    What `agent.send` does with an outbox
    - With a connection, and nothing waiting: as without an outbox. If the connection is lost before the answer came,
      the message is queued, with its key, at its place in the order of the calls.
    - Else it gives back a Queued receipt once the message is on disk. A cancelled send is in the outbox or not; a
      message that is being written then gets there.
    - Arguments are checked before anything is queued. `headers` may have one entry fewer than the wire allows: the
      waiting message's time goes into `relay-queued-at`, ms since 1970 as text.
    - `ttl_s` and `delay_s` count from the call: what leaves later leaves with what is left of them. A ttl that is over
      puts the message into `refused()` with the code `expired` (one that was on its way when the connection was lost
      may have arrived before). `expect_reply_s` and `offer_s` begin at the relay.
    - `timeout_s` is for the relay's answer only: TimeoutError as without an outbox, and nothing is queued; a message
      that is queued is not timed.
    - What the link's end would raise (Disconnected, Replaced, Unauthorized), it raises; nothing is queued then.
    - Raises OutboxFull beyond OUTBOX_MESSAGES_MAX messages or OUTBOX_BYTES_MAX bytes (those that were refused count),
      or when the disk is full; OutboxUnusable when the file can't be written; KeyConflict when another message with its
      key waits. It was not queued then.

    `ask` and all other calls do not go through it: they wait for the connection, and may overtake what waits.
    """

    def __init__(
        self,
        path: str,
        link: Link,
        *,
        messages_max: int = OUTBOX_MESSAGES_MAX,
        bytes_max: int = OUTBOX_BYTES_MAX,
    ) -> None:
        self._link = link
        self._agent = link.conversation.register.agent
        self._file = OutboxFile(path, self._agent, messages_max=messages_max, bytes_max=bytes_max)
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="relay outbox")
        self._jobs: set[asyncio.Task[Any]] = set()
        self._drainer: asyncio.Task[None] | None = None
        self._last_place = 0
        self._writing = 0  # sends on their way into the file
        self._on_the_way: set[asyncio.Timeout] = set()  # sends on their way to the relay, past the file
        self._handover = Handover(link)
        self._left: list[PendingSend] = []  # the relay has them, and the file does not know it yet
        self._watchers = Line()
        self._blocked: RelayError | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Outbox({self.path!r}, pending={self.pending_count}, refused={self.refused_count})"

    # -- what is known -------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The file, absolute, symlinks resolved."""
        return self._file.path

    @property
    def pending_count(self) -> int:
        """Messages that wait."""
        return self._file.pending

    @property
    def refused_count(self) -> int:
        """Messages that were put aside, to be looked at."""
        return self._file.refused

    @property
    def bytes(self) -> int:
        """Bytes of all of them, as they count against OUTBOX_BYTES_MAX."""
        return self._file.bytes

    @property
    def blocked(self) -> RelayError | None:
        """Why the first in line did not leave at its last try though there is a connection; None when nothing is."""
        return self._blocked if self._file.pending else None

    async def pending(self, limit: int = limits.PAGE_DEFAULT, after: int = 0) -> Page[PendingSend]:
        """A page of what waits, the next to leave first. For the page behind it pass `after=page.next`."""
        return await self._page(self._file.pending_page, limit, after)

    async def refused(self, limit: int = limits.PAGE_DEFAULT, after: int = 0) -> Page[RefusedSend]:
        """A page of what the relay refused for good and what expired here, each with code, message and time."""
        return await self._page(self._file.refused_page, limit, after)

    async def forget(self, key: str) -> int:
        """Drop what has this key, refused or still waiting; gives back how many that were (0: there is none).

        One that is being sent in this moment may arrive all the same. Raises OutboxFull or OutboxUnusable when the file
        can't be written: then nothing was dropped.
        """
        forgotten = await self._on_thread(self._file.forget, key)
        self._watchers.let_all_in()
        return forgotten

    async def drained(self, timeout_s: float | None = None) -> None:
        """Wait until nothing waits any more: all of it is at the relay, or refused. Sends that are awaited don't count.

        Raises TimeoutError after `timeout_s` (default: none), or why the agent's link ended.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._file.pending or self._writing:
                    self._link.check()
                    await self._watchers.wait()
        except TimeoutError:
            reason = f"; the first one: {self._blocked}" if self._blocked else ""
            raise TimeoutError(f"{self.pending_count} messages still wait after {timeout_s:g} s{reason}") from None

    # -- sending -------------------------------------------------------------------------------------------------

    async def send(self, frame: Send, now: Callable[[], Awaitable[Receipt]]) -> Receipt:
        """Send by `now()` where that can be done at once, else queue. `frame` is checked, and has its key.

        Raises BadRequest for a frame that could not leave later; what `now()` raises; OutboxFull, OutboxUnusable.
        """
        called_at = now_ms()
        try:
            codec.encode_checked(leaving(frame, frame.id, called_at, called_at))
        except BadRequest as exc:
            raise BadRequest(f"{exc.message} (with an outbox, {QUEUED_HEADER} is one of the headers)") from None
        self._last_place += 1
        place = self._last_place
        if self._link.connected and not (self._file.pending or self._writing):
            try:
                async with asyncio.timeout(None) as scope:
                    self._on_the_way.add(scope)
                    try:
                        return await now()
                    finally:
                        self._on_the_way.discard(scope)
                        if self._file.pending or self._writing:
                            self._watchers.let_all_in()  # the line may have waited for this one
            except TimeoutError:
                if not scope.expired():
                    raise
        self._link.check()
        self._writing += 1  # here, not in the task: a send behind this one must see it
        return await self._shielded(self._put(place, frame, called_at))

    async def _put(self, place: int, frame: Send, called_at: int) -> Queued:
        assert frame.key is not None, "Agent.send gives every message a key"
        data = codec.encode_frame(msgspec.structs.replace(frame, id=0))
        try:
            queued_at, position = await self._run(self._file.put, place, frame.key, called_at, data)
        finally:
            self._writing -= 1
            self._watchers.let_all_in()
        return Queued(frame.key, queued_at, self.path, position)

    # -- leaving -------------------------------------------------------------------------------------------------

    def connection_changed(self) -> None:
        """The link's notice: a connection came or was lost, or the link ended."""
        if not self._link.connected and self._link.ended is None:
            self._handover.connection_lost()
            for scope in self._on_the_way:
                if not scope.expired():
                    scope.reschedule(self._loop.time())
        self._watchers.let_all_in()

    @property
    def _may_leave(self) -> bool:
        """True when the first in line is the very next to be sent, and there is a connection."""
        return self._link.connected and self._file.pending > 0 and not self._writing and not self._on_the_way

    async def _drain(self) -> None:
        """Send what waits, one after the other, as long as the agent lives."""
        failures, last_place = 0, 0
        while True:
            while not self._may_leave:
                await self._watchers.wait()
            try:
                item = await self._on_thread(self._file.first, self._left[-1].place if self._left else 0)
                if item is None:
                    await self._settle()
                    continue
                if item.place != last_place:
                    failures, last_place = 0, item.place
                wait_s = await self._leave(item, failures)
                if wait_s is not None or len(self._left) == SETTLED_TOGETHER_MAX:
                    await self._settle()
            except ConnectionWasLost:
                failures = 0
                continue
            except RelayError as exc:
                if self._link.ended is not None:
                    return
                if str(exc) != str(self._blocked):
                    logger.warning("%s: its outbox waits: %s", self._agent, exc)
                self._blocked = exc
                wait_s = FILE_RETRY_S
            else:
                failures += 1
            self._watchers.let_all_in()
            if wait_s is not None:
                await asyncio.sleep(wait_s)

    async def _leave(self, item: PendingSend, failures: int) -> float | None:
        """One try. Gives back None when this message is out of the line, else the seconds until the next try.

        Raises ConnectionWasLost; why the link ended; what the file says.
        """
        try:
            await self._handover.hand_over(item, now_ms())
        except RelayError as exc:
            if self._link.ended is not None:
                raise
            if what_next(exc, failures) is Next.AGAIN:
                log = logger.info if failures else logger.warning
                log("%s: its outbox waits, the relay did not take %s: %s", self._agent, item.key, exc)
                self._blocked = exc
                return retry_s(exc, failures)
            logger.warning("%s: %s was sent while offline and is refused: %s", self._agent, item.key, exc)
            await self._on_thread(self._file.refuse, item, exc.code, exc.message, now_ms())
        else:
            self._left.append(item)
        self._blocked = None
        return None

    async def _settle(self) -> None:
        """Tell the file what has left. What it can't take in now leaves once more, and its key is known then."""
        left, self._left = self._left, []
        if left:
            await self._on_thread(self._file.settle, left)
            self._watchers.let_all_in()

    # -- open and close ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Take the file. Raises OutboxInUse or OutboxUnusable."""
        opening = self._loop.run_in_executor(self._thread, self._file.open)
        try:
            await asyncio.shield(opening)
        except BaseException:
            self._closed = True
            self._thread.submit(self._file.close)  # behind the opening: it may have been cancelled, not failed
            self._thread.shutdown(wait=False)
            raise
        self._last_place = self._file.last_place
        if self._file.pending:
            logger.info("%s: %d messages wait in the outbox %s", self._agent, self._file.pending, self.path)

    def start(self) -> None:
        """Begin to send what waits. Once, after the link was opened."""
        self._drainer = self._loop.create_task(self._drain(), name=f"relay outbox of {self._agent}")

    async def close(self) -> None:
        """Finish what is being written, close the file, give up its lock. What waits stays in it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        drainer = self._drainer
        try:
            if drainer is not None:
                drainer.cancel()
                await asyncio.wait([drainer])
            if self._jobs:
                await asyncio.wait(self._jobs)
            await self._settle()
        except RelayError as exc:
            logger.info("%s: what has left is still in its outbox, and will be sent again: %s", self._agent, exc)
        finally:
            closing = self._loop.run_in_executor(self._thread, self._file.close)
            self._thread.shutdown(wait=False)
            self._watchers.let_all_in()
            await asyncio.shield(closing)
        if drainer is not None and not drainer.cancelled():
            drainer.result()  # a fault of our own in there must not pass unseen

    # -- the thread ----------------------------------------------------------------------------------------------

    async def _page(self, read: Callable[[int, int], list[Any]], limit: int, after: int) -> Page[Any]:
        if not (isinstance(limit, int) and 1 <= limit <= PAGE_MAX):
            raise BadRequest(f"limit is {limit!r:.80}; expected 1 to {PAGE_MAX}")
        items = await self._on_thread(read, limit, after)
        return Page(items, items[-1].place if len(items) == limit else None)

    async def _on_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run one function of the file; cancelling who waits for it does not cut it."""
        return await self._shielded(self._run(call, *arguments))

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._thread, call, *arguments)

    async def _shielded(self, job: Coroutine[Any, Any, T]) -> T:
        task = self._loop.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return await asyncio.shield(task)
