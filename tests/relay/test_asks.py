"""Asks at the desk: who owes whom a reply, what is said when it does not come, and rings of agents that wait."""

from pathlib import Path
from typing import Any

import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    Fail,
    Forgive,
    Heartbeat,
    Nack,
    Owed,
    Receipts,
    Register,
    Release,
    Send,
    Update,
)
from relay_server.presence import STALE_S
from relay_server.quota import Limits
from relay_server.sending import WAIT_SLACK_S
from relay_server.session import Session
from relay_server.waits import Wait
from tests.relay.desk import START_MS, Desk, kinds


async def ask(desk: Desk, session: Session, to: str, **fields: Any) -> int:
    """Ask, check that it is taken, and answer its id. What else the session hears stays with it."""
    frames = await desk.say(session, Send(id=1, to=to, body="?", **{"expect_reply_s": 60, **fields}))
    (ok,) = [frame for frame in frames if frame.get("re") == 1]
    assert ok["op"] == "ok", ok
    return int(ok["message"])


async def reply(desk: Desk, session: Session, message: int, to: str = "ada", **fields: Any) -> None:
    """Answer an ask."""
    frames = await desk.say(session, Send(id=2, to=to, body="!", reply_to=message, **fields))
    assert [frame["op"] for frame in frames if frame.get("re") == 2] == ["ok"], frames


async def owed(desk: Desk, session: Session, agent: str | None = None) -> list[str]:
    """What is owed by and to an agent: `7: ben -> ada` is ben's reply to ada's ask 7."""
    (ok,) = [frame for frame in await desk.say(session, Owed(id=3, agent=agent)) if frame["op"] == "ok"]
    return [line(item) for item in ok["items"]]


def line(item: dict[str, Any]) -> str:
    late = " late" if item.get("overdue") else ""
    return f"{item['message']}: {item['agent']} -> {item['asker']}{late}"


def events(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame for frame in frames if frame["op"] == "event"]


async def come_back(desk: Desk, name: str, **fields: Any) -> tuple[Session, list[dict[str, Any]]]:
    session = desk.connect()
    return session, await desk.say(session, Register(id=0, agent=name, **fields))


def waiting(desk: Desk) -> dict[str, list[str]]:
    """The graph: who waits for whom now."""
    waits: list[Wait] = [wait for its in desk.broker.waits._by_asker.values() for wait in its]
    return {wait.asker: sorted(wait.on) for wait in waits}


# -- what is owed ----------------------------------------------------------------------------------------------------


