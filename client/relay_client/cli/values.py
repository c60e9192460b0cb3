"""The values that options and REPL parameters have in common: message ids, fences, shares, priorities, times."""

import re
from collections.abc import Callable
from typing import Any, Final

import click
import orjson

from relay_proto import limits

from .spans import parse_span


def parse_message_id(text: str) -> int:
    """The message that `12` or `#12` names. Raises ValueError."""
    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:20]) <= limits.ID_MAX):
        raise ValueError(f"{text[:40]!r} is no message id (12 or #12)")
    return int(digits)


def parse_priority(text: str) -> int:
    """A priority, 0 to 9. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and int(text[:3]) <= limits.PRIORITY_MAX):
        raise ValueError(
            f"{text[:40]!r} is no priority; it must be 0 to {limits.PRIORITY_MAX}, the highest comes first"
        )
    return int(text)


def parse_fence(text: str) -> int:
    """The fence of a claim. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= limits.ID_MAX):
        raise ValueError(f"{text[:40]!r} is no fence; it is the number that relay claim said")
    return int(text)


def is_number(text: str) -> bool:
    """Whether someone who typed this meant a share."""
    return re.match(r"\.?[0-9]", text) is not None


def parse_share(text: str) -> float:
    """How much of something is done, as 0 to 1: `0.4`, `40%`. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{0,3}(?:\.[0-9]{1,9})?)(%?)", text, re.ASCII)
    share = float(found[1]) / (100 if found[2] else 1) if found and found[1] else -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text[:40]!r} is no share; it must be 0 to 1, or 0% to 100%")
    return share


def parse_json(text: str) -> Any:
    """What a JSON text says. Raises ValueError."""
    try:
        return orjson.loads(text)
    except ValueError as exc:
        raise ValueError(f"{text[:40]!r} is no JSON: {exc}") from None


class Parsed(click.ParamType):  # type: ignore[type-arg]  # it has no parameters before click 8.4
    """The type of an option whose text a function reads; what it refuses (ValueError) is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value  # a default
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


MESSAGE_ID: Final = Parsed("id", parse_message_id)
FENCE: Final = Parsed("fence", parse_fence)
JSON: Final = Parsed("json", parse_json)
PRIORITY: Final = Parsed("priority", parse_priority)


def span(least_s: float, most_s: float) -> Parsed:
    """The type of an option that is a length of time; its value is in seconds."""
    return Parsed("time", lambda text: parse_span(text, least_s, most_s))
