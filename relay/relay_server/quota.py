"""Quotas: how fast an agent may send, how long two may go round in a circle, and how much an inbox may hold.

    send    a second's worth of messages     one bucket a sender      a program that lost its way
    group   a minute's worth of group sends  one bucket a sender      the broadcast storm
    pair    a minute's worth of exchanges    one bucket a pair        two agents thanking each other for ever
    inbox   messages and bytes               one bound a recipient    a consumer that does not come back

A token bucket is kept as one number: when it will be full again. A token moves that time by its share of the span; a
bucket whose time has passed is full, and as good as one that never was. So nothing is refilled, and what nobody touched
for RECENT_S can be dropped without being looked at.

An *exchange* is a direct message when the last one between the two went the other way. A stream in one direction has
none however long it is, and who goes round in a circle has nothing else. Work that one of them claims or ends, or a
person's word to one of them, shows that the talk leads somewhere: all pairs of that agent have their full number again.

What an inbox holds is the store's to know. Memory keeps an upper bound of it, so that the store must count only when
that bound is reached, and a message that was let in is never one too many.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from relay_proto import limits
from relay_proto.errors import InboxFull, RateLimited

MINUTE_S: Final = 60.0
RECENT_S: Final = 60.0
"""Kept at least this long untouched. No bucket takes longer to fill, so nothing is lost with what is dropped."""
SLACK_S: Final = 1e-6
"""A token this close counts as there: sums of seconds since boot are not exact."""
MEASURED_S: Final = 1.0
"""A full inbox is measured once in this time; until then whoever writes to it is refused from memory."""
ASKED_S: Final = 60.0
"""A measure that did not come in this time does not come: the message was a repeat, or its turn failed."""


@dataclass(slots=True, frozen=True)
class Limits:
    """The quotas of one daemon. 0 switches one off."""

    send_per_s: int = 100_000
    """Messages a second of one sender. Above what one client can do on purpose; a runaway loop is slowed."""
    group_per_minute: int = 10
    """Messages a minute of one sender to groups. Each one wakes everybody it is for."""
    pair_per_minute: int = 30
    """Exchanges a minute between two agents without progress. Models that think are slower; loops are not."""
    hops_max: int = limits.HOPS_MAX
    """Messages in a chain of those that caused each other. It catches the circles of more than two."""
    inbox_messages_max: int = 10_000
    """Messages in one inbox that are not dealt with. Hours of work for an agent: more would never be read."""
    inbox_bytes_max: int = 64 * 1024 * 1024
    """Bytes of their bodies. One agent that is away can't fill the disk for all: 256 of the largest bodies."""

    @property
    def room(self) -> tuple[int, int]:
        """What an inbox may hold: messages, bytes."""
        return self.inbox_messages_max, self.inbox_bytes_max


K = TypeVar("K")
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """A dict that drops what was not touched for RECENT_S, by throwing a whole generation away: nothing is searched.

    `young` may be read and written directly; who misses there asks `older`.
    """

    __slots__ = ("_old", "_turned_at", "young")

    def __init__(self) -> None:
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._turned_at = -math.inf

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def older(self, key: K) -> V | None:
        """What the last generation knew of `key`; it is young again."""
        value = self._old.pop(key, None)
        if value is not None:
            self.young[key] = value
        return value

    def get(self, key: K) -> V | None:
        value = self.young.get(key)
        return self.older(key) if value is None else value

    def forget(self, now: float) -> None:
        if now - self._turned_at >= RECENT_S:
            self._old, self.young, self._turned_at = self.young, {}, now


