"""part_file.py: a file is whole and private, or it is not there."""

from pathlib import Path

import click
import pytest

from relay_client.cli.part_file import KeptAsPart, create, part_file


def write(file: Path, text: bytes, *, force: bool = False, fails: BaseException | None = None) -> None:
    with part_file(file, force=force) as part, create(part) as target:
        target.write(text)
        assert not file.exists() or file.read_bytes() != text
        if fails is not None:
            raise fails


def test_it_appears_when_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_one_that_is_there_is_replaced_when_that_is_said(tmp_path: Path) -> None:
    write(tmp_path / "x", b"old")
    with pytest.raises(click.ClickException, match="is there already; --force replaces it"):
        write(tmp_path / "x", b"new")
    write(tmp_path / "x", b"new", force=True)
    assert (tmp_path / "x").read_bytes() == b"new"
    with pytest.raises(click.ClickException, match="is a folder; name a file"):
        write(tmp_path, b"new", force=True)


@pytest.mark.parametrize("fails", [OSError("disk"), KeyboardInterrupt()])
def test_what_is_not_whole_is_not_there_and_the_old_one_is(fails: BaseException, tmp_path: Path) -> None:
    write(tmp_path / "x", b"old")
    with pytest.raises(type(fails)):
        write(tmp_path / "x", b"new", force=True, fails=fails)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_is_to_be_looked_at_is_kept_beside_it(tmp_path: Path) -> None:
    with pytest.raises(KeptAsPart):
        write(tmp_path / "x", b"strange", fails=KeptAsPart("strange"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.part"]
    write(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"], "what was left is no hindrance"
