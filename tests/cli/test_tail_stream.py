"""tail_stream.py: what comes over the wire becomes events, and a stream that is lost goes on where it was."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from relay_client import Unreachable
from relay_client.cli.door import Door
from relay_client.cli.tail_stream import LINE_BYTES_MAX, Heard, Parser, Past, Stream, api_url, client
from relay_proto.errors import BadRequest, RelayError, Unauthorized
from tests.daemon import Daemon
from tests.peer import Peer

TEXT = (
    b'retry: 2000\n\nid: a-1\nevent: hello\ndata: {"run":"a"}\n\n: ping\nid: a-2\n\n'
    b'id: a-3\nevent: message.new\ndata: {"body":\ndata: "\xe2\x82\xac"}\n\n'
)
EVENTS = [Heard("hello", {"run": "a"}, "a-1"), Heard("message.new", {"body": "€"}, "a-3")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_events_come_out_however_the_bytes_come_in(size: int) -> None:
    parser = Parser()
    pieces = [TEXT[start : start + size] for start in range(0, len(TEXT), size)]
    assert [heard for piece in pieces for heard in parser.feed(piece)] == EVENTS
    assert parser.id == "a-3"


def test_a_sign_of_life_moves_the_id_on() -> None:
    parser = Parser()
    assert list(parser.feed(b"id: a-1\nevent: x\ndata: {}\n\n: ping\nid: a-9\n\n")) == [Heard("x", {}, "a-1")]
    assert parser.id == "a-9"


@pytest.mark.parametrize("bytes_", [b"data: {\n\n", b"data: \xff\n\n", b"x" * (LINE_BYTES_MAX + 1)])
def test_what_is_no_stream_of_ours_is_said_to_be_none(bytes_: bytes) -> None:
    with pytest.raises(ValueError):
        list(Parser().feed(bytes_))


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("http://localhost:4850", "http://localhost:4850"),
        ("ws://localhost:4850/ws", "http://localhost:4850"),
        ("wss://relay.example", "https://relay.example"),
        ("https://example.com/relay/ws", "https://example.com/relay"),
    ],
)
def test_the_api_is_beside_the_websocket(url: str, api: str) -> None:
    assert api_url(url) == api
    with pytest.raises(BadRequest):
        api_url("relay.example")


def door_of(daemon: Daemon, token: str | None = None) -> Door:
    return Door(daemon.url, token, "cli-test", 10.0)


async def hear(stream: Any, count: int) -> list[tuple[str, Any]]:
    """The next events, without hellos and who comes and goes."""
    heard: list[tuple[str, Any]] = []
    async with asyncio.timeout(20):
        async for one in stream:
            if one.kind not in ("hello", "agent.status"):
                heard.append((one.kind, one.data.get("id")))
            if len(heard) == count:
                return heard
    raise AssertionError("the stream has ended")


async def test_a_stream_goes_on_behind_what_was_heard_when_it_is_lost(daemon: Daemon) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    async with client(door_of(daemon)) as http, await Peer.join(daemon.url, "ann") as ann:
        stream = Stream(http, door_of(daemon), None, None, said.put_nowait)
        async with aclosing(stream.events()) as events:
            assert (await anext(events)).kind == "hello"
            await ann.tell("ann", "one")
            assert await hear(events, 1) == [("message.new", 1)]
            daemon.kill()
            listening = asyncio.create_task(hear(events, 2))
            assert (await said.get()).startswith("the stream is lost (")
            daemon.start()
            async with await Peer.join(daemon.url, "ann") as again:
                assert await said.get() == "connected again"
                await again.tell("ann", "two")
                # Another run counts from its start, and does not know what happened between the two.
                assert await listening == [("gap", None), ("message.new", 2)]
    assert said.empty(), "it is said once"


async def test_nothing_there_at_first_is_an_error_that_says_what_was_tried(daemon: Daemon) -> None:
    daemon.stop()
    async with client(door_of(daemon)) as http:
        with pytest.raises(Unreachable, match=f"no relay at {daemon.url}: .*tried once {daemon.url}/api/events"):
            await hear(Stream(http, door_of(daemon), None, None, print).events(), 1)


async def test_a_wrong_token_ends_it_and_so_does_one_that_is_revoked(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()
    said: list[str] = []
    async with await Peer.join(daemon.url, "root", token="secret-of-the-operator") as root:
        token = (await root.request("token_create", agent="ann", scopes=["events:read"]))["token"]
        async with client(door_of(daemon, "rly_wrong")) as http:
            with pytest.raises(Unauthorized):
                await hear(Stream(http, door_of(daemon), None, None, said.append).events(), 1)
        async with (
            client(door_of(daemon, token)) as http,
            aclosing(Stream(http, door_of(daemon), None, None, said.append).events()) as events,
        ):
            assert (await anext(events)).kind == "hello"
            await root.request("token_revoke", number=1)
            with pytest.raises(Unauthorized):
                await hear(events, 1)
    assert len(said) == 1


async def test_messages_from_before_can_be_had(daemon: Daemon) -> None:
    async with client(door_of(daemon)) as http, await Peer.join(daemon.url, "ann") as ann:
        past = Past(http, door_of(daemon))
        assert await past.newest() == 0
        await ann.tell("ann", "one")
        found = await past.message(1)
        assert found is not None
        assert (await past.newest(), found["body"]) == (1, "one")
        assert await past.message(2) is None
        daemon.kill()
        with pytest.raises(Unreachable, match=f"tried once {daemon.url}/api/messages/cursor"):
            await past.newest()


async def test_an_answer_that_is_no_relay_s_is_said_to_be_none(daemon: Daemon) -> None:
    door = Door(f"{daemon.url}/elsewhere", None, "cli-test", 10.0)
    async with client(door) as http:
        with pytest.raises(RelayError, match="elsewhere") as refused:
            await hear(Stream(http, door, None, None, print).events(), 1)
    assert refused.value.detail["status"] == 404
