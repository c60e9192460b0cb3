"""claim.py: the state table of work, held against the store: every state, and every event that can happen to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from relay_proto import frames as wire
from relay_proto.errors import Claimed, Expired, Finished, NotClaimable, NotHolder, RelayError, StaleFence
from relay_proto.frames import State
from relay_server.claim import (
    ATTEMPTS_MAX,
    BACKOFF_S_MAX,
    HELD,
    OPEN,
    TRANSITIONS,
    Event,
    Waits,
    a2a,
    after_failure,
    after_silence,
    backoff_s,
    is_repeat,
    why_not_claim,
    why_not_held,
    why_not_now,
)
from relay_server.store import interface as ask
from tests.relay.desk import Desk
from tests.relay.stress import make_cheap, temporary_folder
from tests.relay.working import Crew, bring, claim, crew, ok, submit
from tests.relay.working import ask as say

STATES: Final[tuple[State, ...]] = get_args(State)
EVENTS: Final[tuple[Event, ...]] = get_args(Event)
OVER: Final = frozenset(STATES) - OPEN


@pytest.fixture
async def cheap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A desk that is opened quickly: there is one for each place of the table."""
    make_cheap(monkeypatch)
    with temporary_folder() as folder:
        desk = await Desk(Path(folder) / "desk").open()
        yield desk
        await desk.close()


# -- the table, and what the store does ------------------------------------------------------------------------------


def word(frame_of: Callable[[int], Any], who: str) -> Callable[[Crew], Awaitable[dict[str, Any] | None]]:
    """An event that somebody causes by saying something; its answer."""

    async def said(them: Crew) -> dict[str, Any] | None:
        return await say(them.desk, getattr(them, who), frame_of(them.message))

    return said


async def fall_silent(them: Crew) -> None:
    """The lease of fence 1 ends; and should the desk say so of what has none, the store knows better."""
    if them.desk.broker.leases.get(them.message) is not None:
        return await them.desk.pass_time(60)
    them.desk.broker.commands.append(ask.ExpireWork(None, None, them.message, 1, 1))
    await them.desk.turn()


async def wait_a_while(them: Crew) -> None:
    """As long as the backoff of a first attempt. Leases are longer than that."""
    await them.desk.pass_time(2)


async def outlive_its_time(them: Crew) -> None:
    """Longer than its ttl. Leases are renewed meanwhile, as by a holder that is at work."""
    for _ in range(10):
        them.ada.alive_at = them.desk.now
        await them.desk.pass_time(50)


async def replace(them: Crew) -> None:
    await ok(them.desk, them.boss, wire.Send(id=2, to="ada", body="b", supersedes=them.message))


HAPPEN: Final[dict[Event, Callable[[Crew], Awaitable[dict[str, Any] | None]]]] = {
    "claim": word(lambda message: wire.Claim(id=2, message=message), "bob"),
    "renew": word(lambda message: wire.Renew(id=2, message=message, fence=1), "ada"),
    "progress": word(lambda message: wire.Progress(id=2, message=message, fence=1, progress=0.5), "ada"),
    "park": word(lambda message: wire.Park(id=2, message=message, fence=1, needs="input"), "ada"),
    "resume": word(lambda message: wire.Resume(id=2, message=message, fence=1), "ada"),
    "release": word(lambda message: wire.Release(id=2, message=message, fence=1), "ada"),
    "expire": fall_silent,
    "complete": word(lambda message: wire.Complete(id=2, message=message, fence=1, result="r"), "ada"),
    "fail": word(lambda message: wire.Fail(id=2, message=message, fence=1, reason="broke"), "ada"),
    "fail_for_good": word(lambda message: wire.Fail(id=2, message=message, fence=1, reason="no", retry=False), "ada"),
    "give_up": word(lambda message: wire.Fail(id=2, message=message, fence=1, reason="broke"), "ada"),
    "ripen": wait_a_while,
    "lapse": outlive_its_time,
    "cancel": word(lambda message: wire.Cancel(id=2, message=message), "boss"),
    "resolve": word(lambda message: wire.Resolve(id=2, dedupe_key="k"), "boss"),
    "supersede": replace,
    "kick": word(lambda message: wire.Kick(id=2, message=message), "boss"),
}
WHO: Final[dict[Event, str | None]] = {
    **dict.fromkeys(EVENTS, "ada"), "claim": "bob", "cancel": "boss", "resolve": "boss", "kick": "boss",
    "supersede": "boss", "expire": None, "ripen": None, "lapse": None,
}  # fmt: skip
"""Whom the history names; nobody: the relay did it."""
GRANTED_AS_BEFORE: Final = {
    ("done", "complete"), ("ready", "release"), ("superseded", "release"), ("failed", "fail_for_good"),
    ("canceled", "cancel"), *((state, event) for state in ("delayed", "buried") for event in ("fail", "give_up")),
    ("claimed", "resume"), ("working", "resume"),
}  # fmt: skip
"""Words that were evidently taken before, or that ask for what is: answered `ok`, and nothing changes."""
NOBODY_ASKS: Final = {"expire", "ripen", "lapse", "supersede"}
"""What happens by time, or beside something else: nobody is refused."""


