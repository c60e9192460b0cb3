"""Metrics: what the daemon counts of its turns, and what it shows of itself when it is asked (GET /metrics).

Rules
- A turn is counted once, not each message in it. All else is read where it stands when somebody asks.
- No agent, channel or task is a label: how many series there are does not grow with who uses the relay.
- To count the open tasks the store walks through all of them, so that is done once in COUNTS_KEPT_S, whoever asks:
  Prometheus, /api/stats, the `overview` op.
"""

import asyncio
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from relay_proto import frames as wire
from relay_proto.errors import RelayError
from relay_proto.version import __version__

from .overview import overview
from .store import interface as ask

if TYPE_CHECKING:
    from .server import Relay

SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds of what takes time: a commit on a good disk takes 0.0002, one on a busy disk 0.05."""
COMMANDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
COUNTS_KEPT_S: Final = 5.0
"""How old the counts of tasks may be that are shown."""

Family = TypeVar("Family", CounterMetricFamily, GaugeMetricFamily)
Value = TypeVar("Value")

PRESENCES: Final = ("online", "idle", "busy", "stale", "offline")


class Histogram:
    """How many values were up to each bound. Not prometheus-client's: that takes locks, and nobody else is here."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def family(self, name: str, what: str) -> HistogramMetricFamily:
        """As it is shown."""
        names = [*(format(bound, "g") for bound in self.bounds), "+Inf"]
        buckets = list(zip(names, map(float, accumulate(self.counts)), strict=True))
        return HistogramMetricFamily(name, what, buckets=buckets, sum_value=self.sum)


class Counts(Generic[Value]):
    """What the store was asked to count, up to COUNTS_KEPT_S old.

    `count` asks the store. Whoever asks while it is being asked waits for that answer; a refusal is not kept.
    """

    __slots__ = ("_count", "_counting", "_counts", "_kept_until", "_now")

    def __init__(self, count: Callable[[], Coroutine[Any, Any, Value]], now: Callable[[], float]) -> None:
        self._count = count
        self._now = now
        self._counts: Value | None = None
        self._kept_until = float("-inf")
        self._counting: asyncio.Task[Value] | None = None

    async def get(self) -> Value:
        """Raises what `count` raises."""
        if self._counts is not None and self._now() < self._kept_until:
            return self._counts
        if self._counting is None:
            self._counting = asyncio.create_task(self._count())
            self._counting.add_done_callback(self._counted)
        return await asyncio.shield(self._counting)  # the one who asked first may go; the others still wait

    def _counted(self, counting: "asyncio.Task[Value]") -> None:
        self._counting = None
        if not counting.cancelled() and counting.exception() is None:
            self._counts, self._kept_until = counting.result(), self._now() + COUNTS_KEPT_S


