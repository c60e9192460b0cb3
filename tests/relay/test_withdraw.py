"""`withdraw`: a sender takes its message back. Nobody gets it any more, and the ledger says so."""

from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    Complete,
    GetMessage,
    GetTask,
    Inbox,
    Nack,
    Owed,
    Receipts,
    Register,
    Send,
    Submit,
    Subscribe,
    Why,
    Withdraw,
)
from tests.relay.desk import Desk, kinds


async def test_who_was_given_it_is_told_and_who_was_not_never_sees_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.agent("eve")
    await desk.say(desk.broker.sessions["eve"], Bye())
    await desk.say(ada, Send(id=1, to="broadcast", body="x"))
    (ok,) = await desk.say(ada, Withdraw(id=2, message=1, reason="wrong"))
    assert (ok["op"], ok["message"]) == ("ok", 1)
    _, event = desk.heard(bob)
    assert (event["event"], event["message"], event["reason"]) == ("withdrawn", 1, "withdrawn by ada: wrong")
    assert bob.unacked == set()
    assert await desk.ledger(1) == dict.fromkeys(("bob", "eve"), "superseded: withdrawn by ada: wrong")
    eve = desk.connect()
    assert kinds(await desk.say(eve, Register(id=0, agent="eve"))) == ["ok"]


async def test_what_was_dealt_with_stays_and_what_is_surfaced_goes(desk: Desk) -> None:
    ada, bob, eve = await desk.agent("ada"), await desk.agent("bob"), await desk.agent("eve")
    await desk.say(ada, Send(id=1, to="broadcast", body="x"))
    await desk.say(bob, Ack(messages=[1]))
    await desk.say(eve, Ack(messages=[1], stage="surfaced"))
    desk.heard(bob), desk.heard(eve)
    await desk.say(ada, Withdraw(id=2, message=1))
    assert await desk.ledger(1) == {"bob": "done", "eve": "superseded: withdrawn by ada"}
    assert (kinds(desk.heard(bob)), kinds(desk.heard(eve))) == ([], ["withdrawn 1"])


async def test_the_message_shows_it_and_no_inbox_does(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    assert "withdrawn_at" not in (await desk.say(ada, GetMessage(id=2, message=1)))[-1]["item"]
    await desk.say(ada, Withdraw(id=3, message=1))
    assert (await desk.say(ada, GetMessage(id=4, message=1)))[-1]["item"]["withdrawn_at"] == desk.now_ms
    assert (await desk.say(bob, Inbox(id=1)))[-1]["items"] == []
    assert (await desk.say(bob, Inbox(id=2, unread=False)))[-1]["items"][0]["withdrawn_at"] == desk.now_ms
    assert (await desk.say(ada, Why(id=5, message=1)))[-1]["op"] == "ok"


async def test_twice_is_nothing_and_only_its_sender_may_unless_with_force(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    *_, refused = await desk.say(bob, Withdraw(id=1, message=1))
    assert (refused["code"], refused["detail"]) == ("forbidden", {"sender": "ada"})
    assert (await desk.ledger(1))["bob"] == "queued"
    (unknown,) = await desk.say(bob, Withdraw(id=2, message=99))
    assert (unknown["code"], unknown["detail"]) == ("unknown_message", {"messages": [99]})
    assert kinds(await desk.say(bob, Withdraw(id=3, message=1, force=True))) == ["ok", "withdrawn 1"]
    at = (await desk.say(ada, GetMessage(id=4, message=1)))[-1]["item"]["withdrawn_at"]
    desk.now += 5
    assert kinds(await desk.say(ada, Withdraw(id=5, message=1))) == ["ok"]
    assert (await desk.say(ada, GetMessage(id=6, message=1)))[-1]["item"]["withdrawn_at"] == at
    assert (await desk.ledger(1))["bob"] == "superseded: withdrawn by bob"


async def test_what_waits_for_its_time_or_is_offered_to_one_of_many_never_comes(desk: Desk) -> None:
    ada, bob, eve = await desk.agent("ada"), await desk.agent("bob", tags=["t"]), await desk.agent("eve", tags=["t"])
    await desk.say(ada, Send(id=1, to="bob", body="later", delay_s=5), Send(id=2, to="any:tag:t", body="x", offer_s=2))
    await desk.say(ada, Withdraw(id=3, message=1), Withdraw(id=4, message=2))
    desk.heard(bob), desk.heard(eve)
    await desk.pass_time(60)
    assert desk.heard(bob) + desk.heard(eve) == []


async def test_one_of_many_who_declines_it_in_the_same_breath_passes_it_to_nobody(desk: Desk) -> None:
    ada, bob, eve = await desk.agent("ada"), await desk.agent("bob", tags=["t"]), await desk.agent("eve", tags=["t"])
    await desk.say(ada, Send(id=1, to="any:tag:t", body="x"))
    (first, other) = (bob, eve) if bob.unacked else (eve, bob)
    desk.put(first, Nack(message=1, reason="no", retry=False))
    desk.put(ada, Withdraw(id=2, message=1))
    await desk.pass_time(60)
    assert desk.heard(other) == []


async def test_its_work_is_canceled_and_the_holder_told(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="held"), Submit(id=2, to="cap:x", title="after", depends_on=[1]))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.say(ada, Withdraw(id=3, message=1, reason="no more"))
    await desk.pass_time(0.1)
    states = {one: (await desk.say(ada, GetTask(id=4, message=one)))[-1]["item"]["state"] for one in (1, 2)}
    assert states == {1: "canceled", 2: "canceled"}, "and what waited for it"
    assert kinds(await desk.say(bob, Complete(id=2, message=1, fence=1)))[-1] == "error not_holder"
    assert kinds(await desk.say(bob, Claim(id=3, message=1))) == ["error finished"]


async def test_the_holder_hears_that_its_claim_is_lost(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="held"))
    await desk.say(bob, Claim(id=1, message=1))
    desk.heard(bob)
    await desk.say(ada, Withdraw(id=3, message=1))
    heard = {frame["event"]: frame for frame in desk.heard(bob)}
    assert (heard["claim.lost"]["fence"], heard["claim.lost"]["state"]) == (1, "canceled")
    assert heard["claim.lost"]["reason"] == "withdrawn by ada"
    assert desk.broker.leases.get(1) is None


