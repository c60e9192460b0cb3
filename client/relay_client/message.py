"""What an agent's calls give back: messages, receipts, pages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypedDict, TypeVar, Unpack

from relay_proto.frames import Body, Deliver, Intent, Ok, Severity, StoredMessage

from .payload import read_payload

if TYPE_CHECKING:
    from .receiving import Receiving

Item = TypeVar("Item")

_REPR_BODY_CHARS = 60


class Envelope(TypedDict, total=False):
    """The keyword arguments that `Agent.send`, `ask` and `submit` share. `Agent.send` says what each does."""

    channel: str | None
    thread: int | None
    caused_by: int | None
    content_type: str | None
    headers: dict[str, str] | None
    payload: Any
    key: str | None
    offer_s: float | None
    hold: bool
    ttl_s: float | None
    delay_s: float | None
    priority: int | None
    supersedes: int | None


class Options(Envelope, total=False):
    """The keyword arguments that `Agent.send` and `Agent.ask` share."""

    subject: str | None
    claimable: bool
    attempts: int | None
    type: str | None
    severity: Severity | None


class AskOptions(Options, total=False):
    """The keyword arguments of `Agent.ask` besides its own."""

    reply_to: int | None


class SendOptions(Options, total=False):
    """The keyword arguments of `Agent.send` that `Message.reply` passes on."""

    intent: Intent | None
    expect_reply_s: float | None
    timeout_s: float | None


class Receipt:
    """What the relay answered to a send, after it had the message on disk.

    message: its id. thread: the id of the thread's root. recipients: how many inboxes it went to; 0 for a group that
    nobody is in. online: how many of these were connected. duplicate: the key was accepted before, and this is that
    answer again (normal after a reconnect). key: the one given, or the automatic one. full: agents of the group whose
    inbox had no room; they do not get it. note: something the sender may want to know, in words; None mostly.
    """

    queued: ClassVar[bool] = False  # True for the receipt of what waits in the outbox

    __slots__ = ("duplicate", "full", "key", "message", "note", "online", "recipients", "thread")

    def __init__(
        self,
        message: int,
        thread: int,
        recipients: int,
        online: int,
        duplicate: bool,
        key: str,
        full: list[str] | None = None,
        note: str | None = None,
    ) -> None:
        self.message = message
        self.thread = thread
        self.recipients = recipients
        self.online = online
        self.duplicate = duplicate
        self.key = key
        self.full = full or []
        self.note = note

    @classmethod
    def of(cls, ok: Ok, key: str) -> "Receipt":
        """The receipt of a message that was sent under this key, from the relay's answer."""
        return cls(
            ok.message or 0, ok.thread or 0, ok.recipients or 0, ok.online or 0, ok.duplicate, key, ok.full, ok.note
        )

    def __repr__(self) -> str:
        again = ", duplicate" if self.duplicate else ""
        full = f", full: {' '.join(self.full)}" if self.full else ""
        return f"Receipt({self.message}, thread={self.thread}, {self.online}/{self.recipients} online{again}{full})"


class Page(Generic[Item]):
    """One page of a list, to loop over. `next`: pass it as `after` for the page behind it, None at the end.

    counts: of `Agent.tasks`, how many tasks there are in each state that is not over, and buried; else empty.
    """

    __slots__ = ("counts", "items", "next")

    def __init__(self, items: list[Item], next: int | str | None, counts: dict[str, int] | None = None) -> None:
        self.items = items
        self.next = next
        self.counts = counts or {}

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Page({len(self.items)} items, next={self.next!r})"


