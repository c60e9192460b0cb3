"""The grammar of the command that is being typed, at the right of its line, what comes next in bold. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .grammar import wanted
from .shape import Command, Option

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples


def hint(text: str, commands: Mapping[str, Command], *, peer: str | None) -> "StyleAndTextTuples":
    """`[--ttl TIME] TARGET TEXT` for prompt-toolkit; nothing where there is no command, or no more to it than its
    name."""
    if not text.strip() or "\n" in text:
        return []
    place = wanted(text, commands, peer=peer)
    command = place.command
    if command is None or place.kind == "command":
        return []
    if command.subs:
        return [("class:hint", "|".join(sub.name.rpartition(" ")[2] for sub in command.subs))]
    parts: StyleAndTextTuples = []
    if isinstance(place.parameter, Option):
        parts.append(("class:hint class:hint.now", place.parameter.usage))
    elif command.options:
        parts.append(("class:hint", "[OPTIONS]"))
    for parameter in command.parameters:
        now = parameter is place.parameter
        parts.append(("class:hint class:hint.now" if now else "class:hint", str(parameter)))
    return [piece for part in parts for piece in (("", " "), part)][1:]
