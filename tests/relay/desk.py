"""The desk over the real store, without sockets: frames in, frames out, and a clock that the test holds."""

from pathlib import Path
from typing import Any

import msgspec

from relay_proto.codec import decode_client_batch, encode_frame, join_frames
from relay_proto.frames import Register
from relay_server import answers, post
from relay_server.broker import Broker
from relay_server.deadlines import Deadlines
from relay_server.grants import ANYONE
from relay_server.overview import overview
from relay_server.quota import Limits
from relay_server.session import Session
from relay_server.store import interface as ask
from relay_server.store.sqlite import SQLiteStore
from relay_server.times import Times

START_MS = 1_700_000_000_000


class Desk:
    """One broker and one store. `now` is monotonic seconds; the wall clock is START_MS later."""

    def __init__(self, folder: Path, quotas: Limits | None = None, times: Times | None = None) -> None:
        self.store = SQLiteStore(folder)
        self.deadlines = Deadlines()
        self.broker = Broker(self.deadlines, quotas=quotas, times=times)
        self.now = 0.0
        self.connections = 0

    @property
    def now_ms(self) -> int:
        return START_MS + int(self.now * 1000)

    async def open(self) -> "Desk":
        self.broker.start(await self.store.open(), self.now, self.now_ms)
        self.broker.glance.begin(self.now, self.store.newest)
        return self

    async def close(self) -> None:
        await self.store.close()

    async def restart(self, down_s: float = 0.0) -> None:
        """The daemon ends, and another one begins over the same folder after `down_s`. Sessions and memory are gone."""
        await self.store.close()
        self.now += down_s
        self.store = SQLiteStore(self.store.folder)
        self.deadlines = Deadlines()
        self.broker = Broker(self.deadlines, quotas=self.broker.quotas, times=self.broker.times)
        await self.open()

    def connect(self) -> Session:
        self.connections += 1
        return Session(f"s{self.connections}", None, ANYONE)

    def put(self, session: Session, *frames: Any) -> None:
        """Frames arrive in one WebSocket message, through the codec as they would from the network."""
        data = join_frames([encode_frame(frame) for frame in frames])
        self.broker.receive(session, decode_client_batch(data), self.now)

    async def turn(self) -> None:
        """Turns until nothing is left to decide or to look up."""
        while self.broker.commands or self.broker.questions:
            commands, questions = self.broker.take(10_000)
            outcomes = await self.store.commit(commands, self.now_ms)
            post.settle(self.broker, commands, outcomes, self.now, self.now_ms)
            self.broker.glance.tally.turn(commands, outcomes)
            for question in questions:
                if isinstance(question, ask.AgentsPage):
                    answers.list_agents(self.broker, question, self.now)
                elif isinstance(question, ask.OverviewCounts):
                    (facts,) = await self.store.look_up([question], self.now_ms)
                    assert isinstance(facts, ask.OverviewFacts)
                    overview(self.broker, question, facts, self.store.newest, self.now)
            aside = (ask.AgentsPage, ask.OverviewCounts)
            stored = [question for question in questions if not isinstance(question, aside)]
            answers.answer(self.broker, stored, await self.store.look_up(stored, self.now_ms), self.now)

    async def say(self, session: Session, *frames: Any) -> list[dict[str, Any]]:
        """What the session hears of a turn with these frames."""
        self.put(session, *frames)
        await self.turn()
        return self.heard(session)

    async def pass_time(self, seconds: float) -> None:
        """Time goes by; whatever is due happens at its own moment."""
        await self.turn()
        until = self.now + seconds
        while (at := self.deadlines.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.deadlines.run(self.now)
            await self.turn()
        self.now = until

    async def agent(self, name: str, **fields: Any) -> Session:
        """A registered session; what it heard so far (its ok, its inbox) is dropped."""
        session = self.connect()
        await self.say(session, Register(id=0, agent=name, **fields))
        return session

    async def ledger(self, message: int) -> dict[str, str]:
        """What the store has of each delivery of a message: its stage, and the reason behind a colon."""
        (found,) = await self.store.look_up([ask.DeliveriesOf(None, 0, message)], self.now_ms)
        assert isinstance(found, list), found
        return {state.agent: state.stage + (f": {state.reason}" if state.reason else "") for state in found}

    @staticmethod
    def heard(session: Session) -> list[dict[str, Any]]:
        """The frames that the session has to say, as plain maps; then it has none."""
        frames, session.frames = session.frames, []
        return [msgspec.msgpack.decode(frame) for frame in frames]


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    """What came, in short: ok, deliver 7 (attempt 2), error claimed, reply.gone 7 ben."""
    out = []
    for frame in frames:
        match frame["op"]:
            case "deliver":
                out.append(f"deliver {frame['message']}" + (f" #{frame['attempt']}" if frame["attempt"] > 1 else ""))
            case "error":
                out.append(f"error {frame['code']}")
            case "event":
                about = " ".join(str(frame[part]) for part in ("message", "agent") if part in frame)
                out.append(f"{frame['event']} {about}".rstrip())
            case op:
                out.append(op)
    return out
