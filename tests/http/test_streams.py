"""streams.py: pings, readers that stall, the limit of streams and the feed's rest, of a relay in this process."""

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest

from relay_server.http import events, streams
from relay_server.http.streams import Stream
from relay_server.server import Relay
from tests.http.ear import listen
from tests.peer import Peer

PING_S = 0.2
STALL_S = 0.5


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a relay begins: what it waits for is over soon."""
    monkeypatch.setattr(streams, "PING_S", PING_S)
    monkeypatch.setattr(streams, "STALL_S", STALL_S)
    monkeypatch.setattr(streams, "REST_S", 0.1)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what only the kernel or a clock brings about."""
    for _ in range(2000):
        if is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("ten seconds later it is not so")


def url(relay: Relay) -> str:
    return f"http://127.0.0.1:{relay.port}"


async def test_a_stream_with_nothing_to_tell_says_so_and_moves_its_id_on(relay: Relay) -> None:
    loop = asyncio.get_running_loop()
    async with listen(url(relay), for_="ada") as ear:
        began = loop.time()
        relay.broker.feed.put("it", ["bob"], 0, dict)
        relay.broker.feed.put("it", ["bob"], 0, dict)
        loop.call_later(3.5 * PING_S, relay.broker.feed.put, "it", ["ada"], 0, dict)
        assert (await ear.next()).kind == "it"
        assert 2 <= len(ear.comments) <= 4
        assert set(ear.comments) == {"ping"}
        assert loop.time() - began < 1.5
    last = ear.id
    async with listen(url(relay)) as ear:
        assert ear.id == last


async def test_a_stream_that_is_told_enough_is_not_pinged(relay: Relay) -> None:
    async with listen(url(relay)) as ear:
        for _ in range(8):
            relay.broker.feed.put("it", None, 0, dict)
            await ear.next()
            await asyncio.sleep(PING_S / 4)  # the time that the test is about
        assert ear.comments == []


async def slow_reader(relay: Relay, buffer_bytes: int = 4096) -> tuple[socket.socket, Stream]:
    """A listener whose kernel takes so much ahead of it, that has been told hello; and its stream."""
    loop = asyncio.get_running_loop()
    reader = socket.socket()
    reader.setblocking(False)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    await loop.sock_connect(reader, ("127.0.0.1", relay.port))
    await loop.sock_sendall(reader, b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    told = b""
    while b"event: hello" not in told:
        told += await loop.sock_recv(reader, 4096)
    (stream,) = relay.streams.open.values()
    return reader, stream


def put_large(relay: Relay, size: int) -> None:
    relay.broker.feed.put("it", None, size, lambda: "x" * size)


async def test_a_reader_that_takes_nothing_is_cut(relay: Relay) -> None:
    reader, stream = await slow_reader(relay)
    put_large(relay, 8_000_000)
    await until(lambda: stream.is_writing)
    began = asyncio.get_running_loop().time()
    await until(lambda: not relay.streams.open)
    assert asyncio.get_running_loop().time() - began >= STALL_S - PING_S
    reader.close()


async def test_a_slow_reader_that_takes_something_is_not_cut(relay: Relay) -> None:
    reader, stream = await slow_reader(relay, 65536)
    put_large(relay, 8_000_000)
    await until(lambda: stream.is_writing)
    loop = asyncio.get_running_loop()
    began, told = loop.time(), 0
    while told < 8_000_000:
        data = await loop.sock_recv(reader, 50_000)
        assert data, f"cut after {told} bytes"
        told += len(data)
        await asyncio.sleep(STALL_S / 50)  # it is slow
    assert loop.time() - began > 2 * STALL_S, "this test has shown nothing"
    assert relay.streams.open
    reader.close()


async def test_a_stream_that_ends_while_its_reader_takes_nothing_is_cut_at_once(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALL_S", 3600.0)
    reader, stream = await slow_reader(relay)
    put_large(relay, 8_000_000)
    await until(lambda: stream.is_writing)
    relay.streams.close()
    await until(lambda: not relay.streams.open)
    reader.close()


async def test_a_stream_that_was_ended_is_told_nothing_more(relay: Relay) -> None:
    async with listen(url(relay)) as ear:
        relay.streams.close()
        relay.broker.feed.put("it", None, 0, dict)
        with pytest.raises(EOFError):
            await ear.next()


async def test_a_backlog_is_told_to_its_end_without_another_event(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_S", 3600.0)
    async with listen(url(relay)) as ear:
        for _ in range(20):
            put_large(relay, 100_000)
        assert len(await ear.some(20)) == 20


async def test_beyond_the_limit_of_streams_more_are_refused(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS_MAX", 2)
    async with listen(url(relay)), listen(url(relay)), httpx.AsyncClient(base_url=url(relay)) as client:
        answer = await client.get("/api/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 10


async def test_the_feed_rests_a_while_after_the_last_one_went(relay: Relay) -> None:
    feed = relay.broker.feed
    async with listen(url(relay)):
        assert feed.is_on
    await until(lambda: not relay.streams.open)
    assert feed.is_on
    await until(lambda: not feed.is_on)
    async with listen(url(relay)), await Peer.join(url(relay), "ada"):
        assert feed.is_on


async def test_who_hears_much_does_not_keep_the_others_from_their_turn(relay: Relay) -> None:
    """The pump lets each speak in turn: one with a long backlog is told a chunk, like everyone."""
    async with listen(url(relay)) as ear:
        after = ear.id
        for _ in range(3000):
            relay.broker.feed.put("it", ["bob"], 0, lambda: "x" * 1000)
        async with listen(url(relay), after=after), listen(url(relay), for_="ada") as other:
            relay.broker.feed.put("it", ["ada"], 0, dict)
            assert (await other.next()).kind == "it"
