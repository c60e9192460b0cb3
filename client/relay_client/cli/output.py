"""What a command prints on stdout: lines for people, or JSON for programs, and how wide lines may be.

Rules
- `--json` is one JSON document: an object, or a list where the command shows a list. `--jsonl` is one object a line.
  What streams (`relay listen`) has no end to close a list with: there both mean one object a line.
- In either form stdout has nothing but that; words about it go to stderr.
"""

import enum
import functools
import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import click

from .records import json_line


class Form(enum.Enum):
    """How a command shows what it has found."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"

    @property
    def is_json(self) -> bool:
        """For programs, in one way or the other."""
        return self is not Form.TABLE


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --json and --jsonl to a command, which gets them as one `form`. Both at once are a usage error."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("--jsonl", "as_jsonl", is_flag=True, help="Print JSON, one object a line.")
    @functools.wraps(command)
    def with_form(*args: Any, as_json: bool, as_jsonl: bool, **kwargs: Any) -> None:
        if as_json and as_jsonl:
            raise click.UsageError("--json and --jsonl: one of them")
        form = Form.JSONL if as_jsonl else Form.JSON if as_json else Form.TABLE
        command(*args, form=form, **kwargs)

    return with_form


def put_records(form: Form, records: Iterable[dict[str, Any]]) -> None:
    """A list of records to stdout: one document (JSON) or one object a line (JSONL, TABLE does not occur)."""
    if form is Form.JSON:
        put(["[" + ",\n".join(map(json_line, records)) + "]"])
    else:
        put(map(json_line, records))


def put_record(record: dict[str, Any]) -> None:
    """One record to stdout: as one object on one line, in either form."""
    put([json_line(record)])


def put(lines: Iterable[str]) -> None:
    """Writes lines and flushes: whoever reads the other end has them when this returns."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def width() -> int | None:
    """Columns of the terminal; None when stdout is none: then nothing is cut, a pipe wants all of it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def now() -> datetime:
    """This moment, in local time."""
    return datetime.now(UTC).astimezone()
