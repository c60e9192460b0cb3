"""`relay backup`: everything that a relay holds in one file, while it goes on."""

import base64
import hashlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .door import Door
from .escape import escape
from .keeping import asked, data_option, end_by_signal, relay_options
from .output import Form, output_options, put, put_record
from .part_file import KeptAsPart, create, part_file
from .progress import Bar, bar, size
from .seam import folder_work

if TYPE_CHECKING:
    import httpx


@click.command(short_help="Copy everything a relay holds into a file.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@data_option
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@output_options
@relay_options
def backup(file: Path, data: Path | None, force: bool, form: Form, door: Door) -> None:
    """Copy everything a relay holds into FILE, an SQLite database, while it goes on working.

    What was accepted before this began is in it. FILE appears when it is whole, on the disk and checked; it is yours
    alone, since it holds what agents said to each other. With --data, a folder is copied that no relay uses just then.

    To restore it: put it into an empty folder as relay.db, and start a relay with --data on that folder.
    """
    end_by_signal()
    with bar("The relay makes its copy") as progress, part_file(file, force=force) as part:
        if data is not None:
            folder_work("backup")(data, part, progress.tell)
        else:
            with asked(door, "/api/backup") as response:
                _receive(response, part, progress)
        progress.now("Looking through it")
        _check(part)
        sha256 = _digest(part)
    count = file.stat().st_size
    if form.is_json:
        put_record({"file": str(file), "bytes": count, "sha256": sha256})
    else:
        put([escape(f"{file}: {size(count)}, SHA-256 {sha256}")])


def _receive(response: "httpx.Response", part: Path, progress: Bar) -> None:
    """Write the body. Raises click.ClickException when it is not what the relay sent."""
    total = int(response.headers.get("Content-Length", 0)) or None
    promised = response.headers.get("Content-Digest", "")
    sha256, done = hashlib.sha256(), 0
    progress.now("Fetching it", total)
    with create(part) as target:
        for piece in response.iter_raw():
            target.write(piece)
            sha256.update(piece)
            done += len(piece)
            progress.tell(done, total)
    if promised != f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:":
        raise click.ClickException("what came is not what the relay sent (its SHA-256 differs); try it again")


def _digest(part: Path) -> str:
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(part: Path) -> None:
    """Raises KeptAsPart when SQLite finds that the copy is damaged: then the relay's own database is."""
    connection = sqlite3.connect(f"{part.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        found = [str(line) for (line,) in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as exc:
        found = [str(exc)]
    finally:
        connection.close()
    if found != ["ok"]:
        raise KeptAsPart(
            f"the relay's database is damaged ({' '.join(found[0].split())}); the copy is kept as {part}, and no "
            "backup was replaced; relay verify says more"
        )
