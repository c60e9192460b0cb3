"""Parked work: its clock stands still until its holder goes on, its time is over, or what it waited for is there."""

import pytest

from relay_proto.frames import (
    Bye,
    Check,
    Claim,
    Complete,
    Fail,
    GetMessage,
    Park,
    Progress,
    Release,
    Renew,
    Resume,
    Why,
)
from relay_proto.limits import PARK_S_DEFAULT
from tests.relay.desk import START_MS, Desk, kinds
from tests.relay.working import ask, bring, claim, crew, events, lines, ok, state, submit, task

HOURS_S = 20 * 3600


async def test_what_is_parked_is_not_lost_however_long_its_holder_is_silent(desk: Desk) -> None:
    them = await bring(desk, "parked")
    desk.broker.lost(them.ada)
    await desk.pass_time(HOURS_S)
    found = await them.task()
    assert (found["state"], found["holder"], found["fence"]) == ("parked", "ada", 1)
    assert "lease_left_s" not in found


async def test_it_shows_what_it_needs_and_until_when(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    frame = Park(id=2, message=1, fence=1, needs="auth", reason="a token for the registry", deadline_s=90)
    answer = await ok(desk, them.ada, frame)
    until = START_MS + 90_000
    assert answer == {"op": "ok", "re": 2, "message": 1, "fence": 1, "park_until_at": until}
    found = await them.task()
    shown = {part: found[part] for part in ("state", "needs", "reason", "park_until_at", "a2a")}
    assert shown == {
        "state": "parked", "needs": "auth", "reason": "a token for the registry", "park_until_at": until,
        "a2a": "auth_required",
    }  # fmt: skip
    assert lines(found)[-1] == "park parked ada 1 auth: a token for the registry"
    work = (await ok(desk, them.bob, GetMessage(id=3, message=1)))["item"]["work"]
    assert (work["state"], work["needs"], work["park_until_at"]) == ("parked", "auth", until)
    why = " ".join((await ok(desk, them.bob, Why(id=4, message=1)))["item"]["sentences"])
    assert "ada" in why
    assert "registry" in why


async def test_without_a_deadline_it_stands_still_for_a_day(desk: Desk) -> None:
    them = await bring(desk, "parked")
    assert (await them.task())["park_until_at"] == START_MS + PARK_S_DEFAULT * 1000 == START_MS + 24 * 3600 * 1000


async def test_at_its_deadline_it_runs_again_under_a_full_lease_and_its_holder_is_told(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await ok(desk, them.ada, Park(id=2, message=1, fence=1, needs="human", deadline_s=500))
    desk.heard(them.ada)
    await desk.pass_time(499.9)
    assert (await them.task())["state"] == "parked"
    await desk.pass_time(0.1)
    (told,) = events(desk, them.ada, "claim.")
    assert told == {
        "op": "event", "event": "claim.resumed", "at": START_MS + 500_000, "message": 1, "fence": 1, "lease_s": 60.0,
        "reason": "the time for which it was parked is over",
    }  # fmt: skip
    found = await them.task()
    assert (found["state"], found["lease_left_s"]) == ("working", 60)
    assert not {"needs", "park_until_at", "reason"} & found.keys()
    assert lines(found)[-1] == "resume working 1 the time for which it was parked is over"
    await desk.pass_time(59.9)
    assert (await them.task())["state"] == "working"
    await desk.pass_time(0.1)
    assert (await them.task())["state"] == "ready"


@pytest.mark.parametrize("how", ["resume", "progress"])
async def test_its_holder_goes_on_under_a_full_lease(desk: Desk, how: str) -> None:
    them = await bring(desk, "parked")
    await desk.pass_time(1000)
    kind = Resume if how == "resume" else Progress
    answer = await ok(desk, them.ada, kind(id=2, message=1, fence=1))
    assert (answer["fence"], answer["lease_s"]) == (1, 60.0)
    assert (await them.task())["lease_left_s"] == 60
    await desk.pass_time(HOURS_S)
    assert (await them.task())["state"] == "ready", "and the deadline that it had is no more"


async def test_a_resume_may_ask_for_another_lease(desk: Desk) -> None:
    them = await bring(desk, "parked")
    assert (await ok(desk, them.ada, Resume(id=2, message=1, fence=1, lease_s=300)))["lease_s"] == 300.0
    await desk.pass_time(299.9)
    assert (await them.task())["state"] == "working"


async def test_a_resume_that_is_repeated_is_answered_like_the_first(desk: Desk) -> None:
    them = await bring(desk, "parked")
    assert await ok(desk, them.ada, Resume(id=2, message=1, fence=1)) == await ok(
        desk, them.ada, Resume(id=2, message=1, fence=1)
    )
    assert [line.split()[0] for line in lines(await them.task())].count("resume") == 1


@pytest.mark.parametrize("how", ["complete", "fail", "release", "bye"])
async def test_it_may_end_without_going_on_first(desk: Desk, how: str) -> None:
    them = await bring(desk, "parked")
    if how == "bye":
        await desk.say(them.ada, Bye())
    else:
        kind = {"complete": Complete, "fail": Fail, "release": Release}[how]
        await ok(desk, them.ada, kind(id=2, message=1, fence=1))
    expected = {"complete": "done", "fail": "delayed", "release": "ready", "bye": "ready"}[how]
    found = await them.task()
    assert (found["state"], found.get("needs"), found.get("park_until_at")) == (expected, None, None)
    await desk.pass_time(HOURS_S * 2)
    assert events(desk, them.ada, "claim.") == []


async def test_a_renewal_does_not_start_its_clock(desk: Desk) -> None:
    them = await bring(desk, "parked")
    await ok(desk, them.ada, Renew(id=2, message=1, fence=1, lease_s=5))
    await ok(desk, them.ada, Claim(id=3, message=1, lease_s=5))
    await desk.pass_time(1000)
    assert (await them.task())["state"] == "parked"


async def test_check_says_that_it_is_held_and_that_no_lease_runs(desk: Desk) -> None:
    them = await bring(desk, "parked")
    answer = await ok(desk, them.bob, Check(id=2, message=1, fence=1))
    assert answer == {"op": "ok", "re": 2, "agent": "ada", "message": 1, "fence": 1, "state": "parked"}


async def test_nobody_else_may_claim_it(desk: Desk) -> None:
    them = await bring(desk, "parked")
    answer = await ask(desk, them.bob, Claim(id=2, message=1))
    assert (answer["code"], answer["detail"]) == ("claimed", {"holder": "ada", "state": "parked"})


async def test_after_a_restart_it_is_parked_still_and_its_deadline_holds(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await ok(desk, them.ada, Park(id=2, message=1, fence=1, needs="human", deadline_s=500))
    await desk.pass_time(100)
    await desk.restart(down_s=100)
    boss, ada = await desk.agent("boss"), await desk.agent("ada")
    await desk.pass_time(299)
    assert await state(desk, boss, 1) == "parked"
    await desk.pass_time(1)
    assert kinds(events(desk, ada, "claim.")) == ["claim.resumed 1"]
    assert (await task(desk, boss, 1))["lease_left_s"] == 60


async def test_a_deadline_that_passed_while_the_relay_was_away_gives_a_full_lease_from_now(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await ok(desk, them.ada, Park(id=2, message=1, fence=1, needs="human", deadline_s=50))
    await desk.restart(down_s=1000)
    boss = await desk.agent("boss")
    await desk.pass_time(0)
    assert (await task(desk, boss, 1))["state"] == "working"
    await desk.pass_time(59)
    assert await state(desk, boss, 1) == "working"
    await desk.pass_time(1)
    assert await state(desk, boss, 1) == "ready"


async def test_it_is_resumed_when_what_it_waits_for_is_done(desk: Desk) -> None:
    them = await crew(desk)
    first, second, held = [await submit(desk, them.boss) for _ in range(3)]
    await claim(desk, them.ada, held)
    await ok(desk, them.ada, Park(id=2, message=held, fence=1, needs="dependency", depends_on=[first, second, first]))
    found = await task(desk, them.boss, held)
    assert (found["depends_on"], found["waiting_for"]) == ([first, second], [first, second])
    for message in (first, second):
        assert await state(desk, them.boss, held) == "parked"
        await claim(desk, them.bob, message)
        await ok(desk, them.bob, Complete(id=3, message=message, fence=1))
        await desk.pass_time(0)
    (told,) = events(desk, them.ada, "claim.")
    assert (told["event"], told["message"], told["reason"]) == ("claim.resumed", held, "what it waited for is done")
    assert await state(desk, them.boss, held) == "working"


async def test_what_waits_for_nothing_any_more_is_resumed_at_once(desk: Desk) -> None:
    them = await bring(desk, "done")
    held = await submit(desk, them.boss)
    await claim(desk, them.ada, held)
    await ok(desk, them.ada, Park(id=2, message=held, fence=1, needs="dependency", depends_on=[them.message]))
    await desk.pass_time(0)
    assert await state(desk, them.boss, held) == "working"


async def test_what_waits_for_something_that_will_never_be_done_is_resumed_to_hear_of_it(desk: Desk) -> None:
    them = await crew(desk)
    needed, held = await submit(desk, them.boss), await submit(desk, them.boss)
    await claim(desk, them.ada, held)
    await ok(desk, them.ada, Park(id=2, message=held, fence=1, needs="dependency", depends_on=[needed]))
    await claim(desk, them.bob, needed)
    await ok(desk, them.bob, Fail(id=3, message=needed, fence=1, reason="no", retry=False))
    await desk.pass_time(0)
    (told,) = events(desk, them.ada, "claim.")
    assert (told["event"], told["reason"]) == ("claim.resumed", f"task {needed}, which it waits for, is failed")


async def test_what_it_waited_for_before_does_not_wake_what_waits_for_a_person_now(desk: Desk) -> None:
    them = await crew(desk)
    needed, held = await submit(desk, them.boss), await submit(desk, them.boss)
    await claim(desk, them.ada, held)
    await ok(desk, them.ada, Park(id=2, message=held, fence=1, needs="dependency", depends_on=[needed]))
    await ok(desk, them.ada, Park(id=2, message=held, fence=1, needs="human"))
    assert "waiting_for" not in await task(desk, them.boss, held)
    await claim(desk, them.bob, needed)
    await ok(desk, them.bob, Complete(id=3, message=needed, fence=1))
    await desk.pass_time(0)
    assert await state(desk, them.boss, held) == "parked"
