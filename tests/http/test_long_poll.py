"""Long poll: a request that waits for mail is answered as soon as there is something, over real HTTP."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.daemon import Daemon

SOON_S = 2.0


def client(daemon: Daemon, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=daemon.url, timeout=30, trust_env=False, headers=headers)


async def waiting(door: httpx.AsyncClient, count: int) -> None:
    """Until so many requests wait at the relay."""
    async with asyncio.timeout(10):
        while (await door.get("/api/stats")).json()["waiting"] != count:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)


async def send(door: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await door.post("/api/messages", json={"from": "ada", "to": "ben", "body": "hi"} | fields)
    assert answer.status_code == 201, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


WAIT = {"for": "ben", "unread": "true", "wait": "20"}


@pytest.mark.parametrize("path", ["/api/messages?for=ben&unread=true&wait=20", "/api/inbox/ben?wait=20"])
async def test_it_is_answered_as_soon_as_something_is_there(daemon: Daemon, path: str) -> None:
    async with client(daemon) as door:
        poll = asyncio.create_task(door.get(path))
        await waiting(door, 1)
        started = time.monotonic()
        await send(door)
        answer = await poll
        assert time.monotonic() - started < SOON_S
        assert [one["body"] for one in answer.json()] == ["hi"]
        await waiting(door, 0)


async def test_what_is_there_already_is_answered_at_once(daemon: Daemon) -> None:
    async with client(daemon) as door:
        await send(door)
        started = time.monotonic()
        assert len((await door.get("/api/messages", params=WAIT)).json()) == 1
        assert time.monotonic() - started < SOON_S


async def test_it_ends_empty_when_nothing_comes(daemon: Daemon) -> None:
    async with client(daemon) as door:
        started = time.monotonic()
        answer = await door.get("/api/messages", params=WAIT | {"wait": "0.5"})
        assert (answer.status_code, answer.json()) == (200, [])
        assert 0.45 <= time.monotonic() - started < SOON_S
        await waiting(door, 0)


async def test_who_waits_again_and_again_is_never_silent_however_soon_that_counts(make_daemon: Any) -> None:
    daemon = make_daemon("--stale-after", "1s").start()
    async with client(daemon) as door:
        await door.post("/api/agents", json={"id": "ben"})
        for _ in range(3):
            began = time.monotonic()
            answer = await door.get("/api/messages", params=WAIT)
            assert (answer.status_code, answer.json()) == (200, [])
            assert time.monotonic() - began < 10, "not as long as was asked for"
            assert (await door.get("/api/agents/ben")).json()["status"] == "online"


async def test_mail_that_is_not_wanted_does_not_end_it(daemon: Daemon) -> None:
    async with client(daemon) as door:
        poll = asyncio.create_task(door.get("/api/messages", params=WAIT | {"channel": "ci"}))
        await waiting(door, 1)
        await send(door)
        await send(door, to="eve")
        await waiting(door, 1)
        assert not poll.done()
        await send(door, channel="ci", body="this")
        assert [one["body"] for one in (await poll).json()] == ["this"]


async def test_what_comes_due_and_what_goes_to_a_group_ends_it(daemon: Daemon) -> None:
    async with client(daemon) as door:
        await door.post("/api/agents", json={"id": "ben", "tags": ["t"]})
        poll = asyncio.create_task(door.get("/api/messages", params=WAIT))
        await waiting(door, 1)
        await send(door, to="tag:t", body="group")
        assert [one["body"] for one in (await poll).json()] == ["group"]


async def test_it_waits_until_a_message_is_due(daemon: Daemon) -> None:
    async with client(daemon) as door:
        await send(door, delayS=1)
        started = time.monotonic()
        (late,) = (await door.get("/api/messages", params=WAIT)).json()
        assert time.monotonic() - started > 0.7
        assert "dueAt" not in late


async def test_what_was_surfaced_and_what_was_dealt_with_do_not_end_it(daemon: Daemon) -> None:
    async with client(daemon) as door:
        for stage in ("surfaced", "done"):
            sent = await send(door)
            await door.patch(f"/api/messages/{sent['id']}", json={"agentId": "ben", "stage": stage})
        for unread in ("true", "false"):
            answer = await door.get("/api/messages", params=WAIT | {"wait": "0.3", "unread": unread})
            assert answer.json() == []
        assert len((await door.get("/api/messages?for=ben&unread=true")).json()) == 1, "it is in the inbox all the same"
        poll = asyncio.create_task(door.get("/api/messages", params=WAIT))
        await waiting(door, 1)
        await send(door, body="new")
        assert [one["body"] for one in (await poll).json()] == ["new"]


async def test_work_that_somebody_holds_does_not_end_it(daemon: Daemon) -> None:
    async with client(daemon) as door:
        number = (await send(door, claimable=True))["id"]
        assert len((await door.get("/api/messages", params=WAIT)).json()) == 1
        await door.post(f"/api/tasks/{number}/claim", json={"agentId": "ben"})
        assert (await door.get("/api/messages", params=WAIT | {"wait": "0.3"})).json() == []
        poll = asyncio.create_task(door.get("/api/messages", params=WAIT))
        await waiting(door, 1)
        await door.patch(f"/api/tasks/{number}/status", json={"agentId": "ben", "status": "open"})
        assert [one["status"] for one in (await poll).json()] == ["open"]


async def test_who_reads_on_behind_an_id_is_told_all_that_has_a_larger_one(daemon: Daemon) -> None:
    async with client(daemon) as door:
        sent = [(await send(door, body=body))["id"] for body in ("a", "b")]
        await door.patch(f"/api/messages/{sent[1]}", json={"agentId": "ben"})
        behind = {"for": "ben", "wait": "20", "since": str(sent[0])}
        assert [one["body"] for one in (await door.get("/api/messages", params=behind)).json()] == ["b"]
        poll = asyncio.create_task(door.get("/api/messages", params=behind | {"since": str(sent[1])}))
        await waiting(door, 1)
        await send(door, body="c")
        assert [one["body"] for one in (await poll).json()] == ["c"]


async def test_all_who_wait_for_a_name_are_answered(daemon: Daemon) -> None:
    async with client(daemon) as door:
        polls = [asyncio.create_task(door.get("/api/messages", params=WAIT)) for _ in range(20)]
        await waiting(door, 20)
        await send(door)
        assert [len((await poll).json()) for poll in polls] == [1] * 20


async def test_a_client_that_goes_leaves_nothing_behind(daemon: Daemon) -> None:
    async with client(daemon) as door:
        async with client(daemon) as other:
            poll = asyncio.create_task(other.get("/api/messages", params=WAIT))
            await waiting(door, 1)
            poll.cancel()
        await waiting(door, 0)


async def test_it_ends_when_its_token_does(make_daemon: Any) -> None:
    daemon = make_daemon(env={"RELAY_TOKEN": "an-admin-token-0123456789abcdef"}).start()
    async with client(daemon, Authorization="Bearer an-admin-token-0123456789abcdef") as door:
        made = (await door.post("/api/tokens", json={"agent": "ben"})).json()
        async with client(daemon, Authorization=f"Bearer {made['token']}") as ben:
            poll = asyncio.create_task(ben.get("/api/messages", params=WAIT))
            await waiting(door, 1)
            started = time.monotonic()
            await door.delete(f"/api/tokens/{made['id']}")
            assert (await poll).status_code == 401
            assert time.monotonic() - started < 1.0


async def test_a_relay_that_stops_lets_them_go(daemon: Daemon) -> None:
    async with client(daemon) as door:
        poll = asyncio.create_task(door.get("/api/messages", params=WAIT))
        await waiting(door, 1)
        started = time.monotonic()
        assert await asyncio.to_thread(daemon.stop) == 0
        assert time.monotonic() - started < 4
        result = (await asyncio.gather(poll, return_exceptions=True))[0]
        assert isinstance(result, BaseException) or result.status_code in (200, 503)
