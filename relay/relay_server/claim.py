"""The states of work and what may happen to it.

                 +----------- release, expire ------------+
                 v                                        |
    (sent) --> ready ---- claim ----> claimed (renew) ----+---- complete ----------------------> done
                 ^                        |
                 |                        +---- fail_for_good (no retry) -----------------> failed
                 |                        +---- give_up (no attempts left) ----------------> buried
               ripen                      |
                 +------ delayed <--------+ fail (retry)

Rules
- One table, TRANSITIONS, says what is allowed; the store makes each of them as one conditional write, so that two
  workers (or two relays on one database) can't both win.
- The fence grows by one with each claim. Whatever comes with an older fence is refused as `stale_fence`, whoever
  sends it; the right fence from anyone but the holder is `not_holder`.
- An attempt is counted at the claim and given back by a graceful release.
- Repeating what was already done with the same fence is answered like the first time: after a lost connection a client
  can't know whether its word arrived.
"""

from typing import Final, Literal

from relay_proto.errors import Claimed, NotClaimable, NotHolder, RelayError, StaleFence

State = Literal["ready", "delayed", "claimed", "done", "failed", "buried"]
Event = Literal["claim", "renew", "release", "expire", "complete", "fail", "fail_for_good", "give_up", "ripen"]

TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    ("ready", "claim"): "claimed",
    ("claimed", "renew"): "claimed",
    ("claimed", "release"): "ready",
    ("claimed", "expire"): "ready",
    ("claimed", "complete"): "done",
    ("claimed", "fail"): "delayed",
    ("claimed", "fail_for_good"): "failed",
    ("claimed", "give_up"): "buried",
    ("delayed", "ripen"): "ready",
}

ATTEMPTS_MAX: Final = 3
"""Claims of one piece of work that may end in a failure or an expiry; then it is buried, with its reason."""
NACKS_MAX: Final = 5
"""Nacks with retry that one agent may give one message; the last one makes it dead. Reconnects don't count."""
BACKOFF_S_FIRST: Final = 1.0
BACKOFF_S_MAX: Final = 300.0


def backoff_s(attempt: int) -> float:
    """Seconds to wait after the attempt of this number (1, 2, ..) went wrong: 1, 2, 4 .. up to 5 minutes."""
    return min(BACKOFF_S_FIRST * 2.0 ** min(attempt - 1, 16), BACKOFF_S_MAX)


def after_failure(attempts: int, retry: bool) -> Event:
    """What a failure of a claimed work means, by how many attempts it has used."""
    if not retry:
        return "fail_for_good"
    return "give_up" if attempts >= ATTEMPTS_MAX else "fail"


def after_silence(attempts: int) -> Event:
    """What the end of a lease means, by how many attempts the work has used."""
    return "give_up" if attempts >= ATTEMPTS_MAX else "expire"


def why_not_claim(message: int, state: State, holder: str | None) -> RelayError:
    """Why a claim of work in this state was refused. The broker adds the time left on the lease."""
    if state == "claimed":
        return Claimed(f"message {message} is claimed by {holder}", detail={"holder": holder})
    if state == "delayed":
        return NotClaimable(f"message {message} failed and waits for its next attempt", detail={"state": state})
    return NotClaimable(f"message {message} can't be claimed: its work is {state}", detail={"state": state})


def why_not_held(
    message: int, agent: str, fence: int, state: State, current: int, holder: str | None
) -> RelayError | None:
    """Why an op on a claim was refused, or None when the same word was already taken (see the last rule above)."""
    if fence < current:
        return StaleFence(
            f"fence is {fence}; message {message} is at fence {current}: the claim was lost and given out again",
            detail={"fence": current},
        )
    if fence > current or holder != agent:
        held = f"held by {holder}" if state == "claimed" else state
        return NotHolder(f"{agent} does not hold message {message} under fence {fence}: it is {held}")
    if state == "claimed":
        return None
    return NotHolder(f"{agent} does not hold message {message} any more: it is {state}", detail={"state": state})


def is_repeat(event: Event, state: State) -> bool:
    """True when this event, from the holder with the current fence, was evidently applied before."""
    match event:
        case "complete":
            return state == "done"
        case "fail" | "give_up":
            return state in ("delayed", "ready", "buried")
        case "fail_for_good":
            return state == "failed"
        case "release":
            return state == "ready"
        case _:
            return False
