"""What a program holds while it is an agent: every op of the protocol as a method.

Its parts: `calls.py` has what all calls have in common, `sending.py` what it says, `receiving.py` what comes to it,
`asking.py` what it waits for a reply to, `questions.py` what it asks the relay. Here is what it is and works on.
"""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from relay_proto.frames import (
    Body,
    Claim,
    Complete,
    EventKind,
    Fail,
    Heartbeat,
    Ok,
    Release,
    Renew,
    ServerInfo,
    Status,
    Subscribe,
    Unsubscribe,
    Update,
)

from .asking import Asking
from .calls import names
from .events import Events
from .message import Message
from .questions import Questions
from .work import Work


class Agent(Asking, Questions):
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

    # -- work --------------------------------------------------------------------------------------------------------

    def claim(self, message: Message | int, lease_s: float | None = None) -> Work:
        """`async with agent.claim(message) as work`: hold claimable work while the block runs.

        Entering claims it: raises Claimed (`detail["holder"]`), NotClaimable, UnknownMessage. The lease (default: the
        relay's, 60 s) is renewed by itself. The end of the block completes the work, with what `work.done(result)` set;
        an exception in it fails the work with its text, to be tried again, and goes on; a cancellation releases it.
        Raises StaleFence or NotHolder at the end when the claim was lost meanwhile: then nothing was completed.
        """
        return Work(self, self._link, message.message if isinstance(message, Message) else message, lease_s)

    async def claim_message(self, message: int, lease_s: float | None = None) -> tuple[int, float]:
        """Claim by id: (fence, lease_s). Renewing and ending it is the caller's; `claim()` does both.

        When it is cancelled, a claim that the relay granted is given back.
        """
        self._conversation.refuse_second_claim(message)
        ok = await self._ask(Claim, message=message, lease_s=lease_s)
        return ok.fence or 0, ok.lease_s or 0.0

    async def renew(self, message: int, fence: int, lease_s: float | None = None) -> float:
        """One more full lease from now: its seconds. Raises StaleFence or NotHolder when the claim was lost."""
        return (await self._ask(Renew, message=message, fence=fence, lease_s=lease_s)).lease_s or 0.0

    async def release(self, message: int, fence: int) -> None:
        """Give work back unfinished, at once; it burns no attempt."""
        await self._ask(Release, message=message, fence=fence)

    async def complete(self, message: int, fence: int, result: Body | None = None) -> None:
        """The work is done. `result` (str or bytes, at most 64 KiB) is kept with it."""
        await self._ask(Complete, message=message, fence=fence, result=result)

    async def fail(self, message: int, fence: int, reason: str = "", retry: bool = True) -> None:
        """The work failed: with `retry` it is offered again after a backoff, else it is over."""
        await self._ask(Fail, message=message, fence=fence, reason=reason, retry=retry)

    # -- news --------------------------------------------------------------------------------------------------------

    def events(self) -> Events:
        """`async for event in agent.events()`: what the relay tells by itself, as `relay_proto.frames.Event`.

        - `reply.overdue`, `reply.gone`, `reply.refused`, `reply.deadlock`: about replies that are owed to this agent.
          `superseded`, `withdrawn`: a message that it was given was replaced, or is over. `owed`: after each reconnect,
          what is owed both ways (when there is anything; at the start ask `owed()`). `receipt` and `presence`: after
          `subscribe`. A newer relay may tell more.
        - It collects from this call on, for as long as someone holds it; call it before what it is to tell about.
        - At most 4,096 wait for a slow reader. Then the oldest are dropped: `dropped` of the iterator counts them.
        - Each call gives an iterator of its own that gets everything.

        Ends when the agent is closed; raises Replaced, Unauthorized or Disconnected when the link ends otherwise. What
        the relay tells while there is no connection is not told later, `owed` excepted: `receipts()` and `agents()`
        show what is now.
        """
        return Events(self._link)

    async def subscribe(self, *events: EventKind) -> None:
        """From now on hear these, as `events()`: `receipt` (how far one's messages come at each recipient), `presence`.

        It holds over reconnects. Subscribing twice is nothing.
        """
        await self._ask(Subscribe, events=list(events))

    async def unsubscribe(self, *events: EventKind) -> None:
        """Hear these no more."""
        await self._ask(Unsubscribe, events=list(events))

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

    async def heartbeat(self, status: Status | None = None, load: float | None = None) -> None:
        """Say now that the agent is alive, how it is and how busy. Without it the client does so by itself."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await self._ask(Heartbeat, status=status, load=load)
        self._link.round_trip_s = loop.time() - asked_at
