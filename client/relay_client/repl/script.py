"""The REPL without a terminal: one command a line, from stdin or from -c. It stops at the first error, or goes on and
remembers it.

Rules
- The exit code is that of the first error. With --keep-going each error is said, and what follows is done; what ends
  the session ends the script in any case.
- No message is taken, so none is shown or counts as seen, but by the commands that show one. After `watch` the news
  that the relay tells are printed too, in the form that is set.
"""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Final

from relay_proto import limits

from ..cli.events import event_lines
from ..cli.failure import explain, report
from ..cli.records import json_line, struct_record
from . import forms
from .commands import Quit, Switch, call_of
from .desk import Desk
from .grammar import GrammarError

if TYPE_CHECKING:
    from relay_client import Events

LINE_BYTES_MAX: Final = 2 * limits.BODY_BYTES_MAX
"""Bytes of one line: room for the largest body and the command before it."""
NOTE_CHARS: Final = 80


class Script:
    """The lines of one script, which may be done in several sessions (`use`). code: what it ends with."""

    def __init__(self, commands: Sequence[str] = (), *, keep_going: bool = False) -> None:
        self.code = 0
        self._keep_going = keep_going
        self._where = "-c" if commands else "line"
        self._number = 0
        self._lines = given_lines(commands) if commands else stdin_lines()

    async def run(self, desk: Desk) -> None:
        """Does what is left of the lines. Raises Switch, and what the first failing line raises, with a note that names
        it."""
        news: asyncio.Task[None] | None = None
        try:
            async for line in self._lines:
                self._number += 1
                try:
                    call = call_of(desk, line)
                    events = None
                    if news is None and call is not None and call.command.name == "watch":
                        events = desk.agent.events()  # made before the command: nothing is missed
                    if call is not None:
                        result = await call(desk)
                        desk.show(forms.show(result, desk.form))
                    if events is not None and desk.settings.watch:
                        news = asyncio.create_task(tell(desk, events))
                except Quit:
                    return
                except Switch:
                    raise
                except Exception as exc:
                    self._failed(exc, line)
        finally:
            if news is not None:
                news.cancel()
                await asyncio.gather(news, return_exceptions=True)

    async def close(self) -> None:
        """What reads stdin reads no more."""
        await self._lines.aclose()

    def _failed(self, exc: Exception, line: str) -> None:
        """Says it and goes on, or raises it."""
        from relay_client import Disconnected, Removed, Replaced
        from relay_proto.errors import Unauthorized

        exc.add_note(f"in {self._where} {self._number}: {line.strip()[:NOTE_CHARS]}")
        if not self._keep_going or isinstance(exc, (Disconnected, Removed, Replaced, Unauthorized)):
            raise exc
        self.code = self.code or explain(exc)[0]
        report("relay-repl", exc)


async def tell(desk: Desk, events: "Events") -> None:
    """Prints what the relay tells."""
    async for event in events:
        if desk.form in ("json", "jsonl"):
            desk.show([json_line(struct_record(event))])
        else:
            desk.show(f"* {line}" for line in event_lines(event, desk.agent.name, now=desk.now()))


async def given_lines(commands: Sequence[str]) -> AsyncGenerator[str, None]:
    """What was given with -c."""
    for command in commands:
        yield command


async def stdin_lines() -> AsyncGenerator[str, None]:
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
