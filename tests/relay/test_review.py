"""What a hostile reading of the desk found: each was wrong once."""

from typing import Any

import pytest

from relay_proto.frames import Ack, Claim, Forgive, Nack, Owed, Send
from relay_server.broker import WAKE_S_MAX
from relay_server.sending import WAITS_MAX
from tests.relay import desk as clock
from tests.relay.desk import Desk, kinds


def events(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["event"] for frame in frames if frame["op"] == "event"]


async def test_who_answers_and_asks_in_one_breath_closes_no_ring(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="?", expect_reply_s=60))
    desk.heard(ben)
    answer = Send(id=1, to="ann", body="!", reply_to=1)
    back = Send(id=2, to="ann", body="?", expect_reply_s=60)
    assert kinds(await desk.say(ben, answer, back)) == ["ok", "ok"]


async def test_who_is_forgiven_may_ask_back_in_the_same_turn(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="?", expect_reply_s=60))
    desk.heard(ben)
    desk.put(ann, Forgive(id=2, message=1))
    assert kinds(await desk.say(ben, Send(id=1, to="ann", body="?", expect_reply_s=60))) == ["ok"]


async def test_an_answer_that_is_refused_leaves_the_asker_waiting(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="?", expect_reply_s=60))
    desk.heard(ben)
    wrong = Send(id=1, to="ann", body="!", reply_to=1, thread=99)
    assert kinds(await desk.say(ben, wrong)) == ["error bad_request"]
    assert kinds(await desk.say(ben, Send(id=2, to="ann", body="?", expect_reply_s=60))) == ["error deadlock"]


async def test_after_a_jump_of_the_wall_clock_what_is_due_is_late_by_a_minute_at_most(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="in an hour", delay_s=3600))
    monkeypatch.setattr(clock, "START_MS", clock.START_MS + 8 * 3600 * 1000)
    await desk.pass_time(WAKE_S_MAX + 1)
    assert kinds(desk.heard(ben)) == ["deliver 1"]
    await desk.say(ann, Send(id=2, to="ben", body="soon", delay_s=2))
    await desk.pass_time(3)
    assert kinds(desk.heard(ben)) == ["deliver 2"]


async def test_what_was_replaced_or_is_over_is_not_offered_to_another(desk: Desk) -> None:
    ann = await desk.agent("ann")
    wes, wim = await desk.agent("wes", caps=["w"]), await desk.agent("wim", caps=["w"])
    await desk.say(ann, Send(id=1, to="any:cap:w", body="old"), Send(id=2, to="any:cap:w", body="brief", ttl_s=5))
    held = {frame["message"]: who for who in (wes, wim) for frame in desk.heard(who)}
    for message, who in held.items():
        await desk.say(who, Ack(messages=[message], stage="surfaced"))
    await desk.say(ann, Send(id=3, to="ann", body="new", supersedes=1))
    await desk.pass_time(6)
    for message, who in held.items():
        await desk.say(who, Nack(message=message, reason="no", retry=False))
    await desk.pass_time(60)
    assert [kind for who in (wes, wim) for kind in kinds(desk.heard(who)) if kind.startswith("deliver")] == []


async def test_a_reply_that_the_asker_does_not_get_leaves_it_owed(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="?", expect_reply_s=5))
    await desk.say(ben, Send(id=1, to="tag:nobody", body="!", reply_to=1))
    assert len((await desk.say(ann, Owed(id=2)))[-1]["items"]) == 1
    await desk.pass_time(6)
    assert events(desk.heard(ann)) == ["reply.overdue"]


async def test_a_hundred_old_debts_hide_no_new_one(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben", credit=1024)
    await desk.say(ann, *[Send(id=i, to="ben", body="?", expect_reply_s=1, waits=False) for i in range(100)])
    await desk.pass_time(2)
    cyd = await desk.agent("cyd")
    await desk.say(cyd, Send(id=1, to="ben", body="?", expect_reply_s=60))
    desk.broker.lost(ben)
    await desk.turn()
    assert events(desk.heard(cyd)) == ["reply.gone"]


async def test_those_who_had_it_are_told_once_however_often_it_is_replaced(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, Send(id=1, to="ben", body="old"))
    await desk.say(ben, Ack(messages=[1]))
    await desk.say(ann, *[Send(id=i, to="ann", body="new", supersedes=1) for i in range(2, 20)])
    assert events(desk.heard(ben)) == ["superseded"]


async def test_an_agent_with_very_many_asks_is_not_looked_at_for_ever(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await desk.say(ann, *[Send(id=i, to="ben", body="?", expect_reply_s=60) for i in range(WAITS_MAX + 10)])
    assert desk.broker.waits.count("ann") == WAITS_MAX
    assert ben is not None


async def test_every_ring_that_a_claim_closes_is_broken(desk: Desk) -> None:
    ann, wes, wim = await desk.agent("ann"), await desk.agent("wes", caps=["w"]), await desk.agent("wim", caps=["w"])
    await desk.say(ann, Send(id=1, to="cap:w", body="?", claimable=True, expect_reply_s=600))
    for request in (1, 2):
        await desk.say(wes, Send(id=request, to="ann", body="?", expect_reply_s=600))
    await desk.say(wes, Claim(id=3, message=1))
    wait = desk.broker.waits.of(1)
    assert wait is None or desk.broker.waits.ring_of(wait) is None
    assert wim is not None
