"""notify: what the service manager hears of a relay, by a socket that is the test's."""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from relay_proto.frames import GetOverview, Send
from relay_server.config import Config
from relay_server.notify import Notifier, Watchdog
from relay_server.server import Relay
from relay_server.store.interface import Answer, Question
from tests.daemon import Daemon
from tests.relay.raw import Raw


class Manager:
    """The other end: a datagram socket at a path, or at an abstract name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(address.replace("@", "\0") if address.startswith("@") else address)

    def hear(self) -> list[str]:
        """The lines of the next message."""
        return self.socket.recv(4096).decode().split("\n")

    def hear_all(self) -> list[list[str]]:
        """What came up to now."""
        heard: list[list[str]] = []
        self.socket.setblocking(False)
        try:
            while True:
                heard.append(self.hear())
        except BlockingIOError:
            return heard
        finally:
            self.socket.settimeout(20)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture(params=["path", "abstract"])
def any_manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "n") if request.param == "path" else f"@relay-{secrets.token_hex(8)}")
    yield manager
    manager.close()


def test_lines_go_out_in_one_message_and_hold_no_line_ends(any_manager: Manager) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": any_manager.address})
    notifier.say("READY=1", "STATUS=a\nFDSTORE=1")
    assert any_manager.hear() == ["READY=1", "STATUS=a FDSTORE=1"]
    notifier.close()
    notifier.say("STOPPING=1")
    assert any_manager.hear() == ["STOPPING=1"]
    notifier.close()


@pytest.mark.parametrize("address", [None, "", "relative/path", "vsock:2:1234", "/" + "x" * 200])
def test_without_an_address_that_can_be_reached_nothing_is_said(address: str | None) -> None:
    environ = {} if address is None else {"NOTIFY_SOCKET": address}
    notifier = Notifier.of(environ | {"WATCHDOG_USEC": "1000000"})
    notifier.say("READY=1")
    assert notifier.watchdog_s is None


def test_a_manager_that_is_gone_harms_nobody(tmp_path: Path) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.say("READY=1")
    notifier.say("STOPPING=1")
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_on_for_this_process_alone(environ: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier.of({"NOTIFY_SOCKET": "/nowhere"} | environ).watchdog_s == watchdog_s


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_watchdog_is_told_at_half_of_its_time_unless_the_store_hangs(manager: Manager) -> None:
    time = Time()
    notifier = Notifier(manager.address, watchdog_s=30.0)
    watchdog = Watchdog(notifier, time)
    assert watchdog.first_s == 15.0
    assert watchdog.tell(None, 115.0) == 130.0
    watchdog.begin("turn")
    assert watchdog.tell(None, 114.9) == pytest.approx(129.9)
    assert manager.hear_all() == [["WATCHDOG=1"]] * 2, "a turn takes what it takes"
    assert watchdog.tell(None, 115.0) == 130.0
    assert watchdog.tell(None, 130.0) == 145.0
    assert manager.hear_all() == [["STATUS=the store does not answer (turn)"]], "for people, and once"
    watchdog.end("turn")
    watchdog.tell(None, 145.0)
    assert manager.hear_all() == [["WATCHDOG=1", "STATUS=the store answers again"]]
    watchdog.begin("look-up")
    time.now = 150.0
    watchdog.begin("turn")
    watchdog.end("turn")
    watchdog.tell(None, 160.0)
    assert manager.hear_all() == [["STATUS=the store does not answer (look-up)"]], (
        "a look-up that hangs is as bad, whatever else goes on"
    )
    notifier.close()


def test_without_a_watchdog_nothing_is_counted() -> None:
    watchdog = Watchdog(Notifier("/nowhere"), Time())
    watchdog.begin("turn")
    watchdog.end("turn")
    assert watchdog.first_s is None


# -- the daemon ------------------------------------------------------------------------------------------------------


def test_a_daemon_says_when_it_listens_and_when_it_stops(
    any_manager: Manager, make_daemon: Callable[..., Daemon]
) -> None:
    daemon = make_daemon(env={"NOTIFY_SOCKET": any_manager.address})
    daemon.start()
    assert any_manager.hear() == ["STATUS=opening the store"]
    assert any_manager.hear() == ["READY=1", f"STATUS=listening at http://127.0.0.1:{daemon.port}"]
    assert daemon.stop() == 0
    assert any_manager.hear_all() == [["STOPPING=1", "STATUS=stopping"]]


def test_a_daemon_that_can_not_start_is_never_ready(manager: Manager, make_daemon: Callable[..., Daemon]) -> None:
    first = make_daemon().start()
    second = make_daemon(env={"NOTIFY_SOCKET": manager.address})
    second.data = first.data
    with pytest.raises(RuntimeError, match="ended with 1"):
        second.start()
    assert manager.hear_all() == [["STATUS=opening the store"]]


HANGS = """
import sys, threading
from relay_server import cli
from relay_server.store import sqlite

