"""A fleet of real processes that fight over a few tasks, while others stop, kill and cut them; and what came of it.

The driver (this process) starts the daemon and the workers, each behind a proxy of its own, and does at random what may
happen to them. When the time is over it kills all workers, finishes what is left as an agent like any other, and makes
the history of each task from the logs.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from tests.daemon import Daemon
from tests.work.history import History
from tests.work.linear import Told, check
from tests.work.log import LIBRARY, Log, Said, histories, read_logs
from tests.work.proxy import Proxy
from tests.work.task_model import HELD, OVER
from tests.work.wire import Frame
from tests.work.worker import WINDOW, Bare

ROOT: Final = Path(__file__).parents[2]
WORKERS: Final = {"w1": "wire", "w2": "wire", "w3": "wire", "w4": "library", "w5": "wire", "w6": "library"}
TASKS_MIN: Final = 30
TASKS_PER_S: Final = 1.0
ATTEMPTS: Final = (3, 20)
"""What a task has: some are to be buried, others to live long."""
PROLOGUES: Final = (
    "1:claim 1:release:1 1:release:1 1:claim 1:renew:1 1:renew:2 1:complete:2 1:complete:2 1:claim",
    "1:claim 1:release:1 1:claim 1:complete:1 1:complete:2 1:complete:1",
    "1:claim 1:bye 1:claim 1:complete:1 1:complete:2",
    "1:claim 1:claim 2:claim 2:renew:1 2:claim 2:complete:1",
    "1:claim 2:claim 2:progress:1 1:claim 1:complete:1",
)
"""What one agent says about a task each, as instance, word and fence: a stale renewal and a stale completion by the one
that holds it, a bye, and takeovers by its next instance, one of them with the old one back again."""
GAP_S: Final = (0.1, 0.5)
"""Between two faults."""
FAULTS: Final = frozenset(
    {
        "pause that cost a claim", "kill of a holder", "cut of a connection", "answer that was lost",
        "restart with claims held",
    }
)  # fmt: skip
"""What each campaign has to have met."""
FIRE_S: Final = 20.0
"""So much longer it may take until each fault has met something."""
SILENCE_S: Final = 12.0
"""A claim whose holder is silent is lost by then, however often the daemon was started again meanwhile."""
LOOK_S: Final = 0.2
READY_S: Final = 20.0
DRAIN_S: Final = 15.0


class Worker:
    """One worker's name, its process of the moment, and its proxy."""

    def __init__(self, name: str, voice: str, proxy: Proxy) -> None:
        self.name, self.voice, self.proxy = name, voice, proxy
        self.run = 0
        self.is_paused = False
        self.process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    async def kill(self) -> None:
        assert self.process is not None, "not started"
        if self.process.returncode is not None:
            raise AssertionError(f"{self.name} ended by itself, with {self.process.returncode}: see its stderr")
        self.process.kill()
        await self.process.wait()


