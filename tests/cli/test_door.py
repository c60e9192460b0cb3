"""door: who knocks under which name, and what happens when the session is lost under way."""

import asyncio
import getpass
import re
import socket
from pathlib import Path

import click
import pytest

import relay_client
from relay_client import Agent
from relay_client.cli.door import Door, ask, client_options, default_name, door_options, jittered
from relay_proto.errors import BadRequest, Unauthorized
from relay_proto.frames import Agents, Ok, ServerInfo
from relay_proto.targets import AGENT_PATTERN
from tests.cli.command import NO_FOLDER, run
from tests.client.scripted import ScriptedRelay
from tests.daemon import Daemon, free_port


def door(url: str, timeout_s: float = 30.0) -> Door:
    return Door(url, None, "cli-test", timeout_s)


def test_the_default_name_is_an_agent_id_whatever_user_and_host_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_name("cli-").startswith("cli-")
    monkeypatch.setattr(getpass, "getuser", lambda: "Jürgen Ö:x")
    monkeypatch.setattr(socket, "gethostname", lambda: "höst" * 60)
    assert re.match(AGENT_PATTERN, default_name("cli-"))


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert re.match(r"cli-uid-\d+@", default_name("cli-"))


def test_options_come_from_the_command_line_then_the_environment_then_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Door] = []

    @click.command()
    @client_options
    def command(door: Door) -> None:
        seen.append(door)

    monkeypatch.setenv("XDG_CONFIG_HOME", NO_FOLDER)
    for name in ("RELAY_URL", "RELAY_TOKEN", "RELAY_AS"):
        monkeypatch.delenv(name, raising=False)
    command.main([], standalone_mode=False)
    monkeypatch.setenv("RELAY_URL", "http://env:1")
    monkeypatch.setenv("RELAY_TOKEN", "from-env")
    monkeypatch.setenv("RELAY_AS", "env-agent")
    command.main([], standalone_mode=False)
    command.main(["--url", "http://flag:2", "--token", "t", "--as", "flag-agent"], standalone_mode=False)
    assert [(one.url, one.token, one.name) for one in seen] == [
        ("http://localhost:4850", None, default_name("cli-")),
        ("http://env:1", "from-env", "env-agent"),
        ("http://flag:2", "t", "flag-agent"),
    ]


def test_a_command_that_registers_is_named_by_hand_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """RELAY_AGENT_ID stands in the environment of an agent: a command must not take that one's place."""
    seen: list[str] = []

    @click.command()
    @door_options(
        default_as=lambda: "its own", as_help="", timeout_s=1.0, timeout_most_s=2.0, timeout_help="", visits=False
    )
    def command(door: Door) -> None:
        seen.append(door.name)

    monkeypatch.setenv("XDG_CONFIG_HOME", NO_FOLDER)
    monkeypatch.delenv("RELAY_AS", raising=False)
    monkeypatch.setenv("RELAY_AGENT_ID", "live")
    command.main([], standalone_mode=False)
    monkeypatch.setenv("RELAY_AS", "me")
    command.main([], standalone_mode=False)
    command.main(["--as", "flag"], standalone_mode=False)
    for name in ("RELAY_AS", "RELAY_AGENT_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_RELAY_AS", "fallback")
    command.main([], standalone_mode=False)
    assert seen == ["its own", "me", "flag", "fallback"]


def test_where_nobody_is_the_source_of_the_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @client_options
    def command(door: Door) -> None:
        raise relay_client.Unreachable("no relay")

    monkeypatch.setenv("XDG_CONFIG_HOME", NO_FOLDER)
    monkeypatch.delenv("RELAY_URL", raising=False)
    said: list[str] = []
    for env, arguments in (("", []), ("http://x", []), ("http://x", ["--url", "http://y"])):
        monkeypatch.setenv("RELAY_URL", env)
        with pytest.raises(relay_client.Unreachable) as raised:
            command.main(arguments, standalone_mode=False)
        said += raised.value.__notes__
    assert said == ["this one is the default", "this one is from env RELAY_URL", "this one is from the command line"]


