"""The REPL without a terminal: one command a line from stdin, and it stops at the first error."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator

from relay_proto import limits

from .commands import COMMANDS, Quit
from .desk import Desk
from .grammar import GrammarError, parse

LINE_BYTES_MAX = 2 * limits.BODY_BYTES_MAX
"""Bytes of one line: room for the largest body and the command before it."""


async def run_script(desk: Desk) -> None:
    """Does each line of stdin in turn. Raises what the first failing one raises, with a note that names it."""
    number = 0
    async for line in stdin_lines():
        number += 1
        try:
            call = parse(line, COMMANDS)
            if call is not None:
                desk.show(await call(desk))
        except Quit:
            return
        except Exception as exc:
            exc.add_note(f"in line {number}: {line.strip()[:80]}")
            raise


async def stdin_lines() -> AsyncIterator[str]:
    """The lines of stdin. Waiting for one on a pipe keeps the loop free, so that the session and its claims live on."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        for line in sys.stdin:  # a file or /dev/null: reading never waits, and the loop can't watch them
            yield line
        return
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while data := await _line_of(reader):
            yield data.decode(errors="replace")
    finally:
        transport.close()


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise GrammarError(f"a line of stdin is longer than {LINE_BYTES_MAX} bytes; no command needs that") from None
