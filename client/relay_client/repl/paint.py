"""Ready lines for the terminal: layout by hand, colours by rich. Escape sequences come from nowhere but here.

    ● 14:03:07  #12  builder → tag:review  [ci] (work, thread #3) review PR 4812 before
                noon, please; the second step fails
                … 3 lines more: message 12

Rules
- All text of others is escaped before it is laid out; only then colours are put around it.
- Lines are cut and wrapped to the width by cells, so that a wide character never stands half in the next line.
- Colours are the terminal's own sixteen, so that they suit its theme. NO_COLOR, a dumb terminal and a pipe get none.
- What a message says is set in: no line of it can pose as one of ours.
"""

import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..cli.escape import escape
from ..cli.render import Shown, body_text, cells, clock, cut, marks, message_line

if TYPE_CHECKING:
    from rich.console import Console

INDENT: Final = 12
"""Cells that the second line of a message is set in: as wide as its mark and its time."""
BODY_LINES_MAX: Final = 8
"""Lines of one message above the prompt; `message ID` shows all."""
NAME_CELLS_MAX: Final = 40
"""Cells of a sender's or a target's name; `message ID` shows all of it."""
BODY_CHARS_MAX: Final = 8_000
"""Characters of a body that are looked at: more than BODY_LINES_MAX lines of any screen hold."""
NARROW: Final = 40
"""Columns below which a message takes one line that is cut."""

_SENDERS: Final = ("green", "blue", "magenta", "cyan", "bright_green", "bright_blue", "bright_magenta", "bright_cyan")
_GRAVE: Final = ("critical", "error")
_HEADINGS: Final = re.compile(r"[A-Z]{2,}[A-Z ./-]*")
_WORDS: Final = re.compile(
    r"(?P<head>^[A-Z][a-z]+(?: [a-z]+)?(?=  ))|(?P<id>(?<![\w&])#\d+\b)|(?<=  )(?P<good>online)(?=  |$)"
    r"|(?<=  )(?P<bad>stale|offline)(?=  |$)"
)
_WITH_SPACES: Final = re.compile(r"\s*+\S+")
"""A word and what stands before it; possessive: of a text that is all spaces each would be tried again and again."""
_STYLES: Final = {"head": "bold", "id": "cyan", "good": "green", "bad": "red"}


def colours() -> bool:
    """Whether what is printed may be coloured: stdout is a terminal that can, and the user did not say no."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("", "dumb", None)


def styled(*parts: tuple[str, str]) -> str:
    """The texts (escaped already) one after another, each in its style, as one line."""
    if not colours():
        return "".join(text for text, _ in parts)
    from rich.text import Text

    with _console().capture() as captured:
        _console().print(Text.assemble(*((text, style) for text, style in parts)), end="", soft_wrap=True)
    return captured.get()


@lru_cache(maxsize=1)
def _console() -> "Console":
    from io import StringIO

    from rich.console import Console

    return Console(
        file=StringIO(), force_terminal=True, color_system="standard", highlight=False, markup=False, emoji=False,
        legacy_windows=False, _environ={},
    )  # fmt: skip


# -- messages --------------------------------------------------------------------------------------------------------


def message_lines(
    message: Shown, *, now: datetime, own: str, width: int | None, is_unread: bool = False, stage: str | None = None
) -> list[str]:
    """One message above the prompt, in an inbox or a thread. own: who reads it; to them it is not said to be to them.

    is_unread: it was never in front of them before; then it names its thread, too.
    Without a width: one line, neither coloured nor cut.
    """
    if width is None:
        return [message_line(message, now=now, stage=stage)]
    text = escape(body_text(message.body)[:BODY_CHARS_MAX], keep="\n\t").expandtabs(4).strip("\n")
    head = _fitted(_head(message, now, own, is_unread, stage), width)
    subject = f"{escape(message.subject)}{': ' if text else ''}" if message.subject else ""
    taken = sum(cells(part) for part, _ in head)
    if width < NARROW:
        line = cut("".join(part for part, _ in head) + subject + text.replace("\n", " "), width)
        return [line]
    lines = list(_wrapped(subject + text, width - taken, width - INDENT))
    shown = lines if len(lines) <= BODY_LINES_MAX else lines[: BODY_LINES_MAX - 1]
    first, bold = shown[0], len(subject) if len(subject) <= len(shown[0]) else len(shown[0])
    ready = [styled(*head, (first[:bold], "bold"), (first[bold:], ""))]
    ready += [" " * INDENT + line for line in shown[1:]]
    if len(lines) > len(shown):
        is_cut = len(body_text(message.body)) > BODY_CHARS_MAX
        count = f"{'many' if is_cut else len(lines) - len(shown)} lines more"
        ready.append(" " * INDENT + styled((f"… {count}: message {message.message}", "dim")))
    return ready


def _head(message: Shown, now: datetime, own: str, is_unread: bool, stage: str | None) -> Iterator[tuple[str, str]]:
    """What stands in front of the text, each part with its style, the gap behind it included."""
    colour = "bold red" if message.severity in _GRAVE else "bold yellow" if message.claimable else "bold green"
    yield ("● " if is_unread else "  "), colour
    yield clock(message.sent_at, now) + "  ", "dim"
    yield f"#{message.message}  ", "cyan"
    if stage is not None:
        yield f"{stage}  ", "dim"
    if message.sender == own:
        yield cut(escape(message.sender), NAME_CELLS_MAX), "bold"
    else:
        colour = _SENDERS[zlib.crc32(message.sender.encode()) % len(_SENDERS)]
        yield cut(escape(message.sender), NAME_CELLS_MAX), f"bold {colour}"
    yield ("" if message.to == own else f" → {cut(escape(message.to), NAME_CELLS_MAX)}") + "  ", "dim"
    if message.channel:
        yield f"[{escape(message.channel)}] ", "magenta"
    said = [*marks(message, now), *(thread_of(message) if is_unread else ()), *again(message)]
    if said:
        yield f"({escape(', '.join(said))}) ", "yellow"


def _fitted(head: Iterable[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As much of the head as one line holds."""
    fitted: list[tuple[str, str]] = []
    room = width
    for text, style in head:
        fitted.append((cut(text, room) if room > 0 else "", style))
        room -= cells(fitted[-1][0])
    return fitted


