"""The grammar of a REPL line. Pure: text in, a call or an error that shows the right form out.

    line     = [ command { parameter } ] | "#" comment
    target   = word                      who a message is for
    id       = ["#"] digits              a message; "ids" takes one or more
    text     = the rest of the line, as it stands
    word     = characters without spaces, or "a quoted word" (label:"two words" too)

A command is a name with parameters of these kinds. The one table of commands (commands.py) drives parsing, help and
completion alike, so that they can't disagree.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from relay_proto import limits
from relay_proto.errors import BadRequest
from relay_proto.targets import parse_target

from ..cli.failure import did_you_mean

if TYPE_CHECKING:
    from .desk import Desk

Kind = Literal["target", "id", "ids", "command", "text"]

_WORD: Final = re.compile(r'(?:"[^"]*"|[^\s"])+')


class GrammarError(click.UsageError):
    """A line that is no command; the message shows what would be one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: the name it has in help, what it is, and whether it may be left out."""

    name: str
    kind: Kind
    optional: bool = False

    def __str__(self) -> str:
        name = f"{self.name}..." if self.kind == "ids" else self.name
        return f"[{name}]" if self.optional else name


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `run` gets the desk and the parsed values in order (None where one was left out)."""

    name: str
    parameters: tuple[Parameter, ...]
    help: str
    run: "Callable[..., Awaitable[list[str]]]"

    @property
    def usage(self) -> str:
        """`send TARGET TEXT`"""
        return " ".join([self.name, *map(str, self.parameters)])


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed line: a command with its values."""

    command: Command
    values: tuple[Any, ...]

    def __call__(self, desk: "Desk") -> Awaitable[list[str]]:
        return self.command.run(desk, *self.values)


def parse(line: str, commands: Mapping[str, Command]) -> Call | None:
    """The call that `line` means, or None for an empty line or a comment. Raises GrammarError."""
    name, rest = split_word(line)
    if not name or name.startswith("#"):
        return None
    command = commands.get(name)
    if command is None:
        raise GrammarError(f"there is no command {name[:40]!r}{did_you_mean(name, commands)}; help lists them")
    values: list[Any] = []
    for parameter in command.parameters:
        value, rest = _take(parameter, rest, command)
        values.append(value)
    if rest:
        raise GrammarError(f"{rest[:40]!r} is too much; {command.usage}")
    return Call(command, tuple(values))


def split_word(text: str) -> tuple[str, str]:
    """The first word of `text`, without its quotes, and the rest without the spaces between. No word: two empties."""
    text = text.strip()
    found = _WORD.match(text)
    if found is None:
        return text, ""  # empty, or a quote that is never closed: let it fail as a word
    return found[0].replace('"', ""), text[found.end() :].lstrip()


def _take(parameter: Parameter, rest: str, command: Command) -> tuple[Any, str]:
    if not rest:
        if parameter.optional:
            return None, ""
        raise GrammarError(f"{parameter.name} is missing; {command.usage}")
    match parameter.kind:
        case "text":
            return rest, ""
        case "ids":
            values = []
            while rest:
                word, rest = split_word(rest)
                values.append(_identifier(word, command))
            return values, ""
        case "id":
            word, rest = split_word(rest)
            return _identifier(word, command), rest
        case "target":
            word, rest = split_word(rest)
            try:
                parse_target(word)
            except BadRequest as exc:
                raise GrammarError(f"{exc.message}; {command.usage}") from None
            return word, rest
        case "command":
            return split_word(rest)


def _identifier(word: str, command: Command) -> int:
    digits = word.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:20]) <= limits.ID_MAX):
        raise GrammarError(f"{word[:40]!r} is no message id (12 or #12); {command.usage}")
    return int(digits)
