"""The states of work and what may happen to it. Everything else about work follows this table.

    sent --+--> ready -- claim --> [ claimed -- progress --> working ] --+-- complete ------> done
           |     ^  ^              [    |                     |   ^  ]   +-- fail_for_good -> failed
           |     |  |              [    +------- park --------+   |  ]   +-- give_up -------> buried -- kick --> ready
           |     |  |              [              v               |  ]   +-- fail ----------> delayed
           |     |  |              [            parked -- resume -+  ]   |
           |  ripen +--------------------- release, expire --------------+
           v     |
        delayed -+            in brackets: held, by one agent under one fence (what is parked does not expire)

    cancel, resolve: from whatever is not over to canceled and to done; cancel from buried, too.
    lapse (nobody claimed it in its time), supersede: from ready and delayed, to failed and to superseded.

Rules
- TRANSITIONS says what is allowed; the store makes each of them as one conditional write, so that two workers (or two
  relays on one database) can't both win.
- The fence grows by one with each claim. Whatever comes with an older fence is refused as `stale_fence`, whoever
  sends it; the right fence from anyone but the holder is `not_holder`.
- An attempt is counted at the claim and given back by a graceful release.
- Repeating what was already done with the same fence is answered like the first time: after a lost connection a client
  can't know whether its word arrived.
- `delayed` waits for its time, for its next attempt or for the tasks it depends on. `parked` stands still by its
  holder's word; its lease does not run.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from relay_proto.errors import Claimed, Expired, Finished, NotClaimable, NotHolder, RelayError, StaleFence
from relay_proto.frames import Needs, State
from relay_proto.limits import ATTEMPTS_DEFAULT

Event = Literal[
    "claim", "renew", "progress", "park", "resume", "release", "expire", "complete", "fail", "fail_for_good", "give_up",
    "ripen", "lapse", "cancel", "resolve", "supersede", "kick",
]  # fmt: skip

_SAME: Final = "the same"
_TABLE: Final[tuple[tuple[Event, str, str], ...]] = (
    # event, from any of these, to
    ("claim", "ready", "claimed"),
    ("renew", "claimed working parked", _SAME),
    ("progress", "claimed working parked", "working"),
    ("park", "claimed working parked", "parked"),
    ("resume", "parked", "working"),
    ("release", "claimed working parked", "ready"),
    ("expire", "claimed working", "ready"),
    ("complete", "claimed working parked", "done"),
    ("fail", "claimed working parked", "delayed"),
    ("fail_for_good", "claimed working parked", "failed"),
    ("give_up", "claimed working parked", "buried"),
    ("ripen", "delayed", "ready"),
    ("lapse", "ready delayed", "failed"),
    ("cancel", "ready delayed claimed working parked buried", "canceled"),
    ("resolve", "ready delayed claimed working parked", "done"),
    ("supersede", "ready delayed", "superseded"),
    ("kick", "buried", "ready"),
)

TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (state, event): state if to == _SAME else to  # type: ignore[misc]
    for event, states, to in _TABLE
    for state in states.split()
}

HELD: Final[frozenset[State]] = frozenset({"claimed", "working", "parked"})
"""Somebody's."""
OPEN: Final[frozenset[State]] = HELD | {"ready", "delayed"}
"""Not over. Buried work is over until it is kicked."""

STATUS_OF: Final[dict[State, str]] = {
    "ready": "open", "delayed": "open", "claimed": "claimed", "working": "in_progress", "parked": "blocked",
    "done": "done", "failed": "failed", "buried": "failed", "canceled": "canceled", "superseded": "canceled",
}  # fmt: skip
"""The word for a task's `status` at the HTTP door, and in what integrations are called back with."""

NACKS_MAX: Final = 5
"""Nacks with retry that one agent may give one message; the last one makes it dead. Reconnects don't count."""
BACKOFF_S_FIRST: Final = 1.0
BACKOFF_S_MAX: Final = 300.0
ATTEMPTS_MAX: Final = ATTEMPTS_DEFAULT
"""Claims that may end in a failure or in silence where the sender does not say; then it is buried, with its reason."""


