"""keys: what each key does to the line, at a prompt in front of a real relay."""

import stat
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.repl.keyboard import name, terminal

ALT_ENTER = "\x1b\r"
UP, RIGHT, TAB, CTRL_R, CTRL_C = "\x1b[A", "\x1b[C", "\t", "\x12", "\x03"


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def test_ctrl_c_drops_the_line(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type(f"send bob half a li{CTRL_C}help help\r")
        assert "help [COMMAND" in await ann.see("help")


async def test_alt_enter_and_a_paste_make_a_text_of_several_lines_and_enter_sends_it(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type(f"send {ann.name} one{ALT_ENTER}two\r")
        await ann.see("one")
        await ann.see("            two")
        ann.type(f"send {ann.name} \x1b[200~three\nagents\x1b[201~\r")
        await ann.see("three")
        await ann.see("            agents")


async def test_tab_completes_and_enter_takes_the_chosen_one_before_it_sends(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("sched" + TAB)
        await ann.until_typed("schedule ")
        ann.type(CTRL_C + "re" + TAB)
        await ann.until_typed("re")
        ann.type(TAB)
        await ann.until_typed("reply ")
        ann.type("\r")
        ann.type("x")
        await ann.until_typed("reply x")


async def test_what_was_typed_before_is_suggested_and_found(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("help quit\r")
        await ann.see("Leave")
        ann.type("help claim\r")
        await ann.see("claim")
        ann.type("help q")
        await ann.until_typed("help q")
        buffer = ann.screen.session.default_buffer
        while buffer.suggestion is None or buffer.suggestion.text != "uit":
            await ann.until_typed("help q")
        ann.type(RIGHT)
        await ann.until_typed("help quit")
        ann.type(CTRL_C)
        await ann.until_history()
        ann.type(CTRL_R + "clai\r")
        await ann.until_typed("help claim")
        ann.type(CTRL_C)
        await ann.until_history()
        ann.type("help" + UP)
        await ann.until_typed("help claim")


async def test_the_line_is_edited_in_the_editor_that_was_set(
    shared: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "%s, edited\\nsecond line" "$(cat "$1")" > "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", "false")
    async with terminal(shared.url, name("ann")) as ann:
        ann.type(f"set editor {editor}\r")
        await ann.see("editor")
        ann.type("send bob text\x18\x05")
        await ann.until_typed("send bob text, edited\nsecond line")


async def test_an_editor_that_is_not_there_is_said_and_no_other_is_opened(shared: Daemon) -> None:
    async with terminal(shared.url, name("ann")) as ann:
        ann.type("set editor /no/such/editor\r")
        await ann.see("editor")
        ann.type("half a li\x18\x05")
        assert "can't run /no/such/editor" in await ann.see("!")
        ann.type("ne")
        await ann.until_typed("half a line")
