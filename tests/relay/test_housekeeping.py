"""What the desk does by itself as time goes by: presence, last wills, pruning, retention. Over the real store."""

from typing import Any

import pytest

from relay_proto.errors import StorageFull
from relay_proto.frames import (
    Ack,
    Agents,
    Bye,
    Claim,
    Complete,
    GetMessage,
    Heartbeat,
    Inbox,
    Nack,
    Receipts,
    Register,
    Send,
    Subscribe,
    Thread,
    Update,
    Will,
)
from relay_server.presence import STALE_S
from relay_server.quota import Limits
from relay_server.session import Session
from relay_server.store import applying
from relay_server.store import interface as ask
from relay_server.times import COME_BACK_S, PRUNE_S, REAP_S, RETENTION_S, SWEEP_S
from tests.relay.desk import START_MS, Desk, kinds

HOUR_S = 3600.0


async def answer(desk: Desk, session: Session, frame: Any) -> dict[str, Any]:
    """The answer to one request, among whatever else the session hears."""
    heard = await desk.say(session, frame)
    return next(found for found in heard if found.get("re") == frame.id)


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> int:
    """Send something that is accepted; gives the message."""
    given: dict[str, Any] = {"body": "x"} | fields
    ok = await answer(desk, session, Send(id=700, to=to, **given))
    assert ok["op"] == "ok", ok
    return int(ok["message"])


async def card(desk: Desk, session: Session, agent: str) -> dict[str, Any] | None:
    ok = await answer(desk, session, Agents(id=701))
    return next((item for item in ok["items"] if item["agent"] == agent), None)


async def is_kept(desk: Desk, session: Session, message: int) -> bool:
    return bool((await answer(desk, session, GetMessage(id=702, message=message)))["op"] == "ok")


async def lose(desk: Desk, session: Session) -> None:
    desk.broker.lost(session)
    await desk.turn()


async def presences(desk: Desk, session: Session, seconds: float) -> list[tuple[str, str]]:
    """What the session hears of others while time goes by."""
    await desk.pass_time(seconds)
    return [(event["agent"], event["status"]) for event in desk.heard(session) if event.get("event") == "presence"]


# -- presence --------------------------------------------------------------------------------------------------------


