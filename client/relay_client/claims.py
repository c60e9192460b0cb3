"""The claims of one agent: what the relay says of them, and who hears it. Pure: no I/O, no asyncio, no clock.

Rules
- The relay grants a claim to an instance, not to a task of it, and answers a repeated claim as before. So of two grants
  of one fence that cross (a claim by id and a claim_next) only the first one counts here.
- A claim_next whose answer was lost may have claimed something. It is asked again with all claims that are known here
  (or that open requests are about); the relay then gives first what this instance holds besides.
- A claim that is granted again under a higher fence was lost before, whether that was heard or not.
- Who follows a message (a `Watch`) hears everything in the order in which the relay said it: answers about it, events,
  and that there is a new connection. It hears it after the callers of these answers: what it does then (it may cancel
  a task) must not meet a future that is about to be set.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from relay_proto import codec, limits
from relay_proto.errors import RelayError
from relay_proto.frames import Check, Claim, ClaimNext, Complete, Error, Event, Ok, Park, StoredMessage

from .deliveries import Deliveries
from .message import delivered
from .requests import AboutClaim, OpenRequest

CLAIM_OVER: Final = frozenset({"stale_fence", "not_holder", "not_claimable", "unknown_message", "finished", "expired"})
"""What the relay answers to who does not hold the claim any more."""
_PARK_OVER: Final = frozenset({"stale_fence", "not_holder"})
"""Of these, what is about the claim even where other tasks are named beside it."""
_CLAIM_REFUSED: Final = frozenset({"claimed", "not_claimable", "unknown_message", "finished", "expired"})

logger = logging.getLogger("relay_client")


class Watch(Protocol):
    """Who follows one message, from `Watches.add` to `Watches.remove`. `message`: its id."""

    message: int

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """The relay's answer to a word about a claim of this message (of any fence)."""
        ...

    def happened(self, event: Event) -> None:
        """An event about this message."""
        ...

    def registered(self) -> None:
        """There is a new connection. What happened in between was not told."""
        ...

    def ended(self, error: RelayError) -> None:
        """There will be no other connection."""
        ...


class Watches:
    """Who follows what, and what they are to hear next."""

    __slots__ = ("_by_message", "_news")

    def __init__(self) -> None:
        self._by_message: dict[int, list[Watch]] = {}
        self._news: deque[tuple[Watch, Callable[[], None]]] = deque()

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._by_message.values())

    def __repr__(self) -> str:
        return f"Watches({sorted(self._by_message)}, {len(self._news)} news)"

    def add(self, watch: Watch) -> None:
        """From now on it hears what is about its message."""
        self._by_message.setdefault(watch.message, []).append(watch)

    def remove(self, watch: Watch) -> None:
        """It hears nothing any more, not even what was kept for it. Removing it twice is nothing."""
        left = [other for other in self._by_message.get(watch.message, ()) if other is not watch]
        if left:
            self._by_message[watch.message] = left
        else:
            self._by_message.pop(watch.message, None)

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """A word about a claim was answered."""
        for watch in self._by_message.get(about.message, ()):
            self._news.append((watch, partial(watch.answered, about, frame)))

    def happened(self, event: Event) -> None:
        """An event came."""
        for watch in self._by_message.get(event.message or 0, ()):
            self._news.append((watch, partial(watch.happened, event)))

    def registered(self) -> None:
        """There is a new connection."""
        for watches in self._by_message.values():
            self._news += [(watch, watch.registered) for watch in watches]

    def ended(self, error: RelayError) -> None:
        """There will be no other connection."""
        for watches in self._by_message.values():
            self._news += [(watch, partial(watch.ended, error)) for watch in watches]

    def tell(self) -> None:
        """Let everyone hear what is kept for him."""
        while self._news:
            watch, news = self._news.popleft()
            if watch in self._by_message.get(watch.message, ()):
                news()


