"""What tables, columns, indexes and triggers a store of some schema has, to be compared with what is there.

Not by the text that made them: SQLite writes that anew with each column that is added, and each version in its own way.
"""

import sqlite3
from typing import Any, Final

from ..store.schema import migrations

TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name"
NAMES: Final = "SELECT type || ' ' || name, tbl_name FROM sqlite_schema WHERE type IN ('trigger', 'view')"

Layout = dict[str, tuple[str, Any]]
"""What there is by its name (`index work_ready`): the table that it is of, and what can be compared."""


def newest_schema() -> int:
    """The number of the last migration that this relay knows."""
    return len(migrations())


def make_schema(connection: sqlite3.Connection, schema: int) -> None:
    """Give an empty database the tables of a schema, 1 to newest_schema()."""
    for number, script in migrations()[:schema]:
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def layout_of(connection: sqlite3.Connection) -> Layout:
    """What a database has."""
    found: Layout = {name: (table, None) for name, table in connection.execute(NAMES)}
    for (table,) in connection.execute(TABLES).fetchall():
        columns = connection.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
        found[f"table {table}"] = (table, [(name, kind, key) for _, name, kind, _, _, key, _ in columns])
        for _, index, unique, _, partial in connection.execute(f'PRAGMA index_list("{table}")').fetchall():
            if index.startswith("sqlite_autoindex"):
                continue
            parts = connection.execute(f'PRAGMA index_xinfo("{index}")').fetchall()
            found[f"index {index}"] = (table, (unique, partial, [name for _, _, name, _, _, is_key in parts if is_key]))
    return found


def layout_for(schema: int) -> Layout:
    """What a store of this schema has."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        make_schema(connection, schema)
        return layout_of(connection)
    finally:
        connection.close()
