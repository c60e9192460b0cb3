"""The grammar of a REPL line. Pure: text in, a call or an error that shows the right form out.

    line     = [ ["/"] command { option } { parameter } | text ] | "#" comment
    command  = name [ sub-command ]      say ... is text to whom `to` named; so is a line that is no command
    option   = "--" name [ ["="] value ] a flag has no value; "--" alone ends the options
    word     = characters without spaces, or "a quoted word" (label:"two words" too)
    text     = the rest of the line, as it stands

Options stand in front of the parameters; where no parameter takes the rest of the line, they may stand behind them as
well. What a word may be is its kind (`shape.py`), read by `kinds.py`. A line is split in one place only
(`splitting.py`): parsing, completion, validation and colours all look at what that gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import click

from relay_proto.errors import BadRequest

from ..cli.failure import did_you_mean
from .kinds import read_value
from .shape import Call, Command, Option, Parameter, find_sub, joined
from .splitting import Place, Slot, places

SLIP_CHARS_MIN: Final = 4
"""Letters that a bare first word must have to be taken for a command with a slip in it."""


class GrammarError(click.UsageError):
    """A line that is no command; the message shows what would be one. at: where in the line it goes wrong.

    unfinished: it may become right by typing on.
    """

    def __init__(self, message: str, *, at: int = 0, unfinished: bool = False) -> None:
        super().__init__(message)
        self.at = at
        self.unfinished = unfinished


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the cursor stands in. kind: what is wanted there, None where nothing is. word: what of it is typed, without
    quotes and sign. start: where a completion begins to replace. before: the words that the command has already."""

    kind: Slot | None
    word: str
    start: int
    command: Command | None
    parameter: Parameter | Option | None
    before: tuple[str, ...] = ()


def wanted(text_before_cursor: str, commands: Mapping[str, Command], *, peer: str | None = None) -> Wanted:
    """What stands, or could stand, right before the cursor."""
    if _is_comment(text_before_cursor.lstrip(), peer):
        return Wanted(None, "", len(text_before_cursor), None, None)
    found = places(text_before_cursor, commands, peer=peer)
    last = found[-1]
    command = last.command
    before = tuple(place.word for place in found[:-1] if place.item is not None and place.slot != "option")
    if last.slot == "surplus":
        return Wanted(None, last.word, last.start, command, None, before)
    word, start = last.word, last.start
    if isinstance(last.item, Parameter) and last.item.signed and word[:1] in ("+", "-"):
        word, start = word[1:], start + 1
    return Wanted(last.slot, word, start, None if last is found[0] else command, last.item, before)


@dataclass(frozen=True, slots=True)
class Span:
    """A word of a line, for its colour. ok: whether it can be what stands there; None: not yet, it is being typed."""

    start: int
    end: int
    kind: Slot | Literal["unknown", "comment"]
    ok: bool | None


def spans(line: str, commands: Mapping[str, Command], *, peer: str | None = None) -> list[Span]:
    """Each word of `line`, in order. Never raises."""
    text = line.lstrip()
    if _is_comment(text, peer):
        return [Span(len(line) - len(text), len(line), "comment", True)]
    found = [place for place in places(line, commands, peer=peer) if place.word or place.end > place.start]
    if peer is not None and len(found) == 1 and found[0].command is None and not text.startswith("/"):
        return [Span(found[0].start, found[0].end, "text", True)]
    return [_span(place, commands, is_last=place.end == len(line)) for place in found]


def _span(place: Place, commands: Mapping[str, Command], *, is_last: bool) -> Span:
    names: list[str] = []  # of which the word would have to be one
    if place.slot == "command":
        names = _names(commands)
        if place.item is not None:  # what help is asked about: the second word of a family, too
            names += ["all", *(sub.name.rpartition(" ")[2] for command in commands.values() for sub in command.subs)]
    elif place.slot == "sub" and place.command is not None:
        names = [sub.name.rpartition(" ")[2] for sub in place.command.subs]
    elif place.slot == "option" and place.command is not None:
        names = ["--", *(option.name for option in place.command.options)]
    elif place.slot == "surplus":
        return Span(place.start, place.end, "unknown", False if place.command is not None else None)
    else:
        return Span(place.start, place.end, place.slot, _is_value(place, is_last=is_last))
    is_begun = is_last and any(name.startswith(place.word) for name in names)
    return Span(place.start, place.end, place.slot, True if place.word in names else None if is_begun else False)


def _is_value(place: Place, *, is_last: bool) -> bool | None:
    if place.item is not None and not place.is_open:
        try:
            read_value(place.item, place.word)
        except (ValueError, BadRequest):
            return None if is_last else False
    return None if place.is_open else True


# -- parsing ---------------------------------------------------------------------------------------------------------


def parse(line: str, commands: Mapping[str, Command], *, peer: str | None = None) -> Call | None:
    """The call that `line` means, or None for an empty line or a comment. Raises GrammarError.

    peer: whom bare text goes to. Then a line that is no command is said to them, unless its first word looks like a
    slip and would be a command without it.
    """
    text = line.strip()
    if not text or _is_comment(text, peer):
        return None
    first = places(text, commands)[0]
    is_command = peer is None or text.startswith("/")
    if first.command is not None:
        try:
            return _call(text, commands)
        except GrammarError as exc:
            if not is_command and first.command.name != "say":
                said = f"{exc.message} (to say it to {peer}: say {_short(text)})"
                raise GrammarError(said, at=exc.at, unfinished=exc.unfinished) from None
            raise
    if is_command:
        near = did_you_mean(first.word, _names(commands))
        talk = "" if near else ", to TARGET lets you just talk"
        if peer is not None and not any(_is_slip(first.word, name) for name in _names(commands)):
            near, talk = f" (to say it to {peer}: say {_short(text)})", ""  # /srv/cache is full
        unfinished = first.end == len(text) and any(name.startswith(first.word) for name in _names(commands))
        message = joined(f"there is no command {first.word[:40]!r}{near}", f"help lists them{talk}")
        raise GrammarError(message, at=first.start, unfinished=unfinished)
    _refuse_slip(text, first, commands, peer or "")
    return Call(commands["say"], (text,), {})


