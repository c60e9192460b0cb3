"""Agents without a socket: registered, asked for by requests, given nothing; and what a visit acks for its agent."""

from relay_proto.frames import (
    Ack,
    Agents,
    Check,
    Claim,
    Heartbeat,
    Inbox,
    Nack,
    Register,
    Send,
    Submit,
    Subscribe,
    Update,
)
from relay_server.presence import STALE_S
from relay_server.session import Session
from tests.relay.desk import Desk, kinds
from tests.relay.test_visits import visit


async def polled(desk: Desk, name: str, instance: str = "i", **fields: object) -> Session:
    session = desk.connect()
    session.polled = True
    (ok,) = await desk.say(session, Register(id=0, agent=name, instance=instance, **fields))  # type: ignore[arg-type]
    assert ok["op"] == "ok"
    return session


async def status(desk: Desk, name: str) -> str:
    watcher = await visit(desk, "watcher", "w")
    (ok,) = await desk.say(watcher, Agents(id=1))
    return str({card["agent"]: card["status"] for card in ok["items"]}[name])


async def test_it_is_there_and_nothing_is_pushed_to_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=0, to="bob", body="before", hold=True))
    bob = await polled(desk, "bob", tags=["t"])
    (ok,) = await desk.say(ada, Send(id=1, to="tag:t", body="x"))
    assert (ok["recipients"], ok["online"]) == (1, 1)
    await desk.say(ada, Send(id=2, to="bob", body="first", priority=9))
    assert desk.heard(bob) == []
    assert bob.unacked == set()
    shell = await visit(desk, "bob", "i")
    assert len((await desk.say(shell, Inbox(id=1)))[-1]["items"]) == 3
    await desk.say(shell, Ack(id=2, messages=[1, 2]))
    assert [item["message"] for item in (await desk.say(shell, Inbox(id=3)))[-1]["items"]] == [3]
    assert desk.heard(bob) == []


async def test_it_is_gone_when_nobody_asks_for_it_and_stays_while_somebody_does(desk: Desk) -> None:
    watcher = await desk.agent("ada")
    await desk.say(watcher, Subscribe(id=1, events=["presence"]))
    await polled(desk, "bob")
    shell = await visit(desk, "bob", "i")
    for _ in range(4):
        await desk.pass_time(STALE_S - 20)
        await desk.say(shell, Inbox(id=1))
    assert "bob" in desk.broker.sessions
    desk.heard(watcher)
    await desk.pass_time(STALE_S + 1)
    assert "bob" not in desk.broker.sessions
    assert await status(desk, "bob") == "stale"
    await desk.pass_time(STALE_S)
    assert await status(desk, "bob") == "offline"
    assert [frame["status"] for frame in desk.heard(watcher) if frame["agent"] == "bob"] == ["stale", "offline"]


async def test_asking_in_its_name_keeps_its_leases_and_silence_ends_them(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await polled(desk, "bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="job"))
    shell = await visit(desk, "bob", "i")
    await desk.say(shell, Claim(id=1, message=1, lease_s=30))
    for _ in range(4):
        await desk.pass_time(20)
        desk.broker.hear("bob", desk.now)
    assert kinds(await desk.say(ada, Check(id=2, message=1, fence=1)))[-1] == "ok"
    await desk.pass_time(31)
    assert kinds(await desk.say(ada, Check(id=3, message=1, fence=1)))[-1] == "error finished"


async def test_a_heartbeat_says_what_it_is_like(desk: Desk) -> None:
    await polled(desk, "bob")
    shell = await visit(desk, "bob", "i")
    await desk.say(shell, Heartbeat(id=1, status="busy", load=0.5))
    assert await status(desk, "bob") == "busy"


async def test_a_visit_beside_a_socket_does_not_speak_of_its_state(desk: Desk) -> None:
    await desk.agent("bob")
    shell = await visit(desk, "bob", "other")
    await desk.say(shell, Heartbeat(id=1, status="busy"))
    assert await status(desk, "bob") == "online"
    heard_at = desk.broker.directory.agents["bob"].heard_at
    await desk.pass_time(5)
    await desk.say(shell, Inbox(id=2))
    assert desk.broker.directory.agents["bob"].heard_at == heard_at


async def test_the_same_instance_keeps_its_epoch_and_a_socket_takes_over(desk: Desk) -> None:
    first = await polled(desk, "bob", "i")
    second = await polled(desk, "bob", "i")
    assert (first.epoch, second.epoch) == (1, 1)
    assert first.close is not None
    socket = await desk.agent("bob", instance="other")
    assert (socket.epoch, second.close is not None) == (2, True)
    assert desk.broker.sessions["bob"] is socket
    await desk.pass_time(10)
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    assert kinds(desk.heard(socket)) == ["deliver 1"]
    back = await polled(desk, "bob", "i")
    assert back.epoch == 3
    desk.broker.lost(socket)
    await desk.turn()
    again = await desk.agent("bob", instance="i")
    assert again.epoch == 3
    assert again.unacked == {1}, "it was not lost with the sockets"


async def test_the_directory_knows_its_instance_also_after_a_restart(desk: Desk) -> None:
    await polled(desk, "bob", "i-7")
    assert desk.broker.directory.agents["bob"].instance == "i-7"
    await desk.restart()
    assert desk.broker.directory.agents["bob"].instance == "i-7"
    assert "bob" not in desk.broker.sessions


async def test_what_a_visit_acks_gives_the_live_session_its_credit_back(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    await desk.say(ada, *[Send(id=number, to="bob", body="x") for number in (1, 2, 3)])
    assert kinds(desk.heard(bob)) == ["deliver 1"]
    shell = await visit(desk, "bob", "shell")
    assert kinds(await desk.say(shell, Ack(id=1, messages=[1]))) == ["ok"]
    assert kinds(desk.heard(bob)) == ["deliver 2"]
    assert kinds(await desk.say(shell, Nack(id=2, message=2, reason="no", retry=False))) == ["ok"]
    assert kinds(desk.heard(bob)) == ["deliver 3"]
    assert await desk.ledger(1) | await desk.ledger(2) == {"bob": "nacked: no"}
    assert await desk.ledger(1) == {"bob": "done"}


async def test_a_visit_of_a_name_without_a_session_acks_too(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="plain", body="x", hold=True))
    shell = await visit(desk, "plain", "shell")
    assert kinds(await desk.say(shell, Ack(id=1, messages=[1]))) == ["ok"]
    (unknown,) = await desk.say(shell, Ack(id=2, messages=[7]))
    assert (unknown["code"], unknown["detail"]) == ("unknown_message", {"messages": [7]})
    assert await desk.ledger(1) == {"plain": "done"}


async def test_a_visit_changes_what_a_registered_agent_said_and_no_other(desk: Desk) -> None:
    await desk.agent("bob", tags=["t"])
    shell = await visit(desk, "bob", "shell")
    assert kinds(await desk.say(shell, Update(id=1, label="Bob"))) == ["ok"]
    assert desk.broker.directory.agents["bob"].label == "Bob"
    assert desk.broker.directory.agents["bob"].tags == ("t",)
    plain = await visit(desk, "plain", "shell")
    assert kinds(await desk.say(plain, Update(id=1, label="P", tags=["t"]))) == ["error forbidden"]
    assert desk.broker.directory.by_tag["t"] == {"bob"}