async def test_work_that_is_over_stays_as_it_ended(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="job"))
    await desk.say(bob, Claim(id=1, message=1), Complete(id=2, message=1, fence=1, result="r"))
    assert kinds(await desk.say(ada, Withdraw(id=2, message=1))) == ["ok"]
    item = (await desk.say(ada, GetMessage(id=3, message=1)))[-1]["item"]
    assert (item["work"]["state"], item["work"]["result"], item["withdrawn_at"]) == ("done", "r", desk.now_ms)


async def test_nothing_is_owed_for_it_and_nobody_is_blocked_by_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    desk.heard(bob)
    await desk.say(ada, Withdraw(id=2, message=1))
    assert (await desk.say(bob, Owed(id=1)))[-1]["items"] == []
    assert kinds(await desk.say(bob, Send(id=2, to="ada", body="?", expect_reply_s=60))) == ["ok"], "no ring"
    await desk.pass_time(30)
    assert [kind for kind in kinds(desk.heard(ada)) if kind.startswith("reply")] == []


async def test_who_waits_for_an_ask_that_another_withdrew_is_told(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    ops = await desk.agent("ops")
    await desk.say(ada, Send(id=1, to="bob", body="?", expect_reply_s=60))
    desk.heard(ada)
    await desk.say(ops, Withdraw(id=1, message=1, force=True))
    assert kinds(desk.heard(ada)) == ["reply.refused 1 bob"]


async def test_a_receipt_watcher_hears_of_it(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Subscribe(id=1, events=["receipt"]), Send(id=2, to="bob", body="x"))
    desk.heard(ada)
    _, receipt = await desk.say(ada, Withdraw(id=3, message=1))
    assert (receipt["event"], receipt["agent"], receipt["stage"]) == ("receipt", "bob", "superseded")


async def test_its_key_is_answered_as_the_first_time(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    send = Send(id=1, to="bob", body="x", key="k")
    await desk.say(ada, send, Withdraw(id=2, message=1))
    desk.heard(bob)
    (ok,) = await desk.say(ada, send)
    assert (ok["message"], ok["duplicate"]) == (1, True)
    assert desk.heard(bob) == []
    assert (await desk.say(ada, Receipts(id=3, message=1)))[-1]["deliveries"][0]["stage"] == "superseded"


async def test_an_ack_that_crossed_it_is_kept(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(ada, Withdraw(id=2, message=1))
    await desk.say(bob, Ack(messages=[1]))
    assert await desk.ledger(1) == {"bob": "done"}
