"""The colours of a line as it is typed: each word by what it is there for, and red where it can't be right."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from .commands import peer_of
from .grammar import spans
from .shape import Command
from .validation import CHARS_MAX

if TYPE_CHECKING:
    from .desk import Desk

_STYLES: Final = {
    "command": "class:line.command",
    "sub": "class:line.command",
    "option": "class:line.option",
    "flag": "class:line.option",
    "comment": "class:line.comment",
    **dict.fromkeys(("target", "agent", "about", "label", "tag", "cap", "channel", "profile"), "class:line.target"),
    **dict.fromkeys(("id", "task", "pair"), "class:line.id"),
    **dict.fromkeys(("span", "count", "priority", "share", "choice", "setting", "value"), "class:line.value"),
}
"""By what a word is there for; text and words of one's own have no colour."""
WRONG: Final = "class:line.wrong"


class LineLexer(Lexer):
    """Colours what stands in the line by the table of commands."""

    def __init__(self, desk: "Desk", commands: Mapping[str, Command]) -> None:
        self.desk = desk
        self.commands = commands

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = self._coloured(document.text)
        return lambda number: lines[number] if number < len(lines) else []

    def _coloured(self, text: str) -> list[StyleAndTextTuples]:
        """The fragments of each line of `text`; one that was pasted rather than typed has no colours."""
        if len(text) > CHARS_MAX:
            return [[("", line)] for line in text.split("\n")]
        fragments: list[tuple[str, str]] = []
        at = 0
        for span in spans(text, self.commands, peer=peer_of(self.desk)):
            style = WRONG if span.ok is False else _STYLES.get(span.kind, "")
            fragments += [("", text[at : span.start]), (style, text[span.start : span.end])]
            at = span.end
        fragments.append(("", text[at:]))
        lines: list[StyleAndTextTuples] = [[]]
        for style, part in fragments:
            first, *others = part.split("\n")
            lines[-1].append((style, first))
            lines += [[(style, line)] for line in others]
        return lines
