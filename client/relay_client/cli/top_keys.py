"""The keys of a full screen: what is typed comes at once, is not shown, and the terminal is as before afterwards."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

READ_BYTES: Final = 1024


@contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, `pressed` gets each character that is typed. Ctrl-C stays Ctrl-C.

    Where stdin is no terminal, nothing is typed.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def read() -> None:
        try:
            typed = os.read(terminal, READ_BYTES)
        except OSError:  # it hung up
            typed = b""
        if not typed:
            loop.remove_reader(terminal)  # the terminal is gone
        for character in typed.decode("utf-8", "replace"):
            pressed(character)

    try:
        tty.setcbreak(terminal)
        loop.add_reader(terminal, read)
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
