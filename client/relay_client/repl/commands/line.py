"""A line that was typed, as the call it means for this desk."""

from typing import TYPE_CHECKING

from ..grammar import parse
from ..shape import Call
from .table import COMMANDS

if TYPE_CHECKING:
    from ..desk import Desk


def peer_of(desk: "Desk") -> str | None:
    """Whom bare text goes to: the other one of the pair, else whom `to` named."""
    return desk.pair.partner if desk.pair is not None else desk.peer


def call_of(desk: "Desk", line: str) -> Call | None:
    """The call that `line` means, or None for an empty line or a comment. Raises GrammarError."""
    return parse(line, COMMANDS, peer=peer_of(desk))
