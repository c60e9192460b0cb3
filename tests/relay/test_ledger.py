"""The ledger of deliveries: how far a message came at each recipient, when and why; over the wire and a restart."""

from typing import Any

import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    Fail,
    GetMessage,
    Inbox,
    Nack,
    Receipts,
    Register,
    Release,
    Send,
    Update,
)
from relay_server.quota import Limits
from relay_server.session import Session
from tests.relay.desk import START_MS, Desk


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> int:
    frames = await desk.say(session, Send(id=1, to=to, body="b", **fields))
    (ok,) = [frame for frame in frames if frame.get("re") == 1]
    assert ok["op"] == "ok", ok
    return int(ok["message"])


async def receipts(desk: Desk, session: Session, message: int) -> list[dict[str, Any]]:
    (ok,) = [frame for frame in await desk.say(session, Receipts(id=2, message=message)) if frame.get("re") == 2]
    states: list[dict[str, Any]] = ok["deliveries"]
    return states


def state(agent: str, stage: str, seconds: float, reason: str | None = None, attempt: int = 1) -> dict[str, Any]:
    """One delivery as `receipts` shows it; `seconds` from the beginning of the test."""
    shown: dict[str, Any] = {"agent": agent, "stage": stage, "at": START_MS + int(seconds * 1000), "attempt": attempt}
    return shown | ({"reason": reason} if reason is not None else {})


async def queue(desk: Desk, ada: Session, bob: Session) -> int:
    desk.broker.lost(bob)
    return await send(desk, ada, "bob")


async def push(desk: Desk, ada: Session, bob: Session) -> int:
    return await send(desk, ada, "bob", ttl_s=100)


async def surface(desk: Desk, ada: Session, bob: Session) -> int:
    message = await push(desk, ada, bob)
    desk.now += 3
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    return message


async def deal_with(desk: Desk, ada: Session, bob: Session) -> int:
    message = await surface(desk, ada, bob)
    desk.now += 2
    await desk.say(bob, Ack(messages=[message]))
    return message


async def refuse(desk: Desk, ada: Session, bob: Session) -> int:
    message = await surface(desk, ada, bob)
    desk.now += 4
    await desk.say(bob, Nack(message=message, reason="not for me", retry=False))
    return message


async def put_off(desk: Desk, ada: Session, bob: Session) -> int:
    message = await push(desk, ada, bob)
    desk.now += 4
    await desk.say(bob, Nack(message=message, reason="busy", delay_s=10))
    return message


async def expire(desk: Desk, ada: Session, bob: Session) -> int:
    message = await push(desk, ada, bob)
    await desk.pass_time(100)
    return message


async def supersede(desk: Desk, ada: Session, bob: Session) -> int:
    message = await push(desk, ada, bob)
    desk.now += 1
    await send(desk, ada, "ada", supersedes=message)
    return message


async def give_up(desk: Desk, ada: Session, bob: Session) -> int:
    message = await push(desk, ada, bob)
    for _ in range(5):
        await desk.say(bob, Nack(message=message, reason="still broken", delay_s=1))
        await desk.pass_time(1)
    return message


