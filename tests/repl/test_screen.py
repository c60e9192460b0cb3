"""screen: the REPL at a terminal, against a real relay: what is typed happens, what arrives is shown."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import relay_client
from relay_client.repl.commands import Switch
from relay_client.repl.screen import PROMPT_CELLS_MAX, Screen, continuation, first_of
from tests.daemon import Daemon
from tests.repl.keyboard import WAIT_S, name, terminal
from tests.repl.standing import StandIn, desk_of


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def test_two_people_talk(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, terminal(shared.url, name("bob")) as bob:
        ann.type(f"send {bob.name} are you there?\r")
        await ann.see(f"→ {bob.name}: in the inbox, online")
        line = await bob.see("are you there?")
        assert f"{ann.name}  are you there?" in line
        assert "1 unread" in bob.toolbar
        identifier = next(iter(bob.desk.unread))
        bob.type(f"reply {identifier} yes\r")
        assert f"(re #{identifier}) yes" in await ann.see(f"{bob.name}  ")
        assert await bob.see(f"→ {ann.name}: in the inbox") is not None
        assert "0 unread" in bob.toolbar


async def test_after_to_a_line_is_said_to_them_and_the_prompt_shows_it(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, terminal(shared.url, name("bob")) as bob:
        ann.type(f"to {bob.name}\r")
        await ann.see(bob.name)
        assert ann.prompt == f"{ann.name} → {bob.name}> "
        assert f"→ {bob.name}" in ann.toolbar
        ann.type("how is the build?\r")
        await bob.see("how is the build?")
        ann.type("to --off\rset form\r")
        await ann.see("table")
        assert ann.prompt == f"{ann.name}> "


async def test_asks_are_followed_to_their_end(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, terminal(shared.url, name("bob")) as bob:
        ann.type(f"ask --timeout 1h {bob.name} which branch?\r")
        first = await ann.see("the reply is due in 1h")
        asked = int(first.split()[0].removeprefix("#"))
        assert "(reply by " in await bob.see("which branch?")
        async with asyncio.timeout(WAIT_S):
            while "1 owed" not in bob.toolbar:  # noqa: ASYNC110  # it is looked at, it has no event
                await asyncio.sleep(0.005)
        bob.type(f"reply {asked} main\r")
        await ann.see(f"(re #{asked}) main")
        ann.type(f"ask {bob.name} and now?\r")
        await bob.see("and now?")
        bob.type(f"refuse {asked + 2} no time\r")
        await bob.see(f"#{asked + 2} is refused: no time")
        await ann.see(f"* no reply to #{asked + 2} will come from {bob.name}: nacked (no time)")
        ann.type(f"ask --timeout 0.2 {bob.name} quick?\r")
        assert "is online" in await ann.see(f"* overdue: a reply to #{asked + 3} from {bob.name}")
        await bob.desk.agent.close()
        assert f"#{asked + 3}" in await ann.see(f"* {bob.name} is offline and owes the reply")


async def test_who_comes_back_is_told_what_is_owed(shared: Daemon) -> None:
    ann_name = name("ann")
    async with relay_client.connect(shared.url, agent=name("bob")) as bob:
        receipt = await bob.send(ann_name, "which branch?", hold=True, expect_reply_s=60)
        async with terminal(shared.url, ann_name) as ann:
            await ann.see(f"* you owe {bob.name} a reply to #{receipt.message}, due ")
            assert "1 owed" in ann.toolbar


async def test_what_is_replaced_or_taken_away_is_told(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, relay_client.connect(shared.url, agent=name("bob")) as bob:
        await bob.subscribe("receipt")
        receipts = bob.events()
        old = await bob.send(ann.name, "the door is open")
        await ann.see("the door is open")
        async for receipt in receipts:
            if receipt.stage == "surfaced":  # it was printed, and then reported
                break
        new = await bob.send(ann.name, "the door is shut", supersedes=old.message)
        await ann.see(f"* #{old.message} is replaced by #{new.message}; you have the old one already (surfaced)")
        assert f"(replaces #{old.message})" in await ann.see("the door is shut")


async def test_of_a_flood_what_was_not_printed_is_not_surfaced_and_inbox_shows_it(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, relay_client.connect(shared.url, agent=name("bob")) as bob:
        sent = await asyncio.gather(*(bob.send(ann.name, f"flood {number}") for number in range(40)))
        assert f"+31 more, type inbox ({bob.name} 31)" in await ann.see("more, type inbox")
        assert "40 unread" in ann.toolbar
        stages = [(await bob.receipts(receipt.message))[0].stage for receipt in (sent[0], sent[30])]
        assert stages == ["surfaced", "pushed"]
        ann.type("inbox\r")
        await ann.see("flood 39")
        assert (await bob.receipts(sent[30].message))[0].stage == "surfaced"


async def test_a_line_is_said_to_whom_it_was_begun_for_or_to_nobody(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, relay_client.connect(shared.url, agent=name("bob")) as bob:
        await ann.desk.agent.send(bob.name, "first")
        ann.type("to carl\r")
        await ann.see("goes to carl")
        ann.type("you are fired")
        await ann.until_typed("you are fired")
        ann.desk.peer = bob.name  # as when a pair was accepted meanwhile
        ann.type("\r")
        assert f"it would go to {bob.name} now; you began this line for carl" in await ann.see("! not sent")
        await ann.until_typed("you are fired")
        ann.type(", carl\r")
        await ann.see(f"→ {bob.name}: in the inbox")
        assert [(await bob.receive()).body for _ in range(2)] == ["first", "you are fired, carl"]


async def test_a_comment_in_a_talk_is_said_to_be_one_and_a_text_with_a_heading_is_none(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, terminal(shared.url, name("bob")) as bob:
        ann.type(f"to {bob.name}\r# 1 of 3\r")
        await ann.see("* a comment, said to nobody")
        ann.type("# The plan\x1b\rwe rest\r")
        assert (await bob.see("# The plan")).endswith("# The plan")
        assert (await bob.see("we rest")).strip() == "we rest"


async def test_a_wrong_line_is_answered_and_the_prompt_goes_on(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("sned bob x\r")
        assert "did you mean 'send'?" in await ann.see("!")
        ann.type("send bob\r")
        assert "send [OPTIONS] TARGET TEXT" in await ann.see("! TEXT is missing")
        ann.type("send nobody x\r")
        assert "nobody" in await ann.see("!")
        ann.type("help quit\r")
        await ann.see("Leave")


async def test_answers_have_the_form_that_was_set(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("set form jsonl\ragents\r")
        await ann.see(f'"agent":"{ann.name}"')


async def test_ctrl_d_and_quit_leave(shared: Daemon) -> None:
    for keys in ("\x04", "quit\r"):
        async with terminal(shared.url, name("ann")) as ann:
            ann.type(keys)
            await ann.end()


async def test_another_profile_is_whoever_opened_the_screen_s_to_take(
    shared: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "relay").mkdir(parents=True)
    (tmp_path / "config" / "relay" / "profiles.json").write_text('{"night": {}}')
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("use day\r")
        await ann.see("!")
        ann.type("use night\r")
        with pytest.raises(Switch):
            await ann.end()


async def test_being_replaced_ends_it_with_the_reason(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, relay_client.connect(shared.url, agent=ann.name):
        with pytest.raises(relay_client.Replaced):
            await ann.end()


async def test_while_the_relay_is_away_the_toolbar_says_so_and_ctrl_c_ends_the_waiting(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("message 1\r")
        await ann.see("!")  # unknown message: the connection works
        daemon.kill()
        for interrupt in ("a key", "a signal"):
            ann.type("agents\r")
            async with asyncio.timeout(WAIT_S):
                while ann.screen.running is None or "connecting again" not in ann.toolbar:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # neither has an event: a person looks at them
            if interrupt == "a key":
                ann.type("lost\x03")
            else:
                os.kill(os.getpid(), signal.SIGINT)
            await ann.see("stopped waiting")
        ann.type("agents\r")
        await ann.see("* waiting for the relay; Ctrl-C ends the waiting")
        daemon.start()
        await ann.see("ann")
        assert "●" in ann.toolbar


async def test_what_is_typed_while_a_command_runs_is_for_the_next_prompt(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("agents\r")
        await ann.see("ann")
        daemon.kill()
        ann.type("who\r")
        await ann.see("* waiting for the relay")
        ann.type("help quit\rhalf a li")
        daemon.start()
        await ann.see("Leave")
        await ann.until_typed("half a li")


async def test_claimed_work_is_counted_in_the_toolbar(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann, relay_client.connect(shared.url, agent=name("boss")) as boss:
        receipt = await boss.send(ann.name, "do it", claimable=True)
        assert "(work) do it" in await ann.see("do it")
        ann.type(f"claim {receipt.message}\r")
        await ann.see("is yours")
        assert "1 claimed" in ann.toolbar
        ann.type(f"done {receipt.message} it is\r")
        await ann.see("is done")
        assert "claimed" not in ann.toolbar
        item = await boss.message(receipt.message)
        assert item.work is not None
        assert (item.work.state, item.work.result) == ("done", "it is")


def test_a_long_name_leaves_room_for_the_line_and_a_wrapped_line_is_set_in() -> None:
    agent = StandIn()
    agent.name = "x" * 128
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        screen = Screen(desk_of(agent, []), "http://localhost:4850")
        prompt = fragment_list_to_text(screen.message())
    assert len(prompt) == PROMPT_CELLS_MAX + len("> ")
    assert continuation(5, 0, 1) == [("", "  ")]
    assert continuation(5, 1, 0)[0][1] == "... "


async def test_loops_end_with_the_first_of_them() -> None:
    ended = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def fails() -> None:
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"):
        await first_of(forever(), fails())
    assert ended == ["forever"]
