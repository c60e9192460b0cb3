"""relay ask: the reply on stdout, and an exit code for each way that none comes."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import relay_client
from relay_client import Agent, Message
from relay_client.cli.door import default_name
from tests.cli.command import Outcome, run, started
from tests.daemon import Daemon, free_port

NAME = default_name("ask-")


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@asynccontextmanager
async def answering(daemon: Daemon, name: str, answer: Callable[[Message], Awaitable[object]]) -> AsyncIterator[Agent]:
    """An agent that does `answer` with each message; what goes wrong in it is raised at the end."""

    async def serve(agent: Agent) -> None:
        async for message in agent:
            await answer(message)

    async with relay_client.connect(daemon.url, agent=name, caps=["review"]) as agent:
        task = asyncio.create_task(serve(agent))
        yield agent
        if not task.cancel():
            task.result()
        await asyncio.gather(task, return_exceptions=True)


async def asked(daemon: Daemon, *arguments: str) -> Outcome:
    return await asyncio.to_thread(run, "ask", *arguments, "--url", daemon.url)


async def nothing(message: Message) -> None:
    """Reads it and says nothing."""


async def test_the_reply_is_printed_and_escaped(daemon: Daemon) -> None:
    async def answer(message: Message) -> None:
        assert (message.body, message.intent, message.subject) == ("which?", "request", "branch")
        assert message.reply_by_at is not None
        assert round((message.reply_by_at - message.sent_at) / 1000) == 120
        await message.reply("main\n\x1b[2J")

    async with answering(daemon, "ben", answer) as ben:
        done = await asked(daemon, "ben", "which?", "--subject", "branch", "--timeout", "2m")
        assert done == (0, "main\n\\x1b[2J\n", "")
        assert await ben.owed() == []


async def test_as_json_it_is_the_whole_message(daemon: Daemon) -> None:
    async with answering(daemon, "ben", lambda message: message.reply("main")) as ben:
        record = (await asked(daemon, "any:cap:review", "which?", "--json")).records[0]
        assert (record["from"], record["body"], record["reply_to"]) == ("ben", "main", 1)
        assert [one.stage for one in await ben.receipts(record["message"])] == ["done"]


async def test_a_reply_that_does_not_come_is_code_124_with_what_is_known(daemon: Daemon) -> None:
    async with answering(daemon, "ben", nothing):
        done = await asked(daemon, "ben", "which?", "--timeout", "0.3")
    assert (done.code, done.out) == (124, "")
    assert done.err.startswith("relay: no reply from ben to message 1 within 0.3 s")
    assert "ben is online" in done.err
    assert done.err.endswith("it is still owed; relay thread 1 shows it once it comes\n")
    assert done.err.count("\n") == 1


async def test_a_refusal_is_code_4_with_its_reason(daemon: Daemon) -> None:
    async with answering(daemon, "ben", lambda message: message.nack("no time \x1b", retry=False)):
        done = await asked(daemon, "ben", "which?")
    assert (done.code, done.out) == (4, "")
    assert r"refused by ben (nacked: no time \x1b)" in done.err


async def test_nobody_there_is_code_4_and_an_unknown_name_code_1(daemon: Daemon) -> None:
    nobody = await asked(daemon, "cap:flying", "which?")
    assert nobody.code == 4
    assert "nobody is there to answer" in nobody.err
    assert (await asked(daemon, "bne", "which?")).code == 1


async def test_a_deadlock_is_code_5_and_says_who_waits_for_whom(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ann"):
        pass
    async with relay_client.connect(daemon.url, agent="ben") as ben:
        waiting = asyncio.create_task(ben.ask("ann", "you first"))
        while not await ben.owed("ann"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody tells that an ask was accepted but its own reply
        done = await asked(daemon, "ben", "no, you", "--as", "ann")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (done.code, done.out) == (5, "")
    assert "ann" in done.err
    assert "ben" in done.err
    assert done.err.count("\n") == 1


async def test_no_relay_is_code_69_at_once() -> None:
    async with asyncio.timeout(10):
        done = await asyncio.to_thread(run, "ask", "ben", "x", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.code == 69


async def test_two_at_once_have_two_names_and_both_get_their_reply(daemon: Daemon) -> None:
    both = asyncio.Event()
    names: set[str] = set()

    async def answer(message: Message) -> None:
        names.add(message.sender)
        if len(names) == 2:
            both.set()

    async with answering(daemon, "ben", answer) as ben:
        first = asyncio.create_task(asked(daemon, "ben", "one"))
        second = asyncio.create_task(asked(daemon, "ben", "two"))
        async with asyncio.timeout(20):
            await both.wait()
        assert names == {NAME, f"{NAME}-2"}
        for item in await ben.owed():
            await ben.send(item.asker, f"to {item.asker}", reply_to=item.message)
        outcomes = [await first, await second]
    assert sorted(done.out for done in outcomes) == [f"to {NAME}\n", f"to {NAME}-2\n"]
    assert [card["agent"] for card in run("agents", "--json", "--url", daemon.url).records] == [
        NAME, f"{NAME}-2", "ben"
    ]  # fmt: skip


async def test_what_else_comes_to_its_own_name_is_refused_with_the_reason(daemon: Daemon) -> None:
    async def answer(message: Message) -> None:
        if message.reply_by_at is not None:
            sent = await ben.send(message.sender, "an aside")
            asides.append(sent.message)
            await message.reply("done")

    asides: list[int] = []
    async with answering(daemon, "ben", answer) as ben:
        assert (await asked(daemon, "ben", "one")).out == "done\n"
        assert (await asked(daemon, "ben", "two")).out == "done\n"  # by now the first aside was seen, if not before
        (state,) = await ben.receipts(asides[0])
        assert (state.stage, state.reason) == (
            "nacked", "this was relay ask: it reads the reply it waits for, and nothing else"
        )  # fmt: skip


async def test_as_a_name_of_one_s_own_its_address_and_its_inbox_stay(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ann", tags=["blue"]):
        pass
    async with answering(daemon, "ben", lambda message: message.reply("main")) as ben:
        await ben.send("tag:blue", "for later")
        assert (await asked(daemon, "ben", "which?", "--as", "ann")).out == "main\n"
        card = next(card for card in await ben.agents() if card.agent == "ann")
        assert card.tags == ["blue"]
        assert [item.body for item in (await ben.inbox(agent="ann")).items] == ["for later"]


async def test_an_agent_that_is_online_is_not_replaced(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        done = await asked(daemon, "ann", "which?", "--as", "ann")
        assert (done.code, done.out) == (1, "")
        assert "ann is online, and this would replace its session; without --as" in done.err
        assert ann.connected


async def test_ctrl_c_is_130_and_nothing_is_owed_any_more(daemon: Daemon) -> None:
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(message: Message) -> None:
        came.set_result(message.sender)

    async with answering(daemon, "ben", answer) as ben:
        news = ben.events()
        await ben.subscribe("receipt")
        with started("ask", "ben", "which?", "--json", "--url", daemon.url) as process:
            async with asyncio.timeout(20):
                note = await ben.send(await came, "one moment")
                async for event in news:  # it has dealt with this, so it knows the answer to its send as well
                    if event.message == note.message and event.stage == "nacked":
                        break
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate, timeout=20)
        assert (process.returncode, out, err) == (130, "", "")
        assert await ben.owed() == []


async def test_it_waits_on_over_a_restart_of_the_relay(daemon: Daemon) -> None:
    came = asyncio.Event()

    async def answer(message: Message) -> None:
        came.set()

    async with answering(daemon, "ben", answer) as ben:
        waiting = asyncio.create_task(asked(daemon, "ben", "which?", "--json"))
        async with asyncio.timeout(20):
            await came.wait()
        daemon.kill()
        await asyncio.to_thread(daemon.start)
        await ben.send(NAME, "main", reply_to=1)
        assert json.loads((await waiting).out)["body"] == "main"
