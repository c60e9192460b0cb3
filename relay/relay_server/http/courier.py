"""The courier: posts callbacks to the addresses that the configuration names, again and again until they are there.

The queue is the store's; here is only what is on its way. An attempt that nobody could note (a crash in between) is
made again, under the same event id. Nothing of what a receiver says is followed: no redirect, no other address.

A receiver that is away holds up nobody else: after an attempt that nobody answered, its integration is asked for one
callback at a time, and after a while that doubles, until an answer comes.
"""

import asyncio
import random
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import httpx
import structlog

from relay_proto.version import __version__

from ..integrations import CALL_S, Integration, backoff_s, judge, sign
from ..store import interface as ask

if TYPE_CHECKING:
    from ..server import Relay

CALLS_MAX: Final = 8
"""Callbacks on their way at once, of all integrations."""
CALLS_MAX_EACH: Final = 4
"""Of one of them."""
ANSWER_BYTES_MAX: Final = 64 * 1024
"""What is read of an answer, to keep its connection; of a longer one the connection is closed."""
PAUSE_S_MAX: Final = 60.0
"""The longest rest of an integration whose receiver is away: so long until it is noticed that it is back."""
LOOK_AGAIN_S: Final = 60.0
"""The longest sleep until something is due: after a jump of the clock it is late by no more than this."""
REASON_CHARS_MAX: Final = 200


class Lane:
    """One integration: what of it is on its way, and how its receiver does."""

    __slots__ = ("failures", "integration", "last_failure", "rests_until", "under_way")

    def __init__(self, integration: Integration) -> None:
        self.integration = integration
        self.under_way = 0
        self.failures = 0
        """Attempts in a row that nobody answered."""
        self.rests_until = 0.0
        """Monotonic seconds."""
        self.last_failure: str | None = None

    def room(self, now: float) -> int:
        """How many more callbacks may set out now."""
        if self.failures:
            return 1 if self.rests_until <= now and not self.under_way else 0
        return CALLS_MAX_EACH - self.under_way

    def came_back(self, is_answered: bool, now: float) -> None:
        """An attempt is over."""
        if is_answered:
            self.failures, self.rests_until = 0, now
        elif self.rests_until <= now:  # else it is known since another that set out with it came back
            self.failures += 1
            self.rests_until = now + min(backoff_s(self.failures, random.random()), PAUSE_S_MAX)


class Outcome:
    """What came of an attempt. `status`: HTTP's, None: nobody answered. `asked_s`: the receiver wants another then."""

    __slots__ = ("asked_s", "reason", "status")

    def __init__(self, status: int | None, reason: str | None, asked_s: float = 0.0) -> None:
        self.status = status
        self.reason = reason
        self.asked_s = asked_s

    @property
    def is_answered(self) -> bool:
        """Somebody is there, whatever it thinks of this callback."""
        return self.status is not None and self.status < 500


