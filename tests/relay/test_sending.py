"""Who a message reaches, and what joins it to others: labels, channels, threads, hops, keys. Over the real store.

`any:` has a file of its own (test_any.py), and so have the quotas (test_limits.py).
"""

from typing import Any

import pytest

from relay_proto.frames import Ack, Bye, GetMessage, Inbox, Receipts, Register, Send, Thread, Update
from relay_server.quota import Limits
from relay_server.session import Session
from tests.relay.desk import Desk, kinds


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> dict[str, Any]:
    """One send, and its answer."""
    frame: dict[str, Any] = {"body": "x"} | fields
    heard = await desk.say(session, Send(id=700, to=to, **frame))
    return next(answer for answer in heard if answer.get("re") == 700)


async def taken(desk: Desk, session: Session) -> list[int]:
    """The messages that were pushed to it; it has dealt with them."""
    messages = [frame["message"] for frame in desk.heard(session) if frame["op"] == "deliver"]
    if messages:
        await desk.say(session, Ack(messages=messages))
    return messages


async def stages(desk: Desk, session: Session, message: int) -> dict[str, str]:
    (ok,) = await desk.say(session, Receipts(id=701, message=message))
    return {state["agent"]: state["stage"] for state in ok["deliveries"]}


async def stored(desk: Desk, session: Session) -> int:
    """The newest message there is: a probe to oneself is one behind it, and gone again."""
    (ok, _) = await desk.say(session, Send(id=702, to=str(session.agent), body="probe"))
    await desk.say(session, Ack(messages=[ok["message"]]))
    return int(ok["message"]) - 1


# -- who is meant ----------------------------------------------------------------------------------------------------


