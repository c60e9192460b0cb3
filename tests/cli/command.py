"""Running the `relay` command as its users do: in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

RUN_S = 30.0
NO_FOLDER = "/nonexistent"


class Outcome(NamedTuple):
    """What a run left behind."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """stdout of a `--json` run of a list, or of a `--jsonl` run; of one object a list of one."""
        if self.out.startswith("["):
            found: list[dict[str, Any]] = json.loads(self.out)
            return found
        return [json.loads(line) for line in self.out.splitlines()]


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change a command's defaults."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RELAY_", "AGENT_RELAY_"))}
    return kept | {"XDG_CONFIG_HOME": NO_FOLDER} | (extra or {})  # nor the profiles of whoever runs the tests


def run(
    *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None, module: str = "relay_client.cli"
) -> Outcome:
    """One command, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=stdin,
        env=environment(env),
        capture_output=True,
        timeout=RUN_S,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def introduce(url: str, *names: str) -> None:
    """Lets the relay know agents of these names."""
    for name in names:
        assert run("agents", "--as", name, "--url", url).code == 0


@contextmanager
def started(*arguments: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on by itself; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relay_client.cli", *arguments],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def listening(url: str, agent: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`relay listen AGENT`, once it is registered."""
    with started("listen", agent, "--url", url, *options) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"{agent} listens at {url}" in line, line + process.stderr.read()
        yield process
