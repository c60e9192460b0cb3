"""overview.py: what it costs does not grow with what inboxes hold or with the history, and its limits hold.

That what it says is true is seen at the desk, in tests/relay/test_overview.py.
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from relay_proto.limits import OVERVIEW_ENTRIES_MAX
from relay_server.store import overview, schema
from relay_server.store.overview import COUNT_MAX, PUT_OFF_MAX, STUCK_MS, overview_counts

NOW = 1_700_000_000_000
LATER = NOW + STUCK_MS


@pytest.fixture
def connection() -> Iterable[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    yield connection
    connection.close()


def put(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]], stage: str = "queued", **columns: Any) -> None:
    """A message and its delivery for each (id, agent)."""
    named = {"stage": stage, "at": NOW, "attempt": 1, "size": 1} | columns
    made = list(rows)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable) "
        "VALUES (?1, 'a', 'b', 'x', ?2, ?1, 0, 1, 0, 0)",
        [(message, NOW) for message, _ in made],
    )
    connection.executemany(
        f"INSERT INTO deliveries (message, agent, {', '.join(named)}) VALUES (?, ?{', ?' * len(named)})",
        [(message, agent, *named.values()) for message, agent in made],
    )
    connection.execute("COMMIT")


def work(connection: sqlite3.Connection, ids: Iterable[int], **columns: Any) -> None:
    """Work that is ready, or as the columns say."""
    named: dict[str, Any] = {
        "target": "cap:x", "state": "ready", "fence": 0, "attempts": 0, "changed_at": NOW, "is_listed": 1, "rank": 5
    } | columns  # fmt: skip
    connection.executemany(
        f"INSERT INTO work (message, {', '.join(named)}) VALUES (?{', ?' * len(named)})",
        [(message, *named.values()) for message in ids],
    )


def steps(connection: sqlite3.Connection, look: Callable[[], object]) -> int:
    """How many hundreds of SQLite's own instructions it takes: time that no other process is in."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 100)
    look()
    connection.set_progress_handler(None, 0)
    return counted


def cost(connection: sqlite3.Connection) -> int:
    return steps(connection, lambda: overview_counts(connection, LATER))


def test_nothing_is_nothing(connection: sqlite3.Connection) -> None:
    found = overview_counts(connection, NOW)
    assert (found.inboxes, found.oldest, found.stuck, found.tasks, found.held) == (0, [], [], {}, {})


def test_what_inboxes_hold_and_the_history_cost_nothing(connection: sqlite3.Connection) -> None:
    put(connection, ((n, f"agent-{n % 10}") for n in range(1, 10 * COUNT_MAX + 1)))
    before = cost(connection)
    put(connection, ((n, f"agent-{n % 10}") for n in range(20_000, 50_000)))
    put(connection, ((n, f"gone-{n % 1000}") for n in range(50_000, 60_000)), stage="done")
    assert cost(connection) <= before * 1.01
    found = overview_counts(connection, LATER)
    assert found.inboxes == 10
    assert [(one.agent, one.message, one.count) for one in found.oldest[:2]] == [
        ("agent-1", 1, COUNT_MAX), ("agent-2", 2, COUNT_MAX)
    ]  # fmt: skip


def test_an_inbox_costs_a_few_steps_into_the_index(connection: sqlite3.Connection) -> None:
    put(connection, ((n, f"agent-{n}") for n in range(1, 101)))
    few = cost(connection)
    put(connection, ((n, f"agent-{n}") for n in range(101, 2101)))
    many = cost(connection)
    assert (many - few) * 100 / 2000 < 100, "instructions an inbox"
    assert len(overview_counts(connection, LATER).oldest) == OVERVIEW_ENTRIES_MAX


def test_ready_work_costs_what_its_targets_are_and_not_what_it_is(connection: sqlite3.Connection) -> None:
    put(connection, ((n, "ben") for n in range(1, 6001)))
    for rank, target in ((5, "cap:x"), (1, "cap:x"), (5, "cap:y")):
        first = {(5, "cap:x"): 1, (1, "cap:x"): 2001, (5, "cap:y"): 4001}[rank, target]
        work(connection, range(first, first + 1000), target=target, rank=rank, ready_rank=rank)
    ready = steps(connection, lambda: overview._ready_too_long(connection, LATER))
    work(connection, range(1001, 2001), ready_rank=5)
    assert steps(connection, lambda: overview._ready_too_long(connection, LATER)) <= ready + 5
    found = overview_counts(connection, LATER)
    assert sorted(task.message for task in found.stuck) == [1, 2001, 4001]
    assert (found.stuck_count, found.tasks) == (3, {"ready": 4000})


def test_what_was_put_off_is_passed_over_up_to_a_limit(connection: sqlite3.Connection) -> None:
    put(connection, ((n, "ben") for n in range(1, PUT_OFF_MAX)), due_at=LATER + 1)
    put(connection, ((n, "cid") for n in range(1001, 1001 + PUT_OFF_MAX)), due_at=LATER + 1)
    put(connection, [(5000, "ben"), (5001, "cid")])
    found = overview_counts(connection, LATER)
    assert [(one.agent, one.message) for one in found.oldest] == [("ben", 5000)]


def test_held_work_is_counted_by_holder_and_a_limit_of_it_is_looked_at(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "HELD_MAX", 3)
    put(connection, ((n, "ben") for n in range(1, 11)))
    work(connection, range(1, 6), state="claimed", held_by="ben")
    work(connection, range(6, 11), state="parked", held_by="cid", changed_at=0)
    found = overview_counts(connection, LATER)
    assert found.held == {"ben": 5, "cid": 5}
    assert [task.message for task in found.stuck] == [1, 2, 3]
    monkeypatch.undo()
    found = overview_counts(connection, LATER)
    assert [task.message for task in found.stuck] == [6, 7, 8, 9, 10, 1, 2, 3, 4, 5], "the longest first"
