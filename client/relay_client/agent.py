"""What a program holds while it is an agent: every op of the protocol as a method.

Its parts: `calls.py` has what all calls have in common, `sending.py` what it says, `receiving.py` what comes to it,
`asking.py` what it waits for a reply to, `working.py` what it works on, `tasks.py` what it has others work on,
`questions.py` what it asks the relay. Here is what it is.
"""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from relay_proto.frames import (
    Heartbeat,
    Ok,
    Remove,
    ServerInfo,
    Status,
    Update,
)

from .asking import Asking
from .calls import names
from .pairs import Pairing
from .questions import Questions
from .tasks import Tasking
from .tokens import Tokening
from .working import Working


class Agent(Asking, Working, Tasking, Pairing, Tokening, Questions):
    """A registered agent. Made by `relay_client.connect`; `async with` closes it."""

    def __repr__(self) -> str:
        state = "ended" if self._link.ended is not None else "connected" if self.connected else "reconnecting"
        return f"Agent({self.name!r}, epoch={self.epoch}, {state})"

    async def __aenter__(self) -> "Agent":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hands.finish(exc)
        await self.close()

    async def close(self) -> None:
        """Say bye, write what is ready, close the connection. Idempotent; takes 5 s at most.

        The relay shows the agent as offline at once and releases its claims. What it delivered and was not acked comes
        again to the next one who registers under this name; so does a message whose loop body is still running.
        """
        try:
            await self._link.close()
        finally:
            if self.outbox is not None:
                await self.outbox.close()

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def instance(self) -> str:
        """What names this process at the relay; the same over all reconnects."""
        return self._conversation.register.instance or ""

    @property
    def epoch(self) -> int:
        """Grows with each new instance that registers under this name."""
        return self._answer.epoch or 0

    @property
    def session(self) -> str:
        """The name of the current connection (or the last one) in the relay's log."""
        return self._answer.session or ""

    @property
    def server(self) -> ServerInfo:
        """Name, version and protocol of the relay."""
        return self._answer.server or ServerInfo(name="", version="", protocol=0)

    @property
    def limits(self) -> dict[str, int]:
        """The relay's limits by name, as it told them."""
        return self._answer.limits or {}

    @property
    def connected(self) -> bool:
        """True while there is a registered connection; False while one is being made, and after the end."""
        return self._link.connected

    @property
    def round_trip_s(self) -> float | None:
        """Seconds of the last round trip that was measured (register, a ping, a heartbeat)."""
        return self._link.round_trip_s

    @property
    def _answer(self) -> Ok:
        """To the last register; empty while an agent with an outbox has not found its relay yet."""
        return self._conversation.answer or Ok(re=0)

    # -- about oneself -----------------------------------------------------------------------------------------------

    async def update(
        self,
        *,
        label: str | None = None,
        tags: Iterable[str] | None = None,
        caps: Iterable[str] | None = None,
        channels: Iterable[str] | None = None,
        status: Status | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what `connect` said of this agent; None leaves a field as it is. Reconnects repeat the new state."""
        await self._ask(
            Update,
            label=label,
            tags=names("tags", tags),
            caps=names("caps", caps),
            channels=names("channels", channels),
            status=status,
            meta=None if meta is None else dict(meta),
        )

    async def remove(self, agent: str) -> None:
        """Take an agent off the relay's list, for good: it is in no group, and what it has claimed is given back.

        Another one than oneself: with the scope system:write, where the relay asks for tokens. Its live session gets
        Removed; its name and its inbox stay. Raises Forbidden, UnknownAgent for a name that was never registered.
        """
        await self._ask(Remove, agent=agent)

    async def heartbeat(self, status: Status | None = None, load: float | None = None) -> None:
        """Say now that the agent is alive, how it is and how busy. Without it the client does so by itself."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await self._ask(Heartbeat, status=status, load=load)
        self._link.round_trip_s = loop.time() - asked_at
