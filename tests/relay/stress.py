"""A random model of a fleet over the desk: what agents may do, in any order, and what must be true all the same.

Everything random comes from one seed. Each action, each frame and each answer is a line of the log.
"""

import random
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay_proto import frames as wire
from relay_proto.limits import PRIORITY_DEFAULT
from relay_server import post
from relay_server.quota import Limits
from relay_server.session import Session
from relay_server.store.files import Ballast
from relay_server.store.sqlite import SQLiteStore
from tests.relay.desk import Desk

NAMES = ("anna", "bert", "carl", "emma")
CAPS = ("x", "y")
CHANNELS = ("red", "blue")
TARGETS = (*NAMES, *NAMES, "cap:x", "cap:y", "ALL", "any:cap:x", "any:cap:y", "channel:red")
DELAYED = "delayed"
"""The body of what came with a delay."""
UNLIMITED = Limits(send_per_s=0, group_per_minute=0, pair_per_minute=0, hops_max=0)
DRAIN_ROUNDS = 400
DRAIN_ROUNDS_SHORT = 300
"""After so many rounds the drain waits long enough for the longest backoff."""
EVERYTHING = 1000
"""A turn's weight that takes all there is."""


def make_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are opened from now on reserve no room: the write-ahead log grows as it needs to."""

    def reserve_nothing(store: SQLiteStore, connection: object) -> None:
        pass

    def is_reserved(ballast: Ballast) -> bool:
        return True

    monkeypatch.setattr(SQLiteStore, "_stretch_wal", reserve_nothing)
    monkeypatch.setattr(Ballast, "restore", is_reserved)


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """In memory, if there is such a place."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


class Broken(AssertionError):
    """Something that must always be true was not."""


class Actor:
    """One agent as it sees itself: its session, what it holds, what it asked for and was not answered yet."""

    def __init__(self, name: str, caps: list[str]) -> None:
        self.name = name
        self.caps = caps
        self.session: Session | None = None
        self.instance = 0
        self.credit = 1
        self.inbox: dict[int, dict[str, Any]] = {}
        """Deliveries of this session that it did not deal with yet."""
        self.claims: dict[int, int] = {}
        """The fence of each work that it believes it holds."""
        self.asked: dict[int, Any] = {}
        """Requests without an answer so far."""
        self.seen: set[int] = set()
        self.sent: list[int] = []
        """Its own messages, as far as it knows that they were taken."""
        self.newest_of: dict[tuple[str, int], int] = defaultdict(int)
        """Per sender and priority the newest message whose first delivery came."""

    def disconnect(self) -> None:
        """Forget what belongs to the session. Claims outlive it."""
        self.session = None
        self.inbox = {}
        self.asked = {}

    def claimable(self) -> list[int]:
        return [message for message, frame in self.inbox.items() if frame.get("claimable")]

    def is_claiming(self, message: int) -> bool:
        return any(isinstance(frame, wire.Claim) and frame.message == message for frame in self.asked.values())


