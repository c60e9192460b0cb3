"""why.py: what agents wait for, and who owes whom a reply."""

from pathlib import Path

from relay_proto.frames import Ack, Bye, Claim, Forgive, Nack, Register, Send
from relay_server.quota import Limits
from tests.relay.asking_why import START, after, ask_why, opened, why
from tests.relay.desk import Desk


async def test_nothing_waits_for_an_idle_agent(desk: Desk) -> None:
    await desk.agent("ada", status="idle")
    desk.now = 7
    told = await why(desk, agent="ada")
    assert told.about == "agent ada"
    assert told.sentences == [
        "ada is idle, last heard of 7 s ago.",
        "Nothing waits for ada: its inbox is empty, it owes nothing and nobody owes it anything.",
    ]
    assert (told.since_at, told.waits_for) == (None, [])
    assert told.facts == {
        "status": "idle", "epoch": 1, "last_seen_at": after(0), "pending": 0, "bytes": 0, "unacked": 0, "credit": 64
    }  # fmt: skip


async def test_the_inbox_and_its_oldest_message(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, *(Send(id=i, to="bob", body="four") for i in range(3)))
    desk.now = 300
    told = await why(desk, agent="bob")
    assert told.sentences[1:] == [
        f"Its inbox holds 3 messages; the oldest is message 1 from ada, there since {START} (5 min) and not surfaced.",
        "To go on: bob must ack or nack message 1.",
    ]
    assert (told.since_at, told.waits_for) == (after(0), ["bob"])
    expected = {"pending": 3, "bytes": 12, "unacked": 3, "oldest_message": 1, "oldest_stage": "pushed"}
    assert expected.items() <= told.facts.items()
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    assert "surfaced since 2023-11-14 22:18:20 UTC (0 s)." in (await why(desk, agent="bob")).sentences[1]


async def test_credit_that_is_used_up_and_by_what(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=2)
    await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(4)))
    await desk.say(bob, Nack(message=1, delay_s=60, reason="later"))
    told = await why(desk, agent="bob")
    assert told.sentences[1].endswith("and not pushed before 2023-11-14 22:14:20 UTC (in 1 min).")
    assert told.sentences[2:] == [
        "bob holds all that it takes at once (2 unacked of credit 2): nothing more is pushed to it now.",
        "To go on: bob must ack or nack message 2.",
    ]


async def test_an_inbox_that_is_full(tmp_path: Path) -> None:
    async with opened(tmp_path, Limits(inbox_messages_max=2)) as desk:
        ada = await desk.agent("ada")
        await desk.say(ada, *(Send(id=i, to="bob", body="x", hold=True) for i in range(2)))
        told = await why(desk, agent="bob")
        assert told.sentences[2] == "Its inbox is full (2 messages, 2 bytes): who writes to it is refused."


async def test_a_name_that_something_is_held_for(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="newcomer", body="x", hold=True))
    told = await why(desk, agent="newcomer")
    assert told.sentences[0] == "newcomer has never registered."
    assert told.sentences[-1] == "To go on: newcomer must register."


