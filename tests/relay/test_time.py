"""Time and order at the desk: ttl, delay, priority, supersedes, over the real store and with a clock that is held."""

import itertools
import random
from collections.abc import Sequence
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
    Register,
    Release,
    Send,
    Update,
)
from relay_server.session import Session
from relay_server.store import due
from relay_server.store import interface as ask
from tests.relay.desk import START_MS, Desk, kinds


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> int:
    """Send, check that it is taken, and answer its id."""
    frames = await desk.say(session, Send(id=1, to=to, body="b", **fields))
    (ok,) = [frame for frame in frames if frame.get("re") == 1]
    assert ok["op"] == "ok", ok
    return int(ok["message"])


async def work_state(desk: Desk, session: Session, message: int) -> tuple[str, str | None]:
    item = (await desk.say(session, GetMessage(id=99, message=message)))[-1]["item"]
    return item["work"]["state"], item["work"].get("reason")


async def hush(desk: Desk, session: Session, *frames: Any) -> None:
    """A turn with these frames; what the session hears of it stays with it."""
    desk.put(session, *frames)
    await desk.turn()


async def come_back(desk: Desk, name: str, **fields: Any) -> tuple[Session, list[str]]:
    """A new session of an agent, and what it hears."""
    session = desk.connect()
    return session, kinds(await desk.say(session, Register(id=0, agent=name, **fields)))


# -- ttl -------------------------------------------------------------------------------------------------------------


