"""`help`: the forms of all commands on one screen, a line for each, or one in full. All of it is read off the table."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ...cli.failure import did_you_mean
from ...cli.spans import FORM
from ..grammar import GrammarError
from ..result import Result, listed
from ..shape import Command, find, find_sub, joined

SECTIONS: Final = {
    "talk": "Talk",
    "look": "Look",
    "work": "Work",
    "give": "Hand out",
    "pair": "Pairs",
    "you": "You",
    "here": "Here",
}
"""The parts of the list, in their order, and their headings."""

TARGETS: Final = (
    "TARGET is an agent (builder) or its label; all of a group: tag:x, cap:x,",
    "label:x, channel:x, thread:ID, ALL; or the best placed: any:cap:x, any:tag:x.",
)
TIMES: Final = f"TIME is {FORM}."
ALL: Final = "all"
"""`help all`: a line for each command."""
WIDTH: Final = 79
"""Columns of what help prints: it stays whole on a terminal of 80."""
OPTION_CELLS: Final = 16
"""Columns of the options in one command's help; the help of a longer one begins behind it."""
MORE: Final = (
    "",
    "help COMMAND says all of one, with an example; help all has a line for each.",
    "/COMMAND is always a command, say TEXT always text. Tab completes, Alt-Enter",
    "begins a new line, Ctrl-R searches, Ctrl-C clears the line, Ctrl-D leaves.",
)


def help_of(words: list[str] | None, commands: Mapping[str, Command]) -> Result:
    """All commands, or the one that `words` name. Raises GrammarError."""
    if not words:
        every = list(every_command(commands))
        return listed([*_overview(every), *MORE], map(record, every), ("command", "usage", "help"))
    if words == [ALL]:
        every = list(every_command(commands))
        return listed([*_list(every), "", *TARGETS, TIMES], map(record, every), ("command", "usage", "help"))
    command = find(words[0].removeprefix("/"), commands)
    if command is None:
        near = did_you_mean(words[0], commands)
        raise GrammarError(joined(f"there is no command {words[0][:40]!r}{near}", "help lists them"))
    for word in words[1:]:
        sub = find_sub(word, command)
        if sub is None:
            near = did_you_mean(word, [one.name.rpartition(" ")[2] for one in command.subs])
            raise GrammarError(joined(f"there is no {command.name} {word[:40]!r}{near}", command.usage))
        command = sub
    found = list(every_command({command.name: command}))
    return Result([line for one in found for line in page(one)], [record(one) for one in found], len(found) > 1)


def every_command(commands: Mapping[str, Command]) -> Iterator[Command]:
    """All commands in their order, each family as its members."""
    for command in commands.values():
        yield from command.subs or (command,)


def record(command: Command) -> dict[str, Any]:
    """A command as data: for programs, and for docs/repl.md."""
    return {
        "command": command.name,
        "usage": command.usage,
        "help": command.help,
        "aliases": list(command.aliases),
        "options": [{"option": option.usage, "help": option.help} for option in command.options],
        "example": command.example,
    }


def short_usage(command: Command) -> str:
    """Its form without its options."""
    return " ".join([command.name, *map(str, command.parameters)])


def page(command: Command) -> list[str]:
    """One command in full."""
    also = f" Also: {', '.join(command.aliases)}." if command.aliases else ""
    lines = [command.usage, f"  {command.help}{also}", *(f"  {line}" for line in command.more)]
    lines += [f"  {option.usage:<{OPTION_CELLS}}  {option.help}" for option in command.options]
    names = " ".join([command.usage, *(option.usage for option in command.options)]).split()
    if "TARGET" in names:
        lines += [f"  {line}" for line in TARGETS]
    if "TIME" in names:
        lines.append(f"  {TIMES}")
    return [*lines, f"  Example: {command.example}"]


def _overview(commands: Iterable[Command]) -> Iterator[str]:
    """The forms of all commands, by what they are for: on one screen of 80x24."""
    listed = list(commands)
    size = max(map(len, SECTIONS.values()))
    for section, heading in SECTIONS.items():
        forms = [short_usage(command).replace(" ", "\xa0") for command in listed if command.section == section]
        before = f"{heading:<{size}}  "
        text = textwrap.fill(
            ", ".join(forms), WIDTH, initial_indent=before, subsequent_indent=" " * len(before), break_on_hyphens=False
        )
        yield from text.replace("\xa0", " ").split("\n")


def _list(commands: Iterable[Command]) -> Iterator[str]:
    listed = list(commands)
    size = max(len(short_usage(command)) for command in listed)
    for section, heading in SECTIONS.items():
        yield heading
        for command in listed:
            if command.section == section:
                yield f"  {short_usage(command):<{size}}  {command.help}"
