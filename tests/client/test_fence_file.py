import os
from pathlib import Path

import pytest

from relay_client.fence_file import FenceFile


def test_it_holds_message_and_fence_and_is_gone_when_it_is_removed(tmp_path: Path) -> None:
    file = FenceFile(tmp_path / "fence", 41, 3)
    assert (tmp_path / "fence").read_bytes() == b"41 3\n"
    file.remove()
    assert list(tmp_path.iterdir()) == []
    file.remove()  # somebody was faster


def test_a_file_that_is_there_is_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "fence"
    FenceFile(place, 41, 3)
    with place.open() as reader:  # who had it open before still reads a whole one
        FenceFile(place, 41, 4)
        assert (reader.read(), place.read_text()) == ("41 3\n", "41 4\n")
    assert [path.name for path in tmp_path.iterdir()] == ["fence"]


def test_a_later_claim_s_file_is_left_alone(tmp_path: Path) -> None:
    earlier = FenceFile(tmp_path / "fence", 41, 3)
    FenceFile(tmp_path / "fence", 41, 4)
    earlier.remove()
    assert (tmp_path / "fence").read_text() == "41 4\n"


def test_what_can_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        FenceFile(tmp_path / "folder", 41, 3)
    with pytest.raises(FileNotFoundError):
        FenceFile(tmp_path / "none" / "fence", 41, 3)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_it_is_found_again_after_the_process_went_to_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    file = FenceFile("fence", 41, 3)
    os.chdir(tmp_path / "other")
    file.remove()
    assert not (tmp_path / "fence").exists()


def test_a_long_name_has_room_for_its_draft(tmp_path: Path) -> None:
    FenceFile(tmp_path / ("f" * 250), 41, 3)
    assert len(list(tmp_path.iterdir())) == 1
