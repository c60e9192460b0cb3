"""An agent of a campaign, in a process of its own: claims, keeps, gives back and ends work at random, and cheats.

    python -m tests.work.worker FOLDER AGENT RUN PORT SEED VOICE TASK...

It goes on until it is killed. Everything that it says and hears is in its log. VOICE is how it talks to the relay:
`wire` by a socket of its own, where each word is said once, or `library` by relay_client, which says again after a
reconnect what had no answer.

It knows what its predecessors (the earlier runs of this agent) were given, by their logs, and uses the fences of lost
claims like the current ones: the relay has to tell them apart.
"""

import asyncio
import contextlib
import random
import sys
import time
from pathlib import Path
from typing import Any, Final, Protocol

import relay_client
from relay_proto.errors import RelayError
from tests.work.log import LIBRARY, VISIT, Log, read_logs
from tests.work.task_model import OVER
from tests.work.wire import Frame, Wire

LANES: Final = 2
"""Things that it does at the same time."""
PAUSE_S: Final = 0.02
"""Mean time between two things of one lane."""
WINDOW: Final = 3
"""Tasks that it works on at the same time: the first of those that are not over."""
REST_S: Final = 0.5
"""It looks at a task that is delayed only so often."""
LEASES_S: Final = (1.0, 1.0, 1.5)
PARKED_S: Final = (1.0, 3.0)

WHILE_HELD: Final = {
    "renew": 6, "read": 2, "progress": 4, "park": 1, "resume": 1, "check": 2, "release": 8, "complete": 0.8,
    "fail": 0.3, "stale": 3, "claim": 1, "heartbeat": 1, "nap": 1, "claim_next": 0.3, "bye": 0.1,
}  # fmt: skip
OTHERWISE: Final = {"claim": 10, "read": 2, "stale": 3, "repeat": 2, "foreign": 1, "heartbeat": 1, "claim_next": 1}
LINK_ENDED: Final = (relay_client.Disconnected, relay_client.Replaced)
"""What is no answer of the relay's."""
ENDS: Final = ("release", "complete", "fail")


class Voice(Protocol):
    """How it talks to the relay."""

    async def say(self, op: str, message: int | None, fence: int, **arguments: Any) -> Frame:
        """The answer. Raises ConnectionError when none will come."""
        ...


class Library:
    """By relay_client: what was on its way when a connection was lost is said again, and its answer comes later."""

    def __init__(self, agent: relay_client.Agent, log: Log) -> None:
        self.agent, self.log = agent, log

    async def say(self, op: str, message: int | None, fence: int, **arguments: Any) -> Frame:
        number = self.log.invoke(op, LIBRARY, message, fence, **arguments)
        try:
            frame = await self._ask(op, message or 0, fence, arguments)
        except RelayError as exc:
            frame = {"op": "error", "code": exc.code, "detail": exc.detail}
            if isinstance(exc, LINK_ENDED):
                raise
            if exc.code == "claimed" and "state" not in exc.detail:
                frame["unsaid"] = True  # the library knows that it holds it, and does not even ask
        self.log.returned(number, frame)
        return frame

    async def _ask(self, op: str, message: int, fence: int, arguments: dict[str, Any]) -> Frame:
        agent = self.agent
        match op:
            case "claim":
                fence, lease_s = await agent.claim_message(message, **arguments)
                return {"op": "ok", "fence": fence, "lease_s": lease_s}
            case "renew":
                return {"op": "ok", "fence": fence, "lease_s": await agent.renew(message, fence, **arguments)}
            case "release":
                await agent.release(message, fence)
            case "complete":
                await agent.complete(message, fence)
            case "fail":
                await agent.fail(message, fence, **arguments)
            case "progress":
                note = {"fraction": arguments["progress"], "note": arguments["note"]}
                return {"op": "ok", "fence": fence, "lease_s": await agent.progress(message, fence, **note)}
            case "park":
                await agent.park(message, fence, **arguments)
                return {"op": "ok", "fence": fence}
            case "resume":
                return {"op": "ok", "fence": fence, "lease_s": await agent.resume(message, fence, **arguments)}
            case "check":
                holding = await agent.check(message, fence)
                return {"op": "ok", "fence": fence, "agent": holding.holder, "state": holding.state}
            case "heartbeat":
                await agent.heartbeat()
            case _:
                raise AssertionError(f"{op} is not for this voice")
        return {"op": "ok"}