async def test_a_bare_name_that_is_the_label_of_one_agent_means_that_agent(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("host-7f3a", label="Backend")
    ok = await send(desk, ada, "Backend")
    assert (ok["recipients"], ok["online"]) == (1, 1)
    assert [frame["to"] for frame in desk.heard(bob)] == ["Backend"]


async def test_a_label_of_several_is_ambiguous_where_one_is_meant_and_a_group_where_it_is_written(desk: Desk) -> None:
    ada = await desk.agent("ada", label="Backend")
    bob, cy = await desk.agent("bob", label="Backend"), await desk.agent("cy", label="Backend")
    error = await send(desk, ada, "Backend")
    assert (error["code"], error["detail"]) == ("ambiguous_target", {"candidates": ["ada", "bob", "cy"]})
    error = await send(desk, ada, "label:Backend", expect_reply_s=60)
    assert (error["code"], error["detail"]) == ("ambiguous_target", {"candidates": ["bob", "cy"]})
    assert await stored(desk, ada) == 0
    ok = await send(desk, ada, "label:Backend")
    assert ok["recipients"] == 2
    assert await taken(desk, bob) == await taken(desk, cy) == [ok["message"]]


async def test_an_ask_to_a_label_of_one_is_for_that_one_and_claimable_it_may_be_for_several(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for name, label in (("bob", "Backend"), ("cy", "Docs"), ("dan", "Docs")):
        await desk.agent(name, label=label)
    assert (await send(desk, ada, "label:Backend", expect_reply_s=60))["recipients"] == 1
    assert (await send(desk, ada, "label:Docs", expect_reply_s=60, claimable=True))["recipients"] == 2


async def test_an_unknown_agent_is_refused_with_close_matches_and_hold_keeps_an_inbox_for_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("builder", label="Docs")
    error = await send(desk, ada, "bulider")
    assert (error["code"], error["detail"]) == ("unknown_agent", {"suggestions": ["builder"]})
    assert "hold" in error["message"]
    assert await stored(desk, ada) == 0
    ok = await send(desk, ada, "Docs", hold=True)
    assert (ok["recipients"], ok["online"]) == (1, 0), "with hold a label is not looked at"
    newcomer = desk.connect()
    assert kinds(await desk.say(newcomer, Register(id=1, agent="Docs"))) == ["ok", f"deliver {ok['message']}"]


async def test_the_answer_says_how_many_get_it_and_how_many_of_them_are_there(desk: Desk) -> None:
    ada = await desk.agent("ada", tags=["red"])
    sessions = [await desk.agent(f"w{i}", tags=["red"]) for i in range(3)]
    desk.broker.lost(sessions[0])
    await desk.say(sessions[1], Bye())
    for target in ("tag:red", "broadcast", "ALL"):
        ok = await send(desk, ada, target)
        assert (ok["recipients"], ok["online"]) == (3, 1), target


async def test_a_change_of_tags_takes_effect_at_the_next_message(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", tags=["red"])
    desk.put(ada, Send(id=1, to="tag:red", body="x"))
    desk.put(bob, Update(id=2, tags=[]))
    await desk.turn()
    assert kinds(desk.heard(bob)) == ["deliver 1", "ok"]
    assert (await send(desk, ada, "tag:red"))["recipients"] == 0


# -- channels --------------------------------------------------------------------------------------------------------


async def test_a_group_message_of_a_channel_reaches_who_subscribed_to_it_or_to_nothing(desk: Desk) -> None:
    ada = await desk.agent("ada")
    ops, dev = await desk.agent("ops", channels=["ops"]), await desk.agent("dev", channels=["dev", "docs"])
    every = await desk.agent("every")
    of_ops = (await send(desk, ada, "ALL", channel="ops"))["message"]
    of_none = (await send(desk, ada, "ALL"))["message"]
    of_docs = (await send(desk, ada, "ALL", channel="docs"))["message"]
    assert await taken(desk, ops) == [of_ops, of_none]
    assert await taken(desk, dev) == [of_none, of_docs]
    assert await taken(desk, every) == [of_ops, of_none, of_docs]


@pytest.mark.parametrize("target", ["dev", "any:tag:t", "Docs"])
async def test_direct_messages_arrive_whatever_their_channel_is(desk: Desk, target: str) -> None:
    ada, dev = await desk.agent("ada"), await desk.agent("dev", channels=["dev"], tags=["t"], label="Docs")
    ok = await send(desk, ada, target, channel="ops")
    assert ok["recipients"] == 1
    (frame,) = desk.heard(dev)
    assert (frame["message"], frame["channel"]) == (ok["message"], "ops")


async def test_a_message_to_a_channel_reaches_its_subscribers_and_nobody_else(desk: Desk) -> None:
    ada = await desk.agent("ada", channels=["ops"])
    ops, dev = await desk.agent("ops", channels=["ops"]), await desk.agent("dev", channels=["dev"])
    every = await desk.agent("every")
    ok = await send(desk, ada, "channel:ops")
    assert ok["recipients"] == 1
    (frame,) = desk.heard(ops)
    assert (frame["to"], frame["channel"]) == ("channel:ops", "ops"), "it gets the channel it was sent to"
    assert [desk.heard(session) for session in (ada, dev, every)] == [[], [], []]
    (page,) = await desk.say(ops, Inbox(id=1, channel="ops"))
    assert [item["message"] for item in page["items"]] == [ok["message"]]
    both = await desk.agent("both", channels=["ops", "dev"])
    ok = await send(desk, ada, "channel:ops", channel="dev")
    assert ok["recipients"] == 1, "of another channel: only who is subscribed to both"
    assert await taken(desk, both) == [ok["message"]]


async def test_a_change_of_subscription_takes_effect_at_the_next_message(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", channels=["dev"])
    first = (await send(desk, ada, "ALL", channel="dev"))["message"]
    await desk.say(bob, Update(id=1, channels=["ops"]))
    assert (await send(desk, ada, "ALL", channel="dev"))["recipients"] == 0
    assert (await send(desk, ada, "channel:dev"))["recipients"] == 0
    second = (await send(desk, ada, "channel:ops"))["message"]
    await desk.say(bob, Update(id=2, channels=[]))
    third = (await send(desk, ada, "ALL", channel="dev"))["message"]
    desk.heard(bob)
    (page,) = await desk.say(bob, Inbox(id=3))
    assert [item["message"] for item in page["items"]] == [first, second, third], "what is in the inbox stays there"


async def test_subscriptions_survive_a_restart(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", channels=["ops"])
    await desk.agent("cy")
    await desk.restart()
    ada = await desk.agent("ada")
    assert (await send(desk, ada, "channel:ops"))["recipients"] == 1
    assert (await send(desk, ada, "ALL", channel="dev"))["recipients"] == 1


# -- threads ---------------------------------------------------------------------------------------------------------


async def a_thread(desk: Desk) -> tuple[Session, Session, Session, int]:
    """ada asks bob, bob answers, cy was asked by bob in the same thread: (ada, bob, cy, its root)."""
    ada, bob, cy = [await desk.agent(name) for name in ("ada", "bob", "cy")]
    root = (await send(desk, ada, "bob", body="question"))["message"]
    await send(desk, bob, "cy", body="do you know?", thread=root)
    await send(desk, bob, "ada", body="answer", reply_to=root)
    for session in (ada, bob, cy):
        await taken(desk, session)
    return ada, bob, cy, root


async def test_a_thread_pages_through_its_messages_oldest_first_by_any_of_them(desk: Desk) -> None:
    ada, bob, _, root = await a_thread(desk)
    await send(desk, ada, "bob", body="elsewhere")
    await send(desk, bob, "ada", body="more", thread=root)
    await taken(desk, ada)
    (page,) = await desk.say(ada, Thread(id=1, thread=root + 1))
    assert [item["body"] for item in page["items"]] == ["question", "do you know?", "answer", "more"]
    assert "next" not in page
    assert {item["thread"] for item in page["items"]} == {root}
    (page,) = await desk.say(ada, Thread(id=2, thread=root, limit=3))
    assert ([item["body"] for item in page["items"]], page["next"]) == (
        ["question", "do you know?", "answer"],
        root + 2,
    )
    (page,) = await desk.say(ada, Thread(id=3, thread=root, limit=3, after=page["next"]))
    assert [item["body"] for item in page["items"]] == ["more"]
    (error,) = await desk.say(ada, Thread(id=4, thread=99))
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [99]})


async def test_a_message_to_a_thread_reaches_those_who_take_part_and_not_its_sender(desk: Desk) -> None:
    ada, bob, cy, root = await a_thread(desk)
    await desk.agent("dan")
    for sender, others in ((ada, (bob, cy)), (cy, (ada, bob))):
        ok = await send(desk, sender, f"thread:{root}", reply_to=root + 1)
        assert (ok["recipients"], ok["online"], ok["thread"]) == (2, 2, root)
        assert [await taken(desk, other) for other in others] == [[ok["message"]]] * 2
        assert await taken(desk, sender) == []
    assert (await send(desk, ada, f"thread:{root + 2}"))["recipients"] == 2, "any message of it names the thread"


@pytest.mark.parametrize("target", ["tag:t", "cap:c", "label:Crew", "channel:ops", "broadcast", "ALL"])
async def test_who_only_got_a_group_message_takes_no_part_in_its_thread(desk: Desk, target: str) -> None:
    ada, bob, _ = [
        await desk.agent(name, tags=["t"], caps=["c"], label="Crew", channels=["ops"]) for name in ("ada", "bob", "cy")
    ]
    root = (await send(desk, ada, target))["message"]
    assert (await send(desk, ada, f"thread:{root}"))["recipients"] == 0
    assert (await send(desk, bob, f"thread:{root}"))["recipients"] == 1
    await send(desk, bob, "ada", reply_to=root)
    await taken(desk, bob)
    ok = await send(desk, ada, f"thread:{root}")
    assert (ok["recipients"], await taken(desk, bob)) == (1, [ok["message"]])


async def test_whom_any_of_many_chose_takes_part_and_who_is_away_gets_it_later(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    root = (await send(desk, ada, "any:cap:review"))["message"]
    await desk.say(bob, Ack(messages=[root]))
    desk.broker.lost(bob)
    ok = await send(desk, ada, f"thread:{root}")
    assert (ok["recipients"], ok["online"]) == (1, 0)
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="bob"))) == ["ok", f"deliver {ok['message']}"]


async def test_a_thread_that_does_not_exist_is_refused_wherever_it_is_named(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for fields in ({"to": "thread:99"}, {"thread": 99}, {"reply_to": 99}, {"caused_by": 99}, {"supersedes": 99}):
        given: dict[str, Any] = {"to": "ada", "key": "k"} | fields
        error = await send(desk, ada, **given)
        assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [99]})
        assert next(iter(fields)) in error["message"]
    assert await stored(desk, ada) == 0


