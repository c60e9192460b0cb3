"""Quotas as senders meet them: how fast, how often round in a circle, how much an inbox holds. Over the real store.

quota.py alone is tested in test_quota.py.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from relay_proto.frames import Ack, Claim, Complete, Fail, Inbox, Nack, Receipts, Register, Release, Send
from relay_server.quota import Limits
from relay_server.session import Session
from relay_server.store import interface as ask
from tests.relay.desk import Desk, kinds

MakeDesk = Callable[[Limits], Awaitable[Desk]]
ROUND_S = 6.0
"""Seconds in which one of ten a minute is back."""


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeDesk]:
    """Desks with other limits than the default ones."""
    made: list[Desk] = []

    async def make(limits: Limits) -> Desk:
        made.append(await Desk(tmp_path / f"desk-{len(made)}", quotas=limits).open())
        return made[-1]

    yield make
    for desk in made:
        await desk.close()


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> dict[str, Any]:
    """One send, and its answer."""
    frame: dict[str, Any] = {"body": "x"} | fields
    heard = await desk.say(session, Send(id=700, to=to, **frame))
    return next(answer for answer in heard if answer.get("re") == 700)


async def fill(desk: Desk, session: Session, to: str, count: int, **fields: Any) -> list[int]:
    """So many sends that are accepted."""
    answers = [await send(desk, session, to, **fields) for _ in range(count)]
    assert [answer["op"] for answer in answers] == ["ok"] * count, answers[-1]
    return [answer["message"] for answer in answers]


async def inbox(desk: Desk, agent: str) -> list[int]:
    """What is open in an inbox, as the store has it."""
    answers = await desk.store.look_up([ask.InboxPage(None, 1, agent, 1000, 0, None, True, 10**6)], desk.now_ms)
    assert isinstance(answers[0], ask.Page)
    return [item.message for item in answers[0].items]


async def states(desk: Desk, session: Session, message: int) -> dict[str, tuple[str, str | None]]:
    heard = await desk.say(session, Receipts(id=701, message=message))
    (ok,) = [frame for frame in heard if frame.get("re") == 701]
    return {state["agent"]: (state["stage"], state.get("reason")) for state in ok["deliveries"]}


# -- how fast --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["ALL", "tag:red", "cap:review", "label:Crew", "channel:ops", "thread:1", "cap:none"]
)
async def test_an_eleventh_group_send_within_a_minute_waits_its_turn(desk: Desk, target: str) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", tags=["red"], caps=["review"], label="Crew", channels=["ops"])
    await fill(desk, ada, "bob", 1)
    messages = await fill(desk, ada, target, 10)
    error = await send(desk, ada, target)
    assert (error["code"], error["retry_after_s"]) == ("rate_limited", ROUND_S)
    assert error["detail"] == {"code": "group_rate", "limit": 10}
    assert "group_per_minute is 10" in error["message"]
    assert len(await inbox(desk, "bob")) in (1, 11)
    await desk.pass_time(ROUND_S - 0.01)
    assert (await send(desk, ada, target))["code"] == "rate_limited"
    await desk.pass_time(0.01)
    assert (await send(desk, ada, target))["message"] == messages[-1] + 1, "what was refused left no trace"
    assert (await send(desk, ada, target))["code"] == "rate_limited"


async def test_the_storm_of_one_slows_nobody_else_and_none_of_its_direct_messages(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", tags=["red"])
    await fill(desk, ada, "ALL", 10)
    assert (await send(desk, ada, "ALL"))["code"] == "rate_limited"
    await fill(desk, ada, "bob", 50)
    await fill(desk, ada, "any:tag:red", 50)
    await fill(desk, bob, "ALL", 10)


async def test_work_for_a_group_is_no_storm(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", caps=["review"])
    await fill(desk, ada, "cap:review", 50, claimable=True)
    await fill(desk, ada, "cap:review", 10)
    assert (await send(desk, ada, "cap:review"))["code"] == "rate_limited"
    await fill(desk, ada, "cap:review", 5, claimable=True)


async def test_a_runaway_loop_is_slowed_to_so_many_messages_a_second(make: MakeDesk) -> None:
    desk = await make(Limits(send_per_s=5))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    heard = await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(8)))
    assert sorted(kinds(heard)) == ["error rate_limited"] * 3 + ["ok"] * 5
    error = next(frame for frame in heard if frame["op"] == "error")
    assert (error["retry_after_s"], error["detail"]) == (0.2, {"code": "send_rate", "limit": 5})
    assert len(await inbox(desk, "bob")) == 5
    await desk.pass_time(0.2)
    assert (await send(desk, ada, "bob"))["op"] == "ok"
    assert (await send(desk, ada, "any:cap:none"))["code"] == "rate_limited"
    assert (await send(desk, bob, "ada"))["op"] == "ok", "its own sends, not those to it"


async def test_a_quota_of_zero_is_off(make: MakeDesk) -> None:
    desk = await make(Limits(send_per_s=0, group_per_minute=0, pair_per_minute=0, inbox_messages_max=0))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await fill(desk, ada, "ALL", 50)
    for _ in range(50):
        await fill(desk, ada, "bob", 1)
        await fill(desk, bob, "ada", 1)


# -- round in a circle -----------------------------------------------------------------------------------------------


async def go_round(desk: Desk, one: Session, other: Session, turns_max: int = 100) -> tuple[int, dict[str, Any]]:
    """They answer each other as fast as they can: how many messages got through, and what the next one was told."""
    sessions = (one, other)
    for turn in range(turns_max):
        answer = await send(desk, sessions[turn % 2], str(sessions[1 - turn % 2].agent))
        if answer["op"] == "error":
            return turn, answer
    return turns_max, {}


async def test_two_that_answer_each_other_are_slowed_after_thirty_exchanges_and_not_cut_off(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    count, error = await go_round(desk, ada, bob)
    assert count == 31, "the first message is no exchange"
    assert (error["code"], error["retry_after_s"]) == ("rate_limited", 2.0)
    assert error["detail"] == {"code": "pair_rate", "limit": 30, "with": "ada"}
    await desk.pass_time(2)
    assert (await send(desk, bob, "ada"))["op"] == "ok"
    assert (await send(desk, ada, "bob"))["code"] == "rate_limited"
    await desk.agent("cy")
    assert (await send(desk, ada, "cy"))["op"] == "ok", "with others they talk as before"


async def test_a_circle_through_any_one_of_many_is_a_circle_too(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    for _ in range(15):
        await fill(desk, ada, "any:cap:review", 1)
        await fill(desk, bob, "ada", 1)
    await fill(desk, ada, "any:cap:review", 1)
    error = await send(desk, bob, "ada")
    assert error["detail"] == {"code": "pair_rate", "limit": 30, "with": "ada"}
    assert desk.broker.promised == {}


async def test_a_stream_in_one_direction_is_no_circle(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await fill(desk, ada, "bob", 200)
    await fill(desk, bob, "ada", 200)


@pytest.mark.parametrize("end", ["claim", "complete", "fail"])
async def test_work_that_either_of_them_takes_or_ends_lets_them_go_on(desk: Desk, end: str) -> None:
    ada, bob, lead = [await desk.agent(name) for name in ("ada", "bob", "lead")]
    (message,) = await fill(desk, lead, "bob", 1, claimable=True)
    if end != "claim":
        await desk.say(bob, Claim(id=1, message=message))
    await go_round(desk, ada, bob)
    assert (await go_round(desk, bob, ada))[0] == 0
    frame = {
        "claim": Claim(id=2, message=message),
        "complete": Complete(id=2, message=message, fence=1),
        "fail": Fail(id=2, message=message, fence=1, reason="no"),
    }[end]
    assert kinds(await desk.say(bob, frame))[-1] == "ok"
    assert (await go_round(desk, bob, ada))[0] == 30


async def test_a_release_or_a_refused_claim_is_no_progress(desk: Desk) -> None:
    ada, bob, lead = [await desk.agent(name) for name in ("ada", "bob", "lead")]
    first, second = await fill(desk, lead, "ada", 2, claimable=True)
    await desk.say(ada, Claim(id=1, message=first))
    await go_round(desk, ada, bob)
    await desk.say(ada, Release(id=2, message=first, fence=1))
    await desk.say(ada, Claim(id=3, message=99))
    await desk.say(ada, Complete(id=4, message=second, fence=1))
    assert (await go_round(desk, bob, ada))[0] == 0


async def test_a_person_is_never_slowed_and_its_word_lets_the_others_go_on(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    person = await desk.agent("eve", tags=["human"])
    await go_round(desk, ada, bob)
    assert (await go_round(desk, bob, ada))[0] == 0
    await fill(desk, person, "ada", 1)
    assert (await go_round(desk, bob, ada))[0] == 30
    for _ in range(40):
        await fill(desk, person, "bob", 1)
        await fill(desk, bob, "eve", 1)


# -- how much an inbox holds -----------------------------------------------------------------------------------------


async def test_a_full_inbox_refuses_what_is_new_and_keeps_what_is_old(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = await fill(desk, ada, "bob", 3)
    error = await send(desk, ada, "bob", key="k")
    assert error["code"] == "inbox_full"
    assert error["retry_after_s"] == 1.0
    assert error["detail"] == {
        "agent": "bob", "messages": 3, "messages_max": 3, "bytes": 3, "bytes_max": 64 * 1024 * 1024,
    }  # fmt: skip
    assert "the inbox of bob holds 3 messages (the limit is 3)" in error["message"]
    assert await inbox(desk, "bob") == old
    desk.heard(bob)
    await desk.say(bob, Ack(messages=old[:1]))
    ok = await send(desk, ada, "bob", key="k")
    assert (ok["op"], ok["message"]) == ("ok", old[-1] + 1), "nothing was stored, the key was not used up"
    assert kinds(desk.heard(bob)) == [f"deliver {ok['message']}"]
    assert (await send(desk, ada, "bob"))["code"] == "inbox_full"


async def test_an_inbox_is_full_by_the_bytes_of_its_bodies_too(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_bytes_max=100))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    (large,) = await fill(desk, ada, "bob", 1, body="x" * 60)
    error = await send(desk, ada, "bob", body="ä" * 30)
    assert (error["code"], error["detail"]["bytes"], error["detail"]["bytes_max"]) == ("inbox_full", 60, 100)
    small = await fill(desk, ada, "bob", 1, body=b"\x00" * 40)
    assert await inbox(desk, "bob") == [large, *small]
    assert (await send(desk, ada, "bob", body="y"))["code"] == "inbox_full"
    await desk.say(bob, Ack(messages=[large]))
    await desk.pass_time(1)
    await fill(desk, ada, "bob", 1, body="ä" * 30)


async def test_a_full_inbox_stays_full_however_often_and_slowly_it_is_written_to(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada = await desk.agent("ada")
    await desk.agent("bob")
    old = await fill(desk, ada, "bob", 3)
    for wait_s in (0, 0.5, 1, 1, 2, 30, 61, 130, 1, 1):
        await desk.pass_time(wait_s)
        assert (await send(desk, ada, "bob"))["code"] == "inbox_full", wait_s
        answers = await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(3)))
        assert [answer.get("code") for answer in answers] == ["inbox_full"] * 3
    assert await inbox(desk, "bob") == old


async def test_a_full_inbox_is_full_after_a_restart_too(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada = await desk.agent("ada")
    old = await fill(desk, ada, "bob", 3, hold=True)
    await desk.restart()
    ada = await desk.agent("ada")
    answers = await desk.say(ada, *(Send(id=i, to="bob", body="x", hold=True) for i in range(3)))
    assert [answer.get("code") for answer in answers] == ["inbox_full"] * 3
    assert await inbox(desk, "bob") == old


async def crew(desk: Desk, *full: str) -> tuple[Session, dict[str, Session]]:
    """ada, and bob, cy and dan of the tag red; those in `full` have no room for more."""
    ada = await desk.agent("ada")
    sessions = {name: await desk.agent(name, tags=["red"], caps=["review"]) for name in ("bob", "cy", "dan")}
    for name in full:
        await fill(desk, ada, name, 3)
    for session in sessions.values():
        desk.heard(session)
    return ada, sessions


@pytest.mark.parametrize("settled_s", [0.0, 5.0, 130.0])
async def test_a_group_send_reaches_those_with_room_and_names_the_others(make: MakeDesk, settled_s: float) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, sessions = await crew(desk, "bob", "dan")
    await desk.pass_time(settled_s)
    ok = await send(desk, ada, "tag:red")
    assert (ok["recipients"], ok["full"]) == (1, ["bob", "dan"])
    assert [kinds(desk.heard(session)) for session in sessions.values()] == [[], [f"deliver {ok['message']}"], []]
    found = await states(desk, ada, ok["message"])
    why = "its inbox is full (3 messages, 67108864 bytes)"
    assert found == {"bob": ("dead", why), "cy": ("pushed", None), "dan": ("dead", why)}
    again = await send(desk, ada, "tag:red")
    assert (again["recipients"], again["full"]) == (1, ["bob", "dan"])
    assert [len(await inbox(desk, name)) for name in sessions] == [3, 2, 3]
    await desk.say(sessions["bob"], Ack(messages=[1]))
    ok = await send(desk, ada, "tag:red")
    assert (ok["recipients"], ok["full"]) == (2, ["dan"])
    assert await inbox(desk, "bob") == [2, 3, ok["message"]]


async def test_a_group_send_that_nobody_has_room_for_is_refused_and_stores_nothing(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, sessions = await crew(desk, "bob", "cy", "dan")
    for wait_s in (0.0, 2.0, 130.0):
        await desk.pass_time(wait_s)
        error = await send(desk, ada, "tag:red")
        assert error["code"] == "inbox_full"
        assert error["detail"] | {"agent": ""} == {
            "agent": "", "messages": 3, "messages_max": 3, "bytes": 3, "bytes_max": 64 * 1024 * 1024,
        }  # fmt: skip
    await desk.say(sessions["cy"], Ack(messages=[4]))
    await desk.pass_time(1)
    ok = await send(desk, ada, "tag:red")
    assert (ok["message"], ok["recipients"], ok["full"]) == (10, 1, ["bob", "dan"])


async def test_work_for_a_group_goes_to_those_with_room_and_to_the_others_when_they_come_again(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, sessions = await crew(desk, "bob")
    ok = await send(desk, ada, "cap:review", claimable=True)
    assert (ok["recipients"], ok["full"]) == (2, ["bob"])
    assert sorted(await states(desk, ada, ok["message"])) == ["cy", "dan"], "no delivery that is dead"
    await desk.say(sessions["bob"], Ack(messages=[1, 2, 3]))
    back = desk.connect()
    heard = await desk.say(back, Register(id=1, agent="bob", caps=["review"]))
    assert kinds(heard) == ["ok", f"deliver {ok['message']}"]


async def test_a_message_to_a_thread_is_refused_by_full_inboxes_too(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, bob, cy = [await desk.agent(name) for name in ("ada", "bob", "cy")]
    (root,) = await fill(desk, ada, "bob", 1)
    await fill(desk, bob, "cy", 1, thread=root)
    await fill(desk, ada, "bob", 2)
    ok = await send(desk, ada, f"thread:{root}")
    assert (ok["recipients"], ok["online"], ok["full"]) == (1, 1, ["bob"])
    assert (await states(desk, ada, ok["message"]))["bob"][0] == "dead"
    await fill(desk, ada, "cy", 1)
    error = await send(desk, ada, f"thread:{root}")
    assert (error["code"], error["detail"]["messages"]) == ("inbox_full", 3)
    await desk.say(cy, Ack(messages=await inbox(desk, "cy")))
    for _ in range(3):
        await send(desk, ada, f"thread:{root}")
    assert (await send(desk, ada, "cy"))["code"] == "inbox_full", "what came by the thread counts"
    assert len(await inbox(desk, "cy")) == 3


async def test_what_any_one_of_many_is_sent_counts_and_so_does_what_is_offered_on(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3))
    ada, sessions = await crew(desk)
    await fill(desk, ada, "any:cap:review", 9, offer_s=10)
    assert [len(await inbox(desk, name)) for name in sessions] == [3, 3, 3]
    assert (await send(desk, ada, "any:cap:review"))["code"] == "inbox_full"
    assert desk.broker.promised == {}
    for name, session in sessions.items():
        await desk.say(session, Ack(messages=await inbox(desk, name)))
    await fill(desk, ada, "any:cap:review", 1, offer_s=10)
    (bob,) = [name for name in sessions if await inbox(desk, name)]
    await desk.pass_time(10)
    (cy,) = [name for name in sessions if await inbox(desk, name)]
    assert cy != bob
    await fill(desk, ada, cy, 2)
    assert (await send(desk, ada, cy))["code"] == "inbox_full"


async def test_a_repeated_key_is_answered_whatever_a_quota_says_now(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3, group_per_minute=1, send_per_s=5, pair_per_minute=1))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    to_group = await send(desk, ada, "ALL", key="group")
    to_bob = await send(desk, ada, "bob", key="bob")
    answer = await send(desk, ada, "bob", key="last")
    assert (await send(desk, ada, "bob"))["code"] == "inbox_full"
    assert (await send(desk, ada, "ALL"))["detail"]["code"] == "group_rate"
    await fill(desk, bob, "ada", 1)
    assert (await send(desk, ada, "bob"))["detail"]["code"] == "pair_rate"
    for _ in range(10):
        assert await send(desk, ada, "ALL", key="group") == {**to_group, "duplicate": True}
        assert await send(desk, ada, "bob", key="bob") == {**to_bob, "duplicate": True}
        assert await send(desk, ada, "bob", key="last") == {**answer, "duplicate": True}
    await fill(desk, ada, "nobody", 1, hold=True)
    assert (await send(desk, ada, "nobody", hold=True))["detail"]["code"] == "send_rate"
    assert await send(desk, ada, "ALL", key="group") == {**to_group, "duplicate": True}
    assert (await send(desk, ada, "ALL", key="group", body="other"))["code"] == "key_conflict"
    assert len(await inbox(desk, "bob")) == 3


async def test_repeats_and_refusals_do_not_make_room(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=3, group_per_minute=0))
    ada, _ = await crew(desk)
    first = await send(desk, ada, "tag:red", key="k")
    assert first["recipients"] == 3
    await fill(desk, ada, "bob", 2)
    for _ in range(5):
        assert (await send(desk, ada, "tag:red", key="k"))["duplicate"] is True
        assert (await send(desk, ada, "tag:red", body="x", reply_to=99))["code"] == "unknown_message"
        assert (await send(desk, ada, "bob", ttl_s=60, supersedes=99))["code"] == "inbox_full"
    assert (await send(desk, ada, "bob"))["code"] == "inbox_full"
    assert (await send(desk, ada, "tag:red"))["full"] == ["bob"]
    assert len(await inbox(desk, "bob")) == 3


async def test_room_comes_back_by_every_way_out_of_an_inbox(make: MakeDesk) -> None:
    desk = await make(Limits(inbox_messages_max=2))
    ada, bob = await desk.agent("ada"), await desk.agent("bob")

    async def is_full() -> bool:
        await desk.pass_time(1)
        (probe,) = await desk.say(ada, Send(id=9, to="bob", body="probe", key=f"probe-{desk.now}"))
        if probe["op"] == "ok":
            await desk.say(bob, Ack(messages=[probe["message"]]))
        return bool(probe["op"] == "error")

    one, two = await fill(desk, ada, "bob", 2)
    assert await is_full()
    await desk.say(bob, Ack(messages=[one], stage="surfaced"))
    assert await is_full(), "what stands before the model is still in the inbox"
    await desk.say(bob, Nack(message=one, reason="later", delay_s=3600))
    assert await is_full()
    await desk.say(bob, Nack(message=one, reason="never", retry=False))
    assert not await is_full()
    await fill(desk, ada, "bob", 1, ttl_s=30)
    assert await is_full()
    await desk.pass_time(30)
    assert not await is_full()
    (stale,) = await fill(desk, ada, "bob", 1)
    assert await is_full()
    assert (await send(desk, ada, "ada", supersedes=stale))["op"] == "ok"
    assert not await is_full()
    assert await inbox(desk, "bob") == [two]


async def test_no_inbox_ever_holds_more_than_it_may_and_nothing_that_was_accepted_is_dropped(make: MakeDesk) -> None:
    seed = random.randrange(2**32)
    print(f"seed = {seed}")
    chance = random.Random(seed)
    desk = await make(Limits(inbox_messages_max=4, inbox_bytes_max=60, group_per_minute=0, pair_per_minute=0))
    names = ["w0", "w1", "w2"]
    sessions = {name: await desk.agent(name, tags=["red"], caps=["review"]) for name in names}
    ada = await desk.agent("ada")
    open_: dict[str, dict[int, int]] = {name: {} for name in names}
    for step in range(400):
        size = chance.randrange(1, 30)
        match chance.randrange(8):
            case 0 | 1 | 2:
                to = [chance.choice(names)]
                frames = [Send(id=i, to=to[0], body="x" * size) for i in range(chance.randrange(1, 4))]
            case 3:
                to, frames = names, [Send(id=0, to="tag:red", body="x" * size)]
            case 4:
                to = [chance.choice(names)]
                frames = [Send(id=0, to=to[0], body="x" * size, key=f"key-{chance.randrange(30)}", priority=5)]
            case 5:
                await desk.pass_time(chance.choice([0.1, 0.9, 1.1, 61.0]))
                continue
            case _:
                name = chance.choice(names)
                if done := [message for message in open_[name] if chance.random() < 0.5]:
                    await desk.say(sessions[name], Ack(messages=done))
                    for message in done:
                        del open_[name][message]
                continue
        for answer in await desk.say(ada, *frames):
            if answer["op"] == "ok" and not answer.get("duplicate"):
                for name in to:
                    if name not in answer.get("full", []):
                        open_[name][answer["message"]] = size
            elif answer["op"] == "error":
                assert answer["code"] in ("inbox_full", "key_conflict"), answer
        for name in names:
            assert await inbox(desk, name) == sorted(open_[name]), (seed, step)
            assert len(open_[name]) <= 4, (seed, step)
            assert sum(open_[name].values()) <= 60, (seed, step)
    for session in sessions.values():
        await desk.say(session, Inbox(id=1))
