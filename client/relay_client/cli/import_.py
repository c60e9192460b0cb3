"""`relay import`: a relay's data folder, made of an export."""

import sys
from pathlib import Path

import click

from .escape import escape
from .keeping import end_by_signal
from .output import Form, output_options, put, put_record
from .progress import bar
from .seam import folder_work


@click.command("import", short_help="Make a relay's data folder of an export.")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="The folder to make; one with a relay's database in it is refused.",
)  # fmt: skip
@output_options
def import_command(file: Path, data: Path, form: Form) -> None:
    """Make the data folder of a relay of FILE, which `relay export` wrote (- is stdin).

    Every id, fence, epoch and key is as it was: agents go on where they were, and what is sent again with a key is
    known. An export of an older relay is brought up to date. The new store is checked as `relay verify` does, and is
    there when all of it is right; when it is not, nothing is left.
    """
    end_by_signal()
    if str(file) == "-":
        with bar("Importing") as progress:
            made = folder_work("import")(sys.stdin.buffer, data, progress.advance)
    else:
        with bar("Importing", file.stat().st_size) as progress, file.open("rb") as source:
            made = folder_work("import")(source, data, progress.advance)
    if form.is_json:
        put_record({"data": str(data), "database": made.database, "records": made.records, "schema": made.schema})
    else:
        put([escape(f"{data}: {made.records} records; relay serve --data {data} starts a relay on it")])
