"""What one agent and the relay say to each other, over all its connections. Pure: no I/O, no asyncio, no clock.

                connected()               ok to register
    OFFLINE ------------------> REGISTERING ------------> ONLINE
       ^                            |                       |
       +---------- lost() ----------+-------- lost() -------+

Rules
- A request is open from `request()` until its answer. Its bytes are kept, so that after a lost connection the same
  bytes (same id, same key) go out again, in order: what the relay had already taken, it answers as before. (A
  claim_next is the one that would be done twice: it goes out with what is known of the first time.)
- Nothing but the register frame leaves before the relay has answered it.
- The caller may lose interest in a request (`abandon`). Its late answer is dropped quietly. What only asked is not sent
  again; what ends a claim is, and a claim that was won for nobody is released: no claim leaks. What answers mean for
  the claims that are held stands in `claims.py`.
- A send whose reply is waited for is an ask as well (`asks.py`); what it is about is what its answer names.
- Subscriptions belong to a connection: each new one gets them again.
- Acks need no answer and are not kept: one that was lost comes back as a delivery that was handled (`deliveries.py`).
- What is to be written collects in order; `take_outgoing()` hands over everything of one tick at once.

A `waiter` is what the caller gets back with the answer; all that is asked of it is whether it still waits.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, Generic, TypeVar, assert_never
from weakref import WeakSet

import msgspec

from relay_proto import codec, limits
from relay_proto.errors import Claimed, RelayError, error_for
from relay_proto.frames import (
    Ack,
    Bye,
    Check,
    Claim,
    ClaimNext,
    Complete,
    Deliver,
    Error,
    Event,
    EventKind,
    Fail,
    Heartbeat,
    Nack,
    Ok,
    Park,
    Progress,
    Register,
    RelayFrame,
    Release,
    Renew,
    Resume,
    Send,
    Subscribe,
    Unsubscribe,
    Update,
)

from .asks import Ask, Asks
from .claims import Claims, granted
from .deliveries import Deliveries
from .events import Feed
from .requests import About, OpenRequest, OpenRequests, Waiter

REGISTER_ID: Final = 0
"""The request id of every register; all others count from 1."""

_BYE: Final = codec.encode_frame(Bye())

W = TypeVar("W", bound=Waiter)


class State(Enum):
    """How far the current connection is."""

    OFFLINE = "offline"
    REGISTERING = "registering"
    ONLINE = "online"


class Conversation(Generic[W]):
    """Requests and their answers, deliveries and their acks, and the frames that are ready to be written.

    `register` is what the agent says of itself; an accepted update changes it, so that a reconnect repeats the
    present, not the past. `key_prefix` makes the automatic keys: unique to this object, ordered by its counter, so that
    the relay's index of keys grows at its right edge only.
    """

    __slots__ = (
        "_key_count", "_key_prefix", "_last_id", "_open", "_outgoing",
        "answer", "asks", "bye", "claims", "complaints", "deliveries", "feeds", "refusal", "register", "state",
        "subscribed",
    )  # fmt: skip

    def __init__(self, register: Register, key_prefix: str) -> None:
        self.register = register
        self.state = State.OFFLINE
        self.deliveries = Deliveries()
        self.claims = Claims(self.deliveries)
        self.asks: Asks[W] = Asks()
        self.feeds: WeakSet[Feed] = WeakSet()  # who wants to hear events, as long as he does
        self.subscribed: set[EventKind] = set()
        self.answer: Ok | None = None  # to the last register
        self.refusal: RelayError | None = None  # why the last register was refused
        self.bye: Bye | None = None  # what the relay said before it closes this connection
        self.complaints: list[Error] = []  # errors about frames that had no id; whoever reads them clears them
        self._open: OpenRequests[W] = OpenRequests()
        self._outgoing: list[bytes] = []
        self._last_id = REGISTER_ID
        self._key_prefix = key_prefix
        self._key_count = 0

    def __repr__(self) -> str:
        return f"Conversation({self.register.agent!r}, {self.state.value}, open={len(self._open)})"

    # -- connections -------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """There is a new connection: the register frame is ready to be written, and nothing else."""
        self.refusal = self.bye = None
        self.complaints.clear()
        self._outgoing = [codec.encode_checked(self.register)]
        self.state = State.REGISTERING

    def lost(self) -> None:
        """The connection is gone, with all that was written and not answered, and with the frames that were ready."""
        self.state = State.OFFLINE
        self._outgoing.clear()
        for request in list(self._open):
            if not request.is_wanted and not isinstance(request.about, (Claim, ClaimNext, Release, Complete, Fail)):
                self._open.close(request)

    def _registered(self, answer: Ok) -> None:
        self.answer = answer
        self.state = State.ONLINE
        self.deliveries.registered()
        self._write_acks()
        again = list(self._open)
        if self.subscribed:
            renewal = Subscribe(id=self.next_id(), events=sorted(self.subscribed))
            self.request(renewal.id, codec.encode_frame(renewal), None, renewal)
        for request in again:
            if request.sent and isinstance(request.about, ClaimNext):
                self._open.rewrite(request, self.claims.next_again(request.about, again))
            self._write_request(request)
        self.claims.watches.registered()

    # -- asking ------------------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """An id for a request."""
        self._last_id += 1
        return self._last_id

    def next_key(self) -> str:
        """A key for a send that the caller gave none."""
        self._key_count += 1
        return f"{self._key_prefix}.{self._key_count:010x}"

    @property
    def free(self) -> int:
        """How many more requests may be opened now; 0 when it is time to wait for answers."""
        return self._open.free

    def request(self, id: int, data: bytes, waiter: W | None, about: About | None = None) -> None:
        """Open a request: `data` is its checked frame with `id`. `about` is that frame, where it is one of About."""
        if about is not None:
            self._asked(about)
        request = OpenRequest(id, data, waiter, about)
        self._open.add(request)
        if self.state is State.ONLINE:
            self._write_request(request)

    def refuse_second_claim(self, message: int) -> None:
        """Raise Claimed when this agent holds the claim already, or is asking for it.

        The relay would answer ok once more, and two tasks of one agent would both think that they own the work.
        """
        fence = self.deliveries.fence_held(message)
        if fence is not None or self._open.is_claiming(message):
            agent = self.register.agent
            raise Claimed(f"message {message} is claimed by this very agent, {agent}", detail={"holder": agent})

    def say(self, data: bytes) -> None:
        """Write a frame that gets no answer; without a connection it is not said at all."""
        if self.state is State.ONLINE:
            self._outgoing.append(data)

    def say_bye(self) -> None:
        """Write the last frame of a connection: what stands behind it, the relay does not read. So acks go first."""
        if self.state is State.ONLINE:
            self._write_acks()
            self._outgoing.append(_BYE)

    def abandon(self, id: int) -> None:
        """Nobody waits for this answer any more. What was not written yet is not written any more."""
        request = self._open.get(id)
        if request is None:
            return
        request.waiter = None
        match request.about:
            case Release() | Complete() | Fail():
                pass  # the decision stands, whoever waits for its answer
            case Claim() | ClaimNext():
                if not request.sent:
                    self._open.close(request)  # else it may be won: only asking again shows it, then it is given back
            case _:
                if self.state is not State.ONLINE:
                    self._open.close(request)

    def give_back(self, about: Claim | ClaimNext, ok: Ok) -> None:
        """Release what a claim won: its caller was cancelled in that very moment."""
        for message, fence in [(about.message, ok.fence or 0)] if isinstance(about, Claim) else granted(ok):
            self.release(message, fence)

    def release(self, message: int, fence: int) -> None:
        """Release a claim, whoever hears the answer. Without a connection it is said on the next one."""
        frame = Release(id=self.next_id(), message=message, fence=fence)
        self.request(frame.id, codec.encode_frame(frame), None, frame)

    def end(self) -> list[W]:
        """Close every request and drop every ask; who waited for them. For when no connection will come any more."""
        return self._open.end() + self.asks.end()

    # -- writing -----------------------------------------------------------------------------------------------------

    @property
    def has_outgoing(self) -> bool:
        """True when `take_outgoing()` would give something."""
        return bool(self._outgoing) or (self.deliveries.has_acks and self.state is State.ONLINE)

    def take_outgoing(self) -> list[bytes]:
        """The frames that are ready, in order, the acks of this tick joined. They are then the caller's to write."""
        if self.state is State.ONLINE:
            self._write_acks()
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _write_request(self, request: OpenRequest[W]) -> None:
        request.sent = True
        self._outgoing.append(request.data)
        if isinstance(request.about, Send):
            self.asks.sent(request.id)
            self.deliveries.keeps_replies = self.asks.may_be_answered

    def _write_acks(self) -> None:
        surfaced = self.deliveries.take_surfaced()
        for start in range(0, len(surfaced), limits.MESSAGES_MAX):
            ack = Ack(messages=surfaced[start : start + limits.MESSAGES_MAX], stage="surfaced")
            self._outgoing.append(codec.encode_frame(ack))
        acks = self.deliveries.take_acks()
        for start in range(0, len(acks), limits.MESSAGES_MAX):
            self._outgoing.append(codec.encode_frame(Ack(messages=acks[start : start + limits.MESSAGES_MAX])))

    # -- hearing -----------------------------------------------------------------------------------------------------

    def receive(self, frames: Iterable[RelayFrame]) -> list[tuple[W, Ok | Error]]:
        """Take in what the relay sent. Gives back the answers that someone waits for, each with its waiter.

        Deliveries wait in `deliveries`, replies in `asks`; `answer`, `refusal`, `bye` and `complaints` hold the rest.
        """
        answers: list[tuple[W, Ok | Error]] = []
        replies = False
        for frame in frames:
            match frame:
                case Ok() | Error():
                    request = None if frame.re is None else self._open.get(frame.re)
                    if request is not None:
                        self._open.close(request)
                        if request.about is not None:
                            frame = self._answered(request.about, frame, wanted=request.is_wanted)
                        if request.waiter is not None and not request.waiter.done():
                            answers.append((request.waiter, frame))
                    else:
                        self._not_asked(frame)
                case Deliver():
                    self.deliveries.arrived(frame)
                    replies = replies or frame.reply_to is not None
                case Event():
                    self._happened(frame)
                case Bye():
                    self.bye = frame
                case _:
                    assert_never(frame)
        if self.asks and (replies or self.asks.has_news):
            self.deliveries.take_replies(self.asks.takes)
            self.asks.judge()
        self.deliveries.keeps_replies = self.asks.may_be_answered
        return answers

    def drop_ask(self, ask: Ask[W]) -> None:
        """Nobody waits for this reply any more: should it come, it is a message like any other."""
        self.asks.drop(ask)
        self.deliveries.keeps_replies = self.asks.may_be_answered

    def _happened(self, event: Event) -> None:
        if event.event.startswith("reply."):
            self.asks.happened(event)
        else:
            self.claims.happened(event, self.register.agent)
        for feed in self.feeds:
            feed.put(event)

    def _not_asked(self, frame: Ok | Error) -> None:
        if frame.re == REGISTER_ID and self.state is State.REGISTERING:
            if isinstance(frame, Ok):
                self._registered(frame)
            else:
                self.refusal = as_exception(frame)
        elif frame.re is None and isinstance(frame, Error):
            self.complaints.append(frame)
        # else: the answer to a request that was dropped when a connection was lost

    def _asked(self, about: About) -> None:
        match about:
            case Release():
                self.deliveries.given_back(about.message, about.fence)
                if self.state is State.ONLINE:
                    self._write_acks()  # ahead of the release: an ack behind it would hit the next offer
            case Fail():
                self.deliveries.given_back(about.message, about.fence)
            case Ack():
                self.deliveries.acked(about.messages, about.stage)
            case Nack():
                self.deliveries.nacked(about.message)
            case Claim() | ClaimNext() | Renew() | Progress() | Park() | Resume() | Complete() | Check():
                pass  # they change something only once they are answered
            case Update() | Heartbeat() | Subscribe() | Unsubscribe() | Send():
                pass  # they change something only once they are answered
            case _:
                assert_never(about)

    def _answered(self, about: About, frame: Ok | Error, *, wanted: bool) -> Ok | Error:
        """Take in an answer. Gives back what the caller is to be answered."""
        match about:
            case Claim() | ClaimNext():
                return self._claim_answered(about, frame, wanted=wanted)
            case Renew() | Progress() | Park() | Resume() | Release() | Complete() | Fail() | Check():
                self.claims.answered(about, frame)
            case Update() | Heartbeat():
                if isinstance(frame, Ok):
                    self._describe(about)
            case Subscribe() | Unsubscribe():
                self._subscribe(about, frame, wanted=wanted)
            case Send():
                if isinstance(frame, Ok):
                    self.asks.accepted(about.id, frame)
                else:
                    self.asks.refused(about.id)
            case Ack() | Nack():
                pass  # what they change was changed when they were asked
            case _:
                assert_never(about)
        return frame

    def _claim_answered(self, about: Claim | ClaimNext, frame: Ok | Error, *, wanted: bool) -> Ok | Error:
        if isinstance(frame, Error):
            if isinstance(about, Claim):
                self.claims.refused(about, frame)
        elif not wanted:
            for message, fence in self.claims.won_for_nobody(about, frame):
                if not self._open.is_claiming(message):  # else it was claimed again meanwhile, and is that caller's
                    self.release(message, fence)
        elif isinstance(about, Claim):
            return self.claims.granted(about, frame, self.register.agent)
        else:
            self.claims.granted_next(frame)
        return frame

    def _subscribe(self, about: Subscribe | Unsubscribe, frame: Ok | Error, *, wanted: bool) -> None:
        if isinstance(frame, Ok):
            if isinstance(about, Subscribe):
                self.subscribed.update(about.events)
            else:
                self.subscribed.difference_update(about.events)
        elif not wanted:
            self.complaints.append(frame)  # a renewal: nobody else would hear that it failed

    def _describe(self, about: Update | Heartbeat) -> None:
        """What the relay now knows of this agent is what the next register says."""
        said = {
            name: getattr(about, name)
            for name in ("label", "tags", "caps", "channels", "status", "meta")
            if getattr(about, name, None) is not None
        }
        if said:
            self.register = msgspec.structs.replace(self.register, **said)


def as_exception(error: Error) -> RelayError:
    """An error frame as the typed exception it stands for."""
    return error_for(error.code, error.message, retry_after_s=error.retry_after_s, detail=error.detail)
