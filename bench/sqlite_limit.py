"""The limit: the same workloads as plain SQLite transactions, without network, broker or a second process.

The rows are Relay's own (its migrations, its indexes), the settings too (WAL, synchronous=FULL, a log that has its
full length before the first commit). So what is left between Relay and this is what Relay itself costs; it is no peer
and can't be beaten but by noise.

one          one message a transaction
in-flight    100 messages a transaction
end-to-end   100 messages a transaction, and the acks of the 100 before them
"""

import os
import sqlite3
import statistics
import time
from pathlib import Path

from relay_server.store.schema import migrate

from .workloads import BODY_BYTES, IN_FLIGHT, Clock, Round

CHECKPOINT_PAGES = 8192
PAGE_BYTES = 4096
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "mmap_size = 0",
    f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    "temp_store = MEMORY",
)
PUT_MESSAGE = """
    INSERT INTO messages (message, sender, target, body, sent_at, thread, hops, recipients, online, claimable, key)
    VALUES (?, 'producer', 'consumer', ?, ?, ?, 0, 1, 0, 0, ?)
"""
PUT_DELIVERY = "INSERT INTO deliveries (message, agent, stage, at, attempt) VALUES (?, 'consumer', 'queued', ?, 1)"
ACK = """
    UPDATE deliveries SET stage = 'done', at = ?
    WHERE message = ? AND agent = 'consumer' AND stage IN ('queued', 'surfaced')
"""
KEY_PREFIX = "1a1fd4d66e9-5aa7494e0fa38c7e"
"""Keys as long, and in the same order, as those that relay_client makes by itself."""


class Ledger:
    """A database file that messages are written to, a transaction at a time."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        migrate(self._connection)
        _stretch(file.with_name(f"{file.name}-wal"))
        self._next = 1
        self._body = b"x" * BODY_BYTES

    def put(self, count: int, ack_previous: bool) -> None:
        """One transaction with `count` new messages and, if asked for, the acks of the `count` before them."""
        now, first = time.time_ns() // 1_000_000, self._next
        messages = range(first, first + count)
        self._next = first + count
        execute, executemany = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        executemany(
            PUT_MESSAGE, [(message, self._body, now, message, f"{KEY_PREFIX}.{message:010x}") for message in messages]
        )
        executemany(PUT_DELIVERY, [(message, now) for message in messages])
        if ack_previous:
            executemany(ACK, [(now, message) for message in range(first - count, first)])
        execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def _stretch(wal: Path) -> None:
    """Zeros behind the log's last frame, up to its length at a checkpoint: commits overwrite, the file never grows."""
    with wal.open("r+b", buffering=0) as log:
        for _ in range(log.seek(0, os.SEEK_END), (CHECKPOINT_PAGES + 256) * PAGE_BYTES, PAGE_BYTES):
            log.write(bytes(PAGE_BYTES))
        os.fsync(log.fileno())


def run(name: str, folder: Path, warmup_s: float, window_s: float) -> Round:
    """One round of the workload called `name`, in this process."""
    count, ack_previous = (1 if name == "one" else IN_FLIGHT), name == "end-to-end"
    ledger = Ledger(folder / "limit.db")
    _put_for(ledger, count, ack_previous, warmup_s)
    clock = Clock(None)
    latencies = _put_for(ledger, count, ack_previous, window_s)
    measured = clock.read(count * len(latencies))
    ledger.close()
    if len(latencies) >= 2 and not ack_previous:
        percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
        measured.p50_ms, measured.p99_ms = percentiles[49] * 1e3, percentiles[98] * 1e3
    return measured


def _put_for(ledger: Ledger, count: int, ack_previous: bool, seconds: float) -> list[float]:
    """Transactions for this long; returns how long each took."""
    latencies: list[float] = []
    before = time.perf_counter()
    deadline = before + seconds
    while before < deadline:
        ledger.put(count, ack_previous)
        after = time.perf_counter()
        latencies.append(after - before)
        before = after
    return latencies
