"""screen: the REPL at a terminal, against a real relay: what is typed happens, what arrives is shown."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

import relay_client
from relay_client.repl.desk import Desk
from relay_client.repl.screen import Screen, open_history
from tests.daemon import Daemon
from tests.repl.standing import NOW, StandIn, desk_of

WAIT_S = 20.0


class Terminal:
    """A user at the keyboard of one REPL."""

    def __init__(self, screen: Screen, keys: PipeInput, lines: asyncio.Queue[str], running: asyncio.Task[None]) -> None:
        self.screen = screen
        self.keys = keys
        self.lines = lines
        self.running = running

    def type(self, text: str) -> None:
        self.keys.send_text(text)

    async def see(self, part: str) -> str:
        """The next line that has `part` in it."""
        async with asyncio.timeout(WAIT_S):
            while part not in (line := await self.lines.get()):
                pass
            return line

    async def end(self) -> None:
        """Waits for the REPL to end; raises what ended it."""
        async with asyncio.timeout(WAIT_S):
            await self.running


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@asynccontextmanager
async def terminal(url: str, name: str) -> AsyncIterator[Terminal]:
    lines: asyncio.Queue[str] = asyncio.Queue()

    def show(shown: Iterable[str]) -> None:
        for line in shown:
            lines.put_nowait(line)

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        async with relay_client.connect(url, agent=name) as agent:
            screen = Screen(Desk(agent, show=show, now=lambda: NOW, width=lambda: 80), url)
            running = asyncio.create_task(screen.run())
            try:
                yield Terminal(screen, keys, lines, running)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def test_two_people_talk(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann, terminal(daemon.url, "bob") as bob:
        ann.type("send bob are you there?\r")
        await ann.see("→ bob: in the inbox, online")
        line = await bob.see("are you there?")
        assert "ann → bob" in line
        assert "1 unread" in bob.screen.toolbar()
        identifier = next(iter(bob.screen.desk.unread))
        bob.type(f"reply {identifier} yes\r")
        await ann.see(f"bob → ann  (re #{identifier}) yes")
        assert await bob.see("→ ann: in the inbox") is not None
        assert "0 unread" in bob.screen.toolbar()


async def test_asks_are_followed_to_their_end(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann, terminal(daemon.url, "bob") as bob:
        ann.type("ask --timeout 1h bob which branch?\r")
        await ann.see("→ bob: in the inbox, online; the reply is due in 1h and comes as a message (re #1)")
        assert "(reply by " in await bob.see("which branch?")
        bob.type("reply 1 main\r")
        await ann.see("(re #1) main")
        ann.type("ask bob and now?\r")
        await bob.see("and now?")
        bob.type("refuse 3 no time\r")
        await bob.see("#3 is refused: no time")
        await ann.see("* no reply to #3 will come from bob: nacked (no time)")
        ann.type("ask --timeout 0.2 bob quick?\r")
        assert "bob is online" in await ann.see("* overdue: a reply to #4 from bob")
        await bob.screen.desk.agent.close()
        assert "#4" in await ann.see("* bob is offline and owes the reply")


async def test_who_comes_back_is_told_what_is_owed(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="bob") as bob:
        await bob.send("ann", "which branch?", hold=True, expect_reply_s=60)
        async with terminal(daemon.url, "ann") as ann:
            assert "bob" in await ann.see("* you owe bob a reply to #1, due ")


async def test_what_is_replaced_or_taken_away_is_told(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann, relay_client.connect(daemon.url, agent="bob") as bob:
        await bob.subscribe("receipt")
        receipts = bob.events()
        old = await bob.send("ann", "the door is open")
        await ann.see("the door is open")
        async for receipt in receipts:
            if receipt.stage == "surfaced":  # it was printed, and then reported
                break
        await bob.send("ann", "the door is shut", supersedes=old.message)
        await ann.see("* #1 is replaced by #2; you have the old one already (surfaced)")
        assert "(replaces #1)" in await ann.see("the door is shut")


async def test_a_wrong_line_is_answered_and_the_prompt_goes_on(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("sned bob x\r")
        assert "did you mean 'send'?" in await ann.see("!")
        ann.type("send nobody x\r")
        assert "nobody" in await ann.see("!")
        ann.type("help quit\r")
        await ann.see("Leave")


async def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("send bob half a li\x03")
        ann.type("help help\r")
        assert "help [COMMAND]" in await ann.see("help")
        ann.type("\x04")
        await ann.end()


async def test_quit_leaves(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("quit\r")
        await ann.end()


async def test_being_replaced_ends_it_with_the_reason(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann, relay_client.connect(daemon.url, agent="ann"):
        with pytest.raises(relay_client.Replaced):
            await ann.end()


async def test_while_the_relay_is_away_the_toolbar_says_so_and_ctrl_c_ends_the_waiting(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann:
        ann.type("claim 1\r")
        await ann.see("!")  # unknown message: the connection works
        daemon.kill()
        ann.type("agents\r")
        async with asyncio.timeout(WAIT_S):
            while ann.screen.running is None or "connecting again" not in ann.screen.toolbar():  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # neither has an event: a person looks at them
        os.kill(os.getpid(), signal.SIGINT)
        await ann.see("stopped waiting")
        daemon.start()
        ann.type("agents\r")
        await ann.see("ann")
        assert "connected" in ann.screen.toolbar()


async def test_claimed_work_is_counted_in_the_toolbar(daemon: Daemon) -> None:
    async with terminal(daemon.url, "ann") as ann, relay_client.connect(daemon.url, agent="boss") as boss:
        receipt = await boss.send("ann", "do it", claimable=True)
        assert "(work) do it" in await ann.see("do it")
        ann.type(f"claim {receipt.message}\r")
        await ann.see("is yours (fence 1)")
        assert "1 claimed" in ann.screen.toolbar()
        ann.type(f"done {receipt.message} it is\r")
        await ann.see("is done")
        item = await boss.message(receipt.message)
        assert item.work is not None
        assert (item.work.state, item.work.result) == ("done", "it is")


def test_history_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    assert isinstance(open_history(), FileHistory)
    path = tmp_path / "state" / "relay" / "repl-history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_place_for_history_it_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert isinstance(open_history(), InMemoryHistory)


def test_the_toolbar_says_who_where_and_how_it_stands() -> None:
    agent = StandIn()
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        screen = Screen(desk_of(agent, []), "http://localhost:4850")
    assert screen.toolbar() == " me at localhost:4850 | connected, 0.4 ms | 0 unread"
    agent.connected = False
    screen.desk.fences[7] = 1
    assert screen.toolbar() == " me at localhost:4850 | connecting again... | 0 unread | 1 claimed"
