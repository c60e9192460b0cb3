"""The REPL on a terminal: the prompt, live messages above it, the toolbar below it."""

import asyncio
import signal
from collections.abc import Awaitable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from relay_proto import limits

from ..cli.escape import escape
from ..cli.failure import explain
from ..cli.names import state_folder
from .commands import COMMANDS, Quit
from .completion import LiveCompleter
from .desk import Desk
from .grammar import parse

TOOLBAR_REFRESH_S = 0.5
SLOW_S = 1.0
"""Seconds without an answer after which the user is told what they wait for."""


class Screen:
    """One terminal in front of one desk."""

    def __init__(self, desk: Desk, url: str) -> None:
        self.desk = desk
        self.url = url
        self.running: asyncio.Task[None] | None = None  # the command that is being waited for
        self.session: PromptSession[str] = PromptSession(
            history=open_history(),
            completer=LiveCompleter(desk, COMMANDS),
            complete_while_typing=False,
            enable_history_search=True,
            bottom_toolbar=self.toolbar,
            refresh_interval=TOOLBAR_REFRESH_S,
        )

    async def run(self) -> None:
        """Until the user leaves. Raises when the session can't go on (replaced, not allowed)."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        with patch_stdout(raw=True):
            desk = self.desk
            parts = (self.prompt(), desk.receive(), desk.announce(), desk.listen(desk.agent.events()))
            tasks = [asyncio.create_task(part) for part in parts]
            try:
                finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                loop.remove_signal_handler(signal.SIGINT)
        for task in finished:
            task.result()

    async def prompt(self) -> None:
        """Reads a line, does it, again."""
        while True:
            try:
                line = await self.session.prompt_async(f"{self.desk.agent.name}> ", handle_sigint=False)
            except KeyboardInterrupt:  # Ctrl-C at the prompt: a fresh line
                continue
            except EOFError:
                return
            try:
                call = parse(line, COMMANDS)
                if call is not None:
                    await self.interruptible(self.show(call(self.desk)))
            except Quit:
                return
            except Exception as exc:
                self.desk.show([f"! {explain(exc)[1]}"])

    async def show(self, lines: Awaitable[list[str]]) -> None:
        self.desk.show(await lines)

    async def interruptible(self, work: Any) -> None:
        """Waits for a command; Ctrl-C ends the waiting, the connection stays usable."""
        self.running = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait([self.running], timeout=SLOW_S)
            if not done:
                self.desk.show(["* waiting for the relay; Ctrl-C ends the waiting"])
                await asyncio.wait([self.running])
            if self.running.cancelled():
                self.desk.show(["! stopped waiting; the relay may still do it"])
            else:
                self.running.result()
        finally:
            self.running.cancel()
            self.running = None

    def interrupt(self) -> None:
        """SIGINT: while a prompt is open Ctrl-C is a key, so this one is meant for the running command."""
        if self.running is not None:
            self.running.cancel()

    def toolbar(self) -> str:
        """`builder@localhost:4850 | connected, 0.4 ms | 2 unread | 1 claimed`"""
        agent = self.desk.agent
        place = self.url.split("://")[-1].rstrip("/")
        state = "connecting again..."
        if agent.connected:
            state = "connected"
            if agent.round_trip_s is not None:
                state += f", {agent.round_trip_s * 1000:.1f} ms"
        unread = len(self.desk.unread)
        more = "+" if unread >= limits.CREDIT_MAX else ""  # the relay holds back what goes beyond the credit
        parts = [f"{agent.name} at {place}", state, f"{unread}{more} unread"]
        if self.desk.fences:
            parts.append(f"{len(self.desk.fences)} claimed")
        return escape(" " + " | ".join(parts))


def open_history() -> History:
    """Lines of earlier runs, in a file only the user can read; kept in memory where there is no place for it."""
    try:
        path = state_folder() / "repl-history"
        path.touch(mode=0o600)
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
