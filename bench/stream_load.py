"""N listeners of one relay's events in one process, on bare sockets. Started by the harness.

    python -m bench.stream_load PORT LISTENERS [AGENT]

With AGENT each listens for what concerns that agent alone (`?for=`). Prints a line of JSON when every one was told
hello; then, for each line that comes on stdin, how much was told since the line before; ends with its stdin.
"""

import asyncio
import json
import sys
import time
from typing import cast

from .idle_load import CONNECT_S, CONNECTING_MAX
from .machine import has_uvloop, raise_file_limit


class Listening(asyncio.Protocol):
    """One stream: the request, then whatever comes, counted and thrown away."""

    __slots__ = ("_agent", "_is_told", "bytes", "events", "gaps", "lost", "told")

    def __init__(self, agent: str | None, told: "asyncio.Future[None]") -> None:
        self._agent = agent
        self.told = told
        self.bytes = self.events = self.gaps = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        query = f"?for={self._agent}" if self._agent else ""
        request = f"GET /api/events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        cast(asyncio.Transport, transport).write(request.encode())

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        self.events += data.count(b"\nevent: message.new\n")  # a name that two reads share is not counted
        self.gaps += data.count(b"\nevent: gap\n")
        if not self.told.done() and b"event: hello" in data:
            self.told.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.told.done():
            self.told.set_exception(RuntimeError(f"a stream ended before its hello: {exc!r}"))


async def open_all(port: int, count: int, agent: str | None) -> list[Listening]:
    """All streams, each told hello."""
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(CONNECTING_MAX)
    streams: list[Listening] = []

    async def open_one() -> None:
        async with places:
            stream = Listening(agent, loop.create_future())
            await loop.create_connection(lambda: stream, "127.0.0.1", port)
            await stream.told
            streams.append(stream)

    async with asyncio.timeout(CONNECT_S), asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(open_one())
    return streams


async def hold(port: int, count: int, agent: str | None) -> None:
    """Opens, says so, counts until stdin ends."""
    started = time.perf_counter()
    streams = await open_all(port, count, agent)
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
    while await asyncio.to_thread(sys.stdin.buffer.readline):
        fewest = min(stream.events for stream in streams)
        said = {name: sum(getattr(stream, name) for stream in streams) for name in ("bytes", "events", "gaps", "lost")}
        for stream in streams:
            stream.bytes = stream.events = stream.gaps = 0
        print(json.dumps(said | {"fewest": fewest}), flush=True)


def main(arguments: list[str]) -> None:
    port, count, *agent = arguments
    raise_file_limit()
    work = hold(int(port), int(count), agent[0] if agent else None)
    if has_uvloop():
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)


if __name__ == "__main__":
    main(sys.argv[1:])
