import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

import relay_client
from relay_client import Unreachable
from relay_client.address import parse_url
from relay_client.conversation import REGISTER_ID, Conversation
from relay_client.outbox_link import OutboxLink
from relay_proto.errors import CloseCode, Unauthorized
from relay_proto.frames import Heartbeat, Ok, Register
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, running
from tests.daemon import free_port


def make_link(url: str) -> tuple[OutboxLink, list[str], asyncio.Event]:
    """A link whose notices are written down."""
    conversation: Conversation[asyncio.Future[Any]] = Conversation(Register(id=REGISTER_ID, agent="alice"), "k")
    link, notices, noticed = OutboxLink(conversation, parse_url(url), None, True), list[str](), asyncio.Event()

    def changed() -> None:
        notices.append("ended" if link.ended else "connected" if link.connected else "lost")
        noticed.set()

    link.changed = changed
    return link, notices, noticed


async def test_it_tells_when_the_connection_comes_and_goes_and_when_it_ends(relay: ScriptedRelay) -> None:
    link, notices, noticed = make_link(relay.url)
    async with running(link.open(WAIT_S)) as opening:
        peer = await relay.registered()
        await opening
    assert notices == ["connected"]
    await peer.cut()
    peer = await relay.registered()
    while len(notices) < 3:
        noticed.clear()
        await asyncio.wait_for(noticed.wait(), WAIT_S)
    assert notices == ["connected", "lost", "connected"]
    await link.close()
    assert notices == ["connected", "lost", "connected", "ended"]


async def test_without_a_relay_it_opens_at_once_and_finds_it_later(relay: ScriptedRelay) -> None:
    late = ScriptedRelay()
    link, notices, noticed = make_link(late.url)
    await asyncio.wait_for(link.open(600), WAIT_S)
    assert not link.connected
    assert notices == []
    await late.start()
    await late.registered()
    await asyncio.wait_for(noticed.wait(), WAIT_S)
    assert notices == ["connected"]
    await link.close()
    await late.stop()


async def test_a_relay_that_does_not_answer_is_waited_for_no_longer_than_it_may(relay: ScriptedRelay) -> None:
    link, _, noticed = make_link(relay.url)
    await asyncio.wait_for(link.open(0.05), WAIT_S)
    assert not link.connected
    await relay.peer()  # the one that nobody answered
    await relay.registered()
    await asyncio.wait_for(noticed.wait(), WAIT_S)
    assert link.connected
    await link.close()


async def test_it_can_be_closed_before_it_found_a_relay(relay: ScriptedRelay) -> None:
    link, notices, _ = make_link(f"http://127.0.0.1:{free_port()}")
    await link.open(WAIT_S)
    await asyncio.wait_for(link.close(), WAIT_S)
    assert notices == ["ended"]


async def test_what_is_no_relay_is_refused_at_once(relay: ScriptedRelay) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.NOT_FOUND, "no relay here")

    async with serve(_never, "127.0.0.1", port := free_port(), process_request=refuse):
        link, _, _ = make_link(f"http://127.0.0.1:{port}")
        with pytest.raises(Unreachable, match="no relay here"):
            await link.open(WAIT_S)


async def _never(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def test_a_relay_that_refuses_this_agent_is_heard_at_once(relay: ScriptedRelay) -> None:
    link, _, _ = make_link(relay.url)
    async with running(link.open(WAIT_S)) as opening:
        await (await relay.peer()).refuse("unauthorized", "the token is wrong", CloseCode.UNAUTHORIZED)
        with pytest.raises(Unauthorized, match="the token is wrong"):
            await opening


async def test_an_agent_that_has_not_found_its_relay_yet_waits_for_it(relay: ScriptedRelay, tmp_path: Path) -> None:
    late = ScriptedRelay()
    async with relay_client.connect(late.url, agent="alice", outbox=tmp_path / "out.db") as agent:
        assert not agent.connected
        assert (agent.name, agent.epoch, agent.session, agent.server.name, agent.limits) == ("alice", 0, "", "", {})
        assert repr(agent) == "Agent('alice', epoch=0, reconnecting)"
        async with running(agent.receive()) as receiving, running(agent.heartbeat()) as asking:
            await late.start()
            peer = await late.registered()
            assert agent.outbox is not None
            await peer.say(Ok(re=(await peer.next(Heartbeat)).id or 0), deliver(1))
            await asking
            assert (await receiving).message == 1
        assert (agent.epoch, agent.server.name) == (1, "scripted")
    await late.stop()