class _Buckets:
    """Token buckets of `limit` tokens, each filled evenly in `span_s`: when each will be full again."""

    __slots__ = ("full_at", "is_on", "limit", "span_s", "token_s")

    def __init__(self, limit: int, span_s: float) -> None:
        self.limit = limit
        self.is_on = limit > 0
        self.token_s = span_s / limit if self.is_on else 0.0
        self.span_s = span_s
        self.full_at: _Recent[str, float] = _Recent()

    def after(self, key: str, now: float) -> float:
        """When the bucket of `key` would be full again if it gave one token now."""
        full_at = self.full_at.young.get(key)
        if full_at is None:
            full_at = self.full_at.older(key)
        return now + self.token_s if full_at is None or full_at < now else full_at + self.token_s

    def wait_s(self, full_at: float, now: float) -> float:
        """Seconds until that token is there, up to the next ms; 0.0 when it is there now."""
        missing_s = full_at - now - self.span_s
        # Half the slack is left for the caller's own sum, so that coming back after this time is never too early.
        return 0.0 if missing_s <= SLACK_S else math.ceil((missing_s - SLACK_S / 2) * 1000) / 1000


class _Pair:
    """Two agents who write to each other. `progress` is the last progress of either that it has counted."""

    __slots__ = ("full_at", "last", "progress")

    def __init__(self, last: str) -> None:
        self.last = last
        self.full_at = -math.inf
        self.progress = 0


class Rates:
    """Who sent how much in the last minute. Memory grows with those who spoke in the last minutes, see `forget`."""

    __slots__ = ("_exchanges", "_groups", "_pairs", "_progress", "_progress_of", "_sends")

    def __init__(self, limits: Limits) -> None:
        self._sends = _Buckets(limits.send_per_s, 1.0)
        self._groups = _Buckets(limits.group_per_minute, MINUTE_S)
        self._exchanges = _Buckets(limits.pair_per_minute, MINUTE_S)  # its times stand in the pairs
        self._pairs: _Recent[tuple[str, str], _Pair] = _Recent()
        self._progress = 0
        self._progress_of: _Recent[str, int] = _Recent()

    def __len__(self) -> int:
        """How many buckets and notes are kept."""
        return len(self._sends.full_at) + len(self._groups.full_at) + len(self._pairs) + len(self._progress_of)

    def refusal(self, sender: str, to: str | None, is_group: bool, is_human: bool, now: float) -> RateLimited | None:
        """Take a token of each quota that this message counts against, or say why it must wait and take none.

        to: the one agent a direct or any: message is for. is_group: it counts as a group send (claimable work does
        not). is_human: a person sends it; no pair limit, and a word to an agent is progress of that agent.
        """
        sends, groups = self._sends, self._groups
        sent_at = grouped_at = now
        if sends.is_on:
            sent_at = sends.after(sender, now)
            if sent_at - now > sends.span_s + SLACK_S:
                return _send_rate(sender, sends, sends.wait_s(sent_at, now))
        if is_group and groups.is_on:
            grouped_at = groups.after(sender, now)
            if grouped_at - now > groups.span_s + SLACK_S:
                return _group_rate(sender, groups, groups.wait_s(grouped_at, now))
        if to is not None and self._exchanges.is_on:
            if is_human:
                self.progress(to, now)
            else:
                key = (sender, to) if sender < to else (to, sender)
                pair = self._pairs.young.get(key)
                if pair is None:
                    pair = self._pairs.older(key)
                if pair is None:
                    self._pairs.young[key] = _Pair(sender)
                elif pair.last != sender:
                    wait_s = self._exchange(pair, sender, to, now)
                    if wait_s:
                        return _pair_rate(sender, to, self._exchanges, wait_s)
        if sends.is_on:
            sends.full_at.young[sender] = sent_at
        if is_group and groups.is_on:
            groups.full_at.young[sender] = grouped_at
        return None

    def _exchange(self, pair: _Pair, sender: str, to: str, now: float) -> float:
        """Take the token of an exchange and answer 0.0, or answer how many seconds it is away."""
        progress = max(self._progress_of.get(sender) or 0, self._progress_of.get(to) or 0)
        full_at = now if progress > pair.progress or pair.full_at < now else pair.full_at
        full_at += self._exchanges.token_s
        wait_s = self._exchanges.wait_s(full_at, now)
        if not wait_s:
            pair.last, pair.full_at, pair.progress = sender, full_at, self._progress
        return wait_s

    def progress(self, agent: str, now: float) -> None:
        """Work was claimed, completed or failed by `agent`, or a person wrote to it: its pairs are full again.

        They are not visited: each sees it at its next exchange. Counted, not timed, since a turn has one `now`.
        """
        self._progress += 1
        self._progress_of.young[agent] = self._progress

    def forget(self, now: float) -> None:
        """Drop what is as good as new: whatever was last touched two calls (at least RECENT_S apart) ago."""
        for kept in (self._sends.full_at, self._groups.full_at, self._pairs, self._progress_of):
            kept.forget(now)


