"""Lines to stdout, and how wide they may be."""

import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import click

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


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
