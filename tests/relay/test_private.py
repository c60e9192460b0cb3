"""private: files with secrets are read when nobody else can read them."""

import os
from pathlib import Path

import pytest

from relay_server.config import ConfigError
from relay_server.private import FILE_BYTES_MAX, check_private, read_text, read_token


def written(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o660])
def test_a_secret_that_others_can_read_or_write_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path / "token", "s3cr3t" * 4, mode)
    with pytest.raises(ConfigError, match=rf"can be read by others \(mode 0{mode:o}\).*chmod 600 {file}") as raised:
        read_token(file)
    assert "s3cr3t" not in str(raised.value)
    assert read_text(file, "it", private=False) == "s3cr3t" * 4
    with pytest.raises(ConfigError, match="chmod 600"):
        check_private(file, "it")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_the_token_is_the_first_line(tmp_path: Path, mode: int) -> None:
    assert read_token(written(tmp_path / "token", " abc \nmine\n", mode)) == "abc"
    with pytest.raises(ConfigError, match="has no token in its first line"):
        read_token(written(tmp_path / "empty", "\nabc"))


def test_what_is_no_file_of_text_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, problem in (
        (tmp_path / "none", "can't be read: No such file or directory"),
        (tmp_path, "is no file"),
        (tmp_path / "pipe", "is no file"),
        (written(tmp_path / "bytes", b"a\xff"), r"is no UTF-8 text \(byte 1\)"),
        (written(tmp_path / "large", b"x" * (FILE_BYTES_MAX + 1)), "has more than 1048576 bytes"),
    ):
        with pytest.raises(ConfigError, match=rf"^the thing {path} {problem}"):
            read_text(path, "the thing", private=True)


def test_dev_null_is_how_one_says_none() -> None:
    assert read_text(Path(os.devnull), "it", private=True) == ""
