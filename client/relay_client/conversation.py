"""What one agent and the relay say to each other, over all its connections. Pure: no I/O, no asyncio, no clock.

                connected()               ok to register
    OFFLINE ------------------> REGISTERING ------------> ONLINE
       ^                            |                       |
       +---------- lost() ----------+-------- lost() -------+

Rules
- A request is open from `request()` until its answer. Its bytes are kept, so that after a lost connection the same
  bytes (same id, same key) go out again, in order: what the relay had already taken, it answers as before.
- Nothing but the register frame leaves before the relay has answered it.
- The caller may lose interest in a request (`abandon`). Its late answer is dropped quietly. What only asked is not sent
  again; what ends a claim is, and a claim that was won for nobody is released: no claim leaks.
- Acks need no answer and are not kept: one that was lost comes back as a delivery that was handled (`deliveries.py`).
- What is to be written collects in order; `take_outgoing()` hands over everything of one tick at once.

A `waiter` is what the caller gets back with the answer; all that is asked of it is whether it still waits.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar, assert_never

import msgspec

from relay_proto import codec, limits
from relay_proto.errors import Claimed, RelayError, error_for
from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    Deliver,
    Error,
    Fail,
    Heartbeat,
    Nack,
    Ok,
    Register,
    RelayFrame,
    Release,
    Renew,
    Update,
)

from .deliveries import Deliveries

REGISTER_ID: Final = 0
"""The request id of every register; all others count from 1."""
OPEN_REQUESTS_MAX: Final = 8192
"""Requests without an answer. Far more than keeps a relay busy; a caller beyond it waits its turn."""
OPEN_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of all of them: what is kept to be sent again must fit into memory, whatever the bodies are."""

About = Claim | Renew | Release | Complete | Fail | Update | Heartbeat | Ack | Nack
"""Requests whose asking or answer changes what the client knows. Of the others only the bytes are kept."""

CLAIM_OVER: Final = frozenset({"stale_fence", "not_holder", "not_claimable", "unknown_message"})
"""What the relay answers to who does not hold the claim any more."""
_CLAIM_REFUSED: Final = frozenset({"claimed", "not_claimable", "unknown_message"})


_BYE: Final = codec.encode_frame(Bye())


class Waiter(Protocol):
    """Who waits for an answer: in `link.py` a future."""

    def done(self) -> bool:
        """True when he waits no more (he was cancelled)."""
        ...


W = TypeVar("W", bound=Waiter)


class State(Enum):
    """How far the current connection is."""

    OFFLINE = "offline"
    REGISTERING = "registering"
    ONLINE = "online"


class OpenRequest(Generic[W]):
    """A request without an answer. `waiter` is None when nobody waits; `sent`: it may have reached the relay."""

    __slots__ = ("about", "data", "id", "sent", "waiter")

    def __init__(self, id: int, data: bytes, waiter: W | None, about: About | None) -> None:
        self.id = id
        self.data = data
        self.waiter = waiter
        self.about = about
        self.sent = False

    @property
    def is_wanted(self) -> bool:
        return self.waiter is not None and not self.waiter.done()