def _limited(text: str, code: str, limit: int, wait_s: float, **detail: str) -> RateLimited:
    facts: dict[str, Any] = {"code": code, "limit": limit, **detail}
    return RateLimited(text, retry_after_s=wait_s, detail=facts)


def _send_rate(sender: str, sends: _Buckets, wait_s: float) -> RateLimited:
    return _limited(
        f"{sender} has used up its {sends.limit} messages a second (send_per_s is {sends.limit}): "
        f"send again in {wait_s:g} s",
        "send_rate", sends.limit, wait_s,
    )  # fmt: skip


def _group_rate(sender: str, groups: _Buckets, wait_s: float) -> RateLimited:
    return _limited(
        f"{sender} has used up its {groups.limit} group messages a minute (group_per_minute is {groups.limit}): send "
        f"again in {wait_s:g} s, or write to the one agent that should act; claimable work is not counted",
        "group_rate", groups.limit, wait_s,
    )  # fmt: skip


def _pair_rate(sender: str, to: str, exchanges: _Buckets, wait_s: float) -> RateLimited:
    return _limited(
        f"{sender} and {to} have used up their {exchanges.limit} exchanges a minute (pair_per_minute is "
        f"{exchanges.limit}) and no work was claimed or ended meanwhile: send again in {wait_s:g} s, get on with the "
        "work, or ask a person; progress of either lifts this at once",
        "pair_rate", exchanges.limit, wait_s, **{"with": to},
    )  # fmt: skip


# -- inboxes ---------------------------------------------------------------------------------------------------------


class Room(Enum):
    """Whether an inbox has room for one more message."""

    OK = "ok"
    """It has, and the message is counted."""
    MEASURE = "measure"
    """The store must look: it lets the message in or refuses it, and says what the inbox holds after that."""
    FULL = "full"
    """It has none: refuse the message."""


class _Held:
    """What an inbox holds at most. `.._is_true`: not only at most, as far as the store was told and has told."""

    __slots__ = (
        "asked", "count", "count_is_true", "is_known", "measured_at", "size", "size_is_true",
        "taken_count", "taken_size",
    )  # fmt: skip

    def __init__(self) -> None:
        self.is_known = False
        self.count = 0
        self.size = 0
        self.count_is_true = self.size_is_true = False
        self.measured_at = -math.inf
        self.asked: list[tuple[int, int, float]] = []
        """The measures under way, oldest first: `taken_count` and `taken_size` as they were then, and when."""
        self.taken_count = 0
        self.taken_size = 0

    def add(self, size: int) -> None:
        """One message more."""
        self.count += 1
        self.size += size
        if self.asked:
            self.taken_count += 1
            self.taken_size += size

    def ask(self, size: int, now: float) -> None:
        """A measure is under way for a message that may be let in. What will not come any more is given up."""
        while self.asked and now - self.asked[0][2] >= ASKED_S:
            self.asked.pop(0)
        self.add(size)
        self.asked.append((self.taken_count, self.taken_size, now))
        self.count_is_true = self.size_is_true = False

    def learn(self, count: int, size: int, now: float) -> None:
        """The oldest measure under way came: what was taken after it comes on top.

        If the oldest was one that never comes, this is too much, and put right when it is given up.
        """
        taken_count, taken_size = self.asked.pop(0)[:2] if self.asked else (self.taken_count, self.taken_size)
        self.is_known = True
        self.count = count + self.taken_count - taken_count
        self.size = size + self.taken_size - taken_size
        self.count_is_true = self.size_is_true = self.count == count
        self.measured_at = now


