"""What one word of a REPL line says, by its kind. Pure. Each raises ValueError or BadRequest, in words."""

import re
from typing import Any, Final

from relay_proto import limits
from relay_proto.targets import AGENT_PATTERN, NAME_PATTERN, parse_target

from ..cli.failure import did_you_mean
from ..cli.spans import parse_span
from ..cli.values import parse_json, parse_message_id, parse_priority, parse_share
from .shape import Option, Parameter

_NAMES: Final = {"tag": "tag", "cap": "capability", "channel": "channel"}


def read_value(item: Parameter | Option, word: str) -> Any:
    """The value of this parameter or option that `word` says; a text is taken as it stands."""
    match item.kind:
        case "id" | "task" | "pair":
            return parse_message_id(word)
        case "about":
            return parse_message_id(word) if word.removeprefix("#").isdigit() else _agent(word)
        case "agent":
            return _agent(word)
        case "target":
            parse_target(word)
            return word
        case "span":
            return parse_span(word, item.least_s, item.most_s)
        case "count":
            return _count(word, item.most)
        case "priority":
            return parse_priority(word)
        case "share":
            return parse_share(word)
        case "choice":
            return _choice(word, item.choices)
        case "tag" | "cap" | "channel":
            return _name(word, item.kind, isinstance(item, Parameter) and item.signed)
        case "label":
            return _label(word)
        case "key":
            return _bounded(word, limits.KEY_CHARS_MAX, "a key")
        case "json":
            return parse_json(word)
        case _:
            return word


def _agent(word: str) -> str:
    if not re.match(AGENT_PATTERN, word):
        raise ValueError(f"{word[:40]!r} is no agent id")
    return word


def _count(word: str, most: int) -> int:
    if not (word.isascii() and word.isdigit() and 1 <= int(word[:18]) <= most):
        raise ValueError(f"{word[:40]!r} is no number from 1 to {most}")
    return int(word)


def _choice(word: str, choices: tuple[str, ...]) -> str:
    if word not in choices:
        raise ValueError(f"{word[:40]!r} is none of {', '.join(choices)}{did_you_mean(word, choices)}")
    return word


def _name(word: str, kind: str, signed: bool) -> str:
    name = word[1:] if signed and word[:1] in ("+", "-") else word
    if not re.match(NAME_PATTERN, name):
        raise ValueError(f"{word[:40]!r} is no {_NAMES[kind]}: 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #")
    return word


def _label(word: str) -> str:
    parse_target(f"label:{word}")
    return word


def _bounded(word: str, most: int, what: str) -> str:
    if not 1 <= len(word) <= most:
        raise ValueError(f"{word[:40]!r} is no {what.removeprefix('a ')}: it must be 1 to {most} characters")
    return word
