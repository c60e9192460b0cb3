"""websocket.py: opening, keeping alive and ending one connection, with peers that do not behave."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from relay_proto.frames import Heartbeat, Inbox, Send
from relay_server.websocket import WRITE_BYTES_MAX
from tests.daemon import Daemon
from tests.relay.raw import ANSWER_S, Raw

RELAY_V1 = [Subprotocol("relay.v1")]


def too_large(body: str) -> bytes:
    """Three sends whose bodies are beyond the limit, as no client of ours would encode them."""
    frame: bytes = msgspec.msgpack.encode({"op": "send", "id": 1, "to": "bob", "body": body})
    return b"\x93" + frame * 3


async def refused(url: str, **options: object) -> int:
    """The HTTP status that the handshake is refused with."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options)  # type: ignore[arg-type]
    return caught.value.response.status_code


async def test_the_handshake_asks_for_path_subprotocol_host_and_origin(daemon: Daemon) -> None:
    ws = daemon.ws
    assert await refused(ws.replace("/ws", "/other"), subprotocols=RELAY_V1) == 404
    assert await refused(ws) == 400
    assert await refused(ws, subprotocols=RELAY_V1, origin=Origin("https://evil.example")) == 403
    # DNS rebinding: the page's own name, pointed at 127.0.0.1.
    host, port = "127.0.0.1", daemon.port
    assert await refused(f"ws://evil.example:{port}/ws", subprotocols=RELAY_V1, host=host, port=port) == 403
    async with await Raw.agent(ws, "ada") as ada:
        assert ada.welcome["op"] == "ok"


async def test_a_listed_origin_may_connect(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--allow-origin", "https://dash.example").start()
    async with connect(daemon.ws, subprotocols=RELAY_V1, origin=Origin("https://dash.example")):
        pass


async def test_who_does_not_register_in_time_is_told_and_closed(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--register-timeout", "0.3").start()
    async with await Raw.connect(daemon.ws) as raw, await Raw.agent(daemon.ws, "ada") as ada:
        assert (await raw.receive())["code"] == "not_registered"
        assert await raw.closed() == 4408
        await ada.send(Heartbeat(id=1))
        assert (await ada.answer(1))["op"] == "ok", "who registered in time stays"


async def test_a_text_message_closes_with_1003(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        await ada.socket.send("hello")
        assert await ada.closed() == 1003


async def test_bytes_that_are_no_frames_are_told_and_close_with_4400(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        await ada.socket.send(b"\xc1\xc1\xc1")
        assert (await ada.receive())["code"] == "bad_frame"
        assert await ada.closed() == 4400


async def test_a_message_that_is_too_large_closes_with_4413_and_nobody_else_notices(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada, await Raw.agent(daemon.ws, "bob") as bob:
        with contextlib.suppress(ConnectionClosed):
            await ada.socket.send(b"\x91" + b"\xc0" * (1024 * 1024))
        assert await ada.closed() == 4413
        await bob.send(Heartbeat(id=1))
        assert (await bob.answer(1))["op"] == "ok"


async def test_a_message_in_fragments_is_one_message(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        await ada.socket.send([b"\x91\x82\xa2op", b"\xa9heart", b"beat\xa2", b"id\x07"])
        assert (await ada.answer(7))["op"] == "ok"


async def test_a_silent_peer_is_pinged_and_one_that_does_not_answer_is_cut(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--ping-interval", "0.3").start()
    async with await Raw.agent(daemon.ws, "ada") as alive, await Raw.agent(daemon.ws, "bob") as dead:
        dead.socket.protocol.send_frame = lambda frame: None  # type: ignore[method-assign]  # answers no ping
        begun = time.monotonic()
        await dead.closed()
        assert time.monotonic() - begun >= 0.5
        await alive.send(Send(id=2, to="bob", body="x"))
        assert (await alive.answer(2))["online"] == 0, "the one that answers pings is still there, the other is not"


async def test_a_peer_that_never_reads_its_answers_is_not_read_either_and_costs_no_more_than_the_cap(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon("--ping-interval", "0.5").start()
    async with await Raw.agent(daemon.ws, "ada") as greedy, await Raw.agent(daemon.ws, "bob") as bob:
        transport = greedy.socket.transport
        transport.pause_reading()
        transport.set_write_buffer_limits(high=1)
        sent = 0
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(3):
                while sent < 10 * WRITE_BYTES_MAX:
                    await greedy.send(*(Send(id=i, to="x" * 100, body="") for i in range(1000)))
                    sent += 300_000  # an answer to each is about three hundred bytes
        await bob.send(Heartbeat(id=1))
        assert (await bob.answer(1))["op"] == "ok"
        transport.abort()
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (resident,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    assert resident < 256 * 1024, "KiB"


async def test_frames_that_need_no_turn_pause_nobody(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada, await Raw.agent(daemon.ws, "bob") as bob:
        large = "x" * (300 * 1024)
        for _ in range(40):
            await ada.socket.send(too_large(large))
            for _ in range(3):
                assert (await ada.receive())["code"] == "too_large"
        for agent in (ada, bob):
            await agent.send(Heartbeat(id=1))
            assert (await agent.answer(1))["op"] == "ok"


async def test_many_large_answers_are_given_to_who_reads_them_and_the_loop_goes_on(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada, await Raw.agent(daemon.ws, "bob") as bob:
        await ada.send(*(Send(id=i, to="sink", body="y" * 1000, hold=True) for i in range(1000)))
        for _ in range(1000):
            await ada.receive()
        await ada.send(*(Inbox(id=i, agent="sink", limit=1000) for i in range(100)))
        await bob.send(Heartbeat(id=1))
        assert (await bob.answer(1))["op"] == "ok"
        for i in range(100):
            assert len((await ada.answer(i))["items"]) > 900
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < 128 * 1024, "KiB"


async def test_a_header_that_stands_twice_is_refused(daemon: Daemon) -> None:
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    assert await refused(daemon.ws, subprotocols=RELAY_V1, additional_headers=twice) == 400


async def test_a_lost_connection_leaves_the_agent_offline_and_its_inbox_kept(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        bob = await Raw.agent(daemon.ws, "bob")
        bob.socket.transport.abort()
        await bob.closed()
        begun = time.monotonic()
        while True:
            await ada.send(Send(id=1, to="bob", body="x"))
            if (await ada.answer(1))["online"] == 0:
                break
            assert time.monotonic() - begun < ANSWER_S
        async with await Raw.agent(daemon.ws, "bob") as back:
            assert back.welcome["pending"] >= 1


def test_a_request_that_never_ends_is_cut(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=ANSWER_S) as slow:
        slow.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n")
        begun = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""
        assert 4.0 < time.monotonic() - begun < 7.0