class Campaign:
    """`run` does it all. Then `words` is what was said, and `fired` how often each fault met something."""

    def __init__(self, folder: Path, daemon: Daemon, seed: int, seconds: float, until_all_fired: bool = True) -> None:
        self.folder = folder / "logs"
        self.folder.mkdir()
        self.daemon = daemon
        self.seconds = seconds
        self.until_all_fired = until_all_fired
        self.seed = seed
        self.random = random.Random(seed)
        self.fired: Counter[str] = Counter()
        self.died_at: list[float] = []
        self.killed_at: dict[str, float] = {}
        """When each instance of a worker was dead."""
        self.workers: list[Worker] = []
        self.tasks: list[int] = []
        self.attempts_max: dict[int, int] = {}
        self.over: set[int] = set()
        self.kicked: set[int] = set()
        self.words: list[Said] = []
        self.faults: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "pause": self.pause, "kill": self.kill, "cut": self.cut, "mute": self.mute, "restart": self.restart,
            "overrule": self.overrule,
        }  # fmt: skip

    async def run(self) -> list[History]:
        """The histories of all tasks."""
        await asyncio.to_thread(self.daemon.start)
        self.manager = Bare(self.daemon.port, Log(self.folder, "manager", 1))
        try:
            await self.submit()
            await self.prologue()
            for name, voice in WORKERS.items():
                self.workers.append(Worker(name, voice, await Proxy(self.daemon.port).start()))
            await asyncio.gather(*map(self.start, self.workers))
            await self.trouble()
            await asyncio.gather(*(self.end(worker) for worker in self.workers))
            await self.finish()
        finally:
            for worker in self.workers:
                if worker.process is not None and worker.process.returncode is None:
                    worker.process.kill()
                    await worker.process.wait()
                worker.proxy.close()
            if self.manager.wire is not None:
                self.manager.wire.cut()
            self.daemon.close()
        self.words = [said for said in read_logs(self.folder) if not (said.frame or {}).get("unsaid")]
        self.count_resent()
        return histories(self.words, self.tasks, self.died_at, self.attempts_max)

    async def submit(self) -> None:
        wire = await self.manager.connected()
        for number in range(max(TASKS_MIN, int(self.seconds * TASKS_PER_S))):
            attempts = self.random.choice(ATTEMPTS)
            fields = {"to": "cap:work", "body": "", "claimable": True, "attempts": attempts, "key": f"task {number}"}
            self.attempts_max[(await wire.ask("send", **fields))["message"]] = attempts
        self.tasks = list(self.attempts_max)

    async def prologue(self) -> None:
        """What has to be seen in each campaign, however the dice fall: tasks that one agent has to itself."""
        anns = [Bare(self.daemon.port, Log(self.folder, "ann", run)) for run in (1, 2)]
        for message, words in zip(self.tasks, PROLOGUES, strict=False):
            for word in words.split():
                who, op, *fence = word.split(":")
                ann, other = anns if who == "1" else anns[::-1]
                if other.wire is not None:
                    other.wire.cut()  # else it would be told that it is replaced, in the middle of something
                    await other.wire.gone.wait()
                await ann.say(op, message, int(fence[0]) if fence else 0)
        for ann in anns:
            assert ann.wire is not None
            ann.wire.cut()

    # -- workers -----------------------------------------------------------------------------------------------------

    async def start(self, worker: Worker) -> None:
        """Start its next process."""
        worker.run += 1
        seed = f"{self.seed}/{worker.name}/{worker.run}"
        tasks = map(str, self.tasks[len(PROLOGUES) :])
        env = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
        with (self.folder / f"{worker.name}.stderr").open("ab") as errors:
            worker.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.work.worker", str(self.folder), worker.name, str(worker.run),
                str(worker.proxy.port), seed, worker.voice, *tasks, stderr=errors, env=env, cwd=ROOT,
            )  # fmt: skip

    async def end(self, worker: Worker) -> None:
        await worker.kill()
        self.killed_at[f"{worker.name}/{worker.run}"] = time.monotonic()

    async def holder(self) -> tuple[Worker, int, int] | None:
        """A worker that is not paused and holds a task: with the task and its fence. None if there is none."""
        open_ = [message for message in self.tasks if message not in self.over]
        for message in self.random.sample(open_[:WINDOW], len(open_[:WINDOW])):
            work = (await self.read(message))["work"]
            if work["state"] in OVER:
                self.over.add(message)
            for worker in self.workers:
                if is_held(work, worker.name) and not worker.is_paused:
                    return worker, message, work["fence"]
        return None

    async def read(self, message: int) -> Frame:
        """The task as the relay has it now. It is said again until there is an answer."""
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    frame = await self.manager.say("read", message, 0)
                except ConnectionError:
                    continue
                item: Frame = frame["item"]
                return item

    # -- faults ------------------------------------------------------------------------------------------------------

    async def trouble(self) -> None:
        """One fault after the other until the time is over and each has met something; a pause goes on beside them."""
        ends_at = time.monotonic() + self.seconds
        async with asyncio.timeout(self.seconds + FIRE_S), asyncio.TaskGroup() as group:
            while time.monotonic() < ends_at or (self.until_all_fired and not self.fired.keys() >= FAULTS):
                for name in self.random.sample(list(self.faults), len(self.faults)):
                    await asyncio.sleep(self.random.uniform(*GAP_S))
                    if name == "pause":
                        group.create_task(self.pause())
                    else:
                        await self.faults[name]()

    async def pause(self) -> None:
        """SIGSTOP until what it holds is lost, and it does not know. A restart of the daemon makes that last longer."""
        found = await self.holder()
        if found is None:
            return
        worker, message, fence = found
        worker.is_paused = True
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(SILENCE_S):
                work = (await self.read(message))["work"]
                if work["fence"] != fence or not is_held(work, worker.name):
                    return  # it had just given it back
                while work["fence"] == fence and is_held(work, worker.name):
                    await asyncio.sleep(LOOK_S)
                    work = (await self.read(message))["work"]
            self.fire("pause that cost a claim")
            await asyncio.sleep(self.random.uniform(0.0, 0.5))
        finally:
            os.kill(worker.pid, signal.SIGCONT)
            worker.is_paused = False

    async def kill(self) -> None:
        """SIGKILL, and its next run at once."""
        found = await self.holder()
        if found is not None:
            worker, _, _ = found
            worker.is_paused = True
            await self.end(worker)
            await self.start(worker)
            worker.is_paused = False
            self.fire("kill of a holder")

    async def cut(self) -> None:
        if self.random.choice(self.workers).proxy.cut():
            self.fire("cut of a connection")

    async def mute(self) -> None:
        """What the relay says next to a worker is lost."""
        proxy = self.random.choice(self.workers).proxy
        proxy.mute(lambda: self.fire("answer that was lost"))

    async def restart(self) -> None:
        """SIGKILL of the daemon, and the next one."""
        is_held = await self.holder() is not None
        await asyncio.to_thread(self.daemon.kill)
        self.died_at.append(time.monotonic())
        await asyncio.to_thread(self.daemon.start)
        if is_held:
            self.fire("restart with claims held")

    async def overrule(self) -> None:
        """The manager cancels something that is held, and kicks something that is buried."""
        found = await self.holder()
        if found is not None:
            await self.say("cancel", found[1])
        for message in self.over - self.kicked:
            if (await self.read(message))["work"]["state"] == "buried":
                self.kicked.add(message)
                await self.say("kick", message)
                return

    async def say(self, op: str, message: int) -> None:
        """A word of the manager. If the relay is killed over it, it stays without an answer."""
        with contextlib.suppress(ConnectionError):
            await self.manager.say(op, message, 0)

    def fire(self, fault: str) -> None:
        """It met something."""
        self.fired[fault] += 1

    # -- the end -----------------------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Whatever is open becomes free, since nobody renews it any more; the manager does it, and reads the ledger."""
        async with asyncio.timeout(DRAIN_S):
            await asyncio.gather(*map(self.finish_one, self.tasks))
        for message in self.tasks:
            await self.read(message)

    async def finish_one(self, message: int) -> None:
        """It waits as long as the relay says. What is parked goes on by itself; what is delayed is canceled."""
        while True:
            with contextlib.suppress(ConnectionError):  # that of a daemon that was killed: it is said again
                frame = await self.manager.say("claim", message, 0, lease_s=60)
                if frame["op"] == "ok":
                    frame = await self.manager.say("complete", message, frame["fence"])
                elif frame["detail"]["state"] == "delayed":
                    frame = await self.manager.say("cancel", message, 0)
                if frame["op"] == "ok" or frame["detail"]["state"] in OVER:
                    return
                await asyncio.sleep(frame["detail"].get("lease_left_s", LOOK_S) + 0.01)

    def count_resent(self) -> None:
        """How often the client library may have said each word again: as often as it connected meanwhile."""
        accepted = {worker.name: worker.proxy.accepted_at for worker in self.workers}
        for said in self.words:
            if said.connection == LIBRARY:
                end = min(said.returned_at, self.killed_at[said.instance])
                said.resent = sum(said.invoked_at <= at <= end for at in accepted[said.agent])

    def judge(self, all_histories: list[History]) -> list[Told]:
        """An order for each task. Raises NotLinearizable for the first that has none."""
        told = [check(history) for history in all_histories]
        self.fired["lease that ended in silence"] = sum(story.count("expire") for story in told)
        self.fired["word that was said again"] = sum(said.resent for said in self.words)
        for history in all_histories:
            for op in history.operations:
                self.fired["word without an answer"] += op.answer is None
                if op.answer is not None:
                    self.fired[f"{op.op}: {op.answer.code or 'ok'}"] += 1
        return told


def is_held(work: Frame, agent: str) -> bool:
    """By this agent, as the relay has it."""
    return work["state"] in HELD and work["holder"] == agent
