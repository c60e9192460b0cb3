"""`relay serve` with the fence check taken out: a defect, for the tests to catch.

    python unfenced.py statements|words [options of relay serve]

statements: the ledger's UPDATEs do not look at the fence any more. What is looked at before them still is.
words: whatever a holder says is taken as if it had the current fence.

Either way who holds work under one fence may speak for it under another, as long as the agent is the same.
"""

import re
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any, Final

from relay_server.store import queries
from relay_server.store.sqlite import SQLiteStore

FENCE: Final = re.compile(r"\b((?:\w+\.)?fence)\s*=\s*([?:]\w*)", re.IGNORECASE)
UPDATE: Final = re.compile(r"\s*UPDATE\s+work\b(.*?)\bWHERE\b", re.IGNORECASE | re.DOTALL)


def take_it_out_of_the_statements() -> None:
    """Each has as many parameters as before."""
    changed = set()
    for name, statement in queries.STATEMENTS.items():
        if (update := UPDATE.match(statement)) is None:
            continue
        condition = statement[update.end() :]
        unchecked = FENCE.sub(r"\2 IS NOT NULL", condition)
        if unchecked != condition:
            queries.STATEMENTS[name] = update.group() + unchecked
            setattr(queries, name, queries.STATEMENTS[name])
            changed.add(name)
    assert {"renew", "end_claim"} <= changed, f"only {changed} checked the fence: there is nothing to take out"


def take_it_out_of_the_words() -> None:
    """Before a turn is decided, each word about a claim gets the fence that the claim has."""
    commit = SQLiteStore.commit

    async def commit_unfenced(store: SQLiteStore, commands: Sequence[Any], now_ms: int) -> Any:
        ledger = sqlite3.connect(f"{store.path.absolute().as_uri()}?mode=ro", uri=True)
        for command in commands:
            if getattr(command, "re", None) is not None and hasattr(command, "fence"):
                row = ledger.execute("SELECT fence FROM work WHERE message = ?", (command.message,)).fetchone()
                command.fence = command.fence if row is None else row[0]
        ledger.close()
        return await commit(store, commands, now_ms)

    SQLiteStore.commit = commit_unfenced  # type: ignore[assignment, method-assign]


def main() -> None:
    kind = sys.argv.pop(1)
    take_out = {"statements": take_it_out_of_the_statements, "words": take_it_out_of_the_words}
    take_out[kind]()
    from relay_server.cli import serve

    serve(prog_name="relay serve")


if __name__ == "__main__":
    main()