async def test_a_reply_into_a_thread_one_has_no_part_in_is_allowed_and_noted(desk: Desk) -> None:
    ada, bob, cy, root = await a_thread(desk)
    eve = await desk.agent("eve")
    assert "note" not in await send(desk, cy, "ada", reply_to=root), "it was given a message of the thread"
    assert "note" not in await send(desk, ada, "bob", thread=root)
    assert "note" not in await send(desk, bob, "ada", reply_to=root)
    ok = await send(desk, eve, "ada", reply_to=root)
    assert (ok["thread"], ok["note"]) == (root, f"eve had no part in thread {root} before this message")
    assert "note" not in await send(desk, eve, "bob", reply_to=root), "now it has"


async def test_a_thread_that_is_not_that_of_the_message_answered_is_refused_and_names_both(desk: Desk) -> None:
    ada, bob, _, root = await a_thread(desk)
    other = (await send(desk, ada, "bob"))["message"]
    error = await send(desk, bob, "ada", reply_to=root, thread=other)
    assert error["code"] == "bad_request"
    assert f"thread is {other}; message {root} belongs to thread {root}" in error["message"]
    assert (await send(desk, bob, "ada", reply_to=root, thread=root))["thread"] == root


# -- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["reply_to", "caused_by"])
async def test_a_chain_of_messages_that_caused_each_other_ends_at_its_limit(desk: Desk, link: str) -> None:
    agents = [await desk.agent(name) for name in ("ada", "bob", "cy")]
    message = (await send(desk, agents[0], "bob"))["message"]
    for hop in range(1, 17):
        sender, to = agents[hop % 3], ("ada", "bob", "cy")[(hop + 1) % 3]
        message = (await send(desk, sender, to, **{link: message}))["message"]
    (found,) = await desk.say(agents[0], GetMessage(id=1, message=message))
    assert found["item"]["hops"] == 16
    error = await send(desk, agents[2], "ada", **{link: message})
    assert (error["code"], error["detail"]) == ("hop_limit", {"hops": 17, "limit": 16})
    assert await stored(desk, agents[0]) == message
    assert (await send(desk, agents[2], "ada"))["op"] == "ok", "a new chain may begin"


