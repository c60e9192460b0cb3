"""What an agent does with the work of others: it submits tasks, follows them, waits for their results, ends them."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Unpack

from relay_proto import codec
from relay_proto.errors import Forbidden, RelayError
from relay_proto.frames import (
    Body,
    Cancel,
    Error,
    Event,
    GetTask,
    Kick,
    Ok,
    Resolve,
    Severity,
    State,
    Submit,
    Task,
    Tasks,
)
from relay_proto.targets import parse_target

from .calls import read
from .errors import NOT_DONE, TaskNotDone, refused
from .message import Envelope, Page, Receipt
from .payload import write_payload
from .receiving import Receiving
from .requests import AboutClaim

if TYPE_CHECKING:
    from .link import Link
    from .outbox import Outbox

POLL_S: Final = 30.0
"""Seconds after which a task is looked at without having been heard of: a safety net, for events are not repeated."""
POLL_UNTOLD_S: Final = 2.0
"""The same for a task about which the relay tells us nothing: another one's, or no subscription."""


class SubmitOptions(Envelope, total=False):
    """The keyword arguments of `Agent.submit` besides its own. `Agent.send` says what each does."""

    reply_to: int | None
    expect_reply_s: float | None


class Submitted(Receipt):
    """What the relay answered to a `submit`: a Receipt, and what became of the task.

    message: id of the task. occurrences: how often it was reported by now; 1 is a new task, more an open one with the
    same source and dedupe_key, which was there before.
    """

    __slots__ = ("_agent", "occurrences")

    def __init__(self, agent: "Tasking", ok: Ok, key: str) -> None:
        super().__init__(
            ok.message or 0, ok.thread or 0, ok.recipients or 0, ok.online or 0, ok.duplicate, key, ok.full, ok.note
        )
        self.occurrences = ok.occurrences or 1
        self._agent = agent

    def __repr__(self) -> str:
        times = f", {self.occurrences} times" if self.occurrences > 1 else ""
        return f"{super().__repr__().replace('Receipt', 'Submitted', 1)[:-1]}{times})"

    async def result(self, timeout_s: float | None = None) -> Body | None:
        """Wait until the task is over, and give its result. See `Agent.result`."""
        return await self._agent.result(self.message, timeout_s)


