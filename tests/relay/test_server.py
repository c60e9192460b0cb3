"""server.py: the daemon as a process. Start, stop, kill, and what it leaves behind."""

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from relay_proto.frames import Ack, Send
from tests.daemon import Daemon
from tests.relay.raw import Raw


async def test_sigterm_says_bye_closes_and_exits_clean_within_five_seconds(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada, await Raw.agent(daemon.ws, "bob") as bob:
        begun = time.monotonic()
        status = await asyncio.to_thread(daemon.stop)
        assert status == 0
        assert time.monotonic() - begun < 5.0
        for agent in (ada, bob):
            assert (await agent.receive())["code"] == "going_away"
            assert await agent.closed() == 1012
    assert not (daemon.data / "relay.db-wal").exists(), "the store was closed: nothing is left to repair"


async def test_a_stop_does_not_wait_for_a_peer_that_never_answers(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        ada.socket.transport.pause_reading()
        with socket.create_connection(("127.0.0.1", daemon.port)) as half_open:
            half_open.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert await asyncio.to_thread(daemon.stop) == 0
        ada.socket.transport.abort()


async def test_what_was_accepted_before_a_stop_is_delivered_after_it(daemon: Daemon) -> None:
    async with await Raw.agent(daemon.ws, "ada") as ada:
        await ada.send(Send(id=1, to="bob", body="x", hold=True))
        assert (await ada.answer(1))["op"] == "ok"
        assert await asyncio.to_thread(daemon.stop) == 0
    daemon.start()
    async with await Raw.agent(daemon.ws, "bob") as bob:
        assert (await bob.receive())["body"] == "x"


class Accepted(dict[str, int]):
    """Message ids by key, as the relay answered them."""

    def __init__(self) -> None:
        super().__init__()
        self.grown = asyncio.Event()

    async def reach(self, count: int) -> None:
        """Wait until this many are accepted."""
        while len(self) < count:
            self.grown.clear()
            async with asyncio.timeout(20):
                await self.grown.wait()


async def publish(url: str, name: str, accepted: Accepted, up: asyncio.Event, stop: asyncio.Event, size: int) -> None:
    """Send with keys, in batches, for ever; what got no answer is sent again with the same key after a reconnect."""
    numbers = itertools.count()
    unanswered: dict[int, str] = {}
    while not stop.is_set():
        await up.wait()
        try:
            async with await Raw.agent(url, name) as raw:
                while not stop.is_set():
                    while len(unanswered) < size:
                        number = next(numbers)
                        unanswered[number] = f"{name}-{number}"
                    waiting = dict(unanswered)
                    frames = [Send(id=n, to="sink", body=key, key=key, hold=True) for n, key in waiting.items()]
                    await raw.send(*frames)
                    while waiting:
                        answer = await raw.receive()
                        if answer["op"] == "bye":
                            break
                        assert answer["op"] == "ok", answer
                        accepted[waiting.pop(answer["re"])] = answer["message"]
                        accepted.grown.set()
                        del unanswered[answer["re"]]
        except (ConnectionClosed, OSError, EOFError):
            up.clear()  # the daemon was killed: connect again when it is said to listen


@pytest.mark.timeout(120)
async def test_kill_9_in_the_middle_of_sends_loses_nothing_that_was_accepted_and_doubles_nothing(
    daemon: Daemon,
) -> None:
    seed = int(os.environ.get("RELAY_TEST_SEED", "0")) or random.randrange(2**32)
    print(f"RELAY_TEST_SEED={seed}")
    chance = random.Random(seed)
    accepted = Accepted()
    stop, up = asyncio.Event(), asyncio.Event()
    up.set()
    async with asyncio.TaskGroup() as publishers:
        for i, size in enumerate((1, 20, 100)):
            publishers.create_task(publish(daemon.ws, f"p{i}", accepted, up, stop, size))
        for _ in range(5):
            await accepted.reach(len(accepted) + chance.randrange(50, 800))
            await asyncio.sleep(chance.random() * 0.003)  # any moment of a turn
            await asyncio.to_thread(daemon.kill)
            await asyncio.to_thread(daemon.start)
            up.set()
        stop.set()
    delivered: dict[str, int] = {}
    async with await Raw.agent(daemon.ws, "sink", credit=1024) as sink:
        while len(delivered) < sink.welcome["pending"]:
            frame = await sink.receive()
            assert frame["body"] not in delivered, "doubled"
            delivered[frame["body"]] = frame["message"]
            await sink.send(Ack(messages=[frame["message"]]))
    assert {key: delivered.get(key) for key in accepted} == accepted, "an accepted message is missing"
    for name in ("p0", "p1", "p2"):
        order = [int(key.partition("-")[2]) for key in delivered if key.startswith(f"{name}-")]
        assert order == sorted(order), "the order of one sender was not kept"


async def test_a_taken_port_is_said_and_the_data_folder_is_let_go(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    where = ["--port", str(daemon.port), "--data", str(folder)]
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "relay_server", *where],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert process.returncode == 1
    assert f"can't listen on 127.0.0.1:{daemon.port}" in process.stderr
    assert "Traceback" not in process.stderr
    assert not folder.exists()


def test_a_second_daemon_on_the_same_folder_is_refused(daemon: Daemon) -> None:
    where = ["--port", "0", "--data", str(daemon.data)]
    process = subprocess.run(
        [sys.executable, "-m", "relay_server", *where], capture_output=True, text=True, timeout=20, check=False
    )
    assert process.returncode == 1
    assert f"in use by another relay (process {daemon.pid})" in process.stderr


FAILING = """
import sqlite3, sys
from relay_server.store import interface, messages, sqlite
from relay_server.cli import serve

def fails(tx, command):
    if command.frame.body == "fsync fails":
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error
    return messages.put_message(tx, command)

sqlite.APPLY[interface.PutMessage] = fails
serve()
"""


class FailingDaemon(Daemon):
    """A daemon whose disk fails when a certain message comes."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", FAILING, *super().command()[3:]]


async def test_a_failed_fsync_is_answered_by_nothing_and_ends_the_daemon(tmp_path: Path) -> None:
    daemon = FailingDaemon(tmp_path / "data").start()
    try:
        async with await Raw.agent(daemon.ws, "ada") as ada:
            await ada.send(Send(id=1, to="ada", body="accepted"))
            assert (await ada.answer(1))["op"] == "ok"
            assert (await ada.receive())["op"] == "deliver"
            await ada.send(Send(id=2, to="ada", body="neighbour"), Send(id=3, to="ada", body="fsync fails"))
            with pytest.raises(ConnectionClosed):
                await ada.receive()
        assert daemon.process is not None
        assert await asyncio.to_thread(daemon.process.wait, 5) == 74
        assert "the store failed" in daemon.log.read_text()
    finally:
        daemon.close()
    again = Daemon(tmp_path / "data").start()
    try:
        async with await Raw.agent(again.ws, "ada") as ada:
            assert ada.welcome["pending"] == 1
    finally:
        again.close()


async def test_a_busy_relay_reads_on_when_it_has_caught_up(daemon: Daemon) -> None:
    """More commands in flight than the backlog's bound: who brings them is paused and then read again."""
    async with await Raw.agent(daemon.ws, "ada") as ada:
        for start in range(0, 12_000, 1000):
            await ada.send(*(Send(id=i, to="bob", body="x", hold=True) for i in range(start, start + 1000)))
        answers = [(await ada.receive())["re"] for _ in range(12_000)]
    assert answers == list(range(12_000))


async def test_a_relay_with_a_token_asks_for_it(make_daemon: Callable[..., Daemon]) -> None:
    token = "a-token-of-more-than-sixteen"
    daemon = make_daemon(env={"RELAY_TOKEN": token}).start()
    for fields in ({}, {"token": "wrong"}):
        wrong: dict[str, Any] = fields
        raw = await Raw.agent(daemon.ws, "ada", **wrong)
        assert raw.welcome["code"] == "unauthorized"
        assert await raw.closed() == 4401
    async with await Raw.agent(daemon.ws, "ada", token=token) as ada:
        assert ada.welcome["op"] == "ok"
    assert token not in daemon.log.read_text()


async def test_sigint_stops_it_as_well(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(daemon.process.wait, 5) == 0
