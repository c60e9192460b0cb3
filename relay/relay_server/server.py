"""The daemon: the turn, the one timer, start and stop.

    bytes -> WebSocket -> codec -> broker (commands) -> store (one transaction) -> post (outcomes) -> WebSocket -> bytes

The turn. Whatever arrives while the store commits is the next turn: group commit without a timer, and no added latency
when idle. Nothing is said before its rows are on disk. One task runs the turns, one asks the reading connection, and
that is all the tasks there are; connections are plain protocol objects.

The end. If the store can't say what is on disk, nothing more is answered and the process ends with EXIT_STORE: clients
have no `ok`, so they send again, with the same keys, to the one that comes back.
"""

import asyncio
import itertools
import secrets
import socket
import time
from typing import Final

import structlog
import uvicorn

from relay_proto import frames as wire
from relay_proto.codec import join_frames
from relay_proto.errors import CloseCode

from . import answers, post
from .broker import Broker
from .clock import Clock
from .config import Config
from .deadlines import Deadlines
from .doorkeeper import Doorkeeper
from .exits import EXIT_FAULT, EXIT_OK, EXIT_STORE
from .front import make_front
from .http.callers import Callers
from .http.calls import make_courier
from .http.streams import Streams
from .integrations import Integrations, listeners
from .keeping.keeper import Keeper
from .metrics import Metrics
from .notify import Notifier, Watchdog
from .session import Session
from .store import interface as ask
from .store.sqlite import SQLiteStore
from .websocket import WebSocket, binary_message

