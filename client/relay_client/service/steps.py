"""What is to be done to this machine, as data: shown by --dry-run, or done. The same list serves both.

Files are written whole: beside their place, flushed to the disk, then renamed, with their mode from the start. What is
no file (a link to /dev/null, by which systemd masks a unit) is never replaced by one.
"""

import os
import shlex
import stat
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from .systemd import START_S

RUN_S: Final = START_S + 30.0
"""A command that does not end for so long is given up. A start takes as long as the relay's own, up to its limit."""
ASK_S: Final = 30.0
"""The same for a command that only asks."""

AGAIN_S: Final = 1.0
"""Before a command is tried once more."""
ANY: Final = "\x00"
"""Whatever is there, for `Write.was`: no text file holds that."""


class StepError(Exception):
    """A step failed; `str()` of it is one line that says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Write:
    """A file with this content.

    shown: what people see in its place, where it holds secrets. was: the text that is there, None for no file; when
    that has changed by the time of the writing, somebody else is at it, and nothing is written.
    """

    path: Path
    content: str
    mode: int = 0o644
    shown: str | None = None
    was: str | None = ANY


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder for this user alone, and those above it as usual; one that is there stays as it is."""

    path: Path


@dataclass(frozen=True, slots=True)
class Private:
    """A file or folder that is there, with the mode it should have."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class Remove:
    """No file there any more."""

    path: Path


@dataclass(frozen=True, slots=True)
class Run:
    """A command, to its end. `may_fail`: what it would undo need not be there. `tries`: how often."""

    command: tuple[str, ...]
    may_fail: bool = False
    tries: int = 1


Step = Write | Folder | Private | Remove | Run


def described(step: Step) -> list[str]:
    """What the step does, as lines for people: of a file all that would be in it, but for its secrets."""
    match step:
        case Write(path, content, mode, shown, _):
            text = content if shown is None else shown
            return [
                f"write {path} (mode {mode:04o}):",
                *(f"    {line.expandtabs(2)}".rstrip() for line in text.splitlines()),
            ]
        case Folder(path):
            return [f"make the folder {path} (mode 0700)"]
        case Private(path, mode):
            return [f"make {path} private (mode {mode:04o})"]
        case Remove(path):
            return [f"remove {path}"]
        case Run(command, may_fail, _):
            return [f"run {shlex.join(command)}" + (" (which may fail)" if may_fail else "")]


def do(steps: Iterable[Step], explain: Callable[[Run, str], str] = lambda step, said: "") -> None:
    """Does the steps in their order; ends at the first that fails.

    explain: what else is to be said of a command that failed, from what it said. Raises StepError.
    """
    for step in steps:
        match step:
            case Write():
                write_file(step)
            case Folder(path):
                _mending(path, lambda path: path.mkdir(mode=0o700, parents=True, exist_ok=True))
            case Private(path, mode):
                _mending(path, partial(Path.chmod, mode=mode))
            case Remove(path):
                _mending(path, lambda path: path.unlink(missing_ok=True))
            case Run():
                _run(step, explain)


def write_file(step: Write) -> None:
    """Replaces or makes the file. Raises StepError, leaving what was there."""

    def write(path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Through a link, as an editor would: somebody may keep these files in a repository of dotfiles.
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        _may_be_replaced(path, target)
        beside = target.with_name(f".{target.name}.{os.getpid()}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, step.mode)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), step.mode)
                file.write(step.content)
                file.flush()
                os.fsync(file.fileno())
            _put(beside, target, step)
        finally:
            beside.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the name is on the disk, too
        finally:
            os.close(folder)

    _mending(step.path, write)


def _may_be_replaced(path: Path, target: Path) -> None:
    """Raises StepError where `target`, to which `path` leads, is there and no file: as root one could replace it."""
    try:
        kind = target.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(kind):
        raise StepError(f"{path} is a link that leads to itself; remove it")
    if target == Path(os.devnull):
        raise StepError(f"{path} is a link to {target}: it is masked; systemctl --user unmask {path.name}")
    if not stat.S_ISREG(kind):
        raise StepError(f"{path} can't be written: {'it' if target == path else target} is no file")


def _put(beside: Path, target: Path, step: Write) -> None:
    """Gives the new file its name, if what has that name is still what it was. Raises StepError."""
    if step.was is None:
        try:
            os.link(beside, target)  # unlike a rename it fails when somebody was quicker
        except FileExistsError:
            raise StepError(f"{step.path} was made by somebody else meanwhile, and stays; run this again") from None
        except OSError:  # no links on that file system
            beside.rename(target)
        return
    if step.was != ANY and (not target.exists() or target.read_text(encoding="utf-8", errors="replace") != step.was):
        raise StepError(f"{step.path} was changed by somebody else meanwhile, and stays so; run this again")
    beside.rename(target)


def _mending(path: Path, action: Callable[[Path], object]) -> None:
    try:
        action(path)
    except OSError as exc:
        where = f"{exc.filename or path}: " if exc.filename and str(exc.filename) != str(path) else ""
        raise StepError(f"{path} can't be written: {where}{exc.strerror or exc}") from None


def output_of(command: tuple[str, ...], timeout_s: float = ASK_S) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command; 127 and why, when there is none of that name. Raises StepError."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise StepError(f"{shlex.join(command)} did not end within {timeout_s:g} s") from None
    except OSError as exc:
        return 127, "", f"{command[0]}: {exc.strerror or exc}"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def _run(step: Run, explain: Callable[[Run, str], str]) -> None:
    for left in range(step.tries - 1, -1, -1):
        code, out, err = output_of(step.command, RUN_S)
        if code == 0 or (step.may_fail and code != 127):
            return
        if left:
            time.sleep(AGAIN_S)  # launchd takes its time to let a job go, and tells nobody when it has
    said = " ".join((err.strip() or out.strip()).split())[:600]
    more = explain(step, said)
    raise StepError(
        f"{shlex.join(step.command)} failed with status {code}"
        + (f": {said}" if said else "")
        + (f"; {more}" if more else "")
    )
