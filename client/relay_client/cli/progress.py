"""How far long work has come: a bar on stderr at a terminal, and nothing anywhere else.

stdout is never touched, so a command with a bar can stand in a pipe. What was done is said by the command itself, in a
line at its end. Colours follow NO_COLOR and TERM, as rich does.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """One piece of work. Without a terminal nothing is shown, and telling costs nothing."""

    def __init__(self, progress: "Progress | None", task: "TaskID | None") -> None:
        self._progress = progress
        self._task = task

    def tell(self, done: int, total: int | None) -> None:
        """So many bytes of so many are done; of None, nobody knows how many there are."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def advance(self, count: int) -> None:
        """So many bytes more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=count)

    def now(self, what: str, total: int | None = None) -> None:
        """Another part of the work begins."""
        if self._progress is not None and self._task is not None:
            self._progress.reset(self._task, description=what, total=total)


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Bar]:
    """A bar for work on bytes, of which there are `total`, if that is known. It is gone when the work is over."""
    if not sys.stderr.isatty():
        yield Bar(None, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(what, total=total))


def size(count: int) -> str:
    """A number of bytes as people read it: 12.3 MB."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
