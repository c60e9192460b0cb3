"""The processes of a run: one folder for their data, free ports, start until ready, stop whatever happens.

Rules
- Every process is started through a Workspace, and only those are ever ended, each by its own handle.
- Children get a session of their own: a Ctrl-C reaches the harness alone, and the harness ends them in order.
- Leaving the Workspace, by return, error, Ctrl-C or SIGTERM, ends all of them and removes the folder.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from .machine import ROOT

RESULTS = ROOT / "bench" / "results"
"""Results and, while a run lasts, the data of its daemons: on the filesystem of the checkout, ignored by git."""

READY_S = 30.0
"""A daemon that is not ready after this many seconds has failed."""
STOP_S = 10.0
"""A process that has not ended this many seconds after SIGTERM gets SIGKILL."""
LOG_LINES = 30
"""Lines of a failed process's log that go into the error."""


class BenchError(Exception):
    """The run can't go on; `str()` says which process failed at what, with the end of its log."""


class Daemon:
    """A running server under test. url: where its clients connect. pid: whose memory and processor time is read."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path, url: str) -> None:
        self.name = name
        self.pid = process.pid
        self.url = url
        self._process = process
        self._log = log

    def wait_until_ready(self, ready_url: str) -> None:
        """Returns as soon as `ready_url` answers 200. Raises BenchError when the process ends or takes READY_S."""
        deadline = time.monotonic() + READY_S
        while not _answers(ready_url):
            if self._process.poll() is not None:
                self.fail(f"ended with code {self._process.returncode} before it was ready")
            if time.monotonic() > deadline:
                self.fail(f"was not ready after {READY_S:g} s: {ready_url} does not answer 200")
            time.sleep(0.02)

    def fail(self, what: str) -> NoReturn:
        """Raises BenchError with the end of the log."""
        raise BenchError(f"{self.name} {what}\n{tail(self._log)}")

    def stop(self) -> None:
        """Ends the process: SIGTERM, and SIGKILL for one that ignores it."""
        end(self._process)


class Workspace:
    """The folder of one run and the processes that live in it. Use `open_workspace`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._count = 0

    def new_folder(self, name: str) -> Path:
        """An empty folder of its own for one daemon's data."""
        self._count += 1
        folder = self.folder / f"{self._count}-{name}"
        folder.mkdir(mode=0o700)
        return folder

    def start_daemon(self, name: str, command: list[str], folder: Path, url: str, ready_url: str) -> Daemon:
        """Starts a server and returns when it is ready. What it prints goes to a log in its folder."""
        log = folder / "log.txt"
        with log.open("wb") as sink:
            process = self._start(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        daemon = Daemon(name, process, log, url)
        daemon.wait_until_ready(ready_url)
        return daemon

    def start_client(self, module: str, arguments: list[str], log: Path) -> "subprocess.Popen[bytes]":
        """Starts a module of this package as a process with pipes for stdin and stdout; stderr goes to `log`."""
        command = [sys.executable, "-m", module, *arguments]
        with log.open("wb") as sink:
            return self._start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink)

    def _start(
        self, command: list[str], *, stdin: int, stdout: "int | IO[bytes]", stderr: "int | IO[bytes]"
    ) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Ends every process that still runs and removes the folder."""
        for process in reversed(self._processes):
            end(process)
        shutil.rmtree(self.folder)


@contextmanager
def open_workspace() -> Iterator[Workspace]:
    """A Workspace for the length of a `with`. SIGTERM leaves it as Ctrl-C does; clean-up can't be interrupted."""
    RESULTS.mkdir(exist_ok=True)
    previous = signal.signal(signal.SIGTERM, _leave)
    workspace = Workspace(Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS)))
    try:
        yield workspace
    finally:
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        workspace.close()
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, previous)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends one process that was started here and waits until it is gone."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def tail(log: Path) -> str:
    """The last lines of a log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_LINES:])


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has used, user and system, all threads; None where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
