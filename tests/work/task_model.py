"""One task as it has to behave when everything happens one after the other: the rules of docs/protocol.md, "Work".

`expected` says what an operation does and what has to be answered; `by_itself` what may happen without anybody's word
(`expire`, `ripen`, and `unpark`: what is parked goes on at its deadline), and not before its time. It is written from
the protocol's text, not from the relay's code.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tests.work.history import Answer, History, Operation

HELD: Final = frozenset({"claimed", "working", "parked"})
OVER: Final = frozenset({"done", "failed", "buried", "canceled"})
LEASE_S: Final = 60.0
PARK_S: Final = 24 * 3600.0
ATTEMPTS_MAX: Final = 3
BACKOFF_S_MAX: Final = 300
SLACK_S: Final = 0.01
"""The daemon's clock of one round of its loop may be this much behind, and its times are whole milliseconds."""
REPEATS: Final[dict[str, frozenset[str]]] = {
    "complete": frozenset({"done"}),
    "release": frozenset({"ready"}),
    "fail": frozenset({"delayed", "ready", "buried"}),
    "fail_for_good": frozenset({"failed"}),
}
"""Words that are answered ok again in these states, when it was they that ended the claim. When it was something else
(silence, another word), the relay may take them for a repeat, since nothing of it depends on that, or refuse them."""


class Task(NamedTuple):
    """The state. instance: whose signs renew the lease. claimer: who may claim it again; the same, but for visits.
    since: the latest sign in a word about this task. not_before: nor does it ripen, or is unparked.
    What belongs to a claim is empty when there is none, so that the same states are the same.
    """

    state: str = "ready"
    fence: int = 0
    holder: str = ""
    instance: str = ""
    claimer: str = ""
    lease_s: float = 0.0
    since: float = 0.0
    ended_by: str = ""
    attempts: int = 0
    attempts_max: int = ATTEMPTS_MAX
    not_before: float = 0.0

    def __str__(self) -> str:
        held = f", by {self.claimer} since {self.since:.4f} for {self.lease_s} s" if self.state in HELD else ""
        return f"{self.state}{held}, fence {self.fence}, attempts {self.attempts} of {self.attempts_max}"


Details = dict[str, Any]
Expected = tuple[Task, dict[str | None, Details]]
"""The state afterwards, and the answers that are right: each code (None is ok) with the details it must have."""


def expected(task: Task, op: Operation) -> Expected:
    """What this operation does to the task, and what may be answered. No answer at all: it can't be said now."""
    return _RULES.get(op.op, _of_holder)(task, op)


def agrees(answer: Answer, answers: dict[str | None, Details]) -> bool:
    """Whether what was answered is among what may be."""
    details = answers.get(answer.code)
    return details is not None and all(answer.detail.get(name) == value for name, value in details.items())


def by_itself(task: Task, history: History, now: float) -> tuple[str, Task, float] | None:
    """What may happen next without anybody's word: (name, state afterwards, earliest time). None when nothing can."""
    match task.state:
        case "claimed" | "working":
            lease_s = task.lease_s - SLACK_S
            at = history.silent_from(task.instance, max(now, task.since + lease_s), lease_s)
            state = "buried" if task.attempts >= task.attempts_max else "ready"
            return "expire", _ended(task, state, "expire"), at
        case "delayed":
            return "ripen", task._replace(state="ready", not_before=0.0), max(now, task.not_before - SLACK_S)
        case "parked":
            at = max(now, task.not_before - SLACK_S)
            return "unpark", _runs(task, at), at
    return None


def backoff_s(attempt: int) -> float:
    """Seconds of delay after the failure of this attempt."""
    return float(min(2 ** (attempt - 1), BACKOFF_S_MAX))


# -- words that carry no fence ---------------------------------------------------------------------------------------


def _claim(task: Task, op: Operation) -> Expected:
    lease_s = float(op.arguments.get("lease_s", LEASE_S))
    if task.state == "ready":
        return _taken(task, op), {None: {"fence": task.fence + 1, "lease_s": lease_s}}
    if _is_again(task, op):
        again = task._replace(lease_s=lease_s, instance=op.instance, since=max(task.since, op.invoked_at))
        return again, {None: {"fence": task.fence, "lease_s": lease_s}}
    if task.state in HELD:
        return task, {"claimed": {"holder": task.holder, "state": task.state}}
    return task, {"finished" if task.state in OVER else "not_claimable": {"state": task.state}}


def _claim_next(task: Task, op: Operation) -> Expected:
    """This task was among what came. It was ready, or, where `held` says what is known, held and not heard of."""
    if task.state == "ready":
        taken = _taken(task, op)
        return taken, {None: _seen(taken)}
    if _is_again(task, op) and op.message not in op.arguments.get("held", [op.message]):
        again = task._replace(instance=op.instance, since=max(task.since, op.invoked_at))
        return again, {None: _seen(again)}
    return task, {}


def _bye(task: Task, op: Operation) -> Expected:
    if task.state in HELD and task.holder == op.agent and task.instance == op.instance:
        return _ended(task, "ready", "bye", attempts_back=1), {None: {}}
    return task, {None: {}}


def _read(task: Task, op: Operation) -> Expected:
    return task, {None: _seen(task)}


