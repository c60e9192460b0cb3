"""Events: receipts as they happen and who comes and goes, to who subscribed; and what comes without being asked for."""

from typing import Any

import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    Fail,
    Heartbeat,
    Nack,
    Register,
    Release,
    Send,
    Subscribe,
    Unsubscribe,
    Update,
)
from relay_server.presence import STALE_S
from relay_server.session import Session
from tests.relay.desk import START_MS, Desk, kinds


async def watcher(desk: Desk, name: str, *events: Any, **fields: Any) -> Session:
    """A registered session that has subscribed to these events."""
    session = await desk.agent(name, **fields)
    assert kinds(await desk.say(session, Subscribe(id=1, events=list(events)))) == ["ok"]
    return session


async def put(desk: Desk, session: Session, to: str, **fields: Any) -> None:
    """Send; what the session hears of it stays with it."""
    desk.put(session, Send(id=1, to=to, body="b", **fields))
    await desk.turn()


def receipts(desk: Desk, session: Session) -> list[str]:
    """The receipts that a session has heard, in short; all else that it heard is dropped."""
    heard = [frame for frame in desk.heard(session) if frame.get("event") == "receipt"]
    return [
        f"{frame['message']} {frame['agent']} {frame['stage']}" + (f": {frame['reason']}" if "reason" in frame else "")
        for frame in heard
    ]


# -- receipts --------------------------------------------------------------------------------------------------------