LIBRARY_CANT: Final = frozenset({"bye", "claim_next", "read", "foreign"})
"""What it says in words of its own, or not at all."""


BY_VISIT: Final = frozenset({"claim", "release", "complete", "fail", "check"})
VISITS: Final = 0.05
"""Of these words so many are said by a visit."""


class Bare:
    """By one socket, each word once. A lost connection is made again, under the same instance."""

    def __init__(self, port: int, log: Log, seed: str | None = None) -> None:
        self.port, self.log = port, log
        self.random = None if seed is None else random.Random(seed)
        """Without a seed it makes no visits."""
        self.connections = 0
        self.wire: Wire | None = None
        self.connecting = asyncio.Lock()

    async def connected(self) -> Wire:
        async with self.connecting:
            while self.wire is None or self.wire.lost:
                self.connections += 1
                number = self.log.invoke("register", self.connections)
                try:
                    self.wire = await Wire.join(
                        self.port, self.log.agent, _ignore, instance=self.log.instance, caps=["work"], credit=64
                    )
                except (OSError, TimeoutError):
                    await asyncio.sleep(0.05)  # the relay is being started again; nothing tells when it is up
                else:
                    self.log.returned(number, self.wire.welcome)
        return self.wire

    async def visit(self, op: str, message: int, fence: int, **arguments: Any) -> Frame:
        """Said by a connection besides its own, as a shell command of the agent does it. The claim is its own."""
        await self.connected()
        wire = await Wire.join(self.port, self.log.agent, _ignore, visit=True)
        try:
            number = self.log.invoke(op, VISIT, message, fence, **arguments)
            frame = await wire.request(op, message=message, **({"fence": fence} if fence else {}), **arguments)
            self.log.returned(number, frame)
        finally:
            wire.cut()
        return frame

    async def say(self, op: str, message: int | None, fence: int, **arguments: Any) -> Frame:
        if self.random is not None and message is not None and op in BY_VISIT and self.random.random() < VISITS:
            return await self.visit(op, message, fence, **arguments)
        wire = await self.connected()
        number = self.log.invoke(op, self.connections, message, fence, **arguments)
        if op == "bye":
            wire.request("bye")
            await wire.gone.wait()
            if wire.closed_with != 1000:
                raise ConnectionResetError("nobody knows whether the bye was heard")
            frame: Frame = {"op": "ok"}
        else:
            about = ({} if message is None else {"message": message}) | ({"fence": fence} if fence else {})
            frame = await wire.request("message" if op == "read" else op, **about, **arguments)
        self.log.returned(number, frame)
        return frame


def _ignore(frame: Frame) -> None:
    """Deliveries and events: whatever they say, it does what it wants."""


