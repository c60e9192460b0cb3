"""sql/: every statement is used, prepares against the schema, and the hot ones read no more than they must."""

import re
import sqlite3
from pathlib import Path

import pytest

from relay_server.store import queries, schema


def statements() -> list[str]:
    return sorted(queries.STATEMENTS)


@pytest.fixture(scope="module")
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    connection.execute("CREATE TABLE stretch (filler BLOB)")
    return connection


def plan(connection: sqlite3.Connection, statement: str) -> str:
    names = set(re.findall(r":(\w+)", statement))
    numbered = [int(number) for number in re.findall(r"\?(\d+)", statement)]
    count = max(numbered, default=0) + len(re.findall(r"\?(?!\d)", statement))
    values: dict[str, None] | list[None] = dict.fromkeys(names) if names else [None] * count
    try:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    except sqlite3.ProgrammingError:
        # Mixed ? and ?N: SQLite numbers them itself.
        for count in range(1, 30):
            try:
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * count).fetchall()
                break
            except sqlite3.ProgrammingError:
                continue
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("name", statements())
def test_every_statement_prepares_and_is_used(connection: sqlite3.Connection, name: str) -> None:
    plan(connection, queries.STATEMENTS[name])
    folder = Path(queries.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    assert f"queries.{name}" in sources


ONCE_AT_START = {"all_agents", "blocking_asks", "held_claims", "inbox_all", "stretch"}
WHAT_IS_OPEN = {"count_open", "open_tasks"}
"""They read all of the partial index work_open: as much as is open, not as much as there ever was. On the reading
connection, so no turn waits for them."""


def test_what_lists_open_tasks_reads_the_index_of_open_ones_and_no_table(connection: sqlite3.Connection) -> None:
    for name in WHAT_IS_OPEN:
        (scan, *rest) = plan(connection, queries.STATEMENTS[name]).splitlines()
        assert scan in ("SCAN work USING INDEX work_open", "SCAN work USING COVERING INDEX work_open")
        assert rest in ([], ["USE TEMP B-TREE FOR GROUP BY"]), name
    folder = Path(queries.__file__).parent
    users = {
        path.name for path in folder.glob("*.py") if any(f"queries.{name}" in path.read_text() for name in WHAT_IS_OPEN)
    }
    assert users == {"task_reads.py", "overview.py"}, "the questions, which are answered on the reading connection"


@pytest.mark.parametrize("name", [name for name in statements() if name not in ONCE_AT_START | WHAT_IS_OPEN])
def test_no_statement_of_a_turn_scans_a_table(connection: sqlite3.Connection, name: str) -> None:
    lines = plan(connection, queries.STATEMENTS[name]).splitlines()
    # What a subquery gave is read whole; its own plan, which is looked at too, says what that took.
    inner = {line.split()[-1] for line in lines if line.startswith(("CO-ROUTINE", "MATERIALIZE"))}
    for line in lines:
        words = line.split()
        if words[0] == "SCAN":
            assert words[1] in inner | {"json_each", "CONSTANT", "pages"} or "subquery" in line, line


def test_an_unknown_statement_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no statement in sql/ is named nothing"):
        queries.nothing  # noqa: B018