async def test_an_agent_that_is_away_must_come_back_first(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    desk.broker.lost(bob)
    await desk.turn()
    desk.now = 30
    told = await why(desk, agent="bob")
    assert told.sentences == [
        f"bob is stale: its connection was lost; it was last heard of at {START} (30 s ago).",
        f"Its inbox holds 1 message; the oldest is message 1 from ada, there since {START} (30 s) and not pushed.",
        "It owes ada a reply to message 1, due by 2023-11-14 22:14:20 UTC (in 30 s); the ask is queued.",
        "To go on: bob must come back.",
    ]


async def test_work_it_holds_and_how_long_the_lease_has_left(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", claimable=True))
    assert (await why(desk, agent="bob")).sentences[-1] == "To go on: bob must claim or nack message 1."
    await desk.say(bob, Claim(id=1, message=1, lease_s=90))
    desk.now = 20
    told = await why(desk, agent="bob")
    assert told.sentences[2:] == [
        f"It holds message 1, claimed or renewed at {START} (20 s ago); its lease has 1 min 10 s left if nothing is "
        "heard.",
        "To go on: bob must complete, fail or release message 1.",
    ]
    assert told.facts["holds"] == [{"message": 1, "changed_at": after(0), "lease_left_s": 70}]


async def test_of_many_claims_the_first_are_named(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, *(Send(id=i, to="bob", body="x", claimable=True) for i in range(7)))
    await desk.say(bob, *(Claim(id=i, message=i) for i in range(1, 8)))
    told = await why(desk, agent="bob")
    assert [text[:18] for text in told.sentences if text.startswith("It holds")][-2:] == [
        "It holds message 5",
        "It holds 2 more.",
    ]
    assert len(told.facts["holds"]) == 7


async def test_a_reply_that_is_owed_from_both_sides(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    await desk.say(bob, Ack(messages=[1]))
    desk.now = 30
    told = await why(desk, agent="bob")
    assert told.sentences[1:] == [
        "It owes ada a reply to message 1, due by 2023-11-14 22:14:20 UTC (in 30 s); the ask is done.",
        "To go on: bob must reply to message 1.",
    ]
    assert told.facts["owes"] == [
        {
            "message": 1, "agent": "bob", "asker": "ada", "asked_at": after(0), "reply_by_at": after(60),
            "overdue": False, "stage": "done", "stage_at": after(0),
        }
    ]  # fmt: skip
    told = await why(desk, agent="ada")
    assert told.sentences[1:] == [
        "bob owes it a reply to message 1, due by 2023-11-14 22:14:20 UTC (in 30 s); the ask is done there.",
        "ada waits for bob (message 1), who is online, last heard of 30 s ago.",
        "To go on: bob must reply to message 1.",
    ]
    assert (told.since_at, told.waits_for) == (after(0), ["bob"])


async def test_overdue_and_not_waited_for_any_more(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=10))
    await desk.pass_time(15)
    desk.put(bob, Bye())
    await desk.turn()
    told = await why(desk, agent="ada")
    assert told.sentences[1:] == [
        "bob owes it a reply to message 1, which was due at 2023-11-14 22:13:30 UTC (5 s ago); "
        "the ask is queued there.",
        "bob has been offline since 2023-11-14 22:13:35 UTC (0 s): it said bye.",
        "To go on: bob must come back and reply to message 1.",
    ]
    assert told.facts["awaits"][0]["overdue"] is True


async def test_a_chain_of_waits_is_told_to_its_end(desk: Desk) -> None:
    ada, bob, cyd = [await desk.agent(name) for name in ("ada", "bob", "cyd")]
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    await desk.say(bob, Send(id=1, to="cyd", body="?", expect_reply_s=60))
    await desk.say(cyd, Bye())
    desk.now = 4
    told = await why(desk, agent="ada")
    assert told.sentences[1].endswith("; the ask is pushed there.")
    assert told.sentences[2:] == [
        f"ada waits for bob (message 1), who waits for cyd (message 2), who has been offline since {START} (4 s): "
        "it said bye.",
        "To go on: cyd must come back and reply to message 2.",
    ]
    assert told.waits_for == ["cyd"]
    told = await why(desk, message=1)
    assert told.sentences[3:] == [
        "bob owes ada a reply, due by 2023-11-14 22:14:20 UTC (in 56 s).",
        "ada does nothing else until then.",
        f"bob waits for cyd (message 2), who has been offline since {START} (4 s): it said bye.",
        "To go on: cyd must come back and reply to message 2.",
    ]
    assert told.waits_for == ["cyd"]
    assert told.facts["owes"][0]["stage"] == "pushed"


async def test_an_asker_that_is_away_is_told_who_owes_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    desk.broker.lost(ada)
    await desk.turn()
    told = await why(desk, agent="ada")
    assert told.sentences[2:] == ["bob is online, last heard of just now.", "To go on: bob must reply to message 1."]


async def test_who_waits_itself_is_not_told_to_ack(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    await desk.say(bob, Send(id=1, to="ada", body="by the way"))
    told = await why(desk, agent="ada")
    assert told.sentences[-1] == "To go on: bob must reply to message 1."


async def test_what_became_of_an_ask(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob, cyd = await desk.agent("bob", tags=["red"]), await desk.agent("cyd", tags=["red"])
    await desk.say(ada, Send(id=1, to="tag:red", body="?", expect_reply_s=60, waits=False))
    await desk.say(bob, Send(id=1, to="ada", body="!", reply_to=1))
    await desk.say(cyd, Nack(message=1, retry=False, reason="no"))
    told = await why(desk, message=1)
    assert told.sentences[-3:] == [
        "bob replied with message 2.",
        "cyd will not reply: the ask was not taken.",
        "To go on: bob must ack or nack message 1.",
    ]


async def test_an_ask_that_nobody_was_there_for(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="cap:review", body="?", expect_reply_s=60))
    assert "ada asked for a reply, and nobody was there to owe it." in (await why(desk, message=1)).sentences


async def test_of_many_who_owe_a_reply_the_first_are_named(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for i in range(8):
        await desk.agent(f"w{i}", tags=["red"])
    await desk.say(ada, Send(id=1, to="tag:red", body="?", expect_reply_s=60, waits=False))
    told = await why(desk, message=1)
    assert "3 more owe ada a reply." in told.sentences
    assert told.sentences[-1] == "To go on: w0, w1, w2, w3, w4 and 3 more must reply to message 1."
    assert len(told.waits_for) == 8


async def test_unknown_agents_and_messages_are_the_usual_errors(desk: Desk) -> None:
    await desk.agent("builder")
    (error,) = await ask_why(desk, agent="bulider")
    assert (error["code"], error["detail"]) == ("unknown_agent", {"suggestions": ["builder"]})
    (error,) = await ask_why(desk, message=99)
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [99]})


async def test_asking_why_changes_nothing(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    await desk.say(ada, *(Send(id=i, to="bob", body="?", expect_reply_s=60, waits=False) for i in range(2)))
    first = [await why(desk, message=2), await why(desk, agent="bob"), await why(desk, agent="ada")]
    assert [await why(desk, message=2), await why(desk, agent="bob"), await why(desk, agent="ada")] == first
    assert bob.unacked == {1}
    session = desk.connect()
    assert [frame["op"] for frame in await desk.say(session, Register(id=1, agent="bob"))] == [
        "ok", "event", "deliver", "deliver"
    ]  # fmt: skip


async def test_a_reply_that_was_forgiven(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60), Forgive(id=2, message=1))
    assert "bob owes no reply any more." in (await why(desk, message=1)).sentences
    assert (await why(desk, agent="ada")).waits_for == []
