"""files.py: the data folder, its lock, its ballast."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from relay_server.store.files import BALLAST_BYTES, Ballast, FolderLock, database_in, prepare_folder
from relay_server.store.interface import StoreRefused


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreRefused, match="can't be used"):
        prepare_folder(tmp_path / "data")


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(StoreRefused, match="holds other files"):
        prepare_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_lock_can_be_taken_again_after_it_was_released(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StoreRefused, match=f"process {os.getpid()}"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_the_ballast_takes_real_room_and_gives_it_back(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    assert ballast.restore()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= BALLAST_BYTES
    ballast.drop()
    ballast.drop()
    assert not (tmp_path / "ballast").exists()


def test_a_disk_without_room_has_no_ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    assert not Ballast(tmp_path).restore()
    assert (tmp_path / "ballast").stat().st_size == 0


def test_the_lock_knows_how_the_database_is_called(tmp_path: Path) -> None:
    assert database_in(tmp_path) == tmp_path / "relay.db"
    FolderLock(tmp_path, "fleet.db").release()
    assert database_in(tmp_path) == tmp_path / "fleet.db"
    for text in ("", "123\n", "123\n../x\n", "123\nrelay.lock\n", "123\n"):
        (tmp_path / "relay.lock").write_text(text)
        assert database_in(tmp_path) == tmp_path / "relay.db"


def test_a_relay_does_not_begin_anew_beside_a_database_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "relay.db").touch()
    prepare_folder(tmp_path)
    with pytest.raises(StoreRefused, match=r"holds the database relay\.db, and there is no fleet\.db; take"):
        prepare_folder(tmp_path, "fleet.db")
    (tmp_path / "relay.db").rename(tmp_path / "fleet.db")
    prepare_folder(tmp_path, "fleet.db")
    FolderLock(tmp_path, "fleet.db").release()
    with pytest.raises(StoreRefused, match=r"holds the database fleet\.db, and there is no relay\.db"):
        prepare_folder(tmp_path)
