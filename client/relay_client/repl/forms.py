"""How what a command gives back is printed: for people, or for programs. Pure, but for a look at what stdout is.

    table   the lines that the command made for a person
    json    one JSON document: an object, or a list where the command lists something
    jsonl   one JSON object a line
    raw     the values alone, separated by tabs, one record a line; what is no text or number is JSON, what is not there
            is empty. Tabs, line breaks and backslashes in them are \\t, \\n, \\r and \\\\

Nothing in any form acts on a terminal: JSON has its own escapes, raw is escaped where stdout is one.
"""

import sys
from collections.abc import Iterable
from typing import Any, Final

from ..cli.escape import escape
from ..cli.records import json_line
from .result import Result

FORMS: Final = ("table", "json", "jsonl", "raw")
_TSV: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def show(result: Result, form: str, *, is_terminal: bool | None = None) -> list[str]:
    """The lines to print. is_terminal: whether they are looked at on one; None: as stdout is."""
    match form:
        case "json":
            if result.is_list:
                return ["[" + ",\n".join(map(json_line, result.records)) + "]"]
            return [json_line(record) for record in result.records]
        case "jsonl":
            return [json_line(record) for record in result.records]
        case "raw":
            lines = raw_lines(result.records, result.columns)
            is_terminal = sys.stdout.isatty() if is_terminal is None else is_terminal
            return [escape(line, keep="\t") for line in lines] if is_terminal else lines
        case _:
            return result.lines


def raw_lines(records: Iterable[dict[str, Any]], columns: tuple[str, ...] = ()) -> list[str]:
    """Each record's values of `columns` (none given: all that it has), between tabs."""
    return ["\t".join(_raw(record.get(name)) for name in columns or record) for record in records]


def _raw(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value.translate(_TSV)
        case bool() | list() | dict():
            return json_line(value).translate(_TSV)  # type: ignore[arg-type]  # any JSON value has a line
        case _:
            return str(value)
