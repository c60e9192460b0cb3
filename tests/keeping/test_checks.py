"""checks.py: the statements of ledger.sql, each with what is said of what it finds."""

import re
import sqlite3

import pytest

from relay_server.keeping.checks import CHECKS, Check
from relay_server.keeping.layout import make_schema, newest_schema


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_runs_and_can_say_what_it_finds(check: Check) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make_schema(connection, newest_schema())
    cursor = connection.execute(check.statement)
    columns = {column[0] for column in cursor.description}
    assert set(re.findall(r"{(\w+)}", check.finds)) <= columns
    assert cursor.fetchall() == [], "a new store is sound"
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert check.table in tables
    connection.close()


def test_there_are_checks_of_every_part_of_the_ledger() -> None:
    about = {check.table for check in CHECKS}
    assert about >= {"messages", "work", "deliveries", "asks", "agents", "tokens", "pairs", "taken", "callbacks"}
