"""Pairs: what the client says and understands; and two real agents, one of whom is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import relay_client
from relay_client import Agent, Event, RelayError
from relay_client import pairs as module
from relay_proto.errors import BadRequest, Busy, Forbidden, NotActive, UnknownPair
from relay_proto.frames import Error, GetPair, Ok, Pair, PairAccept, PairHangup, PairOpen, PairReject, Pairs, PairSend
from tests.client.scripted import WAIT_S, ScriptedRelay, exchange, hear, running
from tests.daemon import Daemon


def record(state: str = "pending", **fields: Any) -> Pair:
    given: dict[str, Any] = {"sender": "alice", "to": "bob", "thread": 7, "opened_at": 5, "changed_at": 6}
    return Pair(pair=7, state=state, **(given | fields))  # type: ignore[arg-type]


async def paired(agent: Agent, peer: Any, state: str = "pending", **fields: Any) -> relay_client.Pair:
    async with running(agent.pair(7)) as call:
        asked = await peer.next(GetPair)
        await peer.say(Ok(re=asked.id, item=record(state, **fields)))
        return await call


# -- what is said and understood -------------------------------------------------------------------------------------


async def test_an_open_says_what_it_was_given_and_gives_the_pair(relay: ScriptedRelay) -> None:
    opened = await exchange(
        relay,
        lambda agent: agent.pair_open("bob", "fix it", key="k", hold=True),
        PairOpen(id=0, to="bob", objective="fix it", key="k", hold=True),
        {"message": 7, "thread": 7, "item": record(objective="fix it")},
    )
    assert (opened.pair, opened.message, opened.thread, opened.objective) == (7, 7, 7, "fix it")
    assert (opened.state, opened.partner, opened.sender, opened.to, opened.reason) == (
        "pending", "bob", "alice", "bob", None,
    )  # fmt: skip
    assert repr(opened) == "Pair(7, 'alice' with 'bob', pending)"


async def test_who_was_invited_sees_who_opened_it_as_its_partner(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        assert (await paired(agent, peer, sender="bob", to="alice")).partner == "bob"


async def test_an_open_without_a_key_gets_one_and_is_said_again_with_it(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.pair_open("bob")) as call:
        first = await peer.next(PairOpen)
        assert first.key
        await peer.cut()
        peer = await relay.registered()
        assert await peer.next(PairOpen) == first
        await peer.say(Ok(re=first.id, message=7, duplicate=True, item=record()))
        assert (await call).pair == 7


@pytest.mark.parametrize(
    ("word", "expected", "state"),
    [
        (lambda pair: pair.accept(), PairAccept(id=0, pair=7), "active"),
        (lambda pair: pair.reject("no time"), PairReject(id=0, pair=7, reason="no time"), "rejected"),
        (lambda pair: pair.hang_up(), PairHangup(id=0, pair=7), "ended"),
        (lambda pair: pair.hang_up("done"), PairHangup(id=0, pair=7, reason="done"), "ended"),
        (lambda pair: pair.refresh(), GetPair(id=0, pair=7), "ended"),
    ],
)
async def test_each_word_is_said_and_shows_how_it_stands_then(
    relay: ScriptedRelay, word: Callable[[Any], Any], expected: Any, state: str
) -> None:
    async with relay.agent() as (agent, peer):
        pair = await paired(agent, peer)
        async with running(word(pair)) as call:
            frame = await peer.frame()
            expected.id = frame.id  # type: ignore[union-attr]
            assert frame == expected
            await peer.say(Ok(re=frame.id or 0, item=record(state)))  # type: ignore[union-attr]
            await call
        assert pair.state == state


async def test_what_is_said_in_it_goes_by_its_number(relay: ScriptedRelay) -> None:
    options: dict[str, Any] = {
        "subject": "s", "reply_to": 8, "intent": "inform", "content_type": "text/plain", "headers": {"a": "b"},
        "key": "k",
    }  # fmt: skip
    async with relay.agent() as (agent, peer):
        pair = await paired(agent, peer, "active")
        async with running(pair.send("hi", payload={"n": 1}, **options)) as call:
            frame = await peer.next(PairSend)
            assert frame == PairSend(id=frame.id, pair=7, body="hi", payload='{"n":1}', **options)
            await peer.say(Ok(re=frame.id, message=9, thread=7, recipients=1, online=1))
            receipt = await call
            assert (receipt.message, receipt.thread, receipt.online, receipt.key) == (9, 7, 1, "k")
        async with running(pair.send("hi")):
            assert (await peer.next(PairSend)).key


async def test_a_list_is_of_pairs(relay: ScriptedRelay) -> None:
    page = await exchange(
        relay,
        lambda agent: agent.pairs("bob", "active", limit=2, after=3),
        Pairs(id=0, agent="bob", state="active", limit=2, after=3),
        {"items": [record("active")], "next": 7},
    )
    assert ([item.state for item in page], page.next) == (["active"], 7)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("busy", Busy), ("not_active", NotActive), ("unknown_pair", UnknownPair), ("forbidden", Forbidden)],
)
async def test_what_the_relay_refuses_is_raised(relay: ScriptedRelay, code: str, kind: type[RelayError]) -> None:
    async with relay.agent() as (agent, peer), running(agent.pair_open("bob")) as call:
        frame = await peer.next(PairOpen)
        await peer.say(Error(re=frame.id, code=code, message="no", detail={"pair": 3}))
        with pytest.raises(kind) as refused:
            await call
        assert refused.value.detail == {"pair": 3}


async def test_what_is_wrong_is_not_sent(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        for call in (agent.pair_open("two words"), agent.pair_open("bob", "x" * 1025), agent.pair(0)):
            with pytest.raises(BadRequest):
                await call


# -- waiting ---------------------------------------------------------------------------------------------------------


async def test_an_answer_is_waited_for_until_the_relay_tells_of_it(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        pair = await paired(agent, peer)
        async with running(pair.answer(WAIT_S)) as call:
            looked = await peer.next(GetPair)
            await peer.say(Ok(re=looked.id, item=record()))
            hear(agent, Event(event="pair.accepted", at=9, message=8), Event(event="pair.accepted", at=9, message=7))
            looked = await peer.next(GetPair)
            await peer.say(Ok(re=looked.id, item=record("active")))
            assert await call == "active"
        assert pair.state == "active"
        async with running(pair.over()) as call:
            looked = await peer.next(GetPair)
            await peer.say(Ok(re=looked.id, item=record("active")))
            await peer.cut()
            peer = await relay.registered()
            looked = await peer.next(GetPair)  # what happened meanwhile was not told
            await peer.say(Ok(re=looked.id, item=record("ended")))
            assert await call == "ended"
        assert len(agent._conversation.claims.watches) == 0


async def test_who_is_not_told_looks_by_itself(relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_UNTOLD_S", 0.01)
    async with relay.agent(visit=True) as (agent, peer):
        pair = await paired(agent, peer)
        async with running(pair.answer()) as call:
            for state in ("pending", "pending", "rejected"):
                looked = await peer.next(GetPair)
                await peer.say(Ok(re=looked.id, item=record(state)))
            assert await call == "rejected"


async def test_a_wait_ends_with_its_time(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        pair = await paired(agent, peer)
        with pytest.raises(TimeoutError, match=r"pair 7 was not answered within 0\.01 s"):
            await pair.answer(0.01)
        assert len(agent._conversation.claims.watches) == 0


# -- two agents and a daemon -----------------------------------------------------------------------------------------

PARTNER = """
import asyncio, sys
import relay_client

