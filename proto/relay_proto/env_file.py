"""Files of environment variables, as systemd reads them for EnvironmentFile=: one KEY=VALUE a line.

    # a comment, as is a line that begins with ;
    RELAY_PORT=4850
    RELAY_DATA="/srv/my relay"
    RELAY_TOKEN='as it stands'
    RELAY_HOST=127.0.0.1

Unquoted, a backslash preserves what follows it, and at the end of a line takes in the next one. Inside of "..." it does
so before " \\ ` $ and the end of a line, and is itself elsewhere; inside of '...' it is always itself. What is
quoted may go over several lines.

Rules
- The same file gives the same values here and there. What systemd overlooks is an error here: a line without `=`, a
  name that is none (`export X=1`), a quote that never ends. Behind the end of a quoted value there is nothing.
- A name that stands twice has its last value.
- Reading and writing are each other's inverse; the text of an error never holds a value, which may be a secret.
"""

import re
from typing import Final

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
BLANKS: Final = " \t\r"
ESCAPED: Final = '"\\`$'
"""What a backslash preserves inside of double quotes."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=-]*\Z", re.ASCII)


class _Text:
    """A text that is read from its start to its end; `line` counts from 1."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def peek(self) -> str:
        """The next character; "" at the end."""
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        """The next character, which is then behind us."""
        char = self.peek()
        self.at += 1
        return char

    def skip(self, chars: str) -> None:
        while (char := self.peek()) and char in chars:
            self.at += 1

    def rest_of_line(self) -> str:
        """What stands before the next end of line, which is then behind us."""
        end = self.text.find("\n", self.at)
        start, self.at = self.at, len(self.text) if end < 0 else end + 1
        return self.text[start : self.at].rstrip("\n")


def parse_env_file(text: str) -> dict[str, str]:
    """The variables of the file, in its order. Raises ValueError, which names the line."""
    found: dict[str, str] = {}
    rest = _Text(text)
    while rest.peek():
        rest.skip(BLANKS + "\n")
        if rest.peek() in ("#", ";"):
            rest.rest_of_line()
        elif rest.peek():
            name, value = _assignment(rest)
            found.pop(name, None)
            found[name] = value
    return found


def _assignment(rest: _Text) -> tuple[str, str]:
    line = rest.line
    end = rest.text.find("\n", rest.at)
    equals = rest.text.find("=", rest.at, len(rest.text) if end < 0 else end)
    if equals < 0:
        raise ValueError(f"line {line} has no '='; a line is NAME=VALUE, or begins with #")
    name, rest.at = rest.text[rest.at : equals].rstrip(BLANKS), equals + 1
    if not NAME.match(name):
        raise ValueError(f"line {line}: {name[:40]!r} is no name of a variable (letters, digits and _; no export)")
    rest.skip(BLANKS)
    value = _quoted(rest, line) if rest.peek() in ("'", '"') else _unquoted(rest)
    if "\0" in value:
        raise ValueError(f"line {line}: the value of {name} holds a NUL character")
    return name, value


def _unquoted(rest: _Text) -> str:
    value, kept = "", 0
    while (char := rest.take()) and char != "\n":
        if char == "\\":
            following = rest.take()
            value += following if following != "\n" else ""
            kept = len(value)
        else:
            value += char
            kept = kept if char in BLANKS else len(value)
    return value[:kept]


def _quoted(rest: _Text, line: int) -> str:
    quote, value = rest.take(), ""
    while (char := rest.take()) != quote:
        if not char:
            raise ValueError(f"line {line}: the quote {quote} is never closed")
        if char == "\\" and quote == '"':
            following = rest.take()
            value += following if following in ESCAPED else "" if following == "\n" else char + following
        else:
            value += char
    if rest.rest_of_line().strip(BLANKS):
        raise ValueError(f"line {line}: something stands behind the closing quote; a comment has a line of its own")
    return value


def env_line(name: str, value: str) -> str:
    """The line that says it, without its end, quoted where that is needed. Raises ValueError for what can't be said."""
    if not NAME.match(name):
        raise ValueError(f"{name[:40]!r} is no name of a variable")
    if "\0" in value:
        raise ValueError(f"the value of {name} holds a NUL character, which no environment can")
    if value and _PLAIN.match(value):
        return f"{name}={value}"
    return f'{name}="' + "".join(f"\\{char}" if char in ESCAPED else char for char in value) + '"'