apply = sqlite.SQLiteStore._apply_turn

def hang(self, connection, commands, now_ms):
    if any("hang" in repr(command) for command in commands):
        threading.Event().wait(60)
    return apply(self, connection, commands, now_ms)

sqlite.SQLiteStore._apply_turn = hang
cli.serve(sys.argv[1:], prog_name="relay serve")
"""


async def test_the_watchdog_hears_of_a_daemon_that_idles_and_not_of_one_whose_store_hangs(
    manager: Manager, make_daemon: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = make_daemon(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
    options = daemon.command()[3:]
    monkeypatch.setattr(daemon, "command", lambda: [sys.executable, "-c", HANGS, *options])
    await asyncio.to_thread(daemon.start)

    def hear_until(wanted: str) -> list[str]:
        while (lines := manager.hear())[0] != wanted:
            assert lines[0].startswith(("STATUS=", "READY=1", "WATCHDOG=1"))
        return lines

    for _ in range(3):
        await asyncio.to_thread(hear_until, "WATCHDOG=1")
    async with await Raw.agent(daemon.ws, "ada") as ada:
        await ada.send(Send(id=1, to="bob", body="hang", hold=True))
        manager.socket.settimeout(1.5)

        def hear_the_last() -> int:
            count = 0
            try:
                while True:
                    count += manager.hear() == ["WATCHDOG=1"]
            except TimeoutError:
                return count

        assert await asyncio.to_thread(hear_the_last) <= 4, "it goes on although the store hangs"
    log = daemon.log.read_text()
    assert "the store does not answer; the watchdog is told nothing" in log
    assert log.count("the watchdog is told nothing") == 1, "once, not at each tick"


async def test_what_is_counted_in_the_store_may_hang_as_well(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`overview` asks the store by another way than the other questions do."""
    relay = Relay(Config(port=0, data=tmp_path / "data"), notifier=Notifier(manager.address, watchdog_s=1000.0))
    run = asyncio.create_task(relay.run())
    while (await asyncio.to_thread(manager.hear))[0] != "READY=1":
        pass
    is_asked, may_answer = asyncio.Event(), asyncio.Event()
    look_up = relay.store.look_up

    async def hang(questions: Sequence[Question], now_ms: int) -> list[Answer]:
        is_asked.set()
        await may_answer.wait()
        return await look_up(questions, now_ms)

    monkeypatch.setattr(relay.store, "look_up", hang)
    asking = asyncio.create_task(relay.callers.look_up(GetOverview(id=0, limit=1)))
    await asyncio.wait_for(is_asked.wait(), 20)
    relay.watchdog.tell(None, relay.now() + 501.0)
    assert manager.hear_all() == [["STATUS=the store does not answer (look-up)"]]
    may_answer.set()
    await asyncio.wait_for(asking, 20)
    relay.watchdog.tell(None, relay.now() + 1002.0)
    assert manager.hear_all() == [["WATCHDOG=1", "STATUS=the store answers again"]]
    relay.stop()
    assert await run == 0