async def main() -> None:
    async with relay_client.connect(sys.argv[1], agent="ben") as agent:
        async for message in agent:
            if message.type == "pair.open":
                pair = await agent.pair(message.message)
                await pair.accept()
                await pair.send("hello")
            else:
                await pair.send(f"you said {message.body}", reply_to=message.message)

asyncio.run(main())
"""


def partner(daemon: Daemon) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PARTNER, daemon.url])


async def test_two_agents_talk_over_a_restart_until_one_is_killed(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--pair-grace", "2").start()
    process = partner(daemon)
    try:
        async with relay_client.connect(daemon.url, agent="ada") as ada:
            async with asyncio.timeout(20):
                pair = await ada.pair_open("ben", "count", hold=True)
                assert await pair.answer() == "active"
                assert (await ada.receive()).body == "hello"
                daemon.kill()
                daemon.start()
                sent = await pair.send("one")
                answer = await ada.receive()
                while answer.body == "hello":  # it was not acked before the kill
                    answer = await ada.receive()
                assert (answer.body, answer.thread, answer.reply_to) == ("you said one", pair.pair, sent.message)
                with pytest.raises(Busy) as refused:
                    await ada.pair_open("cleo", hold=True)
                assert refused.value.detail == {"agent": "ada", "pair": pair.pair}
                os.kill(process.pid, signal.SIGKILL)
                assert await pair.over() == "ended"
                assert pair.reason is not None
                assert pair.reason.startswith("ben was not heard of for 2")
                with pytest.raises(NotActive):
                    await pair.send("are you there?")
    finally:
        process.kill()
        process.wait()


async def test_one_that_closes_ends_it_at_once_and_both_are_told(daemon: Daemon) -> None:
    async with asyncio.timeout(20), relay_client.connect(daemon.url, agent="ada") as ada:
        events = ada.events()
        async with relay_client.connect(daemon.url, agent="ben") as ben:
            opened = await ada.pair_open("ben")
            invited = await ben.pair((await ben.receive()).message)
            await invited.accept()
            assert await opened.answer() == "active"
            assert [item.pair for item in await ben.pairs("ada", "active")] == [opened.pair]
        heard: list[Event] = []
        async for event in events:
            heard.append(event)
            if event.event == "pair.ended":
                break
        assert [event.event for event in heard] == ["pair.opened", "pair.accepted", "pair.ended"]
        assert (heard[-1].agent, heard[-1].reason) == ("ben", "ben said bye")
        assert heard[-1].pair is not None
        assert heard[-1].pair.state == "ended"


async def test_many_who_open_to_each_other_at_once_leave_nobody_in_two_pairs(daemon: Daemon) -> None:
    names = [f"a{number}" for number in range(8)]
    most = 0
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:

        async def play(name: str) -> None:
            nonlocal most
            async with relay_client.connect(daemon.url, agent=name) as agent:
                await everyone.wait()
                for turn in range(12):
                    other = names[(names.index(name) + 1 + turn) % len(names)]
                    await attempt(agent, other)
                    for item in await agent.pairs(name, "pending"):
                        if item.to == name:
                            await settle(item, accept=turn % 3 > 0)
                    live = await agent.pairs(state="active")
                    busy = [who for item in live for who in (item.sender, item.to)]
                    assert len(busy) == len(set(busy)), live.items
                    most = max(most, len(live))
                await done.wait()

        everyone, done = asyncio.Barrier(len(names)), asyncio.Barrier(len(names))
        for name in names:
            tasks.create_task(play(name))
    assert most > 1, "nobody met anybody"


async def attempt(agent: Agent, other: str) -> None:
    """Open to another one; who is busy hangs up what it is in, every other time."""
    try:
        if other != agent.name:
            await agent.pair_open(other, hold=True)
    except Busy as busy:
        if busy.detail["agent"] == agent.name and busy.detail["pair"] % 2:
            await (await agent.pair(busy.detail["pair"])).hang_up()


async def settle(item: relay_client.Pair, accept: bool) -> None:
    try:
        await (item.accept() if accept else item.reject())
    except (Busy, NotActive):
        pass  # somebody was first, which is what is played here
