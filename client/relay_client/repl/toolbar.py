"""The line at the bottom: who and where one is, how the connection is, what waits. Pure.

    ann@localhost:4850  ● 0.4 ms  3 unread  1 claimed  2 owed  → builder

It takes one line of whatever width there is: what matters least is left out first.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay_proto import limits

from ..cli.escape import escape
from ..cli.render import cells, cut

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from .desk import Desk

GAP: Final = "  "
NAME_CELLS_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One part. keep: how long it stays when there is too little room; the highest number longest."""

    text: str
    style: str
    keep: int


def parts(desk: "Desk", place: str) -> list[Part]:
    """All there is to say, from left to right. place: host and port of the relay."""
    agent = desk.agent
    name = escape(agent.name)
    at = " at " if "@" in name else "@"
    unread = len(desk.unread)
    more = "+" if unread >= limits.CREDIT_MAX else ""  # the relay holds back what goes beyond the credit
    found = [Part(name, "class:toolbar.name", 9), Part(f"{at}{escape(place)}", "class:toolbar.place", 3)]
    if agent.connected:
        found.append(Part("●", "class:toolbar.good", 7))
        if agent.round_trip_s is not None:
            found.append(Part(trip(agent.round_trip_s), "class:toolbar.trip", 2))
    else:
        found.append(Part("○ connecting again", "class:toolbar.bad", 8))
    found.append(Part(f"{unread:,}{more} unread", "class:toolbar.unread" if unread else "class:toolbar.none", 6))
    if desk.fences:
        found.append(Part(f"{len(desk.fences)} claimed", "class:toolbar.claimed", 4))
    if desk.owed_count:
        found.append(Part(f"{desk.owed_count} owed", "class:toolbar.owed", 4))
    whom = talks_to(desk)
    if whom is not None:
        found.append(Part(f"→ {escape(whom)}", "class:toolbar.peer", 5))
    if watched := sorted(desk.settings.watch - {"submitted"}):  # that one is usual
        found.append(Part(f"watching {', '.join(watched)}", "class:toolbar.watch", 1))
    return found


def talks_to(desk: "Desk") -> str | None:
    """Whom bare text goes to."""
    return desk.pair.partner if desk.pair is not None else desk.peer


def trip(seconds: float) -> str:
    """`0.4 ms`, `120 ms`, `2.1 s`"""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def fitted(found: list[Part], width: int) -> "StyleAndTextTuples":
    """The parts that fit into `width` cells, as prompt-toolkit's (style, text); the name is cut at the very last."""
    left = list(found)
    while len(left) > 1 and _cells(left) > width:
        left.remove(min(reversed(left), key=lambda part: part.keep))
    if _cells(left) > width:
        left = [Part(cut(left[0].text, max(width - 2, NAME_CELLS_MIN)), left[0].style, 9)]
    fragments: StyleAndTextTuples = [("class:toolbar", " ")]
    for number, part in enumerate(left):
        if number and not _is_glued(left[number - 1], part):
            fragments.append(("class:toolbar", " " if part.style.endswith("trip") else GAP))
        fragments.append((part.style, part.text))
    return fragments


def _is_glued(before: Part, part: Part) -> bool:
    return part.style.endswith(".place") and before.style.endswith(".name")


def _cells(found: list[Part]) -> int:
    """Cells of the whole line, with a gap for each part (some have less) and one cell at each side."""
    return sum(cells(part.text) + len(GAP) for part in found)
