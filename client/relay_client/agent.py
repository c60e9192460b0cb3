"""What a program holds while it is an agent: every op of the protocol as a method.

Rules of all calls
- Arguments are checked against the protocol's own schema before anything is sent: BadRequest, TooLarge.
- What the relay refuses is raised as the typed error of its code (`relay_proto.errors`).
- While the connection is down they wait for the next one; what had no answer is sent again by itself. They raise
  Disconnected, Replaced or Unauthorized only when no connection will come any more.
- Cancelling one leaves the agent usable. What was asked may have happened or not.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, TypeVar

import msgspec

from relay_proto import codec
from relay_proto.errors import BadFrame, BadRequest
from relay_proto.frames import (
    Ack,
    AgentCard,
    Agents,
    Body,
    Claim,
    Complete,
    DeliveryState,
    Fail,
    GetMessage,
    Heartbeat,
    Inbox,
    Intent,
    Nack,
    Ok,
    Presence,
    Receipts,
    Release,
    Renew,
    Request,
    Send,
    ServerInfo,
    Status,
    StoredMessage,
    Update,
)
from relay_proto.targets import parse_target

from .conversation import About
from .errors import refused
from .iteration import Hands, MessageLoop
from .link import Link
from .message import Message, Page, Receipt
from .work import Work

T = TypeVar("T")
R = TypeVar("R", bound=Request)


class Agent:
    """A registered agent. Made by `relay_client.connect`; `async with` closes it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._conversation = link.conversation
        self._hands = Hands(link)

    def __repr__(self) -> str:
        state = "ended" if self._link.ended is not None else "connected" if self.connected else "reconnecting"
        return f"Agent({self.name!r}, epoch={self.epoch}, {state})"

    async def __aenter__(self) -> "Agent":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hands.finish(exc)
        await self.close()

    async def close(self) -> None:
        """Say bye, write what is ready, close the connection. Idempotent; takes 5 s at most.

        The relay shows the agent as offline at once and releases its claims. What it delivered and was not acked comes
        again to the next one who registers under this name; so does a message whose loop body is still running.
        """
        await self._link.close()

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The agent's id."""
        return self._conversation.register.agent

    @property
    def instance(self) -> str:
        """What names this process at the relay; the same over all reconnects."""
        return self._conversation.register.instance or ""

    @property
    def epoch(self) -> int:
        """Grows with each new instance that registers under this name."""
        return self._answer.epoch or 0

    @property
    def session(self) -> str:
        """The name of the current connection (or the last one) in the relay's log."""
        return self._answer.session or ""

    @property
    def server(self) -> ServerInfo:
        """Name, version and protocol of the relay."""
        return self._answer.server or ServerInfo(name="", version="", protocol=0)

    @property
    def limits(self) -> dict[str, int]:
        """The relay's limits by name, as it told them."""
        return self._answer.limits or {}

    @property
    def connected(self) -> bool:
        """True while there is a registered connection; False while one is being made, and after the end."""
        return self._link.connected

    @property
    def round_trip_s(self) -> float | None:
        """Seconds of the last round trip that was measured (register, a ping, a heartbeat)."""
        return self._link.round_trip_s

    @property
    def _answer(self) -> Ok:
        answer = self._conversation.answer
        assert answer is not None, "an Agent is made after its register was answered"
        return answer

    # -- sending -----------------------------------------------------------------------------------------------------

    async def send(
        self,
        to: str,
        body: Body,
        *,
        subject: str | None = None,
        channel: str | None = None,
        thread: int | None = None,
        reply_to: int | None = None,
        intent: Intent | None = None,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = None,
        claimable: bool = False,
        hold: bool = False,
        ttl_s: float | None = None,
        delay_s: float | None = None,
        priority: int | None = None,
        supersedes: int | None = None,
        expect_reply_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send one message; the receipt comes after the relay has it on disk.

        `to`: an agent id, `tag:x`, `cap:x`, `label:x`, `channel:x`, `any:cap:x`, `any:tag:x`, `broadcast`. `body`: str
        or bytes, at most 256 KiB. `key`: the same key never makes a second message; without one it gets its own, so
        that sending again after a lost connection can't double it. `hold`: keep it for an agent id that was never seen.

        Raises TimeoutError after `timeout_s` (default: none): the message may or may not have been accepted, and only
        a send with the same explicit `key` can't double it. Else UnknownAgent (`detail["suggestions"]`), KeyConflict,
        InboxFull, RateLimited, StorageFull, ...
        """
        conversation = self._conversation
        if key is None:
            key = conversation.next_key()
        try:
            frame = Send(
                id=conversation.next_id(), to=to, body=body, subject=subject, channel=channel, thread=thread,
                reply_to=reply_to, intent=intent, content_type=content_type, headers=headers, key=key, ttl_s=ttl_s,
                delay_s=delay_s, priority=priority, claimable=claimable, supersedes=supersedes,
                expect_reply_s=expect_reply_s, hold=hold,
            )  # fmt: skip
        except (TypeError, ValueError) as exc:
            raise refused("send", exc) from None
        data = codec.encode_checked(frame)
        parse_target(to)
        if timeout_s is None:
            ok = await self._link.ask(frame.id, data)
        else:
            try:
                async with asyncio.timeout(timeout_s):
                    ok = await self._link.ask(frame.id, data)
            except TimeoutError:
                raise TimeoutError(
                    f"no answer to the send within {timeout_s:g} s; it may or may not have been accepted (key {key})"
                ) from None
        return Receipt(ok.message or 0, ok.thread or 0, ok.recipients or 0, ok.online or 0, ok.duplicate, key)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def __aiter__(self) -> MessageLoop:
        """`async for message in agent`: the messages for this agent, oldest first, as long as it lives.

        - When the loop asks for the next message, the one in hand is acked: its body ended without raising.
        - When an exception leaves the `async with` of the agent, what is in hand is nacked with it as the reason, and
          comes again; when the `async with` ends without one (after a `break`, too), it is acked. A cancellation (or
          SystemExit, KeyboardInterrupt) does neither: it comes again to the next instance, and counts as no failure.
        - When a new loop begins and an earlier one was left (by `break`, or by an exception that the caller swallowed:
          Python can't tell these apart), what that one had in hand is nacked, to come again.
        - A message that was settled by `message.ack()` or `nack()` is left alone. One that was claimed is settled by
          the end of its claim; a claim that was refused settles it as well: that offer is over.
        - Several tasks may each run a loop; every message goes to one of them. What other tasks that still run have in
          hand when the `async with` ends is left unacked and comes again to the next instance.

        Ends when the agent is closed; raises Replaced, Unauthorized or Disconnected when the link ends otherwise. After
        a reconnect no message that is in hand, waits here or was dealt with is given out twice.
        """
        return MessageLoop(self, self._link, self._hands)

    async def receive(self, timeout_s: float | None = None) -> Message:
        """The next message. Nothing acks it but its own `ack()`, `nack()` or the end of a claim.

        Raises TimeoutError when none came within `timeout_s`; a message that comes later is not lost.
        """
        if timeout_s is None:
            return Message(self, await self._link.next_delivery())
        try:
            async with asyncio.timeout(timeout_s):
                return Message(self, await self._link.next_delivery())
        except TimeoutError:
            raise TimeoutError(f"no message for {self.name} within {timeout_s:g} s") from None

    async def ack(self, messages: Iterable[int], stage: Literal["surfaced", "done"] = "done") -> None:
        """Ack messages by id; gives back when the relay has it on disk. Acking twice is nothing.

        Raises UnknownMessage (`detail["messages"]`) when one was never in this agent's inbox.
        """
        await self._ask(Ack, messages=list(messages), stage=stage)

    async def nack(self, message: int, reason: str, retry: bool = True, delay_s: float | None = None) -> None:
        """Say that a message was not dealt with: it comes again after `delay_s` (default: a backoff), or is over."""
        await self._ask(Nack, message=message, reason=reason, retry=retry, delay_s=delay_s)

    # -- work --------------------------------------------------------------------------------------------------------

    def claim(self, message: Message | int, lease_s: float | None = None) -> Work:
        """`async with agent.claim(message) as work`: hold claimable work while the block runs.

        Entering claims it: raises Claimed (`detail["holder"]`), NotClaimable, UnknownMessage. The lease (default: the
        relay's, 60 s) is renewed by itself. The end of the block completes the work, with what `work.done(result)` set;
        an exception in it fails the work with its text, to be tried again, and goes on; a cancellation releases it.
        Raises StaleFence or NotHolder at the end when the claim was lost meanwhile: then nothing was completed.
        """
        return Work(self, self._link, message.message if isinstance(message, Message) else message, lease_s)

    async def claim_message(self, message: int, lease_s: float | None = None) -> tuple[int, float]:
        """Claim by id: (fence, lease_s). Renewing and ending it is the caller's; `claim()` does both.

        When it is cancelled, a claim that the relay granted is given back.
        """
        self._conversation.refuse_second_claim(message)
        ok = await self._ask(Claim, message=message, lease_s=lease_s)
        return ok.fence or 0, ok.lease_s or 0.0

    async def renew(self, message: int, fence: int, lease_s: float | None = None) -> float:
        """One more full lease from now: its seconds. Raises StaleFence or NotHolder when the claim was lost."""
        return (await self._ask(Renew, message=message, fence=fence, lease_s=lease_s)).lease_s or 0.0

    async def release(self, message: int, fence: int) -> None:
        """Give work back unfinished, at once; it burns no attempt."""
        await self._ask(Release, message=message, fence=fence)

    async def complete(self, message: int, fence: int, result: Body | None = None) -> None:
        """The work is done. `result` (str or bytes, at most 64 KiB) is kept with it."""
        await self._ask(Complete, message=message, fence=fence, result=result)

    async def fail(self, message: int, fence: int, reason: str = "", retry: bool = True) -> None:
        """The work failed: with `retry` it is offered again after a backoff, else it is over."""
        await self._ask(Fail, message=message, fence=fence, reason=reason, retry=retry)

    # -- asking ------------------------------------------------------------------------------------------------------

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
            cards += _read(ok.items or [], list[AgentCard])
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
        return Page(_read(ok.items or [], list[StoredMessage]), ok.next)

    async def message(self, message: int) -> StoredMessage:
        """One message with its deliveries and the state of its work. Raises UnknownMessage."""
        return _read((await self._ask(GetMessage, message=message)).item, StoredMessage)

    async def receipts(self, message: int) -> list[DeliveryState]:
        """How far a message that this agent sent came, at each recipient."""
        return (await self._ask(Receipts, message=message)).deliveries or []

    # -- about oneself -----------------------------------------------------------------------------------------------

    async def update(
        self,
        *,
        label: str | None = None,
        tags: Iterable[str] | None = None,
        caps: Iterable[str] | None = None,
        channels: Iterable[str] | None = None,
        status: Status | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what `connect` said of this agent; None leaves a field as it is. Reconnects repeat the new state."""
        await self._ask(
            Update,
            label=label,
            tags=names("tags", tags),
            caps=names("caps", caps),
            channels=names("channels", channels),
            status=status,
            meta=None if meta is None else dict(meta),
        )

    async def heartbeat(self, status: Status | None = None, load: float | None = None) -> None:
        """Say now that the agent is alive, how it is and how busy. Without it the client does so by itself."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await self._ask(Heartbeat, status=status, load=load)
        self._link.round_trip_s = loop.time() - asked_at

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _ask(self, kind: Callable[..., Any], **fields: Any) -> Ok:
        """Build a frame, check it, send it, wait for its answer."""
        try:
            frame = kind(id=self._conversation.next_id(), **fields)
        except (TypeError, ValueError) as exc:
            raise refused(kind.__name__.lower(), exc) from None
        return await self._link.ask(frame.id, codec.encode_checked(frame), frame if isinstance(frame, About) else None)


def names(field: str, given: Iterable[str] | None) -> list[str] | None:
    """Tags, caps or channels as the wire has them. A lone string is refused: it would pass as a list of letters."""
    if given is None:
        return None
    if isinstance(given, (str, bytes)):
        raise BadRequest(f"{field} is {given!r:.80}; expected a list of strings")
    return list(given)


def _read(value: Any, kind: type[T]) -> T:
    """A part of an answer that the frame leaves open, as the struct it is."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise BadFrame(f"the relay answered what is not of this protocol: {exc}") from None
