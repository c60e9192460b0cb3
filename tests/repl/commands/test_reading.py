"""reading: what lists and pages show, and what of it the senders are told."""

import pytest

import relay_client
from relay_client.message import Message, delivered
from relay_client.repl.commands.parts import LIST_MAX
from relay_client.repl.forms import show
from relay_client.repl.grammar import GrammarError
from tests.daemon import Daemon
from tests.repl.desks import desk_at, do, say, two


async def test_inbox_shows_the_oldest_and_says_when_there_are_more(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        assert await say(desk, "inbox") == ["nothing in the inbox"]
        ids = [(await you.send(desk.agent.name, f"body {i}")).message for i in range(LIST_MAX + 1)]
        listed = await do(desk, "inbox")
        assert [record["message"] for record in listed.records] == ids[:-1]
        assert (listed.is_list, len(listed.lines)) == (True, LIST_MAX + 1)
        assert listed.lines[0].endswith("body 0")
        assert listed.lines[-1] == f"(only the first {LIST_MAX}; --after {ids[-2]} shows what comes behind)"
        assert [one.stage for one in await you.receipts(ids[0])] == ["surfaced"]
        assert [one.stage for one in await you.receipts(ids[-1])] != ["surfaced"]
        assert len((await do(desk, f"inbox --after {ids[-2]}")).records) == 1
        assert len((await do(desk, "inbox --limit 3")).records) == 3
        assert ids[0] in desk.noted


async def test_inbox_filters_shows_what_is_done_and_looks_into_another_ones(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        first = (await you.send(me, "build", channel="ci")).message
        second = (await you.send(me, "hello")).message
        assert [one["message"] for one in (await do(desk, "inbox --channel ci")).records] == [first]
        await do(desk, f"ack {first}")
        assert [one["message"] for one in (await do(desk, "inbox")).records] == [second]
        assert [one["message"] for one in (await do(desk, "inbox --all")).records] == [first, second]
        await do(desk, f"send {you.name} for you")
        (theirs,) = (await do(desk, f"inbox --of {you.name}")).records
        assert theirs["body"] == "for you"
        assert [one.stage for one in await desk.agent.receipts(theirs["message"])] != ["surfaced"]
        await do(desk, f"ack {second}")
        assert await say(desk, f"inbox --of {me}") == [f"nothing in the inbox of {me}"]


async def test_what_others_wrote_is_escaped(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        sent = await you.send(desk.agent.name, "\x1b[2Jboo\u202e", subject="a\x07b")
        for line in ("inbox", f"message {sent.message}", f"thread {sent.message}"):
            text = "\n".join(await say(desk, line))
            assert not {"\x1b", "\u202e", "\x07"} & set(text), line
            assert r"\x1b[2Jboo" in text


async def test_thread_shows_it_oldest_first(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        first = (await do(desk, f"send {you.name} one")).records[0]["message"]
        await you.send(desk.agent.name, "two", reply_to=first)
        listed = await do(desk, f"thread #{first}")
        assert [one["body"] for one in listed.records] == ["one", "two"]
        assert len((await do(desk, f"thread --limit 1 {first}")).records) == 1
        assert await say(desk, f"thread --after {first + 10} {first}") == ["nothing behind that one"]


async def test_message_shows_all_of_one_and_receipts_how_far_it_came(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        number = (await do(desk, f'send --subject "the door" {you.name} is open')).records[0]["message"]
        page = await do(desk, f"message {number}")
        assert "subject:  the door" in page.lines
        assert "    is open" in page.lines
        assert page.records[0]["deliveries"][0]["agent"] == you.name
        assert await say(desk, f"show {number}") == page.lines
        receipts = await do(desk, f"receipts {number}")
        assert receipts.lines[0].startswith("RECIPIENT")
        assert receipts.records[0]["agent"] == you.name
        nobody = (await do(desk, "send cap:nothing x")).records[0]["message"]
        assert await say(desk, f"receipts {nobody}") == ["it went into no inbox"]


async def test_a_message_that_was_shown_has_surfaced_and_one_in_a_thread_has_not(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        first, second = [(await you.send(desk.agent.name, text)).message for text in ("a", "b")]
        await do(desk, f"thread {second}")
        await do(desk, f"message {first}")
        stages = [[one.stage for one in await you.receipts(number)] for number in (first, second)]
        assert stages[0] == ["surfaced"]
        assert stages[1] in (["queued"], ["pushed"])
        theirs = (await do(desk, f"send {you.name} c")).records[0]["message"]
        await do(desk, f"message {theirs}")
        assert [one.stage for one in await desk.agent.receipts(theirs)] != ["surfaced"]


async def test_why_says_it_in_sentences(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        name = f"later-{you.name}"
        number = (await you.send(name, "x", hold=True)).message
        assert any(name in line for line in await say(desk, f"why {number}"))
        assert await say(desk, f"why #{number}") == await say(desk, f"why {number}")
        assert (await say(desk, f"why {name}"))[0].startswith(name)


async def test_agents_are_all_that_are_known_and_who_those_that_are_there(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        gone, cap = f"gone-{you.name}", f"review-{you.name}"
        async with relay_client.connect(shared.url, agent=gone, caps=[cap], label=f"Lead of {you.name}"):
            assert [one["agent"] for one in (await do(desk, f"who any:cap:{cap}")).records] == [gone]
            assert [one["agent"] for one in (await do(desk, f'who label:"Lead of {you.name}"')).records] == [gone]
        assert gone in [one["agent"] for one in (await do(desk, "agents")).records]
        assert gone in [card.agent for card in desk.cards]
        assert gone not in [one["agent"] for one in (await do(desk, "who")).records]
        assert [one["agent"] for one in (await do(desk, f"agents --cap {cap} --status offline")).records] == [gone]
        assert await say(desk, f"agents --cap {cap} --status online") == ["no agent matches"]
        assert [one["agent"] for one in (await do(desk, f"who {you.name}")).records] == [you.name]
        assert await say(desk, f"who cap:{cap}") == [f"nobody is there of cap:{cap}"]


async def test_tasks_are_those_in_the_states_that_are_named(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        me = desk.agent.name
        ready = (await you.submit(me, "one", type="build")).message
        delayed = (await you.submit(me, "two", delay_s=3600)).message
        held = (await you.submit(me, "three")).message
        await do(desk, f"claim {held}")

        async def listed(line: str) -> list[int]:
            return [one["message"] for one in (await do(desk, line)).records]

        assert await listed(f"tasks --to {me}") == [ready, delayed, held]
        assert await listed(f"tasks ready delayed --to {me}") == [ready, delayed]
        assert await listed("tasks held --mine") == [held]
        assert await listed(f"tasks --type build --sender {you.name}") == [ready]
        assert await listed(f"tasks --newest --limit 1 --to {me}") == [held]
        assert (await say(desk, "tasks buried --mine"))[0] == "no task matches"
        assert (await say(desk, "tasks"))[-1].startswith("in all: ")
        assert ready in desk.tasks
        with pytest.raises(GrammarError, match=r"'reedy' is none of held, open, .*did you mean 'ready'"):
            await do(desk, "tasks reedy")
        page = await do(desk, f"task {held}")
        assert f"state:    claimed by {me}, 59s left" in page.lines or f"holder:   {me}" in page.lines
        assert page.records[0]["title"] == "three"


async def test_the_raw_form_has_the_same_columns_for_every_record(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        await you.send(desk.agent.name, "tab\there", channel="ci")
        await you.send(desk.agent.name, "plain")
        rows = [line.split("\t") for line in show(await do(desk, "inbox"), "raw", is_terminal=False)]
        assert [row[4:] for row in rows] == [["ci", "", r"tab\there"], ["", "", "plain"]]


async def test_without_a_terminal_nothing_is_cut(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        await you.send(desk.agent.name, "x" * 500)
        (line,) = await say(desk_at(desk.agent, width=None), "inbox")
        assert line.endswith("x" * 500)


async def test_what_was_dealt_with_elsewhere_is_unread_no_more_once_the_inbox_shows_it(shared: Daemon) -> None:
    async with two(shared) as (desk, you):
        first, second = [(await you.send(desk.agent.name, text)).message for text in ("one", "two")]
        for item in await desk.agent.inbox():
            desk.unread[item.message] = Message(desk.agent, delivered(item))
        await desk.agent.ack([first])  # as PATCH /api/messages/{id} does
        await do(desk, "inbox --channel ci")
        assert list(desk.unread) == [first, second]
        await do(desk, "inbox")
        assert list(desk.unread) == [second]
