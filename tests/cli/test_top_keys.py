"""top_keys.py: what is typed at a terminal, which is as before afterwards."""

import asyncio
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from relay_client.cli.top_keys import keys

WAIT_S = 10.0


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """(the side that types, the side that is our stdin)."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", closefd=False) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def test_each_character_comes_at_once_and_is_not_shown(terminal: tuple[int, int]) -> None:
    typing, stdin = terminal
    typed: asyncio.Queue[str] = asyncio.Queue()
    before = termios.tcgetattr(stdin)
    with keys(typed.put_nowait):
        os.write(typing, "qé".encode())
        async with asyncio.timeout(WAIT_S):
            assert [await typed.get(), await typed.get()] == ["q", "é"]
        local = termios.tcgetattr(stdin)[3]
        assert not local & (termios.ECHO | termios.ICANON)
        assert local & termios.ISIG, "Ctrl-C is a signal still"
    assert termios.tcgetattr(stdin) == before


async def test_the_terminal_is_as_before_also_after_an_error(terminal: tuple[int, int]) -> None:
    before = termios.tcgetattr(terminal[1])
    with pytest.raises(ZeroDivisionError), keys(lambda key: None):
        raise ZeroDivisionError
    assert termios.tcgetattr(terminal[1]) == before


async def test_where_stdin_is_no_terminal_nothing_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        with keys(lambda key: pytest.fail(key)):
            await asyncio.sleep(0)