async def test_a_reply_is_owed_until_it_comes_and_both_sides_can_see_it(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", status="busy")
    message = await ask(desk, ada, "ben", subject="branch?")
    (delivery,) = desk.heard(ben)
    assert delivery["reply_by_at"] == START_MS + 60_000
    expected = {
        "message": message, "asker": "ada", "agent": "ben", "asked_at": START_MS, "reply_by_at": START_MS + 60_000,
        "subject": "branch?", "stage": "pushed", "stage_at": START_MS, "status": "busy",
    }  # fmt: skip
    for session in (ada, ben):
        (ok,) = await desk.say(session, Owed(id=3))
        assert ok["items"] == [expected]
    cyd = await desk.agent("cyd")
    assert await owed(desk, cyd) == []
    assert await owed(desk, cyd, "ben") == [f"{message}: ben -> ada"]
    await reply(desk, ben, message)
    assert await owed(desk, ada) == await owed(desk, ben) == []
    await desk.pass_time(1000)
    assert events(desk.heard(ada)) == []


async def test_i_have_got_it_is_no_answer(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben", intent="request")
    await reply(desk, ben, message, intent="ack")
    await desk.say(ben, Ack(messages=[message]))
    assert await owed(desk, ada) == [f"{message}: ben -> ada"]
    await reply(desk, ben, message, intent="inform")
    assert await owed(desk, ada) == []


async def test_only_a_reply_of_the_one_who_owes_it_to_this_ask_answers(desk: Desk) -> None:
    ada, ben, cyd = [await desk.agent(name) for name in ("ada", "ben", "cyd")]
    first, second = await ask(desk, ada, "ben"), await ask(desk, ada, "ben")
    await reply(desk, cyd, first)
    await desk.say(ben, Send(id=1, to="ada", body="not a reply"), Send(id=2, to="ada", body="in thread", thread=first))
    assert await owed(desk, ada) == [f"{first}: ben -> ada", f"{second}: ben -> ada"]
    await reply(desk, ben, second, to="cyd")
    assert len(await owed(desk, ada)) == 2, "ada does not get it"
    await reply(desk, ben, second)
    assert await owed(desk, ada) == [f"{first}: ben -> ada"]


async def test_what_is_owed_in_both_directions_comes_after_a_reconnect_a_takeover_and_a_restart(desk: Desk) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben", instance="b")
    owes, is_owed = await ask(desk, ben, "ada", waits=False), await ask(desk, ada, "ben", waits=False)
    lines = [f"{owes}: ada -> ben", f"{is_owed}: ben -> ada"]
    desk.broker.lost(ada)
    for instance in ("a", "a2"):
        ada, heard = await come_back(desk, "ada", instance=instance)
        assert [line(item) for item in heard[1]["items"]] == lines
        assert (heard[0]["op"], heard[1]["event"]) == ("ok", "owed"), "behind the ok, before the inbox"
        assert kinds(heard)[2:] == [f"deliver {owes} #{2 if instance == 'a' else 3}"]
    await desk.restart(down_s=70)
    await desk.pass_time(0)
    ada, heard = await come_back(desk, "ada", instance="a3")
    assert [line(item) for item in heard[1]["items"]] == [f"{entry} late" for entry in lines]
    assert [item["status"] for item in heard[1]["items"]] == ["online", "offline"]
    await reply(desk, ada, owes, to="ben")
    ben, heard = await come_back(desk, "ben", instance="b2")
    assert [line(item) for item in heard[1]["items"]] == [f"{is_owed}: ben -> ada late"]


async def test_who_owes_nothing_hears_nothing_of_it(desk: Desk) -> None:
    await desk.agent("ada")
    _, heard = await come_back(desk, "ben")
    assert kinds(heard) == ["ok"]


async def test_a_question_to_oneself_that_nobody_waits_for_is_not_owed(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await ask(desk, ada, "ada", waits=False)
    assert await owed(desk, ada) == []


async def test_the_list_has_at_most_a_hundred_each_way_the_oldest_first(desk: Desk) -> None:
    ada, ben = await desk.agent("ada", credit=1024), await desk.agent("ben", credit=1024)
    asks = [await ask(desk, ada, "ben", waits=False) for _ in range(101)]
    back = [await ask(desk, ben, "ada", waits=False) for _ in range(101)]
    lines = [f"{message}: ada -> ben" for message in back[:100]] + [f"{message}: ben -> ada" for message in asks[:100]]
    assert await owed(desk, ada) == lines
    _, heard = await come_back(desk, "ada")
    assert [line(item) for item in heard[1]["items"]] == lines


# -- overdue, gone, refused ------------------------------------------------------------------------------------------


async def test_an_overdue_reply_is_told_once_with_what_is_known_and_stays_owed(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", status="busy")
    message = await ask(desk, ada, "ben")
    await desk.pass_time(10)
    await desk.say(ben, Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(49.9)
    assert desk.heard(ada) == []
    await desk.pass_time(0.1)
    assert desk.heard(ada) == [
        {
            "op": "event", "event": "reply.overdue", "at": START_MS + 60_000, "message": message, "agent": "ben",
            "stage": "surfaced", "stage_at": START_MS + 10_000, "status": "busy", "reply_by_at": START_MS + 60_000,
        }
    ]  # fmt: skip
    await desk.pass_time(1000)
    assert desk.heard(ada) == [], "once"
    assert await owed(desk, ben) == [f"{message}: ben -> ada late"]
    await reply(desk, ben, message)
    assert await owed(desk, ben) == []


async def test_an_overdue_reply_of_one_who_is_away_says_since_when(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.pass_time(5)
    await desk.say(ben, Heartbeat())
    await desk.pass_time(2)
    await desk.say(ben, Bye())
    await ask(desk, ada, "ben")
    await desk.pass_time(60)
    (event,) = events(desk.heard(ada))
    assert (event["stage"], event["status"], event["status_at"]) == ("queued", "offline", START_MS + 7000)
    never = await ask(desk, ada, "eve", hold=True)
    await desk.pass_time(60)
    (event,) = events(desk.heard(ada))
    assert (event["message"], event["agent"], event["status"]) == (never, "eve", "offline")
    assert "status_at" not in event, "nobody knows"


async def test_the_asker_is_told_when_the_other_side_says_bye(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    await desk.say(ben, Bye())
    (event,) = desk.heard(ada)
    assert (event["event"], event["message"], event["agent"]) == ("reply.gone", message, "ben")
    assert (event["status"], event["stage"], event["reply_by_at"]) == ("offline", "queued", START_MS + 60_000)
    await desk.pass_time(STALE_S * 2)
    assert kinds(desk.heard(ada)) == [f"reply.overdue {message} ben"], "bye is said once"
    assert await owed(desk, ada) == [f"{message}: ben -> ada late"], "it may come back"


async def test_the_asker_is_told_when_the_other_side_is_lost_and_when_it_does_not_come_back(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben", expect_reply_s=3600)
    desk.broker.lost(ben)
    await desk.turn()
    (event,) = desk.heard(ada)
    assert (event["event"], event["status"], event["status_at"]) == ("reply.gone", "stale", START_MS)
    await desk.pass_time(STALE_S - 0.1)
    assert desk.heard(ada) == []
    await desk.pass_time(0.1)
    (event,) = desk.heard(ada)
    assert (event["event"], event["message"], event["status"]) == ("reply.gone", message, "offline")
    await desk.pass_time(STALE_S * 3)
    assert desk.heard(ada) == []


async def test_nobody_is_gone_who_came_back_or_was_replaced(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", instance="b")
    await ask(desk, ada, "ben", expect_reply_s=3600)
    await come_back(desk, "ben", instance="b2")
    desk.broker.lost(ben)
    await desk.pass_time(STALE_S * 2)
    assert desk.heard(ada) == [], "another session took over; the old one's end is no news"
    ben = desk.broker.sessions["ben"]
    desk.broker.lost(ben)
    await desk.turn()
    assert kinds(desk.heard(ada)) == ["reply.gone 1 ben"]
    await come_back(desk, "ben", instance="b2")
    await desk.pass_time(STALE_S * 2)
    assert desk.heard(ada) == []


async def test_nobody_is_told_of_an_ask_that_was_answered(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    await reply(desk, ben, message)
    desk.heard(ada)
    await desk.say(ben, Bye())
    await desk.pass_time(1000)
    assert desk.heard(ada) == []


async def refuse(desk: Desk, ben: Session, message: int) -> None:
    await desk.say(ben, Nack(message=message, reason="not mine", retry=False))


async def refuse_too_often(desk: Desk, ben: Session, message: int) -> None:
    for _ in range(5):
        await desk.say(ben, Nack(message=message, reason="again", delay_s=0))
        await desk.pass_time(0)


async def let_it_expire(desk: Desk, ben: Session, message: int) -> None:
    await desk.pass_time(10)


async def surface_it_and_expire_as_another(desk: Desk, ben: Session, message: int) -> None:
    await desk.say(ben, Ack(messages=[message], stage="surfaced"))
    await desk.pass_time(10)
    desk.broker.lost(ben)
    await come_back(desk, "ben", instance="other")


@pytest.mark.parametrize(
    ("how", "stage", "reason"),
    [
        (refuse, "nacked", "not mine"),
        (refuse_too_often, "dead", "again"),
        (let_it_expire, "expired", "not surfaced in its time"),
        (surface_it_and_expire_as_another, "expired", "surfaced, and not dealt with in its time"),
    ],
)
async def test_the_asker_is_told_when_the_reply_will_not_come(desk: Desk, how: Any, stage: str, reason: str) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben", ttl_s=10)
    await how(desk, ben, message)
    refused = [event for event in events(desk.heard(ada)) if event["event"] != "reply.gone"]
    assert [(event["event"], event["message"], event["agent"]) for event in refused] == [
        ("reply.refused", message, "ben")
    ]
    assert (refused[0]["stage"], refused[0]["reason"]) == (stage, reason)
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}
    await desk.pass_time(100)
    assert desk.heard(ada) == [], "it is not overdue: nobody owes it"


async def test_an_ask_that_its_asker_replaced_is_owed_no_more_and_no_refusal(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    old = await ask(desk, ada, "ben")
    new = await ask(desk, ada, "ben", supersedes=old)
    assert await owed(desk, ada) == [f"{new}: ben -> ada"]
    assert waiting(desk) == {"ada": ["ben"]}
    await reply(desk, ben, old)
    assert await owed(desk, ada) == [f"{new}: ben -> ada"]
    await desk.pass_time(100)
    assert [event["message"] for event in events(desk.heard(ada))] == [new]


async def test_a_group_owes_one_reply_each(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd, dan = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd", "dan")]
    message = await ask(desk, ada, "tag:t")
    assert waiting(desk) == {"ada": ["ben", "cyd", "dan"]}
    await reply(desk, cyd, message)
    assert await owed(desk, ada) == [f"{message}: ben -> ada", f"{message}: dan -> ada"]
    assert waiting(desk) == {}, "the first reply ends the wait"
    await desk.say(dan, Nack(message=message, reason="no", retry=False))
    desk.heard(ada)
    await desk.pass_time(60)
    assert kinds(desk.heard(ada)) == [f"reply.overdue {message} ben"]
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []


# -- any: and claimable asks -----------------------------------------------------------------------------------------


async def test_an_ask_to_any_is_owed_by_whoever_has_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    _ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "any:cap:x", offer_s=10)
    assert await owed(desk, ada) == [f"{message}: ben -> ada"]
    assert waiting(desk) == {"ada": ["ben"]}
    await desk.pass_time(10)
    assert kinds(desk.heard(cyd)) == [f"deliver {message}"]
    assert await owed(desk, ada) == [f"{message}: cyd -> ada"]
    assert waiting(desk) == {"ada": ["cyd"]}
    assert events(desk.heard(ada)) == [], "it was passed on, not refused"
    await reply(desk, cyd, message)
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}


async def test_a_late_reply_of_the_first_one_answers_an_ask_to_any(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "any:cap:x", offer_s=10)
    await desk.pass_time(10)
    assert kinds(desk.heard(cyd)) == [f"deliver {message}"]
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}


async def test_an_overdue_ask_to_any_follows_its_offer_and_can_be_answered(desk: Desk) -> None:
    ada = await desk.agent("ada")
    _ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "any:cap:x", offer_s=10, expect_reply_s=5)
    await desk.pass_time(10)
    assert kinds(desk.heard(ada)) == [f"reply.overdue {message} ben"]
    assert kinds(desk.heard(cyd)) == [f"deliver {message}"]
    assert await owed(desk, ada) == [f"{message}: cyd -> ada late"]
    await reply(desk, cyd, message)
    assert await owed(desk, ada) == []


async def test_an_ask_to_any_is_refused_when_nobody_is_left(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "any:cap:x")
    await desk.say(ben, Nack(message=message, reason="not me", retry=False))
    await desk.pass_time(0)
    assert events(desk.heard(ada)) == []
    assert await owed(desk, ada) == [f"{message}: cyd -> ada"]
    await desk.say(cyd, Nack(message=message, reason="nor me", retry=False))
    await desk.pass_time(0)
    (event,) = events(desk.heard(ada))
    assert (event["event"], event["agent"], event["reason"]) == ("reply.refused", "cyd", "nor me")
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}


async def test_a_claimable_ask_follows_the_claim(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "cap:x", claimable=True)
    assert waiting(desk) == {"ada": ["ben", "cyd"]}
    both = [f"{message}: ben -> ada", f"{message}: cyd -> ada"]
    assert await owed(desk, ada) == both
    await desk.say(cyd, Claim(id=4, message=message))
    assert await owed(desk, ada) == [both[1]]
    assert waiting(desk) == {"ada": ["cyd"]}
    await desk.say(cyd, Release(id=5, message=message, fence=1))
    assert await owed(desk, ada) == both
    assert waiting(desk) == {"ada": ["ben", "cyd"]}
    await desk.say(ben, Claim(id=4, message=message))
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}
    await desk.pass_time(100)
    assert [event["event"] for event in events(desk.heard(ada))] == []


async def test_any_recipients_reply_closes_a_claimable_ask(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(cyd, Claim(id=4, message=message))
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []
    assert waiting(desk) == {}
    await desk.say(cyd, Release(id=5, message=message, fence=1))
    assert await owed(desk, ada) == [], "answered is answered"


async def test_who_comes_later_and_claims_owes_the_reply(desk: Desk) -> None:
    ada = await desk.agent("ada")
    message = await ask(desk, ada, "cap:x", claimable=True)
    ben = await desk.agent("ben", caps=["x"])
    await desk.say(ben, Claim(id=4, message=message))
    assert await owed(desk, ada) == [f"{message}: ben -> ada"]
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []


async def test_work_that_fails_for_good_will_not_be_answered(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", caps=["x"])
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(ben, Claim(id=4, message=message))
    await desk.say(ben, Fail(id=5, message=message, fence=1, reason="broken", retry=False))
    (event,) = events(desk.heard(ada))
    assert (event["event"], event["stage"], event["reason"]) == ("reply.refused", "dead", "broken")
    assert await owed(desk, ada) == []


async def test_work_that_was_completed_still_owes_its_reply(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", caps=["x"])
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(ben, Claim(id=4, message=message))
    await desk.say(ben, Complete(id=5, message=message, fence=1))
    assert await owed(desk, ada) == [f"{message}: ben -> ada"]


async def test_an_ask_that_was_given_up_does_not_come_back_with_its_work(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", caps=["x"])
    cyd = await desk.agent("cyd", caps=["x"])
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(ben, Claim(id=4, message=message))
    await desk.say(ada, Send(id=5, to="ada", body="never mind", supersedes=message))
    await desk.say(ben, Release(id=6, message=message, fence=1))
    assert await owed(desk, ada) == await owed(desk, cyd) == []


# -- rings -----------------------------------------------------------------------------------------------------------


async def test_two_that_ask_each_other_are_told_and_the_second_ask_is_not_stored(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    first = await ask(desk, ada, "ben")
    desk.heard(ben)
    (error,) = await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))
    assert (error["op"], error["re"], error["code"]) == ("error", 7, "deadlock")
    assert error["detail"] == {"ring": ["ben", "ada"], "messages": [first]}
    assert "ben waits for ada, ada for ben" in error["message"]
    assert desk.heard(ada) == []
    assert await owed(desk, ben) == [f"{first}: ben -> ada"]
    assert waiting(desk) == {"ada": ["ben"]}
    (error,) = await desk.say(ben, Receipts(id=8, message=first + 1))
    assert error["code"] == "unknown_message", "nothing was stored"
    await reply(desk, ben, first)
    assert await ask(desk, ben, "ada") > first, "the way is free"


@pytest.mark.parametrize("size", [2, 3, 7, 40])
async def test_a_ring_of_any_length_is_found_when_it_closes(desk: Desk, size: int) -> None:
    names = [f"w{number:02}" for number in range(size)]
    sessions = [await desk.agent(name) for name in names]
    asks = [await ask(desk, session, after) for session, after in zip(sessions, names[1:], strict=False)]
    desk.heard(sessions[-1])
    (error,) = await desk.say(sessions[-1], Send(id=7, to=names[0], body="?", expect_reply_s=60))
    assert error["code"] == "deadlock"
    assert error["detail"]["ring"] == [names[-1], *names[:-1]][:32]
    assert error["detail"]["messages"] == asks
    desk.heard(sessions[0])
    (ok,) = await desk.say(sessions[-1], Send(id=8, to=names[0], body="?", expect_reply_s=60, waits=False))
    assert ok["op"] == "ok", "who does not wait closes no ring"


async def test_who_asks_itself_and_waits_waits_for_ever(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (error,) = await desk.say(ada, Send(id=7, to="ada", body="?", expect_reply_s=60))
    assert (error["code"], error["detail"]) == ("deadlock", {"ring": ["ada"], "messages": []})


async def test_both_asks_in_one_turn_close_a_ring_as_well(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    desk.put(ada, Send(id=1, to="ben", body="?", expect_reply_s=60))
    desk.put(ben, Send(id=2, to="ada", body="?", expect_reply_s=60))
    await desk.turn()
    assert kinds(desk.heard(ada)) == ["ok"]
    heard = desk.heard(ben)
    assert sorted(kinds(heard)) == ["deliver 1", "error deadlock"]


@pytest.mark.parametrize(
    "ending", ["waits", "deadline", "reply", "takeover", "bye", "refused", "superseded", "visit", "not accepted"]
)
async def test_what_has_ended_is_no_wait(desk: Desk, ending: str) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben")
    asker = ada
    if ending == "visit":
        asker = await desk.agent("ada", visit=True)
    if ending == "not accepted":
        (error,) = await desk.say(ada, Send(id=9, to="ben", body="?", expect_reply_s=60, reply_to=999))
        assert error["code"] == "unknown_message"
    else:
        message = await ask(desk, asker, "ben", waits=ending != "waits")
        await desk.say(ben, Ack(messages=[message], stage="surfaced"))
    match ending:
        case "deadline":
            await desk.pass_time(60)
        case "reply":
            await reply(desk, ben, message)
        case "takeover":
            ada, _ = await come_back(desk, "ada", instance="another")
        case "bye":
            await desk.say(ada, Bye())
        case "refused":
            await desk.say(ben, Nack(message=message, reason="no", retry=False))
        case "superseded":
            await desk.say(ada, Send(id=9, to="ben", body="never mind", supersedes=message))
    assert waiting(desk) == {}
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60)))[-1] == "ok"


async def test_the_same_instance_waits_on_after_a_reconnect(desk: Desk) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben")
    await ask(desk, ada, "ben")
    desk.broker.lost(ada)
    await come_back(desk, "ada", instance="a")
    desk.heard(ben)
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))) == ["error deadlock"]


async def test_a_ring_through_a_group_is_one_only_when_nobody_of_it_can_go_on(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd")]
    group = await ask(desk, ada, "tag:t")
    await ask(desk, ben, "ada")
    desk.heard(cyd)
    (error,) = await desk.say(cyd, Send(id=7, to="ada", body="?", expect_reply_s=60))
    assert error["code"] == "deadlock"
    assert group in error["detail"]["messages"]


async def test_a_repeated_key_is_no_new_wait(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben", key="k")
    assert await ask(desk, ada, "ben", key="k") == message
    assert len(desk.broker.waits) == 1
    await reply(desk, ben, message)
    assert await ask(desk, ada, "ben", key="k") == message, "the first answer, and nothing is owed anew"
    assert waiting(desk) == {}
    assert await owed(desk, ada) == []


async def test_a_repeated_key_is_answered_like_the_first_time_even_in_a_ring(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", instance="b")
    message = await ask(desk, ben, "ada", key="k")
    ben, _ = await come_back(desk, "ben", instance="b2")
    await ask(desk, ada, "ben")
    desk.heard(ben)
    (ok,) = await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60, key="k"))
    assert (ok["message"], ok["duplicate"]) == (message, True)
    assert kinds(await desk.say(ben, Send(id=8, to="ada", body="?", expect_reply_s=60, key="k2"))) == ["error deadlock"]
    assert kinds(await desk.say(ben, Send(id=9, to="ada", body="!", key="k2"))) == ["ok"], "the key was not used up"


async def test_a_restart_knows_who_waits(desk: Desk) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben", instance="b")
    dan = await desk.agent("dan", instance="d")
    _, cyd = [await desk.agent(name, caps=["x"], instance=name) for name in ("eve", "cyd")]
    work = await ask(desk, dan, "cap:x", claimable=True)
    await desk.say(cyd, Claim(id=2, message=work))
    first = await ask(desk, ada, "ben")
    await ask(desk, ben, "cyd", waits=False)
    await desk.restart(down_s=5)
    assert waiting(desk) == {"ada": ["ben"], "dan": ["cyd"]}
    ben, _ = await come_back(desk, "ben", instance="b")
    (error,) = await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))
    assert error["detail"] == {"ring": ["ben", "ada"], "messages": [first]}
    await come_back(desk, "ada", instance="another")
    await desk.restart(down_s=1)
    assert waiting(desk) == {"dan": ["cyd"]}, "another instance of ada waits for nothing"
    await desk.pass_time(60)
    assert waiting(desk) == {}
    await desk.restart()
    assert waiting(desk) == {}


async def test_who_said_bye_does_not_wait_after_a_restart_either(desk: Desk) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    await desk.say(ada, Bye())
    await desk.restart()
    assert waiting(desk) == {}
    ben, _ = await come_back(desk, "ben")
    assert await owed(desk, ben) == [f"{message}: ben -> ada"], "it is owed all the same"
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))) == ["ok"]


