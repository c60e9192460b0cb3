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

import click

from relay_proto import limits

from ..cli.events import event_lines
from ..cli.failure import FAILED, explain, report
from ..cli.records import json_line, struct_record
from . import forms
from .commands import Quit, Switch, call_of
from .desk import Desk
from .grammar import GrammarError

if TYPE_CHECKING:
    from relay_client import Events

LINE_BYTES_MAX: Final = 2 * limits.BODY_BYTES_MAX
"""Bytes of one line: room for the largest body and the command before it."""
AS_IT_IS: Final = "surrogateescape"
"""What is no UTF-8 is refused when its line is done, as it is with -c; never mended and sent."""


class Failed(click.ClickException):
    """What went wrong in which line (`line 2: there is no command 'bad'`), with the exit code of what it was. The line
    itself is not repeated: it may hold what does not belong into a log."""

    exit_code: int  # type: ignore[misc]  # click has it as a class variable that its subclasses set

    def __init__(self, where: str, exc: Exception) -> None:
        code, text = explain(exc)
        self.exit_code = code
        super().__init__("; ".join([f"{where}: {text}", *getattr(exc, "__notes__", ())]))


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
                if self._number == 1:
                    line = line.removeprefix("\ufeff")  # some editors begin a file with it
                try:
                    refuse_no_text(line)
                    call = call_of(desk, line)
                    events = None
                    if news is None and call is not None and call.command.name == "watch":
                        events = desk.agent.events()  # made before the command: nothing is missed
                    if call is not None:
                        result = await call(desk)
                        desk.show(forms.show(result, desk.form))
                        await desk.surfaced(result.surfaces)
                    if events is not None and desk.settings.watch:
                        news = asyncio.create_task(tell(desk, events))
                except Quit:
                    return
                except Switch:
                    raise
                except Exception as exc:
                    self._failed(exc)
        finally:
            if news is not None:
                news.cancel()
                await asyncio.gather(news, return_exceptions=True)

    async def close(self) -> None:
        """What reads stdin reads no more."""
        await self._lines.aclose()

    def _failed(self, exc: Exception) -> None:
        """Says it and goes on, or raises it."""
        from relay_client import Disconnected, Removed, Replaced
        from relay_proto.errors import Unauthorized

        if isinstance(exc, BrokenPipeError) or (os.environ.get("RELAY_DEBUG") and explain(exc)[0] == FAILED):
            raise exc  # nobody reads any more; or the traceback is wanted
        failed = Failed(f"{self._where} {self._number}", exc)
        if not self._keep_going or isinstance(exc, (Disconnected, Removed, Replaced, Unauthorized)):
            raise failed from exc
        self.code = self.code or failed.exit_code
        report("relay-repl", failed)


def refuse_no_text(line: str) -> None:
    """Raises GrammarError for a line that is no UTF-8."""
    try:
        line.encode()
    except UnicodeEncodeError as exc:
        what = "; ".join(f"{ord(character) - 0xDC00:#x}" for character in line[exc.start : exc.end][:4])
        raise GrammarError(f"character {exc.start + 1} ({what}) is no UTF-8; write the script in UTF-8") from None


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
        for data in sys.stdin.buffer:  # a file or /dev/null: reading never waits, and the loop can't watch them
            yield data.decode(errors=AS_IT_IS)
        return
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while data := await _line_of(reader):
            yield data.decode(errors=AS_IT_IS)
    finally:
        transport.close()


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise GrammarError(f"a line of stdin is longer than {LINE_BYTES_MAX} bytes; no command needs that") from None
