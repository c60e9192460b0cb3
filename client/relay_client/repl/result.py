"""What a command of the REPL gives back: the same news for a person and for a program. Shown by `forms.py`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Result:
    """lines: ready to print, what others wrote in them is escaped. records: the same as JSON-ready dicts, exact.

    is_list: the records are a list, also where it has one item or none; else they are one record, or none. columns: the
    fields that the raw form has, in their order; none: all that are there. surfaces: messages that are in front of the
    user once this is printed; whoever prints it says so to the relay then (`Desk.surfaced`).
    """

    lines: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    is_list: bool = False
    columns: tuple[str, ...] = ()
    surfaces: list[int] = field(default_factory=list)


def told(line: str, **record: Any) -> Result:
    """One line (ready to print), and the record it stands for without the fields that are None."""
    said = {name: value for name, value in record.items() if value is not None}
    return Result([line], [said], columns=tuple(record))


def listed(lines: list[str], records: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> Result:
    """A list. columns: what the raw form has of each."""
    return Result(lines, list(records), is_list=True, columns=columns)