async def test_a_restart_does_not_bring_back_a_wait_that_one_of_a_group_ended(desk: Desk) -> None:
    ada = await desk.agent("ada", instance="a")
    ben, _cyd = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "tag:t")
    await reply(desk, ben, message)
    assert waiting(desk) == {}
    await desk.restart()
    assert waiting(desk) == {}


async def test_an_ask_to_a_thread_waits_for_those_who_take_part(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    (ok,) = await desk.say(ada, Send(id=1, to="ben", body="b"))
    await ask(desk, ada, f"thread:{ok['message']}")
    assert waiting(desk) == {"ada": ["ben"]}
    desk.heard(ben)
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))) == ["error deadlock"]


async def test_a_claim_that_closes_a_ring_gives_up_the_youngest_ask(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    work = await ask(desk, ada, "cap:x", claimable=True)
    young = await ask(desk, ben, "ada")
    desk.heard(ben)
    assert kinds(await desk.say(ben, Claim(id=4, message=work))) == ["ok", f"reply.deadlock {young}"]
    assert await owed(desk, ben) == [f"{work}: ben -> ada"]
    assert waiting(desk) == {"ada": ["ben"]}
    assert await owed(desk, cyd) == []


async def test_the_event_of_a_ring_names_it_to_the_asker_of_its_youngest_ask(desk: Desk) -> None:
    ada, ben, cyd = [await desk.agent(name) for name in ("ada", "ben", "cyd")]
    dan, _eve = [await desk.agent(name, caps=["x"]) for name in ("dan", "eve")]
    work = await ask(desk, ada, "cap:x", claimable=True)
    await ask(desk, ben, "ada")
    await ask(desk, cyd, "ben")
    young = await ask(desk, dan, "cyd")
    desk.heard(dan)
    heard = await desk.say(dan, Claim(id=4, message=work))
    (event,) = events(heard)
    assert (event["event"], event["message"]) == ("reply.deadlock", young)
    assert event["ring"] == ["ada", "dan", "cyd", "ben"]
    assert "waits for" in event["reason"]
    await desk.pass_time(60)
    assert f"reply.overdue {young} cyd" not in kinds(desk.heard(dan)), "nothing is owed for it any more"


async def test_a_claim_and_an_ask_in_one_turn_close_a_ring_as_well(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, _cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    work = await ask(desk, ada, "cap:x", claimable=True)
    heard = await desk.say(ben, Claim(id=4, message=work), Send(id=5, to="ada", body="?", expect_reply_s=60))
    assert sorted(kinds(heard)) == ["deliver 1", "ok", "ok", "reply.deadlock 2"]
    assert waiting(desk) == {"ada": ["ben"]}
    assert await owed(desk, ben) == [f"{work}: ben -> ada"]


async def test_a_refusal_that_leaves_only_those_who_wait_closes_a_ring(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd")]
    await ask(desk, ada, "tag:t")
    young = await ask(desk, ben, "ada")
    desk.heard(ben)
    await desk.say(cyd, Nack(message=1, reason="no", retry=False))
    assert kinds(desk.heard(ben)) == [f"reply.deadlock {young}"]
    assert waiting(desk) == {"ada": ["ben"]}


async def test_an_offer_that_is_passed_on_to_one_who_waits_closes_a_ring(desk: Desk) -> None:
    ada = await desk.agent("ada")
    _ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    await ask(desk, ada, "any:cap:x", offer_s=10)
    young = await ask(desk, cyd, "ada")
    assert waiting(desk) == {"ada": ["ben"], "cyd": ["ada"]}
    await desk.pass_time(10)
    assert sorted(kinds(desk.heard(cyd))) == ["deliver 1", f"reply.deadlock {young}"]
    assert waiting(desk) == {"ada": ["cyd"]}


async def test_an_ask_that_a_ring_gave_up_does_not_come_back_with_its_work(desk: Desk) -> None:
    ada = await desk.agent("ada", caps=["y"])
    ben, cyd = await desk.agent("ben", caps=["x"]), await desk.agent("cyd", caps=["x", "y"])
    work = await ask(desk, ada, "cap:x", claimable=True)
    young = await ask(desk, ben, "cap:y", claimable=True)
    await desk.say(ada, Claim(id=4, message=young))
    desk.heard(ben)
    assert f"reply.deadlock {young}" in kinds(await desk.say(ben, Claim(id=4, message=work)))
    await desk.say(ada, Release(id=5, message=young, fence=1))
    assert await owed(desk, cyd) == []
    assert await owed(desk, ben) == [f"{work}: ben -> ada"]


async def test_an_overdue_claimable_ask_is_owed_by_all_again_when_its_holder_gives_it_back(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ben, cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "cap:x", claimable=True, expect_reply_s=10)
    await desk.say(cyd, Claim(id=4, message=message))
    await desk.pass_time(20)
    assert kinds(events(desk.heard(ada))) == [f"reply.overdue {message} cyd"]
    await desk.say(cyd, Release(id=5, message=message, fence=1))
    assert await owed(desk, ada) == [f"{message}: ben -> ada late", f"{message}: cyd -> ada late"]
    await desk.pass_time(100)
    assert events(desk.heard(ada)) == [], "it was told once"
    await reply(desk, ben, message)
    assert await owed(desk, ada) == []


async def test_the_deadline_of_an_ask_that_nobody_had_at_first_is_told(desk: Desk) -> None:
    ada = await desk.agent("ada")
    message = await ask(desk, ada, "cap:x", claimable=True, expect_reply_s=30)
    ben = await desk.agent("ben", caps=["x"])
    await desk.say(ben, Claim(id=4, message=message))
    await desk.pass_time(30)
    assert kinds(desk.heard(ada)) == [f"reply.overdue {message} ben"]


async def test_a_full_inbox_is_nobody_to_wait_for(tmp_path: Path) -> None:
    desk = await Desk(tmp_path / "small", Limits(inbox_messages_max=1)).open()
    ada = await desk.agent("ada")
    ben, _cyd = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd")]
    await desk.say(ada, Send(id=1, to="cyd", body="x"))
    await ask(desk, ada, "tag:t")
    assert waiting(desk) == {"ada": ["ben"]}
    desk.heard(ben)
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))) == ["error deadlock"]
    await desk.close()


