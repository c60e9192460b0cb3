"""The link of one agent to its relay: one registered connection at a time, made again whenever it is lost.

It moves bytes and wakes who waits; what is said, kept and sent again is decided by the pure `conversation.py`.

Rules
- A call opens a request and awaits one future; there is no task and no queue per message. All frames made ready in one
  turn of the event loop leave in one WebSocket message (`_flush`).
- While there is no connection, calls wait; what was open is sent again after the next register.
- The link ends once and for good: by `close()`, by a lost connection when `reconnect` is off, by a relay that replaced
  or refuses this agent. Then `ended` says why, and everyone who waits gets that error.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

from relay_proto import codec
from relay_proto.errors import BadFrame, CloseCode, RelayError
from relay_proto.frames import Claim, ClaimNext, Deliver, Error, Event, Heartbeat, Ok

from .address import Address
from .connection import Connection, open_connection
from .conversation import Conversation, State, as_exception
from .ending import backoff_s, may_try_again, verdict
from .errors import Disconnected, Unreachable, same_again
from .events import Feed
from .requests import About
from .skew import warn_of_skew
from .unreachable import unreachable
from .waiting import Line

SETTLED_S: Final = 10.0
"""A registered connection that lived this long was a good one: the backoff starts again from its beginning."""
ATTEMPT_S: Final = 10.0
"""Seconds for one attempt, from the name lookup to the answer to register."""

_HEARTBEAT: Final = codec.encode_frame(Heartbeat())

logger = logging.getLogger("relay_client")
logger.addHandler(logging.NullHandler())  # else Python prints our warnings where an application has configured nothing

Future = asyncio.Future


class Link:
    """See the module. `open()` first, `close()` last; in between `ask`, `say` and `next_delivery`."""

    def __init__(
        self, conversation: Conversation[Future[Any]], address: Address, token: str | None, reconnect: bool
    ) -> None:
        self.conversation = conversation
        self.ended: RelayError | None = None
        self.closed_by_us = False
        self.round_trip_s: float | None = None
        self._warned_of: str | None = None  # the version of a relay that is not of our release
        self._address = address
        self._token = token
        self._reconnect = reconnect
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None  # from its 101 on
        self._registering: Future[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._flush_is_due = False
        self._payloads: Iterator[bytes] = iter(())
        self._askers = Line()
        self._readers = Line()
        self._listeners = Line()

    @property
    def connected(self) -> bool:
        """True while there is a registered connection."""
        return self.ended is None and self.conversation.state is State.ONLINE

    # -- calls -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise why the link has ended, if it has."""
        if self.ended is not None:
            raise same_again(self.ended)

    async def ask(self, id: int, data: bytes, about: About | None = None) -> Ok:
        """Send a request and give back its answer, however many connections that takes.

        Raises the typed error that the relay answers with, or why the link ended. Cancelling it leaves the request to
        the conversation; see `Conversation.abandon`.
        """
        conversation = self.conversation
        if self._askers or conversation.free <= self._askers.on_the_way:
            await self._wait_for_room()
        self.check()
        answer: Future[Ok] = self._loop.create_future()
        conversation.request(id, data, answer, about)
        self.flush_soon()
        try:
            return await answer
        except asyncio.CancelledError:
            conversation.abandon(id)
            self._let_askers_in()
            won = answer.done() and not answer.cancelled() and answer.exception() is None
            if won and isinstance(about, (Claim, ClaimNext)):
                conversation.give_back(about, answer.result())  # it was won in the very moment of the cancellation
                self.flush_soon()
            raise

    async def next_delivery(self, *, tells: bool = True) -> Deliver:
        """The next delivery, now in hand. Cancelling it loses none. Raises why the link ended."""
        deliveries = self.conversation.deliveries
        while True:
            self.check()
            frame = deliveries.next(tells=tells)
            if frame is not None:
                self.flush_soon()  # that it is surfaced
                return frame
            await self._readers.wait()

    @property
    def has_readers(self) -> bool:
        """True while some task waits in `next_delivery`."""
        return len(self._readers) + self._readers.on_the_way > 0

    def wake_readers(self) -> None:
        """There may be something to read again."""
        self._readers.let_all_in()

    async def next_event(self, feed: Feed) -> Event:
        """The next event of this feed. Cancelling it loses none. Raises why the link ended, when all are read."""
        while True:
            event = feed.take()
            if event is not None:
                return event
            self.check()
            await self._listeners.wait()

    def flush_soon(self) -> None:
        """Write what is ready at the end of this turn of the event loop."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    async def _wait_for_room(self) -> None:
        while True:
            try:
                await self._askers.wait()
            except asyncio.CancelledError:
                self._let_askers_in()  # our turn may have come
                raise
            if self.ended is not None or self.conversation.free:
                return

    def _let_askers_in(self) -> None:
        if self._askers:
            self._askers.let_in(self.conversation.free - self._askers.on_the_way)

    # -- open and close ----------------------------------------------------------------------------------------------

    async def open(self, timeout_s: float) -> None:
        """Connect and register. With `reconnect` it tries again, with backoff, until `timeout_s` is over; else once.

        Raises Unreachable, or what a relay answered that will not change by trying again (Unauthorized, ...).
        """
        started_at = self._loop.time()
        attempt = 0
        last: RelayError | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    attempt += 1
                    try:
                        await self._connect()
                        break
                    except RelayError as exc:
                        last = exc
                        if not may_try_again(exc):
                            raise
                        if not self._reconnect:
                            break
                    await asyncio.sleep(backoff_s(attempt))
        except TimeoutError:
            last = last or Unreachable("no answer")
        except Unreachable as exc:
            last = exc
        if self._connection is None:
            raise unreachable(self._address, last, attempt, self._loop.time() - started_at)
        self._keeper = self._loop.create_task(self._keep(self._connection), name=f"relay link of {self._name}")

    async def close(self) -> None:
        """Say bye, write what is ready, close. Who still waits gets Disconnected. Idempotent."""
        connection = self._connection
        if self.ended is None:
            self.closed_by_us = True
            if connection is not None:
                self.conversation.say_bye()
                self._flush(last_words=True)
            self._end(Disconnected("this agent was closed"))
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()  # before the connection closes: it would make the next one
        try:
            if connection is not None:
                connection.close()
                await asyncio.wait([connection.closed])
        finally:
            if connection is not None:
                connection.abort("closed by the agent")
            if keeper is not None:
                await asyncio.wait([keeper])
        if keeper is not None and not keeper.cancelled():
            keeper.result()  # a fault of our own in there must not pass unseen

    def _end(self, error: RelayError) -> None:
        """The end, for everyone who waits and everyone who asks from now on."""
        if self.ended is not None:
            return
        self.ended = error
        if self._connection is not None:
            self._connection.close()
        for answer in self.conversation.end():
            if not answer.done():
                answer.set_exception(same_again(error))
        self.conversation.claims.watches.ended(error)
        self.conversation.claims.watches.tell()
        for line in (self._readers, self._listeners, self._askers):
            line.let_all_in()

    # -- connections -------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.conversation.register.agent

    async def _connect(self) -> None:
        """One attempt, up to the answer to register. Raises the RelayError that says why not."""
        self._connection = None
        try:
            async with asyncio.timeout(ATTEMPT_S):
                connection = await open_connection(self._address, self._token, self)
        except TimeoutError:
            raise Unreachable(f"no answer within {ATTEMPT_S:g} s") from None
        self._connection = connection
        self._registering = self._loop.create_future()
        asked_at = self._loop.time()
        self.conversation.connected()
        self._flush()
        try:
            await asyncio.wait([self._registering, connection.closed], timeout=ATTEMPT_S, return_when="FIRST_COMPLETED")
            if self.conversation.state is not State.ONLINE or connection.closed.done():
                if not connection.closed.done():
                    connection.close()
                raise (
                    self.conversation.refusal
                    or self._why_ended(connection)
                    or Unreachable(f"the relay did not answer register: {connection.close_reason}")
                )
        except BaseException:
            self._connection = None
            self._forget_connection()
            connection.abort("given up while registering")
            raise
        answer = self.conversation.answer
        assert answer is not None
        self.round_trip_s = self._loop.time() - asked_at
        if answer.heartbeat_s is not None:
            connection.start_heartbeats(answer.heartbeat_s)
        if answer.server is not None:
            self._warned_of = warn_of_skew(self._address.uri, answer.server.version, self._warned_of)
        logger.info(
            "%s registered at %s: session %s, epoch %s", self._name, self._address.uri, answer.session, answer.epoch
        )

    async def _keep(self, connection: Connection | None) -> None:
        """Hold the link until it ends: wait for the connection to break, make the next one. None: there was none."""
        attempt = 0
        while True:
            if connection is not None:
                since = self._loop.time()
                await asyncio.wait([connection.closed])
                self._forget_connection()
                final = self._why_ended(connection)
                if final is None and not self._reconnect:
                    final = Disconnected(f"the connection was lost: {connection.close_reason}")
                if final is not None:
                    logger.info("%s: the link ended: %s", self._name, final)
                    self._end(final)
                    return
                if self._loop.time() - since >= SETTLED_S:
                    attempt = 0
                logger.warning(
                    "%s lost its connection to %s: %s", self._name, self._address.uri, connection.close_reason
                )
            while True:
                await asyncio.sleep(backoff_s(attempt))
                attempt += 1
                try:
                    await self._connect()
                except RelayError as exc:
                    if not may_try_again(exc) and not isinstance(exc, Unreachable):
                        logger.info("%s: the link ended: %s", self._name, exc)
                        self._end(exc)
                        return
                    logger.info("%s: reconnect %d to %s failed: %s", self._name, attempt, self._address.uri, exc)
                else:
                    connection = self._connection
                    break

    def _forget_connection(self) -> None:
        self.conversation.lost()
        self._payloads = iter(())
        self._let_askers_in()

    def _why_ended(self, connection: Connection) -> RelayError | None:
        said = self.conversation
        return verdict(said.bye, said.complaints, connection.close_code, connection.close_reason)

    # -- the owner of a connection -----------------------------------------------------------------------------------

    def message_received(self, data: bytes) -> None:
        """Frames of the relay: wake who waits for them."""
        connection, conversation = self._connection, self.conversation
        if connection is None:
            return  # said before we registered; what it means (it is going away) its closing will show
        try:
            frames = codec.decode_relay_batch(data)
        except BadFrame as exc:
            logger.error("%s: %s", self._name, exc)
            connection.close(CloseCode.BAD_FRAME, str(exc)[:100])
            return
        for answer, frame in conversation.receive(frames):
            if isinstance(frame, Ok):
                answer.set_result(frame)
            else:
                answer.set_exception(as_exception(frame))
        for reply, outcome in conversation.asks.take_settled():
            if isinstance(outcome, Deliver):
                reply.set_result(outcome)
            elif not reply.done():
                reply.set_exception(outcome)
        conversation.claims.watches.tell()
        if self._listeners:
            self._listeners.let_all_in()
        if self._readers and conversation.deliveries.has_waiting:
            self._readers.let_all_in()
        self._let_askers_in()
        if self._registering is not None and (conversation.state is State.ONLINE or conversation.refusal is not None):
            if not self._registering.done():
                self._registering.set_result(None)
            self._registering = None
        if conversation.complaints:
            self._log_complaints(conversation.complaints)
        if conversation.bye is not None:
            connection.close()
        if conversation.has_outgoing:
            self.flush_soon()

    def writable(self) -> None:
        """The transport takes bytes again."""
        self._flush()

    def heartbeat_due(self) -> None:
        """Nothing was said for a while: say that the agent is there."""
        self.conversation.say(_HEARTBEAT)
        self.flush_soon()

    def round_trip(self, seconds: float) -> None:
        """A ping was answered."""
        self.round_trip_s = seconds

    def _log_complaints(self, complaints: list[Error]) -> None:
        for error in complaints:
            logger.warning("%s: the relay refused a frame: %s: %s", self._name, error.code, error.message)

    def _flush(self, last_words: bool = False) -> None:
        """Write what is ready, as few WebSocket messages as it fits into, until the transport has enough.

        Last words go into its buffer however full that is: what they can be is bounded, and so is the time to close.
        """
        self._flush_is_due = False
        connection = self._connection
        if connection is None:
            return
        while (connection.can_write or last_words) and connection.is_open:
            payload = next(self._payloads, None)
            if payload is None:
                if not self.conversation.has_outgoing:
                    return
                self._payloads = codec.batches(self.conversation.take_outgoing())
            else:
                connection.write(payload)
