"""GET /api/events over real HTTP: what is heard, by whom, what is missed and said to be, and when a stream ends."""

import asyncio
import re
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from relay_server.http import events as events_module
from tests.daemon import Daemon
from tests.http.ear import Ear, Heard, listen
from tests.peer import Peer


async def send(peer: Peer, to: str, **fields: Any) -> int:
    return int((await peer.request("send", to=to, **({"body": "x"} | fields)))["message"])


def in_short(heard: list[Heard]) -> list[str]:
    return [f"{one.kind} {one.data['id']}" for one in heard]


async def test_a_stream_is_one_of_server_sent_events_that_no_cache_keeps(daemon: Daemon) -> None:
    async with listen(daemon.url) as ear:
        assert ear.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert ear.response.headers["cache-control"] == "no-store"
        assert ear.response.headers["x-accel-buffering"] == "no"
        assert ear.retry_ms == 2000
        assert re.fullmatch(r"[0-9a-f]{6}-\d+", ear.id)
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        head = await client.head("/api/events")
        assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


async def test_what_happens_is_heard_in_order(daemon: Daemon) -> None:
    async with listen(daemon.url) as ear, await Peer.join(daemon.url, "ada") as ada:
        async with await Peer.join(daemon.url, "bob") as bob:
            message = await send(ada, "bob", claimable=True, body="line\nline: \u2028\x85 ü", subject="s")
            await bob.request("claim", message=message)
            await bob.request("complete", message=message, fence=1, result="ok")
            heard = await ear.some(7)
        assert in_short(heard) == [
            "agent.status ada", "agent.status bob", "message.new 1", "task.ready 1", "message.claimed 1",
            "task.claimed 1", "task.done 1",
        ]  # fmt: skip
        numbers = [int(one.id.rpartition("-")[2]) for one in heard]
        assert numbers == list(range(numbers[0], numbers[0] + 7))
        status, new, ready, claimed, done = (heard[place].data for place in (0, 2, 3, 4, 6))
        assert (ready["status"], ready["state"], ready["event"]) == ("open", "ready", "submit")
        assert (status["status"], status["epoch"]) == ("online", 1)
        assert (new["from"], new["to"], new["body"], new["subject"]) == ("ada", "bob", "line\nline: \u2028\x85 ü", "s")
        assert new["claimable"] is True
        assert abs(new["createdAt"] - time.time() * 1000) < 60_000
        assert (claimed["claimedBy"], claimed["fence"]) == ("bob", 1)
        assert (done["status"], done["state"], done["agentId"], done["fence"]) == ("done", "done", "bob", 1)


async def test_a_message_is_heard_as_it_is_read(daemon: Daemon) -> None:
    """The data of message.new is what GET /api/messages/ID answers, as far as both know."""
    async with listen(daemon.url) as ear, await Peer.join(daemon.url, "ada") as ada:
        first = await send(ada, "ada")
        await send(ada, "ada", reply_to=first, channel="ops", payload='{"a":[1,{"b":null}]}', priority=7, ttl_s=60)
        heard = [(await ear.until("message.new")).data for _ in range(2)]
        async with httpx.AsyncClient(base_url=daemon.url) as client:
            read = [(await client.get(f"/api/messages/{data['id']}")).json() for data in heard]
    assert heard[1]["payload"] == {"a": [1, {"b": None}]}
    for one, other in zip(heard, read, strict=True):
        assert one.items() <= other.items()


async def test_who_listens_for_an_agent_hears_nothing_of_others(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "ada") as ada,
        await Peer.join(daemon.url, "bob") as bob,
        await Peer.join(daemon.url, "carl", caps=["x"]) as carl,
        listen(daemon.url, for_="bob") as ear,
    ):
        await send(ada, "carl", body="private")
        work = await send(ada, "cap:x", claimable=True)
        await carl.request("claim", message=work)
        await carl.request("progress", message=work, fence=1, note="private")
        await carl.request("complete", message=work, fence=1)
        hidden = await send(ada, "carl", body="private")
        await ada.request("withdraw", message=hidden)
        own = [await send(bob, "carl"), await send(ada, "bob"), await send(ada, "broadcast")]
        assert in_short(await ear.some(3)) == [f"message.new {message}" for message in own]
        await ada.request("withdraw", message=own[1])
        assert in_short(await ear.some(1)) == [f"message.deleted {own[1]}"]
        await carl.request("heartbeat", status="busy")
        assert in_short(await ear.some(1)) == ["agent.status carl"]


async def test_last_event_id_resumes_where_the_stream_broke_off(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "ada") as ada:
        async with listen(daemon.url) as ear:
            await send(ada, "ada")
            last = (await ear.until("message.new")).id
        await send(ada, "ada")
        await send(ada, "bob", hold=True)
        async with listen(daemon.url, after=last) as ear:
            assert in_short(await ear.some(2)) == ["message.new 2", "message.new 3"]
        async with listen(daemon.url, lastEventId=last) as ear:
            assert in_short(await ear.some(2)) == ["message.new 2", "message.new 3"]
        async with listen(daemon.url, after=last, for_="bob") as ear:
            assert in_short(await ear.some(1)) == ["message.new 3"]


async def test_a_restart_is_a_gap(daemon: Daemon) -> None:
    async with listen(daemon.url) as ear:
        before = ear.id
    daemon.stop()
    daemon.start()
    async with listen(daemon.url, after=before) as ear:
        gap = await ear.next()
        assert (gap.kind, gap.data["from"]) == ("gap", before)
        assert gap.data["to"] == gap.id
        last = gap.id
        async with await Peer.join(daemon.url, "ada"):
            assert in_short([await ear.next()]) == ["agent.status ada"]
    async with listen(daemon.url, after=last) as ear:
        assert in_short([await ear.next()]) == ["agent.status ada"], "resumed, without another gap"


