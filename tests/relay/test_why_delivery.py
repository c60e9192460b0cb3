"""why_delivery.py: what a message waits for at each of its recipients."""

import pytest

from relay_proto.frames import Ack, Bye, Nack, Register, Send
from tests.relay.asking_why import START, after, why
from tests.relay.desk import Desk


async def test_queued_for_one_who_said_bye(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="earlier"))
    await desk.say(bob, Bye())
    desk.now = 60
    await desk.say(ada, Send(id=2, to="bob", body="x"))
    desk.now = 360
    told = await why(desk, message=2)
    assert told.about == "message 2"
    assert told.sentences == [
        "ada sent it to bob at 2023-11-14 22:14:20 UTC (5 min ago).",
        "It has waited in the inbox of bob since 2023-11-14 22:14:20 UTC (5 min), not pushed, since bob is not "
        "connected; 1 message there comes before it.",
        f"bob has been offline since {START} (6 min): it said bye.",
        "To go on: bob must come back.",
    ]
    assert (told.since_at, told.waits_for) == (after(60), ["bob"])
    assert told.facts["stages"] == {"queued": 1}
    assert told.facts["deliveries"] == [{"agent": "bob", "stage": "queued", "at": after(60), "attempt": 1, "ahead": 1}]


async def test_queued_for_a_name_that_was_never_seen(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="newcomer", body="x", hold=True))
    told = await why(desk, message=1)
    assert told.sentences[2:] == ["newcomer has never registered.", "To go on: newcomer must register."]
    assert told.waits_for == ["newcomer"]


async def test_queued_because_the_credit_is_used_up_by_an_older_one(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=2)
    await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(4)))
    desk.now = 10
    told = await why(desk, message=4)
    assert told.sentences[1] == (
        f"It has waited in the inbox of bob since {START} (10 s), not pushed: bob holds all that it takes at once "
        f"(2 unacked of credit 2), the oldest is message 1, there since {START} (10 s) and not surfaced; "
        "3 messages there come before it."
    )
    assert told.sentences[-1] == "To go on: bob must ack or nack message 1."
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    desk.now = 15
    told = await why(desk, message=4)
    assert "the oldest is message 1, surfaced since 2023-11-14 22:13:30 UTC (5 s);" in told.sentences[1]
    assert told.waits_for == ["bob"]