@pytest.mark.parametrize(
    ("how", "now", "after_a_restart"),
    [
        (queue, state("bob", "queued", 0), state("bob", "queued", 0)),
        (push, state("bob", "pushed", 0), state("bob", "queued", 0)),
        (surface, state("bob", "surfaced", 3), None),
        (deal_with, state("bob", "done", 5), None),
        (refuse, state("bob", "nacked", 7, "not for me"), None),
        (put_off, state("bob", "queued", 4, "busy", 2), None),
        (expire, state("bob", "expired", 100, "not surfaced in its time"), None),
        (supersede, state("bob", "superseded", 1, "superseded by 2"), None),
        (give_up, state("bob", "dead", 4, "still broken", 5), None),
    ],
)
async def test_each_stage_has_its_time_and_reason_and_lasts(
    desk: Desk, how: Any, now: dict[str, Any], after_a_restart: dict[str, Any] | None
) -> None:
    """None: what is seen after a restart is the same."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await how(desk, ada, bob)
    assert await receipts(desk, ada, message) == [now]
    item = (await desk.say(ada, GetMessage(id=3, message=message)))[-1]["item"]
    assert item["deliveries"] == [now], "the message shows the same"
    (page,) = [frame for frame in await desk.say(ada, Inbox(id=4, agent="bob", unread=False)) if frame.get("re") == 4]
    (shown,) = [item for item in page["items"] if item["message"] == message]
    assert (shown["stage"], shown["at"], shown.get("reason")) == (now["stage"], now["at"], now.get("reason"))
    await desk.restart()
    ada = await desk.agent("ada")
    assert await receipts(desk, ada, message) == [after_a_restart or now]


async def test_each_recipient_has_a_ledger_of_its_own(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd, _dan, eve = [await desk.agent(name, tags=["t"]) for name in ("bob", "cyd", "dan", "eve")]
    desk.broker.lost(eve)
    message = await send(desk, ada, "tag:t")
    desk.now += 1
    await desk.say(bob, Ack(messages=[message]))
    await desk.say(cyd, Nack(message=message, reason="no", retry=False))
    assert await receipts(desk, ada, message) == [
        state("bob", "done", 1), state("cyd", "nacked", 1, "no"), state("dan", "pushed", 0), state("eve", "queued", 0),
    ]  # fmt: skip


async def test_anyone_may_look_and_an_unknown_message_is_named(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob")
    assert [state["stage"] for state in await receipts(desk, bob, message)] == ["pushed"]
    (error,) = await desk.say(ada, Receipts(id=2, message=99))
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [99]})


async def test_nothing_goes_back_from_done(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", ttl_s=5)
    await desk.say(bob, Ack(messages=[message]))
    desk.now += 1
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    await desk.say(bob, Nack(message=message, reason="changed my mind"))
    await send(desk, ada, "ada", supersedes=message)
    await desk.pass_time(10)
    assert await receipts(desk, ada, message) == [state("bob", "done", 0)]


@pytest.mark.parametrize("how", [expire, supersede])
async def test_a_late_ack_makes_it_done_and_a_late_surfaced_or_nack_changes_nothing(desk: Desk, how: Any) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await how(desk, ada, bob)
    before = await receipts(desk, ada, message)
    desk.now += 1
    await desk.say(bob, Ack(messages=[message], stage="surfaced"), Nack(message=message, reason="late"))
    assert await receipts(desk, ada, message) == before
    await desk.say(bob, Ack(messages=[message]))
    assert await receipts(desk, ada, message) == [state("bob", "done", desk.now)]


async def test_work_tells_who_has_it_and_for_whom_it_is_over(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd = [await desk.agent(name, caps=["x"]) for name in ("bob", "cyd")]
    message = await send(desk, ada, "cap:x", claimable=True)
    desk.now += 1
    await desk.say(bob, Claim(id=2, message=message))
    taken = state("cyd", "superseded", 1, "claimed by bob")
    assert await receipts(desk, ada, message) == [state("bob", "pushed", 0), taken]
    desk.now += 1
    await desk.say(bob, Fail(id=3, message=message, fence=1, reason="oops"))
    waits = state("bob", "superseded", 2, "failed; waits for its next attempt")
    assert await receipts(desk, ada, message) == [waits, taken]
    await desk.pass_time(1)
    assert await receipts(desk, ada, message) == [
        state("bob", "pushed", 3, None, 2),
        state("cyd", "pushed", 3, None, 2),
    ]
    await desk.say(cyd, Claim(id=4, message=message), Complete(id=5, message=message, fence=2))
    assert await receipts(desk, ada, message) == [
        state("bob", "superseded", 3, "claimed by cyd", 2), state("cyd", "done", 3, None, 2),
    ]  # fmt: skip


async def test_work_that_is_given_back_is_pushed_again_to_both(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd = [await desk.agent(name, caps=["x"]) for name in ("bob", "cyd")]
    message = await send(desk, ada, "cap:x", claimable=True)
    await desk.say(bob, Claim(id=2, message=message), Release(id=3, message=message, fence=1))
    assert [shown["stage"] for shown in await receipts(desk, ada, message)] == ["pushed", "pushed"]
    await desk.say(cyd, Bye())
    assert [shown["stage"] for shown in await receipts(desk, ada, message)] == ["pushed", "queued"]


async def test_work_for_any_that_nobody_was_left_for_comes_to_one_who_had_it_and_can_do_it_again(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob", caps=["x"])
    cyd = await desk.agent("cyd", caps=["x"])
    message = await send(desk, ada, "any:cap:x", claimable=True, offer_s=10)
    await desk.pass_time(10)
    assert [(shown["agent"], shown["stage"]) for shown in await receipts(desk, ada, message)] == [
        ("bob", "superseded"), ("cyd", "pushed"),
    ]  # fmt: skip
    await desk.say(bob, Update(id=2, caps=[]))
    await desk.say(cyd, Nack(message=message, reason="not me", retry=False))
    await desk.pass_time(60)
    desk.heard(bob)
    heard = await desk.say(bob, Update(id=3, caps=["x"]))
    assert [frame["message"] for frame in heard if frame["op"] == "deliver"] == [message]
    await desk.say(cyd, Update(id=4, caps=["x"]))
    await desk.pass_time(10)
    assert [shown["stage"] for shown in await receipts(desk, ada, message)] == ["pushed", "nacked"]


async def test_a_group_send_that_found_an_inbox_full_says_dead(tmp_path: Any) -> None:
    desk = await Desk(tmp_path / "small", Limits(inbox_messages_max=1)).open()
    ada = await desk.agent("ada")
    for name in ("bob", "cyd"):
        await desk.agent(name, tags=["t"])
    await send(desk, ada, "cyd")
    message = await send(desk, ada, "tag:t")
    bob, cyd = await receipts(desk, ada, message)
    assert (bob["stage"], cyd["stage"], cyd["attempt"]) == ("pushed", "dead", 0)
    assert "inbox is full" in cyd["reason"]
    session = desk.connect()
    heard = await desk.say(session, Register(id=0, agent="cyd"))
    assert [frame["message"] for frame in heard if frame["op"] == "deliver"] == [message - 1]
    await desk.close()