async def test_who_is_silent_with_its_socket_open_is_stale_until_it_says_something(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", status="busy")
    await desk.pass_time(STALE_S - 1)
    found = await card(desk, ada, "bob")
    assert found is not None
    assert (found["status"], "reason" in found) == ("busy", False)
    await desk.pass_time(1)
    found = await card(desk, ada, "bob")
    assert found is not None
    assert (found["status"], found["reason"]) == ("stale", "connected, and silent for 120 s")
    assert found["last_seen_at"] == START_MS
    await desk.say(bob, Heartbeat())
    found = await card(desk, ada, "bob")
    assert found is not None
    assert (found["status"], "reason" in found) == ("busy", False)


async def test_whose_connection_is_lost_is_stale_and_offline_two_minutes_after_the_loss(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.pass_time(100)
    await lose(desk, bob)
    await desk.pass_time(STALE_S - 1)
    found = await card(desk, ada, "bob")
    assert found is not None
    assert found["status"] == "stale", "it was quiet before it was lost, and that does not count"
    assert found["reason"] == "its connection was lost; last heard of 3 minutes ago"
    await desk.pass_time(1)
    found = await card(desk, ada, "bob")
    assert found is not None
    assert found["status"] == "offline"


async def test_who_says_bye_is_offline_at_once_and_after_a_restart_everyone_is(desk: Desk) -> None:
    ada, bob, _ = [await desk.agent(name) for name in ("ada", "bob", "cy")]
    await desk.say(bob, Bye())
    found = await card(desk, ada, "bob")
    assert found is not None
    assert (found["status"], found["reason"]) == ("offline", "it said bye 0 s ago")
    await desk.restart(down_s=60)
    ada = await desk.agent("ada")
    found = await card(desk, ada, "cy")
    assert found is not None
    assert found["status"] == "offline"
    assert found["reason"] == "not connected since the relay started; last heard of 1 minute ago"


async def test_who_watches_hears_each_change_of_presence_once(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Subscribe(id=1, events=["presence"]))
    bob = await desk.agent("bob", instance="i1")
    assert await presences(desk, ada, 0) == [("bob", "online")]
    assert await presences(desk, ada, STALE_S) == [("ada", "stale"), ("bob", "stale")]
    assert [event["status"] for event in await desk.say(ada, Heartbeat())] == ["online"]
    await desk.say(bob, Heartbeat())
    await desk.say(bob, Heartbeat())
    assert await presences(desk, ada, STALE_S - 1) == [("bob", "online")]
    await desk.say(ada, Heartbeat())
    assert await presences(desk, ada, 1) == [("bob", "stale")], "each time it falls silent"
    await desk.say(bob, Heartbeat())
    assert await presences(desk, ada, 0) == [("bob", "online")]
    await lose(desk, bob)
    bob = await desk.agent("bob", instance="i1")
    await desk.pass_time(10)
    await lose(desk, bob)
    assert await presences(desk, ada, 0) == [("bob", "stale"), ("bob", "online"), ("bob", "stale")]
    await desk.pass_time(60)
    await desk.say(ada, Heartbeat())
    assert await presences(desk, ada, 60 - 1) == []
    assert await presences(desk, ada, 1) == [("bob", "offline")]
    await desk.say(ada, Heartbeat())
    assert await presences(desk, ada, STALE_S - 1) == [], "it is offline once, however often it was lost"


# -- last wills ------------------------------------------------------------------------------------------------------

WILL = Will(to="ada", body="I am gone", subject="will", channel="ops")


async def wills(desk: Desk, session: Session) -> list[tuple[str, str]]:
    """Sender and body of what was delivered; it is dealt with."""
    found = [frame for frame in desk.heard(session) if frame["op"] == "deliver"]
    if found:
        await desk.say(session, Ack(messages=[frame["message"] for frame in found]))
    return [(frame["from"], frame["body"]) for frame in found]


async def wait(desk: Desk, seconds: float, *awake: Session) -> None:
    """Time goes by, and these say a word now and then."""
    while seconds > 0:
        await desk.pass_time(min(seconds, 30))
        seconds -= 30
        for session in awake:
            desk.put(session, Heartbeat())
        await desk.turn()


async def test_the_will_of_one_that_falls_silent_with_its_socket_open_is_sent_once(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    await desk.pass_time(60)
    await desk.say(bob, Heartbeat())
    await desk.pass_time(STALE_S - 1)
    assert await wills(desk, ada) == []
    await desk.pass_time(1)
    (frame,) = desk.heard(ada)
    assert {name: frame[name] for name in ("from", "to", "body", "subject", "channel", "hops")} == {
        "from": "bob", "to": "ada", "body": "I am gone", "subject": "will", "channel": "ops", "hops": 0,
    }  # fmt: skip
    await desk.say(bob, Heartbeat())
    await desk.pass_time(10 * STALE_S)
    await lose(desk, bob)
    await desk.pass_time(10 * STALE_S)
    assert desk.heard(ada) == [], "it speaks again, and falls silent again: it has left no other will"


async def test_the_will_of_one_whose_connection_is_lost_is_sent_when_it_was_silent_for_two_minutes(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    await desk.pass_time(50)
    await lose(desk, bob)
    await desk.pass_time(STALE_S - 51)
    assert await wills(desk, ada) == []
    await desk.pass_time(1)
    assert await wills(desk, ada) == [("bob", "I am gone")]
    await desk.restart()
    ada = await desk.agent("ada")
    await desk.pass_time(10 * STALE_S)
    assert await wills(desk, ada) == [], "what was sent is not left any more, after a restart either"


async def test_a_bye_takes_the_will_back_for_good(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    await desk.say(bob, Bye())
    await desk.pass_time(10 * STALE_S)
    await desk.restart()
    ada = await desk.agent("ada")
    await desk.pass_time(10 * STALE_S)
    assert await wills(desk, ada) == []


@pytest.mark.parametrize("instance", ["i1", "i2"])
async def test_a_register_replaces_the_will_or_takes_it_back(desk: Desk, instance: str) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL, instance="i1")
    await lose(desk, bob)
    await desk.pass_time(STALE_S - 1)
    bob = await desk.agent("bob", will=Will(to="ada", body="another"), instance=instance)
    await desk.pass_time(STALE_S - 1)
    assert await wills(desk, ada) == [], "two minutes from when it was heard again"
    await desk.pass_time(1)
    assert await wills(desk, ada) == [("bob", "another")]
    await lose(desk, bob)
    bob = await desk.agent("bob", will=WILL, instance=instance)
    bob = await desk.agent("bob", instance=instance)
    await lose(desk, bob)
    await desk.pass_time(10 * STALE_S)
    assert await wills(desk, ada) == []


async def test_a_will_survives_a_restart_and_its_agent_gets_time_to_come_back(desk: Desk) -> None:
    await desk.agent("ada")
    await desk.agent("bob", will=WILL)
    await desk.agent("cy", will=WILL)
    await desk.restart(down_s=3600)
    ada = await desk.agent("ada")
    await desk.pass_time(60)
    await desk.agent("cy", will=WILL)
    await desk.pass_time(STALE_S - 61)
    assert await wills(desk, ada) == []
    await desk.pass_time(1)
    assert await wills(desk, ada) == [("bob", "I am gone")]
    await desk.pass_time(60)
    assert await wills(desk, ada) == [("cy", "I am gone")], "it came back and fell silent"


async def test_a_visit_of_the_same_name_neither_keeps_the_will_nor_takes_it_back(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    visit = desk.connect()
    await desk.say(visit, Register(id=1, agent="bob", visit=True))
    await desk.pass_time(60)
    await desk.say(visit, Heartbeat(), Bye())
    await desk.pass_time(60)
    assert await wills(desk, ada) == [("bob", "I am gone")]
    assert not bob.lost


async def test_a_will_is_for_whom_its_target_means_when_it_is_sent(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", will=Will(to="tag:crew", body="to the crew"))
    await desk.agent("cy", will=Will(to="nobody", body="to nobody"))
    await desk.pass_time(60)
    await desk.say(ada, Update(id=1, tags=["crew"]))
    await desk.pass_time(60)
    assert await wills(desk, ada) == [("bob", "to the crew")]
    newest = await send(desk, ada, "ada")
    assert newest == 2, "nobody had the name, so nothing was sent"


async def test_a_will_is_no_storm_and_its_sender_needs_no_rate_for_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=Will(to="ALL", body="gone"))
    await desk.pass_time(STALE_S - 1)
    for _ in range(10):
        await send(desk, bob, "ALL")
    assert (await answer(desk, bob, Send(id=1, to="ALL", body="x")))["code"] == "rate_limited"
    desk.broker.directory.agents["bob"].heard_at = 0.0  # in truth two minutes without a word fill every rate
    await desk.pass_time(1)
    assert (await wills(desk, ada))[-1] == ("bob", "gone")


async def test_a_will_that_the_disk_has_no_room_for_is_sent_when_there_is_some(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    commands: dict[Any, Any] = applying.APPLY
    put, tried = commands[ask.PutMessage], 0

    def full(tx: Any, command: Any) -> Any:
        nonlocal tried
        tried += 1
        return StorageFull("the disk is full", retry_after_s=1.0) if tried <= 3 else put(tx, command)

    monkeypatch.setitem(commands, ask.PutMessage, full)
    await lose(desk, bob)
    await desk.pass_time(STALE_S)
    assert (tried, await wills(desk, ada)) == (1, [])
    await desk.pass_time(10)
    assert (tried, await wills(desk, ada)) == (4, [("bob", "I am gone")])


async def test_a_will_that_finds_no_room_drops_nothing_of_what_is_there(tmp_path: Any) -> None:
    desk = await Desk(tmp_path, quotas=Limits(inbox_messages_max=1)).open()
    ada, bob = await desk.agent("ada"), await desk.agent("bob", will=WILL)
    message = await send(desk, bob, "ada")
    await desk.pass_time(STALE_S)
    page = await answer(desk, ada, Inbox(id=1))
    assert [item["message"] for item in page["items"]] == [message]
    await desk.close()


# -- pruning ---------------------------------------------------------------------------------------------------------


async def a_day_away(desk: Desk, ada: Session, leave: str) -> None:
    """bob was there, with everything that a group can mean it by, and is away for a day."""
    bob = await desk.agent("bob", label="Bob", tags=["red"], caps=["review"], channels=["ops"], instance="i1")
    if leave == "bye":
        await desk.say(bob, Bye())
    else:
        await lose(desk, bob)


GROUPS = ("ALL", "tag:red", "cap:review", "label:Bob", "channel:ops", "any:tag:red", "any:cap:review")


@pytest.mark.parametrize("leave", ["bye", "lost"])
async def test_who_is_away_for_a_day_is_in_no_group_and_keeps_its_name_and_inbox(desk: Desk, leave: str) -> None:
    ada = await desk.agent("ada")
    await a_day_away(desk, ada, leave)
    early = await send(desk, ada, "tag:red")
    await wait(desk, PRUNE_S - SWEEP_S, ada)
    assert await card(desk, ada, "bob") is not None
    for target in GROUPS:
        ok = await answer(desk, ada, Send(id=1, to=target, body="x"))
        assert ok["recipients"] == 1, target
    await wait(desk, 3 * SWEEP_S, ada)
    assert await card(desk, ada, "bob") is None
    for target in GROUPS:
        ok = await answer(desk, ada, Send(id=1, to=target, body="x"))
        assert ok["recipients"] == 0, target
    late = await send(desk, ada, "bob", body="by its name")
    page = await answer(desk, ada, Inbox(id=2, agent="bob"))
    kept = [item["message"] for item in page["items"]]
    assert (kept[0], kept[-1], len(kept)) == (early, late, 2 + len(GROUPS))
    error = await answer(desk, ada, Send(id=3, to="bobb", body="x"))
    assert error["detail"] == {"suggestions": ["bob"]}
    await desk.restart()
    ada = await desk.agent("ada")
    ok = await answer(desk, ada, Send(id=4, to="tag:red", body="x"))
    assert (ok["recipients"], await card(desk, ada, "bob")) == (0, None)
    back = desk.connect()
    heard = await desk.say(back, Register(id=5, agent="bob", tags=["red"], instance="i2"))
    assert (heard[0]["epoch"], heard[0]["pending"]) == (2, len(kept))
    assert [frame["message"] for frame in heard if frame["op"] == "deliver"] == kept
    assert await card(desk, ada, "bob") is not None
    assert (await answer(desk, ada, Send(id=6, to="tag:red", body="x")))["recipients"] == 1


async def test_who_is_connected_is_never_pruned_however_silent_it_is(desk: Desk) -> None:
    ada = await desk.agent("ada")
    silent = await desk.agent("silent", tags=["red"])
    await wait(desk, PRUNE_S + 3 * SWEEP_S, ada)
    assert (await answer(desk, ada, Send(id=1, to="tag:red", body="x")))["recipients"] == 1
    await lose(desk, silent)
    await wait(desk, HOUR_S, ada)
    assert (await answer(desk, ada, Send(id=2, to="tag:red", body="x")))["recipients"] == 1, "a day from the loss"
    await wait(desk, PRUNE_S, ada)
    assert (await answer(desk, ada, Send(id=3, to="tag:red", body="x")))["recipients"] == 0


async def test_who_was_there_for_days_when_the_relay_crashed_gets_time_to_come_back(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob", tags=["red"])
    await wait(desk, 3 * PRUNE_S, ada, bob)
    await desk.restart()
    ada = await desk.agent("ada")
    await wait(desk, COME_BACK_S - SWEEP_S, ada)
    assert (await answer(desk, ada, Send(id=1, to="tag:red", body="x")))["recipients"] == 1


async def test_who_comes_back_in_the_turn_in_which_it_would_be_pruned_stays(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await a_day_away(desk, ada, "bye")
    while desk.deadlines.next_deadline() is not None and not any("Prune" in repr(c) for c in desk.broker.commands):
        await desk.turn()
        at = desk.deadlines.next_deadline()
        assert at is not None
        assert at < PRUNE_S + 3 * SWEEP_S, "it is never pruned"
        desk.now = max(desk.now, at)
        desk.deadlines.run(desk.now)
    back = desk.connect()
    desk.broker.commands, prune = [], desk.broker.commands
    desk.put(back, Register(id=1, agent="bob", tags=["red"]))
    desk.broker.commands += prune
    await desk.turn()
    desk.heard(back)
    assert (await answer(desk, back, Agents(id=2, tag="red")))["items"][0]["agent"] == "bob"
    await desk.restart()
    assert desk.broker.directory.by_tag == {"red": {"bob"}}


async def test_who_only_visited_is_known_for_good_and_never_pruned_or_listed(desk: Desk) -> None:
    ada, visit = await desk.agent("ada"), desk.connect()
    await desk.say(visit, Register(id=1, agent="guest", visit=True), Bye())
    await wait(desk, PRUNE_S + 3 * SWEEP_S, ada)
    await send(desk, ada, "guest")
    assert await card(desk, ada, "guest") is None


# -- retention -------------------------------------------------------------------------------------------------------


async def month(desk: Desk, seconds: float = RETENTION_S + REAP_S + SWEEP_S) -> None:
    """A month goes by, at the speed of its sweeps."""
    await desk.pass_time(seconds)


async def test_what_is_finished_goes_after_a_month_and_its_id_is_never_used_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    messages = [await send(desk, ada, "bob") for _ in range(3)]
    await desk.say(bob, Ack(messages=messages[:2]))
    await desk.say(bob, Nack(message=messages[2], reason="no", retry=False))
    await desk.pass_time(HOUR_S)
    expired = await send(desk, ada, "bob", ttl_s=60)
    nobody = await send(desk, ada, "tag:nobody")
    old = await send(desk, ada, "bob")
    new = await send(desk, ada, "ada", supersedes=old)
    await desk.say(ada, Ack(messages=[new]))
    everything = [*messages, expired, nobody, old, new]
    await desk.pass_time(RETENTION_S - 2 * HOUR_S)
    assert [await is_kept(desk, ada, message) for message in everything] == [True] * 7
    await desk.pass_time(2 * HOUR_S + REAP_S + SWEEP_S)
    assert [await is_kept(desk, ada, message) for message in everything] == [False] * 7
    for request in (Receipts(id=1, message=old), Thread(id=1, thread=old)):
        assert (await answer(desk, ada, request))["code"] == "unknown_message"
    page = await answer(desk, bob, Inbox(id=2, unread=False))
    assert page["items"] == []
    await desk.restart()
    ada = await desk.agent("ada")
    assert await send(desk, ada, "bob") == new + 1


async def test_a_month_is_counted_from_what_happened_last(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob")
    await month(desk)
    assert await is_kept(desk, ada, message), "it is not dealt with"
    await desk.say(bob, Ack(messages=[message]))
    await desk.pass_time(RETENTION_S - HOUR_S)
    assert await is_kept(desk, ada, message)
    await desk.pass_time(HOUR_S + REAP_S)
    assert not await is_kept(desk, ada, message)


async def test_what_is_unacked_unfinished_or_owed_stays_however_old_it_is(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    queued = await send(desk, ada, "nobody", hold=True)
    surfaced = await send(desk, ada, "bob")
    half = await send(desk, ada, "ALL")
    cy = await desk.agent("cy")
    both = await send(desk, ada, "ALL")
    ready = await send(desk, ada, "cap:build", claimable=True)
    held = await send(desk, ada, "cap:review", claimable=True)
    owed = await send(desk, ada, "bob", expect_reply_s=60, waits=False)
    delayed = await send(desk, ada, "bob", delay_s=RETENTION_S)
    await desk.say(bob, Ack(messages=[surfaced], stage="surfaced"))
    await desk.say(bob, Ack(messages=[half, both, owed]), Claim(id=1, message=held, lease_s=24 * HOUR_S))
    await desk.say(bob, Ack(messages=[held]))
    for _ in range(62):
        await desk.pass_time(0.5 * 24 * HOUR_S)
        desk.put(bob, Heartbeat())
        await desk.turn()
    left = [queued, surfaced, both, ready, held, owed, delayed]
    assert [await is_kept(desk, ada, message) for message in left] == [True] * 7
    assert not await is_kept(desk, ada, half)
    await desk.say(cy, Ack(messages=[both]))
    await desk.say(bob, Complete(id=2, message=held, fence=1), Send(id=3, to="ada", body="yes", reply_to=owed))
    await month(desk)
    assert [await is_kept(desk, ada, message) for message in left] == [
        True, True, False, True, False, False, True,
    ]  # fmt: skip


async def test_a_key_is_forgotten_with_its_message_and_not_before(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob", key="k")
    await desk.say(bob, Ack(messages=[message]))
    await desk.pass_time(RETENTION_S - HOUR_S)
    assert (await answer(desk, ada, Send(id=1, to="bob", body="x", key="k")))["duplicate"] is True
    assert (await answer(desk, ada, Send(id=2, to="bob", body="y", key="k")))["code"] == "key_conflict"
    await desk.pass_time(2 * HOUR_S + REAP_S)
    assert await send(desk, ada, "bob", key="k") == message + 1


async def test_what_was_answered_may_go_and_the_rest_of_its_thread_stays(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    root = await send(desk, ada, "bob")
    await desk.say(bob, Ack(messages=[root]))
    await desk.pass_time(RETENTION_S - HOUR_S)
    reply = await send(desk, bob, "ada", reply_to=root)
    await desk.pass_time(2 * HOUR_S + REAP_S)
    assert not await is_kept(desk, ada, root)
    page = await answer(desk, ada, Thread(id=1, thread=reply))
    assert [item["message"] for item in page["items"]] == [reply]
    assert await send(desk, ada, "bob", reply_to=reply) == reply + 1
    assert await send(desk, ada, f"thread:{reply}") == reply + 2
    page = await answer(desk, ada, Thread(id=2, thread=reply))
    assert {item["thread"] for item in page["items"]} == {root}


async def test_the_sweeping_goes_on_piece_by_piece_for_as_long_as_the_relay_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_server.housekeeping.REAP_MESSAGES_MAX", 10)
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    for part in range(3):
        messages = [await send(desk, ada, "bob") for _ in range(35)]
        await desk.say(bob, Ack(messages=messages))
        await desk.pass_time(RETENTION_S + 2 * REAP_S)
        kept = [message for message in messages if await is_kept(desk, ada, message)]
        assert kept == [], part
        assert len(desk.deadlines) < 50, "no deadline is left behind"


async def test_a_walk_through_old_messages_ends_where_the_young_ones_begin(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_server.housekeeping.REAP_MESSAGES_MAX", 5)
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    old = [await send(desk, ada, "bob") for _ in range(12)]
    await desk.say(bob, Ack(messages=old))
    await desk.pass_time(RETENTION_S - HOUR_S)
    young = [await send(desk, ada, "bob") for _ in range(200)]
    await desk.pass_time(2 * HOUR_S)
    looked: list[int] = []
    real = desk.store.commit

    async def count(commands: Any, now_ms: int) -> Any:
        looked.extend(command.after for command in commands if type(command).__name__ == "Reap")
        return await real(commands, now_ms)

    monkeypatch.setattr(desk.store, "commit", count)
    await desk.pass_time(REAP_S + SWEEP_S)
    assert set(looked) == {0}, "one look at the first young ones, not forty"
    assert [await is_kept(desk, ada, message) for message in (old[0], old[-1], young[0])] == [False, False, True]


async def test_rates_and_rooms_of_those_who_are_quiet_are_forgotten(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for i in range(20):
        await send(desk, ada, f"held-{i}", hold=True)
    assert (len(desk.broker.rates) > 0, len(desk.broker.rooms) > 0) == (True, True)
    await desk.pass_time(5 * SWEEP_S)
    assert (len(desk.broker.rates), len(desk.broker.rooms)) == (0, 0)


async def test_what_a_register_brings_is_there_in_its_answer_after_all_that(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    message = await send(desk, ada, "bob")
    await lose(desk, bob)
    await month(desk, 3 * RETENTION_S)
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="bob"))) == ["ok", f"deliver {message} #2"]