async def test_a_receipt_says_which_message_came_how_far_where_and_when(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob")
    heard = await desk.say(ada, Send(id=2, to="bob", body="b"))
    assert kinds(heard) == ["ok", "receipt 1 bob"], "the answer first"
    assert heard[1] == {
        "op": "event", "event": "receipt", "at": START_MS, "message": 1, "agent": "bob", "stage": "pushed"
    }  # fmt: skip
    desk.now += 2
    await desk.say(bob, Nack(message=1, reason="not mine", retry=False))
    assert desk.heard(ada) == [
        {
            "op": "event", "event": "receipt", "at": START_MS + 2000, "message": 1, "agent": "bob", "stage": "nacked",
            "reason": "not mine",
        }
    ]  # fmt: skip


async def test_each_stage_is_told_once_as_it_is_reached(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob")
    await put(desk, ada, "bob")
    await desk.say(bob, Ack(messages=[1], stage="surfaced"), Ack(messages=[1], stage="surfaced"))
    await desk.say(bob, Ack(messages=[1]), Ack(messages=[1]), Ack(messages=[1], stage="surfaced"))
    assert receipts(desk, ada) == ["1 bob pushed", "1 bob surfaced", "1 bob done"]


async def test_what_waits_is_told_as_pushed_when_it_is_pushed(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob", credit=1)
    await put(desk, ada, "bob")
    await put(desk, ada, "bob")
    await put(desk, ada, "bob", delay_s=5)
    assert receipts(desk, ada) == ["1 bob pushed"]
    await desk.say(bob, Ack(messages=[1]))
    assert receipts(desk, ada) == ["1 bob done", "2 bob pushed"]
    await desk.say(bob, Ack(messages=[2]))
    await desk.pass_time(5)
    assert receipts(desk, ada) == ["2 bob done", "3 bob pushed"]
    desk.broker.lost(bob)
    await desk.agent("bob")
    assert receipts(desk, ada) == ["3 bob pushed"], "again"


async def test_a_nack_that_brings_it_back_is_told_as_the_next_push(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob")
    await put(desk, ada, "bob")
    for _ in range(5):
        await desk.say(bob, Nack(message=1, reason="r", delay_s=1))
        await desk.pass_time(1)
    assert receipts(desk, ada) == ["1 bob pushed"] * 5 + ["1 bob dead: r"]


async def test_what_is_over_or_replaced_is_told_wherever_it_was(desk: Desk) -> None:
    ada = await watcher(desk, "ada", "receipt")
    bob, cyd = [await desk.agent(name, tags=["t"]) for name in ("bob", "cyd")]
    desk.broker.lost(cyd)
    await put(desk, ada, "tag:t", ttl_s=5)
    await put(desk, ada, "tag:t")
    await desk.say(bob, Ack(messages=[2], stage="surfaced"))
    assert receipts(desk, ada) == ["1 bob pushed", "2 bob pushed", "2 bob surfaced"]
    await desk.pass_time(5)
    why = "not surfaced in its time"
    assert receipts(desk, ada) == [f"1 bob expired: {why}", f"1 cyd expired: {why}"]
    await put(desk, ada, "ada", supersedes=2)
    assert receipts(desk, ada) == ["3 ada pushed", "2 cyd superseded: superseded by 3"], "bob's stays surfaced"
    await desk.say(bob, Ack(messages=[1, 2]))
    assert sorted(receipts(desk, ada)) == ["1 bob done", "2 bob done"]


async def test_what_an_earlier_instance_had_surfaced_and_is_over_is_told(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob")
    await put(desk, ada, "bob", ttl_s=5)
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    desk.broker.lost(bob)
    await desk.pass_time(6)
    await desk.agent("bob")
    why = "surfaced, and not dealt with in its time"
    assert receipts(desk, ada) == ["1 bob pushed", "1 bob surfaced", f"1 bob expired: {why}"]


async def test_work_is_told_at_each_who_might_have_had_it(desk: Desk) -> None:
    ada = await watcher(desk, "ada", "receipt")
    bob, cyd = [await desk.agent(name, caps=["x"]) for name in ("bob", "cyd")]
    await put(desk, ada, "cap:x", claimable=True)
    assert receipts(desk, ada) == ["1 bob pushed", "1 cyd pushed"]
    await desk.say(bob, Claim(id=2, message=1))
    assert receipts(desk, ada) == ["1 cyd superseded: claimed by bob"]
    await desk.say(bob, Release(id=3, message=1, fence=1))
    assert receipts(desk, ada) == ["1 bob pushed", "1 cyd pushed"]
    await desk.say(cyd, Claim(id=4, message=1), Complete(id=5, message=1, fence=2))
    assert receipts(desk, ada) == ["1 bob superseded: claimed by cyd", "1 cyd done"]
    await put(desk, ada, "cap:x", claimable=True)
    await desk.say(bob, Claim(id=2, message=2), Fail(id=3, message=2, fence=1, reason="broken", retry=False))
    assert receipts(desk, ada)[2:] == ["2 cyd superseded: claimed by bob", "2 bob dead: broken"]


async def test_an_offer_that_is_passed_on_is_told(desk: Desk) -> None:
    ada = await watcher(desk, "ada", "receipt")
    for name in ("bob", "cyd"):
        await desk.agent(name, caps=["x"])
    await put(desk, ada, "any:cap:x", offer_s=10)
    await desk.pass_time(10)
    assert receipts(desk, ada) == ["1 bob pushed", "1 cyd pushed", "1 bob superseded: offered to cyd"]


async def test_only_the_sender_hears_of_it_and_only_who_subscribed(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await watcher(desk, "bob", "receipt")
    cyd = await watcher(desk, "cyd", "receipt", "presence")
    await put(desk, ada, "bob")
    await desk.say(bob, Ack(messages=[1]))
    assert receipts(desk, ada) == receipts(desk, bob) == receipts(desk, cyd) == []
    await put(desk, cyd, "bob")
    assert receipts(desk, cyd) == ["2 bob pushed"]


async def test_a_subscription_ends_with_its_connection_and_by_unsubscribe(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "receipt"), await desk.agent("bob")
    assert kinds(await desk.say(ada, Unsubscribe(id=2, events=["presence"]))) == ["ok"], "there was none: no matter"
    await put(desk, ada, "bob")
    assert receipts(desk, ada) == ["1 bob pushed"]
    assert kinds(await desk.say(ada, Unsubscribe(id=2, events=["receipt"]))) == ["ok"]
    await desk.say(bob, Ack(messages=[1]))
    assert desk.heard(ada) == []
    await desk.say(ada, Subscribe(id=3, events=["receipt", "receipt"]))
    again = await desk.agent("ada")
    desk.heard(ada)
    desk.broker.lost(ada)
    await put(desk, again, "bob")
    assert (receipts(desk, again), receipts(desk, ada)) == ([], [])
    assert not desk.broker.receipt_watchers


async def test_an_unknown_event_is_refused_by_name(desk: Desk) -> None:
    ada = await desk.agent("ada")
    frame = Subscribe(id=1, events=["receipt"])
    frame.events = ["weather"]  # type: ignore[list-item]
    (error,) = await desk.say(ada, frame)
    assert error["code"] == "bad_request"
    assert "weather" in error["message"]


# -- presence --------------------------------------------------------------------------------------------------------


def changes(desk: Desk, session: Session) -> list[str]:
    """Who is what now, as a session heard it; and why, where there is a why."""
    return [
        f"{frame['agent']} {frame['status']}" + (f": {frame['reason']}" if "reason" in frame else "")
        for frame in desk.heard(session)
        if frame.get("event") == "presence"
    ]


async def test_who_comes_and_goes_is_told_to_who_watches(desk: Desk) -> None:
    ada, eve = await watcher(desk, "ada", "presence"), await desk.agent("eve")
    assert changes(desk, ada) == ["eve online"]
    bob = await desk.agent("bob", status="idle")
    assert changes(desk, ada) == ["bob idle"]
    await desk.say(bob, Bye())
    assert changes(desk, ada) == ["bob offline: it said bye 0 s ago"]
    bob = await desk.agent("bob")
    desk.broker.lost(bob)
    await desk.turn()
    assert changes(desk, ada) == ["bob online", "bob stale: its connection was lost; last heard of 0 s ago"]
    await desk.pass_time(STALE_S - 1)
    assert changes(desk, ada) == []
    await desk.say(ada, Heartbeat())
    await desk.say(eve, Heartbeat())
    await desk.pass_time(1)
    assert changes(desk, ada) == ["bob offline: its connection was lost; last heard of 2 minutes ago"]
    await desk.say(ada, Unsubscribe(id=2, events=["presence"]))
    await desk.agent("bob")
    assert desk.heard(ada) == desk.heard(eve) == []


async def test_what_an_agent_says_of_itself_is_told_when_it_changes(desk: Desk) -> None:
    ada, bob = await watcher(desk, "ada", "presence"), await desk.agent("bob", status="idle")
    changes(desk, ada)
    await desk.say(bob, Heartbeat(status="busy"), Heartbeat(status="busy"), Heartbeat())
    assert changes(desk, ada) == ["bob busy"]
    await desk.say(bob, Update(id=2, status="idle"))
    assert changes(desk, ada) == ["bob idle"]
    await desk.say(bob, Update(id=2, status="idle"), Update(id=3, tags=["t"]))
    assert changes(desk, ada) == []


async def test_a_visit_is_no_news(desk: Desk) -> None:
    ada = await watcher(desk, "ada", "presence")
    session = desk.connect()
    await desk.say(session, Register(id=0, agent="bob", visit=True))
    desk.broker.lost(session)
    await desk.pass_time(STALE_S * 2)
    assert [change for change in changes(desk, ada) if change.startswith("bob")] == []


# -- without a subscription ------------------------------------------------------------------------------------------


async def test_without_a_subscription_no_receipt_and_no_presence_comes(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    assert kinds(await desk.say(ada, Send(id=2, to="bob", body="b"))) == ["ok"]
    await desk.say(bob, Ack(messages=[1]), Bye())
    assert desk.heard(ada) == []


@pytest.mark.parametrize("is_told", [True, False])
async def test_who_was_given_what_is_taken_back_is_told_and_others_are_not(desk: Desk, is_told: bool) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    if not is_told:
        await desk.say(ada, Send(id=1, to="bob", body="takes the credit"))
        desk.heard(bob)
    await desk.say(ada, Send(id=2, to="bob", body="b", ttl_s=5))
    await desk.pass_time(5)
    assert ("withdrawn 1" in kinds(desk.heard(bob))) == is_told
