"""`relay top`: the relay at a glance, again and again.

The screen is drawn by rich, on the terminal's other page, so that what stood there before is there again afterwards.
One task asks the relay, another draws: a relay that does not answer is a line on the screen, and keys work meanwhile.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from relay_proto import limits
from relay_proto.frames import Overview

from .door import Door, ask, client_options, run
from .output import Form, now, output_options, put, put_record
from .records import struct_record
from .spans import about
from .top_keys import keys
from .top_rates import Rates
from .top_view import ORDERS, Line, Screen, frame
from .values import span

if TYPE_CHECKING:
    from rich.text import Text

    from relay_client import Agent

EVERY_S_MIN: Final = 0.2
EVERY_S_MAX: Final = 3600.0
NO_SCREEN: Final = ("dumb", "unknown")
"""Terminals that have no other page, and know no colours."""
DRAW_S: Final = 1.0
"""A screen is drawn at least so often: its clock goes on while the relay does not answer."""
STYLES: Final = {
    "title": "bold", "plain": "", "good": "green", "warn": "yellow", "bad": "bold red", "heading": "bold cyan",
    "dim": "dim", "keys": "reverse",
}  # fmt: skip


@click.command(short_help="Watch the relay: rates, oldest unacked, stuck work, who is online.")
@click.option(
    "--every",
    "every_s",
    type=span(EVERY_S_MIN, EVERY_S_MAX),
    default=1.0,
    metavar="TIME",
    help="Look this often: 1s, 5s.  [default: 1s]",
)
@click.option("--once", is_flag=True, help="Print one frame as text and end. So does a stdout that is no terminal.")
@click.option("--order", type=click.Choice(list(ORDERS)), default="in hand", help="Of those who are online.")
@output_options
@client_options
def top(every_s: float, once: bool, order: str, form: Form, door: Door) -> None:
    """Show how the relay is, on a full screen that is drawn anew each second.

    Rates are of the time between two looks. STUCK WORK: claimed and no word of it for 10 minutes, parked for an hour,
    or ready for 10 minutes and nobody claims it. OLDEST UNACKED: of each inbox the oldest message that is due and not
    dealt with; OPEN counts all of these, whether the agent is there or not. IN HAND: of these, what the agent's session
    was given and has not acked. What is counted in the store may be 5 s old.

    Keys: q leaves, p holds the screen, s changes the order of those who are online.

    --json and --jsonl print one record, of one look. --once takes two looks, so that it has rates.
    """
    if form.is_json:
        put_record(struct_record(run(ask(door, _look))[0]))
    elif once or not sys.stdout.isatty() or os.environ.get("TERM") in NO_SCREEN:
        run(ask(door, lambda agent: _text(agent, door, every_s, order)))
    else:
        run(_watch(door, every_s, order))


async def _look(agent: "Agent") -> tuple[Overview, float | None]:
    """(what the relay shows, seconds that it took; None when the connection was lost meanwhile)."""
    loop = asyncio.get_running_loop()
    asked_at, session = loop.time(), agent.session if agent.connected else None
    shown = await agent.overview(limits.OVERVIEW_ENTRIES_MAX)
    return shown, loop.time() - asked_at if agent.session == session else None


async def _text(agent: "Agent", door: Door, every_s: float, order: str) -> None:
    """One frame as text, with the rates between two looks."""
    rates = Rates()
    rates.take((await _look(agent))[0])
    await asyncio.sleep(every_s)
    shown, took_s = await _look(agent)
    rates.take(shown)
    screen = Screen(door.url, "", round_trip_s=took_s, order=order)
    put(line.text.rstrip() for line in frame(rates, screen, None, None))


class Watch:
    """The full screen. `changed` is set when there is something new to draw."""

    def __init__(self, door: Door, every_s: float, order: str) -> None:
        self.screen = Screen(door.url, "", order=order)
        self.every_s = every_s
        self.rates = Rates()
        self.changed = asyncio.Event()
        self.left = False
        self._lost_at: float | None = None

    def pressed(self, key: str) -> None:
        """A key; those that mean nothing do nothing."""
        screen = self.screen
        match key:
            case "q" | "Q":
                self.left = True
            case "p" | "P" | " ":
                screen.is_paused = not screen.is_paused
            case "s" | "S":
                orders = list(ORDERS)
                screen.order = orders[(orders.index(screen.order) + 1) % len(orders)]
            case _:
                return
        self.changed.set()

    async def ask(self, agent: "Agent") -> None:
        """Look at the relay, again and again. An answer that does not come is waited for; the client reconnects."""
        while True:
            await asyncio.sleep(self.every_s)
            if not self.screen.is_paused:
                shown, self.screen.round_trip_s = await _look(agent)
                self.rates.take(shown)
                self.changed.set()

    def lines(self, agent: "Agent", width: int, height: int) -> list[Line]:
        """What to show now."""
        loop = asyncio.get_running_loop()
        if agent.connected:
            self._lost_at, news = None, ""
        else:
            self._lost_at = self._lost_at if self._lost_at is not None else loop.time()
            news = f"no connection for {about(loop.time() - self._lost_at)}, trying again"
        screen = replace(self.screen, clock=f"{now():%H:%M:%S}", news=news)
        return frame(self.rates, screen, width, height)


async def _watch(door: Door, every_s: float, order: str) -> None:
    import relay_client

    watch = Watch(door, every_s, order)
    watch.rates.take((await ask(door, _look))[0])  # a relay that is not there is an error, not a screen
    async with relay_client.connect(door.url, agent=door.name, token=door.token or False, visit=True) as agent:
        await _draw(watch, agent)


async def _draw(watch: Watch, agent: "Agent") -> None:
    """Until somebody leaves, or the session ends for good. Raises what ended it."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    loop = asyncio.get_running_loop()
    asking = asyncio.create_task(watch.ask(agent))
    asking.add_done_callback(lambda _: watch.changed.set())
    loop.add_signal_handler(signal.SIGWINCH, watch.changed.set)
    try:
        with keys(watch.pressed), Live(console=console, screen=True, auto_refresh=False) as live:
            while not watch.left and not asking.done():
                live.update(_drawn(watch.lines(agent, *console.size)), refresh=True)
                watch.changed.clear()
                try:
                    await asyncio.wait_for(watch.changed.wait(), DRAW_S)
                except TimeoutError:
                    continue  # its clock goes on
        if asking.done():
            asking.result()
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        asking.cancel()


def _drawn(lines: list[Line]) -> "Text":
    """The lines as rich draws them."""
    from rich.text import Text

    drawn = Text(no_wrap=True, overflow="crop", end="")
    for place, line in enumerate(lines):
        drawn.append(("\n" if place else "") + line.text, STYLES[line.kind])
    return drawn
