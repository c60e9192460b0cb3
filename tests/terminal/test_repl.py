"""relay-repl at a real terminal, end to end: what a person sees, and what the keys do."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import relay_client
from relay_client.cli.render import cells
from tests.daemon import Daemon
from tests.terminal.conftest import Open
from tests.terminal.tmux import Tmux

SCREENS = [(80, 24), (200, 50)]
FLOOD = 5_000
AT_ONCE = 250


def toolbar(pane: Tmux) -> str:
    """The last line of the screen."""
    return pane.screen()[-1]


def the_line(pane: Tmux) -> str:
    """The line that is being typed: the last one that begins with a prompt."""
    return next(line for line in reversed(pane.screen()) if re.match(r"^\S+( → \S+)?>", line))


@pytest.mark.parametrize(("columns", "rows"), SCREENS)
async def test_messages_that_come_while_one_types_do_not_tear_the_line(
    relay: Daemon, open_repl: Open, columns: int, rows: int
) -> None:
    ann, bob_name = f"ann-{columns}", f"bob-{columns}"
    async with relay_client.connect(relay.url, agent=bob_name) as bob:
        pane = open_repl(relay.url, ann, columns=columns, rows=rows)
        pane.type(f"send {bob_name} half a li")
        bodies = [
            "short",
            "a long one " * 30,
            "several\nlines\nof text",
            "世界你好" * 40,
            "x" * 300,
        ]
        for number, body in enumerate(bodies):
            await bob.send(ann, body, subject=f"number {number}", channel="ci", claimable=number == 0)
            pane.type("!")
        pane.wait_for("number 4")
        pane.wait_for(re.escape("half a li!!!!!"))
        lines = pane.screen()
        assert the_line(pane).startswith(f"{ann}> send {bob_name} half a li!!!!!")
        assert sum(f"{ann}> " in line for line in pane.written()) == 1
        assert all(cells(line) <= columns for line in lines)
        for number in range(5):
            assert sum(f"number {number}:" in line for line in pane.written()) == 1
        assert "[ci] (work) number 0: short" in "\n".join(lines)
        assert re.search(r"^ {12}lines$", "\n".join(lines), re.MULTILINE)
        assert f"{ann}@127.0.0.1:{relay.port}" in toolbar(pane)
        assert "5 unread" in toolbar(pane)
        pane.line("ne")
        async with asyncio.timeout(10):
            message = await bob.receive()
        assert message.body == "half a li!!!!!ne"
        pane.wait_for(rf"→ {bob_name}: in the inbox, online")


@pytest.mark.parametrize(("columns", "rows"), SCREENS)
async def test_a_flood_leaves_the_prompt_usable_and_is_counted(
    relay: Daemon, open_repl: Open, columns: int, rows: int
) -> None:
    ann, bob_name = f"ann-flood-{columns}", f"bob-flood-{columns}"
    async with relay_client.connect(relay.url, agent=bob_name) as bob:
        pane = open_repl(relay.url, ann, columns=columns, rows=rows)
        pane.type("help ")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for start in range(0, FLOOD, AT_ONCE):
            await asyncio.gather(*(bob.send(ann, f"flood {start + number}") for number in range(AT_ONCE)))
            if start == FLOOD // 2:
                pane.type("qu")  # in the middle of it
        pane.type("it")
        pane.wait_for(rf"^{ann}> help quit")
        pane.wait_for(r"1,024\+ unread")
        pane.wait_for(r"1,024 messages are unread; the relay keeps what comes next")
        pane.wait_for(r"more, type inbox")
        took_s = loop.time() - began
        printed = [line for line in pane.written() if "flood " in line and "#" in line]
        left = [int(found[1].replace(",", "")) for found in _found(r"\+([\d,]+) more, type inbox", pane)]
        assert len(printed) + len(left) <= 10 * (took_s + 1), f"{len(printed)} and {len(left)} prints in {took_s} s"
        assert len(printed) + sum(left) == 1024
        pane.press("Enter")
        pane.wait_for("Leave")
        pane.line("inbox --limit 20")
        pane.wait_for("flood 19$", scrolled=True)
        stages = [(await bob.receipts(item.message))[0].stage for item in (await bob.inbox(agent=ann, limit=1)).items]
        assert stages == ["surfaced"]
        pane.line("ack --all")
        pane.wait_for(" 0 unread", within_s=40)
        assert (await bob.inbox(agent=ann, limit=1)).items == []
        pane.line("clear")
        pane.wait_for(rf"\A{ann}>")


async def stage_of(receipts: relay_client.Events, stage: str) -> None:
    """Waits until one of them says this."""
    async for receipt in receipts:
        if receipt.stage == stage:
            return


def _found(pattern: str, pane: Tmux) -> Iterator[re.Match[str]]:
    return re.finditer(pattern, "\n".join(pane.written()))


async def test_a_relay_that_restarts_is_said_once_and_the_line_is_kept(
    make_daemon: Callable[..., Daemon], open_repl: Open
) -> None:
    daemon = make_daemon().start()
    pane = open_repl(daemon.url, "ann")
    pane.type("send ann to mys")
    daemon.stop()
    pane.wait_for(r"^\* the connection is lost; connecting again")
    pane.wait_for("○ connecting again")
    pane.type("elf")
    daemon.start()
    pane.wait_for(r"^\* connected again")
    pane.wait_for("● [0-9.]+ m?s")
    assert the_line(pane).startswith("ann> send ann to myself")
    written = pane.written()
    assert sum("connection is lost" in line for line in written) == 1
    assert sum("connected again" in line for line in written) == 1
    pane.press("Enter")
    pane.wait_for(r"● .* to myself$")


def test_what_is_typed_while_a_command_waits_stands_in_the_next_prompt_and_nowhere_else(
    make_daemon: Callable[..., Daemon], open_repl: Open
) -> None:
    daemon = make_daemon().start()
    pane = open_repl(daemon.url, "ann")
    daemon.stop()
    pane.wait_for("○ connecting again")
    pane.line("who")
    pane.wait_for(r"^\* waiting for the relay; Ctrl-C ends the waiting")
    pane.type("lost")
    pane.press("C-c")
    pane.wait_for("^! stopped waiting")
    pane.line("agents")
    pane.wait_for(r"(?s)stopped waiting.*\* waiting")
    pane.type("help qu")
    daemon.start()
    pane.wait_for(r"^ann +online")
    pane.wait_for(r"^ann> help qu")
    text = "\n".join(pane.written())
    assert "lost" not in text.replace("connection is lost", "")
    assert text.count("help qu") == 1


HOSTILE = [
    "\x1b]0;EVIL-TITLE\x07\x1b]2;EVIL-TITLE\x1b\\",  # window titles
    "\x1b]52;c;ZXZpbA==\x07",  # the clipboard
    "\x1b[2J\x1b[H\x1b[31mEVIL-DRAWN\x1b[8m",  # clear, home, colours, hidden
    "\x9b2J\x9d0;EVIL-TITLE\x9c\x90q\x9c",  # the same in one character each
    "\x1bPtmux;\x1b\x1b]52;c;ZXZpbA==\x07\x1b\\",  # passed through tmux
    "safe\rEVIL-OVERWRITES\b\b\b\x7f",
    "\u202egnp.exe\u2066x\u2069\u200b\ufeff\U000e0041",  # bidi, invisible
    "\x1b[200~quit\r\x1b[201~",  # a paste
    "\x1b[6n\x1b[c\x1b]11;?\x07\x05",  # questions that a terminal would answer as if typed
    "ann> quit\n● 00:00:00  #1  boss  EVIL-POSES\n+1 more, type inbox",
    "\x0e\x0f\x1b(0qqq\x1b#8\x1bc",  # other character sets, a test picture, a reset
]


async def test_hostile_text_is_shown_and_does_nothing(relay: Daemon, open_repl: Open) -> None:
    async with relay_client.connect(relay.url, agent="evil") as evil:
        pane = open_repl(relay.url, "ann-hostile", columns=200, rows=50)
        title = pane.title
        for number, text in enumerate(HOSTILE):
            await evil.send("ann-hostile", text, subject=f"n{number} {text[:100]}".replace("\n", " "), channel="ci")
            pane.wait_for(rf"n{number}\b")  # one by one, so that each is printed
            await asyncio.sleep(0.15)  # no more than ten in a second are
        await evil.send("ann-hostile", "the end", subject="done")
        pane.wait_for("done: the end")
        for command in ("inbox", "agents", "why evil", "thread 1", "set form json", "inbox", "set form raw", "inbox"):
            pane.line(command)
        pane.line("set form table")
        pane.wait_for(r"^form +table")
        written = pane.output.read_bytes().decode()
        for sequence in (
            "\x1b]",
            "\x1bP",
            "\x9b",
            "\x9d",
            "\x90",
            "\x1b[8m",
            "\x1bc",
            "\x1b(0",
            "\x0e",
            "\x05",
            "\x1b#",
        ):
            assert sequence not in written, ascii(sequence)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ufeff]|\U000e0041", written)
        assert pane.title == title
        assert pane.clipboards == ""
        text = "\n".join(pane.written())
        assert r"\x1b]52;c;ZXZpbA==\x07" in text
        assert r"\u202egnp.exe" in text
        assert not re.search(r"^(EVIL|● 00:00:00|\+1 more|ann> quit)", text, re.MULTILINE)
        assert not pane.is_over


async def test_a_menu_shows_who_is_there_and_takes_the_one_that_is_chosen(relay: Daemon, open_repl: Open) -> None:
    async with (
        relay_client.connect(relay.url, agent="menu-reviewer", caps=["review"], label="The Reviewer") as reviewer,
        relay_client.connect(relay.url, agent="menu-builder", caps=["build"], tags=["blue"]),
    ):
        pane = open_repl(relay.url, "ann-menu")
        pane.type("send menu-")
        pane.press("Tab")
        pane.wait_for(r"menu-builder +online, build")
        pane.wait_for(r'menu-reviewer +online, "The Reviewer", review')
        pane.press("Tab", "Tab")
        pane.wait_for(r"^ann-menu> send menu-reviewer")
        pane.press("Enter")  # takes it
        pane.line("hello")
        async with asyncio.timeout(10):
            message = await reviewer.receive()
        assert message.body == "hello"
        await reviewer.send("ann-menu", "read this first")
        pane.wait_for("read this first")
        pane.type("reply ")
        pane.press("Tab")
        pane.wait_for(rf"reply {message.message + 1}")


async def test_keys_of_a_shell_do_what_they_do_there(relay: Daemon, open_repl: Open) -> None:
    pane = open_repl(relay.url, "ann-keys")
    pane.line("help forgive")
    pane.wait_for("No reply to your ask")
    pane.type("half a line")
    pane.press("C-c")
    pane.wait_for(r"^ann-keys>$")
    pane.press("C-r")
    pane.type("forg")
    pane.wait_for(r"reverse-i-search.*help forgive")
    pane.press("Enter")
    pane.wait_for(r"\Z|^ann-keys> help forgive")
    pane.press("C-c")
    pane.type("help forg")
    pane.wait_for(r"^ann-keys> help forgive")  # the suggestion
    pane.press("Right")
    pane.press("Enter")
    pane.type("send ann-keys one")
    pane.press("M-Enter")
    pane.type("two")
    pane.wait_for(r"^\.\.\. two")
    pane.press("Enter")
    pane.wait_for(r"^ {12}two$")
    pane.type("sned x")
    pane.wait_for(r"did you mean 'send'")  # while it is typed
    pane.press("C-u")
    pane.press("C-d")
    pane.wait_until_over()


def test_it_leaves_the_terminal_as_it_was(relay: Daemon, open_repl: Open) -> None:
    pane = open_repl(relay.url, "ann-leaves")
    pane.line("quit")
    pane.wait_until_over()
    assert "Traceback" not in "\n".join(pane.written())
    tty = pane._do("display-message", "-p", "#{pane_tty}").strip()
    flags = subprocess.run(["stty", "-a", "-F", tty], capture_output=True, text=True, check=False).stdout
    if flags:  # the pane's terminal is gone with its process on some systems
        assert " echo " in flags
        assert " icanon " in flags


async def test_while_an_editor_has_the_terminal_nothing_is_printed_nor_surfaced(
    relay: Daemon, open_repl: Open, tmp_path: Path
) -> None:
    editor, goes_on = tmp_path / "editor", tmp_path / "goes-on"
    os.mkfifo(goes_on)
    editor.write_text(f'#!/bin/sh\necho EDITING\ncat {goes_on}\nprintf " edited" >> "$1"\n')
    editor.chmod(0o700)
    async with relay_client.connect(relay.url, agent="bob-editor") as bob:
        await bob.subscribe("receipt")
        receipts = bob.events()
        pane = open_repl(relay.url, "ann-editor", env={"VISUAL": str(editor)})
        pane.type("send bob-editor a long text,")
        pane.press("C-x", "C-e")
        pane.wait_for("^EDITING")
        receipt = await bob.send("ann-editor", "are you there?")
        with pytest.raises(TimeoutError):  # that nothing happens has no event
            async with asyncio.timeout(0.5):
                await stage_of(receipts, "surfaced")
        assert "are you there" not in "\n".join(pane.screen())
        goes_on.write_text("done\n")
        pane.wait_for(r"● .* are you there\?$")
        pane.wait_for(r"^ann-editor> send bob-editor a long text, edited")
        async with asyncio.timeout(10):
            await stage_of(receipts, "surfaced")
            pane.press("Enter")
            message = await bob.receive()
        assert message.body == "a long text, edited"
        pane.wait_for(rf"acked #{receipt.message}")  # the answer to it


async def test_who_closes_the_window_leaves_in_good_order(relay: Daemon, open_repl: Open) -> None:
    async with relay_client.connect(relay.url, agent="bob-window") as bob:
        await bob.subscribe("presence")
        events = bob.events()
        pane = open_repl(relay.url, "ann-window")
        pane.__exit__(None, None, None)
        async with asyncio.timeout(10):
            async for event in events:
                if event.agent == "ann-window" and event.status != "online":
                    break
        assert event.status == "offline"
        assert "bye" in (event.reason or "")


async def test_a_screen_that_changes_its_size_is_drawn_anew(relay: Daemon, open_repl: Open) -> None:
    async with relay_client.connect(relay.url, agent="bob-size") as bob:
        pane = open_repl(relay.url, "ann-size", columns=200, rows=50)
        pane.line("to bob-size")
        pane.wait_for("→ bob-size>$")
        pane.type("half a li")
        pane.resize(80, 24)
        pane.wait_for(r"\n ann-size@.*→ bob-size\Z")
        await bob.send("ann-size", "word " * 40)
        pane.wait_for("word$")
        assert all(cells(line) <= 80 for line in pane.screen())
        assert the_line(pane).startswith("ann-size → bob-size> half a li")


async def test_with_another_profile_one_goes_on_as_somebody_else(
    relay: Daemon, open_repl: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "config" / "relay"
    folder.mkdir(parents=True)
    (folder / "profiles.json").write_text(json.dumps({"night": {"agent": "night-watch", "url": relay.url}}))
    async with relay_client.connect(relay.url, agent="bob-use") as bob:
        await bob.send("night-watch", "all is quiet", hold=True)
        pane = open_repl(relay.url, "ann-use")
        pane.line("to bob-use")
        pane.wait_for("^ann-use → bob-use>")
        pane.type("use ")
        pane.press("Tab")
        pane.wait_for("use night")
        pane.press("Enter")
        pane.wait_for(r"● .* bob-use +.*all is quiet$")
        pane.wait_for(r"^night-watch>")
        pane.wait_for(r"^ night-watch@.*1 unread")
        pane.press("C-d")
        pane.wait_until_over()
    assert {path.name for path in (tmp_path / "state" / "relay").glob("repl-history*")} == {
        "repl-history",
        "repl-history-night",
    }


async def test_without_colours_there_are_none(relay: Daemon, open_repl: Open) -> None:
    async with relay_client.connect(relay.url, agent="bob-plain") as bob:
        pane = open_repl(relay.url, "ann-plain", env={"NO_COLOR": "1"})
        await bob.send("ann-plain", "hello", channel="ci", claimable=True)
        pane.wait_for(r"\[ci\] \(work\) hello")
        pane.line("agents")
        pane.wait_for("^AGENT ", scrolled=True)
        assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|4[0-7]|10[0-7])", "\n".join(pane.screen(colours=True)))


async def test_colours_are_the_terminal_s_own(relay: Daemon, open_repl: Open) -> None:
    async with relay_client.connect(relay.url, agent="bob-colour") as bob:
        pane = open_repl(relay.url, "ann-colour")
        await bob.send("ann-colour", "hello", channel="ci", claimable=True)
        pane.wait_for(r"\[ci\] \(work\) hello")
        screen = "\n".join(pane.screen(colours=True))
        assert re.search(r"\x1b\[35m(\x1b\[[0-9;]*m)*\[ci\]", screen)
        assert re.search(r"\x1b\[36m(\x1b\[[0-9;]*m)*#\d", screen)
        assert not re.search(r"\x1b\[[0-9;]*[34]8;[25]", screen)
