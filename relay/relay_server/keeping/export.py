"""Exports: everything that a store holds as lines of JSON, and what the lines mean.

    {"record":"relay","format":1,"schema":8,"version":"0.7.0","exported_at":1763750000000}
    {"record":"message","message":1,"sender":"ada","target":"ben","body":"hello", ...}
    ...
    {"record":"end","records":4711,"sha256":"..."}

Rules
- One line for each row: `record` names its table in the singular, the other names are the table's columns. What is NULL
  is left out; bytes stand in base64 under the column's name with `_base64` behind it.
- `records` counts the lines between the first and the last; `sha256` is of these lines. A file that was cut, or
  changed, is noticed.
- The order of tables and rows is always the same: of two exports of the same things, only the first line differs.
- All of it is as it was at one moment. Tokens are in it as the SHA-256 that a relay keeps of them, never themselves;
  what agents said to each other is in it as they said it.
"""

import base64
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from relay_proto.version import __version__

from .source import opened_folder, schema_of

FORMAT: Final = 1
HEAD: Final = "relay"
END: Final = "end"
SEQUENCES: Final = "sqlite_sequence"
"""SQLite's own table of the numbers that were given out last; it has no key that could be declared."""
RECORDS: Final[dict[str, str]] = {
    "agent": "agents",
    "message": "messages",
    "delivery": "deliveries",
    "work": "work",
    "alarm": "alarms",
    "place": "ranked",
    "ask": "asks",
    "report": "reports",
    "dependency": "dependencies",
    "token": "tokens",
    "pair": "pairs",
    "taken": "taken",
    "pair_key": "pair_keys",
    "callback": "callbacks",
    "counter": "counters",
    "sequence": SEQUENCES,
}
"""What a record is called, and the table it is a row of; a table that refers to another comes after it."""
BASE64: Final = "_base64"
CHUNK_BYTES: Final = 256 * 1024
ROWS: Final = 64
"""Rows that are read at a time: each may have a body of its own."""


class Export:
    """An export on its way. `records`: how many were written so far; of the whole file when it is at its end."""

    def __init__(self, source: sqlite3.Connection, exported_at: int) -> None:
        """`exported_at`: ms since 1970."""
        self.records = 0
        self._source = source
        self._head = {
            "record": HEAD, "format": FORMAT, "schema": schema_of(source), "version": __version__,
            "exported_at": exported_at,
        }  # fmt: skip

    def chunks(self) -> Iterator[bytes]:
        """The file, in pieces of CHUNK_BYTES and a line more. Raises sqlite3.Error."""
        sha256 = hashlib.sha256()
        yield _line(self._head)
        chunk = bytearray()
        for line in self._lines():
            self.records += 1
            chunk += line
            if len(chunk) >= CHUNK_BYTES:
                sha256.update(chunk)
                yield bytes(chunk)
                chunk.clear()
        sha256.update(chunk)
        chunk += _line({"record": END, "records": self.records, "sha256": sha256.hexdigest()})
        yield bytes(chunk)

    def _lines(self) -> Iterator[bytes]:
        for record, table in RECORDS.items():
            columns, order = columns_of(self._source, table)
            if not columns:
                continue  # a store of an older schema has no such table
            cursor = self._source.execute(f'SELECT {", ".join(columns)} FROM "{table}" ORDER BY {order}')
            while rows := cursor.fetchmany(ROWS):
                for row in rows:
                    fields: dict[str, Any] = {"record": record}
                    for name, value in zip(columns, row, strict=True):
                        if type(value) is bytes:
                            fields[name + BASE64] = base64.b64encode(value).decode()
                        elif value is not None:
                            fields[name] = value
                    yield _line(fields)


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[list[str], str]:
    """(the columns of a table, what its rows are ordered by). A table that is not there has none."""
    found = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    key = [name for _, name in sorted((place, name) for _, name, _, _, _, place in found if place)]
    return [name for _, name, *_ in found], ", ".join(key or ["name"])


def _line(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields) + b"\n"


def export_folder(data: Path, target: BinaryIO, exported_at: int, tell: Callable[[int], None]) -> int:
    """Write all that a data folder has, which no relay uses; gives the number of records.

    `tell` is told the bytes of each piece. Raises StoreRefused, OSError.
    """
    with opened_folder(data, alone=True) as source:
        export = Export(source, exported_at)
        for chunk in export.chunks():
            target.write(chunk)
            tell(len(chunk))
        return export.records