def _is_comment(text: str, peer: str | None) -> bool:
    """`# so` is none of our business. To a peer one may say `#12 is done`, and a text whose first line looks so."""
    return text.startswith("#") and "\n" not in text.rstrip() and (peer is None or text == "#" or text[1:2].isspace())


def _names(commands: Mapping[str, Command]) -> list[str]:
    return [name for command in commands.values() for name in (command.name, *command.aliases)]


def _refuse_slip(text: str, first: Place, commands: Mapping[str, Command], peer: str) -> None:
    """Raises GrammarError for a bare line that was most likely meant as a command."""
    for near in _names(commands):
        if not _is_slip(first.word, near):
            continue
        try:
            _call(near + text[first.end :], commands)
        except GrammarError:
            continue
        raise GrammarError(f"did you mean {near!r}? To say it to {peer}: say {_short(text)}", at=first.start)


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:20]}..."


def _is_slip(typed: str, meant: str) -> bool:
    """Whether two neighbours are swapped, or one letter of a long word is wrong, missing or too much. Short words are
    left alone: `may`, `as` and `too` are near to commands, and so is `sent`; `thanks` is two letters from `tasks`."""
    if len(typed) < SLIP_CHARS_MIN or abs(len(typed) - len(meant)) > 1:
        return False
    if len(typed) == len(meant):
        wrong = [i for i, (one, other) in enumerate(zip(typed, meant, strict=True)) if one != other]
        if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
            return typed[wrong[0]] == meant[wrong[1]] and typed[wrong[1]] == meant[wrong[0]]
        return len(wrong) == 1 and len(typed) > SLIP_CHARS_MIN
    longer, shorter = sorted((typed, meant), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def _call(text: str, commands: Mapping[str, Command]) -> Call:
    """The call that a line means whose first word is a command."""
    found = places(text, commands)
    command = _command_of(found)
    taken: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for i, place in enumerate(found):
        if place.item is None and place.slot in ("command", "sub"):
            continue
        if place.slot == "option":
            _check_option(place, found[i + 1] if i + 1 < len(found) else None, command, taken)
            continue
        if place.slot == "surplus" or place.item is None:
            raise GrammarError(f"{text[place.start :][:40]!r} is too much; {command.usage}", at=place.start)
        _take(place, place.item, command, taken, values)
    for parameter in command.parameters:
        if parameter.name not in values and not parameter.optional:
            what = f"{parameter.name} is missing"
            raise GrammarError(f"{what}; {command.usage}", at=len(text), unfinished=True)
    return Call(command, tuple(values.get(parameter.name) for parameter in command.parameters), taken)


def _command_of(found: list[Place]) -> Command:
    """The command that the first words name; of a family the one that is meant. Raises GrammarError."""
    command = found[0].command
    assert command is not None
    if not command.subs:
        return command
    if len(found) == 1:
        sub = find_sub(command.bare, command)
        if sub is None:
            raise GrammarError(f"{command.name} what? {command.usage}", at=found[0].end, unfinished=True)
        return sub
    word = found[1].word
    sub = find_sub(word, command)
    if sub is None:
        near = did_you_mean(word, [one.name.rpartition(" ")[2] for one in command.subs])
        unfinished = len(found) == 2 and any(one.name.startswith(f"{command.name} {word}") for one in command.subs)
        message = joined(f"there is no {command.name} {word[:40]!r}{near}", command.usage)
        raise GrammarError(message, at=found[1].start, unfinished=unfinished)
    return sub


def _check_option(place: Place, behind: Place | None, command: Command, taken: dict[str, Any]) -> None:
    """Takes a flag; raises GrammarError for an option that is not there, or has no value behind it."""
    if place.word == "--" and behind is not None:
        return
    option = place.item
    if not isinstance(option, Option):
        near = did_you_mean(place.word, [one.name for one in command.options])
        message = joined(f"{command.name} has no option {place.word[:40]!r}{near}", f"help {command.name} lists them")
        raise GrammarError(message, at=place.start)
    if option.kind == "flag":
        taken[option.field] = True
    elif behind is None or behind.item is not option or behind.slot == "option":
        message = f"a value is missing: {option.usage}; {command.usage}"
        raise GrammarError(message, at=place.end, unfinished=True)


def _take(
    place: Place, item: Parameter | Option, command: Command, taken: dict[str, Any], values: dict[str, Any]
) -> None:
    """Reads the value at a place, into the options or the parameters. Raises GrammarError."""
    if place.is_open:
        message = f'the quote in {place.word[:40]!r} is not closed: "so"; {command.usage}'
        raise GrammarError(message, at=place.start, unfinished=True)
    name = f"{item.name}: " if isinstance(item, Option) else ""
    try:
        value = read_value(item, place.word)
    except ValueError as exc:
        raise GrammarError(joined(f"{name}{exc}", command.usage), at=place.start) from None
    except BadRequest as exc:
        raise GrammarError(joined(f"{name}{exc.message}", command.usage), at=place.start) from None
    store, key = (taken, item.field) if isinstance(item, Option) else (values, item.name)
    if item.many:
        store.setdefault(key, []).append(value)
    else:
        store[key] = value
