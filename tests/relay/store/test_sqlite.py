"""sqlite.py: settings that hold, turns that fail one command and not their neighbours, a full disk, a failed one."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from relay_proto.errors import Internal, RelayError, StorageFull
from relay_proto.frames import Register, Send
from relay_server.store import applying, messages, sqlite
from relay_server.store import interface as ask
from relay_server.store.sqlite import SQLiteStore

NOW = 1_700_000_000_000


def put_agent(name: str) -> ask.PutAgent:
    return ask.PutAgent(None, 1, Register(id=1, agent=name), "i1")


def put_message(body: Any = "x", key: str | None = None, to: str = "bob") -> ask.PutMessage:
    return ask.PutMessage(None, 1, "ada", Send(id=1, to=to, body=body, key=key), [to], 0)


def replace_put_message(
    monkeypatch: pytest.MonkeyPatch, function: Callable[[Any, ask.PutMessage], ask.Outcome]
) -> None:
    commands: dict[Any, Any] = applying.APPLY
    monkeypatch.setitem(commands, ask.PutMessage, function)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "data")
    await store.open()
    yield store
    await store.close()


async def test_what_was_committed_is_there_after_a_reopen(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path)
    await store.open()
    await store.commit([put_agent("ada"), put_message("one"), put_message(b"two")], NOW)
    await store.close()
    again = SQLiteStore(tmp_path)
    snapshot = await again.open()
    assert [agent.agent for agent in snapshot.agents] == ["ada"]
    (page,) = await again.look_up([ask.InboxPage(None, 1, "bob", 10, 0, None, True, 10**6)], NOW)
    assert isinstance(page, ask.Page)
    assert [(item.message, item.body) for item in page.items] == [(1, "one"), (2, b"two")]
    await again.close()


async def test_message_ids_go_on_after_a_reopen_even_when_the_last_messages_are_gone(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path)
    await store.open()
    await store.commit([put_message(), put_message()], NOW)
    await store.close()
    with sqlite3.connect(tmp_path / "relay.db") as connection:
        connection.execute("DELETE FROM deliveries")
        connection.execute("DELETE FROM messages")
    connection.close()
    again = SQLiteStore(tmp_path)
    await again.open()
    (outcome,) = await again.commit([put_message()], NOW)
    assert isinstance(outcome, ask.MessagePut)
    assert outcome.message == 3
    await again.close()


async def test_the_folder_and_its_files_are_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    store = SQLiteStore(folder)
    await store.open()
    await store.commit([put_message()], NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(("relay.db", "relay.db-wal", "relay.db-shm", "relay.lock", "ballast"), 0o600)
    await store.close()


async def test_a_second_relay_on_the_same_folder_is_refused_and_named(store: SQLiteStore) -> None:
    with pytest.raises(ask.StoreRefused, match=r"in use by another relay \(process \d+\)"):
        await SQLiteStore(store.folder).open()
    await store.commit([put_message()], NOW)


async def test_a_setting_that_does_not_hold_refuses_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WRITER_PRAGMAS", (("synchronous", "NORMAL", 2),))
    with pytest.raises(ask.StoreRefused, match="PRAGMA synchronous"):
        await SQLiteStore(tmp_path).open()
    monkeypatch.undo()
    store = SQLiteStore(tmp_path)  # the refused one has let go of the folder
    await store.open()
    await store.close()


async def test_the_settings_that_the_promises_rest_on_are_set(store: SQLiteStore) -> None:
    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "cell_size_check", "mmap_size")
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert store._writer is not None
    assert await store._writer.run(read) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
    }


async def test_the_reading_connection_cannot_write(store: SQLiteStore) -> None:
    assert store._reader is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store._reader.run(lambda connection: connection.execute("DELETE FROM messages"))


async def test_the_wal_has_its_full_length_from_the_start_and_the_database_does_not(store: SQLiteStore) -> None:
    wal = store.folder / "relay.db-wal"
    length = wal.stat().st_size
    assert length >= sqlite.CHECKPOINT_PAGES * 4096
    assert wal.stat().st_blocks * 512 >= length, "written, not only reserved"
    await store.commit([put_message() for _ in range(100)], NOW)
    assert wal.stat().st_size == length
    assert store.path.stat().st_size < 1_000_000


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ask.StoreRefused, match="can't be opened"):
        await SQLiteStore(tmp_path).open()


async def test_a_bad_command_fails_alone(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = messages.put_message

    def broken(tx: Any, command: ask.PutMessage) -> ask.Outcome:
        outcome = real(tx, command)
        if command.frame.body == "boom":
            raise ZeroDivisionError("a bug of ours, after its writes")
        return outcome

    replace_put_message(monkeypatch, broken)
    outcomes = await store.commit([put_message("a"), put_message("boom"), put_message("b")], NOW)
    assert [type(outcome) for outcome in outcomes] == [ask.MessagePut, Internal, ask.MessagePut]
    (page,) = await store.look_up([ask.InboxPage(None, 1, "bob", 10, 0, None, True, 10**6)], NOW)
    assert isinstance(page, ask.Page)
    assert [item.body for item in page.items] == ["a", "b"]


async def test_a_refusal_leaves_no_trace_and_its_neighbours_alone(store: SQLiteStore) -> None:
    bad = ask.PutMessage(None, 1, "ada", Send(id=1, to="bob", body="r", reply_to=99), ["bob"], 0)
    outcomes = await store.commit([put_message("a"), bad, put_message("b")], NOW)
    assert [isinstance(outcome, RelayError) for outcome in outcomes] == [False, True, False]
    assert [outcome.message for outcome in outcomes if isinstance(outcome, ask.MessagePut)] == [1, 2]


async def set_page_limit(store: SQLiteStore, pages: int) -> None:
    """SQLite's own limit gives the same SQLITE_FULL as a disk without room."""
    assert store._writer is not None
    await store._writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())