def refusal(state: State, event: Event) -> str:
    """The code that says why an event can't happen in this state."""
    match event:
        case "claim":
            return "claimed" if state in HELD else "not_claimable" if state == "delayed" else "finished"
        case "cancel":
            return "finished"
        case "kick":
            return "not_claimable"
        case "resolve":
            return "unknown_message"  # it is found by its key, and only what is not over has one
        case _:
            return "not_holder"


def facts(item: dict[str, Any]) -> dict[str, Any]:
    """What a refused word may not change."""
    changing = ("changed_at", "lease_left_s", "progress_at")
    return {field: value for field, value in item.items() if field not in changing}


async def place(desk: Desk, state: State, event: Event) -> Crew:
    """Work in this state, so that the event, if it happens, is this one."""
    if event == "give_up" and state in HELD:
        return await bring(desk, state, attempts=1, dedupe_key="k")
    if event == "lapse" and state in ("ready", "delayed"):
        them = await crew(desk)
        needs = [await submit(desk, them.boss, "nobody", hold=True)] if state == "delayed" else None
        them.message = await submit(desk, them.boss, ttl_s=100, depends_on=needs)
        return them
    if event == "lapse":
        return await bring(desk, state, ttl_s=100)
    return await bring(desk, state, dedupe_key="k")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
async def test_what_happens_to_work_is_what_the_table_says(cheap: Desk, state: State, event: Event) -> None:
    them = await place(cheap, state, event)
    before = await them.task()
    answer = await HAPPEN[event](them)
    after = await them.task()
    assert (after["fence"], after["attempts"]) == expected_numbers(before, state, event)
    if (state, event) not in TRANSITIONS:
        assert facts(after) == facts(before), "nothing has changed"
        if (state, event) in GRANTED_AS_BEFORE:
            assert answer is not None
            assert answer["op"] == "ok"
        elif event not in NOBODY_ASKS:
            assert answer is not None
            assert answer.get("code") == refusal(state, event), answer
        return
    assert after["state"] == TRANSITIONS[state, event]
    assert answer is None or answer["op"] == "ok", answer
    if event == "renew":
        return  # a heartbeat is no news
    assert after["history"][: len(before["history"])] == before["history"]
    (line,) = after["history"][len(before["history"]) :]
    assert (line["event"], line["state"], line.get("agent")) == (event, after["state"], WHO[event])
    assert line["at"] == after["changed_at"] <= cheap.now_ms


def expected_numbers(before: dict[str, Any], state: State, event: Event) -> tuple[int, int]:
    """(fence, attempts) after the event: a claim counts, and a graceful release gives it back."""
    fence, attempts = before["fence"], before["attempts"]
    if (state, event) == ("ready", "claim"):
        return fence + 1, attempts + 1
    return fence, attempts - 1 if event == "release" and state in HELD else attempts


def test_every_place_of_the_table_is_reached_by_these_tests() -> None:
    assert {state for state, _ in TRANSITIONS} | {*TRANSITIONS.values()} == set(STATES)
    assert {event for _, event in TRANSITIONS} == set(EVENTS) == HAPPEN.keys()
    assert not GRANTED_AS_BEFORE & TRANSITIONS.keys()