class Message:
    """One message that was delivered to this agent. The fields are the protocol's.

    message: its id. sender: stamped by the relay. to: the target as the sender wrote it. thread: id of the thread's
    root. sent_at: ms since 1970. attempt: 1, then more with each time it came again. hops: replies between it and the
    root. claimable: it is work; take it with `agent.claim(message)`. priority: 9 came first, None counts as 4.
    expires_at: after that it would not have been delivered. supersedes: the older message of the sender that this one
    replaces. caused_by: the message that made the sender write it. reply_by_at: the sender is owed a reply by then.
    type, severity: what kind of thing it is and how bad, where the sender says so. payload: what came beside the body
    as JSON, decoded; None without one.
    """

    __slots__ = (
        "_agent", "_frame", "attempt", "body", "caused_by", "channel", "claimable", "content_type", "expires_at",
        "headers", "hops", "intent", "message", "payload", "priority", "reply_by_at", "reply_to", "sender", "sent_at",
        "severity", "subject", "supersedes", "thread", "to", "type",
    )  # fmt: skip

    def __init__(self, agent: "Receiving", frame: Deliver) -> None:
        self._agent = agent
        self._frame = frame
        self.message = frame.message
        self.sender = frame.sender
        self.to = frame.to
        self.body: Body = frame.body
        self.subject = frame.subject
        self.channel = frame.channel
        self.thread = frame.thread
        self.reply_to = frame.reply_to
        self.intent = frame.intent
        self.content_type = frame.content_type
        self.headers: dict[str, str] = frame.headers or {}
        self.payload = read_payload(frame.payload)
        self.claimable = frame.claimable
        self.sent_at = frame.sent_at
        self.attempt = frame.attempt
        self.hops = frame.hops
        self.priority = frame.priority
        self.expires_at = frame.expires_at
        self.supersedes = frame.supersedes
        self.caused_by = frame.caused_by
        self.reply_by_at = frame.reply_by_at
        self.type = frame.type
        self.severity = frame.severity

    def __repr__(self) -> str:
        body = self.body if len(self.body) <= _REPR_BODY_CHARS else self.body[: _REPR_BODY_CHARS - 3]
        more = "" if body is self.body else f"... ({len(self.body)})"
        work = ", claimable" if self.claimable else ""
        return f"Message({self.message} from {self.sender!r} to {self.to!r}{work}: {body!r}{more})"

    @property
    def superseded_by(self) -> int | None:
        """The newer message that replaced this one while it is in hand, as far as the relay has said; else None.

        Whoever is at long work may look at it between two steps. Not kept once this message is settled.
        """
        return self._agent.superseded_by(self.message)

    async def reply(self, body: Body, **options: Unpack[SendOptions]) -> Receipt:
        """Send to this message's sender, in its thread. Options, answer and errors are those of `Agent.send`."""
        return await self._agent.send(self.sender, body, reply_to=self.message, **options)

    async def ack(self, stage: Literal["surfaced", "done"] = "done") -> None:
        """Tell the relay how far this message came, and wait until it has that on disk.

        `done` settles it: the loop then leaves it alone. `surfaced` does not: it says that it stands in front of the
        model.
        """
        await self._agent.ack([self.message], stage)

    async def nack(self, reason: str, retry: bool = True, delay_s: float | None = None) -> None:
        """Tell the relay that this message was not dealt with; the loop then leaves it alone.

        With `retry` it comes again after `delay_s` (default: the relay's backoff), else it is over.
        """
        await self._agent.nack(self.message, reason, retry, delay_s)


def delivered(item: StoredMessage) -> Deliver:
    """A message of a list as if it had been delivered; its attempt is the how-manieth claim of its work it is."""
    return Deliver(
        message=item.message, sender=item.sender, to=item.to, body=item.body, sent_at=item.sent_at, thread=item.thread,
        attempt=item.attempt or (item.work.attempts if item.work is not None else 0) or 1, hops=item.hops,
        subject=item.subject, channel=item.channel, reply_to=item.reply_to, intent=item.intent,
        content_type=item.content_type, headers=item.headers, priority=item.priority, claimable=item.claimable,
        expires_at=item.expires_at, supersedes=item.supersedes, caused_by=item.caused_by,
        reply_by_at=item.reply_by_at, type=item.type, severity=item.severity, payload=item.payload,
    )  # fmt: skip
