"""Tasks that wait for other tasks: they begin when those are done, end when they never will be, and make no circle."""

import pytest

from relay_proto.frames import Cancel, Claim, Complete, Fail, Kick, Park, Send, Submit
from tests.relay.desk import Desk, kinds
from tests.relay.working import Crew, ask, bring, claim, crew, lines, ok, state, submit, task


async def complete(them: Crew, message: int) -> None:
    fence = await claim(them.desk, them.bob, message)
    await ok(them.desk, them.bob, Complete(id=1, message=message, fence=fence))
    await them.desk.pass_time(0)


async def wait_for(them: Crew, message: int, *needs: int) -> dict[str, object]:
    """ada holds it, and parks it until these are done."""
    await claim(them.desk, them.ada, message)
    return await ask(
        them.desk, them.ada, Park(id=1, message=message, fence=1, needs="dependency", depends_on=list(needs))
    )


async def test_a_task_is_offered_when_all_that_it_depends_on_is_done(desk: Desk) -> None:
    them = await crew(desk)
    first, second = await submit(desk, them.boss), await submit(desk, them.boss)
    last = await submit(desk, them.boss, depends_on=[second, first, second])
    found = await task(desk, them.boss, last)
    assert (found["state"], found["depends_on"], found["waiting_for"]) == ("delayed", [first, second], [first, second])
    assert "ready_at" not in found, "nobody knows when"
    assert found["depends_states"] == ["ready", "ready"]
    assert lines(found) == ["submit delayed boss"]
    desk.heard(them.ada)
    refused = await ask(desk, them.ada, Claim(id=2, message=last))
    assert (refused["code"], refused["detail"]["waiting_for"]) == ("not_claimable", [first, second])
    assert f"waits for #{first}, #{second}; it can't be claimed yet" in str(refused["message"])
    await complete(them, first)
    assert (await task(desk, them.boss, last))["waiting_for"] == [second]
    assert f"deliver {last}" not in kinds(desk.heard(them.ada))
    await complete(them, second)
    assert f"deliver {last}" in kinds(desk.heard(them.ada))
    found = await task(desk, them.boss, last)
    assert (found["state"], found["depends_on"], found.get("waiting_for")) == ("ready", [first, second], None)


async def test_what_depends_on_done_tasks_alone_is_ready_at_once(desk: Desk) -> None:
    them = await bring(desk, "done")
    assert await state(desk, them.boss, await submit(desk, them.boss, depends_on=[them.message])) == "ready"


@pytest.mark.parametrize("target", ["any:cap:x", "ada"])
async def test_it_comes_to_whom_it_was_sent(desk: Desk, target: str) -> None:
    them = await crew(desk)
    needed = await submit(desk, them.boss)
    last = await submit(desk, them.boss, target, depends_on=[needed])
    desk.heard(them.ada), desk.heard(them.bob)
    await complete(them, needed)
    heard = [*kinds(desk.heard(them.ada)), *kinds(desk.heard(them.bob))]
    assert heard.count(f"deliver {last}") == 1


async def test_its_own_delay_counts_besides(desk: Desk) -> None:
    them = await crew(desk)
    needed = await submit(desk, them.boss)
    last = await submit(desk, them.boss, depends_on=[needed], delay_s=100)
    await complete(them, needed)
    assert await state(desk, them.boss, last) == "delayed"
    await desk.pass_time(100)
    assert await state(desk, them.boss, last) == "ready"


async def test_a_restart_forgets_nothing_of_it(desk: Desk) -> None:
    them = await crew(desk)
    needed = await submit(desk, them.boss)
    last = await submit(desk, them.boss, depends_on=[needed])
    await desk.restart()
    again = await crew(desk)
    await complete(again, needed)
    assert await state(desk, again.boss, last) == "ready"