@pytest.mark.parametrize("after", ["nonsense", "🦀", "x" * 128, "0-0\r"])
async def test_an_id_that_is_none_of_ours_is_a_gap(daemon: Daemon, after: str) -> None:
    async with listen(daemon.url, lastEventId=after) as ear:
        gap = await ear.next()
        assert gap.kind == "gap"
        assert set(gap.data) == {"to"} or after == "0-0"


@pytest.mark.parametrize("query", [{"for": "not a name"}, {"for": ""}, {"lastEventId": "x" * 129}])
async def test_a_query_that_is_wrong_is_refused_by_its_field(daemon: Daemon, query: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        answer = await client.get("/api/events", params=query)
    assert (answer.status_code, answer.json()["field"]) == (422, next(iter(query)))


def slow_reader(daemon: Daemon) -> socket.socket:
    """A listener that asks and never reads, with as small a buffer as the kernel gives."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", daemon.port))
    reader.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return reader


def resident_kib(daemon: Daemon) -> int:
    with open(f"/proc/{daemon.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


async def test_readers_that_do_not_read_cost_no_memory_and_hear_of_the_gap(daemon: Daemon) -> None:
    readers = [slow_reader(daemon) for _ in range(20)]
    body = "x" * 200_000
    async with await Peer.join(daemon.url, "ada") as ada, listen(daemon.url) as ear:

        async def flood(count: int) -> None:
            for _ in range(count):
                message = await send(ada, "ada", body=body)
                await ada.request("ack", messages=[message])
                ada.inbox.clear()
                await ear.until("message.new")

        await flood(100)
        before = resident_kib(daemon)
        await flood(200)
        grown = resident_kib(daemon) - before
        assert grown < 16 * 1024, f"{grown} KiB for 40 MB that twenty readers were told"
    text = await asyncio.to_thread(_read_until, readers[0], b"message.new", b"event: gap")
    assert b"event: gap" in text
    for reader in readers:
        reader.close()


def _read_until(reader: socket.socket, *wanted: bytes) -> bytes:
    reader.settimeout(10)
    text = b""
    while not all(part in text for part in wanted):
        data = reader.recv(1 << 20)
        assert data, "the stream ended"
        text += data
    return text


async def test_a_stream_ends_in_order_when_the_relay_stops(daemon: Daemon) -> None:
    async with listen(daemon.url) as ear:
        began = time.monotonic()
        stopped = asyncio.create_task(asyncio.to_thread(daemon.stop))
        with pytest.raises(EOFError):
            await ear.until("nothing of the kind")
        assert await stopped == 0
        assert time.monotonic() - began < 4


async def test_a_relay_with_a_reader_that_does_not_read_stops_in_time(daemon: Daemon) -> None:
    reader = slow_reader(daemon)
    async with await Peer.join(daemon.url, "ada") as ada:
        for _ in range(40):
            await send(ada, "bob", body="x" * 200_000, hold=True)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 4
    reader.close()


async def test_a_token_needs_the_scope_and_the_stream_ends_with_the_token(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()
    admin = {"Authorization": "Bearer secret-of-the-operator"}
    async with httpx.AsyncClient(base_url=daemon.url) as client:
        assert (await client.get("/api/events")).status_code == 401

        async def token(*scopes: str) -> tuple[int, dict[str, str]]:
            made = (await client.post("/api/tokens", json={"agent": "ada", "scopes": scopes}, headers=admin)).json()
            return made["id"], {"Authorization": f"Bearer {made['token']}"}

        _, without = await token("messages:read")
        refused = await client.get("/api/events", headers=without)
        assert (refused.status_code, refused.json()["scope"]) == (403, "events:read")
        number, given = await token("events:read")
        async with listen(daemon.url, headers=given) as ear:
            await client.delete(f"/api/tokens/{number}", headers=admin)
            began = time.monotonic()
            with pytest.raises(EOFError):
                await ear.next()
            assert time.monotonic() - began < 1
        assert (await client.get("/api/events", headers=given)).status_code == 401


async def test_a_listener_that_goes_is_forgotten(daemon: Daemon) -> None:
    async with httpx.AsyncClient(base_url=daemon.url) as client:

        async def streams() -> float:
            text = (await client.get("/metrics")).text
            return float(re.search(r"^relay_streams (\S+)$", text, re.M).group(1))  # type: ignore[union-attr]

        async with listen(daemon.url), listen(daemon.url, for_="ada"):
            assert await streams() == 2
        reader = slow_reader(daemon)
        reader.close()
        for _ in range(1000):
            if not await streams():
                return
            await asyncio.sleep(0.01)  # when the kernel says so; there is nothing to await
        raise AssertionError("ten seconds later the stream is still counted")


async def heard_of(ear: Ear, count: int) -> list[int]:
    return [(await ear.until("message.new")).data["id"] for _ in range(count)]


async def test_many_listeners_hear_everything_while_much_is_sent(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "ada") as ada:
        ears = [listen(daemon.url) if number % 2 else listen(daemon.url, for_="bob") for number in range(20)]
        async with asyncio.TaskGroup() as group:
            opened = [group.create_task(ear.__aenter__()) for ear in ears]
        heard = [asyncio.create_task(heard_of(task.result(), 300)) for task in opened]
        sent = [await send(ada, "bob", hold=True) for _ in range(300)]
        for task in heard:
            assert await task == sent
        for ear in ears:
            await ear.__aexit__(None, None, None)


def test_there_is_a_limit_of_streams() -> None:
    assert events_module.STREAMS_MAX >= 500
