"""A relay with an integration, and a connector that speaks to it, each a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cli.command import run
from tests.daemon import Daemon

from .program import EXAMPLES

FOLDER = EXAMPLES / "integrations"
ADMIN = "admin-token-0123456789"
RUN_S = 30.0


class Connected:
    """A relay that asks for tokens, with the integrations of docs/examples; `name` is the one that is tested."""

    def __init__(self, make_daemon: Callable[..., Daemon], tmp_path: Path, name: str) -> None:
        file = FOLDER / "integrations.json"
        self.token: str = json.loads(file.read_text())[name]["token"]
        self.daemon = make_daemon("--token", ADMIN, "--integrations", str(file)).start()
        self._home = tmp_path

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        return kept | {"RELAY_URL": self.daemon.url, "RELAY_TOKEN": self.token, "HOME": str(self._home)} | more

    def run(self, *command: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        """One run of a connector, to its end."""
        return subprocess.run(
            [*command], input=stdin, env=self.env(**env), capture_output=True, timeout=RUN_S, cwd=self._home
        )

    @contextmanager
    def serving(self, script: str, **env: str) -> Iterator[httpx.Client]:
        """A connector that takes webhooks, and a client of it."""
        command = [sys.executable, str(FOLDER / script), "0"]
        with subprocess.Popen(command, env=self.env(**env), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            try:
                assert line.startswith("listening on http://127.0.0.1:"), line
                with httpx.Client(base_url=line.split()[-1], timeout=20, trust_env=False) as client:
                    yield client
            finally:
                process.kill()

    def tasks(self, *filters: str) -> list[dict[str, Any]]:
        """All tasks, the oldest first."""
        done = run("tasks", "--state", "all", "--json", *filters, "--url", self.daemon.url, "--token", ADMIN)
        assert done.code == 0, done.err
        return [record for record in done.records if "message" in record]

    def task(self, message: int) -> dict[str, Any]:
        """One task with its body and its payload."""
        done = run("task", str(message), "--json", "--url", self.daemon.url, "--token", ADMIN)
        assert done.code == 0, done.err
        return done.records[0]