async def test_a_holder_that_refuses_ends_the_wait_though_others_may_still_answer(desk: Desk) -> None:
    ada = await desk.agent("ada", instance="a")
    ben, _cyd = [await desk.agent(name, caps=["x"]) for name in ("ben", "cyd")]
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(ben, Claim(id=4, message=message), Nack(message=message, reason="no", retry=False))
    assert kinds(events(desk.heard(ada))) == [f"reply.refused {message} ben"]
    assert waiting(desk) == {}
    await desk.say(ben, Release(id=5, message=message, fence=1))
    assert await owed(desk, ada) == [f"{message}: cyd -> ada"]
    await desk.restart()
    assert waiting(desk) == {}


@pytest.mark.parametrize("comes_by", ["register", "update"])
async def test_who_is_given_the_work_of_an_ask_later_owes_the_reply_and_can_end_the_wait(
    desk: Desk, comes_by: str
) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben", caps=["x"], instance="b")
    message = await ask(desk, ada, "cap:x", claimable=True)
    cyd = await desk.agent("cyd", caps=["x"] if comes_by == "register" else [])
    if comes_by == "update":
        await desk.say(cyd, Update(id=2, caps=["x"]))
    assert waiting(desk) == {"ada": ["ben", "cyd"]}
    assert await owed(desk, ada) == [f"{message}: ben -> ada", f"{message}: cyd -> ada"]
    desk.heard(ben)
    assert kinds(await desk.say(ben, Send(id=7, to="ada", body="?", expect_reply_s=60))) == ["ok"], "cyd can answer ada"
    await desk.restart()
    assert waiting(desk) == {"ada": ["ben", "cyd"], "ben": ["ada"]}
    cyd, _ = await come_back(desk, "cyd", caps=["x"])
    await reply(desk, cyd, message)
    assert await owed(desk, ada) == [f"{message + 1}: ada -> ben"]


