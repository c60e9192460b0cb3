"""The workloads, each written once for all peers: what one client process does, and what it counts.

one          one send after another, each awaits its ok
in-flight    100 senders at once, each awaits its ok before its next send
end-to-end   100 senders at once and one consumer that acks every message; the clock stops at the last confirmed ack

Rules
- Time-boxed: a warm-up that is not counted, then a window. Rates are counted work over the time that really passed.
- A latency is from just before the call to just after its return, in the process that waits for it.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import msgspec

from .links.link import Link
from .processes import processor_seconds

BODY_BYTES: Final = 100
IN_FLIGHT: Final = 100
WORKLOADS: Final = {
    "one": "one at a time",
    "in-flight": f"{IN_FLIGHT} in flight",
    "end-to-end": "end to end, acked",
}
"""Each workload's name on the command line and in the results, and its title in the table."""


Result = TypeVar("Result")


class Round(msgspec.Struct, omit_defaults=True):
    """What one client process measured in one window.

    rate: messages a second. p50_ms, p99_ms: of single sends (one, in-flight). drain_s: from the last send's ok until
    every ack was confirmed (end-to-end). *_us: processor time a message, of all threads; absent where it is unknown.
    """

    messages: int
    seconds: float
    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    drain_s: float | None = None
    client_us: float | None = None
    daemon_us: float | None = None


class Clock:
    """Wall and processor time since it was made: of this process and of the daemon."""

    def __init__(self, daemon_pid: int | None) -> None:
        self._daemon_pid = daemon_pid
        self._daemon_s = processor_seconds(daemon_pid) if daemon_pid is not None else None
        self._client_s = time.process_time()
        self._start_s = time.perf_counter()

    def read(self, messages: int) -> Round:
        """A Round of this many messages that ends now."""
        seconds = time.perf_counter() - self._start_s
        client_s = time.process_time() - self._client_s
        measured = Round(messages, seconds, messages / seconds)
        if messages:
            measured.client_us = client_s / messages * 1e6
            daemon_s = processor_seconds(self._daemon_pid) if self._daemon_pid is not None else None
            if daemon_s is not None and self._daemon_s is not None:
                measured.daemon_us = (daemon_s - self._daemon_s) / messages * 1e6
        return measured


async def run(name: str, link: Link, warmup_s: float, window_s: float, daemon_pid: int | None) -> Round:
    """One round of the workload called `name`."""
    match name:
        case "one":
            return await sends(link, 1, warmup_s, window_s, daemon_pid)
        case "in-flight":
            return await sends(link, IN_FLIGHT, warmup_s, window_s, daemon_pid)
        case "end-to-end":
            return await end_to_end(link, warmup_s, window_s, daemon_pid)
    raise ValueError(f"workload is {name!r}; the workloads are {', '.join(WORKLOADS)}")


async def sends(link: Link, senders: int, warmup_s: float, window_s: float, daemon_pid: int | None) -> Round:
    """`senders` at once; counts the sends that were answered within the window."""
    latencies: list[float] = []
    stopped = False

    async def sender() -> None:
        while not stopped:
            before = time.perf_counter()
            await link.send()
            latencies.append(time.perf_counter() - before)

    async with asyncio.TaskGroup() as group:
        for _ in range(senders):
            group.create_task(sender())
        await asyncio.sleep(warmup_s)
        latencies.clear()
        clock = Clock(daemon_pid)
        await asyncio.sleep(window_s)
        measured = clock.read(len(latencies))
        in_window = latencies.copy()
        stopped = True
    if len(in_window) >= 2:
        percentiles = statistics.quantiles(in_window, n=100, method="inclusive")
        measured.p50_ms, measured.p99_ms = percentiles[49] * 1e3, percentiles[98] * 1e3
    return measured


async def end_to_end(link: Link, warmup_s: float, window_s: float, daemon_pid: int | None) -> Round:
    """Sends for `window_s`, then waits until all was received and every ack confirmed; counts over all that time."""
    flow = _Flow(link)
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Event()
        consumer = group.create_task(link.consume(flow.on_message, ready))
        await ready.wait()
        await flow.send_for(warmup_s)
        await flow.drained()
        before = flow.sent
        clock = Clock(daemon_pid)
        await flow.send_for(window_s)
        drain_started = time.perf_counter()
        await flow.drained()
        measured = clock.read(flow.sent - before)
        measured.drain_s = time.perf_counter() - drain_started
        consumer.cancel()
    if flow.received != flow.sent:
        raise RuntimeError(f"{flow.sent} messages were sent and {flow.received} received: the round has no number")
    return measured


class _Flow:
    """The counters that producer and consumer of one process share."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.sent = 0
        self.received = 0
        self._all_sent = False
        self._all_received = asyncio.Event()

    def on_message(self) -> None:
        self.received += 1
        if self._all_sent and self.received >= self.sent:
            self._all_received.set()

    async def send_for(self, seconds: float) -> None:
        """IN_FLIGHT senders at once until the time is over."""
        self._all_sent = False
        self._all_received.clear()
        deadline = time.perf_counter() + seconds
        await asyncio.gather(*(self._send_until(deadline) for _ in range(IN_FLIGHT)))
        self._all_sent = True
        if self.received >= self.sent:
            self._all_received.set()

    async def _send_until(self, deadline: float) -> None:
        while time.perf_counter() < deadline:
            await self._link.send()
            self.sent += 1

    async def drained(self) -> None:
        await self._all_received.wait()
        await self._link.confirm()


def run_on_loop(work: Callable[[], Coroutine[Any, Any, Result]], use_uvloop: bool) -> Result:
    """Runs `work` on uvloop, or on asyncio's own loop where uvloop is not installed."""
    if use_uvloop:
        import uvloop

        return uvloop.run(work())
    return asyncio.run(work())
