import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_client import outbox_file
from relay_client.outbox_file import OutboxFile
from relay_client.outbox_items import OutboxFull, OutboxInUse, OutboxUnusable
from relay_proto.errors import KeyConflict

Make = Callable[..., OutboxFile]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Open outbox files; `path` defaults to one and the same. All are closed at the end."""
    made: list[OutboxFile] = []

    def open_one(path: Path | None = None, agent: str = "alice", **limits: Any) -> OutboxFile:
        given = {"messages_max": 100, "bytes_max": 1_000_000} | limits
        file = OutboxFile(str(path or tmp_path / "out.db"), agent, **given)
        made.append(file)
        file.open()
        return file

    yield open_one
    for file in made:
        file.close()


def keys(file: OutboxFile) -> list[str]:
    return [item.key for item in file.pending_page(1000, 0)]


def test_what_was_put_is_there_after_it_is_opened_again(make: Make) -> None:
    file = make()
    assert file.put(1, "k1", 1000, b"one") == (1000, 1)
    assert file.put(2, "k2", 2000, b"second") == (2000, 2)
    file.close()
    file = make()
    assert [(item.place, item.key, item.queued_at, item.data) for item in file.pending_page(9, 0)] == [
        (1, "k1", 1000, b"one"), (2, "k2", 2000, b"second"),
    ]  # fmt: skip
    assert (file.pending, file.refused, file.bytes, file.last_place) == (2, 0, 9, 2)


def test_the_order_is_that_of_the_places_and_not_of_the_writing(make: Make) -> None:
    file = make()
    for place in (3, 1, 2):
        file.put(place, f"k{place}", 0, b"x")
    assert keys(file) == ["k1", "k2", "k3"]
    first = file.first()
    assert first is not None
    assert first.key == "k1"


def test_a_key_that_waits_is_the_same_message_or_a_conflict(make: Make) -> None:
    file = make()
    file.put(1, "k0", 500, b"zero")
    file.put(2, "k1", 1000, b"one")
    assert file.put(3, "k1", 9000, b"one") == (1000, 2)
    with pytest.raises(KeyConflict, match="'k1'"):
        file.put(4, "k1", 9000, b"another")
    assert (keys(file), file.pending, file.bytes) == (["k0", "k1"], 2, 7)


def test_what_is_settled_is_gone_and_what_is_refused_is_kept_aside(make: Make) -> None:
    file = make()
    for place in (1, 2, 3):
        file.put(place, f"k{place}", place, b"xx")
    one, two, _ = file.pending_page(9, 0)
    file.settle([one])
    assert file.refuse(two, "unknown_agent", "nobody is called so", 77)
    assert (keys(file), file.pending, file.refused, file.bytes) == (["k3"], 1, 1, 4)
    [refused] = file.refused_page(9, 0)
    assert (refused.key, refused.code, refused.message, refused.refused_at, refused.queued_at, refused.data) == (
        "k2", "unknown_agent", "nobody is called so", 77, 2, b"xx",
    )  # fmt: skip
    file.close()
    file = make()
    assert (file.pending, file.refused, file.bytes) == (1, 1, 4)


def test_what_was_forgotten_meanwhile_is_neither_settled_nor_refused(make: Make) -> None:
    file = make()
    file.put(1, "k1", 1, b"xx")
    [item] = file.pending_page(9, 0)
    assert file.forget("k1") == 1
    file.settle([item])
    assert not file.refuse(item, "internal", "", 1)
    assert (file.pending, file.refused, file.bytes) == (0, 0, 0)
    assert file.forget("k1") == 0


def test_forgetting_takes_the_refused_too(make: Make) -> None:
    file = make()
    file.put(1, "k1", 1, b"xx")
    [item] = file.pending_page(9, 0)
    file.refuse(item, "internal", "", 1)
    file.put(2, "k1", 2, b"yyy")
    assert file.forget("k1") == 2
    assert (file.pending, file.refused, file.bytes) == (0, 0, 0)


def test_pages_continue_behind_a_place(make: Make) -> None:
    file = make()
    for place in range(1, 6):
        file.put(place, f"k{place}", 0, b"x")
    assert [item.key for item in file.pending_page(2, 2)] == ["k3", "k4"]


# -- limits ----------------------------------------------------------------------------------------------------------


def test_a_full_outbox_says_which_limit_and_queues_nothing(make: Make) -> None:
    file = make(messages_max=2, bytes_max=10)
    file.put(1, "k1", 0, b"x" * 4)
    with pytest.raises(OutboxFull, match="it would have 11 bytes, the limit is 10"):
        file.put(2, "k2", 0, b"x" * 7)
    file.put(2, "k2", 0, b"x" * 6)
    with pytest.raises(OutboxFull, match="it would have 3 messages, the limit is 2") as caught:
        file.put(3, "k3", 0, b"")
    assert caught.value.detail["path"] == file.path
    assert (keys(file), file.bytes) == (["k1", "k2"], 10)
    assert file.put(4, "k1", 0, b"x" * 4) == (0, 1)  # it needs no room


def test_the_refused_count_and_the_error_says_so(make: Make) -> None:
    file = make(messages_max=1)
    file.put(1, "k1", 0, b"x")
    [item] = file.pending_page(1, 0)
    file.refuse(item, "too_large", "", 0)
    with pytest.raises(OutboxFull, match=r"1 of its 1 messages were refused: forget\(\) makes room"):
        file.put(2, "k2", 0, b"x")
    file.forget("k1")
    file.put(2, "k2", 0, b"x")


def test_a_full_disk_is_a_full_outbox_and_it_goes_on_when_there_is_room(make: Make) -> None:
    file = make()
    file.put(1, "k1", 0, b"x")
    assert file._connection is not None
    (pages,) = file._connection.execute("PRAGMA page_count").fetchone()
    file._connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall()
    with pytest.raises(OutboxFull, match="disk"):
        file.put(2, "k2", 0, b"x" * 100_000)
    assert (keys(file), file.pending, file.bytes) == (["k1"], 1, 1)
    file._connection.execute("PRAGMA max_page_count = 100000").fetchall()
    file.put(2, "k2", 0, b"x" * 100_000)
    assert keys(file) == ["k1", "k2"]


def test_an_empty_outbox_gives_its_room_back(make: Make) -> None:
    file = make(bytes_max=10_000_000)
    for place in range(1, 9):
        file.put(place, f"k{place}", 0, b"x" * 300_000)
    assert os.path.getsize(file.path) > 2_000_000
    items = file.pending_page(9, 0)
    file.settle(items[:5])
    file.settle(items[5:])
    assert os.path.getsize(file.path) < 100_000


# -- what is not ours ------------------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_by_name_and_path(make: Make, tmp_path: Path) -> None:
    file = make()
    (tmp_path / "link.db").symlink_to(file.path)
    for path in (None, tmp_path / "link.db"):
        with pytest.raises(OutboxInUse, match="this very process") as caught:
            make(path)
        assert caught.value.detail == {"path": file.path, "pid": os.getpid()}
    file.close()
    make()


def test_the_outbox_of_another_agent_is_refused(make: Make) -> None:
    make().close()
    with pytest.raises(OutboxUnusable, match="the outbox of 'alice', not of 'bob'"):
        make(agent="bob")
    make()  # the lock was given back


def test_a_foreign_database_is_refused_and_not_touched(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match="belongs to something else"):
        make(path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_what_is_no_database_is_refused_and_not_touched(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    with pytest.raises(OutboxUnusable, match="not an SQLite database"):
        make(path)
    assert path.read_text() == "my notes"


def test_a_newer_outbox_is_refused(make: Make) -> None:
    file = make()
    file.close()
    with sqlite3.connect(file.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(OutboxUnusable, match="schema 2 and this client knows 1"):
        make()


def test_a_damaged_outbox_is_refused(make: Make) -> None:
    file = make()
    for place in range(1, 51):
        file.put(place, f"k{place}", 0, b"x" * 3000)
    file.close()
    with open(file.path, "r+b") as raw:
        raw.seek(8192)
        raw.write(b"\xff" * 4096)
    with pytest.raises(OutboxUnusable):
        make()


@pytest.mark.parametrize("where", ["out", "/proc/version/out.db"])
def test_a_path_that_can_hold_no_file_is_refused(make: Make, tmp_path: Path, where: str) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutboxUnusable, match="can't be used"):
        make(tmp_path / where)


def test_an_empty_file_and_a_missing_folder_become_an_outbox(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    make(tmp_path / "empty").put(1, "k1", 0, b"x")
    make(tmp_path / "a" / "b" / "out.db").put(1, "k1", 0, b"x")


def test_what_a_killed_maker_left_is_made_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out.db.new").write_bytes(b"half")
    make().put(1, "k1", 0, b"x")
    assert not (tmp_path / "out.db.new").exists()


# -- on disk ---------------------------------------------------------------------------------------------------------


def test_only_its_owner_may_read_it(make: Make, tmp_path: Path) -> None:
    file = make()
    file.put(1, "k1", 0, b"x")
    file.close()
    os.chmod(file.path, 0o666)
    make()
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_settings_that_the_promise_rests_on_hold(make: Make) -> None:
    file = make()
    assert file._connection is not None
    settings = [file._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["delete", 3]


def test_a_setting_that_does_not_hold_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_file, "_PRAGMAS", (("journal_mode", "DELETE", "wal"),))
    with pytest.raises(OutboxUnusable, match="does not take journal_mode"):
        make()


def test_a_copy_of_the_file_alone_is_whole(make: Make, tmp_path: Path) -> None:
    file = make()
    for place in range(1, 21):
        file.put(place, f"k{place}", 0, b"x" * 1000)
    shutil.copy(file.path, tmp_path / "copy.db")
    assert len(keys(make(tmp_path / "copy.db"))) == 20


def test_someone_who_holds_a_lock_on_the_file_is_an_error_for_now_only(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_file, "_PRAGMAS", (*outbox_file._PRAGMAS, ("busy_timeout", 1, 1)))
    file = make()
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxUnusable, match="locked"):
        file.put(1, "k1", 0, b"x")
    other.execute("ROLLBACK")
    other.close()
    assert file.put(1, "k1", 0, b"x") == (0, 1)


def test_after_an_error_of_the_disk_nothing_is_promised_until_it_is_opened_again(make: Make) -> None:
    file = make()
    file.put(1, "k1", 0, b"x")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    with pytest.raises(OutboxUnusable, match="disk I/O error"), file._words_for_errors():
        raise error
    for call in (lambda: file.put(2, "k2", 0, b"x"), lambda: file.first(), lambda: file.forget("k1")):
        with pytest.raises(OutboxUnusable, match="SQLITE_IOERR_FSYNC"):
            call()
    file.close()
    assert keys(make()) == ["k1"]


def test_a_closed_file_says_so(make: Make) -> None:
    file = make()
    file.close()
    file.close()
    with pytest.raises(OutboxUnusable, match="closed"):
        file.put(1, "k1", 0, b"x")


WRITER = """
import sys
from relay_client.outbox_file import OutboxFile
file = OutboxFile(sys.argv[1], "alice", messages_max=10**6, bytes_max=10**9)
file.open()
for place in range(1, 10**6):
    file.put(place, f"k{place}", 0, b"x" * 5000)
    print(place, flush=True)
"""


def test_what_was_put_survives_a_kill_in_the_middle_of_writing(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(30):
            promised = int(writer.stdout.readline())
        with pytest.raises(OutboxInUse) as caught:
            make()
        assert caught.value.detail["pid"] == writer.pid
        assert f"process {writer.pid}" in str(caught.value)
        writer.send_signal(signal.SIGKILL)
        promised = int(([str(promised), *writer.stdout.read().split()])[-1])
    found = keys(make(messages_max=10**6, bytes_max=10**9))
    assert found == [f"k{place}" for place in range(1, len(found) + 1)]
    assert promised <= len(found) <= promised + 1
