"""`any:`: one of many, the best placed one, and the next one when that one does not take it. Over the real store."""

from typing import Any

import pytest

from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    Fail,
    GetMessage,
    Heartbeat,
    Nack,
    Receipts,
    Register,
    Release,
    Send,
    Subscribe,
    Update,
)
from relay_proto.limits import OFFER_S_DEFAULT
from relay_server.session import Session
from tests.relay.desk import Desk, kinds


async def offer(desk: Desk, sender: Session, to: str = "any:cap:review", **fields: Any) -> int:
    """Send to any one of many; gives the message."""
    frame: dict[str, Any] = {"body": "x"} | fields
    heard = await desk.say(sender, Send(id=700, to=to, **frame))
    answer = next(answer for answer in heard if answer.get("re") == 700)
    assert answer["op"] == "ok", answer
    return int(answer["message"])


async def states(desk: Desk, session: Session, message: int) -> dict[str, tuple[str, str | None]]:
    """Stage and reason at each who had it."""
    heard = await desk.say(session, Receipts(id=701, message=message))
    (ok,) = [frame for frame in heard if frame.get("re") == 701]
    return {state["agent"]: (state["stage"], state.get("reason")) for state in ok["deliveries"]}


async def reviewers(desk: Desk, *names: str, **fields: Any) -> list[Session]:
    return [await desk.agent(name, caps=["review"], **fields) for name in names]


async def who_has(desk: Desk, session: Session, message: int) -> list[str]:
    return [agent for agent, (stage, _) in (await states(desk, session, message)).items() if stage != "superseded"]


# -- who is best placed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["any:cap:review", "any:tag:red"])
async def test_exactly_one_gets_it_and_never_the_sender(desk: Desk, target: str) -> None:
    ada = await desk.agent("ada", caps=["review"], tags=["red"])
    others = [await desk.agent(name, caps=["review"], tags=["red"]) for name in ("bob", "cy", "dan")]
    heard = await desk.say(ada, Send(id=1, to=target, body="x"))
    assert (heard[0]["recipients"], heard[0]["online"], len(heard)) == (1, 1, 1)
    assert [kinds(desk.heard(other)) for other in others] == [["deliver 1"], [], []]
    assert await states(desk, ada, 1) == {"bob": ("pushed", None)}


async def test_nobody_who_matches_is_an_answer_and_not_an_error(desk: Desk) -> None:
    ada = await desk.agent("ada", caps=["review"])
    (ok,) = await desk.say(ada, Send(id=1, to="any:cap:review", body="x"))
    assert (ok["recipients"], ok["online"]) == (0, 0)
    await desk.pass_time(100)


async def test_idle_comes_before_busy_before_stale_before_offline(desk: Desk) -> None:
    ada = await desk.agent("ada")
    names = ("d-idle", "c-busy", "b-stale", "a-offline")
    sessions = dict(zip(names, await reviewers(desk, *names), strict=True))
    await desk.say(sessions["c-busy"], Heartbeat(status="busy"))
    await desk.say(sessions["d-idle"], Heartbeat(status="idle"))
    desk.broker.lost(sessions["b-stale"])
    await desk.say(sessions["a-offline"], Bye())
    for name in names:
        message = await offer(desk, ada)
        assert await who_has(desk, ada, message) == [name]
        await desk.say(ada, Send(id=2, to=name, body="so that it has something in hand"))
        if name in ("d-idle", "c-busy"):
            await desk.say(sessions[name], Bye())
            await desk.say(ada, Send(id=3, to=name, body="x"))
        agent = desk.broker.directory.agents[name]
        desk.broker.directory.describe(agent, None, (), (), ())


async def test_a_silent_agent_that_only_holds_its_socket_comes_behind_a_busy_one(desk: Desk) -> None:
    ada = await desk.agent("ada")
    silent, busy = await reviewers(desk, "a-silent", "b-busy")
    await desk.pass_time(120)
    await desk.say(busy, Heartbeat(status="busy"))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["b-busy"]
    await desk.say(silent, Heartbeat(status="idle"))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["a-silent"]