class Fleet:
    """Agents, the desk that they talk to, and the ledger of what the desk promised them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.desk = Desk(folder, UNLIMITED)
        self.actors = {name: Actor(name, self.some_caps()) for name in NAMES}
        self.log: list[str] = []
        self.requests = 0
        self.draining = False
        self.sent: dict[int, bool] = {}
        """Messages that were taken, and whether each of them is work."""
        self.holders: dict[int, tuple[int, tuple[str, int]]] = {}
        """The highest fence of each work, with the agent and the instance that got it."""
        self.completed: dict[int, tuple[int, str]] = {}
        self.actions: list[tuple[int, Callable[[Actor], None]]] = [
            (10, self.send), (6, self.reply), (20, self.acknowledge), (5, self.surface), (8, self.nack),
            (20, self.claim), (20, self.use_claim), (3, self.update), (2, self.bye), (4, self.lose),
            (4, self.take_over), (2, self.block_or_unblock), (3, self.heartbeat),
        ]  # fmt: skip

    async def open(self) -> None:
        await self.desk.open()
        self.database = sqlite3.connect(self.folder / "relay.db", isolation_level=None)

    async def close(self) -> None:
        self.database.close()
        await self.desk.close()

    async def reopen(self) -> None:
        """The daemon starts again over the same folder: all connections are gone, and so is memory."""
        self.note("reopen")
        await self.desk.restart(self.random.choice([0, 0, 30]))
        for actor in self.actors.values():
            actor.disconnect()

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self.database.execute(query, values).fetchall()

    def note(self, *words: object) -> None:
        self.log.append(" ".join([f"{self.desk.now:.3f}", *map(str, words)]))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def some_caps(self) -> list[str]:
        return [cap for cap in CAPS if self.chance(0.6)]

    def anyone(self) -> Actor:
        return self.random.choice(list(self.actors.values()))

    def next_id(self) -> int:
        self.requests += 1
        return self.requests

    # -- what an agent does ---------------------------------------------------------------------------------------

    def act(self, actor: Actor) -> None:
        """Anything at all, or a connection if it has none."""
        if actor.session is None:
            self.connect(actor, self.chance(0.3))
            return
        weights = [weight for weight, _ in self.actions]
        _, action = self.random.choices(self.actions, weights)[0]
        action(actor)

    def connect(self, actor: Actor, as_another: bool) -> None:
        """A new connection, as the same instance or `as_another`. The relay may not know yet that the last one died."""
        if as_another:
            actor.instance += 1
            actor.claims = {}
        actor.disconnect()
        actor.session = self.desk.connect()
        actor.credit = self.random.choice([1, 1, 2, 3, 8])
        if not self.draining and self.chance(0.2):
            actor.caps = self.some_caps()
        channels = [channel for channel in CHANNELS if self.chance(0.3)]
        instance = f"{actor.name}{actor.instance}"
        self.put(
            actor,
            wire.Register(
                id=0, agent=actor.name, instance=instance, credit=actor.credit, caps=actor.caps, channels=channels
            ),
        )

    def put(self, actor: Actor, *frames: Any) -> None:
        """Say these frames in one WebSocket message."""
        session = actor.session
        assert session is not None
        for frame in frames:
            self.note(actor.name, session.name, ">", frame)
            if getattr(frame, "id", None) is not None:
                actor.asked[frame.id] = frame
        if session.close is None:
            self.desk.put(session, *frames)

    def send(self, actor: Actor) -> None:
        to = self.random.choice(TARGETS)
        self.put(actor, *[self.some_send(actor, to) for _ in range(self.random.randint(1, 3))])

    def some_send(self, actor: Actor, to: str) -> wire.Send:
        """Half of them are plain; the others have some of what a message can ask for."""
        frame = wire.Send(id=self.next_id(), to=to, body="b", hold=True, claimable=self.chance(0.4))
        if self.chance(0.5):
            return frame
        if self.chance(0.3):
            frame.priority = self.random.choice([0, 3, 4, 5, 9])
        if self.chance(0.2):
            frame.channel = self.random.choice(CHANNELS)
        if self.chance(0.2):
            frame.ttl_s = self.random.choice([30, 100, 1000])
        if self.chance(0.2):
            frame.delay_s, frame.body = self.random.choice([0.5, 1, 25]), DELAYED
        if actor.sent and self.chance(0.2):
            frame.supersedes = self.random.choice(actor.sent[-10:])
        if self.chance(0.3):
            frame.expect_reply_s, frame.waits = self.random.choice([5, 50, 500]), self.chance(0.7)
        if to.startswith("any:"):
            frame.offer_s = self.random.choice([None, 1, 10])
        return frame

    def reply(self, actor: Actor) -> None:
        """Answer something: what one was asked, as a rule."""
        asked = [message for message, frame in actor.inbox.items() if "reply_by_at" in frame] or list(actor.inbox)
        if asked:
            message = self.random.choice(asked)
            frame = wire.Send(id=self.next_id(), to=actor.inbox[message]["from"], body="!", reply_to=message)
            self.put(actor, frame)

    def acknowledge(self, actor: Actor) -> None:
        if actor.inbox:
            messages = self.random.sample(list(actor.inbox), self.random.randint(1, len(actor.inbox)))
            for message in messages:
                del actor.inbox[message]
            self.put(actor, wire.Ack(messages=messages))

    def surface(self, actor: Actor) -> None:
        if actor.inbox:
            self.put(actor, wire.Ack(messages=[self.random.choice(list(actor.inbox))], stage="surfaced"))

    def nack(self, actor: Actor) -> None:
        if actor.inbox:
            message = self.random.choice(list(actor.inbox))
            del actor.inbox[message]
            delay_s = self.random.choice([None, 0, 1, 30])
            self.put(actor, wire.Nack(message=message, reason="r", delay_s=delay_s, retry=self.chance(0.95)))

    def claim(self, actor: Actor) -> None:
        if works := actor.claimable():
            lease_s = self.random.choice([1, 5, 60, 100])
            self.put(actor, wire.Claim(id=self.next_id(), message=self.random.choice(works), lease_s=lease_s))

    def use_claim(self, actor: Actor) -> None:
        """Release, complete, fail or renew: each with the fence it was given."""
        if not actor.claims:
            return
        message = self.random.choice(list(actor.claims))
        fence = actor.claims[message]
        if self.chance(0.2):
            lease_s = self.random.choice([None, 1, 50])
            self.put(actor, wire.Renew(id=self.next_id(), message=message, fence=fence, lease_s=lease_s))
            return
        del actor.claims[message]
        kind = self.random.choice([wire.Release, wire.Complete, wire.Fail])
        self.put(actor, kind(id=self.next_id(), message=message, fence=fence))

    def update(self, actor: Actor) -> None:
        self.put(actor, wire.Update(id=self.next_id(), caps=self.some_caps()))

    def bye(self, actor: Actor) -> None:
        self.put(actor, wire.Bye())
        actor.claims = {}

    def lose(self, actor: Actor) -> None:
        session = actor.session
        assert session is not None
        self.note(actor.name, session.name, "lost")
        self.desk.broker.lost(session)
        actor.disconnect()

    def take_over(self, actor: Actor) -> None:
        self.connect(actor, self.chance(0.5))

    def block_or_unblock(self, actor: Actor) -> None:
        """It reads slowly (nothing more is pushed to it) or has caught up."""
        assert actor.session is not None
        actor.session.writable = not actor.session.writable
        if actor.session.writable:
            self.desk.broker.refill(actor.session)

    def heartbeat(self, actor: Actor) -> None:
        self.put(actor, wire.Heartbeat(status="idle"))

    # -- what an agent hears --------------------------------------------------------------------------------------

    def hear_all(self) -> None:
        for actor in self.actors.values():
            self.hear(actor)

    def hear(self, actor: Actor) -> None:
        """Read what came. A connection that the relay closed is gone after that."""
        session = actor.session
        if session is None:
            return
        for frame in self.desk.heard(session):
            self.note(actor.name, session.name, "<", frame)
            if frame["op"] == "deliver":
                self.delivered(actor, frame)
            elif frame.get("re") is not None:
                self.answered(actor, frame)
            elif frame["op"] == "event":
                self.told(actor, frame)
            elif frame["op"] == "error" and frame["code"] != "unknown_message":
                raise Broken(f"an error that nobody asked for: {frame}")
        if session.close is not None and not session.lost:
            self.note(actor.name, session.name, "closed", session.close)
            self.desk.broker.lost(session)
        if session.lost:
            actor.disconnect()

    def delivered(self, actor: Actor, frame: dict[str, Any]) -> None:
        """Messages of one sender and priority come in their order, the first time.

        Work may be offered later, and what any one of many may have comes to the next one later; what was delayed too.
        """
        message, source = frame["message"], (frame["from"], frame.get("priority", PRIORITY_DEFAULT))
        actor.inbox[message] = frame
        may_be_late = frame.get("claimable") or frame["to"].startswith("any:") or frame["body"] == DELAYED
        if not may_be_late and message not in actor.seen:
            if message < actor.newest_of[source]:
                raise Broken(f"order: {actor.name} got {message} of {source} after {actor.newest_of[source]}")
            actor.newest_of[source] = message
        actor.seen.add(message)

    def told(self, actor: Actor, frame: dict[str, Any]) -> None:
        """Something was taken back: most agents drop it then, some deal with it all the same."""
        if frame["event"] in ("withdrawn", "superseded") and self.chance(0.8):
            actor.inbox.pop(frame["message"], None)

    def answered(self, actor: Actor, frame: dict[str, Any]) -> None:
        """One answer to each request; what it promises goes into the ledger."""
        request = actor.asked.pop(frame["re"], None)
        if request is None:
            raise Broken(f"answered twice, or never asked: {frame}")
        if frame["op"] == "error":
            if frame["code"] in ("internal", "bad_request"):
                raise Broken(f"the relay is at fault: {frame}")
        elif isinstance(request, wire.Send):
            self.sent[frame["message"]] = request.claimable
            actor.sent.append(frame["message"])
        elif isinstance(request, wire.Claim):
            self.claimed(actor, request.message, frame["fence"])
        elif isinstance(request, wire.Complete):
            completion = (request.fence, actor.name)
            if self.completed.setdefault(request.message, completion) != completion:
                raise Broken(f"{request.message} was completed twice: {self.completed[request.message]}, {completion}")

    def claimed(self, actor: Actor, message: int, fence: int) -> None:
        """A fence has one holder. An answer that is read late may be about a lower one."""
        holder = (actor.name, actor.instance)
        highest, known = self.holders.get(message, (0, holder))
        if fence < highest:
            return
        if fence == highest and known != holder:
            raise Broken(f"work {message} has two holders at fence {fence}: {known} and {holder}")
        if message in self.completed:
            raise Broken(f"work {message} was claimed after it was completed")
        self.holders[message] = (fence, holder)
        actor.claims[message] = fence

    # -- turns and time -------------------------------------------------------------------------------------------

    async def turn(self, interleaved: float = 0.0) -> None:
        """Turns until nothing is left to decide. Between commit and settle other things happen, if `interleaved`."""
        broker = self.desk.broker
        while broker.commands or broker.questions:
            commands, _ = broker.take(EVERYTHING if self.draining else self.random.choice([1, 2, 5, 100]))
            now_ms = self.desk.now_ms
            outcomes = await self.desk.store.commit(commands, now_ms)
            while self.chance(interleaved):
                self.meanwhile()
            post.settle(broker, commands, outcomes, self.desk.now, now_ms)

    def meanwhile(self) -> None:
        """What may happen while a turn is in the store."""
        kind = self.random.random()
        if kind < 0.8:
            self.act(self.anyone())
        elif kind < 0.9:
            self.hear(self.anyone())
        else:
            self.desk.now += self.random.random()
            self.desk.deadlines.run(self.desk.now)

    async def pass_time(self, seconds: float, interleaved: float = 0.0) -> None:
        desk = self.desk
        until = desk.now + seconds
        while (at := desk.deadlines.next_deadline()) is not None and at <= until:
            desk.now = max(desk.now, at)
            desk.deadlines.run(desk.now)
            await self.turn(interleaved)
        desk.now = max(desk.now, until)

    async def step(self) -> bool:
        """One action and perhaps some of what follows from it. True if the desk is at rest after it."""
        self.act(self.anyone())
        if self.chance(0.5):
            await self.turn(0.5)
        if self.chance(0.5):
            self.hear_all()
        if self.chance(0.1):
            await self.pass_time(self.random.choice([0.5, 2, 20, 70, 400]), 0.2)
        if self.chance(0.01):
            await self.turn()
            await self.reopen()
        if self.chance(0.3):
            await self.turn()
            return True
        return False

    # -- the end --------------------------------------------------------------------------------------------------

    async def drain_round(self, number: int) -> None:
        """Everyone is there, can do everything, and deals with whatever comes; time goes by."""
        self.hear_all()
        for actor in self.actors.values():
            self.work_off(actor, number == 0)
        await self.turn()
        self.hear_all()
        for actor in self.actors.values():
            self.acknowledge_rest(actor)
        await self.turn()
        if number % 3 == 0:
            await self.pass_time(20 if number < DRAIN_ROUNDS_SHORT else 4000)

    def work_off(self, actor: Actor, at_first: bool) -> None:
        if at_first:
            actor.caps = list(CAPS)
        if actor.session is None:
            self.connect(actor, self.chance(0.3))
            return
        if at_first:
            self.put(actor, wire.Update(id=self.next_id(), caps=actor.caps))
        if not actor.session.writable:
            self.block_or_unblock(actor)
        self.put(actor, wire.Heartbeat())
        for message in actor.claimable():
            if message not in actor.claims:
                self.put(actor, wire.Claim(id=self.next_id(), message=message, lease_s=60))
        for message, fence in actor.claims.items():
            self.put(actor, wire.Complete(id=self.next_id(), message=message, fence=fence))
        actor.claims = {}

    def acknowledge_rest(self, actor: Actor) -> None:
        """All but the work that it has or is about to have."""
        works = {message for message in actor.claimable() if actor.is_claiming(message) or message in actor.claims}
        rest = [message for message in actor.inbox if message not in works]
        if actor.session is not None and rest:
            self.put(actor, wire.Ack(messages=rest))
            for message in rest:
                del actor.inbox[message]
