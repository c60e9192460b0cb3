"""`relay verify`: is everything that a relay holds still as it must be?"""

from pathlib import Path
from typing import Any

import click

from .door import Door
from .escape import escape
from .failure import FAILED
from .keeping import asked, data_option, end_by_signal, relay_options
from .output import Form, output_options, put, put_record
from .progress import bar, size
from .seam import folder_work


@click.command(short_help="Check a store: that it can be read, and its ledger is true.")
@click.argument("file", metavar="[FILE]", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@data_option
@output_options
@relay_options
def verify(file: Path | None, data: Path | None, form: Form, door: Door) -> None:
    """Check what the relay holds; or FILE, a backup; or, with --data, the folder of a relay, whether or not it runs.

    All of it is read: SQLite's own checks, the tables that must be there, and the ledger: each piece of work against
    its history and its claim, deliveries, asks, pairs, tokens and what is to wake them. Nothing is changed or mended.

    Each finding is a line: the table, the row, what is wrong with it. Exit code 0: there is none; 1: there are some.
    """
    if file is not None and data is not None:
        raise click.UsageError("FILE and --data: one of them")
    end_by_signal()
    with bar("Checking"):
        if file is not None:
            report = _plain(folder_work("verify file")(file))
        elif data is not None:
            report = _plain(folder_work("verify")(data))
        else:
            with asked(door, "/api/verify") as response:
                report = _decoded(response.read())
    if form.is_json:
        put_record(report)
    else:
        put([*map(_line, report["findings"]), escape(_summary(report))])
    if not report["ok"]:
        raise click.exceptions.Exit(FAILED)


def _plain(report: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(report)
    return plain


def _decoded(answer: bytes) -> dict[str, Any]:
    import orjson

    report: dict[str, Any] = orjson.loads(answer)
    return report


def _line(finding: dict[str, Any]) -> str:
    where = f"{finding['table']} {finding['id']}" if finding.get("id") is not None else finding["table"]
    return escape(f"{where}: {finding['what']} ({finding['check']})")


def _summary(report: dict[str, Any]) -> str:
    rows = sum(max(0, count) for count in report["rows"].values())
    looked = f"{report['checks']} checks of {rows} rows, {size(report['bytes'])}, schema {report['schema']}"
    found = len(report["findings"])
    words = "sound" if report["ok"] else "1 finding" if found == 1 else f"{found} findings"
    if not report["ledger"]:
        words += (
            "; the ledger was not looked at, for its schema is older: relay import or relay serve bring it up to date"
        )
    return f"{looked}: {words}"
