"""One turn's transaction as the commands see it: the connection's statements, the turn's time, the next message id."""

import sqlite3
from collections.abc import Callable
from typing import Any

from .outcomes import Change


class Transaction:
    """`execute` and `executemany` are the connection's own; `next_message` becomes durable with the commit.

    `sizes`: what inboxes hold at most, (messages, bytes), as far as they were measured in this turn. `changes`: what
    the command at hand did to work; its outcome takes them along.
    """

    __slots__ = ("changes", "execute", "executemany", "next_message", "now", "sizes")

    def __init__(self, connection: sqlite3.Connection, now: int, next_message: int) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.executemany: Callable[[str, list[tuple[Any, ...]]], sqlite3.Cursor] = connection.executemany
        self.now = now
        self.next_message = next_message
        self.sizes: dict[str, tuple[int, int]] = {}
        self.changes: list[Change] = []

    def change_all(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Conditional writes that were looked at before: each must change its row.

        Should one not (another relay on the same database), the turn is rolled back and applied command by command.
        """
        if self.executemany(statement, rows).rowcount != len(rows) and rows:
            raise RuntimeError("a row was changed by another between a look at it and its write")
