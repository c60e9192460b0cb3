"""What `relay doctor` finds: one line for each thing it looked at, and what to do about it."""

from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: what was looked at, one word. `state`: OK, WARN or FAIL. `said`: what was found. `todo`: what to do."""

    check: str
    state: str
    said: str
    todo: str | None = None


def ok(check: str, said: str) -> Finding:
    return Finding(check, OK, said)


def warn(check: str, said: str, todo: str) -> Finding:
    return Finding(check, WARN, said, todo)


def fail(check: str, said: str, todo: str) -> Finding:
    return Finding(check, FAIL, said, todo)
