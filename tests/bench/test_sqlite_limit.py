"""The limit writes Relay's rows."""

import sqlite3
from pathlib import Path

import pytest

from bench import sqlite_limit


@pytest.mark.parametrize(("name", "count"), [("one", 1), ("in-flight", 100), ("end-to-end", 100)])
def test_each_message_has_its_row_its_delivery_and_its_key(tmp_path: Path, name: str, count: int) -> None:
    measured = sqlite_limit.run(name, tmp_path, 0.0, 0.05)
    connection = sqlite3.connect(tmp_path / "limit.db")
    (messages, keys), (deliveries,) = (
        connection.execute("SELECT count(*), count(DISTINCT key) FROM messages").fetchone(),
        connection.execute("SELECT count(*) FROM deliveries").fetchone(),
    )
    done = connection.execute("SELECT count(*) FROM deliveries WHERE stage = 'done'").fetchone()[0]
    connection.close()
    assert messages == keys == deliveries == measured.messages > 0
    assert messages % count == 0
    assert done == (messages - count if name == "end-to-end" else 0)