class Rooms:
    """What each inbox holds at most, while there is traffic at it. Each MEASURE should bring one `measured`."""

    __slots__ = ("_bytes_max", "_inboxes", "_is_on", "_limits", "_messages_max")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._is_on = limits.inbox_messages_max > 0 or limits.inbox_bytes_max > 0
        self._messages_max: float = limits.inbox_messages_max or math.inf
        self._bytes_max: float = limits.inbox_bytes_max or math.inf
        self._inboxes: _Recent[str, _Held] = _Recent()

    def __len__(self) -> int:
        """How many inboxes are kept in mind."""
        return len(self._inboxes)

    def take(self, agent: str, size: int, now: float) -> Room:
        """Room for one message with a body of `size` bytes? It is counted, unless FULL; a MEASURE puts that right."""
        if not self._is_on:
            return Room.OK
        held = self._inboxes.young.get(agent)
        if held is None:
            held = self._inboxes.older(agent)
            if held is None:
                held = self._inboxes.young[agent] = _Held()
        count_fits, size_fits = held.count < self._messages_max, held.size + size <= self._bytes_max
        if held.is_known and count_fits and size_fits:
            held.add(size)
            return Room.OK
        if now - held.measured_at < MEASURED_S and (
            (held.count_is_true and not count_fits) or (held.size_is_true and not size_fits)
        ):
            return Room.FULL
        held.ask(size, now)
        return Room.MEASURE

    def measured(self, agent: str, count: int, size: int, now: float) -> None:
        """The store counted `count` messages with `size` bytes, after it added or refused the one it looked for."""
        held = self._inboxes.get(agent)
        if held is None:
            held = self._inboxes.young[agent] = _Held()
        held.learn(count, size, now)

    def added(self, agent: str, size: int) -> None:
        """A message came in unasked, since only the store knew whom it is for: a thread's, work offered to the next."""
        held = self._inboxes.get(agent)
        if held is not None:
            held.add(size)

    def acked(self, agent: str, count: int) -> None:
        """So many messages left the inbox for certain. Of how many bytes is not known, unless they were all."""
        held = self._inboxes.get(agent)
        if held is None or count <= 0:
            return
        held.count = max(0, held.count - count)
        held.size_is_true = False
        if not held.count:
            held.size = 0

    def held(self, agent: str) -> tuple[int, int]:
        """How many messages and bytes the inbox holds at most, for the words of a refusal; zeros when not known."""
        held = self._inboxes.get(agent)
        return (held.count, held.size) if held is not None else (0, 0)

    def forget(self, now: float) -> None:
        """Drop the inboxes that nobody wrote to for RECENT_S; the next message to one is measured."""
        self._inboxes.forget(now)

    def inbox_full(self, agent: str, count: int, size: int) -> InboxFull:
        """The refusal of a message to an inbox that holds `count` messages and `size` bytes."""
        return inbox_full(agent, count, size, (self._limits.inbox_messages_max, self._limits.inbox_bytes_max))


def inbox_full(agent: str, count: int, size: int, room: tuple[int, int]) -> InboxFull:
    """The same for who has the limits as `room`: messages and bytes, 0 for none."""
    messages_max, bytes_max = room
    return InboxFull(
        f"the inbox of {agent} holds {count} messages ({_limit(messages_max)}) and {size} bytes "
        f"({_limit(bytes_max)}): there is no room for this one until {agent} deals with some of them",
        retry_after_s=MEASURED_S,
        detail={
            "agent": agent,
            "messages": count,
            "messages_max": messages_max,
            "bytes": size,
            "bytes_max": bytes_max,
        },
    )


def _limit(value: int) -> str:
    return f"the limit is {value}" if value else "no limit"