async def test_the_longer_of_two_chains_counts(desk: Desk) -> None:
    ada = await desk.agent("ada")
    first = (await send(desk, ada, "ada"))["message"]
    second = (await send(desk, ada, "ada", caused_by=first))["message"]
    third = (await send(desk, ada, "ada", reply_to=first, caused_by=second))["message"]
    (found,) = await desk.say(ada, GetMessage(id=1, message=third))
    assert (found["item"]["hops"], found["item"]["thread"], found["item"]["caused_by"]) == (2, first, second)
    fourth = (await send(desk, ada, "ada", reply_to=third, caused_by=first))["message"]
    (found,) = await desk.say(ada, GetMessage(id=1, message=fourth))
    assert found["item"]["hops"] == 3
    (found,) = await desk.say(ada, GetMessage(id=1, message=second))
    assert found["item"]["thread"] == second, "what it was caused by does not put it into a thread"


async def test_a_person_begins_chains_anew(desk: Desk) -> None:
    bob, person = await desk.agent("bob"), await desk.agent("eve", tags=["human"])
    message = (await send(desk, bob, "eve"))["message"]
    for _ in range(16):
        message = (await send(desk, bob, "eve", reply_to=message))["message"]
    assert (await send(desk, bob, "eve", reply_to=message))["code"] == "hop_limit"
    message = (await send(desk, person, "bob", reply_to=message))["message"]
    await taken(desk, bob)
    (found,) = await desk.say(bob, GetMessage(id=1, message=message))
    assert (found["item"]["hops"], found["item"]["thread"]) == (0, 1)
    assert (await send(desk, bob, "eve", reply_to=message))["op"] == "ok"


