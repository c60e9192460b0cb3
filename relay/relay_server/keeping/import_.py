"""Imports: a store made of an export (see export.py), with every id, fence, epoch and key as it was.

Rules
- The new store is no store until it is whole and sound: it grows in a file of its own, is brought to the newest schema,
  checked as `verify` checks, and only then gets the name that a relay looks for. A failed import leaves nothing.
- Whatever is wrong with a line is said with its number.
"""

import base64
import binascii
import hashlib
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from msgspec import Struct

from ..store.files import DATABASE, LOCK, FolderLock, prepare_file, prepare_folder
from ..store.interface import StoreRefused
from ..store.schema import migrate
from .export import BASE64, END, FORMAT, HEAD, RECORDS, SEQUENCES, columns_of
from .layout import make_schema, newest_schema
from .source import TEMPORARY
from .verify import verify_source

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A record is a message at most, in base64."""
ROWS: Final = 500
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024
"""Rows that are inserted at once, and the bytes of their lines: a body has up to 256 KiB."""
CACHE_KIB: Final = 64 * 1024
LEFT_OVER: Final = ("-wal", "-journal")
"""What a relay that was killed leaves beside its database."""
FINDINGS_SHOWN: Final = 3
NAMED_MAX: Final = 80


class Imported(Struct):
    """What was made: how many records, and of which schema they were."""

    records: int
    schema: int
    database: str


class _Unfit(Exception):
    """What is wrong with the line at hand."""


def import_file(source: BinaryIO, data: Path, tell: Callable[[int], None]) -> Imported:
    """Make the store of a data folder, which has none yet, of an export. `tell` is told the bytes of each line.

    Raises StoreRefused, OSError.
    """
    was_there = data.is_dir()
    lock_was_there = (data / LOCK).exists()
    prepare_folder(data)
    lock = FolderLock(data)
    target = data / f"{TEMPORARY}{secrets.token_hex(8)}"
    made = False
    try:
        database = data / DATABASE
        if database.exists():
            raise StoreRefused(f"{data} has a {database.name} already; import into a folder of its own")
        for rest in (database.with_name(f"{DATABASE}{suffix}") for suffix in LEFT_OVER):
            if rest.exists():  # SQLite would read it as part of the new database
                raise StoreRefused(
                    f"{rest} is left of a database that is gone; move it away, or import into a folder of its own"
                )
        imported = _fill(source, target, tell)
        os.replace(target, database)
        _sync(data)
        made = True
        imported.database = str(database)
        return imported
    finally:
        for rest in data.glob(f"{TEMPORARY}*"):
            rest.unlink(missing_ok=True)
        if not made and not lock_was_there:
            (data / LOCK).unlink(missing_ok=True)
        lock.release()
        if not made and not was_there:
            data.rmdir()


def _fill(source: BinaryIO, target: Path, tell: Callable[[int], None]) -> Imported:
    """A whole and sound database of the newest schema, on the disk. Raises StoreRefused."""
    prepare_file(target)
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF").fetchall()
        connection.execute("PRAGMA synchronous = OFF").fetchall()
        connection.execute("PRAGMA foreign_keys = OFF").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF").fetchall()
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}").fetchall()
        schema, records = _Reader(connection, source, tell).read()
        migrate(connection)
        report = verify_source(connection)
        if not report.ok:
            findings = [f"{one.table} {one.id or ''}: {one.what}" for one in report.findings[:FINDINGS_SHOWN]]
            more = len(report.findings) - len(findings)
            raise StoreRefused(
                f"what was exported is no sound store: {'; '.join(findings)}{f'; and {more} more' if more else ''}"
            )
    except sqlite3.Error as exc:
        raise StoreRefused(f"the import failed in the store: {exc}") from exc
    finally:
        connection.close()
    _sync(target)
    return Imported(records, schema, "")


class _Reader:
    """The lines of an export, one behind the other."""

    def __init__(self, connection: sqlite3.Connection, source: BinaryIO, tell: Callable[[int], None]) -> None:
        self.connection = connection
        self.source = source
        self.tell = tell
        self.number = 0
        self.sha256 = hashlib.sha256()
        self.columns: dict[str, list[str]] = {}
        self.statement = ""
        self.rows: list[tuple[Any, ...]] = []
        self.waiting = 0

    def read(self) -> tuple[int, int]:
        """(the schema, how many records). Raises StoreRefused."""
        try:
            schema = self._begin(self._next()[1])
            self.connection.execute("BEGIN")
            while True:
                line, fields = self._next()
                if fields["record"] == END:
                    break
                self.sha256.update(line)
                self._put(fields)
                self.waiting += len(line)
            self._write()
            self._end(fields)
            self.connection.execute("COMMIT")
        except _Unfit as exc:
            raise StoreRefused(f"line {self.number} of the export: {exc}") from None
        return schema, self.number - 2

    def _next(self) -> tuple[bytes, dict[str, Any]]:
        line = self.source.readline(LINE_BYTES_MAX)
        self.number += 1
        self.tell(len(line))
        if not line:
            raise _Unfit('the file ends here, before its record "end": it was cut')
        if not line.endswith(b"\n") and len(line) == LINE_BYTES_MAX:
            raise _Unfit(f"it is longer than {LINE_BYTES_MAX} bytes")
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            cut = "" if line.endswith(b"\n") else ", and the file ends in it: it was cut"
            raise _Unfit(f"it is no JSON{cut} ({exc})") from None
        if not isinstance(fields, dict) or not isinstance(fields.get("record"), str):
            raise _Unfit('it is no record: {"record": "message", ...}')
        return line, fields

    def _begin(self, fields: dict[str, Any]) -> int:
        """Make the tables that the export was made of."""
        if fields["record"] != HEAD:
            raise _Unfit(f"it is a record {fields['record'][:NAMED_MAX]!r}; an export begins with one named {HEAD!r}")
        form, schema = fields.get("format"), fields.get("schema")
        if form != FORMAT:
            raise _Unfit(f"format is {form}; this relay reads format {FORMAT}")
        if not isinstance(schema, int) or not 1 <= schema <= newest_schema():
            raise _Unfit(
                f"schema is {schema}; this relay knows 1 to {newest_schema()}: it was made by a newer relay, "
                "import it with that one"
            )
        make_schema(self.connection, schema)
        for record, table in RECORDS.items():
            columns, _ = columns_of(self.connection, table)
            if columns:
                self.columns[record] = columns
        self.connection.execute("DELETE FROM counters")
        return schema

    def _put(self, fields: dict[str, Any]) -> None:
        record = fields.pop("record")
        columns = self.columns.get(record)
        if columns is None:
            raise _Unfit(f"{record[:NAMED_MAX]!r} is no record of this schema; there are {', '.join(self.columns)}")
        row = dict.fromkeys(columns)
        for name, value in fields.items():
            if name.endswith(BASE64) and name not in row:
                value = _bytes(name, value)
                name = name.removesuffix(BASE64)
            if name not in row:
                raise _Unfit(f"{name[:NAMED_MAX]!r} is no field of a {record}; there are {', '.join(columns)}")
            if isinstance(value, (bool, list, dict)):
                raise _Unfit(f"{name} is {type(value).__name__}; it must be text, a number or left out")
            row[name] = value
        statement = f'INSERT INTO "{RECORDS[record]}" ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})'
        if statement != self.statement or len(self.rows) == ROWS or self.waiting >= WAITING_BYTES_MAX:
            self._write()
            self.statement = statement
        self.rows.append(tuple(row.values()))

    def _write(self) -> None:
        """What was read since the last time. Should a row be refused, it is said which."""
        rows, self.rows, self.waiting = self.rows, [], 0
        if not rows:
            return
        if SEQUENCES in self.statement:
            self.connection.execute(f"DELETE FROM {SEQUENCES}")  # SQLite has counted what was inserted
        before = self.connection.total_changes
        try:
            self.connection.executemany(self.statement, rows)
        except (sqlite3.Error, OverflowError) as exc:
            self.number -= len(rows) - (self.connection.total_changes - before)
            raise _Unfit(f"it does not fit into the store: {exc}") from None

    def _end(self, fields: dict[str, Any]) -> None:
        records, sha256 = self.number - 2, self.sha256.hexdigest()
        if fields.get("records") != records:
            raise _Unfit(f"it counts {fields.get('records')} records, and there are {records}")
        if fields.get("sha256") != sha256:
            raise _Unfit("its sha256 is not that of the lines before it: the file was changed")
        if self.source.read(1):
            self.number += 1
            raise _Unfit('it stands behind the record "end"')


def _bytes(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _Unfit(f"{name} is no base64") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