async def test_a_full_disk_refuses_sends_keeps_acks_and_recovers(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "FULL_PROBE_S", 0.0)
    (first,) = await store.commit([put_message("first", key="k")], NOW)
    assert isinstance(first, ask.MessagePut)
    await set_page_limit(store, 1)  # SQLite takes the present size as the least
    large = [put_message("y" * 200_000) for _ in range(3)]
    ack = ask.AckMessages(None, None, "bob", [first.message], "done")
    outcomes = await store.commit([*large, ack], NOW)
    assert [type(outcome) for outcome in outcomes] == [StorageFull, StorageFull, StorageFull, ask.Acked]
    assert not (store.folder / "ballast").exists(), "its room is given to acks"
    assert all(isinstance(outcome, StorageFull) for outcome in await store.commit(large, NOW))
    await set_page_limit(store, 1_000_000)
    outcomes = await store.commit(large, NOW)
    assert [type(outcome) for outcome in outcomes] == [ask.MessagePut] * 3
    assert (store.folder / "ballast").exists()
    (page,) = await store.look_up([ask.InboxPage(None, 1, "bob", 10, 0, None, True, 10**7)], NOW)
    assert isinstance(page, ask.Page)
    assert [len(item.body) for item in page.items] == [200_000] * 3, "what was refused was not stored, the ack was"


async def test_while_the_disk_is_full_sends_are_not_tried_more_than_once_a_while(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "FULL_PROBE_S", 3600.0)
    await store.commit([put_message()], NOW)
    await set_page_limit(store, 1)
    await store.commit([put_message("y" * 200_000)], NOW)
    tried = 0

    def count(tx: Any, command: ask.PutMessage) -> ask.Outcome:
        nonlocal tried
        tried += 1
        return messages.put_message(tx, command)

    replace_put_message(monkeypatch, count)
    (outcome,) = await store.commit([put_message()], NOW)
    assert isinstance(outcome, StorageFull)
    assert tried == 0


@pytest.mark.parametrize("name", ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_WRITE", "SQLITE_CORRUPT"])
async def test_after_an_io_error_nothing_is_answered(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fails(tx: Any, command: ask.PutMessage) -> ask.Outcome:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
        raise error

    replace_put_message(monkeypatch, fails)
    with pytest.raises(ask.StoreFailed, match=name):
        await store.commit([put_message()], NOW)


async def test_another_process_with_a_lock_makes_a_turn_unavailable_and_not_lost(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store._writer is not None
    await store._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 10").fetchall())
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    (outcome,) = await store.commit([put_message()], NOW)
    assert isinstance(outcome, RelayError)
    assert (outcome.code, outcome.retryable) == ("unavailable", True)
    other.execute("ROLLBACK")
    other.close()
    (outcome,) = await store.commit([put_message()], NOW)
    assert isinstance(outcome, ask.MessagePut)


async def test_cancelling_who_waits_for_a_commit_does_not_leave_a_transaction_open(store: SQLiteStore) -> None:
    task = asyncio.ensure_future(store.commit([put_message() for _ in range(500)], NOW))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (outcome,) = await store.commit([put_message()], NOW)
    assert isinstance(outcome, ask.MessagePut)
    assert outcome.message == 501


async def test_a_refill_stops_at_its_bytes_and_says_that_there_is_more(store: SQLiteStore) -> None:
    await store.commit([put_message("z" * 1000) for _ in range(5)], NOW)
    (filled,) = await store.commit([ask.Refill(None, None, "bob", 0, frozenset(), 64, 2500)], NOW)
    assert isinstance(filled, ask.Filled)
    assert ([frame.message for frame in filled.deliveries], filled.more) == ([1, 2, 3], True)
    (filled,) = await store.commit([ask.Refill(None, None, "bob", 0, frozenset({1, 3}), 2, 10**6)], NOW)
    assert isinstance(filled, ask.Filled)
    assert ([frame.message for frame in filled.deliveries], filled.more) == ([2, 4], True)
    (filled,) = await store.commit([ask.Refill(None, None, "bob", 3, frozenset(), 2, 10**6)], NOW)
    assert isinstance(filled, ask.Filled)
    assert ([frame.message for frame in filled.deliveries], filled.more) == ([4, 5], False)


async def test_a_page_ends_before_it_outgrows_a_websocket_message(store: SQLiteStore) -> None:
    await store.commit([put_message("é" * 50_000) for _ in range(4)], NOW)
    (page,) = await store.look_up([ask.InboxPage(None, 1, "bob", 100, 0, None, True, 250_000)], NOW)
    assert isinstance(page, ask.Page)
    assert ([item.message for item in page.items], page.next) == ([1, 2], 2)
