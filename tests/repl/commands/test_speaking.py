"""speaking: what is sent, to whom bare text goes, and what becomes of messages that were answered."""

import asyncio

import click
import pytest

from relay_client.message import Message, delivered
from relay_client.repl.grammar import GrammarError
from relay_proto.errors import Forbidden, UnknownAgent, UnknownMessage
from tests.daemon import Daemon
from tests.repl.desks import do, say, two


async def test_send_says_where_it_went(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        sent = await do(desk, f"send {you.name} hello  there")
        number = sent.records[0]["message"]
        assert sent.lines == [f"#{number} → {you.name}: in the inbox, online"]
        assert (sent.records[0]["recipients"], sent.is_list) == (1, False)
        assert (await you.receive()).body == "hello  there"
        (line,) = await say(desk, "send cap:nothing x")
        assert line.endswith("→ cap:nothing: accepted, but it matches nobody: in no inbox")


async def test_send_has_the_options_of_the_envelope(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        await do(desk, f'send --ttl 5m --priority=9 --channel ci --subject "two words" {you.name} hello')
        message = await you.receive()
        assert (message.priority, message.channel, message.subject) == (9, "ci", "two words")
        assert message.expires_at is not None
        assert message.expires_at - message.sent_at == 300_000
        later = await do(desk, f"send --delay 1h {you.name} later")
        assert later.lines[0].endswith("in the inbox, online; due in 1h")
        number = later.records[0]["message"]
        await do(desk, f"send --supersedes {number} {you.name} not at all")
        assert [one.stage for one in await desk.agent.receipts(number)] == ["superseded"]


async def test_work_may_be_sent_with_all_that_it_has(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        sent = await do(desk, f"send --claimable --type review --severity error --attempts 5 {you.name} look")
        assert "one may take it" in sent.lines[0]
        message = await you.receive()
        assert (message.claimable, message.type, message.severity) == (True, "review", "error")
        assert (await you.task(message.message)).attempts_max == 5


async def test_bare_text_goes_to_whom_to_names_until_it_is_off(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        with pytest.raises(GrammarError, match="there is no command 'good'"):
            await do(desk, "good morning")
        assert await say(desk, "to") == ["bare text goes to nobody; to TARGET changes that"]
        assert await say(desk, f"to {you.name}") == [f"bare text goes to {you.name} now (online); to --off ends that"]
        await do(desk, "good morning, all")
        await do(desk, "say send is what I do")
        await do(desk, f"/send {you.name} third")
        assert [(await you.receive()).body for _ in range(3)] == ["good morning, all", "send is what I do", "third"]
        assert await say(desk, "to") == [f"bare text goes to {you.name}; to --off ends that"]
        assert await say(desk, "to --off") == ["bare text goes to nobody now"]
        with pytest.raises(click.ClickException, match="say it to whom"):
            await do(desk, "say hello")


async def test_to_doubts_a_name_that_nobody_has_and_shows_the_nearest(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        (line,) = await say(desk, f"to {you.name}x")
        assert f"no agent of that name was seen lately; did you mean '{you.name}'" in line
        with pytest.raises(UnknownAgent):
            await do(desk, "hello")
        assert await say(desk, "to cap:review") == ["bare text goes to cap:review now; to --off ends that"]


async def test_ask_does_not_wait_and_blocks_nobody(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        asked = await do(desk, f"ask {you.name} which branch?")
        first = asked.records[0]["message"]
        assert asked.lines == [
            f"#{first} → {you.name}: in the inbox, online; the reply is due in 1m and comes as a message (re #{first})"
        ]
        assert (await you.receive()).intent == "request"
        waiting = asyncio.create_task(you.ask(desk.agent.name, "you first"))  # a ring, were the first one waiting
        question = await desk.agent.receive()
        await do(desk, f"reply {question.message} no, you")
        assert (await waiting).body == "no, you"
        owed = await say(desk, "owed")
        assert [line.split()[:4] for line in owed[1:]] == [[f"#{first}", you.name, "online", desk.agent.name]]
        await you.send(desk.agent.name, "main", reply_to=first)
        assert await say(desk, "owed") == ["you owe no reply and are owed none"]
        assert await say(desk, f"owed {you.name}") == [f"{you.name} owes no reply and is owed none"]
        assert (await say(desk, "ask cap:nothing x"))[0].endswith("it matches nobody: in no inbox")


async def test_what_is_forgiven_is_owed_no_more(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f"ask --timeout 5m {you.name} anyone?")).records[0]["message"]
        assert await say(desk, f"forgive {number}") == [f"nobody owes you a reply to #{number} any more"]
        assert (await do(desk, "owed")).records == []
        question = await you.send(desk.agent.name, "and you?", intent="request", expect_reply_s=60)
        with pytest.raises(Forbidden):
            await do(desk, f"forgive {question.message}")


async def test_refuse_ends_it_and_tells_why(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await you.send(desk.agent.name, "which branch?")).message
        assert await say(desk, f"refuse {number} no\x1b time") == [rf"#{number} is refused: no\x1b time"]
        (state,) = await you.receipts(number)
        assert (state.stage, state.reason) == ("nacked", "no\x1b time")


async def test_withdraw_takes_back_what_one_sent(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f"send --delay 1h {you.name} oops")).records[0]["message"]
        assert await say(desk, f"withdraw {number} typed too fast") == [f"#{number} is withdrawn"]
        (state,) = await desk.agent.receipts(number)
        assert (state.stage, state.reason) == ("superseded", f"withdrawn by {desk.agent.name}: typed too fast")
        theirs = (await you.send(desk.agent.name, "mine")).message
        with pytest.raises(Forbidden):
            await do(desk, f"withdraw {theirs}")
        assert await say(desk, f"withdraw --force {theirs}") == [f"#{theirs} is withdrawn"]


async def test_schedule_wakes_oneself(shared: Daemon) -> None:
    async with two(shared) as (desk, _):
        (line,) = await say(desk, "schedule 0.1 wake up")
        assert line.endswith(" comes to you in 0.1s")
        message = await desk.agent.receive(timeout_s=20)
        assert (message.sender, message.body) == (desk.agent.name, "wake up")


async def test_reply_joins_the_thread_and_settles_a_plain_message(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        question = await you.send(desk.agent.name, "how are you?")
        await do(desk, f"reply {question.message} fine")
        answer = await you.receive()
        assert (answer.body, answer.thread) == ("fine", question.message)
        assert [one.stage for one in await you.receipts(question.message)] == ["done"]


async def test_a_word_to_somebody_deals_with_what_was_seen_of_them(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        seen = [(await you.send(me, text)).message for text in ("one", "two")]
        left = [
            (await you.send(me, "not seen yet")).message,
            (await you.send(me, "which?", expect_reply_s=60)).message,
            (await you.send(me, "do it", claimable=True)).message,
        ]
        for item in await desk.agent.inbox():
            desk.unread[item.message] = Message(desk.agent, delivered(item))
        desk.seen = {*seen, *left[1:]}
        first, second = await say(desk, f"send {you.name} yes")
        assert first.endswith(f" (acked #{seen[0]}, #{seen[1]})")
        assert second == f"{you.name} still waits for a reply to #{left[1]}: reply {left[1]} ... gives it"
        assert list(desk.unread) == left
        assert [item.message for item in await desk.agent.inbox()] == left
        await do(desk, f"to {you.name}")
        desk.seen.add(left[0])
        assert (await say(desk, "and no"))[0].endswith(f" (acked #{left[0]})")
        assert "acked" not in (await say(desk, "really"))[0]


async def test_reply_to_work_leaves_it_open(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        work = await you.send(desk.agent.name, "do it", claimable=True)
        await do(desk, f"claim {work.message}")
        await do(desk, f"reply {work.message} on it")
        assert (await you.task(work.message)).state == "claimed"


async def test_reply_to_what_one_sent_oneself_goes_where_that_went(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f"send {you.name} hello")).records[0]["message"]
        (line,) = await say(desk, f"reply {number} and one more thing")
        assert line == f"#{number + 1} → {you.name}: in the inbox, online"


async def test_ack_settles_several_and_refuses_what_is_not_there(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        one, two_ = [(await you.send(desk.agent.name, text)).message for text in ("a", "b")]
        done = await do(desk, f"ack {one} #{two_}")
        assert (done.lines, done.records) == (
            [f"acked #{one}, #{two_}"], [{"messages": [one, two_], "stage": "done"}]
        )  # fmt: skip
        assert (await do(desk, "inbox")).records == []
        for line in ("message 999999", "ack 999999", "claim 999999", "reply 999999 x", "thread 999999", "why 999999"):
            with pytest.raises(UnknownMessage):
                await do(desk, line)


async def test_ack_all_leaves_work_and_what_is_not_due(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        for number in range(5):
            await you.send(me, f"body {number}", channel="ci" if number < 2 else None)
        work = (await you.send(me, "do it", claimable=True)).message
        await desk.agent.send(me, "later", delay_s=3600)
        assert await say(desk, "ack --all --channel ci") == ["acked 2 messages"]
        assert await say(desk, "ack --all --from nobody") == ["there was nothing to ack"]
        assert await say(desk, f"ack --all --from {you.name}") == ["acked 3 messages"]
        assert [item["message"] for item in (await do(desk, "inbox")).records][:1] == [work]
        for line in ("ack", "ack --from you", "ack --all 1"):
            with pytest.raises(click.UsageError):
                await do(desk, line)