async def test_among_equals_the_one_with_the_least_in_hand_gets_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await desk.say(ada, Send(id=1, to="bob", body="x"), Send(id=2, to="bob", body="x"), Send(id=3, to="cy", body="x"))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["cy"]
    await desk.say(bob, Ack(messages=[1, 2]))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["bob"]
    assert kinds(desk.heard(cy)) == ["deliver 3", "deliver 4"]


async def test_among_those_with_nothing_in_hand_the_one_that_is_idle_the_longest_gets_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    sessions = dict(zip(("bob", "cy", "dan"), await reviewers(desk, "bob", "cy", "dan"), strict=True))
    got = []
    for _ in range(6):
        await desk.pass_time(1)
        message = await offer(desk, ada)
        (name,) = await who_has(desk, ada, message)
        got.append(name)
        await desk.say(sessions[name], Ack(messages=[message]))
    assert got == ["bob", "cy", "dan"] * 2
    await desk.pass_time(1)
    message = (await desk.say(ada, Send(id=1, to="bob", body="something else to do")))[0]["message"]
    await desk.pass_time(1)
    await desk.say(sessions["bob"], Ack(messages=[message]))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["cy"]
    assert await who_has(desk, ada, await offer(desk, ada)) == ["dan"], "bob was done with something after both"


async def test_several_in_one_batch_are_spread_over_the_candidates(desk: Desk) -> None:
    ada = await desk.agent("ada")
    sessions = await reviewers(desk, *(f"w{i}" for i in range(4)))
    await desk.say(ada, *(Send(id=i, to="any:cap:review", body="x") for i in range(8)))
    assert [len(desk.heard(session)) for session in sessions] == [2, 2, 2, 2]
    assert desk.broker.promised == {}


