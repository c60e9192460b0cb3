"""Pairs: exclusive conversations of two agents. Who opens one, who answers, what is said, who hangs up.

What is said in a pair are messages like any other: they come out of the loop, with the pair's number as their `thread`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from relay_proto import frames, limits
from relay_proto.errors import RelayError
from relay_proto.frames import (
    Body,
    Error,
    Event,
    GetPair,
    Intent,
    Ok,
    PairAccept,
    PairHangup,
    PairOpen,
    PairReject,
    Pairs,
    PairSend,
    PairState,
)

from .calls import read
from .message import Page, Receipt
from .payload import write_payload
from .receiving import Receiving
from .requests import AboutClaim

POLL_S: Final = 30.0
"""Seconds after which a pair is looked at without having been heard of: a safety net, for events are not repeated."""
POLL_UNTOLD_S: Final = 2.0
"""The same on a visit, which is told nothing by itself."""


class Pair:
    """One pair, as it stood when it was last looked at: `refresh()` looks again, and so does each of its calls.

    record: what the relay says of it. pair: its number, which is the id of the message that opened it. thread: what is
    said in it has this `thread`. sender: who opened it. to: who was invited. state: pending, active, rejected, ended.
    """

    __slots__ = ("_agent", "record")

    def __init__(self, agent: "Pairing", record: frames.Pair) -> None:
        self._agent = agent
        self.record = record

    def __repr__(self) -> str:
        return f"Pair({self.pair}, {self.sender!r} with {self.to!r}, {self.state})"

    @property
    def pair(self) -> int:
        return self.record.pair

    @property
    def message(self) -> int:
        """The message that opened it."""
        return self.record.pair

    @property
    def thread(self) -> int:
        return self.record.thread

    @property
    def sender(self) -> str:
        return self.record.sender

    @property
    def to(self) -> str:
        return self.record.to

    @property
    def partner(self) -> str:
        """The other one, as this agent sees it."""
        return self.to if self.sender == self._agent.name else self.sender

    @property
    def objective(self) -> str | None:
        return self.record.objective

    @property
    def state(self) -> PairState:
        return self.record.state

    @property
    def reason(self) -> str | None:
        """Why it was rejected or ended, where somebody said."""
        return self.record.reason

    async def accept(self) -> None:
        """Take part: for who was invited. Raises Busy (`detail["pair"]`) when this agent is in a pair already,
        NotActive when it can't be accepted any more, Forbidden."""
        await self._change(PairAccept)

    async def reject(self, reason: str | None = None) -> None:
        """Don't take part: for who was invited. Raises NotActive when it is not pending any more, Forbidden."""
        await self._change(PairReject, reason=reason)

    async def hang_up(self, reason: str | None = None) -> None:
        """It is over, for both; an invitation is taken back or declined. When it is over already, nothing happens."""
        await self._change(PairHangup, reason=reason)

    async def send(
        self,
        body: Body,
        *,
        subject: str | None = None,
        reply_to: int | None = None,
        intent: Intent | None = None,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        payload: Any = None,
        key: str | None = None,
    ) -> Receipt:
        """Say something to the other one; the receipt comes after the relay has it on disk. See `Agent.send`.

        Raises NotActive (`detail["state"]`) when the pair is not accepted yet or over, and what `Agent.send` raises.
        """
        agent = self._agent
        key = key if key is not None else agent._conversation.next_key()
        ok = await agent._ask(
            PairSend, pair=self.pair, body=body, subject=subject, reply_to=reply_to, intent=intent,
            content_type=content_type, headers=headers, payload=write_payload(payload), key=key,
        )  # fmt: skip
        return Receipt.of(ok, key)

    async def refresh(self) -> PairState:
        """Look at it again: how it stands now."""
        self.record = read((await self._agent._ask(GetPair, pair=self.pair)).item, frames.Pair)
        return self.state

    async def answer(self, timeout_s: float | None = None) -> PairState:
        """Wait until it is not pending any more, and say how it stands: active when it was accepted.

        Raises TimeoutError after `timeout_s` (default: none); it is pending still, `hang_up()` takes it back.
        """
        return await self._until(lambda state: state != "pending", "answered", timeout_s)

    async def over(self, timeout_s: float | None = None) -> PairState:
        """Wait until it is over, and say how: ended or rejected. Raises TimeoutError after `timeout_s`."""
        return await self._until(lambda state: state in ("ended", "rejected"), "over", timeout_s)

    async def _change(self, kind: Callable[..., Any], **fields: Any) -> None:
        ok = await self._agent._ask(kind, pair=self.pair, **fields)
        self.record = read(ok.item, frames.Pair)

    async def _until(self, is_so: Callable[[PairState], bool], what: str, timeout_s: float | None) -> PairState:
        news = _News(self.pair)
        watches = self._agent._conversation.claims.watches
        watches.add(news)
        poll_s = POLL_UNTOLD_S if self._agent._conversation.register.visit else POLL_S
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    news.came.clear()
                    if is_so(await self.refresh()):
                        return self.state
                    try:
                        async with asyncio.timeout(poll_s):
                            await news.came.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise TimeoutError(f"pair {self.pair} was not {what} within {timeout_s:g} s") from None
        finally:
            watches.remove(news)


class Pairing(Receiving):
    """The part of `Agent` that talks to one other."""

    async def pair_open(
        self, to: str, objective: str | None = None, *, key: str | None = None, hold: bool = False
    ) -> Pair:
        """Invite agent `to` into a pair: until one of the two hangs up, neither can be in another one.

        The invitation is a message (type `pair.open`, its body the objective, at most 1,024 characters), so `to` may be
        away; `answer()` of what comes back waits for its word. Opening it again while it is pending, or with the same
        `key`, gives the same pair. The pair ends when this agent closes, or is not heard of for 2 minutes.

        Raises Busy (`detail["agent"]`, `detail["pair"]`) when this agent has opened a pair or is in one, when `to` is
        in one, or when `to` has opened one to this agent: accept that. UnknownAgent, and what `send` raises.
        """
        key = key if key is not None else self._conversation.next_key()
        return Pair(
            self, read((await self._ask(PairOpen, to=to, objective=objective, key=key, hold=hold)).item, frames.Pair)
        )

    async def pair(self, pair: int) -> Pair:
        """The pair of this number; that of an invitation is its message's. Raises UnknownPair."""
        return Pair(self, read((await self._ask(GetPair, pair=pair)).item, frames.Pair))

    async def pairs(
        self,
        agent: str | None = None,
        state: PairState | None = None,
        *,
        limit: int = limits.PAGE_DEFAULT,
        after: int | None = None,
    ) -> Page[Pair]:
        """A page of pairs, of all agents, oldest first. `agent`: one of the two. For the next page pass
        `after=page.next`, until that is None; a page may hold fewer than `limit`, even none, before the end.
        """
        ok = await self._ask(Pairs, agent=agent, state=state, limit=limit, after=after)
        return Page([Pair(self, record) for record in read(ok.items or [], list[frames.Pair])], ok.next)


class _News:
    """One who waits for a pair to change: `came` is set when it is time to look at it."""

    def __init__(self, pair: int) -> None:
        self.message = pair
        self.came = asyncio.Event()

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """An invitation is nobody's work."""

    def happened(self, event: Event) -> None:
        """Something became of it, or of the message that opened it."""
        self.came.set()

    def registered(self) -> None:
        """What happened without a connection was not told."""
        self.came.set()

    def ended(self, error: RelayError) -> None:
        """The look at the pair raises why."""
        self.came.set()
