"""The asks of one agent: whose reply it waits for, and what ends the waiting. Pure: no I/O, no asyncio, no clock.

                 the ok to its send              reply, reply.overdue, all refused, reply.deadlock, nobody there
    begin() -> unnamed ----------------> open ---------------------------------------------------------> settled
                  |                        |
                  +--------- drop() -------+    the waiting was given up: a later reply is an ordinary message

Rules
- The ok carries the message id that a reply names. After a reconnect the reply may come before it (the send is said
  again, the inbox is pushed at once). So while an ask may be at the relay and has no id yet, no reply is given out to
  the loop (`may_be_answered`), and what the relay tells about replies is kept for it.
- A reply ends the ask whatever else came with it in the same message; the rest counts when the message is read through.
- One ask may be waited for twice (the same key): one reply ends both.
- A waiter who was cancelled takes no reply.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

from relay_proto.errors import Deadlock, RelayError
from relay_proto.frames import Deliver, Event, Ok
from relay_proto.targets import BROADCAST_WORDS

from .errors import ReplyOverdue, ReplyRefused
from .requests import Waiter

EARLY_EVENTS_MAX: Final = 1024
"""Events about asks that have no id yet. As many as one message of the relay holds frames."""

W = TypeVar("W", bound=Waiter)
_KEPT: Final = ("agent", "stage", "stage_at", "status", "status_at", "reply_by_at")


def is_reply(frame: Deliver) -> bool:
    """True for what may end an ask."""
    return frame.reply_to is not None and frame.intent != "ack"


class Ask(Generic[W]):
    """One ask. `message` is its id, once the relay has said it; `recipients` how many owe a reply."""

    __slots__ = (
        "claimable", "debtor", "gone", "id", "message", "overdue", "recipients", "refused", "ring", "timeout_s", "to",
        "waiter",
    )  # fmt: skip

    def __init__(self, id: int, to: str, timeout_s: float, waiter: W, claimable: bool) -> None:
        self.id = id
        self.to = to
        self.timeout_s = timeout_s
        self.waiter = waiter
        self.claimable = claimable
        self.message: int | None = None
        self.recipients = 1
        self.debtor = to if ":" not in to and to not in BROADCAST_WORDS and not claimable else None
        """Who alone owes the reply; None when any recipient's reply will do."""
        self.gone: dict[str, Event] = {}  # by agent
        self.refused: dict[str, Event] = {}
        self.overdue: dict[str, Event] = {}
        self.ring: Event | None = None

    def happened(self, event: Event) -> None:
        """Keep what the relay tells about the reply."""
        agent = event.agent or "?"
        match event.event:
            case "reply.overdue":
                self.overdue[agent] = event
            case "reply.gone":
                self.gone[agent] = event
            case "reply.refused":
                self.refused[agent] = event
            case "reply.deadlock":
                self.ring = event

    def verdict(self) -> RelayError | None:
        """Why no reply is to be waited for any more; None while one may come."""
        if self.ring is not None:
            return self._deadlock(self.ring)
        # Work that is dead is so for all: its other candidates owed nothing any more when it was claimed.
        is_dead = self.claimable and any(event.stage == "dead" for event in self.refused.values())
        if is_dead or len(self.refused) >= self.recipients:
            return self._refusal()
        return self.overdue_error() if self.overdue else None

    def nobody(self) -> ReplyRefused:
        """The error when the ask has no recipient."""
        return ReplyRefused(
            f"nobody is there to answer message {self.message}: {self.to} has no recipient",
            detail={"message": self.message, "refused": []},
        )

    def overdue_error(self) -> ReplyOverdue:
        """The error when the time is over, with all that is known."""
        owing = [_facts(event) for event in (self.overdue or self.gone).values()]
        detail = {"message": self.message, "owing": owing, **(owing[0] if owing else {})}
        if self.message is None:
            return ReplyOverdue(
                f"no reply from {self.to} within {self.timeout_s:g} s: the relay did not confirm the ask; it may or "
                "may not have been accepted",
                detail=detail,
            )
        who = next(iter(self.overdue)) if len(self.overdue) == 1 else self.to
        text = f"no reply from {who} to message {self.message} within {self.timeout_s:g} s"
        known = [_words(agent, event, alone=len(owing) == 1) for agent, event in (self.overdue or self.gone).items()]
        refusals = [f"{agent} refused it ({_how(event)})" for agent, event in self.refused.items()]
        told = "; ".join([*filter(None, known), *refusals])
        return ReplyOverdue(f"{text}: {told}" if told else f"{text}; the relay tells nothing more", detail=detail)

    def _deadlock(self, event: Event) -> Deadlock:
        ring = event.ring or []
        text = event.reason or f"message {self.message} is not waited for any more: {' and '.join(ring)} wait in a ring"
        return Deadlock(text, detail={"ring": ring, "message": self.message})

    def _refusal(self) -> ReplyRefused:
        refused = [
            {"agent": agent, "stage": event.stage, "reason": event.reason} for agent, event in self.refused.items()
        ]
        said = "; ".join(f"{agent} ({_how(event)})" for agent, event in self.refused.items())
        return ReplyRefused(
            f"no reply to message {self.message} will come: refused by {said}",
            detail={"message": self.message, "refused": refused, **refused[-1]},
        )


