"""How a REPL line is split: each word, where it stands and what it is there for. Pure, and without a look at values.

The only place where lines are split: parsing, completion, validation and colours (`grammar.py`) stand on what it gives.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..cli.values import is_number
from .shape import Command, Kind, Option, Parameter, find, find_sub

Slot = Kind | Literal["sub", "option", "surplus"]
"""What a word of a line is there for. sub: the second word of a family; option: its name; surplus: nothing."""

_WORD: Final = re.compile(r'(?:"[^"]*(?:"|\Z)|[^\s"])+')
_ID: Final = re.compile(r"#?\d")


@dataclass(frozen=True, slots=True)
class Place:
    """One word of a line and what it is there for. word: without its quotes. start, end: where it stands.

    command: whose it is (None for an unknown command). item: its parameter, or its option (of an option's name too).
    """

    slot: Slot
    word: str
    start: int
    end: int
    command: Command | None = None
    item: Parameter | Option | None = None
    is_open: bool = False
    """Its quote is not closed."""


def places(text: str, commands: Mapping[str, Command], *, peer: str | None = None) -> list[Place]:
    """Each word of `text` with what it is there for, without a look at its value.

    Where `text` is empty or ends in a space, the last one is the empty word that is begun there. With a `peer`, a line
    whose first word is finished and is no command is one text.
    """
    scan = _Scan(text)
    first = scan.word()
    if first is None:
        return []
    if text.startswith("/", first.start):
        first = _Word(first.word[1:], first.start + 1, first.end, first.is_open)
        peer = None
    command = find(first.word, commands)
    if command is None and peer is not None and first.end < len(text):
        return [Place("text", text[first.start :], first.start, len(text))]
    found = [Place("command", first.word, first.start, first.end, command)]
    if command is not None and command.subs:
        second = scan.word()
        if second is None:
            return found
        found.append(Place("sub", second.word, second.start, second.end, command, is_open=second.is_open))
        command = find_sub(second.word, command)
    if command is not None:
        _place_rest(scan, command, found)
    while (word := scan.word()) is not None:
        found.append(Place("surplus", word.word, word.start, word.end, command))
    return found


@dataclass(frozen=True, slots=True)
class _Word:
    word: str
    start: int
    end: int
    is_open: bool


class _Scan:
    """Goes over the words of a text. One that ends in a space has an empty word at its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._begins_another = not text or text[-1].isspace()

    def word(self) -> _Word | None:
        """The next word, or None behind the last one."""
        self._skip()
        text, start = self.text, self.at
        found = _WORD.match(text, start)
        if found is None:
            return self._last()
        self.at = found.end()
        return _Word(found[0].replace('"', ""), start, self.at, found[0].count('"') % 2 == 1)

    def rest(self) -> _Word | None:
        """All that is left, as it stands; None behind the end."""
        self._skip()
        start = self.at
        if start == len(self.text):
            return self._last()
        self.at = len(self.text)
        self._begins_another = False
        return _Word(self.text[start:], start, self.at, False)

    def peek(self) -> str:
        """What follows, up to the next space."""
        self._skip()
        found = _WORD.match(self.text, self.at)
        return found[0] if found else ""

    def split(self, size: int) -> _Word:
        """The next `size` characters as a word."""
        self._skip()
        start, self.at = self.at, self.at + size
        return _Word(self.text[start : self.at], start, self.at, False)

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _last(self) -> _Word | None:
        if not self._begins_another:
            return None
        self._begins_another = False
        return _Word("", len(self.text), len(self.text), False)


def _place_rest(scan: _Scan, command: Command, found: list[Place]) -> None:
    """Appends the places of options and parameters."""
    options = {option.name: option for option in command.options}
    takes_options = bool(options)
    index = 0
    while True:
        if takes_options and (index == 0 or not command.takes_text):
            following = scan.peek()
            if following.startswith("--") or following == "-":
                takes_options = _place_option(scan, command, options, found)
                continue
        if index == len(command.parameters):
            return
        parameter = command.parameters[index]
        if _is_left_out(parameter, scan.peek()):
            index += 1
            continue
        word = scan.rest() if parameter.kind in ("text", "json") else scan.word()
        if word is None:
            return
        found.append(Place(parameter.kind, word.word, word.start, word.end, command, parameter, word.is_open))
        index += 0 if parameter.many else 1


def _place_option(scan: _Scan, command: Command, options: Mapping[str, Option], found: list[Place]) -> bool:
    """Appends an option and its value; False behind the `--` that ends them."""
    following = scan.peek()
    name, equals, _ = following.partition("=")
    option = options.get(name)
    if option is None or not equals or option.kind == "flag":
        word = scan.word()
        assert word is not None
        found.append(Place("option", word.word, word.start, word.end, command, option, word.is_open))
        if word.word == "--":
            # What is typed last may become the name of one; behind a space it ends them.
            return word.end == len(scan.text)
    else:
        word = scan.split(len(name))
        found.append(Place("option", word.word, word.start, word.end, command, option))
        scan.at += 1
        if scan.at == len(scan.text):
            found.append(Place(option.kind, "", scan.at, scan.at, command, option))
            return True
    if option is not None and option.kind != "flag" and (value := scan.word()) is not None:
        found.append(Place(option.kind, value.word, value.start, value.end, command, option, value.is_open))
    return True


def _is_left_out(parameter: Parameter, following: str) -> bool:
    """Whether what follows is no value of this parameter, which may be left out: then it is of the next one."""
    if not parameter.optional or not following:
        return False
    if parameter.kind == "share":
        return not is_number(following)
    return parameter.kind == "pair" and not _ID.match(following)