async def test_who_comes_while_another_holds_the_work_owes_nothing_until_it_is_given_back(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben", caps=["x"])
    message = await ask(desk, ada, "cap:x", claimable=True)
    await desk.say(ben, Claim(id=4, message=message))
    cyd = await desk.agent("cyd", caps=["x"])
    assert await owed(desk, cyd) == []
    assert waiting(desk) == {"ada": ["ben"]}
    await desk.say(ben, Release(id=5, message=message, fence=1))
    assert await owed(desk, cyd) == [f"{message}: cyd -> ada"]
    assert waiting(desk) == {"ada": ["ben", "cyd"]}


@pytest.mark.parametrize("to", ["ben", "thread:1"])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_wait_whose_end_nobody_tells_is_forgotten(desk: Desk, to: str, restarted: bool) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    await desk.say(ben, Send(id=1, to="ada", body="a thread"))
    await ask(desk, ada, to)
    if restarted:
        await desk.restart(down_s=5)
    desk.now = 60 + WAIT_SLACK_S - 1
    desk.deadlines.run(desk.now)  # and the store is not asked
    assert waiting(desk) == {"ada": ["ben"]}
    desk.now += 1
    desk.deadlines.run(desk.now)
    assert waiting(desk) == {}


# -- replies that turn out to end nothing ----------------------------------------------------------------------------


async def test_a_plain_reply_that_answered_nothing_ends_no_wait(desk: Desk) -> None:
    ada, dan = await desk.agent("ada"), await desk.agent("dan")
    ben, _cyd = [await desk.agent(name, tags=["t"]) for name in ("ben", "cyd")]
    (ok,) = await desk.say(ben, Send(id=1, to="ada", body="a thread"))
    message = await ask(desk, ada, "tag:t", thread=ok["message"])
    await ask(desk, ada, "dan")
    before = desk.broker.waits.asked_by("ada")
    await desk.say(
        ben, Nack(message=message, reason="no", retry=False), Send(id=2, to="ada", body="!", reply_to=message)
    )
    assert desk.broker.waits.asked_by("ada") == before, "the very waits, the oldest first"
    assert [sorted(wait.on) for wait in before] == [["cyd"], ["dan"]], "and ben said that it will not answer"
    assert dan is not None


async def test_who_refuses_and_replies_in_one_breath_is_waited_for_by_nobody(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    await desk.say(
        ben, Nack(message=message, reason="no", retry=False), Send(id=2, to="ada", body="!", reply_to=message)
    )
    assert waiting(desk) == {}
    assert kinds(desk.heard(ada)) == [f"reply.refused {message} ben", f"deliver {message + 1}"]


@pytest.mark.parametrize("ending", ["forgive", "bye", "takeover"])
async def test_a_wait_that_ended_while_a_reply_was_on_its_way_does_not_come_back_when_that_is_refused(
    desk: Desk, ending: str
) -> None:
    ada, ben = await desk.agent("ada", instance="a"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    refused = Send(id=2, to="ada", body="!", reply_to=message, caused_by=999)
    match ending:
        case "forgive":
            desk.put(ben, refused)
            desk.put(ada, Forgive(id=2, message=message))
        case "bye":
            desk.put(ben, refused)
            desk.put(ada, Bye())
        case "takeover":
            desk.put(desk.connect(), Register(id=0, agent="ada", instance="another"))
            desk.put(ben, refused)
    await desk.turn()
    assert kinds(desk.heard(ben))[-1] == "error unknown_message"
    assert waiting(desk) == {}
    assert desk.broker.waits.of(message) is None


async def test_who_answers_with_what_is_refused_and_asks_in_one_breath_closes_a_ring(desk: Desk) -> None:
    ada, ben = await desk.agent("ada"), await desk.agent("ben")
    message = await ask(desk, ada, "ben")
    desk.heard(ben)
    heard = await desk.say(
        ben,
        Send(id=2, to="ada", body="!", reply_to=message, caused_by=999),
        Send(id=3, to="ada", body="?", expect_reply_s=60),
    )
    assert kinds(heard) == ["error unknown_message", "ok", f"reply.deadlock {message + 1}"]
    assert waiting(desk) == {"ada": ["ben"]}, "it waited before"


async def test_an_ask_that_is_forgiven_in_one_breath_with_it_is_waited_for_by_nobody(desk: Desk) -> None:
    ada, _ben = await desk.agent("ada"), await desk.agent("ben")
    desk.put(ada, Send(id=1, to="ben", body="?", expect_reply_s=60), Forgive(id=2, message=1))
    await desk.turn()
    assert kinds(desk.heard(ada)) == ["ok", "ok"]
    assert waiting(desk) == {}
