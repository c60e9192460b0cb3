"""A user at the keyboard of one REPL, without a terminal: keys go in through a pipe, what is printed is collected."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

import relay_client
from relay_client.repl.desk import Desk
from relay_client.repl.screen import Screen
from tests.repl.standing import NOW

WAIT_S = 20.0
_numbers = itertools.count(1)


def name(base: str) -> str:
    """A name that no other test of this process has."""
    return f"{base}-{next(_numbers)}"


class Terminal:
    """One REPL, and what it printed so far."""

    def __init__(self, screen: Screen, keys: PipeInput, lines: asyncio.Queue[str], running: asyncio.Task[None]) -> None:
        self.screen = screen
        self.desk = screen.desk
        self.keys = keys
        self.lines = lines
        self.running = running

    @property
    def name(self) -> str:
        return self.desk.agent.name

    @property
    def typed(self) -> str:
        """What stands in the line."""
        return self.screen.session.default_buffer.text

    @property
    def prompt(self) -> str:
        return fragment_list_to_text(self.screen.message())

    @property
    def toolbar(self) -> str:
        return fragment_list_to_text(self.screen.toolbar())

    def type(self, text: str) -> None:
        self.keys.send_text(text)

    async def see(self, part: str) -> str:
        """The next line that has `part` in it."""
        seen = []
        try:
            async with asyncio.timeout(WAIT_S):
                while part not in (line := await self.lines.get()):
                    seen.append(line)
        except TimeoutError:
            raise AssertionError(f"{part!r} was not printed; what was: {seen}") from None
        return line

    async def until_typed(self, text: str) -> None:
        """Waits until the line is this."""
        try:
            async with asyncio.timeout(WAIT_S):
                while self.typed != text:  # noqa: ASYNC110  # a line has no event: a person looks at it
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"the line is {self.typed!r}, not {text!r}") from None

    async def until_history(self) -> None:
        """Waits for a fresh prompt that knows the lines before: they are loaded behind its back."""
        buffer = self.screen.session.default_buffer
        async with asyncio.timeout(WAIT_S):
            while buffer.text or len(buffer._working_lines) < 2:  # noqa: ASYNC110  # no event, and no public name
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Waits for the REPL to end; raises what ended it."""
        async with asyncio.timeout(WAIT_S):
            await self.running


@asynccontextmanager
async def terminal(url: str, agent_name: str) -> AsyncIterator[Terminal]:
    lines: asyncio.Queue[str] = asyncio.Queue()

    def show(shown: Iterable[str]) -> None:
        for line in shown:
            lines.put_nowait(line)

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        async with relay_client.connect(url, agent=agent_name, credit=1024) as agent:
            screen = Screen(Desk(agent, show=show, now=lambda: NOW, width=lambda: 120), url)
            running = asyncio.create_task(screen.run())
            try:
                yield Terminal(screen, keys, lines, running)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