async def test_what_is_over_before_its_recipient_comes_is_not_delivered_and_the_ledger_says_so(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    desk.broker.lost(bob)
    short = await send(desk, ada, "bob", ttl_s=10)
    long = await send(desk, ada, "bob", ttl_s=100)
    await desk.pass_time(9.999)
    assert (await desk.ledger(short))["bob"] == "queued"
    await desk.pass_time(0.001)
    assert (await desk.ledger(short))["bob"] == "expired: not surfaced in its time"
    assert (await come_back(desk, "bob"))[1] == ["ok", f"deliver {long}"]


async def test_what_is_pushed_and_not_surfaced_in_its_time_is_withdrawn_and_gives_its_credit_back(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    over, after = await send(desk, ada, "bob", ttl_s=5), await send(desk, ada, "bob")
    (delivery,) = desk.heard(bob)
    assert (delivery["message"], delivery["expires_at"]) == (over, START_MS + 5000)
    await desk.pass_time(5)
    event, delivery = desk.heard(bob)
    assert event == {
        "op": "event", "event": "withdrawn", "at": START_MS + 5000, "message": over, "stage": "expired",
        "reason": "not surfaced in its time",
    }  # fmt: skip
    assert delivery["message"] == after, "the credit is free again"
    desk.broker.lost(bob)
    assert (await come_back(desk, "bob"))[1] == ["ok", f"deliver {after} #2"]


async def test_what_is_surfaced_in_its_time_stays_and_can_be_acked(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", ttl_s=5)
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(1000)
    assert desk.heard(bob) == []
    assert await desk.ledger(message) == {"bob": "surfaced"}
    assert kinds(await desk.say(bob, Ack(id=2, messages=[message]))) == ["ok"]
    assert await desk.ledger(message) == {"bob": "done"}


async def test_what_was_surfaced_before_a_reconnect_is_over_after_it_if_its_time_is(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    over, alive = await send(desk, ada, "bob", ttl_s=5), await send(desk, ada, "bob", ttl_s=50)
    await desk.say(bob, Ack(messages=[over, alive], stage="surfaced"))
    desk.broker.lost(bob)
    await desk.pass_time(6)
    bob, heard = await come_back(desk, "bob")
    assert heard == ["ok", f"deliver {alive} #2"]
    assert (await desk.ledger(over))["bob"].startswith("expired: surfaced")
    await desk.say(bob, Ack(messages=[over]))
    assert await desk.ledger(over) == {"bob": "done"}, "it was dealt with all the same, and says so"


async def test_what_is_over_while_the_relay_is_down_is_not_delivered_when_it_is_up(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    desk.broker.lost(bob)
    over, alive = await send(desk, ada, "bob", ttl_s=5), await send(desk, ada, "bob", ttl_s=50)
    await desk.restart(down_s=10)
    assert (await come_back(desk, "bob"))[1] == ["ok", f"deliver {alive}"], "even before the timer has run"
    await desk.pass_time(0)
    assert (await desk.ledger(over))["bob"].startswith("expired")


async def test_each_recipient_of_a_group_has_its_own_end(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd, dan = [await desk.agent(name, tags=["t"]) for name in ("bob", "cyd", "dan")]
    desk.broker.lost(dan)
    message = await send(desk, ada, "tag:t", ttl_s=5)
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    desk.heard(cyd)
    await desk.pass_time(5)
    stages = {name: stage.split(":")[0] for name, stage in (await desk.ledger(message)).items()}
    assert stages == {"bob": "surfaced", "cyd": "expired", "dan": "expired"}
    assert (kinds(desk.heard(bob)), kinds(desk.heard(cyd))) == ([], [f"withdrawn {message}"])


async def test_work_that_nobody_claims_in_its_time_fails(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=5, claimable=True)
    desk.heard(bob)
    await desk.pass_time(5)
    assert kinds(desk.heard(bob)) == [f"withdrawn {message}"]
    assert await work_state(desk, ada, message) == ("failed", "nobody claimed it in its time")
    (error,) = await desk.say(bob, Claim(id=2, message=message))
    assert (error["code"], error["detail"]) == ("expired", {"state": "failed"})


async def test_work_claimed_in_time_is_done_after_its_time(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=5, claimable=True)
    (ok,) = [frame for frame in await desk.say(bob, Claim(id=2, message=message)) if frame["op"] == "ok"]
    await desk.pass_time(30)
    assert desk.heard(bob) == []
    assert kinds(await desk.say(bob, Complete(id=3, message=message, fence=ok["fence"]))) == ["ok"]
    assert await work_state(desk, ada, message) == ("done", None)
    assert await desk.ledger(message) == {"bob": "done"}


@pytest.mark.parametrize("how", ["release", "fail", "silence", "bye"])
async def test_work_that_comes_back_after_its_time_fails(desk: Desk, how: str) -> None:
    ada, bob, cyd = await desk.agent("ada"), await desk.agent("bob", caps=["x"]), await desk.agent("cyd", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=5, claimable=True)
    await desk.say(bob, Claim(id=2, message=message, lease_s=20))
    desk.heard(cyd)
    if how != "silence":
        await desk.pass_time(6)
    if how == "release":
        await desk.say(bob, Release(id=3, message=message, fence=1))
    elif how == "fail":
        await desk.say(bob, Fail(id=3, message=message, fence=1, reason="r"))
    elif how == "bye":
        await desk.say(bob, Bye())
    await desk.pass_time(30)
    assert await work_state(desk, ada, message) == ("failed", "nobody did it in its time")
    assert kinds(desk.heard(cyd)) == []
    assert {stage.split(":")[0] for stage in (await desk.ledger(message)).values()} <= {"expired", "superseded"}


async def test_work_that_comes_back_in_its_time_ends_at_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=50, claimable=True)
    await desk.say(bob, Claim(id=2, message=message))
    other = await send(desk, ada, "ada", delay_s=1)
    await desk.pass_time(2)
    assert f"deliver {other}" in kinds(desk.heard(ada)), "the timer has run since the claim"
    assert f"deliver {message} #2" in kinds(await desk.say(bob, Release(id=3, message=message, fence=1)))
    await desk.pass_time(47.9)
    assert (await work_state(desk, ada, message))[0] == "ready"
    await desk.pass_time(0.1)
    assert kinds(desk.heard(bob)) == [f"withdrawn {message}"]
    assert (await work_state(desk, ada, message))[0] == "failed"


@pytest.mark.parametrize("comes_by", ["register", "update"])
async def test_work_that_its_worker_came_for_later_ends_at_its_time_too(desk: Desk, comes_by: str) -> None:
    ada = await desk.agent("ada")
    message = await send(desk, ada, "cap:x", ttl_s=50, claimable=True)
    await desk.pass_time(10)
    bob = await desk.agent("bob", caps=["x"] if comes_by == "register" else [])
    if comes_by == "update":
        await desk.say(bob, Update(id=2, caps=["x"]))
    await desk.pass_time(40)
    assert kinds(desk.heard(bob))[-1:] == [f"withdrawn {message}"]
    assert (await work_state(desk, ada, message))[0] == "failed"


async def test_work_that_its_only_candidate_surfaced_and_did_not_claim_in_its_time_fails(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=5, claimable=True)
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(4.9)
    assert (await work_state(desk, ada, message))[0] == "ready"
    await desk.pass_time(0.1)
    assert (await work_state(desk, ada, message))[0] == "failed"
    assert kinds(await desk.say(bob, Claim(id=2, message=message))) == ["error expired"]
    assert kinds(await desk.say(bob, Ack(id=3, messages=[message]))) == ["ok"]
    assert await desk.ledger(message) == {"bob": "done"}


async def test_work_that_nobody_ever_had_fails_at_its_time_and_is_due_at_its_time(desk: Desk) -> None:
    ada = await desk.agent("ada")
    over = await send(desk, ada, "cap:x", ttl_s=5, claimable=True)
    late = await send(desk, ada, "cap:x", delay_s=10, claimable=True)
    await desk.pass_time(5)
    assert await work_state(desk, ada, over) == ("failed", "nobody claimed it in its time")
    bob = await desk.agent("bob", caps=["x"])
    assert desk.heard(bob) == []
    await desk.pass_time(5)
    assert kinds(desk.heard(bob)) == [f"deliver {late}"]


async def test_a_late_ack_of_what_a_nack_put_off_does_not_hide_it(desk: Desk) -> None:
    """Nacked and then surfaced: it is due again all the same."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob")
    await desk.say(bob, Nack(message=message, reason="r", delay_s=5), Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(5)
    assert kinds(desk.heard(bob)) == [f"deliver {message} #2"]


async def test_nothing_is_pushed_after_its_end_in_a_refill_either(desk: Desk) -> None:
    """The credit comes back at the very moment at which it is over, before the timer has run."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    first = await send(desk, ada, "bob")
    for priority in (None, 9, 0):
        await send(desk, ada, "bob", ttl_s=5, priority=priority)
    last = await send(desk, ada, "bob")
    assert kinds(desk.heard(bob)) == [f"deliver {first}"]
    desk.now += 5
    assert kinds(await desk.say(bob, Ack(messages=[first]))) == [f"deliver {last}"]


async def test_a_nacked_message_is_over_at_its_time_whatever_its_backoff_is(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", ttl_s=10)
    heard = await desk.say(bob, Nack(message=message, reason="later", delay_s=30))
    assert kinds(heard) == [f"deliver {message}"], "once, before the nack"
    await desk.pass_time(9.9)
    assert await desk.ledger(message) == {"bob": "queued: later"}
    await desk.pass_time(0.1)
    assert (await desk.ledger(message))["bob"].startswith("expired")
    await desk.pass_time(100)
    assert desk.heard(bob) == []


async def test_a_nack_of_what_is_over_ends_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", ttl_s=10)
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(11)
    await desk.say(bob, Nack(message=message, reason="too late"))
    assert await desk.ledger(message) == {"bob": "expired: too late"}


async def test_work_that_a_candidate_acked_ends_at_its_time_not_when_it_would_come_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    message = await send(desk, ada, "cap:x", ttl_s=20, claimable=True)
    await desk.say(bob, Ack(messages=[message], stage="surfaced"))
    await send(desk, ada, "ada", delay_s=1)
    await desk.pass_time(2)
    await desk.say(bob, Ack(messages=[message]))
    await desk.pass_time(18)
    assert (await work_state(desk, ada, message))[0] == "failed"


# -- delay -----------------------------------------------------------------------------------------------------------


async def test_a_delayed_message_comes_when_it_is_due_and_not_before(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    late, now = await send(desk, ada, "bob", delay_s=10), await send(desk, ada, "bob")
    assert kinds(desk.heard(bob)) == [f"deliver {now}"]
    (page,) = await desk.say(bob, Inbox(id=2))
    assert {item["message"]: item.get("due_at") for item in page["items"]} == {late: START_MS + 10_000, now: None}
    await desk.pass_time(9.999)
    assert desk.heard(bob) == []
    await desk.pass_time(0.001)
    assert kinds(desk.heard(bob)) == [f"deliver {late}"]


async def test_a_reconnect_does_not_bring_what_is_not_due(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", delay_s=10, priority=9)
    desk.broker.lost(bob)
    bob, heard = await come_back(desk, "bob")
    assert heard == ["ok"]
    await desk.pass_time(10)
    assert kinds(desk.heard(bob)) == [f"deliver {message}"]


async def test_what_became_due_while_the_relay_was_down_comes_when_it_is_up(desk: Desk) -> None:
    ada = await desk.agent("ada")
    message, later = [await send(desk, ada, "bob", delay_s=s, hold=True) for s in (10, 100)]
    await desk.restart(down_s=50)
    await desk.pass_time(0)
    bob, heard = await come_back(desk, "bob")
    assert heard == ["ok", f"deliver {message}"]
    await desk.pass_time(49.9)
    assert desk.heard(bob) == []
    await desk.pass_time(0.1)
    assert kinds(desk.heard(bob)) == [f"deliver {later}"]


@pytest.mark.parametrize("to", ["cap:x", "any:cap:x"])
@pytest.mark.parametrize("is_down", [False, True])
async def test_delayed_work_is_offered_when_it_is_due_and_that_is_its_first_attempt(
    desk: Desk, to: str, is_down: bool
) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    due_at = desk.now_ms + 10_000
    message = await send(desk, ada, to, claimable=True, delay_s=10)
    assert await work_state(desk, ada, message) == ("delayed", None)
    (error,) = await desk.say(bob, Claim(id=2, message=message))
    assert (error["code"], error["detail"]) == ("not_claimable", {"state": "delayed", "ready_at": due_at})
    if is_down:
        await desk.restart(down_s=11)
        await desk.pass_time(0)
        bob, heard = await come_back(desk, "bob", caps=["x"])
        assert heard == ["ok", f"deliver {message}"]
    else:
        await desk.pass_time(9.9)
        assert desk.heard(bob) == []
        await desk.pass_time(0.1)
        assert kinds(desk.heard(bob)) == [f"deliver {message}"]
    assert kinds(await desk.say(bob, Claim(id=2, message=message))) == ["ok"]


async def test_an_offer_to_one_of_many_lasts_from_when_it_is_due(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    cyd = await desk.agent("cyd", caps=["x"])
    message = await send(desk, ada, "any:cap:x", delay_s=100, offer_s=10)
    await desk.pass_time(99)
    assert desk.heard(bob) + desk.heard(cyd) == []
    await desk.pass_time(10)
    assert (kinds(desk.heard(bob)), kinds(desk.heard(cyd))) == ([f"deliver {message}"], [])
    await desk.pass_time(1)
    assert kinds(desk.heard(bob)) == [f"withdrawn {message}"]
    assert kinds(desk.heard(cyd)) == [f"deliver {message}"]


async def test_a_delay_and_a_ttl_count_from_the_send(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", delay_s=10, ttl_s=15)
    await desk.pass_time(10)
    (delivery,) = desk.heard(bob)
    assert delivery["expires_at"] == START_MS + 15_000
    await desk.pass_time(5)
    assert kinds(desk.heard(bob)) == [f"withdrawn {message}"]
    for ttl_s, delay_s in ((5, 5), (5, 6), (0.5, 1)):
        (error,) = await desk.say(ada, unchecked(ttl_s, delay_s))
        assert error["code"] == "bad_request"
        assert f"ttl_s is {ttl_s}" in error["message"]


def unchecked(ttl_s: float, delay_s: float) -> Send:
    """A send that its own checks would not let through: the codec has to."""
    frame = Send(id=2, to="bob", body="b", ttl_s=1000)
    frame.ttl_s, frame.delay_s = ttl_s, delay_s
    return frame


async def test_a_delay_brings_its_sender_back_to_itself(desk: Desk) -> None:
    ada = await desk.agent("ada")
    message = await send(desk, ada, "ada", delay_s=3600)
    await desk.pass_time(3600)
    assert kinds(desk.heard(ada)) == [f"deliver {message}"]


# -- priority --------------------------------------------------------------------------------------------------------


async def test_what_is_queued_comes_by_priority_and_then_in_order(desk: Desk) -> None:
    ada = await desk.agent("ada")
    priorities = [4, None, 0, 9, 5, None, 3, 9, 1, 8, 2, 4, 7, 6, 0]
    sent = [(await send(desk, ada, "bob", hold=True, priority=priority), priority) for priority in priorities]
    expected = [message for message, _ in sorted(sent, key=_place)]
    for credit in (1, 2, 64):
        bob = desk.connect()
        heard = await desk.say(bob, Register(id=0, agent="bob", credit=credit))
        order = []
        while deliveries := [frame["message"] for frame in heard if frame["op"] == "deliver"]:
            order += deliveries
            heard = await desk.say(bob, *[Nack(message=message, reason="", delay_s=5) for message in deliveries])
        assert order == expected, credit
        await desk.pass_time(5)


def _place(sent: tuple[int, int | None]) -> tuple[int, int]:
    message, priority = sent
    return -(4 if priority is None else priority), message


async def test_what_arrives_while_a_session_lags_takes_its_place(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    first, second, third = [await send(desk, ada, "bob") for _ in range(3)]
    assert kinds(desk.heard(bob)) == [f"deliver {first}"]
    urgent, patient = await send(desk, ada, "bob", priority=7), await send(desk, ada, "bob", priority=1)
    fourth, more_urgent = await send(desk, ada, "bob"), await send(desk, ada, "bob", priority=8)
    order: list[int] = []
    message: int | None = first
    while message is not None:
        heard = await desk.say(bob, Ack(messages=[message]))
        assert len(heard) <= 1, "credit 1"
        message = heard[0]["message"] if heard else None
        order += [message] if message else []
    assert order == [more_urgent, urgent, second, third, fourth, patient]


async def test_priority_does_not_interrupt_what_was_pushed(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=2)
    low = [await send(desk, ada, "bob", priority=0) for _ in range(3)]
    high = await send(desk, ada, "bob", priority=9)
    assert kinds(desk.heard(bob)) == [f"deliver {low[0]}", f"deliver {low[1]}"]
    assert kinds(await desk.say(bob, Ack(messages=[low[0]]))) == [f"deliver {high}"]


async def test_a_stream_of_urgent_messages_leaves_the_others_in_order(desk: Desk) -> None:
    """Urgent ones pushed in between must not move the place behind which the ordinary ones go on."""
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=2)
    ordinary, urgent, got = [], [], []
    for _ in range(30):
        ordinary.append(await send(desk, ada, "bob"))
        urgent.append(await send(desk, ada, "bob", priority=9))
    for number in range(200):
        deliveries = [frame["message"] for frame in desk.heard(bob) if frame["op"] == "deliver"]
        got += deliveries
        if number < 20:
            urgent.append(await send(desk, ada, "bob", priority=9))
        if deliveries:
            await hush(desk, bob, Ack(messages=deliveries))
    assert sorted(got) == sorted(ordinary + urgent)
    assert [message for message in got if message in set(ordinary)] == ordinary
    assert [message for message in got if message in set(urgent)] == urgent


async def test_a_nacked_urgent_message_comes_first_again_when_it_is_due(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    urgent = await send(desk, ada, "bob", priority=9)
    first, second = await send(desk, ada, "bob"), await send(desk, ada, "bob")
    assert kinds(await desk.say(bob, Nack(message=urgent, reason="r", delay_s=5))) == [
        f"deliver {urgent}", f"deliver {first}",
    ]  # fmt: skip
    await desk.pass_time(5)
    assert kinds(await desk.say(bob, Ack(messages=[first]))) == [f"deliver {urgent} #2"]
    assert kinds(await desk.say(bob, Ack(messages=[urgent]))) == [f"deliver {second}"]


async def test_who_registers_gets_what_is_urgent_first_by_one_look_into_its_inbox(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, *[Send(id=i, to="ben", body="x", hold=True, priority=i) for i in (4, 9, 0)])
    looks: list[ask.Command] = []
    commit = desk.store.commit

    async def watched(commands: Sequence[ask.Command], now_ms: int) -> list[ask.Outcome]:
        looks.extend(command for command in commands if isinstance(command, ask.Refill))
        return await commit(commands, now_ms)

    monkeypatch.setattr(desk.store, "commit", watched)
    assert kinds(await desk.say(desk.connect(), Register(id=0, agent="ben"))) == [
        "ok", "deliver 2", "deliver 1", "deliver 3",
    ]  # fmt: skip
    assert len(looks) == 1


async def test_a_new_address_finds_ranked_work_without_pushing_anything_twice(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=3)
    held = [await send(desk, ada, "bob", priority=9), await send(desk, ada, "bob"), await send(desk, ada, "bob")]
    work = await send(desk, ada, "cap:x", claimable=True, priority=8)
    assert kinds(desk.heard(bob)) == [f"deliver {message}" for message in held]
    assert kinds(await desk.say(bob, Update(id=2, caps=["x"]))) == ["ok"]
    after = await send(desk, ada, "bob", priority=9)
    assert kinds(await desk.say(bob, Ack(messages=held))) == [f"deliver {after}", f"deliver {work}"]


@pytest.mark.parametrize("credit", [1, 2, 5])
async def test_whatever_arrives_and_whenever_the_best_one_that_waits_comes_next(desk: Desk, credit: int) -> None:
    """A second opinion: a sorted list."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=credit)
    waiting: list[tuple[int, int]] = []
    holding: list[int] = []
    for _ in range(200):
        if rng.random() < 0.55:
            priority = rng.choice([None, None, 4, 0, 3, 5, 9])
            waiting.append((-(4 if priority is None else priority), await send(desk, ada, "bob", priority=priority)))
        elif holding:
            acked = rng.sample(holding, rng.randint(1, len(holding)))
            holding = [message for message in holding if message not in acked]
            await hush(desk, bob, Ack(messages=acked))
        got = [frame["message"] for frame in desk.heard(bob)]
        expected = [message for _, message in sorted(waiting)[: credit - len(holding)]]
        assert got == expected
        holding += got
        waiting = [entry for entry in waiting if entry[1] not in got]


# -- supersedes ------------------------------------------------------------------------------------------------------


async def test_a_newer_message_replaces_what_was_not_delivered(desk: Desk) -> None:
    ada = await desk.agent("ada")
    old = await send(desk, ada, "bob", hold=True, subject="status")
    new = await send(desk, ada, "bob", hold=True, subject="status", supersedes=old)
    assert await desk.ledger(old) == {"bob": f"superseded: superseded by {new}"}
    session = desk.connect()
    _, delivery = await desk.say(session, Register(id=0, agent="bob"))
    assert (delivery["message"], delivery["supersedes"]) == (new, old)


async def test_what_was_pushed_is_withdrawn_and_gives_its_credit_to_the_newer_one(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    old = await send(desk, ada, "bob")
    new = await send(desk, ada, "bob", supersedes=old)
    heard = desk.heard(bob)
    assert kinds(heard) == [f"deliver {old}", f"superseded {old}", f"deliver {new}"]
    assert heard[1] == {
        "op": "event", "event": "superseded", "at": START_MS, "message": old, "stage": "superseded",
        "reason": f"superseded by {new}", "by": new,
    }  # fmt: skip
    desk.broker.lost(bob)
    assert (await come_back(desk, "bob"))[1] == ["ok", f"deliver {new} #2"]


@pytest.mark.parametrize("stage", ["surfaced", "done"])
async def test_who_was_given_the_older_one_is_told_and_its_stage_stays(desk: Desk, stage: Any) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = await send(desk, ada, "bob")
    await desk.say(bob, Ack(messages=[old], stage=stage))
    new = await send(desk, ada, "bob", supersedes=old)
    heard = desk.heard(bob)
    assert sorted(kinds(heard)) == [f"deliver {new}", f"superseded {old}"]
    (event,) = [frame for frame in heard if frame["op"] == "event"]
    assert (event["stage"], event["by"]) == (stage, new)
    assert await desk.ledger(old) == {"bob": stage}
    desk.broker.lost(bob)
    again = [f"deliver {old} #2"] if stage == "surfaced" else []
    assert (await come_back(desk, "bob"))[1] == ["ok", *again, f"deliver {new} #2"]


async def test_each_recipient_of_a_group_is_told_what_concerns_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd, dan, eve = [await desk.agent(name, tags=["t"]) for name in ("bob", "cyd", "dan", "eve")]
    desk.broker.lost(eve)
    old = await send(desk, ada, "tag:t")
    await desk.say(bob, Ack(messages=[old], stage="surfaced"))
    await desk.say(dan, Nack(message=old, reason="no", retry=False))
    desk.heard(cyd)
    new = await send(desk, ada, "cyd", supersedes=old)
    assert await desk.ledger(old) == {
        "bob": "surfaced", "cyd": f"superseded: superseded by {new}", "dan": "nacked: no",
        "eve": f"superseded: superseded by {new}",
    }  # fmt: skip
    assert kinds(desk.heard(bob)) == [f"superseded {old}"]
    assert sorted(kinds(desk.heard(cyd))) == [f"deliver {new}", f"superseded {old}"]
    assert kinds(desk.heard(dan)) == []
    assert (await come_back(desk, "eve"))[1] == ["ok"]


async def test_superseded_work_that_nobody_holds_ends_and_what_is_held_stays(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    ready, held, delayed = [
        await send(desk, ada, "cap:x", claimable=True, delay_s=delay_s) for delay_s in (None, None, 50)
    ]
    await desk.say(bob, Claim(id=2, message=held))
    for old in (ready, held, delayed):
        new = await send(desk, ada, "cap:x", supersedes=old)
        desk.heard(bob)
        if old == held:
            assert (await work_state(desk, ada, old))[0] == "claimed"
        else:
            assert await work_state(desk, ada, old) == ("superseded", f"superseded by {new}")
    assert kinds(await desk.say(bob, Complete(id=3, message=held, fence=1))) == ["ok"]
    assert (await desk.ledger(held)) == {"bob": "done"}
    await desk.pass_time(100)
    assert [kind for kind in kinds(desk.heard(bob)) if kind == f"deliver {delayed}"] == []


async def test_superseded_work_is_not_offered_again_when_its_holder_gives_it_back(desk: Desk) -> None:
    ada, bob, cyd = await desk.agent("ada"), await desk.agent("bob", caps=["x"]), await desk.agent("cyd", caps=["x"])
    old = await send(desk, ada, "cap:x", claimable=True)
    await desk.say(bob, Claim(id=2, message=old))
    new = await send(desk, ada, "cap:x", claimable=True, supersedes=old)
    desk.heard(bob), desk.heard(cyd)
    await desk.say(bob, Release(id=3, message=old, fence=1))
    assert desk.heard(cyd) == []
    assert await work_state(desk, ada, old) == ("superseded", f"superseded by {new}")


async def test_only_the_sender_may_replace_its_message(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = await send(desk, ada, "bob")
    desk.heard(bob)
    (error,) = await desk.say(bob, Send(id=2, to="ada", body="b", supersedes=old))
    assert error["code"] == "forbidden"
    assert f"supersedes is {old}" in error["message"]
    (error,) = await desk.say(ada, Send(id=2, to="bob", body="b", supersedes=old + 1))
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [old + 1]})
    assert await desk.ledger(old) == {"bob": "queued"}
    assert await send(desk, ada, "bob") == old + 1, "what was refused took no id"


async def test_a_chain_of_replacements_leaves_the_newest(desk: Desk) -> None:
    ada = await desk.agent("ada")
    chain = [await send(desk, ada, "bob", hold=True)]
    for _ in range(4):
        chain.append(await send(desk, ada, "bob", hold=True, supersedes=chain[-1]))
    again = await send(desk, ada, "bob", hold=True, supersedes=chain[0])
    for old, new in itertools.pairwise(chain):
        assert await desk.ledger(old) == {"bob": f"superseded: superseded by {new}"}
    assert (await come_back(desk, "bob"))[1] == ["ok", f"deliver {chain[-1]}", f"deliver {again}"]


async def test_what_is_acked_after_it_was_replaced_is_done(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = await send(desk, ada, "bob")
    await send(desk, ada, "bob", supersedes=old)
    await desk.say(bob, Ack(messages=[old]))
    assert await desk.ledger(old) == {"bob": "done"}


async def test_a_replacement_that_is_repeated_replaces_nothing_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = await send(desk, ada, "bob")
    new = await send(desk, ada, "bob", supersedes=old, key="k")
    desk.heard(bob)
    (ok,) = await desk.say(ada, Send(id=9, to="bob", body="b", supersedes=old, key="k"))
    assert (ok["message"], ok["duplicate"]) == (new, True)
    assert desk.heard(bob) == []


# -- much at one moment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delay", "ttl", "overdue", "delayed work"])
async def test_much_that_is_due_at_one_moment_is_taken_in_slices(
    desk: Desk, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "RIPE_MAX", 100)
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1024)
    fields: dict[str, Any] = {
        "delay": {"delay_s": 10}, "ttl": {"ttl_s": 10}, "overdue": {"expect_reply_s": 10, "waits": False},
        "delayed work": {"delay_s": 10, "claimable": True},
    }[kind]  # fmt: skip
    for start in range(0, 1000, 100):
        desk.put(ada, *[Send(id=start + i, to="bob", body="b", **fields) for i in range(100)])
    await desk.turn()
    desk.heard(ada), desk.heard(bob)
    turns, widest = await count_ripening(desk, 10)
    assert 10 <= turns <= 13
    assert widest <= 100
    if kind == "overdue":
        assert len(desk.heard(ada)) == 1000
    else:
        assert len(desk.heard(bob)) == 1000
    assert await count_ripening(desk, 3600) == (0, 0), "nothing is left to wake up for"


async def test_five_thousand_deliveries_that_are_due_at_once_come_in_a_few_turns(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1024)
    for start in range(0, 5000, 500):
        desk.put(ada, *[Send(id=start + i, to="bob", body="b", delay_s=10) for i in range(500)])
    await desk.turn()
    turns, _ = await count_ripening(desk, 10)
    assert turns <= 4
    got: list[int] = []
    while deliveries := [frame["message"] for frame in desk.heard(bob) if frame["op"] == "deliver"]:
        got += deliveries
        await hush(desk, bob, Ack(messages=deliveries))
    assert got == sorted(got)
    assert len(got) == 5000


async def count_ripening(desk: Desk, seconds: float) -> tuple[int, int]:
    """(How often the store was asked what is due while time passes, the most that one answer named)."""
    sizes: list[int] = []
    commit = desk.store.commit

    async def counted(commands: Any, now_ms: int) -> Any:
        outcomes = await commit(commands, now_ms)
        for outcome in outcomes:
            if isinstance(outcome, ask.Ripened):
                sizes.append(len(outcome.moved) + len(outcome.overdue) + len(outcome.offers))
        assert len(sizes) < 1000, "it spins"
        return outcomes

    desk.store.commit = counted  # type: ignore[method-assign]
    try:
        await desk.pass_time(seconds)
    finally:
        desk.store.commit = commit  # type: ignore[method-assign]
    return len(sizes), max(sizes, default=0)


async def test_what_an_earlier_instance_surfaced_is_over_when_its_time_ends_before_the_next_one_is_given_it(
    desk: Desk,
) -> None:
    ada, first = await desk.agent("ada"), await desk.agent("bob", credit=2)
    await send(desk, ada, "bob")
    late = await send(desk, ada, "bob", ttl_s=100)
    await desk.say(first, Ack(messages=[late], stage="surfaced"))
    second = await desk.agent("bob", credit=1, instance="other")  # it holds the other one, and has no room for this
    await desk.pass_time(200)
    assert (await desk.ledger(late))["bob"] == "surfaced"
    await desk.say(second, Ack(messages=[1]))
    assert (await desk.ledger(late))["bob"] == "expired: surfaced, and not dealt with in its time"
    after = await send(desk, ada, "bob")
    assert kinds(desk.heard(second))[-1] == f"deliver {after}"