TURN_WEIGHT_MAX: Final = 2048
"""What one turn decides, in sends to one recipient: about 30 ms of the store's time."""
BACKLOG_COMMANDS_MAX: Final = 4096
"""Commands waiting for a turn at which whoever sends more is not read until the next turn has begun."""
BACKLOG_QUESTIONS_MAX: Final = 256
"""Questions waiting at which whoever asks more is not read."""
BACKLOG_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes read for turns that have not begun, at which whoever sends more is not read."""
CLOCK_S: Final = 60.0
"""How often the machine's clock is compared with the relay's own."""
LOOK_UPS_MAX: Final = 4
"""Questions answered before the answers are written: each may be as large as a message."""


class Relay:
    """One daemon. `await run()` serves until `stop()` is called and gives the exit status."""

    def __init__(self, config: Config, store: ask.Store | None = None, notifier: Notifier | None = None) -> None:
        self.config = config
        self.notifier = notifier if notifier is not None else Notifier()
        self.watchdog = Watchdog(self.notifier, self.now)
        self.store: ask.Store = store if store is not None else _own_store(config)
        self.log = structlog.get_logger("relay")
        self.deadlines = Deadlines()
        self.clock = Clock()
        self.doorkeeper = Doorkeeper(config.token, asks=config.ask_token)
        self.broker = Broker(self.deadlines, self.doorkeeper, config.quotas, config.times)
        self.broker.pairs.grace_s = config.pair_grace_s
        for one in config.integrations:
            self.doorkeeper.add_integration(one.name, one.token, one.scopes, one.targets, one.channels)
        self.integrations = Integrations(config.integrations, config.integration_rate)
        self.broker.integrations = frozenset(self.integrations.configured)
        self.broker.courier = self.courier = make_courier(self)
        self.callers = Callers(self)
        self.websockets: set[WebSocket] = set()
        self.ready = False
        self.stopping = False
        self.port = config.port
        self._loop: asyncio.AbstractEventLoop
        self._names = itertools.count(1)
        self._run_id = self.broker.feed.run = secrets.token_hex(3)
        self.streams = Streams(self)
        self.keeper = Keeper(self.store)
        self.metrics = Metrics(self)
        self._work = asyncio.Event()
        self._asked = asyncio.Event()
        self._questions: list[ask.Question] = []
        self._stop = asyncio.Event()
        self._all_gone = asyncio.Event()
        self._exit = EXIT_OK
        self._throttled: list[WebSocket] = []
        self._backlog_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._flushing = False
        self._last_single: tuple[bytes, bytes] = (b"", b"")

    # -- what connections need ---------------------------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds: the time of leases, timeouts and presence."""
        return self._loop.time()

    def next_session_name(self) -> str:
        """A name for a connection, unlike any of this or another run."""
        return f"{self._run_id}-{next(self._names)}"

    def single(self, frame: bytes) -> bytes:
        """One frame as a whole WebSocket message. A broadcast asks for the same frame again and again."""
        last, message = self._last_single
        if last is not frame:
            message = binary_message(join_frames((frame,)))
            self._last_single = (frame, message)
        return message

    def wake(self) -> None:
        """Something was received, lost or put off: see to it in this round of the loop."""
        broker = self.broker
        if broker.commands or broker.questions:
            self._work.set()
        if broker.speaking and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        self._keep_time()

    def wake_turns(self) -> None:
        """Look whether there is a turn to take, or none any more."""
        self._work.set()

    def gone(self, websocket: WebSocket) -> None:
        """A connection has ended, for whatever reason."""
        self.websockets.discard(websocket)
        if self.stopping and not self.websockets:
            self._all_gone.set()

    @property
    def questions_waiting(self) -> int:
        """Questions that were not looked up yet."""
        return len(self.broker.questions) + len(self._questions)

    def throttle(self, websocket: WebSocket, size: int) -> None:
        """Stop reading from who brings more than the next turns can take."""
        broker = self.broker
        if not (broker.commands or broker.questions or self._questions):
            self._backlog_bytes = 0  # it asked for nothing that has to wait
            return
        self._backlog_bytes += size
        if self._is_behind():
            websocket.pause_reading()
            self._throttled.append(websocket)

    def _is_behind(self) -> bool:
        return (
            len(self.broker.commands) > BACKLOG_COMMANDS_MAX
            or self.questions_waiting > BACKLOG_QUESTIONS_MAX
            or self._backlog_bytes > BACKLOG_BYTES_MAX
        )

    def ask_again(self, session: Session) -> None:
        """The peer has read what it was told: now the questions that had to wait for that."""
        if session.parked:
            self._questions += session.parked
            session.parked = []
            self._asked.set()

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self._stop.set()

    # -- the turn ----------------------------------------------------------------------------------------------------

    async def _turns(self) -> None:
        """Runs until it is told to stop and nothing is left to decide."""
        broker = self.broker
        while not (self.stopping and not broker.commands and self.callers.is_idle):
            await self._work.wait()
            self._work.clear()
            while broker.commands or broker.questions:
                await self._turn(*broker.take(TURN_WEIGHT_MAX))

    async def _turn(self, commands: list[ask.Command], questions: list[ask.Question]) -> None:
        self._read_on()
        if commands:
            now_ms, began = self.clock.now_ms(), time.perf_counter()
            self.watchdog.begin("turn")
            outcomes = await self.store.commit(commands, now_ms)
            self.watchdog.end("turn")
            committed = time.perf_counter()
            post.settle(self.broker, commands, outcomes, self.now(), now_ms)
            self.metrics.turn(commands, outcomes, committed - began, time.perf_counter() - committed)
            self._flush()
            self.wake()
            self._read_on()
        if questions:
            self._questions += questions
            self._asked.set()

    def _read_on(self) -> None:
        if not self.broker.commands:
            self._backlog_bytes = 0
        if self._throttled and not self._is_behind():
            throttled, self._throttled = self._throttled, []
            for websocket in throttled:
                websocket.resume_reading()

    async def _look_ups(self) -> None:
        """Questions, each after the turn it came with."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._questions:
                lot, self._questions = self._questions[:LOOK_UPS_MAX], self._questions[LOOK_UPS_MAX:]
                await self._look_up(lot)
                self._read_on()

    async def _look_up(self, lot: list[ask.Question]) -> None:
        """A few at a time: an answer may be as large as a message, and a peer that does not read gets no more."""
        questions: list[ask.Question] = []
        self.watchdog.begin("look-up")
        for question in lot:
            if not question.origin.writable:
                question.origin.parked.append(question)
            elif isinstance(question, ask.AgentsPage):
                answers.list_agents(self.broker, question, self.now())
            elif isinstance(question, ask.OverviewCounts):
                await self.metrics.answer(question)
            else:
                questions.append(question)
        if questions:
            found = await self.store.look_up(questions, self.clock.now_ms())
            answers.answer(self.broker, questions, found, self.now())
        self.watchdog.end("look-up")
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        speaking, self.broker.speaking = self.broker.speaking, []
        for session in speaking:
            if session.frames or session.close is not None:
                session.wire.flush()
        self._keep_time()

    # -- the timer ---------------------------------------------------------------------------------------------------

    def _keep_time(self) -> None:
        """Arm the one timer for the next deadline, if that is sooner than what it is armed for."""
        when = self.deadlines.next_deadline()
        if when is None or when >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self.deadlines.run(self.now())
        self.wake()

    def _compare_clocks(self, nothing: None, now: float) -> float:
        if (away_ms := self.clock.jumped_ms()) is not None:
            self.log.warning(
                "the machine's clock has jumped; times go on as before until the relay is started again",
                away_s=round(away_ms / 1000, 1),
            )
        return now + CLOCK_S

    # -- start and stop ----------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Serve until stop() or a fault. Raises StoreRefused when the store can't be opened, OSError for the port."""
        self._loop = asyncio.get_running_loop()
        listener = self._listen()  # first: a port that is taken must leave no folder behind
        self.notifier.say("STATUS=opening the store")
        try:
            snapshot = await self.store.open()
        except BaseException:
            listener.close()
            raise
        self.deadlines.add(self.now() + CLOCK_S, self._compare_clocks, None)
        self.broker.start(snapshot, self.now(), self.clock.now_ms())
        self.keeper.start()
        self.broker.glance.begin(self.now(), self.store.newest)
        if not self.doorkeeper.can_let_in():
            self.log.warning(
                "nobody can come in: tokens are asked for and there is none; start it once with --token (or on "
                "loopback without --ask-token), and make one with relay token create"
            )
        front = make_front(self)
        await front.startup(sockets=[listener])
        self.ready = True
        self.log.info(
            "listening",
            url=f"http://{self.config.host}:{self.port}",
            websocket=f"ws://{self.config.host}:{self.port}/ws",
            data=str(self.config.data),
            agents=len(snapshot.agents),
        )
        turns = self._loop.create_task(self._turns(), name="turns")
        others = [self._loop.create_task(self._look_ups(), name="look-ups")]
        if self.courier is not None:
            others.append(self._loop.create_task(self.courier.run(), name="courier"))
        for task in (turns, *others):
            task.add_done_callback(self._on_task_done)
        if self.watchdog.first_s is not None:
            self.deadlines.add(self.now() + self.watchdog.first_s, self.watchdog.tell, None)
        self.notifier.say("READY=1", f"STATUS=listening at http://{self.config.host}:{self.port}")
        self.wake()
        await self._stop.wait()
        self.notifier.say("STOPPING=1", "STATUS=stopping")
        self.ready = False
        self.stopping = True
        self.streams.close()
        self.keeper.close()
        if self._exit == EXIT_OK:
            try:
                await self._say_goodbye(front, turns)
            except ask.StoreFailed as exc:
                self._fail(exc)
        for websocket in list(self.websockets):
            websocket.abort()
        for task in (turns, *others):
            task.cancel()
        await asyncio.wait({turns, *others})
        if self._timer is not None:
            self._timer.cancel()
        await front.shutdown(sockets=[listener])
        if self._exit != EXIT_STORE:
            await self.store.close()
        self.notifier.close()
        self.log.info("stopped", status=self._exit)
        return self._exit

    async def _say_goodbye(self, front: uvicorn.Server, turns: "asyncio.Task[None]") -> None:
        """No new connections, finish what is under way, tell every session, note what it leaves unacked, close."""
        deadline = self.now() + self.config.stop_s
        for server in front.servers:
            server.close()
        self.broker.arrivals.came(list(self.broker.arrivals.waiting))  # who waits for mail goes home with what there is
        self._work.set()
        await asyncio.wait({turns}, timeout=max(0.0, deadline - self.now()))
        for websocket in list(self.websockets):
            session = websocket.session
            assert session is not None
            session.say(wire.Bye(code="going_away", message="the relay is stopping; connect again"))
            session.close = session.close or (CloseCode.RESTART, "going_away")
            websocket.flush()
            self.broker.lost(session)
        while turns.done() and turns.exception() is None and self.broker.commands:
            await self._turn(*self.broker.take(TURN_WEIGHT_MAX))
        self.callers.close()
        if self.websockets:
            gone = self._loop.create_task(self._all_gone.wait(), name="goodbye")
            await asyncio.wait({gone}, timeout=max(0.0, deadline - self.now()) / 2)
            gone.cancel()

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        """A task that ends by itself ended in a fault: stop answering."""
        if task.cancelled() or task.exception() is None:
            return
        self._fail(task.exception())

    def _fail(self, exc: BaseException | None) -> None:
        """End with the status that says why."""
        if isinstance(exc, ask.StoreFailed):
            self._exit = EXIT_STORE
            self.log.critical("the store failed; what is not answered is unknown. Ending.", error=str(exc))
        else:
            self._exit = EXIT_FAULT
            self.log.critical("a fault of the relay's own. Ending.", exc_info=exc)
        self._stop.set()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        listener = socket.create_server((self.config.host, self.config.port), family=family, backlog=4096)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        return listener


def _own_store(config: Config) -> SQLiteStore:
    return SQLiteStore(config.data, listeners(config.integrations), config.database)
