"""The REPL on a terminal: the prompt, live messages above it, the toolbar below it.

Rules
- Everything is printed in the event loop's own thread: while the prompt is open through `run_in_terminal`, which takes
  the prompt away, prints, and draws it again; else at once. So nothing tears the line that is being typed.
- While a command runs there is no prompt: keys are kept for the next one, and Ctrl-C ends the waiting.
- A command that fails says so in one line and the prompt goes on. What ends the session ends the screen.
"""

import asyncio
import signal
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, Final

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, get_app_session, run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.patch_stdout import patch_stdout

from ..cli.escape import escape
from ..cli.failure import explain
from ..cli.render import cut
from . import forms, paint, toolbar
from .commands import COMMANDS, Quit, Switch, call_of, peer_of
from .completion import LiveCompleter
from .desk import Desk
from .hint import hint
from .history import open_history
from .keys import bindings, typed_ahead
from .lexer import LineLexer
from .live import Live
from .style import STYLE
from .validation import LineValidator

TOOLBAR_REFRESH_S: Final = 0.5
SLOW_S: Final = 1.0
"""Seconds without an answer after which the user is told what they wait for."""
PROMPT_CELLS_MAX: Final = 32
"""Cells of each name in the prompt: a long one must leave room for the line."""
CLOSING: Final = (signal.SIGHUP, signal.SIGTERM)
"""The window was closed, or the system goes down: the session is ended in good order, claims are free at once."""
SAYING: Final = ("say", "pair say")
"""What goes to whomever one talks to."""
WELCOME: Final = "to NAME begins a talk, help lists the commands, Tab completes"


_last: asyncio.Future[None] | None = None
"""The last print above an open prompt; it waits while something else has the terminal."""


def show(lines: Iterable[str]) -> None:
    """Prints ready lines: above the prompt where one is open."""
    global _last
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    if get_app().is_running:
        _last = asyncio.ensure_future(run_in_terminal(partial(_write, text)))
    else:
        _write(text)


async def printed() -> None:
    """Waits until all that was shown stands on the screen."""
    if _last is not None and not _last.done():
        await asyncio.shield(_last)


def _write(text: str) -> None:
    output = get_app_session().output
    output.enable_autowrap()
    output.write_raw(text.replace("\n", "\r\n"))
    output.flush()