class Asks(Generic[W]):
    """All that are not settled. `settled` is what ended since someone looked, each waiter with what he gets."""

    __slots__ = ("_at_relay", "_by_id", "_by_message", "_early", "_moved", "settled")

    def __init__(self) -> None:
        self._by_id: dict[int, Ask[W]] = {}
        self._by_message: dict[int, list[Ask[W]]] = {}
        self._at_relay: set[int] = set()  # may have reached the relay, have no message id yet
        self._early: deque[Event] = deque(maxlen=EARLY_EVENTS_MAX)
        self._moved: list[Ask[W]] = []
        self.settled: list[tuple[W, Deliver | RelayError]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Asks({sorted(self._by_message)}, {len(self._at_relay)} without an id)"

    @property
    def may_be_answered(self) -> bool:
        """True while a reply that comes may be that to an ask whose id is not known yet."""
        return bool(self._at_relay)

    @property
    def has_news(self) -> bool:
        """True when something was heard about an ask since `judge()`."""
        return bool(self._moved)

    # -- from the agent ----------------------------------------------------------------------------------------------

    def begin(self, id: int, to: str, timeout_s: float, waiter: W, *, claimable: bool = False) -> Ask[W]:
        """The send with this request id is about to be asked, and its reply is waited for."""
        ask = self._by_id[id] = Ask(id, to, timeout_s, waiter, claimable)
        return ask

    def sent(self, id: int) -> None:
        """This request may reach the relay from now on."""
        ask = self._by_id.get(id)
        if ask is not None and ask.message is None:
            self._at_relay.add(id)

    def drop(self, ask: Ask[W]) -> None:
        """Nobody waits for it any more. Dropping one that is settled is nothing."""
        if self._by_id.get(ask.id) is not ask:
            return
        del self._by_id[ask.id]
        self._known(ask.id)
        if ask.message is not None:
            left = [other for other in self._by_message[ask.message] if other is not ask]
            if left:
                self._by_message[ask.message] = left
            else:
                del self._by_message[ask.message]

    def end(self) -> list[W]:
        """Drop all; who waited."""
        waiters = [ask.waiter for ask in self._by_id.values()]
        for ask in list(self._by_id.values()):
            self.drop(ask)
        return waiters

    # -- from the relay ----------------------------------------------------------------------------------------------

    def accepted(self, id: int, ok: Ok) -> None:
        """The ok to the send: the ask has an id."""
        ask = self._by_id.get(id)
        if ask is None or ok.message is None:
            return
        ask.message = ok.message
        ask.recipients = 1 if ok.recipients is None else ok.recipients
        if ask.debtor is not None and ok.agent is not None:
            ask.debtor = ok.agent  # it was asked by its label
        self._by_message.setdefault(ok.message, []).append(ask)
        if ask.recipients == 0:
            self._settle(ask, ask.nobody())
            return
        for event in self._early:
            if event.message == ok.message:
                ask.happened(event)
        self._moved.append(ask)
        self._known(id)

    def refused(self, id: int) -> None:
        """The send was answered by an error: its caller gets that."""
        ask = self._by_id.get(id)
        if ask is not None:
            self.drop(ask)

    def happened(self, event: Event) -> None:
        """The relay tells something about a reply that is owed."""
        asks = self._by_message.get(event.message or 0)
        if asks is not None:
            for ask in asks:
                ask.happened(event)
                self._moved.append(ask)
        elif self._at_relay:
            self._early.append(event)

    def takes(self, frame: Deliver) -> bool:
        """True when this delivery is the reply that someone waits for: it settles the ask, and is his."""
        if not is_reply(frame):
            return False
        waiting = [
            ask
            for ask in self._by_message.get(frame.reply_to or 0, ())
            if not ask.waiter.done() and ask.debtor in (None, frame.sender)  # what others say is a message like any
        ]
        for ask in waiting:
            self._settle(ask, frame)
        return bool(waiting)

    def judge(self) -> None:
        """A message of the relay was read through: settle what it ended."""
        moved, self._moved = self._moved, []
        for ask in moved:
            error = ask.verdict()
            if error is not None and self._by_id.get(ask.id) is ask:
                self._settle(ask, error)

    def take_settled(self) -> Iterable[tuple[W, Deliver | RelayError]]:
        """What ended, each waiter with his reply or the error to raise."""
        settled, self.settled = self.settled, []
        return settled

    # -- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, ask: Ask[W], outcome: Deliver | RelayError) -> None:
        self.drop(ask)
        self.settled.append((ask.waiter, outcome))

    def _known(self, id: int) -> None:
        self._at_relay.discard(id)
        if not self._at_relay:
            self._early.clear()


def _facts(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _KEPT if getattr(event, name) is not None}


def _words(agent: str, event: Event, *, alone: bool) -> str:
    """What an event tells of who owes the reply: how far the ask came there, and what the agent is."""
    far, since = _far(event), _ago(event.at, event.status_at)
    if not alone:
        status = f"{event.status}, last heard of {since} ago" if event.status and since else event.status
        return f"{agent} ({', '.join(filter(None, (far, status)))})" if far or status else agent
    parts = [f"it was {far}"] if far else []
    if event.status is not None:
        parts.append(f"{agent} is {event.status}" + (f", last heard of {since} ago" if since else ""))
    return "; ".join(parts)


def _far(event: Event) -> str | None:
    """How far the ask came, as what follows "it was"."""
    ago = _ago(event.at, event.stage_at)
    when = f" {ago} ago" if ago else ""
    match event.stage:
        case "queued":
            return "never pushed"
        case "pushed":
            return "pushed and not surfaced"
        case "surfaced":
            return f"surfaced{when} and not answered"
        case "done":
            return f"dealt with{when} and not answered"
        case "dead":
            return "given up as dead"
        case stage:
            return stage


def _how(event: Event) -> str:
    return ": ".join(filter(None, (event.stage, event.reason))) or "refused"


def _ago(now: int, at: int | None) -> str:
    """The time between two stamps of the relay's own clock, in words; empty when one is not known."""
    if at is None or at > now:
        return ""
    seconds = (now - at) / 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
