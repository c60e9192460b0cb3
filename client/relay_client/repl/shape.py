"""What a command of the REPL is made of: its name, its parameters, its options. Data; `grammar.py` reads lines by it.

The one table of them (commands/table.py) drives parsing, completion, validation, colours, help and the page
docs/repl.md alike, so that they can't disagree.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from .desk import Desk
    from .result import Result

Kind = Literal[
    "target", "agent", "id", "task", "pair", "about", "span", "count", "priority", "share", "choice", "name", "label",
    "tag", "cap", "channel", "key", "profile", "setting", "value", "json", "command", "flag", "word", "text",
]  # fmt: skip
"""What a word can be. id: a message; task: one that is work. about: a message or an agent. choice: one of `choices`.
command: the name of a command. word: any word, quoted where it has spaces. text: the rest of the line, as it stands."""

_VALUES = {
    "span": "TIME", "priority": "0-9", "id": "ID", "task": "ID", "pair": "ID", "count": "N", "target": "TARGET",
    "agent": "AGENT", "key": "KEY", "word": "TEXT", "share": "SHARE",
}  # fmt: skip
"""How the value of an option is written in help; NAME where its kind is not here."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: the name it has in help, what it is, whether it may be left out or stand several times.

    choices: of a choice. least_s, most_s: the limits of a span; most: of a count. signed: a name may have a + or a -
    before it.
    """

    name: str
    kind: Kind
    optional: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    least_s: float = 0.0
    most_s: float = float("inf")
    most: int = 1_000_000
    signed: bool = False

    def __str__(self) -> str:
        name = f"{self.name}..." if self.many else self.name
        return f"[{name}]" if self.optional else name


@dataclass(frozen=True, slots=True)
class Option:
    """One option: `--name VALUE` in front of the parameters. `field`: what `run` gets it as. many: may be repeated."""

    name: str
    kind: Kind
    field: str
    help: str
    choices: tuple[str, ...] = ()
    least_s: float = 0.0
    most_s: float = float("inf")
    most: int = 1_000_000
    many: bool = False

    @property
    def usage(self) -> str:
        """`--ttl TIME`"""
        if self.kind == "flag":
            return self.name
        return f"{self.name} {'|'.join(self.choices) or _VALUES.get(self.kind, 'NAME')}"


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    run: gets the desk, the parsed values in order (None where one was left out, a list where it may stand several
    times), and the options that were given by their field. help: one line. example: a line that works as it stands.
    more: further lines of its own help. subs: commands that it is a family of (`pair open`); it has no parameters of
    its own then, and `bare` names the one that is meant when none is. section: where the list of help has it.
    """

    name: str
    parameters: tuple[Parameter, ...]
    help: str
    run: "Callable[..., Awaitable[Result]]"
    options: tuple[Option, ...] = ()
    example: str = ""
    more: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    subs: "tuple[Command, ...]" = ()
    bare: str = ""
    section: str = ""

    @property
    def usage(self) -> str:
        """`send [OPTIONS] TARGET TEXT`, `pair open|accept|...`"""
        if self.subs:
            return f"{self.name} {'|'.join(sub.name.rpartition(' ')[2] for sub in self.subs)}"
        return " ".join([self.name, *(["[OPTIONS]"] if self.options else []), *map(str, self.parameters)])

    @property
    def takes_text(self) -> bool:
        """Whether a parameter takes the rest of the line: then options stand only in front of the parameters."""
        return any(parameter.kind in ("text", "json") for parameter in self.parameters)


def find(word: str, commands: Mapping[str, Command]) -> Command | None:
    """The command of this name or alias."""
    return commands.get(word) or next((command for command in commands.values() if word in command.aliases), None)


def find_sub(word: str, family: Command) -> Command | None:
    """The sub-command of this name: `open` of `pair`."""
    return next((sub for sub in family.subs if sub.name == f"{family.name} {word}"), None)


def joined(said: str, *more: str) -> str:
    """The parts of an error in one line: `there is no 'sned'; did you mean 'send'? help lists them`."""
    for part in more:
        said += f"{' ' if said.endswith('?') else '; '}{part}"
    return said


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed line: a command with its values and options."""

    command: Command
    values: tuple[Any, ...]
    options: Mapping[str, Any]

    async def __call__(self, desk: "Desk") -> "Result":
        """Does it. What is wrong about the values as a whole is a UsageError, too, and shows the form."""
        try:
            return await self.command.run(desk, *self.values, **self.options)
        except click.UsageError as exc:
            said = exc.format_message()
            if self.command.usage in said:
                raise
            raise click.UsageError(joined(said, self.command.usage)) from None