class Tasking(Receiving):
    """The part of `Agent` that gives work out."""

    def __init__(self, link: "Link", outbox: "Outbox | None" = None) -> None:
        super().__init__(link, outbox)
        self._subscribing = asyncio.Lock()

    async def submit(
        self,
        to: str,
        title: str,
        body: Body = "",
        *,
        type: str | None = None,
        severity: Severity | None = None,
        source: str | None = None,
        dedupe_key: str | None = None,
        depends_on: list[int] | None = None,
        attempts: int | None = None,
        timeout_s: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Submitted:
        """Make a task: work with a title, for exactly one of those who `to` means. Comes after it is on disk.

        - `title`: at most 256 characters; the `subject` of its message. `body`, `attempts`, `type` and the options: as
          in `send`. `severity` (info, warning, error, critical): where no `priority` is given, critical counts as 8 and
          error as 6.
        - `dedupe_key`: what this is about. While a task with the same `source` (default: this agent) and dedupe_key is
          open, no second one is made and nobody is woken: `occurrences` of that one grows, and `message` is its id.
        - `depends_on`: up to 64 tasks that must be done before anyone may claim this one.

        It has a key like a `send`, so that asking again after a lost connection counts once. An outbox does not keep
        it: without a connection it waits for one. Raises UnknownMessage, NotClaimable or Finished for a `depends_on`
        that can't be, DependencyCycle (`detail["cycle"]`), and what `send` raises.
        """
        conversation = self._conversation
        if options.get("key") is None:
            options["key"] = conversation.next_key()
        options["payload"] = write_payload(options.get("payload"))
        try:
            frame = Submit(
                id=conversation.next_id(), to=to, title=title, body=body, type=type, severity=severity,
                source=source, dedupe_key=dedupe_key, depends_on=depends_on, attempts=attempts,
                waits=options.get("expect_reply_s") is None, **options,
            )  # fmt: skip
        except (TypeError, ValueError) as exc:
            raise refused("submit", exc) from None
        data = codec.encode_checked(frame)
        parse_target(to)
        key = frame.key or ""
        return Submitted(self, await self._accepted(frame.id, data, key, timeout_s), key)

    async def result(self, message: int, timeout_s: float | None = None) -> Body | None:
        """Wait until a task is over, and give what its holder completed it with; None when that said nothing.

        Raises TaskFailed, TaskCanceled, TaskBuried or TaskSuperseded (all TaskNotDone: `state`, `reason`) when it ended
        otherwise; buried work may be kicked, and then be waited for again. TimeoutError after `timeout_s` (default:
        none); UnknownMessage, or why the link ended. It holds over reconnects, and subscribes to `task` events, so that
        `events()` then gives these too. Another agent's task is looked at every 2 s instead.
        """
        ending = _Ending(message)
        watches = self._conversation.claims.watches
        watches.add(ending)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._result(ending)
        except TimeoutError:
            raise TimeoutError(f"task {message} was not over within {timeout_s:g} s") from None
        finally:
            watches.remove(ending)

    async def _result(self, ending: "_Ending") -> Body | None:
        while True:
            is_told = await self._hears_of_tasks()
            ending.news.clear()
            task = await self.task(ending.message)
            if task.state == "done":
                return task.result  # type: ignore[no-any-return]  # str, bytes or nothing: the relay checked it
            kind = NOT_DONE.get(task.state)
            if kind is not None:
                raise _not_done(kind, task)
            try:
                async with asyncio.timeout(POLL_S if is_told and task.sender == self.name else POLL_UNTOLD_S):
                    await ending.news.wait()
            except TimeoutError:
                continue

    async def _hears_of_tasks(self) -> bool:
        """Subscribe to what becomes of the tasks that this agent sent, unless that is so; False when it is refused."""
        async with self._subscribing:
            subscribed = self._conversation.subscribed
            if "task" not in subscribed and "tasks" not in subscribed:
                try:
                    await self.subscribe("task")
                except Forbidden:
                    return False
        return True

    async def task(self, message: int) -> Task:
        """One task with its body, result and history (newest last). Raises UnknownMessage, NotClaimable."""
        return read((await self._ask(GetTask, message=message)).item, Task)

    async def tasks(
        self,
        state: State | Iterable[State] | None = None,
        *,
        type: str | None = None,
        severity: Severity | None = None,
        source: str | None = None,
        dedupe_key: str | None = None,
        to: str | None = None,
        sender: str | None = None,
        holder: str | None = None,
        channel: str | None = None,
        newest: bool = False,
        limit: int = 100,
        after: int | None = None,
    ) -> Page[Task]:
        """A page of tasks, oldest first (with `newest` the newest first), without bodies; all given filters must hold.

        `state`: one or several; default: all that are open, and buried. `to`: sent to exactly this target. For the next
        page pass `after=page.next`, until that is None; a page may hold fewer than `limit`, even none, before the end.
        `page.counts`: of all tasks that are open or buried, how many there are in each state.
        """
        states = [state] if isinstance(state, str) else None if state is None else list(state)
        ok = await self._ask(
            Tasks, state=states, type=type, severity=severity, source=source, dedupe_key=dedupe_key, to=to,
            sender=sender, holder=holder, channel=channel, newest=newest, limit=limit, after=after,
        )  # fmt: skip
        return Page(read(ok.items or [], list[Task]), ok.next, ok.counts)

    async def cancel(self, message: int, reason: str | None = None, force: bool = False) -> None:
        """Nobody is to do this task any more; who holds it is told. Another agent's: with `force` only (Forbidden).

        Raises Finished when it is over, UnknownMessage.
        """
        await self._ask(Cancel, message=message, reason=reason, force=force)

    async def kick(self, message: int, reason: str | None = None) -> None:
        """Give buried work one more attempt. Raises NotClaimable (`detail["state"]`) when it is not buried, KeyConflict
        when another task with its source and dedupe_key is open, UnknownMessage.
        """
        await self._ask(Kick, message=message, reason=reason)

    async def resolve(
        self,
        dedupe_key: str,
        source: str | None = None,
        result: Body | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> int:
        """What the open task of this source (default: this agent) and dedupe_key is about is over, whoever saw to it:
        the task is done, and who holds it is told. Gives back its message id. Raises UnknownMessage when none is open.

        key: said again with it, it is the same task, and a later one of this dedupe_key stays open.
        """
        ok = await self._ask(Resolve, dedupe_key=dedupe_key, source=source, result=result, reason=reason, key=key)
        return ok.message or 0


class _Ending:
    """One who waits for the end of a task: `news` is set when it is time to look at it."""

    def __init__(self, message: int) -> None:
        self.message = message
        self.news = asyncio.Event()

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        """What the holder says comes as an event as well."""

    def happened(self, event: Event) -> None:
        """Something became of the task; of what it went on with there is nothing to look at."""
        if event.event.startswith("task.") and (event.state is None or event.state in _OVER):
            self.news.set()

    def registered(self) -> None:
        """What happened without a connection was not told."""
        self.news.set()

    def ended(self, error: RelayError) -> None:
        """The look at the task raises why."""
        self.news.set()


_OVER: Final = frozenset({"done", *NOT_DONE})


def _not_done(kind: type[TaskNotDone], task: Task) -> TaskNotDone:
    return kind(
        f"task {task.message} is {task.state}{f': {task.reason}' if task.reason else ''}",
        detail={"message": task.message, "state": task.state, "reason": task.reason},
    )
