import asyncio
import subprocess
import sys
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

import relay_client
from relay_client import Unreachable, Will
from relay_proto.errors import BadRequest, Forbidden, Unauthorized
from relay_proto.frames import Register
from tests.client.scripted import ScriptedRelay, running
from tests.daemon import free_port


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"agent": "a b"}, "agent is 'a b'"),
        ({"agent": "broadcast"}, "addresses everyone"),
        ({"agent": None}, "agent is None"),
        ({"caps": "review"}, "caps is 'review'"),
        ({"caps": ["a b"]}, r"caps\[0\] is 'a b'"),
        ({"tags": ["x"] * 65}, "tags"),
        ({"credit": 0}, "credit is 0"),
        ({"status": "asleep"}, "status is 'asleep'"),
        ({"meta": {"a": {"b": 1}}}, "meta"),
        ({"label": "\ud800"}, "surrogates"),
        ({"token": "a\r\nX-Evil: b"}, "token"),
        ({"token": ""}, "token"),
        ({"will": {"to": "a b", "body": "x"}}, "will.to is 'a b'"),
        ({"will": {"to": "bob"}}, "body"),
        ({"will": {"to": "bob", "body": "x", "key": "k"}}, "key"),
        ({"will": {"to": "bob", "body": 5}}, "will.body must be a string"),
        ({"url": "localhost:4850"}, "url is 'localhost:4850'"),
    ],
)
def test_bad_arguments_fail_before_anything_is_sent(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        relay_client.connect(**({"agent": "alice"} | arguments))


async def test_connect_says_who_the_agent_is_and_learns_who_answers(relay: ScriptedRelay) -> None:
    given: dict[str, Any] = {
        "label": "Alice",
        "tags": ("t",),
        "caps": ["review"],
        "channels": {"c"},
        "machine": "m1",
        "meta": {"pid": 1},
        "status": "idle",
        "credit": 5,
    }
    async with relay.agent("alice", **given) as (agent, peer):
        said = peer.register
        assert said is not None
        assert (said.agent, said.label, said.tags, said.caps, said.channels) == (
            "alice", "Alice", ["t"], ["review"], ["c"],
        )  # fmt: skip
        assert (said.machine, said.meta, said.status, said.credit) == ("m1", {"pid": 1}, "idle", 5)
        assert (agent.name, agent.instance, agent.epoch, agent.session) == ("alice", said.instance, 1, "s-1")
        assert (agent.server.name, agent.limits["body_bytes"], agent.connected) == ("scripted", 262144, True)
        assert agent.round_trip_s is not None
        assert repr(agent) == "Agent('alice', epoch=1, connected)"
    assert not agent.connected
    assert repr(agent) == "Agent('alice', epoch=1, ended)"


@pytest.mark.parametrize("will", [Will(to="tag:ops", body="gone", channel="c"), {"to": "tag:ops", "body": "gone"}])
async def test_a_will_is_left_with_each_register(relay: ScriptedRelay, will: Will | dict[str, str]) -> None:
    async with relay.agent(will=will) as (_, peer):
        assert peer.register is not None
        left = peer.register.will
        assert left is not None
        assert (left.to, left.body, left.channel) == ("tag:ops", "gone", "c" if isinstance(will, Will) else None)
        await peer.cut()
        peer = await relay.registered()
        assert peer.register is not None
        assert peer.register.will == left


async def test_every_connect_is_another_instance_unless_it_is_given(relay: ScriptedRelay) -> None:
    async with relay.agent() as (one, _), relay.agent() as (two, _), relay.agent(instance="mine") as (three, _):
        assert len({one.instance, two.instance, three.instance}) == 3
        assert three.instance == "mine"


async def test_the_token_goes_into_the_handshake_and_not_into_the_frame(relay: ScriptedRelay) -> None:
    async with relay.agent(token="s3cret") as (_, peer):
        assert peer.socket.request is not None
        assert peer.socket.request.headers["Authorization"] == "Bearer s3cret"
        assert peer.register is not None
        assert peer.register.token is None


async def test_an_unreachable_relay_is_named_with_what_to_do_next() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as caught:
        async with relay_client.connect(url, agent="alice", reconnect=False):
            pass
    assert url in str(caught.value)
    assert "connection refused" in str(caught.value)
    assert "relay serve" in str(caught.value)


async def test_a_relay_that_comes_a_moment_later_is_waited_for(relay: ScriptedRelay) -> None:
    late = ScriptedRelay()

    async def join() -> None:
        async with relay_client.connect(late.url, agent="alice"):
            pass

    async with running(join()) as joining:
        with pytest.raises(ConnectionRefusedError):
            await _refused_at(late.port)  # nobody is there yet
        await late.start()
        peer = await late.registered()
        await peer.rest()
        await joining
    await late.stop()


async def _refused_at(port: int) -> None:
    await asyncio.open_connection("127.0.0.1", port)


async def test_connecting_ends_at_its_timeout(relay: ScriptedRelay) -> None:
    with pytest.raises(Unreachable, match="no answer"):
        async with relay_client.connect(relay.url, agent="alice", connect_timeout_s=0.05):
            pass
    peer = await relay.peer()  # it came, and nobody answered its register
    assert isinstance((await peer.rest())[0], Register)


async def test_a_register_that_is_refused_raises_its_typed_error(relay: ScriptedRelay) -> None:
    async def join() -> None:
        async with relay_client.connect(relay.url, agent="alice"):
            pass

    async with running(join()) as joining:
        await (await relay.peer()).refuse("unauthorized", "the token is wrong", 4401)
        with pytest.raises(Unauthorized, match="the token is wrong"):
            await joining


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (HTTPStatus.UNAUTHORIZED, Unauthorized),
        (HTTPStatus.FORBIDDEN, Forbidden),
        (HTTPStatus.NOT_FOUND, Unreachable),
        (HTTPStatus.MOVED_PERMANENTLY, Unreachable),
    ],
)
async def test_a_handshake_that_is_refused_for_good_is_not_tried_again(
    status: HTTPStatus, error: type[Exception]
) -> None:
    tries = 0

    def refuse(connection: ServerConnection, request: Request) -> Response:
        nonlocal tries
        tries += 1
        return connection.respond(status, "because")

    async with serve(_never, "127.0.0.1", port := free_port(), process_request=refuse):
        with pytest.raises(error, match="because"):
            async with relay_client.connect(f"http://127.0.0.1:{port}", agent="alice"):
                pass
    assert tries == 1


async def test_a_busy_relay_is_tried_again() -> None:
    answers = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.UNAUTHORIZED]

    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(answers.pop(0), "because")

    async with serve(_never, "127.0.0.1", port := free_port(), process_request=refuse):
        with pytest.raises(Unauthorized):
            async with relay_client.connect(f"http://127.0.0.1:{port}", agent="alice"):
                pass
    assert answers == []


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("other.v9")]])
async def test_what_speaks_another_protocol_is_no_relay(subprotocols: list[Subprotocol] | None) -> None:
    def select(connection: ServerConnection, offered: Any) -> None:
        return None

    async with serve(_never, "127.0.0.1", port := free_port(), subprotocols=subprotocols, select_subprotocol=select):
        with pytest.raises(Unreachable, match=r"relay\.v1"):
            async with relay_client.connect(f"http://127.0.0.1:{port}", agent="alice"):
                pass


async def _never(socket: ServerConnection) -> None:
    await socket.wait_closed()


def test_importing_the_package_loads_no_event_loop_and_no_websocket() -> None:
    code = "import sys, relay_client; print(sorted({'asyncio', 'websockets', 'ssl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads() -> None:
    for name in relay_client.__all__:
        assert getattr(relay_client, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        relay_client.nothing  # noqa: B018
