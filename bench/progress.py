"""How far a run has come: a line for each measurement on stderr, and at a terminal a bar below the lines.

The bar is drawn between measurements only: a thread that draws it ten times a second would be measured, too.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class _Bar:
    """The one bar of this process, while a run goes on at a terminal."""

    progress: "Progress | None" = None
    task: "TaskID | None" = None


@contextmanager
def measurements(total: int) -> Iterator[None]:
    """A run of so many measurements; each ends with step()."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        _Bar.progress, _Bar.task = progress, progress.add_task("", total=total)
        progress.refresh()
        try:
            yield
        finally:
            _Bar.progress = _Bar.task = None


def step() -> None:
    """One measurement is over."""
    if _Bar.progress is not None and _Bar.task is not None:
        _Bar.progress.update(_Bar.task, advance=1, refresh=True)


def say(line: str) -> None:
    """A line, on stderr: the table alone goes to stdout."""
    if _Bar.progress is not None:
        _Bar.progress.console.print(line, markup=False, highlight=False)
    else:
        print(line, file=sys.stderr, flush=True)