def backoff_s(attempt: int) -> float:
    """Seconds to wait after the attempt of this number (1, 2, ..) went wrong: 1, 2, 4 .. up to 5 minutes."""
    return min(BACKOFF_S_FIRST * 2.0 ** min(attempt - 1, 16), BACKOFF_S_MAX)


def after_failure(attempts: int, attempts_max: int, retry: bool) -> Event:
    """What a failure of held work means, by how many attempts it has used of how many."""
    if not retry:
        return "fail_for_good"
    return "give_up" if attempts >= attempts_max else "fail"


def after_silence(attempts: int, attempts_max: int) -> Event:
    """What the end of a lease means, by how many attempts the work has used of how many."""
    return "give_up" if attempts >= attempts_max else "expire"


def a2a(state: State, needs: Needs | None, has_begun: bool) -> str:
    """The state as A2A 1.0 says it. `has_begun`: its holder said that it was at work, before it failed."""
    match state:
        case "ready" | "delayed":
            return "submitted"
        case "claimed" | "working":
            return "working"
        case "parked":
            return "auth_required" if needs == "auth" else "input_required"
        case "done":
            return "completed"
        case "failed":
            return "failed" if has_begun else "rejected"
        case "buried":
            return "failed"
        case _:
            return "canceled"


class Waits(NamedTuple):
    """What delayed work waits for: its time, `ready_at`, or other tasks. Times are ms since 1970."""

    now: int = 0
    ready_at: int | None = None
    tasks: Sequence[int] = ()


def why_not_claim(
    message: int, state: State, holder: str | None, is_expired: bool = False, waits: Waits | None = None
) -> RelayError:
    """Why a claim of work in this state was refused. The broker adds the time left on the lease."""
    if state in HELD:
        return Claimed(f"message {message} is claimed by {holder}", detail={"holder": holder, "state": state})
    if state == "delayed":
        return _waits(message, waits or Waits())
    if is_expired:
        return Expired(f"message {message} can't be claimed: nobody did in its time", detail={"state": state})
    return Finished(f"message {message} can't be claimed: its work is {state}", detail={"state": state})


def _waits(message: int, waits: Waits) -> NotClaimable:
    """The refusal of a claim of delayed work: what it waits for, and how long, as far as that is known."""
    detail: dict[str, Any] = {"state": "delayed"}
    until = ""
    if waits.tasks:
        detail["waiting_for"] = list(waits.tasks)
        until = f" for {', '.join(f'#{task}' for task in waits.tasks)}"
    elif waits.ready_at is not None:
        detail["ready_at"] = waits.ready_at
        until = f" for {max(0, waits.ready_at - waits.now) / 1000:.1f} s more"
    return NotClaimable(f"message {message} is work that waits{until}; it can't be claimed yet", detail=detail)


def why_not_held(
    message: int, agent: str, fence: int, state: State, current: int, holder: str | None
) -> RelayError | None:
    """Why an op on a claim was refused, or None when the claim is this agent's."""
    if fence < current:
        return StaleFence(
            f"fence is {fence}; message {message} is at fence {current}: the claim was lost and given out again",
            detail={"fence": current},
        )
    if fence > current and current and holder == agent and state in HELD:
        return NotHolder(
            f"{agent} does not hold message {message} under fence {fence}, never given out, but under {current}",
            detail={"fence": current},
        )
    if fence > current or holder != agent:
        held = f"held by {holder}" if state in HELD else state
        return NotHolder(f"{agent} does not hold message {message} under fence {fence}: it is {held}")
    if state in HELD:
        return None
    return NotHolder(f"{agent} does not hold message {message} any more: it is {state}", detail={"state": state})


def why_not_now(message: int, event: Event, state: State) -> RelayError:
    """Why a word about the work as a whole (cancel, kick, resolve) can't be taken in this state."""
    if event == "kick":
        return NotClaimable(f"message {message} is {state}; only buried work is kicked", detail={"state": state})
    return Finished(f"message {message} is over already: {state}", detail={"state": state})


def is_repeat(event: Event, ended_by: Event | None) -> bool:
    """True when this word of the holder is the one that ended its claim before. `ended_by`: what that was."""
    if event in ("fail", "give_up"):
        return ended_by in ("fail", "give_up")  # the same word: which it is depends on the attempts
    return event == ended_by