def test_where_it_is_refused_the_source_of_the_token_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @click.command()
    @client_options
    def command(door: Door) -> None:
        raise Unauthorized("the token is wrong")

    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", NO_FOLDER)
    for name in ("RELAY_TOKEN", "RELAY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    said: list[list[str]] = []
    for name, value in (("RELAY_LABEL", "x"), ("RELAY_TOKEN_FILE", str(token)), ("RELAY_TOKEN", "secret")):
        monkeypatch.setenv(name, value)
        with pytest.raises(Unauthorized) as raised:
            command.main([], standalone_mode=False)
        said.append(getattr(raised.value, "__notes__", []))
    assert said == [
        [],
        *([f"the one that was sent is from env {name}"] for name in ("RELAY_TOKEN_FILE", "RELAY_TOKEN")),
    ]


def test_pauses_double_up_to_their_limit_around_a_random_middle() -> None:
    pauses = jittered(1.0, 4.0)
    for middle in (1.0, 2.0, 4.0, 4.0):
        assert 0.5 * middle <= next(pauses) <= 1.5 * middle


async def test_a_command_disturbs_no_namesake_and_no_namesake_disturbs_it(daemon: Daemon) -> None:
    async def action(agent: Agent) -> list[str]:
        async with relay_client.connect(daemon.url, agent="cli-test"):
            return [card.agent for card in await agent.agents()]

    async with relay_client.connect(daemon.url, agent="cli-test", instance="live") as live:
        assert await ask(door(daemon.url), lambda agent: agent.agents()) != []
        assert live.connected
    assert await ask(door(daemon.url), action) == ["cli-test"]


async def test_a_relay_that_restarts_under_way_is_waited_for(daemon: Daemon) -> None:
    tries = 0

    async def action(agent: Agent) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            daemon.kill()
            await asyncio.to_thread(daemon.start)
        return len(await agent.agents())

    assert await ask(door(daemon.url), action) == 0
    assert tries == 2


async def test_every_try_is_of_the_same_instance_so_that_a_claim_stays_its_own(daemon: Daemon) -> None:
    instances: list[str] = []

    async def action(agent: Agent) -> None:
        instances.append(agent.instance)
        if len(instances) == 1:
            raise relay_client.Disconnected("cut off")

    await ask(door(daemon.url), action)
    await ask(door(daemon.url), action)
    first, again, other = instances
    assert first == again != other


async def test_what_must_not_be_done_twice_is_not(daemon: Daemon) -> None:
    tries = 0

    async def action(agent: Agent) -> None:
        nonlocal tries
        tries += 1
        raise relay_client.Disconnected("cut off")

    with pytest.raises(relay_client.Disconnected):
        await ask(door(daemon.url), action, again=False)
    assert tries == 1


async def test_no_relay_at_the_first_try_is_said_at_once() -> None:
    async def action(agent: Agent) -> None:
        raise AssertionError("never connected")

    async with asyncio.timeout(5):
        with pytest.raises(relay_client.Unreachable):
            await ask(door(f"http://127.0.0.1:{free_port()}"), action)


async def test_an_action_that_never_ends_is_given_up(daemon: Daemon) -> None:
    async def action(agent: Agent) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match=r"no answer from .* within 0\.3 s"):
        await ask(door(daemon.url, timeout_s=0.3), action)


async def test_what_the_relay_refuses_is_not_tried_again(daemon: Daemon) -> None:
    tries = 0

    async def action(agent: Agent) -> None:
        nonlocal tries
        tries += 1
        await agent.inbox(limit=0)

    with pytest.raises(BadRequest):
        await ask(door(daemon.url), action)
    assert tries == 1


async def test_a_relay_of_another_release_is_said_once_beside_the_answer() -> None:
    relay = await ScriptedRelay().start()
    try:
        asking = asyncio.create_task(asyncio.to_thread(run, "agents", "--json", "--url", relay.url))
        peer = await relay.registered(server=ServerInfo(name="relay", version="99.0.0", protocol=1))
        await peer.say(Ok(re=(await peer.next(Agents)).id, items=[]))
        done = await asking
    finally:
        await relay.stop()
    assert (done.code, done.out) == (0, "[]\n")
    assert done.err.startswith("relay: warning: the relay is version 99.0.0, this client ")
    assert done.err.count("\n") == 1
