"""commands: what each does at the relay, and what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import pytest

import relay_client
from relay_client import Agent
from relay_client.repl.commands import COMMANDS, INBOX_MAX, Quit
from relay_client.repl.desk import Desk
from relay_client.repl.grammar import GrammarError, parse
from relay_proto.errors import Claimed, StaleFence, UnknownMessage
from tests.daemon import Daemon
from tests.repl.standing import NOW


@asynccontextmanager
async def two(daemon: Daemon) -> AsyncIterator[tuple[Desk, Agent]]:
    """The desk of `me`, and the agent `you`."""
    async with (
        relay_client.connect(daemon.url, agent="you") as you,
        relay_client.connect(daemon.url, agent="me", credit=1) as me,
    ):
        yield Desk(me, show=lambda lines: None, now=lambda: NOW, width=lambda: 80), you


async def do(desk: Desk, line: str) -> list[str]:
    call = parse(line, COMMANDS)
    assert call is not None
    return await call(desk)


async def test_send_says_where_it_went(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        assert await do(desk, "send you hello  there") == ["#1 → you: in the inbox, online"]
        assert (await you.receive()).body == "hello  there"
        assert await do(desk, "send cap:nothing x") == [
            "#2 → cap:nothing: accepted, but it matches nobody: in no inbox"
        ]


async def test_send_has_the_options_of_the_envelope(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        await do(desk, 'send --ttl 5m --priority 9 --channel ci --subject "two words" you hello')
        message = await you.receive()
        assert (message.priority, message.channel, message.subject) == (9, "ci", "two words")
        assert message.expires_at is not None
        assert message.expires_at - message.sent_at == 300_000
        assert await do(desk, "send --delay 1h you later") == ["#2 → you: in the inbox, online; due in 1h"]
        await do(desk, "send --supersedes 2 you not at all")
        assert [one.stage for one in await you.receipts(2)] == ["superseded"]


async def test_ask_does_not_wait_and_blocks_nobody(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        (line,) = await do(desk, "ask you which branch?")
        assert line == "#1 → you: in the inbox, online; the reply is due in 1m and comes as a message (re #1)"
        assert (await you.receive()).intent == "request"
        waiting = asyncio.create_task(you.ask("me", "you first"))  # a ring, were the first one waiting
        question = await desk.agent.receive()
        await do(desk, f"reply {question.message} no, you")
        assert (await waiting).body == "no, you"
        owed = await do(desk, "owed")
        assert [line.split()[:4] for line in owed[1:]] == [["#1", "you", "online", "me"]]
        await you.send("me", "main", reply_to=1)
        assert await do(desk, "owed") == ["you owe no reply and are owed none"]
        assert await do(desk, "owed you") == ["you owes no reply and is owed none"]
        assert await do(desk, "ask cap:nothing x") == ["#5 → cap:nothing: accepted, but it matches nobody: in no inbox"]


async def test_refuse_ends_it_and_tells_why(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        question = await you.send("me", "which branch?")
        assert await do(desk, "refuse 1 no\x1b time") == [r"#1 is refused: no\x1b time"]
        (state,) = await you.receipts(question.message)
        assert (state.stage, state.reason) == ("nacked", "no\x1b time")


async def test_schedule_wakes_oneself(daemon: Daemon) -> None:
    async with two(daemon) as (desk, _):
        assert await do(desk, "schedule 0.1 wake up") == ["#1 comes to you in 0.1s"]
        message = await desk.agent.receive(timeout_s=20)
        assert (message.sender, message.body) == ("me", "wake up")


async def test_thread_shows_it_oldest_first(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        await do(desk, "send you one")
        await you.send("me", "two\x1b", reply_to=1)
        lines = await do(desk, "thread #2")
        assert [line.split("  ", 1)[1] for line in lines] == ["#1  me → you  one", r"#2  you → me  (re #1) two\x1b"]
        for i in range(INBOX_MAX):
            await you.send("me", f"more {i}", thread=1)
        lines = await do(desk, "thread 1")
        assert (len(lines), lines[-1]) == (INBOX_MAX + 1, f"(only the oldest {INBOX_MAX})")


async def test_why_says_it_in_sentences(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        await you.send("later", "x", hold=True)
        assert any("later" in line for line in await do(desk, "why 1"))
        assert await do(desk, "why #1") == await do(desk, "why 1")
        assert (await do(desk, "why later"))[0].startswith("later ")


async def test_reply_joins_the_thread_and_settles_a_plain_message(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        question = await you.send("me", "how are you?")
        await do(desk, f"reply {question.message} fine")
        answer = await you.receive()
        assert (answer.body, answer.thread) == ("fine", question.message)
        assert [one.stage for one in await you.receipts(question.message)] == ["done"]


async def test_reply_to_work_leaves_it_open(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        work = await you.send("me", "do it", claimable=True)
        await do(desk, f"claim {work.message}")
        await do(desk, f"reply {work.message} on it")
        item = await you.message(work.message)
        assert item.work is not None
        assert item.work.state == "claimed"


async def test_reply_to_what_one_sent_oneself_goes_where_that_went(daemon: Daemon) -> None:
    async with two(daemon) as (desk, _):
        await do(desk, "send you hello")
        assert await do(desk, "reply 1 and one more thing") == ["#2 → you: in the inbox, online"]


async def test_inbox_shows_the_oldest_and_says_when_there_are_more(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        assert await do(desk, "inbox") == ["nothing in the inbox"]
        for i in range(INBOX_MAX + 1):
            await you.send("me", f"body {i}")
        lines = await do(desk, "inbox")
        assert len(lines) == INBOX_MAX + 1
        assert lines[0].endswith("you → me  body 0")
        assert "only the oldest" in lines[-1]
        assert [one.stage for one in await you.receipts(1)] == ["surfaced"]


async def test_a_claim_that_someone_else_has_says_who(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        work = await you.send("broadcast", "do it", claimable=True)
        async with relay_client.connect(daemon.url, agent="other") as other:
            await other.send("me", "x")
            await do(desk, f"claim {work.message}")
            with pytest.raises(Claimed) as caught:
                await other.claim_message(work.message)
            assert caught.value.detail["holder"] == "me"


async def test_done_needs_a_claim_and_ends_it(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        work = await you.send("me", "do it", claimable=True)
        with pytest.raises(click.ClickException, match="you hold no claim on #1; claim 1 takes it"):
            await do(desk, f"done {work.message}")
        await do(desk, f"claim {work.message}")
        assert await do(desk, f"done {work.message} all fine") == ["#1 is done"]
        item = await you.message(work.message)
        assert item.work is not None
        assert (item.work.state, item.work.result) == ("done", "all fine")
        assert desk.fences == {}


async def test_a_claim_that_was_lost_is_told_when_it_is_used(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        work = await you.send("me", "do it", claimable=True)
        await do(desk, f"claim {work.message}")
        await desk.agent.release(work.message, desk.fences[work.message])
        await desk.agent.claim_message(work.message)
        with pytest.raises(StaleFence):
            await do(desk, f"done {work.message}")


async def test_fail_and_release_give_work_back(daemon: Daemon) -> None:
    async with two(daemon) as (desk, you):
        work = await you.send("me", "do it", claimable=True)
        await do(desk, f"claim {work.message}")
        assert "someone else may claim it" in (await do(desk, f"release {work.message}"))[0]
        await do(desk, f"claim {work.message}")
        assert (await do(desk, f"fail {work.message} no \x1b disk"))[0].startswith(r"#1 failed: no \x1b disk")
        item = await you.message(work.message)
        assert item.work is not None
        assert item.work.state in ("delayed", "ready")


async def test_what_is_not_there_is_refused(daemon: Daemon) -> None:
    async with two(daemon) as (desk, _):
        for line in ("message 99", "ack 99", "claim 99", "reply 99 x", "thread 99", "why 99"):
            with pytest.raises(UnknownMessage):
                await do(desk, line)


async def test_help_and_quit(daemon: Daemon) -> None:
    async with two(daemon) as (desk, _):
        lines = await do(desk, "help")
        assert all(any(line.startswith(command.usage) for line in lines) for command in COMMANDS.values())
        assert max(map(len, lines)) <= 80
        for command in COMMANDS.values():
            lines = await do(desk, f"help {command.name}")
            assert max(map(len, lines)) <= 80
            assert len(lines) >= 1 + len(command.options)
        assert "  --ttl TIME       Not delivered later than this." in await do(desk, "help send")
        with pytest.raises(GrammarError):
            await do(desk, "help nonsense")
        with pytest.raises(Quit):
            await do(desk, "quit")
