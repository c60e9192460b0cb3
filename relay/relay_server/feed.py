"""The feed: what happens at the desk, as numbered events, for whoever listens from outside (the streams of http/).

Rules
- While nobody listens nothing is noted (`is_on`): a send pays for one look.
- The last events are kept, EVENTS_MAX or BYTES_MAX of them, so that who lost its connection can go on where it was. An
  event is encoded once, when it is first told, however many hear it.
- Nothing is buffered for a listener: it has a place in the row of events, or in that of those which concern its agent.
  One that is too slow, or comes back too late, is told that there is a gap, and goes on behind it.
- So an event costs the desk the same however many listen, and a little for each agent that somebody listens for.
- Who listens for one agent hears what concerns that agent, and what concerns everyone.

An event's id is `RUN-NUMBER`: another run of the relay counts from the start again, so a change of run is a gap.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

EVENTS_MAX: Final = 8192
"""Events that are kept."""
BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of bodies and the like that the kept events may hold; the last event is kept however large it is."""
EVENT_BYTES: Final = 512
"""What an event counts for beside the body that it carries."""
NAME_BYTES: Final = 72
"""What each agent counts for that it concerns: a place in a set and one in the message's list."""

NUMBERS_MIN: Final = 64
"""Numbers of events that are kept for one agent without looking whether they are still needed."""
CHUNKS_MAX: Final = 16
"""Texts kept at once for listeners that are at the same place; most are."""

_LINE_ENDS: Final = tuple(character.encode() for character in "\u0085\u2028\u2029")

_ID = re.compile(r"[0-9a-z]{1,32}-[0-9]{1,18}")


class Event(Struct):
    """`about`: the agents whom it concerns; None: everyone. `make(*given)` gives its data, a struct."""

    kind: str
    about: Collection[str] | None
    size: int
    make: Callable[..., Any]
    given: tuple[Any, ...]
    encoded: bytes | None = None


class Gap(Struct, omit_defaults=True, rename={"after": "from"}):
    """Events are missing: those behind `from` (the last that was told), up to and with `to`."""

    to: str
    after: str | None = None


class Hello(Struct):
    """The first event. `cursor`: what comes now is behind this id."""

    run: str
    cursor: str


class Circle:
    """Those who listen for one agent, and the numbers of the events that concern it: kept once for all of them."""

    __slots__ = ("kept_max", "listeners", "lost", "numbers", "since")

    def __init__(self, since: int) -> None:
        self.listeners: set[Listener] = set()
        self.numbers: list[int] = []
        self.kept_max = NUMBERS_MIN
        """So many of them, and it is looked for those that are not needed any more."""
        self.since = since
        """All from this number on that concern the agent stand in `numbers`, but for what is not kept any more."""
        self.lost = 0
        """The last of them that is not kept any more."""


class Listener:
    """One who listens, and how far it came. `agent`: whom it listens for; None: for everyone."""

    __slots__ = ("agent", "circle", "first", "next")

    def __init__(self, agent: str | None, circle: Circle | None) -> None:
        self.agent = agent
        self.circle = circle
        self.first = b""
        """What it is told before any event."""
        self.next = 0
        """It was told of everything below this number, as far as it concerns it."""


