"""From the command to the prompt: what a person waits for."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.command import environment
from tests.daemon import Daemon

TO_PROMPT_S = 0.5
TRIES = 10  # another process may have the machine meanwhile


def time_to_prompt(url: str, state: Path) -> float:
    """Seconds from the start of a fresh relay-repl at a terminal until its prompt is drawn."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "relay_client.repl", url, "--agent", "ann", "--takeover"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=environment({"XDG_STATE_HOME": str(state), "TERM": "xterm-256color"}),
    )  # fmt: skip
    os.close(theirs)
    try:
        seen = b""
        while b"ann" not in seen or b"> " not in seen.split(b"Ctrl-D leaves.")[-1]:
            assert select.select([ours], [], [], 20)[0], seen
            seen += os.read(ours, 65536)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_prompt_is_there_in_half_a_second(daemon: Daemon, tmp_path: Path) -> None:
    times = []
    for _ in range(TRIES):
        times.append(time_to_prompt(daemon.url, tmp_path))
        if min(times) < TO_PROMPT_S:
            return
    raise AssertionError(f"the prompt took {', '.join(f'{taken:.2f}' for taken in times)} s")
