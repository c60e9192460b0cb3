"""Says what is wrong with a line while it is typed. It never stops anybody: a line that is unfinished is not wrong, and
the Enter key takes every line, so that what is wrong is said where it stays on the screen."""

from typing import TYPE_CHECKING, Final

from prompt_toolkit.document import Document
from prompt_toolkit.validation import ValidationError, Validator

from ..cli.render import cut
from .commands import call_of
from .grammar import GrammarError

if TYPE_CHECKING:
    from .desk import Desk

CHARS_MAX: Final = 4_000
"""Longer lines are pasted, not typed: they are looked at when they are sent."""


class LineValidator(Validator):
    """Tells what the parser would say, as far as typing on can't mend it."""

    def __init__(self, desk: "Desk") -> None:
        self.desk = desk

    def validate(self, document: Document) -> None:
        text = document.text
        if len(text) > CHARS_MAX:
            return
        try:
            call_of(self.desk, text)
        except GrammarError as exc:
            at = exc.at + len(text) - len(text.lstrip())
            if exc.unfinished or is_being_typed(text, at):
                return
            width = self.desk.width()
            raise ValidationError(at, exc.message if width is None else cut(exc.message, width)) from None


def is_being_typed(text: str, at: int) -> bool:
    """Whether the word that begins at `at` is the last one, without a space behind it."""
    return not any(character.isspace() for character in text[at:])
