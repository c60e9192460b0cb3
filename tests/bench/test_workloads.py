"""The workloads, on a peer that lives in this process."""

import asyncio
from collections.abc import Callable

import pytest

from bench import workloads

WINDOW_S = 0.05


class Fake:
    """A peer whose ok takes one round of the loop. Counts how many sends were open at once."""

    def __init__(self) -> None:
        self.open_now = self.open_most = self.sent = self.confirmed = 0
        self._queue: asyncio.Queue[None] = asyncio.Queue()

    async def open(self, url: str, body: bytes) -> None:
        raise AssertionError("the worker opens a link, a workload only uses it")

    async def send(self) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        await asyncio.sleep(0)
        self.open_now -= 1
        self.sent += 1
        self._queue.put_nowait(None)

    async def consume(self, on_message: Callable[[], None], ready: asyncio.Event) -> None:
        ready.set()
        while True:
            await self._queue.get()
            on_message()

    async def confirm(self) -> None:
        self.confirmed += 1

    async def close(self) -> None:
        raise AssertionError("the worker closes a link")


class Refusing(Fake):
    async def send(self) -> None:
        raise ConnectionError("refused")


async def test_one_at_a_time_never_has_two_open() -> None:
    fake = Fake()
    measured = await workloads.run("one", fake, 0.0, WINDOW_S, None)
    assert fake.open_most == 1
    assert 0 < measured.messages <= fake.sent
    assert measured.rate == pytest.approx(measured.messages / measured.seconds)
    assert measured.p50_ms is not None
    assert measured.p99_ms is not None
    assert 0 < measured.p50_ms <= measured.p99_ms


async def test_in_flight_has_a_hundred_open() -> None:
    fake = Fake()
    await workloads.run("in-flight", fake, 0.0, WINDOW_S, None)
    assert fake.open_most == workloads.IN_FLIGHT


async def test_the_warm_up_is_not_counted() -> None:
    fake = Fake()
    measured = await workloads.run("one", fake, WINDOW_S, WINDOW_S, None)
    assert measured.messages < fake.sent


async def test_end_to_end_counts_what_was_sent_received_and_confirmed() -> None:
    fake = Fake()
    measured = await workloads.run("end-to-end", fake, 0.0, WINDOW_S, None)
    assert 0 < measured.messages <= fake.sent
    assert fake.confirmed == 2, "after the warm-up and after the window"
    assert measured.drain_s is not None


@pytest.mark.parametrize("name", ["one", "in-flight", "end-to-end"])
async def test_a_refused_send_fails_the_round(name: str) -> None:
    with pytest.raises((ConnectionError, ExceptionGroup)) as caught:
        await workloads.run(name, Refusing(), 0.0, WINDOW_S, None)
    assert "refused" in repr(caught.value)


async def test_an_unknown_workload_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'two'; the workloads are one, in-flight, end-to-end"):
        await workloads.run("two", Fake(), 0.0, WINDOW_S, None)
