"""/api/backup, /api/export, /api/verify of a running relay: whole, one at a time, and gone when they are over."""

import asyncio
import base64
import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from relay_server.config import Config
from relay_server.http import keeping as rows
from relay_server.keeping import keeper as keeping
from relay_server.keeping.export import Export
from relay_server.keeping.source import TEMPORARY
from relay_server.keeping.verify import verify_file, verify_folder
from relay_server.server import Relay
from tests.daemon import Daemon
from tests.peer import Peer

TOKEN = "secret-of-the-operator"


def leftovers(daemon: Daemon) -> list[Path]:
    return list(daemon.data.glob(f"{TEMPORARY}*"))


async def send_on(name: str, peer: Peer, bodies: list[str], enough: asyncio.Event) -> None:
    """Messages, one behind the other, for as long as it is not canceled; `bodies`: those that were accepted."""
    number = 0
    while True:
        body = f"{name} {number}"
        await peer.request("send", to="keeper", body=body)
        bodies.append(body)
        number += 1
        if number >= 50:
            enough.set()


async def test_a_backup_under_load_has_all_that_was_accepted_before_it_and_makes_a_relay(
    daemon: Daemon, make_daemon: Callable[..., Daemon]
) -> None:
    accepted: list[str] = []
    enough = asyncio.Event()
    async with await Peer.join(daemon.url, "keeper"), httpx.AsyncClient(base_url=daemon.url, timeout=30) as door:
        peers = [await Peer.join(daemon.url, f"sender-{number}") for number in range(4)]
        senders = [asyncio.create_task(send_on(f"{at}", peer, accepted, enough)) for at, peer in enumerate(peers)]
        await asyncio.wait_for(enough.wait(), 20)
        before = set(accepted)
        answer = await door.get("/api/backup")
        after = len(accepted)
        for sender in senders:
            sender.cancel()
        await asyncio.wait(senders)
        for peer in peers:
            peer.drop()
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-type"] == "application/vnd.sqlite3"
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
    assert leftovers(daemon) == []
    other = make_daemon()
    other.data.mkdir(mode=0o700)
    (other.data / "relay.db").write_bytes(answer.content)
    (other.data / "relay.db").chmod(0o600)
    assert verify_file(other.data / "relay.db").findings == []
    with sqlite3.connect(other.data / "relay.db") as copy:
        bodies = {body for (body,) in copy.execute("SELECT body FROM messages")}
    copy.close()
    assert before <= bodies
    assert after > len(before), "the senders went on meanwhile"
    other.start()
    async with await Peer.join(other.url, "ada") as ada:
        answered = await ada.request("send", to="keeper", body="in the other one")
        assert answered["message"] == len(bodies) + 1


async def test_an_export_has_what_the_store_has_and_a_check_finds_nothing(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "ada") as ada, httpx.AsyncClient(base_url=daemon.url) as door:
        await ada.request("send", to="ada", body="x")
        await ada.request("submit", to="ada", title="do it")
        answer = await door.get("/api/export")
        report = (await door.get("/api/verify")).json()
    assert answer.headers["content-type"].startswith("application/jsonl")
    head, *records, end = map(orjson.loads, answer.content.splitlines())
    assert (head["record"], end["record"], end["records"]) == ("relay", "end", len(records))
    assert [record["message"] for record in records if record["record"] == "message"] == [1, 2]
    assert (report["ok"], report["findings"], report["rows"]["work"]) == (True, [], 1)
    assert verify_folder(daemon.data).ok, "beside a running relay, too"


async def test_it_takes_a_token_for_everything(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", TOKEN).start()
    admin = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=daemon.url) as door:
        made = await door.post("/api/tokens", json={"scopes": ["system:write", "messages:read"]}, headers=admin)
        lesser = {"Authorization": f"Bearer {made.json()['token']}"}
        for path in ("/api/backup", "/api/export", "/api/verify"):
            assert (await door.get(path)).status_code == 401
            assert (await door.get(path, headers=lesser)).status_code == 403
            assert (await door.get(path, headers=admin)).status_code == 200
            head = await door.head(path, headers=admin)
            assert (head.status_code, head.content) == (200, b"")


# -- one at a time, and nothing is left ------------------------------------------------------------------------------


class Held:
    """A copy that stands still between two steps until it may go on."""

    def __init__(self) -> None:
        self.is_there = threading.Event()
        self.may_go_on = threading.Event()

    def copy(self, source: Any, target: Path, tell: Callable[[int, int], None]) -> None:
        target.write_bytes(b"half of it")
        self.is_there.set()
        assert self.may_go_on.wait(20)
        tell(1, 2)

    async def wait(self) -> None:
        assert await asyncio.to_thread(self.is_there.wait, 20)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(rows, "copy_database", held.copy)
    return held


