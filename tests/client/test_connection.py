import asyncio

import pytest

from relay_client import connection as module
from relay_proto import codec
from relay_proto.frames import Send
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, running, sent


async def test_a_message_in_fragments_is_put_together(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        data = codec.join_frames([codec.encode_frame(deliver(1))])
        await peer.socket.send([data[:5], data[5:9], data[9:]])
        assert (await agent.receive(WAIT_S)).message == 1


async def test_a_text_message_ends_the_connection(relay: ScriptedRelay) -> None:
    async with relay.agent() as (_, peer):
        await peer.socket.send("hello")
        await peer.rest()
        assert peer.socket.close_code == 1003
        await relay.registered()


async def test_a_message_beyond_the_limit_ends_the_connection(relay: ScriptedRelay) -> None:
    async with relay.agent() as (_, peer):
        await peer.socket.send(b"x" * (1024 * 1024 + 1))
        await peer.rest()
        assert peer.socket.close_code == 1009
        await relay.registered()


async def test_pings_of_the_relay_are_answered(relay: ScriptedRelay) -> None:
    async with relay.agent() as (_, peer):
        pong = await peer.socket.ping()
        assert await asyncio.wait_for(pong, WAIT_S) >= 0


async def test_a_quiet_relay_is_asked_for_a_pong(relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_IDLE_S", 0.02)
    measured = asyncio.Event()
    async with relay.agent() as (agent, peer):
        monkeypatch.setattr(agent._link, "round_trip", lambda seconds: measured.set())
        await asyncio.wait_for(measured.wait(), WAIT_S)
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).message == 1  # still the same connection


async def test_a_relay_that_gives_no_pong_is_given_up(relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_IDLE_S", 0.02)
    monkeypatch.setattr(module, "PONG_S", 0.02)
    async with relay.agent() as (_, peer):
        peer.socket.transport.pause_reading()
        await relay.registered()
        peer.socket.transport.resume_reading()


async def test_connections_ask_for_no_compression(relay: ScriptedRelay) -> None:
    async with relay.agent() as (_, peer):
        assert peer.socket.request is not None
        assert "Sec-WebSocket-Extensions" not in peer.socket.request.headers
        assert peer.socket.subprotocol == "relay.v1"


async def test_closing_the_other_side_first_is_a_lost_connection(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "x")) as call:
        await peer.next(Send)
        await peer.socket.close(1000)
        peer = await relay.registered()
        await peer.say(sent((await peer.next(Send)).id, 1))
        assert (await call).message == 1