async def test_a_send_that_is_refused_or_repeated_leaves_nobody_looking_busier_than_it_is(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await desk.say(ada, Send(id=1, to="any:cap:review", body="x", key="k"))
    for again in range(10):
        await desk.say(
            ada,
            Send(id=2, to="any:cap:review", body="x", key="k"),
            Send(id=3, to="any:cap:review", body="x", reply_to=99),
            Send(id=4, to="any:cap:review", body="x", supersedes=99, key=f"k{again}"),
            Send(id=5, to="any:cap:review", body="other", key="k"),
        )
    assert desk.broker.promised == {}
    assert kinds(desk.heard(bob)) == ["deliver 1"]
    assert await who_has(desk, ada, await offer(desk, ada)) == ["cy"]
    assert kinds(desk.heard(cy)) == ["deliver 2"]


async def test_what_changes_about_a_candidate_takes_effect_at_the_next_message(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await desk.say(bob, Update(id=1, caps=[]))
    assert await who_has(desk, ada, await offer(desk, ada)) == ["cy"]
    await desk.say(cy, Update(id=2, caps=["build"]))
    (ok,) = await desk.say(ada, Send(id=3, to="any:cap:review", body="x"))
    assert ok["recipients"] == 0


# -- what is not taken goes to the next one --------------------------------------------------------------------------


async def test_an_offer_that_nobody_takes_goes_to_the_next_and_the_first_is_told(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada)
    await desk.pass_time(OFFER_S_DEFAULT - 0.001)
    assert (kinds(desk.heard(bob)), desk.heard(cy)) == (["deliver 1"], [])
    await desk.pass_time(0.001)
    (event,) = desk.heard(bob)
    assert {name: event[name] for name in ("event", "message", "stage", "reason")} == {
        "event": "withdrawn", "message": message, "stage": "superseded", "reason": "offered to cy",
    }  # fmt: skip
    assert kinds(desk.heard(cy)) == ["deliver 1"]
    assert await states(desk, ada, message) == {"bob": ("superseded", "offered to cy"), "cy": ("pushed", None)}
    assert message not in bob.unacked, "it costs no credit any more"
    await desk.say(cy, Ack(messages=[message]))
    await desk.pass_time(1000)
    assert [desk.heard(bob), desk.heard(cy)] == [[], []]
    assert await states(desk, ada, message) == {"bob": ("superseded", "offered to cy"), "cy": ("done", None)}


async def test_offer_s_says_how_long_one_has_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=2.5)
    await desk.pass_time(2.4)
    assert await who_has(desk, ada, message) == ["bob"]
    await desk.pass_time(0.2)
    assert await who_has(desk, ada, message) == ["cy"]
    assert (kinds(desk.heard(bob)), kinds(desk.heard(cy))) == (["deliver 1", "withdrawn 1"], ["deliver 1"])


async def test_those_who_have_not_had_it_come_first_and_then_it_goes_round(desk: Desk) -> None:
    ada = await desk.agent("ada")
    sessions = await reviewers(desk, "bob", "cy", "dan")
    message = await offer(desk, ada, offer_s=10)
    had = []
    for _ in range(5):
        had += await who_has(desk, ada, message)
        await desk.pass_time(10)
    assert sorted(had[:3]) == ["bob", "cy", "dan"]
    assert had[3] != had[2]
    assert had[4] != had[3]
    first = sessions[("bob", "cy", "dan").index(had[0])]
    attempts = [frame["attempt"] for frame in desk.heard(first) if frame["op"] == "deliver"]
    assert attempts == list(range(1, len(attempts) + 1))


async def test_alone_it_stays_and_is_not_pushed_again(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, offer_s=10)
    await desk.pass_time(95)
    assert kinds(desk.heard(bob)) == ["deliver 1"]
    assert await states(desk, ada, message) == {"bob": ("pushed", None)}
    (cy,) = await reviewers(desk, "cy")
    await desk.pass_time(10)
    assert await states(desk, ada, message) == {"bob": ("superseded", "offered to cy"), "cy": ("pushed", None)}
    assert kinds(desk.heard(cy)) == ["deliver 1"]


@pytest.mark.parametrize("stage", ["surfaced", "done"])
async def test_what_was_acked_is_not_offered_to_another(desk: Desk, stage: Any) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10)
    await desk.pass_time(9)
    await desk.say(bob, Ack(messages=[message], stage=stage))
    await desk.pass_time(1000)
    assert await states(desk, ada, message) == {"bob": (stage, None)}
    assert desk.heard(cy) == []


async def test_what_was_claimed_is_not_offered_to_another(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10, claimable=True)
    desk.heard(bob)
    assert kinds(await desk.say(bob, Claim(id=1, message=message, lease_s=3600))) == ["ok"]
    await desk.pass_time(1000)
    assert await who_has(desk, ada, message) == ["bob"]
    assert desk.heard(cy) == []
    assert kinds(await desk.say(bob, Complete(id=2, message=message, fence=1))) == ["ok"]
    await desk.pass_time(1000)
    assert await states(desk, ada, message) == {"bob": ("done", None)}


async def test_whoever_declines_passes_it_on_at_once_and_never_gets_it_again(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10)
    desk.heard(bob)
    await desk.say(bob, Nack(id=1, message=message, reason="not mine", retry=False))
    await desk.pass_time(0)
    assert kinds(desk.heard(cy)) == ["deliver 1"]
    await desk.pass_time(100)
    assert await states(desk, ada, message) == {"bob": ("nacked", "not mine"), "cy": ("pushed", None)}
    assert desk.heard(bob) == [], "alone now, cy keeps it"


async def test_when_all_have_declined_it_stays_refused_and_is_the_askers_to_know(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10, expect_reply_s=60)
    await desk.say(bob, Nack(message=message, reason="not mine", retry=False))
    await desk.pass_time(0)
    assert desk.heard(ada) == [], "cy may still answer"
    await desk.say(cy, Nack(message=message, reason="nor mine", retry=False))
    await desk.pass_time(0)
    (event,) = desk.heard(ada)
    assert {name: event[name] for name in ("event", "message", "agent", "stage", "reason")} == {
        "event": "reply.refused", "message": message, "agent": "cy", "stage": "nacked", "reason": "nor mine",
    }  # fmt: skip
    await desk.pass_time(1000)
    assert desk.heard(ada) == []
    assert await states(desk, ada, message) == {"bob": ("nacked", "not mine"), "cy": ("nacked", "nor mine")}
    (dan,) = await reviewers(desk, "dan")
    await desk.pass_time(1000)
    assert desk.heard(dan) == [], "it is over"