async def test_what_has_priority_stands_before_it_and_what_has_less_does_not(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for priority in (None, 9, 1, None, 6):
        await desk.say(ada, Send(id=1, to="bob", body="x", hold=True, priority=priority))
    before = {
        message: (await why(desk, message=message)).facts["deliveries"][0].get("ahead", 0) for message in range(1, 6)
    }
    assert before == {1: 2, 2: 0, 3: 4, 4: 3, 5: 1}


async def test_queued_for_one_that_does_not_read(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    bob.writable = False
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    told = await why(desk, message=1)
    assert "not pushed: bob is connected, but does not read what is sent to it." in told.sentences[1]
    assert told.sentences[-1] == "To go on: bob must read what is sent to it."


async def test_pushed_and_not_surfaced(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", status="busy")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    desk.heard(bob)
    desk.now = 130
    told = await why(desk, message=1)
    assert told.sentences[1:] == [
        f"It was pushed to bob and is not surfaced; it has waited since {START} (2 min 10 s).",
        f"bob is stale: connected, and silent since {START} (2 min 10 s).",
        "To go on: bob must ack or nack message 1.",
    ]
    assert told.facts["stages"] == {"pushed": 1}


async def test_surfaced_and_not_dealt_with_then_done(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", status="busy")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    desk.now = 5
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    desk.now = 12
    told = await why(desk, message=1)
    assert told.sentences[1:] == [
        "bob surfaced it at 2023-11-14 22:13:25 UTC (7 s ago) and has not dealt with it.",
        "bob is busy, last heard of 7 s ago.",
        "To go on: bob must ack or nack message 1.",
    ]
    await desk.say(bob, Ack(messages=[1]))
    told = await why(desk, message=1)
    assert told.sentences[1:] == [
        "bob dealt with it at 2023-11-14 22:13:32 UTC (just now).",
        "It waits for nothing any more.",
    ]
    assert (told.since_at, told.waits_for) == (None, [])


async def test_surfaced_by_one_that_went_away_since(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    desk.broker.lost(bob)
    await desk.turn()
    told = await why(desk, message=1)
    assert told.sentences[-1] == "To go on: bob must come back and ack or nack message 1."


async def test_nacked_for_later_with_its_reason(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Nack(message=1, delay_s=90, reason="the tests run"))
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        f"It has waited in the inbox of bob since {START} (0 s), not pushed before 2023-11-14 22:14:50 UTC "
        "(in 1 min 30 s): bob nacked it (the tests run)."
    )
    assert told.waits_for == [], "it is nobody's move: time does it"
    assert told.facts["deliveries"][0]["due_at"] == after(90)


async def test_put_off_by_its_sender(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="ada", body="wake me", delay_s=3600))
    told = await why(desk, message=1)
    assert "not pushed before 2023-11-14 23:13:20 UTC (in 1 h): its sender put it off." in told.sentences[1]


async def test_refused_for_good(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Nack(message=1, retry=False, reason="not mine"))
    told = await why(desk, message=1)
    assert told.sentences[1:] == [f"bob refused it at {START} (just now): not mine.", "It waits for nothing any more."]


async def test_dead_after_too_many_nacks(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    for _ in range(5):
        await desk.say(bob, Nack(message=1, delay_s=0, reason="again"))
        await desk.pass_time(1)
    told = await why(desk, message=1)
    assert told.sentences[1].startswith("It is dead at bob since 2023-11-14 22:13:24 UTC (1 s) after 5 nacks: again.")


async def test_expired_before_it_was_surfaced(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="bob", body="x", hold=True, ttl_s=30))
    told = await why(desk, message=1)
    assert "; it expires at 2023-11-14 22:13:50 UTC (in 30 s)" in told.sentences[1]
    await desk.say(await desk.agent("bob"), Ack(messages=[1], stage="surfaced"))
    await desk.say(ada, Send(id=2, to="cyd", body="x", hold=True, ttl_s=30))
    assert not any("expires" in text for text in (await why(desk, message=1)).sentences), "it was seen in time"
    await desk.pass_time(31)
    told = await why(desk, message=2)
    assert told.sentences[1] == (
        "It expired in the inbox of cyd at 2023-11-14 22:13:50 UTC (1 s ago): not surfaced in its time."
    )


async def test_superseded_by_a_newer_one(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="bob", body="x", hold=True))
    await desk.say(ada, Send(id=2, to="bob", body="y", hold=True, supersedes=1))
    told = await why(desk, message=1)
    assert told.sentences[1] == f"It was withdrawn from bob at {START} (just now): superseded by message 2."
    assert told.facts["superseded_by"] == 2


async def test_for_any_of_many_it_says_who_is_next_and_when(desk: Desk) -> None:
    ada = await desk.agent("ada", caps=["review"])
    for name in ("bob", "cyd"):
        await desk.agent(name, caps=["review"])
    await desk.say(ada, Send(id=1, to="any:cap:review", body="x", offer_s=20))
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        f"It was pushed to bob and is not surfaced; it has waited since {START} (0 s); "
        "if it is not surfaced by 2023-11-14 22:13:40 UTC (in 20 s) it is offered to cyd."
    )
    await desk.pass_time(21)
    told = await why(desk, message=1)
    assert told.sentences[1] == "It was withdrawn from bob at 2023-11-14 22:13:40 UTC (1 s ago): offered to cyd."
    assert told.sentences[2].startswith("It was pushed to cyd and is not surfaced;")
    assert told.sentences[2].endswith("it is offered to bob."), "who had it gets it again when there is nobody else"
    assert told.waits_for == ["cyd"]
    dan = await desk.agent("dan", caps=["review"])
    assert (await why(desk, message=1)).sentences[2].endswith("it is offered to dan."), "who had it comes last"
    await desk.pass_time(20)
    await desk.say(dan, Nack(message=1, retry=False, reason="no"))
    told = await why(desk, message=1)
    refused = "dan refused it at 2023-11-14 22:14:01 UTC (just now): no"
    assert f"{refused}; the relay is about to look for another one." in told.sentences
    assert told.since_at == after(41)
    await desk.pass_time(0)
    told = await why(desk, message=1)
    assert f"{refused}." in told.sentences
    (given,) = [text for text in told.sentences if text.startswith("It was pushed to ")]
    assert given.endswith(("it is offered to bob.", "it is offered to cyd.")), "not to dan, who declined"


async def test_for_any_of_many_of_whom_there_is_one_it_stays(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", caps=["review"])
    await desk.say(ada, Send(id=1, to="any:cap:review", body="x"))
    told = await why(desk, message=1)
    assert told.sentences[1].endswith("it stays there, since nobody else who is registered matches any:cap:review.")


async def test_sent_to_nobody(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="tag:red", body="x"))
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        "It reached nobody: no recipient was there when it was sent, and who comes later does not get it. "
        "ada must send it again."
    )


@pytest.mark.parametrize("count", [6, 7])
async def test_few_recipients_are_told_of_one_by_one_and_many_by_stage(desk: Desk, count: int) -> None:
    ada = await desk.agent("ada")
    sessions = [await desk.agent(f"w{i}", tags=["red"]) for i in range(count)]
    await desk.say(sessions[-1], Bye())
    await desk.say(ada, Send(id=1, to="tag:red", body="x"))
    await desk.say(sessions[0], Ack(messages=[1]))
    await desk.say(sessions[1], Ack(messages=[1], stage="surfaced"))
    told = await why(desk, message=1)
    if count == 6:
        assert len([text for text in told.sentences if text.startswith("It was pushed to w")]) == 3
        return
    assert told.sentences[1:] == [
        f"1 of 7 not pushed, since the recipient is not connected: w6; since {START} (0 s).",
        f"4 of 7 pushed and not surfaced: w2, w3, w4 and w5; the longest since {START} (0 s).",
        f"1 of 7 surfaced and not dealt with: w1 at {START} (just now).",
        f"1 of 7 dealt with: w0 at {START} (just now).",
        "To go on: w6 must come back; w2, w3, w4, w5 and w1 must ack or nack message 1.",
    ]
    assert sorted(told.waits_for) == ["w1", "w2", "w3", "w4", "w5", "w6"]
    assert told.facts["stages"] == {"done": 1, "surfaced": 1, "pushed": 4, "queued": 1}


async def test_a_broadcast_to_a_thousand_is_a_short_answer(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for i in range(1000):
        desk.put(desk.connect(), Register(id=1, agent=f"w{i}"))
    await desk.turn()
    await desk.say(ada, Send(id=1, to="broadcast", body="x"))
    told = await why(desk, message=1)
    assert len(told.sentences) == 3
    assert told.sentences[1].startswith("1000 of 1000 pushed and not surfaced: w0, w1, w10 and 997 more;")
    assert len(told.waits_for) == 100
    assert len(told.facts["deliveries"]) == 20
