"""files.py: the data folder, its lock, its ballast."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from relay_server.store.files import BALLAST_BYTES, Ballast, FolderLock, prepare_folder
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
