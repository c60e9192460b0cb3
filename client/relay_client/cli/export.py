"""`relay export`: everything that a relay holds as lines of JSON."""

import hashlib
import sys
import time
from pathlib import Path
from typing import BinaryIO

import click

from .door import Door
from .escape import escape
from .keeping import asked, data_option, end_by_signal, relay_options
from .part_file import create, part_file
from .progress import Bar, bar, size
from .seam import folder_work


@click.command(short_help="Write everything a relay holds as lines of JSON.")
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path, allow_dash=True), default="-")
@data_option
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@relay_options
def export(file: Path, data: Path | None, force: bool, door: Door) -> None:
    """Write everything that a relay holds to FILE, or to stdout: a line of JSON for each row, as it was at one moment.

    It can be read and searched with any tool, and `relay import` makes a relay's folder of it again, with every id,
    fence and key. The last line counts the others and has their SHA-256, so that a file which was cut is noticed.
    Tokens are in it as SHA-256 only. With --data, a folder is exported that no relay uses just then.
    """
    end_by_signal()
    if str(file) == "-":
        with bar("Exporting") as progress:
            records = _write(sys.stdout.buffer, data, door, progress)
            sys.stdout.buffer.flush()
        click.echo(_counted(records), err=True)
        return
    with bar("Exporting") as progress, part_file(file, force=force) as part, create(part) as target:
        records = _write(target, data, door, progress)
    click.echo(escape(f"{file}: {_counted(records)}, {size(file.stat().st_size)}"), err=True)


def _write(target: BinaryIO, data: Path | None, door: Door, progress: Bar) -> int:
    """How many records there are. Raises click.ClickException when the relay did not come to its last line."""
    if data is not None:
        return int(folder_work("export")(data, target, time.time_ns() // 1_000_000, progress.advance))
    tail = Tail()
    with asked(door, "/api/export") as response:
        for piece in response.iter_bytes():
            target.write(piece)
            tail.feed(piece)
            progress.advance(len(piece))
    return tail.records()


def _counted(records: int) -> str:
    return "1 record" if records == 1 else f"{records} records"


class Tail:
    """Looks at an export that goes by: does its last line say what went before it?"""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._last = b""
        self._is_begun = False

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        self._last += piece
        if not self._is_begun:
            _, newline, rest = self._last.partition(b"\n")
            if not newline:
                return
            self._is_begun, self._last = True, rest
        before = self._last.rfind(b"\n", 0, len(self._last) - 1) + 1
        self._sha256.update(self._last[:before])
        self._last = self._last[before:]

    def records(self) -> int:
        """How many records it has, when all of it went by. Raises click.ClickException."""
        import orjson

        try:
            end = orjson.loads(self._last)
            if end["record"] == "end" and end["sha256"] == self._sha256.hexdigest():
                return int(end["records"])
        except (ValueError, KeyError, TypeError):
            pass
        raise click.ClickException("the export is not whole: its last line is missing or does not fit; try it again")