async def test_a_nack_with_retry_keeps_it_where_it_is_until_its_offer_lapses(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await offer(desk, ada, offer_s=10)
    assert kinds(await desk.say(bob, Nack(message=1, reason="in a moment", delay_s=3))) == ["deliver 1"]
    await desk.pass_time(5)
    assert kinds(desk.heard(bob)) == ["deliver 1 #2"]
    await desk.pass_time(5)
    assert kinds(desk.heard(cy)) == ["deliver 1"]


async def test_an_offer_waits_for_its_time_and_lapses_after_that(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10, delay_s=60)
    await desk.pass_time(59)
    assert [desk.heard(bob), desk.heard(cy)] == [[], []]
    await desk.pass_time(10.5)
    assert (kinds(desk.heard(bob)), desk.heard(cy)) == (["deliver 1"], [])
    await desk.pass_time(1)
    assert await who_has(desk, ada, message) == ["cy"]


async def test_an_offer_that_goes_round_still_ends_at_its_time(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=10, ttl_s=25)
    await desk.pass_time(1000)
    found = await states(desk, ada, message)
    assert sorted(stage for stage, _ in found.values()) == ["expired", "superseded"]
    assert len(desk.heard(bob)) + len(desk.heard(cy)) == 3 + 3, "three deliveries, each of them withdrawn"


async def test_the_sender_hears_of_each_that_had_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await reviewers(desk, "bob", "cy")
    await desk.say(ada, Subscribe(id=1, events=["receipt"]))
    await offer(desk, ada, offer_s=10)
    await desk.pass_time(10)
    told = [(event["agent"], event["stage"]) for event in desk.heard(ada) if event["op"] == "event"]
    assert sorted(told) == [("bob", "superseded"), ("cy", "pushed")]


async def test_it_does_not_wander_to_those_who_are_away_and_comes_to_them_when_they_are_back(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await desk.say(cy, Bye())
    message = await offer(desk, ada, offer_s=10)
    await desk.pass_time(95)
    assert await who_has(desk, ada, message) == ["bob"]
    desk.broker.lost(bob)
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="cy", caps=["review"]))) == ["ok"]
    await desk.pass_time(10)
    assert kinds(desk.heard(back)) == ["deliver 1"]
    bob_again = desk.connect()
    assert kinds(await desk.say(bob_again, Register(id=2, agent="bob", caps=["review"]))) == ["ok"]


async def test_what_is_declined_goes_to_one_who_is_away_rather_than_to_nobody(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    desk.broker.lost(cy)
    message = await offer(desk, ada, expect_reply_s=600)
    await desk.say(bob, Nack(message=message, reason="not mine", retry=False))
    await desk.pass_time(0)
    assert desk.heard(ada) == [], "cy may come back and answer"
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="cy", caps=["review"])))[::2] == ["ok", "deliver 1"]


async def test_offers_survive_a_restart_of_the_relay(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, offer_s=30)
    await desk.restart(down_s=20)
    ada = await desk.agent("ada")
    _, cy = await reviewers(desk, "bob", "cy")
    assert (await who_has(desk, ada, message), kinds(desk.heard(cy))) == (["bob"], [])
    await desk.pass_time(9)
    assert await who_has(desk, ada, message) == ["bob"]
    await desk.pass_time(2)
    assert (await who_has(desk, ada, message), kinds(desk.heard(cy))) == (["cy"], ["deliver 1"])
    await desk.restart(down_s=3600)
    ada = await desk.agent("ada")
    await reviewers(desk, "bob", "cy")
    await desk.pass_time(0)
    assert await who_has(desk, ada, message) == ["bob"], "it had lapsed while the relay was down"


