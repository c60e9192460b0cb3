"""verify.py: a sound store has no findings, and each kind of damage is found and named."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_server.keeping import layout
from relay_server.keeping.checks import CHECKS
from relay_server.keeping.source import open_source
from relay_server.keeping.verify import FINDINGS_MAX, Report, verify_file, verify_folder, verify_source
from relay_server.store.interface import StoreRefused
from tests.keeping.conftest import Busy
from tests.keeping.stores import opened
from tests.relay.stress import Fleet, make_cheap, temporary_folder

SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
STEPS = 200

DAMAGE = {
    # what finds it: (how it is done, the row that is named, words of what is said)
    "message_kinds": ("UPDATE messages SET hops = -1 WHERE message = :plain", ":plain", "hops is -1"),
    "message_headers": ("UPDATE messages SET headers = 'a: b' WHERE message = :plain", ":plain", "no object in JSON"),
    "message_place": ("UPDATE messages SET thread = 900 WHERE message = :plain", ":plain", "thread 900"),
    "message_without_work": ("UPDATE messages SET claimable = 1 WHERE message = :plain", ":plain", "no work of it"),
    "counter_missing": ("DELETE FROM counters", "message", "no counter message"),
    "counter_behind": (
        "INSERT INTO alarms (at, message, agent) VALUES (1, 500, 'ada')", "message", "500 was given out before",
    ),
    "sequence_behind": ("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'tokens'", "tokens", "number would be 1"),
    "work_state": ("UPDATE work SET state = 'lost' WHERE message = :done", ":done", "lost is no state"),
    "work_message": ("UPDATE work SET sender = 'eve' WHERE message = :ready", ":ready", "from eve to cap:build"),
    "work_rank": ("UPDATE work SET rank = 3, ready_rank = 3 WHERE message = :ready", ":ready", "has priority 8"),
    "work_held_by": ("UPDATE work SET held_by = NULL WHERE message = :claimed", ":claimed", "held_by is none"),
    "work_claim": ("UPDATE work SET lease_s = NULL WHERE message = :claimed", ":claimed", "a lease of none s"),
    "work_epoch": ("UPDATE agents SET epoch = 0 WHERE agent = 'ben'", ":claimed", "and is at epoch 0"),
    "work_fence": ("UPDATE work SET fence = 0 WHERE message = :failed", ":failed", "tried 1 times of 3"),
    "work_ready_rank": ("UPDATE work SET ready_rank = NULL WHERE message = :ready", ":ready", "ready_rank is none"),
    "work_is_listed": ("UPDATE work SET is_listed = 1 WHERE message = :canceled", ":canceled", "is_listed is 1"),
    "work_open_key": ("UPDATE work SET open_key = 'cpu' WHERE message = :done", ":done", "open_key is cpu"),
    "work_ready_at": ("UPDATE work SET ready_at = 5 WHERE message = :buried", ":buried", "ready_at is 5"),
    "work_parked": ("UPDATE work SET needs = NULL WHERE message = :parked", ":parked", "needs is none"),
    "work_not_woken": ("DELETE FROM alarms WHERE message = :parked", ":parked", "nothing wakes it"),
    "work_waits_for_nothing": ("DELETE FROM dependencies WHERE message = :waits", ":waits", "waits for none"),
    "work_history_unread": ("UPDATE work SET history = x'5b31' WHERE message = :done", ":done", "can't be read"),
    "work_history": (
        "UPDATE work SET state = 'working' WHERE message = :claimed", ":claimed", "ends with claim, claimed at fence 1",
    ),
    "dependency_work": ("UPDATE work SET marks = 0 WHERE message = :ready", ":waits", "would not wake it"),
    "delivery_stage": ("UPDATE deliveries SET stage = 'pushed' WHERE message = :reply", ":reply", "pushed is no stage"),
    "delivery_numbers": ("UPDATE deliveries SET size = -1 WHERE message = :reply", ":reply", "-1 bytes"),
    "delivery_rank": ("UPDATE deliveries SET rank = 5 WHERE message = :urgent", ":urgent", "has priority 9"),
    "delivery_without_place": ("DELETE FROM ranked WHERE message = :urgent", ":urgent", "it would never come"),
    "delivery_not_woken": ("DELETE FROM alarms WHERE message = :urgent", ":urgent", "nothing wakes it then"),
    "delivery_not_ended": (
        "UPDATE deliveries SET expires_at = 5, stage = 'queued' WHERE message = :reply", ":reply", "nothing looks at",
    ),
    "delivery_of_what_is_over": (
        "UPDATE deliveries SET stage = 'queued' WHERE message = :done AND agent = 'ben'", ":done", "its work is done",
    ),
    "ask_state": ("UPDATE asks SET state = 'answered' WHERE message = :asked", ":asked", "its reply is none"),
    "ask_message": ("UPDATE asks SET asker = 'eve' WHERE message = :asked", ":asked", "eve asked"),
    "ask_refused": ("UPDATE deliveries SET stage = 'dead' WHERE message = :asked", ":asked", "its delivery is dead"),
    "agent_words": ("UPDATE agents SET tags = '[' WHERE agent = 'ada'", "ada", "are no list in JSON"),
    "token_end": ("UPDATE tokens SET ends_at = NULL WHERE number = 2", "2", "ends_at is none"),
    "token_rights": ("UPDATE tokens SET digest = x'00' WHERE number = 1", "1", "digest has 1 bytes"),
    "pair_state": ("UPDATE pairs SET is_live = NULL WHERE pair = :pair", ":pair", "is_live is none"),
    "pair_message": ("UPDATE messages SET sender = 'eve' WHERE message = :pair", ":pair", "its message is from eve"),
    "pair_without_its_two": ("DELETE FROM taken WHERE agent = 'cid'", ":pair", "cid is in it"),
    "taken_by_what_is_over": (
        "UPDATE pairs SET state = 'ended', is_live = NULL WHERE pair = :pair", "ada", "which is ended",
    ),
    "callback_state": ("UPDATE callbacks SET state = 'sent' WHERE callback = 1", "1", "it is sent"),
    "callback_not_due": ("UPDATE callbacks SET due_at = NULL", "1", "none of task"),
    "layout": ("DROP INDEX work_ready", None, "index work_ready is missing"),
    "references": ("DELETE FROM messages WHERE message = :plain", None, "a row of messages that is not there"),
}  # fmt: skip


def damage(folder: Path, statement: str, ids: dict[str, int]) -> None:
    with opened(folder) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(statement, ids)


def test_a_sound_store_has_no_findings(busy: Busy) -> None:
    report = verify_folder(busy.folder)
    assert report.findings == []
    assert report.ok
    assert report.checks == len(CHECKS) + 3
    assert (report.schema, report.bytes % 4096) == (layout.newest_schema(), 0)
    assert report.rows["work"] == 14
    assert all(report.rows.values()), "something of everything is in it"


@pytest.mark.parametrize(
    ("table", "column"), [("agents", name) for name in ("tags", "caps", "channels", "will")] + [("tokens", "scopes")]
)
def test_json_of_another_kind_is_found(table: str, column: str, copied: Callable[[], Path]) -> None:
    """A relay would not come up on it."""
    folder = copied()
    damage(folder, f"UPDATE {table} SET {column} = '1'", {})
    found = {finding.check for finding in verify_folder(folder).findings}
    assert found == {{"agents": "agent_words", "tokens": "token_rights"}[table]}


@pytest.mark.parametrize("check", DAMAGE)
def test_damage_is_found_and_named(check: str, busy: Busy, copied: Callable[[], Path]) -> None:
    statement, row, words = DAMAGE[check]
    folder = copied()
    damage(folder, statement, busy.ids)
    report = verify_folder(folder)
    assert not report.ok
    found = [finding for finding in report.findings if finding.check == check]
    assert found, report.findings
    named = None if row is None else str(busy.ids[row[1:]]) if row.startswith(":") else row
    assert any((named is None or finding.id == named) and words in finding.what for finding in found), found


def test_each_check_has_a_damage_that_it_finds() -> None:
    assert {check.name for check in CHECKS} <= DAMAGE.keys()


def test_pages_that_can_not_be_read_are_found(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened(folder) as database:
        ((root,),) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").fetchall()
    with (folder / "relay.db").open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(b"\xa5" * 4096)
    report = verify_folder(folder)
    assert not report.ok
    assert {finding.check for finding in report.findings} >= {"integrity", "work_message"}
    assert report.rows["messages"] == -1
    assert any(finding.what.startswith("can't be read: ") for finding in report.findings)


def test_an_index_that_disagrees_with_its_table_is_found(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened(folder) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'work_open'").fetchone()
        database.execute("PRAGMA writable_schema = ON")
        database.execute("DELETE FROM sqlite_schema WHERE name = 'work_open'")
    with opened(folder) as database:
        database.execute("UPDATE work SET is_listed = NULL, target = 'nobody' WHERE state = 'ready'")
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "INSERT INTO sqlite_schema VALUES ('index', 'work_open', 'work', ?, "
            "'CREATE INDEX work_open ON work (target) WHERE is_listed IS NOT NULL')",
            (root,),
        )
    found = {(finding.check, finding.what) for finding in verify_folder(folder).findings}
    assert any(check == "integrity" and "work_open" in what for check, what in found), found


def test_many_findings_of_one_kind_are_cut_and_that_is_said(busy: Busy, copied: Callable[[], Path]) -> None:
    folder = copied()
    damage(folder, "UPDATE deliveries SET size = -1", busy.ids)
    found = [finding for finding in verify_folder(folder).findings if finding.check == "delivery_numbers"]
    assert len(found) == FINDINGS_MAX + 1
    assert found[-1].what == "there are more of these"


def test_files_that_others_may_read_are_found(copied: Callable[[], Path]) -> None:
    folder = copied()
    (folder / "relay.db").chmod(0o644)
    (finding,) = verify_folder(folder).findings
    assert finding.what == "relay.db is open to other users (mode 644); chmod go= makes it private"


def test_a_copy_is_checked_where_nothing_can_be_written(busy: Busy, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "old.db").write_bytes((busy.folder / "relay.db").read_bytes())
    assert verify_file(shelf / "old.db").ok
    assert [path.name for path in shelf.iterdir()] == ["old.db"], "nothing is made beside it"


@pytest.mark.parametrize("schema", [1, layout.newest_schema() - 1])
def test_a_store_of_an_older_relay_is_checked_as_far_as_it_goes(schema: int, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as database:
        layout.make_schema(database, schema)
    database.close()
    report = verify_file(tmp_path / "old.db")
    assert (report.ok, report.schema, report.checks, report.ledger) == (True, schema, 3, False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("PRAGMA user_version = 999", "it was written by a newer relay"),
        ("CREATE TABLE notes (text)", "it is no store of a relay"),
    ],
)
def test_what_is_no_store_is_refused(make: str, said: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute(make)
    database.close()
    with pytest.raises(StoreRefused, match=said):
        verify_file(tmp_path / "x.db")
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to be read as one" * 20)
    with pytest.raises(StoreRefused, match="can't be read"):
        verify_file(tmp_path / "x.db")


async def test_whatever_agents_do_the_store_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random model of test_stress.py, looked at every few steps."""
    make_cheap(monkeypatch)
    with temporary_folder() as folder:
        fleet = Fleet(Path(folder) / "desk", SEED)
        await fleet.open()
        try:
            for number in range(STEPS):
                await fleet.step()
                if number % 10 == 9:
                    report = look(fleet.folder / "relay.db")
                    assert report.findings == [], f"RELAY_TEST_SEED={SEED}, step {number}"
        finally:
            await fleet.close()


def look(database: Path) -> Report:
    source = open_source(database)
    try:
        return verify_source(source)
    finally:
        source.close()