def _cancel(task: Task, op: Operation) -> Expected:
    if task.state == "canceled":
        return task, {None: {}}
    if task.state in OVER - {"buried"}:
        return task, {"finished": {"state": task.state}}
    return _ended(task, "canceled", "cancel"), {None: {}}


def _kick(task: Task, op: Operation) -> Expected:
    if task.state != "buried":
        return task, {"not_claimable": {"state": task.state}}
    attempts_max = max(task.attempts_max, task.attempts + 1)
    return task._replace(state="ready", ended_by="kick", attempts_max=attempts_max), {None: {}}


def _check(task: Task, op: Operation) -> Expected:
    if op.fence < task.fence:
        return task, {"stale_fence": {"fence": task.fence}}
    if op.fence > task.fence:
        return task, {"not_holder": {}}
    if task.state in HELD:
        return task, {None: {"fence": task.fence, "agent": task.holder, "state": task.state}}
    return task, {"finished": {"state": task.state}}


# -- words of a holder -----------------------------------------------------------------------------------------------


def _of_holder(task: Task, op: Operation) -> Expected:
    if op.fence < task.fence:
        return task, {"stale_fence": {"fence": task.fence}}
    word = "fail_for_good" if op.op == "fail" and not op.arguments.get("retry", True) else op.op
    if op.fence == task.fence and op.agent == task.holder:
        if task.state in HELD:
            return _HOLDER_DOES[word](task, op)
        if task.state in REPEATS.get(word, ()):
            return task, {None: {}} if task.ended_by == word else {None: {}, "not_holder": {}}
    return task, {"not_holder": {}}


def _renew(task: Task, op: Operation) -> Expected:
    renewed = _taken_along(task, op)
    return renewed, {None: {"fence": task.fence, "lease_s": renewed.lease_s}}


def _progress(task: Task, op: Operation) -> Expected:
    working = _runs(_taken_along(task, op), op.invoked_at)
    return working, {None: {"fence": task.fence, "lease_s": task.lease_s}}


def _park(task: Task, op: Operation) -> Expected:
    until = op.invoked_at + op.arguments.get("deadline_s", PARK_S)
    return _taken_along(task, op)._replace(state="parked", not_before=until), {None: {"fence": task.fence}}


def _resume(task: Task, op: Operation) -> Expected:
    """It runs already: then it is renewed."""
    if task.state != "parked":
        return _renew(task, op)
    resumed = _runs(_taken_along(task, op), op.invoked_at)
    return resumed, {None: {"fence": task.fence, "lease_s": resumed.lease_s}}


def _release(task: Task, op: Operation) -> Expected:
    return _ended(task, "ready", "release", attempts_back=1), {None: {}}


def _complete(task: Task, op: Operation) -> Expected:
    return _ended(task, "done", "complete"), {None: {}}


def _fail(task: Task, op: Operation) -> Expected:
    if task.attempts >= task.attempts_max:
        return _ended(task, "buried", "fail"), {None: {}}
    ready_at = op.invoked_at + backoff_s(task.attempts)
    return _ended(task, "delayed", "fail")._replace(not_before=ready_at), {None: {}}


def _fail_for_good(task: Task, op: Operation) -> Expected:
    return _ended(task, "failed", "fail_for_good"), {None: {}}


# -- parts of these --------------------------------------------------------------------------------------------------


def _is_again(task: Task, op: Operation) -> bool:
    return task.state in HELD and task.holder == op.agent and task.claimer == op.claimer


def _taken(task: Task, op: Operation) -> Task:
    return task._replace(
        state="claimed", fence=task.fence + 1, holder=op.agent, instance=op.instance, claimer=op.claimer,
        since=op.invoked_at, lease_s=float(op.arguments.get("lease_s", LEASE_S)), ended_by="",
        attempts=task.attempts + 1,
    )  # fmt: skip


def _taken_along(task: Task, op: Operation) -> Task:
    """A word that renews the lease. The claim is that of the instance that says it, if it was another's."""
    lease_s = float(op.arguments.get("lease_s", task.lease_s))
    since = max(task.since, op.invoked_at)
    return task._replace(instance=op.instance, claimer=op.claimer, lease_s=lease_s, since=since)


def _runs(task: Task, since: float) -> Task:
    return task._replace(state="working", since=max(task.since, since), not_before=0.0)


def _ended(task: Task, state: str, by: str, attempts_back: int = 0) -> Task:
    return task._replace(
        state=state, instance="", claimer="", lease_s=0.0, since=0.0, ended_by=by, not_before=0.0,
        attempts=task.attempts - attempts_back,
    )  # fmt: skip


def _seen(task: Task) -> Details:
    """What a reader is told."""
    names = ("state", "fence", "attempts", "attempts_max", *(("holder", "lease_s") if task.state in HELD else ()))
    return {name: getattr(task, name) for name in names}


_Rule = Callable[[Task, Operation], Expected]

_RULES: Final[dict[str, _Rule]] = {
    "claim": _claim, "claim_next": _claim_next, "bye": _bye, "read": _read, "cancel": _cancel, "kick": _kick,
    "check": _check,
}  # fmt: skip
_HOLDER_DOES: Final[dict[str, _Rule]] = {
    "renew": _renew, "progress": _progress, "park": _park, "resume": _resume, "release": _release,
    "complete": _complete, "fail": _fail, "fail_for_good": _fail_for_good,
}  # fmt: skip