class Screen:
    """One terminal in front of one desk. token: what let it in; a line that holds it is not kept in the history."""

    def __init__(self, desk: Desk, url: str, *, token: str | None = None) -> None:
        self.desk = desk
        self.place = url.split("://")[-1].rstrip("/")
        self.running: asyncio.Task[None] | None = None  # the command that is being waited for
        self.session: PromptSession[str] = PromptSession(
            history=open_history(desk.profile, token),
            completer=LiveCompleter(desk, COMMANDS),
            lexer=LineLexer(desk, COMMANDS),
            validator=LineValidator(desk),
            validate_while_typing=True,
            auto_suggest=AutoSuggestFromHistory(),
            complete_while_typing=False,
            enable_history_search=True,
            enable_suspend=True,
            key_bindings=bindings(desk),
            bottom_toolbar=self.toolbar,
            rprompt=self.hint,
            placeholder=[("class:hint", WELCOME)],
            prompt_continuation=continuation,
            style=STYLE,
            tempfile_suffix=".txt",
            refresh_interval=TOOLBAR_REFRESH_S,
        )
        self.begun_for: str | None = None  # whom bare text went to when the line was begun
        self.is_begun = False
        self.again = ""  # what the next prompt begins with
        self.session.default_buffer.on_text_changed += self.begin
        desk.clear = self.clear
        desk.printed = printed

    async def run(self) -> None:
        """Until the user leaves. Raises Switch, and whatever ends the session (replaced, not allowed)."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        for number in CLOSING:
            loop.add_signal_handler(number, closed.set)
        events = self.desk.agent.events()  # made before anything is asked, so that nothing is missed
        try:
            with patch_stdout(raw=True), self.session.input.raw_mode():
                await first_of(self.prompt(), until(closed), *Live(self.desk).loops(events))
        finally:
            for number in (signal.SIGINT, *CLOSING):
                loop.remove_signal_handler(number)

    async def prompt(self) -> None:
        """Reads a line, does it, again."""
        while True:
            try:
                again, self.again = self.again, ""
                self.begun_for, self.is_begun = peer_of(self.desk), bool(again)
                line = await self.session.prompt_async(self.message, handle_sigint=False, default=again)
            except KeyboardInterrupt:  # Ctrl-C at the prompt: a fresh line
                continue
            except EOFError:
                return
            self.session.placeholder = None
            try:
                await self.interruptible(self.do(line))
            except Quit:
                return
            except Switch:
                raise
            except Exception as exc:
                show_error(self.desk, exc)

    async def do(self, line: str) -> None:
        """What the line says, and what came of it."""
        desk = self.desk
        call = call_of(desk, line)
        if call is None:
            if line.strip() and peer_of(desk) is not None:
                desk.show([paint.news_line("* a comment, said to nobody; say # ... says it")])
            return
        if call.command.name in SAYING and peer_of(desk) != self.begun_for:
            self.again = line
            was = f"; you began this line for {self.begun_for}" if self.begun_for is not None else ""
            raise click.ClickException(f"not sent: it would go to {peer_of(desk)} now{was}. Enter sends it")
        result = await call(desk)
        lines = forms.show(result, desk.form, is_terminal=True)
        desk.show(paint.answer_lines(lines, desk.width()) if desk.form == "table" else lines)
        await desk.surfaced(result.surfaces)

    async def interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Waits for a command; Ctrl-C ends the waiting, the connection stays usable."""
        self.running = asyncio.create_task(work)
        try:
            with typed_ahead(self.session.input, self.interrupt):
                done, _ = await asyncio.wait([self.running], timeout=SLOW_S)
                if not done:
                    self.desk.show([paint.news_line("* waiting for the relay; Ctrl-C ends the waiting")])
                    await asyncio.wait([self.running])
            if self.running.cancelled():
                self.desk.show(paint.error_lines("stopped waiting; the relay may still do it", self.desk.width()))
            else:
                self.running.result()
        finally:
            self.running.cancel()
            self.running = None

    def interrupt(self) -> None:
        """Ctrl-C while a command runs (as a key, or as the signal): its waiting ends."""
        if self.running is not None:
            self.running.cancel()

    def begin(self, buffer: Buffer) -> None:
        """Keeps whom one talked to when the line was begun: news can change that while one types."""
        if not self.is_begun:
            self.begun_for = peer_of(self.desk)
        self.is_begun = bool(buffer.text)

    def message(self) -> StyleAndTextTuples:
        """The prompt: `ann> `, `ann → bob> `"""
        parts: StyleAndTextTuples = [("class:prompt", cut(escape(self.desk.agent.name), PROMPT_CELLS_MAX))]
        peer = peer_of(self.desk)
        if peer is not None:
            parts += [("", " → "), ("class:prompt.peer", cut(escape(peer), PROMPT_CELLS_MAX))]
        return [*parts, ("class:prompt", "> ")]

    def hint(self) -> StyleAndTextTuples:
        """What the command takes; nothing of it stays above when the line was sent."""
        return (
            []
            if get_app().is_done
            else hint(self.session.default_buffer.document.text_before_cursor, COMMANDS, peer=peer_of(self.desk))
        )

    def toolbar(self) -> StyleAndTextTuples:
        """`ann@localhost:4850  ● 0.4 ms  2 unread  1 claimed`, as wide as the screen at most."""
        width = get_app().output.get_size().columns
        return toolbar.fitted(toolbar.parts(self.desk, self.place), width)

    def clear(self) -> None:
        """Empties the screen; between two prompts, so that nothing stands there that would have to be drawn again."""
        output = self.session.output
        output.erase_screen()
        output.cursor_goto(0, 0)
        output.flush()


def continuation(width: int, line: int, wraps: int) -> StyleAndTextTuples:
    """What stands before a further line: dots where it was begun with Alt-Enter, a space where it was too long."""
    return [("", "  ")] if wraps else [("class:continuation", "... ")]


def show_error(desk: Desk, exc: Exception) -> None:
    """What went wrong, in a line, with what was noted on the way."""
    words = "; ".join([explain(exc)[1], *(escape(note) for note in getattr(exc, "__notes__", ()))])
    desk.show(paint.error_lines(words, desk.width()))


async def until(closed: asyncio.Event) -> None:
    await closed.wait()


async def first_of(*loops: Coroutine[Any, Any, None]) -> None:
    """Runs them side by side until one ends; the others end with it. Raises what it raised."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in finished:
        task.result()
