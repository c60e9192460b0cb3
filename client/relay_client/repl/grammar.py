"""The grammar of a REPL line. Pure: text in, a call or an error that shows the right form out.

    line     = [ command { option } { parameter } ] | "#" comment
    option   = "--" name [ value ]       a flag has no value
    target   = word                      who a message is for
    agent    = word
    id       = ["#"] digits              a message; "ids" takes one or more
    about    = id | agent
    span     = digits ["s" | "m" | "h" | "d"]
    priority = "0" .. "9"
    name     = word                      a channel
    text     = the rest of the line, as it stands
    word     = characters without spaces, or "a quoted word" (label:"two words" too)

A command is a name with options and parameters of these kinds. The one table of commands (commands.py) drives parsing,
help and completion alike, so that they can't disagree.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from relay_proto.errors import BadRequest
from relay_proto.targets import AGENT_PATTERN, parse_target

from ..cli.failure import did_you_mean
from ..cli.spans import parse_span
from ..cli.values import parse_message_id, parse_priority

if TYPE_CHECKING:
    from .desk import Desk

Kind = Literal["target", "agent", "id", "ids", "about", "span", "priority", "name", "flag", "command", "text"]

_WORD: Final = re.compile(r'(?:"[^"]*"|[^\s"])+')


class GrammarError(click.UsageError):
    """A line that is no command; the message shows what would be one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: the name it has in help, what it is, and whether it may be left out."""

    name: str
    kind: Kind
    optional: bool = False
    most_s: float = float("inf")
    """Of a span: its limit."""

    def __str__(self) -> str:
        name = f"{self.name}..." if self.kind == "ids" else self.name
        return f"[{name}]" if self.optional else name


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command: `--name VALUE` in front of the parameters. `field`: what `run` gets it as."""

    name: str
    kind: Kind
    field: str
    help: str
    least_s: float = 0.0
    most_s: float = float("inf")
    """Of a span: its limits."""

    @property
    def usage(self) -> str:
        """`--ttl TIME`"""
        if self.kind == "flag":
            return self.name
        return f"{self.name} { {'span': 'TIME', 'priority': '0-9', 'id': 'ID'}.get(self.kind, 'NAME') }"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `run` gets the desk, the parsed values in order (None where one was left out), options by field."""

    name: str
    parameters: tuple[Parameter, ...]
    help: str
    run: "Callable[..., Awaitable[list[str]]]"
    options: tuple[Option, ...] = ()

    @property
    def usage(self) -> str:
        """`send [OPTIONS] TARGET TEXT`"""
        return " ".join([self.name, *(["[OPTIONS]"] if self.options else []), *map(str, self.parameters)])


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed line: a command with its values and options."""

    command: Command
    values: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self, desk: "Desk") -> Awaitable[list[str]]:
        return self.command.run(desk, *self.values, **self.options)


def parse(line: str, commands: Mapping[str, Command]) -> Call | None:
    """The call that `line` means, or None for an empty line or a comment. Raises GrammarError."""
    name, rest = split_word(line)
    if not name or name.startswith("#"):
        return None
    command = commands.get(name)
    if command is None:
        raise GrammarError(f"there is no command {name[:40]!r}{did_you_mean(name, commands)}; help lists them")
    options, rest = _take_options(command, rest)
    values: list[Any] = []
    for parameter in command.parameters:
        value, rest = _take(parameter, rest, command)
        values.append(value)
    if rest:
        raise GrammarError(f"{rest[:40]!r} is too much; {command.usage}")
    return Call(command, tuple(values), options)


def split_word(text: str) -> tuple[str, str]:
    """The first word of `text`, without its quotes, and the rest without the spaces between. No word: two empties."""
    text = text.strip()
    found = _WORD.match(text)
    if found is None:
        return text, ""  # empty, or a quote that is never closed: let it fail as a word
    return found[0].replace('"', ""), text[found.end() :].lstrip()


def _take_options(command: Command, rest: str) -> tuple[dict[str, Any], str]:
    """The options in front of the parameters. A command that has none takes what begins with -- as it stands."""
    taken: dict[str, Any] = {}
    known = {option.name: option for option in command.options}
    while known and rest.startswith("--"):
        word, rest = split_word(rest)
        option = known.get(word)
        if option is None:
            raise GrammarError(
                f"{command.name} has no option {word[:40]!r}{did_you_mean(word, known)}; help {command.name} lists them"
            )
        if option.kind == "flag":
            taken[option.field] = True
            continue
        if not rest:
            raise GrammarError(f"a value is missing: {option.usage}; {command.usage}")
        value, rest = split_word(rest)
        try:
            taken[option.field] = _value(option, value)
        except ValueError as exc:
            raise GrammarError(f"{word}: {exc}; {command.usage}") from None
    return taken, rest


def _value(option: Option, word: str) -> Any:
    match option.kind:
        case "span":
            return parse_span(word, option.least_s, option.most_s)
        case "priority":
            return parse_priority(word)
        case "id":
            return parse_message_id(word)
        case _:
            return word


def _take(parameter: Parameter, rest: str, command: Command) -> tuple[Any, str]:
    if not rest:
        if parameter.optional:
            return None, ""
        raise GrammarError(f"{parameter.name} is missing; {command.usage}")
    if parameter.kind == "text":
        return rest, ""
    word, behind = split_word(rest)
    try:
        match parameter.kind:
            case "ids":
                values = [parse_message_id(word)]
                while behind:
                    word, behind = split_word(behind)
                    values.append(parse_message_id(word))
                return values, ""
            case "id":
                return parse_message_id(word), behind
            case "span":
                return parse_span(word, most_s=parameter.most_s), behind
            case "about":
                return (parse_message_id(word) if word.removeprefix("#").isdigit() else _agent(word)), behind
            case "agent":
                return _agent(word), behind
            case "target":
                parse_target(word)
                return word, behind
            case _:
                return word, behind
    except ValueError as exc:
        raise GrammarError(f"{exc}; {command.usage}") from None
    except BadRequest as exc:
        raise GrammarError(f"{exc.message}; {command.usage}") from None


def _agent(word: str) -> str:
    if not re.match(AGENT_PATTERN, word):
        raise ValueError(f"{word[:40]!r} is no agent id")
    return word
