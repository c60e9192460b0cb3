"""layout.py: what a store of each schema has."""

import sqlite3

import pytest

from relay_server.keeping.layout import layout_for, layout_of, make_schema, newest_schema
from relay_server.store import schema


def test_it_is_the_schema_that_the_migrations_make() -> None:
    one, two = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    schema.migrate(one)
    make_schema(two, newest_schema())
    assert list(one.iterdump()) == list(two.iterdump())
    assert one.execute("PRAGMA user_version").fetchone() == (newest_schema(),)
    one.close()
    two.close()


@pytest.mark.parametrize("number", range(1, newest_schema() + 1))
def test_each_schema_has_a_layout(number: int) -> None:
    layout = layout_for(number)
    assert layout["table messages"][0] == "messages"
    assert ("index work_ready" in layout) == (number >= 3)
    assert "trigger messages_never_reused" in layout


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER messages_never_reused",
        "ALTER TABLE messages ADD COLUMN colour TEXT",
        "CREATE TABLE notes (text)",
        "DROP INDEX work_held",
        "CREATE INDEX work_by_sender ON work (sender)",
    ],
)
def test_a_difference_shows(change: str) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make_schema(connection, newest_schema())
    assert layout_of(connection) == layout_for(newest_schema())
    connection.execute(change)
    assert layout_of(connection) != layout_for(newest_schema())
    connection.close()
