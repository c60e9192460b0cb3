"""`forgive`: an asker that stops waiting is not blocked, and nobody owes it anything."""

from relay_proto.frames import Ack, Forgive, Owed, Receipts, Send
from tests.relay.desk import Desk, kinds


async def test_what_is_forgiven_is_not_owed_and_not_overdue_but_still_delivered(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=5))
    assert kinds(await desk.say(ada, Forgive(id=2, message=1))) == ["ok"]
    assert (await desk.say(bob, Owed(id=1)))[-1]["items"] == []
    await desk.pass_time(10)
    assert desk.heard(ada) == []
    (answer,) = await desk.say(ada, Receipts(id=3, message=1))
    assert [delivery["stage"] for delivery in answer["deliveries"]] == ["pushed"]


async def test_who_forgave_is_not_blocked_so_no_ring_is_closed(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    assert kinds(await desk.say(bob, Send(id=1, to="ada", body="?", expect_reply_s=60)))[-1] == "error deadlock"
    await desk.say(ada, Forgive(id=2, message=1))
    assert kinds(await desk.say(bob, Send(id=2, to="ada", body="?", expect_reply_s=60)))[-1] == "ok"


async def test_only_the_asker_may_forgive_and_twice_is_nothing(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    *_, refused = await desk.say(bob, Forgive(id=1, message=1))
    assert (refused["code"], "owed to ada" in refused["message"]) == ("forbidden", True)
    (unknown,) = await desk.say(ada, Forgive(id=2, message=99))
    assert unknown["code"] == "unknown_message"
    assert len((await desk.say(bob, Owed(id=2)))[-1]["items"]) == 1
    for request in (3, 4):
        assert kinds(await desk.say(ada, Forgive(id=request, message=1))) == ["ok"]


async def test_an_ask_that_its_sender_replaces_is_told_as_refused_even_when_it_had_surfaced(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    heard = await desk.say(ada, Send(id=2, to="bob", body="never mind", supersedes=1))
    events = [frame for frame in heard if frame["op"] == "event"]
    assert [(event["event"], event["message"], event["agent"], event["stage"]) for event in events] == [
        ("reply.refused", 1, "bob", "surfaced")
    ]


async def test_who_was_never_seen_is_not_said_to_owe_nothing(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (answer,) = await desk.say(ada, Owed(id=1, agent="adda"))
    assert (answer["code"], answer["detail"]) == ("unknown_agent", {"suggestions": ["ada"]})