@pytest.fixture
async def door(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{relay.port}", timeout=20, trust_env=False) as client:
        yield client


async def until(what: Callable[[], bool]) -> None:
    """What another task or thread brings about; nothing tells when."""
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_one_at_a_time(relay: Relay, door: httpx.AsyncClient, held: Held) -> None:
    first = asyncio.create_task(door.get("/api/backup"))
    await held.wait()
    for path in ("/api/backup", "/api/export", "/api/verify"):
        busy = await door.get(path)
        assert (busy.status_code, busy.json()["code"]) == (409, "busy")
        assert "a backup is being made just now" in busy.json()["error"]
    assert (await door.get("/readyz")).status_code == 200, "the relay goes on"
    held.may_go_on.set()
    assert (await first).content == b"half of it"
    assert (await door.get("/api/verify")).status_code == 200


async def test_a_client_that_goes_ends_it(relay: Relay, door: httpx.AsyncClient, held: Held) -> None:
    first = asyncio.create_task(door.get("/api/backup"))
    await held.wait()
    job = relay.keeper._job
    assert job is not None
    first.cancel()
    await until(lambda: job.is_canceled)
    held.may_go_on.set()
    await until(lambda: relay.keeper._job is None)
    assert not job.copy.exists()


async def test_a_relay_that_stops_ends_it(relay: Relay, door: httpx.AsyncClient, held: Held) -> None:
    first = asyncio.create_task(door.get("/api/backup"))
    await held.wait()
    job = relay.keeper._job
    assert job is not None
    relay.stop()
    await until(lambda: job.is_canceled)
    held.may_go_on.set()
    answer = await first
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert not job.copy.exists()


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Relay]:
    """A relay in this process that asks for tokens."""
    relay = Relay(Config(port=0, data=tmp_path / "data", token=TOKEN))
    run = asyncio.create_task(relay.run())
    await until(lambda: relay.ready)
    yield relay
    relay.stop()
    assert await run == 0


async def test_a_token_that_is_revoked_meanwhile_ends_it(locked: Relay, held: Held) -> None:
    admin = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{locked.port}", timeout=20, trust_env=False) as door:
        made = (await door.post("/api/tokens", json={"admin": True}, headers=admin)).json()
        first = asyncio.create_task(door.get("/api/backup", headers={"Authorization": f"Bearer {made['token']}"}))
        await held.wait()
        assert (await door.delete(f"/api/tokens/{made['id']}", headers=admin)).status_code == 200
        held.may_go_on.set()
        with pytest.raises(httpx.TransportError):
            await first
        assert (await door.get("/api/verify", headers=admin)).status_code == 200


async def test_a_transfer_that_can_not_be_whole_is_cut(
    relay: Relay, door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunks(export: object) -> Any:
        yield b'{"record":"relay"}\n'
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(Export, "chunks", chunks)
    with pytest.raises(httpx.TransportError):
        await door.get("/api/export")
    assert relay.keeper._job is None


async def test_who_reads_nothing_is_cut(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(source: Any, target: Path, tell: Callable[[int, int], None]) -> None:
        target.write_bytes(bytes(64 * 1024 * 1024))

    monkeypatch.setattr(rows, "copy_database", copy)
    monkeypatch.setattr(rows, "STALL_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1024)
    writer.write(b"GET /api/backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    await until(lambda: relay.keeper._job is None)
    read = 0
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1024 * 1024):
            read += len(piece)
    assert read < 64 * 1024 * 1024
    writer.close()


async def test_an_export_that_is_read_too_slowly_does_not_fill_the_disk(
    relay: Relay, door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "room_in", lambda folder: 1000)
    assert (await door.get("/api/export")).status_code == 200, "the log has not grown: it goes on"
    monkeypatch.setattr(keeping, "LOG_BYTES_MAX", -1)
    with pytest.raises(httpx.TransportError):
        await door.get("/api/export")
    assert relay.keeper._job is None


async def test_a_disk_without_room_is_said_with_its_figures(
    relay: Relay, door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "room_in", lambda folder: 1000)
    answer = await door.get("/api/backup")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert "and 1000 are free" in answer.json()["error"]
    monkeypatch.undo()
    assert (await door.get("/api/backup")).status_code == 200


async def test_a_disk_that_fills_up_while_a_backup_is_made_ends_it(
    relay: Relay, door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = iter((10**12, 1000))
    monkeypatch.setattr(keeping, "room_in", lambda folder: next(rooms))
    answer = await door.get("/api/backup")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert "the disk filled up meanwhile" in answer.json()["error"]
    assert "and 1000 are free" in answer.json()["error"]
    assert list(relay.config.data.glob(f"{TEMPORARY}*")) == []
    monkeypatch.undo()
    assert (await door.get("/api/backup")).status_code == 200


async def test_what_a_killed_relay_left_is_removed_at_the_next_start(daemon: Daemon) -> None:
    daemon.kill()
    (daemon.data / f"{TEMPORARY}backup").write_bytes(b"half")
    daemon.start()
    assert leftovers(daemon) == []
