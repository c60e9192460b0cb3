"""A reader of server-sent events, as clients in Python are: it takes for a line what str.splitlines does, which is
more than the standard says.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

HEAR_S = 10.0
"""Longest wait for an event: far more than it takes, so that it only ends a test that has failed."""


@dataclass
class Heard:
    """One event. `id`: the last id that was said, with this event or before it."""

    kind: str
    data: Any
    id: str


class Ear:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.id = ""
        self.comments: list[str] = []
        self.retry_ms: int | None = None
        self._lines = response.aiter_lines()

    async def next(self) -> Heard:
        """The next event. Raises EOFError when the stream has ended in order."""
        kind, data = "message", ""
        async with asyncio.timeout(HEAR_S):
            async for line in self._lines:
                if not line:
                    if data:
                        return Heard(kind, orjson.loads(data), self.id)
                    kind = "message"
                    continue
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments.append(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = f"{data}\n{value}" if data else value
                elif name == "id":
                    self.id = value
                elif name == "retry":
                    self.retry_ms = int(value)
        raise EOFError

    async def some(self, count: int) -> list[Heard]:
        return [await self.next() for _ in range(count)]

    async def until(self, kind: str) -> Heard:
        """The next event of this kind; others are dropped."""
        while (heard := await self.next()).kind != kind:
            pass
        return heard


@asynccontextmanager
async def listen(
    url: str, *, after: str | None = None, headers: dict[str, str] | None = None, **query: str
) -> AsyncIterator[Ear]:
    """Listen to a relay; its hello has been heard. `for_` is `for`; `after`: the Last-Event-ID."""
    given = dict(headers or {}) | ({"Last-Event-ID": after} if after is not None else {})
    params = {name.rstrip("_"): value for name, value in query.items()}
    async with (
        httpx.AsyncClient(base_url=url, timeout=HEAR_S, trust_env=False) as client,
        client.stream("GET", "/api/events", params=params, headers=given) as response,
    ):
        assert response.status_code == 200, await response.aread()
        ear = Ear(response)
        hello = await ear.next()
        assert hello.kind == "hello"
        assert hello.data["cursor"].startswith(hello.data["run"] + "-")
        yield ear