async def test_the_length_of_a_chain_is_configured_and_can_be_without_end(tmp_path: Any) -> None:
    for hops_max, code in ((1, "hop_limit"), (0, None)):
        desk = await Desk(tmp_path / str(hops_max), quotas=Limits(hops_max=hops_max)).open()
        ada = await desk.agent("ada")
        message = (await send(desk, ada, "ada"))["message"]
        for _ in range(20):
            answer = await send(desk, ada, "ada", reply_to=message)
            message = answer.get("message", message) if answer["op"] == "ok" else message
        assert answer.get("code") == code
        await desk.close()


# -- keys ------------------------------------------------------------------------------------------------------------


async def test_a_repeated_key_is_answered_although_its_target_is_gone_or_ambiguous_now(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", label="Docs")
    first = await send(desk, ada, "Docs", key="k")
    await desk.say(bob, Update(id=1, label="Other"))
    assert (await send(desk, ada, "Docs"))["code"] == "unknown_agent"
    assert await send(desk, ada, "Docs", key="k") == {**first, "duplicate": True}
    await desk.agent("cy", label="Docs")
    await desk.agent("dan", label="Docs")
    assert (await send(desk, ada, "Docs"))["code"] == "ambiguous_target"
    assert await send(desk, ada, "Docs", key="k") == {**first, "duplicate": True}
    assert (await send(desk, ada, "Docs", key="k", body="other"))["code"] == "key_conflict"
    assert (await send(desk, ada, "Docs", key="another"))["code"] == "ambiguous_target"


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "any:tag:t"},
        {"to": "any:tag:t", "offer_s": 5},
        {"to": "channel:c"},
        {"to": "thread:1"},
        {"to": "bob", "ttl_s": 60},
        {"to": "bob", "delay_s": 60},
        {"to": "bob", "priority": 9},
        {"to": "bob", "supersedes": 1},
        {"to": "bob", "caused_by": 1},
        {"to": "bob", "expect_reply_s": 60},
        {"to": "tag:t", "claimable": True},
    ],
)
async def test_a_repeated_key_makes_no_second_message_whatever_else_it_asks_for(
    desk: Desk, fields: dict[str, Any]
) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob", tags=["t"], channels=["c"])
    await send(desk, ada, "bob")
    await taken(desk, bob)
    first = await send(desk, ada, key="k", **fields)
    assert first["op"] == "ok"
    pushed = await taken(desk, bob)
    assert await send(desk, ada, key="k", **fields) == {**first, "duplicate": True}
    assert await send(desk, ada, key="k", **fields) == {**first, "duplicate": True}
    assert await taken(desk, bob) == []
    assert pushed == ([] if "delay_s" in fields else [first["message"]])
    assert await stored(desk, ada) == first["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"ttl_s": 61},
        {"delay_s": 2},
        {"priority": 4},
        {"expect_reply_s": 60},
        {"supersedes": 1},
        {"caused_by": 1},
        {"claimable": True},
        {"channel": "c"},
    ],
)
async def test_every_field_that_says_what_is_to_happen_is_content_of_a_key(desk: Desk, change: dict[str, Any]) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob")
    first = await send(desk, ada, "bob", key="k", ttl_s=60)
    given: dict[str, Any] = {"ttl_s": 60} | change
    error = await send(desk, ada, "bob", key="k", **given)
    assert (error["code"], error["detail"]) == ("key_conflict", {"message": first["message"]})
    assert await stored(desk, ada) == first["message"]


async def test_a_refused_key_is_free_and_makes_its_message_when_nothing_refuses_it_any_more(desk: Desk) -> None:
    ada = await desk.agent("ada")
    assert (await send(desk, ada, "bob", key="k"))["code"] == "unknown_agent"
    await desk.agent("bob")
    ok = await send(desk, ada, "bob", key="k")
    assert (ok["op"], "duplicate" in ok) == ("ok", False)


# -- supersedes ------------------------------------------------------------------------------------------------------


async def test_only_ones_own_message_can_be_replaced(desk: Desk) -> None:
    ada, eve = await desk.agent("ada"), await desk.agent("eve")
    message = (await send(desk, ada, "bob", hold=True))["message"]
    error = await send(desk, eve, "bob", hold=True, supersedes=message)
    assert error["code"] == "forbidden"
    assert f"supersedes is {message}" in error["message"]
    assert await stages(desk, ada, message) == {"bob": "queued"}
    assert await stored(desk, eve) == message
