"""What a stop leaves of the requests that are under way: each is answered with what is true, or not at all."""

import asyncio

import httpx
import pytest

from tests.daemon import Daemon

SENDERS = 24
BEFORE_STOP = 100
"""Messages that are accepted before the stop."""


async def send_until_it_ends(
    door: httpx.AsyncClient, name: str, answers: dict[str, int], enough: asyncio.Event
) -> None:
    """Send, one message behind the other, until one is not accepted. `answers`: the status, by body."""
    for i in range(100_000):
        body = f"{name} {i}"
        try:
            answer = await door.post("/api/messages", json={"from": name, "to": "ben", "body": body})
        except httpx.TransportError:
            return  # no answer: nobody was told anything
        answers[body] = answer.status_code
        if answer.status_code != 201:
            return
        if len(answers) >= BEFORE_STOP:
            enough.set()


@pytest.mark.parametrize("turn", range(3))
async def test_what_is_stored_was_not_called_refused(daemon: Daemon, turn: int) -> None:
    answers: dict[str, int] = {}
    enough = asyncio.Event()
    limits = httpx.Limits(max_connections=SENDERS)
    async with httpx.AsyncClient(base_url=daemon.url, timeout=10, trust_env=False, limits=limits) as door:
        senders = [
            asyncio.create_task(send_until_it_ends(door, f"sender-{i}", answers, enough)) for i in range(SENDERS)
        ]
        await enough.wait()
        assert await asyncio.to_thread(daemon.stop) == 0
        await asyncio.gather(*senders)
    daemon.start()
    stored: set[str] = set()
    async with httpx.AsyncClient(base_url=daemon.url, timeout=10, trust_env=False) as door:
        since = 0
        while page := (await door.get("/api/messages", params={"for": "ben", "since": since, "limit": 1000})).json():
            stored |= {message["body"] for message in page}
            since = page[-1]["id"]
    accepted = {body for body, status in answers.items() if status == 201}
    assert accepted <= stored
    assert {status for body, status in answers.items() if body not in accepted} <= {503}
    assert (answers.keys() - accepted) & stored == set()
