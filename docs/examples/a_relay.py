"""A relay for the examples: the one that RELAY_URL names, else one of their own, in a temporary folder, while they run.

No part of what the examples show. A program of yours has `asyncio.run(main())` where they have `run(main)`.
"""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

READY_S: Final = 20.0
EXAMPLE_S: Final = 45.0  # no example takes so long, unless something hangs
failed: Final[list[str]] = []


def check(holds: bool, fact: str) -> None:
    """Say a fact that the example was to show, and whether it is one."""
    print(f"  {'yes' if holds else 'NO!'}  {fact}")
    if not holds:
        failed.append(fact)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run an example where RELAY_URL names a relay, as `relay_client.connect` reads it. Gives the exit code: 0 when all
    of its checks hold, 1 when not, 130 after Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # show what happens when it happens, in a pipe too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up

    async def in_time() -> None:
        async with asyncio.timeout(EXAMPLE_S):
            await main()

    try:
        if os.environ.get("RELAY_URL"):
            asyncio.run(in_time())
        else:
            with own_relay():
                asyncio.run(in_time())
    except KeyboardInterrupt:
        return 130
    if failed:
        print(f"{len(failed)} of the facts did not hold", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def own_relay() -> Iterator[None]:
    """A relay of our own on a free port: RELAY_URL names it meanwhile, for our child processes too. Its data goes with
    it. It asks for no token, and would refuse one that is another relay's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "AGENT_RELAY_"))}
    env["RELAY_CONFIG"] = os.devnull  # what is set for another relay is not for this one
    with tempfile.TemporaryDirectory(prefix="relay-example-") as home:
        log = Path(home, "log")
        command = [sys.executable, "-m", "relay_client.cli", "serve", "--port", port, "--data", f"{home}/data"]
        with log.open("wb") as stderr:  # a session of its own: Ctrl-C is ours alone to answer
            relay = subprocess.Popen(command, env=env, stdout=stderr, stderr=stderr, start_new_session=True)
        try:
            until = time.monotonic() + READY_S
            while not is_ready(url):
                if relay.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the relay did not start:\n{log.read_text()}")
                time.sleep(0.02)  # nothing but its port tells an outsider that it is up
            os.environ["RELAY_URL"] = url
            os.environ.pop("RELAY_TOKEN", None)
            yield
        finally:
            os.environ.pop("RELAY_URL", None)
            relay.terminate()
            try:
                relay.wait(10)
            except subprocess.TimeoutExpired:
                relay.kill()
                relay.wait()


def is_ready(url: str) -> bool:
    """Whether the relay serves."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
