"""schema.py: numbered migrations."""

import sqlite3
from pathlib import Path

import pytest

from relay_proto.frames import Claim, Complete, GetTask, Release, Send
from relay_server.store import schema
from relay_server.store.interface import StoreRefused
from relay_server.store.sqlite import SQLiteStore
from tests.relay.desk import START_MS, Desk, kinds


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


BEFORE_TASKS = 2
"""The schema of relays that knew work, and no tasks."""


def work_of_before(folder: Path) -> None:
    """A database of such a relay: work that is ready (1), held by ben (2), done by him (3) and replaced (4)."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "relay.db", isolation_level=None)
    for number, script in schema.migrations()[:BEFORE_TASKS]:
        connection.executescript(f"{script}\nPRAGMA user_version = {number};")
    connection.execute(
        "INSERT INTO agents (agent, instance, epoch, first_seen_at, last_seen_at) VALUES ('ben', 'i', 1, ?1, ?1)",
        (START_MS,),
    )
    states = ((1, "ready", None, 0, None), (2, "claimed", "ben", 4, None), (3, "done", "ben", 1, None))
    for message, state, holder, fence, reason in (*states, (4, "failed", None, 0, "superseded by 9")):
        connection.execute(
            "INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, "
            "claimable, priority) VALUES (?1, 'ada', 'cap:x', 'b', ?2, ?1, 0, 1, 0, 1, 7)",
            (message, START_MS),
        )
        connection.execute(
            "INSERT INTO deliveries (message, agent, stage, at, attempt, size) VALUES (?, 'ben', 'surfaced', ?, 1, 1)",
            (message, START_MS),
        )
        connection.execute(
            "INSERT INTO work (message, target, state, fence, attempts, changed_at, holder, holder_epoch, lease_s, "
            "reason) VALUES (?, 'cap:x', ?, ?, 1, ?, ?, 1, 60.0, ?)",
            (message, state, fence, START_MS, holder, reason),
        )
    connection.close()
    (folder / "relay.db").chmod(0o600)


async def test_work_of_a_relay_that_knew_no_tasks_goes_on(tmp_path: Path) -> None:
    work_of_before(tmp_path / "data")
    desk = await Desk(tmp_path / "data").open()
    ben = await desk.agent("ben", caps=["x"], instance="i")
    (claimed,) = await desk.say(ben, Claim(id=1, message=1))
    assert (claimed["op"], claimed["fence"]) == ("ok", 1)
    (again,) = await desk.say(ben, Claim(id=2, message=2))
    assert again["fence"] == 4, "the same process has it still"
    assert kinds(await desk.say(ben, Complete(id=3, message=3, fence=1))) == ["ok"], "it said so before"
    assert kinds(await desk.say(ben, Release(id=4, message=2, fence=4))) == ["ok", "deliver 2 #2"]
    tasks = {number: (await desk.say(ben, GetTask(id=5, message=number)))[-1]["item"] for number in (1, 3, 4)}
    assert [tasks[number]["state"] for number in (1, 3, 4)] == ["claimed", "done", "superseded"]
    assert (tasks[1]["from"], tasks[1]["priority"], tasks[1]["attempts_max"]) == ("ada", 7, 3)
    assert [line["event"] for line in tasks[3]["history"]] == ["submit", "complete"]
    ada = await desk.agent("ada")
    (sent,) = await desk.say(ada, Send(id=6, to="ben", body="b"))
    (newer,) = await desk.say(ada, Send(id=7, to="ben", body="c", supersedes=sent["message"]))
    assert newer["op"] == "ok"
    await desk.close()


@pytest.mark.parametrize("version", [0, 1, 3, 8, 99])
async def test_a_database_of_another_program_is_left_as_it_is(version: int, tmp_path: Path) -> None:
    """And so is its folder, which may be the whole home of somebody: nothing is closed to others, nothing is made."""
    folder = tmp_path / "other"
    folder.mkdir(mode=0o755)
    path = folder / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, sender TEXT)")
        connection.execute("CREATE TABLE agents (agent TEXT)")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(StoreRefused, match="another program made its tables; give the relay a --data folder of its"):
        await SQLiteStore(folder, database="other.db").open()
    assert path.read_bytes() == before
    assert [one.name for one in folder.iterdir()] == ["other.db"]
    assert [one.stat().st_mode & 0o777 for one in (folder, path)] == [0o755, 0o644]
    (folder / "relay.lock").touch()
    with pytest.raises(StoreRefused, match="another program made its tables"):
        await SQLiteStore(folder, database="other.db").open()
    assert path.read_bytes() == before