class Courier:
    """All callbacks of one daemon. `run` until it is cancelled."""

    writable = True

    def __init__(self, relay: "Relay", integrations: Iterable[Integration]) -> None:
        self.relay = relay
        self.log = structlog.get_logger("relay.courier")
        self.lanes = {one.name: Lane(one) for one in integrations if one.callback_url is not None}
        self._senders = {lane.integration.sender for lane in self.lanes.values()}
        self._client: httpx.AsyncClient
        self._awake = asyncio.Event()
        self._under_way: dict[int, tuple[Lane, asyncio.Task[None]]] = {}
        """By callback, until it is noted what became of it: what is not noted yet is still due for the store."""
        self._is_looking = False
        self._is_looked_for = True
        self._next_look = float("inf")

    # -- what the desk tells -----------------------------------------------------------------------------------------

    def changed(self, changes: Iterable[ask.Change]) -> None:
        """This happened to work, and is on disk."""
        if any(change.sender in self._senders for change in changes):
            self.wake()

    def wake(self) -> None:
        """There may be something to post."""
        self._is_looked_for = True
        self._awake.set()

    def settle(self, found: Any) -> None:
        """The store has answered what was asked of it here."""
        match found:
            case ask.CallbacksDue():
                self._is_looking = False
                for job in found.jobs:
                    self._set_out(job)
                if found.due_at is not None:
                    self._look_in((found.due_at - self.relay.clock.now_ms()) / 1000)
                if self._is_looked_for:
                    self._awake.set()
            case ask.CallbackEnded():
                lane, _ = self._under_way.pop(found.callback)
                lane.under_way -= 1
                self.wake()

    def last_failure(self, integration: str) -> str | None:
        """Why its last attempt that failed did; None: none has since the relay began."""
        lane = self.lanes.get(integration)
        return None if lane is None else lane.last_failure

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sleeps until something may be due, and asks the store what."""
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),
            follow_redirects=False,
            trust_env=False,
            timeout=CALL_S,
            limits=httpx.Limits(max_connections=CALLS_MAX, max_keepalive_connections=CALLS_MAX),
            headers={"User-Agent": f"relay/{__version__}", "Accept-Encoding": "identity"},
        )
        try:
            while True:
                if self._is_looked_for and not self._is_looking:
                    self._look()
                await self._awake.wait()
                self._awake.clear()
        finally:
            tasks = [task for _, task in self._under_way.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await self._client.aclose()

    def _look(self) -> None:
        """Ask what is due of those that have room. What was written before is seen, for it is asked in a turn."""
        now = self.relay.now()
        room: dict[str, int] = {}
        if self.relay.stopping:
            return  # what is not on its way is the next daemon's
        for name, lane in list(self.lanes.items()):
            if lane.failures and lane.rests_until > now:
                self._look_in(lane.rests_until - now)
            elif len(self._under_way) < CALLS_MAX and (mine := lane.room(now)):
                room[name] = mine
                self.lanes[name] = self.lanes.pop(name)  # the others come first the next time
        if not room:
            self._is_looked_for = False  # whoever comes back wakes us
            return
        self._is_looked_for, self._is_looking = False, True
        self.relay.broker.commands.append(ask.DueCallbacks(self, None, room, frozenset(self._under_way)))
        self.relay.wake()

    def _look_in(self, seconds: float) -> None:
        """Look again in so many seconds, or earlier."""
        now = self.relay.now()
        at = now + min(max(seconds, 0.001), LOOK_AGAIN_S)
        if at < self._next_look or self._next_look <= now:
            self._next_look = at
            self.relay.broker.deadlines.add(at, self._on_time, None)
            self.relay.wake()

    def _on_time(self, nothing: None, now: float) -> None:
        if self._next_look <= now:
            self._next_look = float("inf")
            self.wake()

    # -- one callback ------------------------------------------------------------------------------------------------

    def _set_out(self, job: ask.Job) -> None:
        if len(self._under_way) >= CALLS_MAX:
            self._is_looked_for = True
            return
        lane = self.lanes[job.integration]
        lane.under_way += 1
        carried = asyncio.create_task(self._carry(lane, job), name=f"callback {job.callback}")
        self._under_way[job.callback] = (lane, carried)

    async def _carry(self, lane: Lane, job: ask.Job) -> None:
        """One attempt, and what is to be noted of it."""
        try:
            outcome = await self._attempt(lane.integration, job)
        except Exception as exc:
            self.log.error("a callback could not be sent", callback=job.callback, exc_info=exc)
            outcome = Outcome(None, f"the relay could not send it: {type(exc).__name__}")
        lane.came_back(outcome.is_answered, self.relay.now())
        attempts, now_ms = job.attempts + 1, self.relay.clock.now_ms()
        state, due_at = judge(outcome.status, attempts, (now_ms - job.at) / 1000), None
        if state == "waiting":
            due_at = now_ms + int(backoff_s(attempts, random.random(), outcome.asked_s) * 1000)
        if state != "delivered":
            lane.last_failure = outcome.reason
            self._complain(state, job, attempts, outcome.reason)
        self.relay.broker.commands.append(ask.EndCallback(self, None, job.callback, state, due_at, outcome.reason))
        self.relay.wake()

    def _complain(self, state: ask.CallbackState, job: ask.Job, attempts: int, reason: str | None) -> None:
        about = {
            "integration": job.integration, "callback": job.callback, "task": job.message, "attempts": attempts,
            "reason": reason,
        }  # fmt: skip
        if state == "dead":
            self.log.error("a callback was given up", **about)
        elif attempts == 1:
            self.log.warning("a callback did not get through; it is tried again", **about)

    async def _attempt(self, integration: Integration, job: ask.Job) -> Outcome:
        assert integration.callback_url is not None
        body, timestamp = job.body.encode(), str(self.relay.clock.now_ms())
        headers = {
            "Content-Type": "application/json",
            "X-Relay-Event-Id": job.event,
            "X-Relay-Event": f"task.{job.kind}",
            "X-Relay-Timestamp": timestamp,
        }
        if integration.callback_secret is not None:
            headers["X-Relay-Signature"] = sign(integration.callback_secret, timestamp, body)
        return await self._post(integration.callback_url, body, headers)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        outcome = Outcome(None, f"no answer in {CALL_S:g} s")
        try:
            async with (
                asyncio.timeout(CALL_S),
                self._client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                outcome = _said(answer)
                await _read(answer)
        except TimeoutError:
            return outcome  # the status is what counts, if one came; the rest of the answer is not ours to wait for
        except httpx.InvalidURL:
            return Outcome(None, "callbackUrl is no address")  # its text holds the address
        except (httpx.HTTPError, OSError) as exc:
            if outcome.status is None:
                return Outcome(None, f"{type(exc).__name__}: {exc}"[:REASON_CHARS_MAX])
        return outcome


def _said(answer: httpx.Response) -> Outcome:
    reason = None if answer.is_success else f"HTTP {answer.status_code}"
    if answer.has_redirect_location:
        reason = f"HTTP {answer.status_code}: redirects are not followed"
    return Outcome(answer.status_code, reason, _retry_after_s(answer.headers.get("retry-after")))


async def _read(answer: httpx.Response) -> None:
    """Read what is left of an answer, as it came, so that its connection can be used again; a long one is cut."""
    read = 0
    async for chunk in answer.aiter_raw():
        read += len(chunk)
        if read > ANSWER_BYTES_MAX:
            return


def _retry_after_s(value: str | None) -> float:
    """The seconds that a receiver asks for. A date is not read: its clock need not be ours."""
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 9 else 0.0