async def test_only_what_is_for_any_one_of_many_can_be_offered_on(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", caps=["review"], channels=["c"])
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    for target in ("bob", "cap:review", "channel:c", "ALL", "thread:1"):
        (error,) = await desk.say(ada, Send(id=2, to=target, body="x", offer_s=5))
        assert error["code"] == "bad_request"
        assert "offer_s is 5" in error["message"]
    (ok,) = await desk.say(ada, Send(id=3, to="bob", body="x"))
    assert ok["message"] == 2, "nothing was stored in between"


# -- work for any one of many ----------------------------------------------------------------------------------------


async def work_of(desk: Desk, session: Session, message: int) -> dict[str, Any]:
    (ok,) = await desk.say(session, GetMessage(id=702, message=message))
    work: dict[str, Any] = ok["item"]["work"]
    return work


async def test_work_that_its_holder_gives_back_goes_to_another(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, claimable=True)
    await desk.say(bob, Claim(id=1, message=message))
    desk.heard(bob)
    await desk.say(bob, Release(id=2, message=message, fence=1))
    await desk.pass_time(0)
    assert kinds(desk.heard(cy)) == ["deliver 1"]
    assert await states(desk, ada, message) == {"bob": ("superseded", "offered to cy"), "cy": ("pushed", None)}
    (ok,) = await desk.say(cy, Claim(id=3, message=message))
    assert ok["fence"] == 2


async def test_work_whose_holder_says_bye_or_falls_silent_goes_to_another(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    first = await offer(desk, ada, claimable=True)
    await desk.say(bob, Claim(id=1, message=first, lease_s=3600))
    await desk.say(bob, Bye())
    await desk.pass_time(0)
    assert kinds(desk.heard(cy)) == [f"deliver {first}"]
    await desk.say(cy, Claim(id=2, message=first, lease_s=3600))
    (dan,) = await reviewers(desk, "dan")
    second = await offer(desk, ada, claimable=True)
    assert kinds(desk.heard(dan)) == [f"deliver {second}"]
    await desk.say(dan, Claim(id=3, message=second, lease_s=10))
    desk.heard(dan)
    await desk.pass_time(9.9)
    assert await who_has(desk, ada, second) == ["dan"]
    await desk.pass_time(0.1)
    assert await who_has(desk, ada, second) in (["bob"], ["cy"])
    assert (await work_of(desk, ada, second))["state"] == "ready"


async def test_work_that_failed_goes_to_another_after_its_backoff(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    message = await offer(desk, ada, claimable=True)
    await desk.say(bob, Claim(id=1, message=message))
    await desk.say(bob, Fail(id=2, message=message, fence=1, reason="no compiler"))
    await desk.pass_time(0.9)
    assert (await work_of(desk, ada, message))["state"] == "delayed"
    assert desk.heard(cy) == []
    await desk.pass_time(0.2)
    assert kinds(desk.heard(cy)) == ["deliver 1"]


@pytest.mark.parametrize("end", ["release", "fail", "silence"])
async def test_work_that_comes_back_to_the_only_candidate_is_offered_to_it_again(desk: Desk, end: str) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, claimable=True)
    await desk.say(bob, Claim(id=1, message=message, lease_s=5))
    if end == "release":
        await desk.say(bob, Release(id=2, message=message, fence=1))
    elif end == "fail":
        await desk.say(bob, Fail(id=2, message=message, fence=1, reason="no compiler"))
    desk.heard(bob)
    await desk.pass_time(10)
    assert [kind for kind in kinds(desk.heard(bob)) if kind.startswith("deliver")] == ["deliver 1 #2"]
    (ok,) = await desk.say(bob, Claim(id=3, message=message))
    assert ok["fence"] == 2


async def test_work_for_any_one_of_many_that_nobody_was_there_for_comes_to_the_first_who_is(desk: Desk) -> None:
    ada = await desk.agent("ada")
    message = await offer(desk, ada, claimable=True, offer_s=10)
    bob = desk.connect()
    assert kinds(await desk.say(bob, Register(id=1, agent="bob", caps=["review"]))) == ["ok", "deliver 1"]
    cy = desk.connect()
    assert kinds(await desk.say(cy, Register(id=2, agent="cy", caps=["review"]))) == ["ok"], "one has it"
    await desk.pass_time(11)
    assert kinds(desk.heard(cy)) == ["deliver 1"]
    assert await who_has(desk, ada, message) == ["cy"]


async def test_when_an_ask_is_offered_on_the_next_one_owes_the_reply(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cy = await reviewers(desk, "bob", "cy")
    await offer(desk, ada, offer_s=10, expect_reply_s=60)
    await desk.pass_time(10)
    await desk.say(cy, Bye())
    gone = [event for event in desk.heard(ada) if event["op"] == "event"]
    assert [(event["event"], event["agent"]) for event in gone] == [("reply.gone", "cy")]
    await desk.say(bob, Bye())
    assert desk.heard(ada) == [], "bob owes nothing any more"


async def test_work_that_all_have_declined_comes_to_who_is_new(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, claimable=True)
    await desk.say(bob, Nack(message=message, reason="not mine", retry=False))
    await desk.pass_time(60)
    assert await states(desk, ada, message) == {"bob": ("nacked", "not mine")}
    cy = desk.connect()
    assert kinds(await desk.say(cy, Register(id=1, agent="cy", caps=["review"]))) == ["ok", "deliver 1"]
    dan = await desk.agent("dan")
    assert kinds(await desk.say(dan, Update(id=2, caps=["review"]))) == ["ok"]
    await desk.pass_time(31)
    assert kinds(desk.heard(dan)) == ["deliver 1"]


async def test_work_that_somebody_holds_is_not_offered_to_who_is_new(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, claimable=True)
    await desk.say(bob, Claim(id=1, message=message, lease_s=3600))
    await desk.say(bob, Ack(messages=[message]))
    cy = desk.connect()
    assert kinds(await desk.say(cy, Register(id=2, agent="cy", caps=["review"]))) == ["ok"]
    await desk.pass_time(100)
    assert desk.heard(cy) == []
    await desk.say(bob, Release(id=3, message=message, fence=1))
    await desk.pass_time(0)
    assert kinds(desk.heard(cy)) == ["deliver 1"]


# -- work that nobody has any more -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["release", "silence"])
async def test_work_whose_holder_declined_it_and_gave_it_back_goes_to_the_next_who_is_there(
    desk: Desk, how: str
) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, claimable=True)
    assert kinds(desk.heard(bob)) == [f"deliver {message}"]
    (cy,) = await reviewers(desk, "cy")
    desk.put(bob, Claim(id=1, message=message, lease_s=30), Nack(message=message, reason="not mine", retry=False))
    await desk.turn()
    desk.heard(bob)
    if how == "release":
        await desk.say(bob, Release(id=2, message=message, fence=1))
    await desk.pass_time(0 if how == "release" else 31)
    assert kinds(desk.heard(cy)) == [f"deliver {message}"]
    assert f"deliver {message}" not in " ".join(kinds(desk.heard(bob))), "it said that it is not for it"
    assert kinds(await desk.say(cy, Claim(id=3, message=message))) == ["ok"]


async def test_work_that_all_who_are_there_declined_waits_for_one_who_comes(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (bob,) = await reviewers(desk, "bob")
    message = await offer(desk, ada, claimable=True)
    desk.put(bob, Claim(id=1, message=message), Nack(message=message, reason="not mine", retry=False))
    await desk.turn()
    await desk.say(bob, Release(id=2, message=message, fence=1))
    await desk.pass_time(OFFER_S_DEFAULT * 3)
    late = desk.connect()
    heard = await desk.say(late, Register(id=0, agent="late", caps=["review"]))
    assert f"deliver {message}" in kinds(heard)