def thread_of(message: Any) -> list[str]:
    """`thread #3`, where neither the message itself nor what it answers is the beginning of it."""
    return [] if message.thread in (message.message, message.reply_to) else [f"thread #{message.thread}"]


def again(message: Any) -> list[str]:
    """That it was given to this agent before. A stored message without an attempt was not delivered yet."""
    return ["again"] if (getattr(message, "attempt", None) or 1) > 1 else []


def _wrapped(text: str, first: int, rest: int) -> Iterator[str]:
    """The lines of `text`, wrapped between words: the first in `first` cells (if at least a word fits), others in
    `rest`."""
    room = first
    for number, paragraph in enumerate(text.split("\n")):
        if number:
            room = rest
        line = ""
        for word in _WITH_SPACES.findall(paragraph.rstrip()) or [""]:
            if cells(line) + cells(word) <= room:
                line += word
                continue
            if line or room < rest:
                yield line
                line, room = word.lstrip(), rest
            else:
                line = word
            while cells(line) > room:  # one word that is longer than a line: a path, a URL, text without spaces
                piece = _at_most(line, room)
                yield piece
                line = line[len(piece) :]
        yield line


def _at_most(text: str, room: int) -> str:
    """The beginning of `text` that fits, at least one character of it."""
    taken = 0
    for i, char in enumerate(text):
        taken += cells(char)
        if taken > room:
            return text[: max(i, 1)]
    return text


# -- other lines -----------------------------------------------------------------------------------------------------


def news_line(line: str) -> str:
    """What the relay or the program says by itself: `* bob is offline`."""
    star, _, rest = line.partition(" ")
    return styled((star + " ", "bold yellow"), (rest, "")) if star == "*" else line


def left_line(line: str) -> str:
    """`+37 more, type inbox (builder 30)`"""
    return styled((escape(line), "bold cyan"))


def error_lines(message: str, width: int | None) -> list[str]:
    """`! there is no command 'sned', did you mean 'send'?`, the lines behind the first set in."""
    lines = list(_wrapped(message, (width or 10_000) - 2, (width or 10_000) - 2))
    return [styled(("! ", "bold red"), (lines[0], "red")), *(styled((f"  {line}", "red")) for line in lines[1:])]


def answer_lines(lines: Iterable[str], width: int | None = None) -> list[str]:
    """What a command gives, ready lines of it left as they are: ids and presence stand out, headings are bold. What is
    wider than the screen (no table is) is wrapped between words, set in as it begins; JSON is left in one piece.
    """
    lines = [piece for line in lines for piece in _fitting(line, width)]
    if not colours():
        return lines
    return [line if "\x1b" in line else _answer_line(line) for line in lines]


def _fitting(line: str, width: int | None) -> Iterator[str]:
    if width is None or "\x1b" in line or line.startswith("{") or cells(line) <= width:
        yield line
        return
    text = line.lstrip(" ")
    indent = " " * min(len(line) - len(text), width // 2)
    for piece in _wrapped(text, width - len(indent), width - len(indent)):
        yield indent + piece


def _answer_line(line: str) -> str:
    names = re.split(r" {2,}", line.strip())
    if len(names) > 1 and all(_HEADINGS.fullmatch(name) for name in names):
        return styled((line, "bold"))
    parts: list[tuple[str, str]] = []
    at = 0
    for found in _WORDS.finditer(line):
        parts += [(line[at : found.start()], ""), (found[0], _STYLES[found.lastgroup or "id"])]
        at = found.end()
    return styled(*parts, (line[at:], "")) if parts else line