class Claims:
    """What the relay's answers mean for the claims of this agent and for the deliveries that they are of."""

    __slots__ = ("_deliveries", "watches")

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self.watches = Watches()

    def granted(self, claim: Claim, ok: Ok, agent: str) -> Ok | Error:
        """The relay gave this claim to a caller who waits for it. Gives back what he is to be answered."""
        fence = ok.fence or 0
        if not self._is_new(claim.message, fence):
            return Error(
                re=claim.id, code="claimed", message=f"message {claim.message} is claimed by this very agent, {agent}",
                detail={"holder": agent},
            )  # fmt: skip
        self._deliveries.claim_begun(claim.message, fence)
        return ok

    def granted_next(self, ok: Ok) -> None:
        """The relay gave these claims to a caller who waits for them. What another one holds is taken out of `ok`."""
        new = []
        for item in _items(ok):
            if item.work is not None and self._is_new(item.message, item.work.fence):
                self._deliveries.claim_begun(item.message, item.work.fence, delivered(item))
                new.append(item)
        ok.items = new

    def next_again(self, claim: ClaimNext, open: Iterable[OpenRequest[Any]]) -> bytes:
        """What to say after a reconnect for a claim_next whose answer may have been lost."""
        known = {*self._deliveries.held}
        known.update(request.about.message for request in open if isinstance(request.about, Claim | AboutClaim))
        return codec.encode_frame(msgspec.structs.replace(claim, held=sorted(known)[: limits.MESSAGES_MAX]))

    def won_for_nobody(self, about: Claim | ClaimNext, ok: Ok) -> list[tuple[int, int]]:
        """Of what the relay gave to a caller who is gone, the (message, fence) of what nobody here holds."""
        given = [(about.message, ok.fence or 0)] if isinstance(about, Claim) else granted(ok)
        return [(message, fence) for message, fence in given if self._deliveries.fence_held(message) is None]

    def refused(self, claim: Claim, error: Error) -> None:
        """The relay did not give this claim."""
        if error.code in _CLAIM_REFUSED:
            self._deliveries.claim_refused(claim.message)

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """A word under a fence was answered."""
        if isinstance(frame, Error):
            if ends_claim(about, frame.code):
                self._deliveries.lost(about.message, about.fence)
        elif isinstance(about, Complete):
            self._deliveries.completed(about.message)
        self.watches.answered(about, frame)

    def happened(self, event: Event, agent: str) -> None:
        """An event came to this agent."""
        if event.message is None:
            return
        match event.event:
            case "superseded" | "withdrawn":
                self._deliveries.withdrawn(event.message, event.by)
            case "task.claimed" if event.agent != agent:  # who follows tasks hears of his own claims, too
                self._deliveries.withdrawn(event.message, None)
            case "claim.lost" if event.fence is not None:
                self._deliveries.lost(event.message, event.fence)
        self.watches.happened(event)

    def _is_new(self, message: int, fence: int) -> bool:
        """False when the claim of this fence is held here already; an older one is over."""
        held = self._deliveries.fence_held(message)
        if held is not None and held < fence:
            lost = Error(code="stale_fence", message=f"the claim of fence {held} was lost: fence {fence} was given out")
            self.answered(Check(id=0, message=message, fence=held), lost)
        return held is None or held < fence


def ends_claim(about: AboutClaim, code: str) -> bool:
    """True when this error says that the claim is not held any more."""
    if isinstance(about, Park) and about.depends_on is not None:
        return code in _PARK_OVER  # unknown_message may be about what it depends on
    return code in CLAIM_OVER


def granted(ok: Ok) -> list[tuple[int, int]]:
    """Message and fence of each claim in the answer to a claim_next."""
    return [(item.message, item.work.fence) for item in _items(ok) if item.work is not None]


def _items(ok: Ok) -> list[StoredMessage]:
    try:
        return msgspec.convert(ok.items or [], list[StoredMessage])
    except msgspec.ValidationError as exc:
        logger.error("what the relay answered to claim_next is not of this protocol: %s", exc)
        return []
