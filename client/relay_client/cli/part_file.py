"""A file that is whole or not there: it grows under another name, reaches the disk, and is renamed at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

MODE = 0o600


class KeptAsPart(click.ClickException):
    """The file is not what it should be, and stays under its other name for whoever wants to look at it."""


@contextmanager
def part_file(file: Path, *, force: bool) -> Iterator[Path]:
    """The name under which to make the file; when this is left without an error, it is the file.

    A file that is there is replaced with `force` only, and only by one that is whole. Raises click.ClickException,
    OSError.
    """
    if file.is_dir():
        raise click.ClickException(f"{file} is a folder; name a file")
    if file.exists() and not force:
        raise click.ClickException(f"{file} is there already; --force replaces it")
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        _sync(part)
        os.replace(part, file)
    except KeptAsPart:
        raise
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(file.absolute().parent)


def create(part: Path) -> BinaryIO:
    """A new file for its owner only, to be written."""
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE), "wb")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
