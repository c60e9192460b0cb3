"""Lengths of time as people type and read them: `90`, `90s`, `5m`, `2h`, `1d`. In Python they are seconds.

Not of the wire, which has seconds and ms; but the client's commands and the daemon's settings read the same.
"""

import re
from typing import Final

UNITS_S: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
FORM: Final = "seconds (90) or a number with its unit (90s, 5m, 2h, 1d)"
"""What a span looks like, for help and errors."""

_SPAN: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([smhd]?)\Z", re.ASCII)


def parse_span(text: str, least_s: float = 0.0, most_s: float = float("inf")) -> float:
    """The seconds that `text` says. Raises ValueError, in words, for what is no span or not within the limits."""
    found = _SPAN.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no length of time; expected {FORM}")
    seconds = float(found[1]) * UNITS_S[found[2] or "s"]
    if not least_s <= seconds <= most_s:
        limit = f"at least {span_text(least_s)}" + (
            f" and at most {span_text(most_s)}" if most_s < float("inf") else ""
        )
        raise ValueError(f"{text[:40]!r} is out of bounds; it must be {limit}")
    return seconds


def span_text(seconds: float) -> str:
    """`90s`, `5m`, `2h`, `1d`: in the largest unit in which it is a whole number; what is none is seconds."""
    for unit, size in UNITS_S.items():
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def about(seconds: float) -> str:
    """`3s`, `12m`, `5h`, `9d`: only the largest unit, cut. For what a person reads at a glance."""
    whole = max(0, int(seconds))
    unit, size = next((pair for pair in UNITS_S.items() if whole >= pair[1]), ("s", 1))
    return f"{whole // size}{unit}"
