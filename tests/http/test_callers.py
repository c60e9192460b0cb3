"""callers.py: frames said over HTTP, at the desk of a real relay with a real store."""

import asyncio
import re

import pytest

from relay_proto.errors import Unavailable, UnknownAgent
from relay_proto.frames import Agents, Claim, Complete, Inbox, Send
from relay_proto.targets import AGENT_PATTERN
from relay_server import visitors
from relay_server.http import callers as callers_module
from relay_server.server import Relay
from relay_server.store import interface as ask
from relay_server.times import SWEEP_S
from tests.relay.raw import Raw


def hello(to: str = "ben", **fields: object) -> Send:
    return Send(id=0, to=to, body="hello", hold=True, **fields)  # type: ignore[arg-type]


async def names(relay: Relay) -> list[str]:
    found = await relay.callers.look_up(Agents(id=0))
    return [item["agent"] for item in found.items or []]


async def test_a_frame_is_answered_to_who_said_it(relay: Relay) -> None:
    answers = await asyncio.gather(*(relay.callers.ask(f"script-{i % 3}", hello()) for i in range(30)))
    assert sorted(answer.message or 0 for answer in answers) == list(range(1, 31))
    inbox = await relay.callers.look_up(Inbox(id=0, agent="ben"))
    assert [item["message"] for item in inbox.items or []] == list(range(1, 31))


async def test_a_script_is_no_agent_of_the_list_and_belongs_to_no_group(relay: Relay) -> None:
    await relay.callers.ask("script", hello())
    assert await names(relay) == []
    assert (await relay.callers.ask("other", hello("broadcast"))).recipients == 0


def test_who_only_looks_is_nobody() -> None:
    """An agent of that name would be heard of whenever anybody looks at anything."""
    assert re.fullmatch(AGENT_PATTERN, callers_module.READER) is None


async def test_what_the_desk_refuses_is_raised(relay: Relay) -> None:
    with pytest.raises(UnknownAgent):
        await relay.callers.ask("script", Send(id=0, to="nobody", body="hello"))
    assert (await relay.callers.ask("script", hello())).message == 1


async def test_a_visit_is_of_the_instance_that_is_there_now(relay: Relay) -> None:
    work = await relay.callers.ask("boss", hello("worker", claimable=True))
    url = f"ws://127.0.0.1:{relay.port}/ws"
    async with await Raw.agent(url, "worker", instance="one"):
        first = await relay.callers.ask("worker", Claim(id=0, message=work.message or 0), "one")
        async with await Raw.agent(url, "worker", instance="two") as raw:
            assert raw.welcome["epoch"] == 2
            again = await relay.callers.ask("worker", hello())
            assert again.message == 2
            done = Complete(id=0, message=work.message or 0, fence=first.fence or 0)
            assert (await relay.callers.ask("worker", done, "one")).re > 0, "the fence is what counts"


async def test_visits_that_nobody_uses_are_given_up(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers_module, "CALLERS_MAX", 3)
    for i in range(10):
        await relay.callers.ask(f"script-{i}", hello())
    assert len(relay.callers._visits) == 3
    assert (await relay.callers.ask("script-0", hello())).message == 11


async def test_a_name_is_known_as_long_as_a_visit_of_it_is_kept(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers_module, "CALLERS_MAX", 2)
    monkeypatch.setattr(visitors, "VISITORS_MAX", 0)
    known = relay.broker.directory.agents
    for name in ("one", "two", "three", "two"):
        await relay.callers.ask(name, hello())
    assert {name: known[name].visits for name in known} == {"one": 0, "two": 1, "three": 1}
    for agent in known.values():
        agent.heard_at -= 2 * SWEEP_S
    # Its row says now; that the minute is over is the sweep's to say, and this one says it itself.
    relay.broker.commands.append(ask.ForgetVisitors(None, None, list(known), relay.clock.now_ms() + 1000, []))
    relay.wake()
    assert (await relay.callers.ask("one", hello())).message == 5, "it is known anew"
    assert (await relay.callers.ask("three", hello())).message == 6
    assert {name: known[name].visits for name in known} == {"one": 1, "two": 0, "three": 1}


async def test_too_many_at_once_are_refused(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers_module, "WAITING_MAX", 2)
    asked = [relay.callers.ask("script", hello()) for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) is Unavailable for answer in answers] == [False, False, True, True, True]


async def test_who_does_not_wait_any_more_leaves_nothing_behind(relay: Relay) -> None:
    asked = asyncio.create_task(relay.callers.ask("script", hello()))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait({asked})
    assert (await relay.callers.ask("script", hello())).message == 2, "it was said before nobody waited"
    assert all(caller.is_idle for caller in relay.callers._visits.values())


async def test_a_relay_that_stops_answers_everybody(relay: Relay) -> None:
    asked = [asyncio.create_task(relay.callers.ask(f"script-{i}", hello())) for i in range(20)]
    await asyncio.sleep(0)
    relay.stop()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) or not isinstance(answer, BaseException) for answer in answers)
    with pytest.raises(Unavailable):
        await relay.callers.ask("late", hello())
