"""`remove`: an agent leaves for good. Its name, its epoch and its inbox stay."""

from relay_proto.frames import (
    Ack,
    Agents,
    Claim,
    GetTask,
    Owed,
    Park,
    Register,
    Remove,
    Send,
    Submit,
    Subscribe,
    Will,
)
from relay_server.grants import make_grant
from tests.relay.desk import Desk, kinds
from tests.relay.test_visits import visit


async def names(desk: Desk) -> list[str]:
    (ok,) = await desk.say(await visit(desk, "asker", "i"), Agents(id=1))
    return [card["agent"] for card in ok["items"]]


async def test_its_session_ends_and_it_is_listed_no_more(desk: Desk) -> None:
    bob = await desk.agent("bob", tags=["t"])
    ada = await desk.agent("ada")
    (ok,) = await desk.say(ada, Remove(id=1, agent="bob"))
    assert ok["op"] == "ok"
    (bye,) = desk.heard(bob)
    assert (bye["op"], bye["code"], bob.close) == ("bye", "removed", (4410, "removed"))
    assert await names(desk) == ["ada"]
    (sent,) = await desk.say(ada, Send(id=2, to="tag:t", body="x"))
    assert sent["recipients"] == 0
    desk.broker.lost(bob)
    await desk.turn()
    assert await names(desk) == ["ada"]


async def test_it_may_remove_itself_and_is_answered_first(desk: Desk) -> None:
    bob = await desk.agent("bob")
    assert kinds(await desk.say(bob, Remove(id=1, agent="bob"))) == ["ok", "bye"]
    assert "bob" not in desk.broker.sessions


async def test_its_name_its_epoch_and_its_inbox_stay(desk: Desk) -> None:
    await desk.agent("bob", instance="one")
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="bob", body="before"))
    await desk.say(ada, Remove(id=2, agent="bob"), Send(id=3, to="bob", body="b"))
    await desk.restart()
    assert "bob" not in await names(desk)
    again = desk.connect()
    ok, *delivered = await desk.say(again, Register(id=0, agent="bob", instance="two"))
    assert ok["epoch"] == 2
    assert [(frame["message"], frame["attempt"]) for frame in delivered] == [(1, 2), (2, 1)], "the first was pushed"
    assert "bob" in await names(desk)


async def test_what_it_holds_is_offered_to_others_and_not_to_it(desk: Desk) -> None:
    bob, eve = await desk.agent("bob", caps=["x"]), await desk.agent("eve", caps=["x"])
    ada = await desk.agent("ada")
    await desk.say(ada, Submit(id=1, to="cap:x", title="job"))
    await desk.say(bob, Claim(id=1, message=1))
    desk.heard(bob), desk.heard(eve)
    await desk.say(ada, Remove(id=2, agent="bob"))
    assert kinds(desk.heard(bob)) == ["bye"]
    assert kinds(desk.heard(eve)) == ["deliver 1 #2"]
    task = (await desk.say(ada, GetTask(id=3, message=1)))[-1]["item"]
    assert (task["state"], task["attempts"]) == ("ready", 0)
    assert desk.broker.leases.get(1) is None


async def test_what_an_earlier_instance_of_it_holds_is_given_back_too(desk: Desk) -> None:
    ada, eve = await desk.agent("ada"), await desk.agent("eve", caps=["x"])
    await desk.say(ada, *[Submit(id=n, to="cap:x", title="job", claimable=True) for n in (1, 2, 3)])
    for n in (1, 2):  # each of these processes is another epoch
        bob = await desk.agent("bob", caps=["x"], instance=f"p{n}")
        await desk.say(bob, Claim(id=1, message=n, lease_s=3600))
    await desk.say(bob, Park(id=2, message=2, fence=1, needs="input"))
    bob = await desk.agent("bob", caps=["x"], instance="p3")
    await desk.say(bob, Claim(id=1, message=3))
    desk.heard(eve)
    await desk.say(ada, Remove(id=2, agent="bob"))
    assert kinds(desk.heard(eve)) == ["deliver 1 #2", "deliver 2 #2", "deliver 3 #2"]
    for message in (1, 2, 3):
        task = (await desk.say(ada, GetTask(id=3, message=message)))[-1]["item"]
        assert (task["state"], task.get("holder")) == ("ready", None)
        assert desk.broker.leases.get(message) is None


async def test_its_will_is_dropped_and_its_asks_block_nobody(desk: Desk) -> None:
    bob, ada = await desk.agent("bob", will=Will(to="ada", body="last")), await desk.agent("ada")
    await desk.say(bob, Send(id=1, to="ada", body="?", expect_reply_s=600))
    desk.heard(ada)
    await desk.say(bob, Remove(id=2, agent="bob"))
    (ok,) = await desk.say(ada, Send(id=3, to="bob", body="?", expect_reply_s=600))
    assert ok["op"] == "ok", "no ring with one who left"
    await desk.pass_time(300)
    assert [kind for kind in kinds(desk.heard(ada)) if kind.startswith("deliver")] == []


async def test_who_waits_for_its_reply_is_told(desk: Desk) -> None:
    await desk.agent("bob")
    ada = await desk.agent("ada")
    await desk.say(ada, Subscribe(id=9, events=["presence"]), Send(id=1, to="bob", body="?", expect_reply_s=600))
    heard = await desk.say(ada, Remove(id=2, agent="bob"))
    assert kinds(heard)[1:] == ["reply.gone 1 bob", "presence bob"]
    assert [frame.get("status") for frame in heard[1:]] == ["offline", "offline"]
    assert len((await desk.say(ada, Owed(id=3)))[-1]["items"]) == 1


async def test_another_one_takes_the_scope_and_one_who_never_registered_is_unknown(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    ada.grant = make_grant(frozenset({"agents:write"}), agent="ada")
    (refused,) = await desk.say(ada, Remove(id=1, agent="bob"))
    assert refused["code"] == "forbidden"
    assert "bob" in desk.broker.sessions
    ops = await visit(desk, "ops", "i")
    (unknown,) = await desk.say(ops, Remove(id=1, agent="nobody"))
    (visitor,) = await desk.say(ops, Remove(id=2, agent="ops"))
    assert (unknown["code"], visitor["code"]) == ("unknown_agent", "unknown_agent")
    for request in (3, 4):
        assert (await desk.say(ops, Remove(id=request, agent="bob")))[-1]["op"] == "ok"


async def test_one_that_registers_behind_it_is_there(desk: Desk) -> None:
    await desk.agent("bob", instance="i")
    ada = await desk.agent("ada")
    again = desk.connect()
    desk.put(ada, Remove(id=1, agent="bob"))
    desk.put(again, Register(id=0, agent="bob", instance="i"))
    await desk.turn()
    assert desk.broker.sessions["bob"] is again
    assert "bob" in await names(desk)
    await desk.say(ada, Send(id=2, to="bob", body="x"))
    assert kinds(desk.heard(again))[-1] == "deliver 1"
    await desk.say(again, Ack(messages=[1]))
