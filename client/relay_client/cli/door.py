"""How a command reaches the relay: the options that every client command has, and the visit it works in.

A command visits: it disturbs no session of its name, and any number of them may run at the same moment. Cut off in the
middle, by a relay that restarts, `ask` does its action again. What it sends must therefore carry a key, and what it
says about a claim the fence.
"""

import asyncio
import functools
import getpass
import os
import random
import re
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from relay_proto import limits
from relay_proto.errors import BadRequest, RelayError
from relay_proto.targets import AGENT_PATTERN, BROADCAST_WORDS, parse_target

from ..address import DEFAULT_URL
from ..profiles import SettingsError, profile_names
from ..settings import COMMAND_LINE, DEFAULT, Settings, resolve
from .spans import span_text
from .values import span

if TYPE_CHECKING:
    from relay_client import Agent

Result = TypeVar("Result")

AGAIN_S: Final = 10.0
"""Seconds in which `ask` tries again: enough for a relay's restart."""
AGAIN_PAUSE_S: Final = (0.02, 0.5)
"""First and largest pause before another try."""
COMMAND_TIMEOUT_S: Final = 30.0
TIMEOUT_S_MIN: Final = 0.1
"""Seconds below which no relay can be expected to answer."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the relay is and who knocks. `settings`: what else was set, and where URL and token came from."""

    url: str
    token: str | None
    name: str
    timeout_s: float
    settings: Settings | None = None


