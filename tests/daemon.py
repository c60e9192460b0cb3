"""A real daemon in its own process, on a free port, with a data folder of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """`relay serve` as a child process. Restarting keeps the port and the data."""

    def __init__(self, data: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.options = options
        self.env = env or {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    def command(self) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--data", str(self.data)]
        return [sys.executable, "-m", "relay_server", *where, *self.options]

    def start(self, ready_s: float = 20.0) -> "Daemon":
        """Start it and return when it is ready."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RELAY_", "AGENT_RELAY_"))}
        env = kept | {"RELAY_CONFIG": os.devnull} | self.env  # nor what its developer has in config.toml
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + ready_s
        while not self._is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}:\n{self.log.read_text()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the daemon was not ready in {ready_s} s:\n{self.log.read_text()}")
            time.sleep(0.02)  # another process: a poll is all the notice there is
        return self

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self, within_s: float = 5.0) -> int:
        """SIGTERM; gives the exit status, or fails when it takes longer than it may."""
        assert self.process is not None, "not started"
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within_s)

    def kill(self) -> None:
        """SIGKILL: no goodbye, no last write."""
        assert self.process is not None, "not started"
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, however it stands."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