class Conversation(Generic[W]):
    """Requests and their answers, deliveries and their acks, and the frames that are ready to be written.

    `register` is what the agent says of itself; an accepted update changes it, so that a reconnect repeats the
    present, not the past. `key_prefix` makes the automatic keys: unique to this object, ordered by its counter, so that
    the relay's index of keys grows at its right edge only.
    """

    __slots__ = (
        "_key_count", "_key_prefix", "_last_id", "_open", "_open_bytes", "_outgoing",
        "answer", "bye", "complaints", "deliveries", "refusal", "register", "state",
    )  # fmt: skip

    def __init__(self, register: Register, key_prefix: str) -> None:
        self.register = register
        self.state = State.OFFLINE
        self.deliveries = Deliveries()
        self.answer: Ok | None = None  # to the last register
        self.refusal: RelayError | None = None  # why the last register was refused
        self.bye: Bye | None = None  # what the relay said before it closes this connection
        self.complaints: list[Error] = []  # errors about frames that had no id; whoever reads them clears them
        self._open: dict[int, OpenRequest[W]] = {}
        self._open_bytes = 0
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
        for request in list(self._open.values()):
            if not request.is_wanted and not isinstance(request.about, (Claim, Release, Complete, Fail)):
                self._close(request)

    def _registered(self, answer: Ok) -> None:
        self.answer = answer
        self.state = State.ONLINE
        self._write_acks()
        for request in self._open.values():
            request.sent = True
            self._outgoing.append(request.data)

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
        return 0 if self._open_bytes >= OPEN_BYTES_MAX else max(0, OPEN_REQUESTS_MAX - len(self._open))

    def request(self, id: int, data: bytes, waiter: W | None, about: About | None = None) -> None:
        """Open a request: `data` is its checked frame with `id`. `about` is that frame, where it is one of About."""
        if about is not None:
            self._asked(about)
        request = self._open[id] = OpenRequest(id, data, waiter, about)
        self._open_bytes += len(data)
        if self.state is State.ONLINE:
            request.sent = True
            self._outgoing.append(data)

    def refuse_second_claim(self, message: int) -> None:
        """Raise Claimed when this agent holds the claim already, or is asking for it.

        The relay would answer ok once more, and two tasks of one agent would both think that they own the work.
        """
        fence = self.deliveries.fence_held(message)
        if fence is not None or self._is_claiming(message):
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
            case Claim():
                if not request.sent:
                    self._close(request)  # else it may be won: only asking again shows it, then it is given back
            case _:
                if self.state is not State.ONLINE:
                    self._close(request)

    def give_back(self, claim: Ok) -> None:
        """Release what a claim won for nobody: its caller was cancelled."""
        assert claim.message is not None, claim
        assert claim.fence is not None, claim
        release = Release(id=self.next_id(), message=claim.message, fence=claim.fence)
        self.request(release.id, codec.encode_frame(release), None, release)

    def end(self) -> list[W]:
        """Close every request; their waiters. For when no connection will come any more."""
        waiters = [request.waiter for request in self._open.values() if request.waiter is not None]
        self._open.clear()
        self._open_bytes = 0
        return waiters

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

    def _write_acks(self) -> None:
        acks = self.deliveries.take_acks()
        for start in range(0, len(acks), limits.MESSAGES_MAX):
            self._outgoing.append(codec.encode_frame(Ack(messages=acks[start : start + limits.MESSAGES_MAX])))

    # -- hearing -----------------------------------------------------------------------------------------------------

    def receive(self, frames: Iterable[RelayFrame]) -> list[tuple[W, Ok | Error]]:
        """Take in what the relay sent. Gives back the answers that someone waits for, each with its waiter.

        Deliveries wait in `deliveries`; `answer`, `refusal`, `bye` and `complaints` hold the rest.
        """
        answers: list[tuple[W, Ok | Error]] = []
        for frame in frames:
            match frame:
                case Ok() | Error():
                    request = None if frame.re is None else self._open.get(frame.re)
                    if request is not None:
                        self._close(request)
                        if request.about is not None:
                            self._answered(request.about, frame, wanted=request.is_wanted)
                        if request.waiter is not None and not request.waiter.done():
                            answers.append((request.waiter, frame))
                    else:
                        self._not_asked(frame)
                case Deliver():
                    self.deliveries.arrived(frame)
                case Bye():
                    self.bye = frame
                case _:
                    assert_never(frame)
        return answers

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
            case Claim() | Renew() | Complete() | Update() | Heartbeat():
                pass  # they change something only once they are answered
            case _:
                assert_never(about)

    def _answered(self, about: About, frame: Ok | Error, *, wanted: bool) -> None:
        code = frame.code if isinstance(frame, Error) else None
        match about:
            case Claim():
                if isinstance(frame, Error):
                    if frame.code in _CLAIM_REFUSED:
                        self.deliveries.claim_refused(about.message)
                elif wanted:
                    self.deliveries.claim_begun(about.message, frame.fence or 0)
                elif self.deliveries.fence_held(about.message) is None and not self._is_claiming(about.message):
                    self.give_back(frame)  # unless it was claimed again meanwhile: then it is that caller's
            case Complete():
                if code is None:
                    self.deliveries.completed(about.message)
                elif code in CLAIM_OVER:
                    self.deliveries.lost(about.message, about.fence)
            case Renew():
                if code in CLAIM_OVER:
                    self.deliveries.lost(about.message, about.fence)
            case Update() | Heartbeat():
                if code is None:
                    self._describe(about)
            case Release() | Fail() | Ack() | Nack():
                pass  # what they change was changed when they were asked
            case _:
                assert_never(about)

    def _describe(self, about: Update | Heartbeat) -> None:
        """What the relay now knows of this agent is what the next register says."""
        said = {
            name: getattr(about, name)
            for name in ("label", "tags", "caps", "channels", "status", "meta")
            if getattr(about, name, None) is not None
        }
        if said:
            self.register = msgspec.structs.replace(self.register, **said)

    def _is_claiming(self, message: int) -> bool:
        return any(
            isinstance(request.about, Claim) and request.about.message == message and request.is_wanted
            for request in self._open.values()
        )

    def _close(self, request: OpenRequest[W]) -> None:
        del self._open[request.id]
        self._open_bytes -= len(request.data)


def as_exception(error: Error) -> RelayError:
    """An error frame as the typed exception it stands for."""
    return error_for(error.code, error.message, retry_after_s=error.retry_after_s, detail=error.detail)
