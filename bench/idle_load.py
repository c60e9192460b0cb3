"""N idle agents in one process, on bare sockets. Started by the harness.

    python -m bench.idle_load PORT AGENTS

Prints a line of JSON when every agent is registered, then keeps them alive like the real client does (each answers
pings and heartbeats at the interval the relay named) until its stdin ends, and prints a last line that says how many
connections were lost. It is no client library: websockets' Sans-I/O protocol and our codec, so that 5,000 agents cost
this process little and the daemon sees what 5,000 real clients would send.
"""

import asyncio
import json
import sys
import time
from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from relay_proto import codec, frames, limits

from .machine import has_uvloop, raise_file_limit

CONNECTING_MAX: Final = 100
"""Agents that connect at the same time: below any listen backlog, and well within the handshake's time."""
CONNECT_S: Final = 120.0
"""All agents must be registered after this long, else the run fails instead of hanging."""
TICK_S: Final = 0.1
"""Heartbeats go out in slices this long, so that they arrive spread over the interval as those of many clients do."""
HEARTBEAT: Final = codec.join_frames([codec.encode_frame(frames.Heartbeat())])


class IdleAgent(asyncio.Protocol):
    """One connection: opening handshake, register, then silence but for pongs and heartbeats."""

    __slots__ = ("_name", "_protocol", "_transport", "lost", "registered")

    def __init__(self, name: str, port: int, registered: "asyncio.Future[float]") -> None:
        self._name = name
        self._protocol = ClientProtocol(
            parse_uri(f"ws://127.0.0.1:{port}/ws"), subprotocols=[Subprotocol(limits.SUBPROTOCOL)]
        )
        self.registered = registered
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit it
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                self._answered_handshake()
            elif event.opcode is Opcode.BINARY:
                self._read(event.data)
        self._flush()

    def _answered_handshake(self) -> None:
        if self._protocol.handshake_exc is not None:
            self._fail(f"the handshake was refused: {self._protocol.handshake_exc!r}")
            return
        register = frames.Register(id=1, agent=self._name, instance=self._name)
        self._protocol.send_binary(codec.join_frames([codec.encode_checked(register)]))

    def _read(self, data: "bytes | bytearray | memoryview") -> None:
        for frame in codec.decode_relay_batch(bytes(data)):
            if isinstance(frame, frames.Ok) and not self.registered.done():
                assert frame.heartbeat_s is not None, "the answer to register names the heartbeat's interval"
                self.registered.set_result(frame.heartbeat_s)
            elif isinstance(frame, frames.Error | frames.Bye):
                self._fail(f"the relay said {frame!r}")

    def heartbeat(self) -> None:
        self._protocol.send_binary(HEARTBEAT)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._fail(f"the connection was lost: {exc!r}")

    def _fail(self, reason: str) -> None:
        if not self.registered.done():
            self.registered.set_exception(RuntimeError(f"agent {self._name}: {reason}"))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)


async def connect_all(port: int, count: int) -> tuple[list[IdleAgent], float]:
    """All agents, registered, and the seconds between their heartbeats."""
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(CONNECTING_MAX)
    agents: list[IdleAgent] = []
    heartbeat_s = limits.HEARTBEAT_S

    async def connect(number: int) -> None:
        nonlocal heartbeat_s
        async with places:
            registered: asyncio.Future[float] = loop.create_future()
            agent = IdleAgent(f"idle-{number}", port, registered)
            await loop.create_connection(lambda: agent, "127.0.0.1", port)
            heartbeat_s = await registered
            agents.append(agent)

    async with asyncio.timeout(CONNECT_S), asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(connect(number))
    return agents, heartbeat_s


async def keep_alive(agents: list[IdleAgent], heartbeat_s: float) -> None:
    """Every agent's heartbeat once an interval, evenly spread. Runs until it is cancelled."""
    started, sent = time.monotonic(), 0
    while True:
        await asyncio.sleep(TICK_S)
        due = int((time.monotonic() - started) * len(agents) / heartbeat_s)
        for number in range(sent, due):
            agents[number % len(agents)].heartbeat()
        sent = due


async def hold(port: int, count: int) -> None:
    """Connects, says so, keeps alive until stdin ends, says how it went."""
    started = time.perf_counter()
    agents, heartbeat_s = await connect_all(port, count)
    print(json.dumps({"seconds": time.perf_counter() - started, "heartbeat_s": heartbeat_s}), flush=True)
    keeper = asyncio.create_task(keep_alive(agents, heartbeat_s))
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
    await asyncio.wait({keeper, ended}, return_when=asyncio.FIRST_COMPLETED)
    if keeper.done():
        await keeper
    keeper.cancel()
    print(json.dumps({"lost": sum(agent.lost for agent in agents)}), flush=True)


def main(arguments: list[str]) -> None:
    port, count = map(int, arguments)
    raise_file_limit()
    if has_uvloop():
        import uvloop

        uvloop.run(hold(port, count))
    else:
        asyncio.run(hold(port, count))


if __name__ == "__main__":
    main(sys.argv[1:])
