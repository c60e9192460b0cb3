"""What the relay delivered, from its arrival until it is settled. Pure: no I/O, no clock.

                          next()                done(), acked(), nacked()
    arrived() -> waiting ---------> in hand ------------------------------> settled
                    |                   |
                    +--- claim_begun ---+--> held --completed, given_back, lost--> settled

Rules
- The relay delivers at least once. What comes again while a copy of it is waiting or in hand is dropped: the copy that
  is here stays the valid one.
- What was dealt with and comes again (its ack was lost with a connection) is dropped and acked again. For this the ids
  of handled messages are remembered: at least the last HANDLED_MIN, which is many times the credit of a session, so
  more than can be unacked at the relay.
- Claimable work is handled only when this agent completed it: after a release or an expiry the relay offers it again,
  and that offer must come through. So the end of a claim settles the delivery at once. The ack is placed so that it can
  never hit the *next* offer: before the release, after the failure (that offer comes a backoff later).
- What is claimed while it waits (or is claimed unseen, by claim_next) is in hand from then on. What comes again while
  its claim is held here is kept aside, and comes through only if the claim turns out to be lost.
- Acks are collected; whoever writes takes them all, so that those of one tick make one frame.
- What is given out counts as surfaced: it stands before the consumer. That is told once for all of a tick, and only of
  what is still unsettled then: `done` says more, and after a nack or a release it would hit the next offer.
- After a reconnect what is in hand is told again: the word may have been lost with the connection.
- Who takes it for somebody else (a screen, for its reader) can keep this back (`next(tells=False)`) until it is seen.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import Final, Literal

from relay_proto.frames import Deliver

from .asks import is_reply

HANDLED_MIN: Final = 32_768
"""Ids of handled messages that are remembered at least; at most twice as many. Two sets take turns: forgetting one id
at a time would cost more than remembering."""


class _Held:
    """A claim of this agent: its fence, and the newest copy that came while it was held."""

    __slots__ = ("again", "fence")

    def __init__(self, fence: int) -> None:
        self.fence = fence
        self.again: Deliver | None = None


class Deliveries:
    """The deliveries of one agent, over all its connections."""

    __slots__ = (
        "_acks", "_handled", "_handled_before", "_held", "_open", "_superseded", "_surfaced", "_unseen", "_waiting",
        "keeps_replies",
    )  # fmt: skip

    def __init__(self) -> None:
        self._waiting: deque[Deliver] = deque()
        self._open: dict[int, Deliver] = {}  # waiting or in hand: the one valid copy of each
        self._held: dict[int, _Held] = {}
        self._handled: set[int] = set()
        self._handled_before: set[int] = set()
        self._acks: list[int] = []
        self._surfaced: list[Deliver] = []  # given out since the last write
        self._unseen: set[int] = set()  # given out, but nobody has seen it yet
        self._superseded: dict[int, int] = {}  # what is in hand and was replaced: by which message
        self.keeps_replies = False  # a reply may be that to an ask without an id: none is given out, nor what follows

    def __repr__(self) -> str:
        return f"Deliveries(open={len(self._open)}, held={sorted(self._held)}, acks={self._acks})"

    @property
    def has_waiting(self) -> bool:
        """True when `next()` may have something."""
        return bool(self._waiting)

    @property
    def has_acks(self) -> bool:
        """True when acks wait to be written."""
        return bool(self._acks or self._surfaced)

    # -- from the relay ----------------------------------------------------------------------------------------------

    def arrived(self, frame: Deliver) -> None:
        """A delivery came: it waits to be asked for, unless it is one that is here or was dealt with."""
        message = frame.message
        if message in self._handled or message in self._handled_before:
            self._acks.append(message)
        elif message in self._held:
            self._held[message].again = frame
            self._open.setdefault(message, frame)  # so that the end of the claim acks it
        elif message not in self._open:
            self._open[message] = frame
            self._waiting.append(frame)

    def withdrawn(self, message: int, by: int | None) -> None:
        """The relay has taken a message back; `by` is the one that replaced it, where one did.

        What nobody has seen yet is gone, unacked. What is in hand stays there, and is marked with `by`.
        """
        frame = self._open.get(message)
        if frame is None:
            return
        if any(waiting is frame for waiting in self._waiting):
            del self._open[message]
        elif by is not None:
            self._superseded = {old: new for old, new in self._superseded.items() if old in self._open}
            self._superseded[message] = by
            if message in self._held:
                self._held[message].again = None

    def superseded_by(self, message: int) -> int | None:
        """The message that replaced this one, which is in hand; None when none did."""
        return self._superseded.get(message)

    def take_replies(self, takes: Callable[[Deliver], bool]) -> None:
        """Give what waits, in order, to who asked for it; `takes` says what is his. That is then in hand."""
        kept = deque(frame for frame in self._waiting if self._open.get(frame.message) is frame and not takes(frame))
        self._waiting = kept

    def put_back(self, frame: Deliver) -> None:
        """Who had this in hand never saw it: it waits again, first of all."""
        if self._open.get(frame.message) is frame:
            self._waiting.appendleft(frame)

    def registered(self) -> None:
        """There is a new session: tell it what is in hand."""
        waiting = {id(frame) for frame in self._waiting}
        self._unseen &= self._open.keys()
        self._surfaced = [
            frame for frame in self._open.values() if id(frame) not in waiting and frame.message not in self._unseen
        ]

    # -- to the consumer, and what he says ---------------------------------------------------------------------------

    def next(self, *, tells: bool = True) -> Deliver | None:
        """The oldest delivery that waits, now in hand; None when there is none.

        Without `tells` it does not count as surfaced before it is acked as that.
        """
        while self._waiting:
            frame = self._waiting.popleft()
            if self._open.get(frame.message) is frame:  # else it was settled by its id before anyone asked for it
                if self.keeps_replies and is_reply(frame):
                    self._waiting.appendleft(frame)
                    return None
                if tells:
                    self._surfaced.append(frame)
                    self._unseen.discard(frame.message)
                else:
                    self._unseen.add(frame.message)
                return frame
        return None

    def done(self, frame: Deliver) -> None:
        """The consumer is through with what he had in hand. Nothing happens when it is settled already or claimed."""
        message = frame.message
        if self._open.get(message) is frame and message not in self._held:
            del self._open[message]
            self._acks.append(message)
            if not frame.claimable:
                self._remember(message)

    def gave_up(self, frame: Deliver) -> bool:
        """The consumer failed with what he had in hand: True when it is to be nacked (not settled, not claimed)."""
        message = frame.message
        if self._open.get(message) is not frame or message in self._held:
            return False
        del self._open[message]
        return True

    def acked(self, messages: Collection[int], stage: Literal["surfaced", "done"]) -> None:
        """The consumer acks by id, in a frame of his own."""
        self._unseen.difference_update(messages)
        if stage == "done":
            for message in messages:
                frame = self._open.pop(message, None)
                if frame is not None and not frame.claimable:
                    self._remember(message)
        else:
            said = set(messages)
            self._surfaced = [frame for frame in self._surfaced if frame.message not in said]

    def nacked(self, message: int) -> None:
        """The consumer nacks by id, in a frame of his own: it may come again."""
        self._open.pop(message, None)
        self._unseen.discard(message)
        self._handled.discard(message)
        self._handled_before.discard(message)

    def take_acks(self) -> list[int]:
        """The ids to ack as done, in order; they are then the caller's to write."""
        acks, self._acks = self._acks, []
        return acks

    def take_surfaced(self) -> list[int]:
        """The ids to ack as surfaced, ahead of those that are done."""
        surfaced, self._surfaced = self._surfaced, []
        return [frame.message for frame in surfaced if self._open.get(frame.message) is frame]

    # -- claims ------------------------------------------------------------------------------------------------------

    @property
    def held(self) -> list[int]:
        """The messages whose claims this agent holds, as far as it knows."""
        return list(self._held)

    def fence_held(self, message: int) -> int | None:
        """The fence under which this agent holds the message, as far as it knows; None when it does not."""
        held = self._held.get(message)
        return None if held is None else held.fence

    def claim_begun(self, message: int, fence: int, frame: Deliver | None = None) -> None:
        """The relay gave us the claim, perhaps with its message. What still waits of it is not given out any more."""
        self._held[message] = _Held(fence)
        here = self._open.get(message)
        if here is not None:
            if any(waiting is here for waiting in self._waiting):
                self._waiting = deque(waiting for waiting in self._waiting if waiting is not here)
        elif frame is not None:
            self._open[message] = frame

    def claim_refused(self, message: int) -> None:
        """Someone else has it, or its work is over: this offer is spent. The next offer of it is a new delivery."""
        if message not in self._held:
            self._settle(message)

    def completed(self, message: int) -> None:
        """The relay took our result: we want to see this message never again."""
        self._held.pop(message, None)
        self._settle(message)
        self._remember(message)

    def given_back(self, message: int, fence: int) -> None:
        """We release or fail the claim of this fence: what comes from now on is a new offer."""
        held = self._held.get(message)
        if held is None or held.fence == fence:
            self._held.pop(message, None)
            self._settle(message)

    def lost(self, message: int, fence: int) -> None:
        """The claim of this fence is not ours any more. A copy that came meanwhile is the new offer."""
        held = self._held.get(message)
        if held is None or held.fence != fence:
            return
        del self._held[message]
        if held.again is None:
            self._settle(message)
        else:
            self._open[message] = held.again
            self._waiting.append(held.again)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, message: int) -> None:
        self._unseen.discard(message)
        if self._open.pop(message, None) is not None:
            self._acks.append(message)

    def _remember(self, message: int) -> None:
        self._handled.add(message)
        if len(self._handled) >= HANDLED_MIN:
            self._handled_before = self._handled
            self._handled = set()