@pytest.mark.parametrize("how", ["failed", "canceled", "superseded", "expired"])
async def test_what_can_never_be_done_ends_what_depends_on_it_and_what_depends_on_that(desk: Desk, how: str) -> None:
    them = await crew(desk)
    needed = await submit(desk, them.boss, ttl_s=5 if how == "expired" else None)
    middle = await submit(desk, them.boss, depends_on=[needed])
    last = await submit(desk, them.boss, depends_on=[middle])
    if how == "failed":
        await claim(desk, them.ada, needed)
        await ok(desk, them.ada, Fail(id=1, message=needed, fence=1, reason="no", retry=False))
    elif how == "canceled":
        await ok(desk, them.boss, Cancel(id=1, message=needed))
    elif how == "superseded":
        await ok(desk, them.boss, Send(id=1, to="ada", body="b", supersedes=needed))
    await desk.pass_time(5 if how == "expired" else 0)
    ended = await task(desk, them.boss, middle)
    word = "failed" if how == "expired" else how
    assert (ended["state"], ended["reason"]) == ("canceled", f"task {needed}, which it depends on, is {word}")
    assert lines(ended)[-1] == f"cancel canceled task {needed}, which it depends on, is {word}", "by nobody"
    assert await state(desk, them.boss, last) == "canceled"


async def test_what_is_buried_may_be_kicked_and_is_waited_for(desk: Desk) -> None:
    them = await bring(desk, "buried")
    last = await submit(desk, them.boss, depends_on=[them.message])
    assert await state(desk, them.boss, last) == "delayed"
    await ok(desk, them.boss, Kick(id=1, message=them.message))
    await complete(them, them.message)
    assert await state(desk, them.boss, last) == "ready"


@pytest.mark.parametrize(
    ("needs", "code"), [(99, "unknown_message"), (1, "not_claimable"), (2, "finished"), (3, "unknown_message")]
)
async def test_depending_on_what_can_not_be_waited_for_is_refused_and_nothing_is_made(
    desk: Desk, needs: int, code: str
) -> None:
    them = await crew(desk)
    await ok(desk, them.boss, Send(id=1, to="ada", body="no work"))
    canceled = await submit(desk, them.boss)
    await ok(desk, them.boss, Cancel(id=1, message=canceled))
    desk.heard(them.ada)
    answer = await ask(desk, them.boss, Submit(id=2, to="ada", title="t", depends_on=[needs]))
    assert (answer["code"], str(needs) in answer["message"]) == (code, True)
    assert desk.heard(them.ada) == []
    assert await submit(desk, them.boss) == 3, "no id was used"


@pytest.mark.parametrize("length", [1, 2, 5])
async def test_a_circle_is_refused_and_named_and_nothing_changes(desk: Desk, length: int) -> None:
    them = await crew(desk)
    ring = [await submit(desk, them.boss) for _ in range(length)]
    for message, needs in zip(ring[1:], ring, strict=False):
        assert (await wait_for(them, message, needs))["op"] == "ok"
    await claim(desk, them.ada, ring[0])
    before = [await task(desk, them.boss, message) for message in ring]
    answer = await ask(desk, them.ada, Park(id=1, message=ring[0], fence=1, needs="dependency", depends_on=[ring[-1]]))
    assert (answer["code"], answer["detail"]) == ("dependency_cycle", {"cycle": [ring[0], *ring[:0:-1]]})
    assert [await task(desk, them.boss, message) for message in ring] == before
    assert before[0]["state"] == "claimed"


async def test_a_circle_through_a_task_that_is_not_begun_is_one_too(desk: Desk) -> None:
    them = await crew(desk)
    held = await submit(desk, them.boss)
    waiting = await submit(desk, them.boss, depends_on=[held])
    answer = await wait_for(them, held, waiting)
    assert (answer["code"], answer["detail"]) == ("dependency_cycle", {"cycle": [held, waiting]})


async def test_two_that_wait_for_the_same_one_make_no_circle(desk: Desk) -> None:
    them = await crew(desk)
    needed, one, other = [await submit(desk, them.boss) for _ in range(3)]
    assert (await wait_for(them, one, needed))["op"] == "ok"
    assert (await wait_for(them, other, one, needed))["op"] == "ok"


async def test_what_does_not_wait_any_more_closes_no_circle(desk: Desk) -> None:
    them = await crew(desk)
    first, second = await submit(desk, them.boss), await submit(desk, them.boss)
    await wait_for(them, second, first)
    await ok(desk, them.ada, Park(id=1, message=second, fence=1, needs="human"))
    assert (await wait_for(them, first, second))["op"] == "ok"
