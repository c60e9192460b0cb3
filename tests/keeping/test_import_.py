"""import_.py: what was exported is a store again, with nothing lost; what is not whole leaves nothing behind."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from relay_proto.frames import Claim, Complete, Progress, Send
from relay_server.keeping.export import export_folder
from relay_server.keeping.import_ import Imported, import_file
from relay_server.keeping.layout import make_schema, newest_schema
from relay_server.keeping.verify import verify_folder
from relay_server.store import schema
from relay_server.store.interface import StoreRefused
from tests.keeping.conftest import Busy
from tests.keeping.stores import opened
from tests.relay.desk import Desk
from tests.relay.stress import make_cheap


def exported(folder: Path) -> bytes:
    target = io.BytesIO()
    export_folder(folder, target, 1_700_000_000_000, lambda count: None)
    return target.getvalue()


def imported(data: bytes, folder: Path) -> Imported:
    told: list[int] = []
    made = import_file(io.BytesIO(data), folder, told.append)
    assert sum(told) == len(data), "the bar comes to its end"
    return made


def sealed(lines: list[bytes]) -> bytes:
    """These lines with a right end: somebody changed them on purpose."""
    digest = hashlib.sha256(b"".join(lines[1:])).hexdigest()
    return b"".join(lines) + orjson.dumps({"record": "end", "records": len(lines) - 1, "sha256": digest}) + b"\n"


def changed(data: bytes, record: str, fields: dict[str, Any]) -> bytes:
    """The export with other fields in the first record of this kind, and a right end."""
    lines = data.splitlines(keepends=True)[:-1]
    for number, line in enumerate(lines):
        content = orjson.loads(line)
        if content["record"] == record:
            kept = {name: value for name, value in (content | fields).items() if value is not None}
            lines[number] = orjson.dumps(kept) + b"\n"
            return sealed(lines)
    raise AssertionError(record)


def test_what_is_exported_imported_and_exported_again_is_the_same(busy: Busy, tmp_path: Path) -> None:
    first = exported(busy.folder)
    made = imported(first, tmp_path / "new")
    assert made == Imported(first.count(b"\n") - 2, newest_schema(), str(tmp_path / "new" / "relay.db"))
    assert exported(tmp_path / "new") == first
    report = verify_folder(tmp_path / "new")
    assert report.ok
    assert report.rows == verify_folder(busy.folder).rows
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"relay.db", "relay.lock"}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "relay.db").stat().st_mode & 0o777 == 0o600


async def test_a_relay_goes_on_where_the_other_one_was(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cheap(monkeypatch)
    imported(exported(busy.folder), tmp_path / "new")
    desk = Desk(tmp_path / "new")
    desk.now = 10.0
    await desk.open()
    try:
        await _go_on(desk, busy.ids)
    finally:
        await desk.close()


async def _go_on(desk: Desk, ids: dict[str, int]) -> None:
    ada = await desk.agent("ada")
    bytes_again = Send(id=1, to="ben", body=b"\x00\xff bytes", key="key-b'\\x00\\xff bytes'", headers={"a": "b"})
    (again,) = await desk.say(ada, bytes_again)
    assert (again["message"], again["duplicate"]) == (ids["plain"], True), "keys are known"
    (fresh,) = await desk.say(ada, Send(id=2, to="ben", body="new"))
    assert fresh["message"] == ids["pending"] + 1, "ids go on"
    ben = await desk.agent("ben", caps=["build"])
    heard = await desk.say(ben, Complete(id=3, message=ids["working"], fence=1))
    assert heard[0]["op"] == "ok", "its holder holds it still, under its fence"
    released = (await desk.say(ben, Claim(id=5, message=ids["released"])))[0]
    assert released["fence"] == 2, "it was claimed under fence 1 before"
    (stale,) = await desk.say(ben, Progress(id=4, message=ids["released"], fence=1))
    assert stale["code"] == "stale_fence"


def work_of_before(target: Path, number: int) -> bytes:
    """The export of a relay that knew only this schema, with work that is ready and held."""
    target.mkdir(mode=0o700)
    with opened(target) as database:
        make_schema(database, number)
        database.execute(
            "INSERT INTO agents (agent, instance, epoch, first_seen_at, last_seen_at) VALUES ('ben', 'i', 1, 1, 1)"
        )
        for message, state, holder, fence in ((1, "ready", None, 0), (2, "claimed", "ben", 4)):
            database.execute(
                "INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, "
                "claimable) VALUES (?1, 'ada', 'cap:x', 'b', 1, ?1, 0, 1, 0, 1)",
                (message,),
            )
            database.execute(
                "INSERT INTO work (message, target, state, fence, attempts, changed_at, holder, holder_epoch, lease_s) "
                "VALUES (?, 'cap:x', ?, ?, ?, 1, ?, 1, 60.0)",
                (message, state, fence, fence, holder),
            )
    return exported(target)


def test_an_export_of_an_older_relay_is_brought_up_to_date(tmp_path: Path) -> None:
    made = imported(work_of_before(tmp_path / "old", 2), tmp_path / "new")
    assert (made.schema, made.records) == (2, 6)
    with opened(tmp_path / "new") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(schema.migrations()),)
        works = database.execute("SELECT message, fence, held_by, ready_rank, sender FROM work").fetchall()
    assert works == [(1, 0, None, 5, "ada"), (2, 4, "ben", None, "ada")]
    assert verify_folder(tmp_path / "new").ok


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.9999])
def test_a_file_that_was_cut_leaves_nothing(keep: float, busy: Busy, tmp_path: Path) -> None:
    data = exported(busy.folder)
    with pytest.raises(StoreRefused, match="it was cut"):
        import_file(io.BytesIO(data[: int(len(data) * keep)]), tmp_path / "new", lambda count: None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_changed_is_refused(busy: Busy, tmp_path: Path) -> None:
    data = exported(busy.folder)
    for bad, said in (
        (data.replace(b'"sender":"ada"', b'"sender":"eve"', 1), "its sha256 is not that of the lines before it"),
        (data.replace(b'"record":"end","records":', b'"record":"end","records":9', 1), "it counts 9"),
        (data + b"{}\n", 'it stands behind the record "end"'),
        (b"\n" + data, "it is no JSON"),
        (b'{"record":"message"}\n' + data, "an export begins with one named 'relay'"),
        (data.replace(b'"format":1', b'"format":2', 1), "format is 2; this relay reads format 1"),
        (data.replace(b'"schema":8', b'"schema":99', 1), "it was made by a newer relay"),
        (b"[]\n", "it is no record"),
    ):
        with pytest.raises(StoreRefused, match=r"line \d+ of the export: ") as refused:
            import_file(io.BytesIO(bad), tmp_path / "new", lambda count: None)
        assert said in str(refused.value)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("record", "fields", "said"),
    [
        ("message", {"hops": None}, "NOT NULL constraint failed: messages.hops"),
        ("message", {"hops": "many"}, "cannot store TEXT value in INTEGER column"),
        ("message", {"hops": 2**63}, "too large"),
        ("message", {"colour": "red"}, "'colour' is no field of a message; there are message, sender"),
        ("message", {"claimable": True}, "claimable is bool; it must be text, a number or left out"),
        ("message", {"body": None, "body_base64": "?"}, "body_base64 is no base64"),
        ("agent", {"record": "robot"}, "'robot' is no record of this schema; there are agent, message"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    record: str, fields: dict[str, Any], said: str, busy: Busy, tmp_path: Path
) -> None:
    data = changed(exported(busy.folder), record, fields)
    number = next(
        at for at, line in enumerate(data.splitlines(), 1) if f'"{fields.get("record", record)}"'.encode() in line
    )
    with pytest.raises(StoreRefused) as refused:
        imported(data, tmp_path / "new")
    assert f"line {number} of the export: " in str(refused.value)
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_sound_is_not_made(busy: Busy, tmp_path: Path) -> None:
    data = changed(exported(busy.folder), "work", {"state": "done"})
    with pytest.raises(StoreRefused, match=r"no sound store: work \d+: ") as refused:
        imported(data, tmp_path / "new")
    assert "and" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_has_a_store_is_left_as_it_is(busy: Busy, copied: Callable[[], Path]) -> None:
    folder = copied()
    before = (folder / "relay.db").read_bytes()
    with pytest.raises(StoreRefused, match=r"has a relay\.db already; import into a folder of its own"):
        imported(exported(busy.folder), folder)
    assert (folder / "relay.db").read_bytes() == before
    assert (folder / "relay.lock").exists()


def test_a_folder_with_other_things_in_it_is_left_as_it_is(busy: Busy, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(StoreRefused, match="holds other files"):
        imported(exported(busy.folder), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_what_a_killed_import_left_is_no_hindrance(busy: Busy, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "relay.lock").touch()
    (folder / ".keeping-0123").write_bytes(b"half")
    imported(exported(busy.folder), folder)
    assert {path.name for path in folder.iterdir()} == {"relay.db", "relay.lock"}


@pytest.mark.parametrize("left", ["relay.db-wal", "relay.db-journal"])
def test_what_a_killed_relay_left_of_its_store_does_not_become_part_of_the_new_one(
    left: str, busy: Busy, tmp_path: Path
) -> None:
    """SQLite would read the log of the store that is gone into the one that was imported."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "relay.lock").touch()
    (folder / left).write_bytes(b"of another")
    with pytest.raises(StoreRefused, match=f"{left} is left of a database that is gone; move it away"):
        imported(exported(busy.folder), folder)
    assert {path.name for path in folder.iterdir()} == {"relay.lock", left}