async def test_silence_that_uses_up_the_last_attempt_buries(cheap: Desk) -> None:
    them = await bring(cheap, "working", attempts=1)
    await fall_silent(them)
    after = await them.task()
    assert (after["state"], after["reason"], after["attempts"]) == ("buried", "its holders fell silent", 1)
    assert after["history"][-1]["event"] == "give_up"
    assert "agent" not in after["history"][-1]


async def test_what_nobody_claimed_in_its_time_is_expired_to_whom_comes_late(cheap: Desk) -> None:
    them = await crew(cheap)
    them.message = await submit(cheap, them.boss, ttl_s=5)
    await cheap.pass_time(5)
    answer = await say(cheap, them.bob, wire.Claim(id=1, message=them.message))
    assert (answer["code"], answer["detail"]) == ("expired", {"state": "failed"})


@pytest.mark.parametrize("state", ["claimed", "working", "parked"])
@pytest.mark.parametrize("event", ["renew", "progress", "park", "resume", "release", "complete", "fail"])
async def test_another_agent_with_the_right_fence_and_the_holder_with_a_wrong_one_change_nothing(
    cheap: Desk, state: State, event: Event
) -> None:
    them = await bring(cheap, state)
    before = await them.task()
    words: dict[str, Any] = {
        "renew": wire.Renew, "progress": wire.Progress, "resume": wire.Resume, "release": wire.Release,
        "complete": wire.Complete, "fail": wire.Fail,
    }  # fmt: skip
    kind = words.get(event, lambda **fields: wire.Park(needs="human", **fields))
    assert (await say(cheap, them.bob, kind(id=3, message=them.message, fence=1)))["code"] == "not_holder"
    assert (await say(cheap, them.ada, kind(id=3, message=them.message, fence=2)))["code"] == "not_holder"
    assert facts(await them.task()) == facts(before)
    await ok(cheap, them.ada, wire.Release(id=4, message=them.message, fence=1))
    assert await claim(cheap, them.bob, them.message) == 2
    for session in (them.ada, them.bob):
        stale = await say(cheap, session, kind(id=5, message=them.message, fence=1))
        assert (stale["code"], stale["detail"]) == ("stale_fence", {"fence": 2})
    assert (await them.task())["holder"] == "bob"


# -- what the states are called elsewhere ----------------------------------------------------------------------------