class Metrics(Collector):
    """The figures of one relay."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(namespace="relay", registry=self.registry)
        self.facts = Counts(self._count, relay.now)
        self.decided: Counter[type] = Counter()
        """Outcomes by their type."""
        self.answered: Counter[tuple[str, str, int]] = Counter()
        """HTTP requests by method, the path of their row, and status."""
        self.turn_commands = Histogram(COMMANDS)
        self.commit_s = Histogram(SECONDS)
        self.settle_s = Histogram(SECONDS)

    def turn(
        self, commands: Sequence[ask.Command], outcomes: Sequence[ask.Outcome], commit_s: float, settle_s: float
    ) -> None:
        """A turn is over: what the store decided, how long that took, and how long saying it took."""
        self.relay.broker.glance.tally.turn(commands, outcomes)
        self.decided.update(map(type, outcomes))
        self.turn_commands.add(len(outcomes))
        self.commit_s.add(commit_s)
        self.settle_s.add(settle_s)

    async def overview(self) -> wire.Overview:
        """How the relay is, with one entry of each list. Raises RelayError when the store can't be read."""
        answer = await self.relay.callers.look_up(wire.GetOverview(id=0, limit=1))
        return msgspec.convert(answer.item, wire.Overview)

    async def answer(self, question: ask.OverviewCounts) -> None:
        """Answer an `overview`, of what was counted lately. Called by who answers questions, one at a time."""
        broker, relay = self.relay.broker, self.relay
        try:
            facts = await self.facts.get()
        except RelayError as error:
            broker.refuse(question.origin, question.re, error)
        else:
            if not question.origin.lost:
                overview(broker, question, facts, relay.store.newest, relay.now())

    async def _count(self) -> ask.OverviewFacts:
        (found,) = await self.relay.store.look_up(
            [ask.OverviewCounts(None, 0, 0, self.relay.clock.now_ms())], self.relay.clock.now_ms()
        )
        if isinstance(found, RelayError):
            raise found
        assert isinstance(found, ask.OverviewFacts)
        return found

    # -- as they are shown -------------------------------------------------------------------------------------------

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield _labeled(GaugeMetricFamily, "relay_info", "The relay that runs", "version", {__version__: 1})
        yield from self._turns()
        yield from self._desk()
        yield from self._doors()

    def _turns(self) -> Iterator[Metric]:
        outcomes = {kind: count for kind, count in self.decided.items() if not issubclass(kind, RelayError)}
        yield _labeled(
            CounterMetricFamily, "relay_decided", "Commands that the store decided, by what came of them", "outcome",
            {_words(kind.__name__): count for kind, count in outcomes.items()} | {
                "refused": self.decided.total() - sum(outcomes.values())
            },
        )  # fmt: skip
        yield _labeled(
            CounterMetricFamily, "relay_refused", "Frames and requests that the desk or the store refused", "code",
            self.relay.broker.refusals,
        )  # fmt: skip
        yield self.turn_commands.family("relay_turn_commands", "Commands decided in one transaction")
        yield self.commit_s.family("relay_commit_seconds", "From handing a turn to the store until it is on disk")
        yield self.settle_s.family("relay_settle_seconds", "Saying what a turn decided: the loop's time")

    def _desk(self) -> Iterator[Metric]:
        broker, relay = self.relay.broker, self.relay
        sessions = broker.sessions.values()
        now = relay.now()
        there = Counter(agent.presence(now) for agent in broker.directory.agents.values() if not agent.visitor)
        yield _labeled(
            GaugeMetricFamily, "relay_agents", "Agents that are listed, by presence", "status",
            {status: there[status] for status in PRESENCES},
        )  # fmt: skip
        for name, what, value in (
            ("sessions", "Agents that have a session", len(sessions)),
            ("sessions_lagging", "Sessions that are given nothing from memory until they catch up",
             sum(session.lagging and not session.polled for session in sessions)),
            ("unacked", "Deliveries that sessions were given and did not ack",
             sum(len(session.unacked) for session in sessions)),
            ("leases", "Claims whose leases run", len(broker.leases)),
            ("waits", "Blocking asks that nobody answered yet", len(broker.waits)),
            ("long_polls", "Requests that wait for something to come into an inbox", len(broker.arrivals)),
            ("commands_waiting", "Commands that wait for the next turn", len(broker.commands)),
            ("questions_waiting", "Questions that wait to be looked up", relay.questions_waiting),
            ("deadlines", "What waits for its time in memory", len(relay.deadlines)),
        ):  # fmt: skip
            yield GaugeMetricFamily(f"relay_{name}", what, value)

    def _doors(self) -> Iterator[Metric]:
        feed, relay = self.relay.broker.feed, self.relay
        yield GaugeMetricFamily("relay_websockets", "WebSocket connections, registered or not", len(relay.websockets))
        yield GaugeMetricFamily("relay_streams", "Streams of events that are open", len(feed))
        yield CounterMetricFamily("relay_events", "Events that the streams were offered", feed.last)
        yield CounterMetricFamily("relay_event_gaps", "Times that a stream was told of events it missed", feed.gaps)
        requests = CounterMetricFamily("relay_http_requests", "HTTP requests", labels=["method", "path", "status"])
        for (method, path, status), count in self.answered.items():
            requests.add_metric([method, path, str(status)], count)
        yield requests
        sizes = {path.name: path.stat().st_size for path in relay.config.data.glob(f"{relay.config.database}*")}
        yield _labeled(GaugeMetricFamily, "relay_store_bytes", "Size of the store's files", "file", sizes)


def counted(shown: wire.Overview) -> Iterator[Metric]:
    """What only the store knows: how much work there is, what is stuck, and how long messages have waited."""
    tasks = {str(state): count for state, count in shown.tasks.items()}
    yield _labeled(GaugeMetricFamily, "relay_tasks", "Tasks that are not over, and buried ones", "state", tasks)
    oldest_s = max((shown.at - one.since_at for one in shown.oldest), default=0) / 1000
    for name, what, value in (
        ("oldest_unacked_seconds", "How long the oldest message has waited that is due and not dealt with", oldest_s),
        ("inboxes_open", "Inboxes that hold something that is due and not dealt with", shown.inboxes),
        ("tasks_stuck", "Tasks that nothing was heard of for long", shown.stuck_count),
        ("replies_owed", "Replies that are owed", shown.owed),
        ("replies_overdue", "Replies that should be there by now", shown.overdue),
    ):
        yield GaugeMetricFamily(f"relay_{name}", what, value)


def _labeled(kind: Callable[..., Family], name: str, what: str, label: str, values: dict[str, int]) -> Family:
    family = kind(name, what, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _words(name: str) -> str:
    """MessagePut -> message_put."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
