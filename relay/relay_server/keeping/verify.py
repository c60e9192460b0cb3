"""Checks of a store: that SQLite can read all of it, that it has the tables it must have, and that the ledger is true.

Nothing is written, and nothing is mended. A check reads everything; beside a running relay it takes the disk's time and
a core's, but holds up no turn.
"""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from ..store.interface import StoreRefused
from .checks import CHECKS, Check
from .layout import TABLES, layout_for, layout_of, newest_schema
from .source import database_of, open_source, opened_folder, schema_of, size_of

FINDINGS_MAX: Final = 20
"""Findings of one check that are named; one more line says that there are more."""
INTEGRITY_MAX: Final = 100
SHOWN_CHARS_MAX: Final = 120


class Finding(Struct, omit_defaults=True):
    """What is wrong. `check`: what found it. `id`: which row of the table it is about, where it is about one."""

    check: str
    table: str
    what: str
    id: str | None = None


class Report(Struct, rename="camel"):
    """What a check found. `ok`: nothing. `schema`: the number of its last migration. `bytes`: the size of the database.
    `rows`: how many each table has; -1: that can't be read. `checks`: how many were made; with `ledger`, those of the
    ledger are among them, which are not made of an older schema.
    """

    ok: bool
    schema: int
    bytes: int
    checks: int
    ledger: bool
    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def verify_folder(data: Path) -> Report:
    """Check the store of a data folder, whether or not a relay uses it just then. Raises StoreRefused."""
    database = database_of(data)
    with opened_folder(data, alone=False) as source:
        report = verify_source(source)
    report.findings += settings_of_files(database)
    report.ok = not report.findings
    return report


def verify_file(file: Path) -> Report:
    """Check a copy of a database: a backup. Raises StoreRefused."""
    if not file.is_file():
        raise StoreRefused(f"{file} is {'a folder' if file.is_dir() else 'not there'}; a backup is a file")
    source = open_source(file)
    try:
        return verify_source(source)
    finally:
        source.close()


def verify_source(source: sqlite3.Connection) -> Report:
    """Check what a connection sees. Raises sqlite3.OperationalError when it is interrupted, StoreRefused: no store."""
    schema = schema_of(source)
    if not 1 <= schema <= newest_schema():
        newer = "it was written by a newer relay; check it with that one" if schema else "it is no store of a relay"
        raise StoreRefused(f"the database has schema {schema}; this relay knows 1 to {newest_schema()}: {newer}")
    report = Report(True, schema, size_of(source), 0, schema == newest_schema())
    report.findings += _integrity(source)
    report.findings += _references(source)
    missing = list(_layout(source, schema))
    report.findings += missing
    report.checks = 3
    for (table,) in source.execute(TABLES).fetchall():
        report.rows[table] = _count(source, table)
    if report.ledger:
        for check in CHECKS:
            report.checks += 1
            report.findings += _run(source, check)
    report.ok = not report.findings
    return report


def _integrity(source: sqlite3.Connection) -> Iterator[Finding]:
    """What SQLite itself finds: damaged pages, indexes that disagree with their tables, broken constraints."""
    try:
        for (line,) in source.execute(f"PRAGMA integrity_check({INTEGRITY_MAX})"):
            if line != "ok":
                yield Finding("integrity", "database", _shown(line))
    except sqlite3.DatabaseError as exc:
        yield _unreadable("integrity", "database", exc)


def _references(source: sqlite3.Connection) -> Iterator[Finding]:
    try:
        for found, (table, row, other, _) in enumerate(source.execute("PRAGMA foreign_key_check")):
            if found == FINDINGS_MAX:
                yield Finding("references", table, "there are more of these")
                return
            yield Finding("references", table, f"it refers to a row of {other} that is not there", _shown(row))
    except sqlite3.DatabaseError as exc:
        yield _unreadable("references", "database", exc)


def _layout(source: sqlite3.Connection, schema: int) -> Iterator[Finding]:
    encoding = source.execute("PRAGMA encoding").fetchone()[0]
    if encoding != "UTF-8":
        yield Finding("layout", "database", f"its encoding is {encoding}; it must be UTF-8")
    wanted, there = layout_for(schema), layout_of(source)
    for name in wanted.keys() | there.keys():
        table, content = wanted.get(name) or there[name]
        if name not in there:
            yield Finding("layout", table, f"{name} is missing")
        elif name not in wanted:
            yield Finding("layout", table, f"{_shown(name)} is not one of schema {schema}")
        elif there[name] != (table, content):
            yield Finding("layout", table, f"{name} is not as schema {schema} has it")


def _count(source: sqlite3.Connection, table: str) -> int:
    try:
        return int(source.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])
    except sqlite3.DatabaseError as exc:
        if _is_interrupted(exc):
            raise
        return -1


def _run(source: sqlite3.Connection, check: Check) -> Iterator[Finding]:
    try:
        cursor = source.execute(check.statement)
        names = [column[0] for column in cursor.description]
        for found, row in enumerate(cursor):
            if found == FINDINGS_MAX:
                yield Finding(check.name, check.table, "there are more of these")
                return
            words = {name: _shown(value) for name, value in zip(names, row, strict=True)}
            yield Finding(check.name, check.table, check.finds.format_map(words), _shown(row[0]))
    except sqlite3.DatabaseError as exc:
        yield _unreadable(check.name, check.table, exc)


def _unreadable(check: str, table: str, exc: sqlite3.DatabaseError) -> Finding:
    if _is_interrupted(exc):
        raise exc
    return Finding(check, table, f"can't be read: {exc}")


def _is_interrupted(exc: sqlite3.Error) -> bool:
    return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 3]}..."


def settings_of_files(database: Path) -> list[Finding]:
    """What is wrong with who may read the files of a store, which hold everything that agents say to each other."""
    findings = []
    for path in (database.parent, database, database.with_name(f"{database.name}-wal")):
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            what = f"{path.name or path} is open to other users (mode {mode:o}); chmod go= makes it private"
            findings.append(Finding("permissions", "files", what))
    return findings