def check_agent(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of a parameter: an agent id; anything else is a usage error, before a connection is made."""
    if value is not None and (not re.match(AGENT_PATTERN, value) or value in BROADCAST_WORDS):
        raise click.BadParameter(f"{value[:160]!r} is no agent id: 1-128 characters of A-Z a-z 0-9 . _ - @ /")
    return value


def check_target(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of a parameter: a target (`builder`, `cap:review`, `ALL`); anything else is a usage error."""
    try:
        if value is not None:
            parse_target(value)
    except BadRequest as exc:
        raise click.BadParameter(exc.message) from None
    return value


def profiles_that_begin(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of profiles that begin so, for the completion of a shell."""
    try:
        return [name for name in profile_names(os.environ) if name.startswith(incomplete)]
    except SettingsError:
        return []  # a Tab is no place for errors: the command will say it


def default_name(prefix: str = "") -> str:
    """`USER@HOST` with a prefix, made of characters that an agent id may have."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose uid has no name
        user = f"uid-{os.getuid()}"
    return re.sub(r"[^A-Za-z0-9._@/-]", "-", f"{prefix}{user}@{socket.gethostname()}")[: limits.AGENT_CHARS_MAX]


def door_options(
    *,
    default_as: Callable[[], str],
    as_help: str,
    timeout_s: float,
    timeout_most_s: float,
    timeout_help: str,
    visits: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds --url, --token, --token-file, --profile, --as and --timeout to a command, which gets them as one `door`.

    What the command line leaves open is found by `settings.resolve`. A command that does not visit but registers
    (`visits` is False) takes its name from --as and RELAY_AS alone: in the environment of an agent RELAY_AGENT_ID names
    that agent, and the command would take its place.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--url", metavar="URL", help=f"The relay.  [env: RELAY_URL; default: {DEFAULT_URL}]")
        @click.option("--token", metavar="TOKEN", help="What lets you in.  [env: RELAY_TOKEN]")
        @click.option(
            "--token-file", metavar="FILE", help="A file with the token, yours alone.  [env: RELAY_TOKEN_FILE]"
        )
        @click.option(
            "--profile",
            metavar="NAME",
            shell_complete=profiles_that_begin,
            help="What profiles.json has under this name.  [env: RELAY_PROFILE]",
        )
        @click.option("--as", "name", callback=check_agent, metavar="NAME", help=as_help)
        @click.option(
            "--timeout",
            "timeout_s",
            type=span(TIMEOUT_S_MIN, timeout_most_s),
            default=timeout_s,
            metavar="TIME",
            help=f"{timeout_help}  [default: {span_text(timeout_s)}]",
        )
        @functools.wraps(command)
        def with_door(*args: Any, profile: str | None, name: str | None, timeout_s: float, **kwargs: Any) -> None:
            flags = {flag: kwargs.pop(flag) for flag in ("url", "token", "token_file")}
            settings = resolve(os.environ, profile, flags | {"agent": name})
            known = settings.agent if visits or settings.source("agent") in ITS_OWN_NAME else None
            door = Door(settings.url, settings.token, known or default_as(), timeout_s, settings)
            try:
                command(*args, door=door, **kwargs)
            except RelayError as exc:
                say_where_from(exc, settings)
                raise

        return with_door

    return with_options


def say_where_from(exc: RelayError, settings: Settings) -> None:
    """Adds to the error of a relay that was not reached where its address came from, to that of one which refused the
    token where that came from; to others nothing."""
    given = next((name for name in ("token", "token_file") if settings[name].value is not None), None)
    if exc.code == "unreachable":
        source = settings.source("url")
        exc.add_note(f"this one is {WHERE.get(source) or f'from {source}'}")
    elif exc.code == "unauthorized" and given is not None:
        source = settings.source(given)
        exc.add_note(f"the one that was sent is {WHERE.get(source) or f'from {source}'}")


WHERE: Final = {DEFAULT: "the default", COMMAND_LINE: "from the command line"}
ITS_OWN_NAME: Final = (COMMAND_LINE, "env RELAY_AS", "env AGENT_RELAY_AS")
"""Where a name comes from that is meant for a command, not for the agent in whose environment it runs."""

client_options = door_options(
    default_as=lambda: default_name("cli-"),
    as_help="Who you are; an agent of that name is not disturbed.  "
    "[env: RELAY_AS, RELAY_AGENT_ID; default: cli-USER@HOST]",
    timeout_s=COMMAND_TIMEOUT_S,
    timeout_most_s=float("inf"),
    timeout_help="Give up after this long without an answer: 10, 10s, 2m.",
)
"""Adds --url, --token, --as and --timeout to a command that visits; it gets them as one `door`."""


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs the coroutine of a command to its end. SIGTERM ends it as Ctrl-C does: with a bye.

    Not by way of SIGINT, which a shell without job control has its background commands ignore.
    """

    async def until_told() -> Result:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def ask(door: Door, action: Callable[["Agent"], Awaitable[Result]], *, again: bool = True) -> Result:
    """Visits the relay under the door's name, does `action`, leaves; gives the action's result.

    Nothing there at the first try is Unreachable at once. Cut off in the middle, it registers and does the whole action
    again, for at most AGAIN_S, as the same instance: what it claimed is still its own. Without `again` it does not, and
    raises Disconnected. Raises TimeoutError when the door's timeout_s passes
    without a result, else what connecting or the action raises.
    """
    import relay_client

    loop = asyncio.get_running_loop()
    again_until = loop.time() + AGAIN_S
    results: list[Result] = []
    pauses = jittered(*AGAIN_PAUSE_S)
    instance = secrets.token_hex(16)
    expected: tuple[type[Exception], ...] = (relay_client.Disconnected,)
    try:
        async with asyncio.timeout(door.timeout_s):
            while not results:
                try:
                    # A visit: a command that looks must not change who is there, nor take anybody's messages.
                    async with relay_client.connect(
                        door.url,
                        agent=door.name,
                        token=door.token or False,  # nothing else than what the settings said: they know whose it is
                        instance=instance,
                        visit=True,
                        reconnect=False,
                    ) as agent:
                        results.append(await action(agent))
                except expected:
                    if not results:
                        if not again or loop.time() > again_until:
                            raise
                        expected = (*expected, relay_client.Unreachable)  # it was there: it may be restarting
                        await asyncio.sleep(next(pauses))
    except TimeoutError:
        if not results:
            raise TimeoutError(f"no answer from {door.url} within {door.timeout_s:g} s") from None
    return results[0]


def jittered(first_s: float, max_s: float) -> Iterator[float]:
    """Pauses that double up to `max_s`, each drawn at random around its length, so that rivals fall out of step."""
    pause_s = first_s
    while True:
        yield pause_s * random.uniform(0.5, 1.5)
        pause_s = min(2 * pause_s, max_s)