class Feed:
    """The kept events, from `oldest` to `last`, and who listens."""

    __slots__ = (
        "_by_agent", "_bytes", "_chunks", "_chunks_of", "_events", "_touched", "encode", "everyone",
        "gaps", "is_on", "is_stirred", "last", "oldest", "run", "stir",
    )  # fmt: skip

    def __init__(self) -> None:
        self.run = "0"
        self.is_on = False
        self.last = 0
        self.oldest = 1
        self.gaps = 0
        """How often a listener was told of a gap."""
        self.everyone: set[Listener] = set()
        self.encode: Callable[[Any], bytes] = msgspec.json.encode
        """Gives the data of an event as one line of JSON."""
        self.stir: Callable[[], None] = _nobody
        """Called when there is something to tell; once, until `hungry` was asked."""
        self._events: list[Event | None] = [None] * EVENTS_MAX
        self._bytes = 0
        self._by_agent: dict[str, Circle] = {}
        self._touched: dict[Circle, None] = {}
        self.is_stirred = False
        self._chunks: dict[tuple[str | None, int, int], tuple[bytes, int]] = {}
        self._chunks_of = 0

    def __len__(self) -> int:
        """How many listen."""
        return len(self.everyone) + sum(len(circle.listeners) for circle in self._by_agent.values())

    # -- what happens ------------------------------------------------------------------------------------------------

    def put(self, kind: str, about: Collection[str] | None, size: int, make: Callable[..., Any], *given: Any) -> None:
        """Something happened. `size`: bytes of what it holds on to. Only while `is_on`."""
        number = self.last = self.last + 1
        size += EVENT_BYTES + (0 if about is None else NAME_BYTES * len(about))
        place = number % EVENTS_MAX
        if number - self.oldest >= EVENTS_MAX:
            self._drop_oldest()
        self._events[place] = Event(kind, about, size, make, given)
        self._bytes += size
        while self._bytes > BYTES_MAX and self.oldest < number:
            self._drop_oldest()
        if self._by_agent:
            self._touch(number, about)
        if not self.is_stirred and (self.everyone or self._touched):
            self.is_stirred = True
            self.stir()

    def _drop_oldest(self) -> None:
        place = self.oldest % EVENTS_MAX
        event, self._events[place] = self._events[place], None
        assert event is not None, "what is kept has no holes"
        self._bytes -= event.size
        self.oldest += 1

    def _touch(self, number: int, about: Collection[str] | None) -> None:
        """Note it for those who listen for one agent that it concerns."""
        for agent in self._by_agent if about is None else about:
            circle = self._by_agent.get(agent)
            if circle is None or (circle.numbers and circle.numbers[-1] == number):
                continue  # nobody listens for it; or it is named twice
            circle.numbers.append(number)
            if len(circle.numbers) > circle.kept_max:
                self._sweep(circle)
                self._drop_told(circle)
            self._touched[circle] = None

    def _sweep(self, circle: Circle) -> None:
        """Forget the numbers of what is not kept any more."""
        gone = bisect_left(circle.numbers, self.oldest)
        if gone:
            circle.lost = circle.numbers[gone - 1]
            del circle.numbers[:gone]

    def _drop_told(self, circle: Circle) -> None:
        """Forget the numbers that all of them have heard of."""
        told = min((listener.next for listener in circle.listeners), default=self.last + 1)
        del circle.numbers[: bisect_left(circle.numbers, told)]
        circle.since = max(circle.since, told)
        circle.kept_max = max(NUMBERS_MIN, 2 * len(circle.numbers))

    # -- who listens -------------------------------------------------------------------------------------------------

    def listen(self, agent: str | None, after: str | None) -> Listener:
        """One more listens, from now on or from behind the event `after`."""
        if not self.is_on:
            # What happened meanwhile was not noted: whoever comes back over that has missed something.
            self.is_on = True
            self.last += 1
            self.oldest = self.last + 1
        circle = None if agent is None else self._by_agent.setdefault(agent, Circle(self.last + 1))
        listener = Listener(agent, circle)
        number = self._number(after)
        if after is None:
            listener.next = self.last + 1
        else:
            listener.next = self.oldest if number is None else number + 1
        (self.everyone if circle is None else circle.listeners).add(listener)
        cursor = self._id(listener.next - 1)
        hello = b"event: hello\ndata: " + msgspec.json.encode(Hello(self.run, cursor)) + b"\n\n"
        if after is not None and number is None:
            listener.first = hello + self._gap(after if _ID.fullmatch(after) else None, listener.next - 1)
        else:
            # Only with this may it go on: the id of a hello before a gap would hide the gap.
            listener.first = b"id: " + cursor.encode() + b"\n" + hello
        if circle is not None and listener.next < circle.since:
            before = range(listener.next, min(circle.since, self.last + 1))
            circle.numbers[:0] = [number for number in before if _concerns(self._event(number), listener.agent)]
            circle.since = listener.next
        return listener

    def leave(self, listener: Listener) -> None:
        """It listens no more. Idempotent."""
        self.everyone.discard(listener)
        if listener.circle is not None and listener.agent is not None:
            listener.circle.listeners.discard(listener)
            if not listener.circle.listeners and self._by_agent.get(listener.agent) is listener.circle:
                del self._by_agent[listener.agent]

    def rest(self) -> None:
        """Nobody has listened for a while: note nothing more, if that is still so."""
        if not self.everyone and not self._by_agent:
            self.is_on = False
            self._events = [None] * EVENTS_MAX
            self._bytes = 0
            self.oldest = self.last + 1
            self._chunks.clear()

    # -- telling -----------------------------------------------------------------------------------------------------

    def hungry(self) -> list[Listener]:
        """Who has something to hear. The next event stirs again."""
        self.is_stirred = False
        touched, self._touched = self._touched, {}
        hungry = [listener for listener in self.everyone if listener.next <= self.last]
        hungry.extend(listener for circle in touched for listener in circle.listeners if self.has_news(listener))
        return hungry

    def has_news(self, listener: Listener) -> bool:
        """There is something that it was not told."""
        circle = listener.circle
        if circle is None:
            return listener.next <= self.last or bool(listener.first)
        newest = circle.numbers[-1] if circle.numbers else circle.lost
        return newest >= listener.next or bool(listener.first)

    def take(self, listener: Listener, bytes_max: int) -> bytes:
        """What to tell it now, as text of server-sent events: at least one, and then up to about so many bytes."""
        told, listener.first = listener.first, b""
        if self._has_lost(listener):
            told += self._gap(self._id(listener.next - 1), self.oldest - 1)
            listener.next = self.oldest
        if self._chunks_of != self.last or len(self._chunks) >= CHUNKS_MAX:
            self._chunks.clear()  # they could be longer now
            self._chunks_of = self.last
        place = (listener.agent, listener.next, bytes_max)
        found = self._chunks.get(place)
        if found is None:
            found = self._chunks[place] = self._chunk(listener, bytes_max)
        chunk, listener.next = found
        return told + chunk if told else chunk

    def _has_lost(self, listener: Listener) -> bool:
        """Something that it was to hear is not kept any more."""
        if listener.circle is None:
            return listener.next < self.oldest
        self._sweep(listener.circle)
        return listener.circle.lost >= listener.next

    def _chunk(self, listener: Listener, bytes_max: int) -> tuple[bytes, int]:
        """(the next events of a listener, what it is to hear then)."""
        numbers: Sequence[int] = range(listener.next, self.last + 1)
        place = 0
        if listener.circle is not None:
            numbers = listener.circle.numbers
            place = bisect_left(numbers, listener.next)
        texts: list[bytes] = []
        size = 0
        while place < len(numbers) and size < bytes_max:
            texts.append(self._text(numbers[place]))
            size += len(texts[-1])
            place += 1
        return b"".join(texts), numbers[place] if place < len(numbers) else self.last + 1

    def ping(self, listener: Listener) -> bytes:
        """A sign of life. It moves the listener's id on, over what did not concern it."""
        listener.next = self.last + 1
        return b": ping\nid: " + self._id(self.last).encode() + b"\n\n"

    def _gap(self, after: str | None, to: int) -> bytes:
        self.gaps += 1
        gap = msgspec.json.encode(Gap(self._id(to), after))
        return b"id: " + self._id(to).encode() + b"\nevent: gap\ndata: " + gap + b"\n\n"

    def _text(self, number: int) -> bytes:
        event = self._event(number)
        if event.encoded is None:
            data = _one_line(self.encode(event.make(*event.given)))
            head = f"id: {self._id(number)}\nevent: {event.kind}\ndata: ".encode()
            event.encoded = b"".join((head, data, b"\n\n"))
            event.given = ()  # the frames that it was made of may go
        return event.encoded

    def _event(self, number: int) -> Event:
        event = self._events[number % EVENTS_MAX]
        assert event is not None, f"event {number} is not kept: {self.oldest}-{self.last}"
        return event

    def _id(self, number: int) -> str:
        return f"{self.run}-{number}"

    def _number(self, after: str | None) -> int | None:
        """The number of the event of this id, if what came behind it is all kept; else None."""
        if after is None or not _ID.fullmatch(after):
            return None
        run, _, number = after.rpartition("-")
        return int(number) if run == self.run and self.oldest - 1 <= int(number) <= self.last else None


def _concerns(event: Event, agent: str | None) -> bool:
    return event.about is None or agent in event.about


def _one_line(data: bytes) -> bytes:
    """JSON without what some clients take for the end of a line (Python's splitlines): NEL, LS and PS, escaped."""
    for character in _LINE_ENDS:
        if character in data:
            data = data.replace(character, b"\\u%04x" % ord(character.decode()))
    return data


def _nobody() -> None:
    """Nobody is there to be stirred."""
