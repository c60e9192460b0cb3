"""schema.py: numbered migrations."""

import sqlite3

import pytest

from relay_server.store import schema
from relay_server.store.interface import StoreRefused


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_a_new_database_gets_every_migration_and_an_old_one_only_what_it_lacks() -> None:
    connection = connect()
    newest = schema.migrate(connection)
    assert connection.execute("PRAGMA user_version").fetchone() == (newest,)
    assert schema.migrate(connection) == newest
    connection.close()


def test_a_newer_schema_is_refused() -> None:
    connection = connect()
    connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreRefused, match="schema 999"):
        schema.migrate(connection)
    connection.close()


def test_a_migration_that_fails_leaves_the_schema_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect()
    monkeypatch.setattr(schema, "migrations", lambda: [(1, "CREATE TABLE a (x);"), (2, "CREATE TABLE b (x); BROKEN;")])
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection)
    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    connection.close()