class Worker:
    """What it believes: the fences that it has, the fences that it had, and what is over."""

    def __init__(self, voice: Voice, agent: str, seed: str, tasks: list[int]) -> None:
        self.voice, self.agent = voice, agent
        self.never = LIBRARY_CANT if isinstance(voice, Library) else frozenset()
        self.random = random.Random(seed)
        self.tasks = tasks
        self.had: dict[int, set[int]] = {}
        self.held: dict[int, int] = {}
        self.foreign: dict[int, int] = {}
        self.ended: dict[int, tuple[str, int, dict[str, Any]]] = {}
        """The last word that ended a claim, to be said again."""
        self.rests: dict[int, float] = {}
        self.quiet_until = 0.0

    def remember(self, folder: Path) -> None:
        """What the earlier runs of this agent were given. The last fence of each task may still be good."""
        for said in read_logs(folder):
            frame = said.frame or {}
            if said.agent == self.agent and said.op == "claim" and said.message and frame.get("op") == "ok":
                self.had.setdefault(said.message, set()).add(frame["fence"])
                self.held[said.message] = frame["fence"]

    async def live(self) -> None:
        """Until it is killed. First for what its predecessor held: that one's claim is not its own."""
        for message in list(self.held)[-WINDOW:]:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self._claim(message)
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._lane())

    async def _lane(self) -> None:
        while True:
            await asyncio.sleep(max(self.random.expovariate(1 / PAUSE_S), self.quiet_until - time.monotonic()))
            now = time.monotonic()
            window = [message for message in self.tasks if self.rests.get(message, 0.0) <= now][:WINDOW]
            if choice := sorted({*window, *self.held}):
                message = self.random.choice(choice)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    await self._do(message, self._choose(message))

    def _choose(self, message: int) -> str:
        weights = WHILE_HELD if message in self.held else OTHERWISE
        possible = [op for op in weights if op not in self.never]
        return self.random.choices(possible, [weights[op] for op in possible])[0]

    async def _do(self, message: int, op: str) -> None:
        match op:
            case "nap":
                self.quiet_until = time.monotonic() + self.random.uniform(0.2, 1.5) * max(LEASES_S)
            case "heartbeat" | "bye":
                await self.voice.say(op, None, 0)
                if op == "bye":
                    self.held.clear()
            case "claim":
                await self._claim(message)
            case "claim_next":
                await self._claim_next()
            case "read":
                self._heed(message, await self.voice.say("read", message, 0))
            case "stale":
                old = self.had.get(message, set()) - {self.held.get(message)}
                if old:
                    word = self.random.choice(["renew", "progress", "park", "complete", *ENDS])
                    await self._word(message, word, self.random.choice(sorted(old)), **self._arguments(word))
            case "repeat":
                if message in self.ended:
                    word, fence, arguments = self.ended[message]
                    await self._word(message, word, fence, **arguments)
            case "foreign":
                if message in self.foreign:
                    await self._word(message, self.random.choice(["renew", *ENDS]), self.foreign[message])
            case _:
                await self._word(message, op, self.held[message], **self._arguments(op))

    def _arguments(self, op: str) -> dict[str, Any]:
        match op:
            case "renew" | "resume":
                return {"lease_s": self.random.choice(LEASES_S)} if self.random.random() < 0.3 else {}
            case "fail":
                return {"retry": self.random.random() < 0.7}
            case "park":
                return {"needs": "human", "deadline_s": self.random.choice(PARKED_S)}
            case "progress":
                return {"progress": 0.5, "note": "on it"}
        return {}

    async def _claim(self, message: int) -> None:
        frame = await self.voice.say("claim", message, 0, lease_s=self.random.choice(LEASES_S))
        if frame["op"] == "ok":
            self._won(message, frame["fence"])
        else:
            self._heed(message, frame)

    async def _claim_next(self) -> None:
        arguments: dict[str, Any] = {"n": self.random.choice([1, 2]), "lease_s": self.random.choice(LEASES_S)}
        if self.random.random() < 0.5:
            arguments["held"] = sorted(self.held)
        frame = await self.voice.say("claim_next", None, 0, **arguments)
        for item in frame.get("items", []):
            self._won(item["message"], item["work"]["fence"])

    def _won(self, message: int, fence: int) -> None:
        self.held[message] = fence
        self.had.setdefault(message, set()).add(fence)

    async def _word(self, message: int, op: str, fence: int, **arguments: Any) -> None:
        if op in ENDS:
            self.ended[message] = (op, fence, arguments)
            if self.held.get(message) == fence:
                del self.held[message]
        frame = await self.voice.say(op, message, fence, **arguments)
        self._heed(message, frame, fence)

    def _heed(self, message: int, frame: Frame, fence: int = 0) -> None:
        detail = frame.get("detail") or frame.get("item", {}).get("work") or {}
        if frame["op"] == "error" and self.held.get(message) == fence:
            self.held.pop(message, None)
        if detail.get("fence"):
            self.foreign[message] = detail["fence"]
        if detail.get("state") in OVER:
            self.rests[message] = float("inf")
        elif detail.get("state") == "delayed":
            self.rests[message] = time.monotonic() + REST_S


async def main(folder: Path, agent: str, run: int, port: int, seed: str, kind: str, *tasks: str) -> None:
    log = Log(folder, agent, run)
    messages = list(map(int, tasks))
    if kind == "wire":
        bare = Worker(Bare(port, log, f"{seed}/visits"), agent, seed, messages)
        bare.remember(folder)
        await bare.live()
    url = f"http://127.0.0.1:{port}"
    async with relay_client.connect(url, agent=agent, instance=log.instance, caps=["work"]) as client:
        worker = Worker(Library(client, log), agent, seed, messages)
        worker.remember(folder)
        await worker.live()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]))