A2A: Final[dict[State, str]] = {
    "ready": "submitted", "delayed": "submitted", "claimed": "working", "working": "working",
    "parked": "input_required", "done": "completed", "failed": "rejected", "canceled": "canceled", "buried": "failed",
    "superseded": "canceled",
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
async def test_each_state_has_its_word_in_a2a(cheap: Desk, state: State) -> None:
    assert (await (await bring(cheap, state)).task())["a2a"] == A2A[state]


async def test_what_failed_after_it_was_begun_is_failed_and_not_rejected(cheap: Desk) -> None:
    them = await bring(cheap, "working")
    await ok(cheap, them.ada, wire.Fail(id=2, message=them.message, fence=1, reason="no", retry=False))
    assert (await them.task())["a2a"] == "failed"


@pytest.mark.parametrize(
    ("needs", "expected"),
    [("human", "input_required"), ("input", "input_required"), ("auth", "auth_required")],
)
async def test_what_is_parked_says_what_it_requires(cheap: Desk, needs: Any, expected: str) -> None:
    them = await bring(cheap, "claimed")
    await ok(cheap, them.ada, wire.Park(id=2, message=them.message, fence=1, needs=needs))
    found = await them.task()
    assert (found["a2a"], found["needs"]) == (expected, needs)


def test_every_state_is_said_in_the_words_of_a2a() -> None:
    words = {a2a(state, needs, begun) for state in STATES for needs in (None, "auth") for begun in (True, False)}
    assert words == {
        "submitted", "working", "input_required", "auth_required", "completed", "failed", "canceled", "rejected"
    }  # fmt: skip


# -- the table by itself ---------------------------------------------------------------------------------------------


def test_only_ready_work_can_be_claimed() -> None:
    assert [state for state, event in TRANSITIONS if event == "claim"] == ["ready"]


def test_what_is_over_stays_over_and_what_is_buried_comes_back_by_a_kick_alone() -> None:
    assert {"done", "failed", "canceled", "buried", "superseded"} == OVER
    after = {(state, event): to for (state, event), to in TRANSITIONS.items() if state in OVER}
    assert after.pop(("buried", "kick")) == "ready"
    assert {state for state, _ in after} <= {"buried"}
    assert set(after.values()) <= OVER


def test_held_work_that_stands_still_does_not_expire() -> None:
    assert {"claimed", "working", "parked"} == HELD
    assert {state for state, event in TRANSITIONS if event == "expire"} == HELD - {"parked"}


@pytest.mark.parametrize(
    ("state", "kind"),
    [("claimed", Claimed), ("parked", Claimed), ("delayed", NotClaimable), ("done", Finished), ("buried", Finished)],
)
def test_a_refused_claim_says_why(state: State, kind: type[RelayError]) -> None:
    error = why_not_claim(7, state, "ada")
    assert type(error) is kind
    assert "message 7" in str(error)
    assert error.detail["state"] == state


def test_a_refused_claim_of_work_that_waits_says_for_what_or_how_long() -> None:
    error = why_not_claim(7, "delayed", None, waits=Waits(1000, 2500))
    assert "waits for 1.5 s more; it can't be claimed yet" in str(error)
    assert error.detail == {"state": "delayed", "ready_at": 2500}
    error = why_not_claim(7, "delayed", None, waits=Waits(1000, None, [3, 5]))
    assert "waits for #3, #5; it can't be claimed yet" in str(error)
    assert error.detail == {"state": "delayed", "waiting_for": [3, 5]}


def test_a_fence_that_was_never_given_out_is_told_which_counts() -> None:
    error = why_not_held(7, "ada", 99, "working", 2, "ada")
    assert isinstance(error, NotHolder)
    assert "ada does not hold message 7 under fence 99, never given out, but under 2" in str(error)
    assert error.detail == {"fence": 2}


def test_a_claim_that_comes_after_its_time_says_so() -> None:
    assert type(why_not_claim(7, "failed", None, is_expired=True)) is Expired


def test_an_older_fence_is_stale_whoever_sends_it() -> None:
    for agent in ("ada", "bob"):
        assert isinstance(why_not_held(7, agent, 1, "claimed", 2, "ada"), StaleFence)


def test_the_right_fence_from_another_agent_is_not_the_holders() -> None:
    assert isinstance(why_not_held(7, "bob", 2, "claimed", 2, "ada"), NotHolder)
    assert isinstance(why_not_held(7, "ada", 9, "claimed", 2, "ada"), NotHolder)
    assert isinstance(why_not_held(7, "ada", 2, "ready", 2, "ada"), NotHolder)
    assert why_not_held(7, "ada", 2, "claimed", 2, "ada") is None


def test_a_word_about_the_work_as_a_whole_is_refused_by_what_it_is() -> None:
    assert isinstance(why_not_now(7, "kick", "ready"), NotClaimable)
    assert isinstance(why_not_now(7, "cancel", "done"), Finished)


def test_backoff_doubles_up_to_its_limit() -> None:
    assert [backoff_s(attempt) for attempt in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert backoff_s(10_000) == BACKOFF_S_MAX


@pytest.mark.parametrize("attempts_max", [1, 2, ATTEMPTS_MAX, 100])
def test_failures_and_silence_are_retried_until_the_attempts_are_used_up(attempts_max: int) -> None:
    assert after_failure(attempts_max, attempts_max, retry=True) == "give_up"
    assert after_silence(attempts_max, attempts_max) == "give_up"
    assert after_failure(attempts_max - 1, attempts_max, retry=True) == "fail"
    assert after_silence(attempts_max - 1, attempts_max) == "expire"
    assert after_failure(attempts_max - 1, attempts_max, retry=False) == "fail_for_good"


def test_a_word_that_was_taken_before_is_recognised() -> None:
    assert is_repeat("give_up", "fail")  # the same word, of which the attempts decide what it means
    assert is_repeat("fail", "give_up")
    assert is_repeat("complete", "complete")
    assert not is_repeat("complete", "resolve")
    assert not is_repeat("fail", "fail_for_good")
    assert not is_repeat("release", None)
