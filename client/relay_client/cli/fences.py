"""Fences at the command line: where one comes from when none is given, and the file that hands a claim to a guard.

Rules
- A fence that was given is said as it is, and the relay judges it. Where none is, it is that of the claim which this
  agent holds now; who holds none is told so, and nothing is sent.
- The file of a claim is one line, `MESSAGE FENCE`, as `fence_file.py` writes it. Anything else in it is no claim.
"""

import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from .door import Door, ask
from .task_text import HELD
from .values import FENCE, parse_fence, parse_message_id

if TYPE_CHECKING:
    from relay_client import Agent

Result = TypeVar("Result")

MESSAGE_ENV: Final = "RELAY_MESSAGE"
FENCE_ENV: Final = "RELAY_FENCE"
FILE_BYTES_MAX: Final = 64
"""Room for two numbers of 19 digits. Of what is longer no more is read, and it is no claim: its line does not end."""


def fence_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --fence to a command about the claim of its `identifier`; `fence` arrives as a number or None."""

    @click.option(
        "--fence",
        type=FENCE,
        envvar=FENCE_ENV,
        metavar="N",
        help=f"The fence of your claim.  [env: {FENCE_ENV}; default: that of the claim you hold now]",
    )
    @functools.wraps(command)
    def with_fence(*args: Any, identifier: int, fence: int | None, **kwargs: Any) -> None:
        if _is_of_another(identifier):
            fence = None
        command(*args, identifier=identifier, fence=fence, **kwargs)

    return with_fence


def _is_of_another(message: int) -> bool:
    """Whether the fence is from an environment that was made for another message."""
    if click.get_current_context().get_parameter_source("fence") is not ParameterSource.ENVIRONMENT:
        return False
    try:
        return parse_message_id(os.environ[MESSAGE_ENV]) != message
    except (KeyError, ValueError):
        return False


async def say(
    door: Door, message: int, fence: int | None, word: Callable[["Agent", int], Awaitable[Result]]
) -> tuple[int, Result]:
    """Visits the relay and says `word` with the fence of a claim; gives the fence and what the word gives.

    A word that is said again after a lost connection carries the same fence: the first one may have ended the claim.
    """
    known = fence

    async def action(agent: "Agent") -> tuple[int, Result]:
        nonlocal known
        if known is None:
            known = await held_fence(agent, message)
        return known, await word(agent, known)

    return await ask(door, action)


async def held_fence(agent: "Agent", message: int) -> int:
    """The fence of the claim that this agent holds now. Raises ClickException when it holds none."""
    task = await agent.task(message)
    if task.state not in HELD:
        raise click.ClickException(f"{agent.name} holds no claim on message {message}: it is {task.state}")
    if task.holder != agent.name:
        raise click.ClickException(
            f"{agent.name} holds no claim on message {message}: {task.holder} does; --as says who you are"
        )
    return task.fence


def read_claim(path: Path) -> tuple[int, int]:
    """Message and fence from a file. Raises ClickException, in one line, for what is not there or is no claim."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX)
    except OSError as exc:
        raise click.ClickException(f"no claim: {path} can't be read: {exc.strerror or exc}") from None
    words = data.decode("ascii", "replace").split(" ")
    try:
        if len(words) != 2 or not words[1].endswith("\n"):
            raise ValueError
        return parse_message_id(words[0]), parse_fence(words[1].removesuffix("\n"))
    except ValueError:
        raise click.ClickException(
            f"no claim: {path} is not one line MESSAGE FENCE, as relay claim --file writes it"
        ) from None
