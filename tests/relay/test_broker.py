"""broker.py and post.py over the real store: what an agent hears of what it says."""

import sqlite3
from typing import Any

from relay_proto.frames import (
    Ack,
    Agents,
    Bye,
    Claim,
    Complete,
    Fail,
    GetMessage,
    Heartbeat,
    Inbox,
    Nack,
    Receipts,
    Register,
    Release,
    Renew,
    Send,
    Update,
)
from tests.relay.desk import START_MS, Desk, kinds


async def test_a_send_is_answered_and_then_delivered(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    heard = await desk.say(ada, Send(id=5, to="bob", body=b"\x00bytes", subject="s", headers={"h": "v"}))
    assert heard == [{"op": "ok", "re": 5, "message": 1, "thread": 1, "recipients": 1, "online": 1}]
    assert desk.heard(bob) == [
        {
            "op": "deliver", "message": 1, "from": "ada", "to": "bob", "body": b"\x00bytes", "sent_at": START_MS,
            "attempt": 1, "thread": 1, "hops": 0, "subject": "s", "headers": {"h": "v"},
        }
    ]  # fmt: skip


async def test_frames_behind_a_register_in_the_same_message_are_served_after_it(desk: Desk) -> None:
    session = desk.connect()
    heard = await desk.say(session, Register(id=1, agent="ada"), Send(id=2, to="ada", body="to myself"))
    assert kinds(heard) == ["ok", "ok", "deliver 1"]


async def test_an_offline_agent_finds_its_inbox_in_order_when_it_comes_back(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    desk.broker.lost(bob)
    heard = await desk.say(ada, *(Send(id=i, to="bob", body=str(i)) for i in range(1, 4)))
    assert [frame["online"] for frame in heard] == [0, 0, 0]
    back = desk.connect()
    heard = await desk.say(back, Register(id=9, agent="bob"))
    assert kinds(heard) == ["ok", "deliver 1", "deliver 2", "deliver 3"]
    assert heard[0]["pending"] == 3
    assert heard[0]["epoch"] == 2


async def test_what_was_pushed_and_not_acked_comes_again_as_another_attempt(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="1"), Send(id=2, to="bob", body="2"))
    await desk.say(bob, Ack(messages=[1]))
    desk.broker.lost(bob)
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=9, agent="bob"))) == ["ok", "deliver 2 #2"]


async def test_credit_bounds_what_is_unacked_and_acks_bring_the_rest_in_order(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=2)
    await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(5)))
    assert kinds(desk.heard(bob)) == ["deliver 1", "deliver 2"]
    assert kinds(await desk.say(bob, Ack(messages=[1]))) == ["deliver 3"]
    assert kinds(await desk.say(bob, Ack(messages=[2, 3]))) == ["deliver 4", "deliver 5"]
    await desk.say(ada, Send(id=9, to="bob", body="x"))
    assert desk.heard(bob) == [], "two are unacked"
    assert kinds(await desk.say(bob, Ack(messages=[4]))) == ["deliver 6"]
    await desk.say(bob, Ack(messages=[5, 6]))
    await desk.say(ada, Send(id=10, to="bob", body="x"))
    assert kinds(desk.heard(bob)) == ["deliver 7"]


async def test_a_peer_that_does_not_read_is_refilled_when_it_reads_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    bob.writable = False
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    assert desk.heard(bob) == []
    bob.writable = True
    desk.broker.refill(bob)
    await desk.turn()
    assert kinds(desk.heard(bob)) == ["deliver 1"]


async def test_a_group_send_goes_to_everyone_but_the_sender_and_is_encoded_once(desk: Desk) -> None:
    ada = await desk.agent("ada", tags=["red"])
    others = [await desk.agent(f"w{i}", tags=["red"]) for i in range(3)]
    desk.put(ada, Send(id=1, to="tag:red", body="all"))
    await desk.turn()
    assert kinds(desk.heard(ada)) == ["ok"]
    assert len({id(session.frames[0]) for session in others}) == 1
    assert [kinds(desk.heard(session)) for session in others] == [["deliver 1"]] * 3


async def test_a_group_that_matches_nobody_is_accepted_and_says_so(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (ok,) = await desk.say(ada, Send(id=1, to="cap:nobody", body="x"))
    assert (ok["op"], ok["recipients"], ok["online"]) == ("ok", 0, 0)


async def test_a_held_inbox_waits_for_a_name_that_was_never_seen(desk: Desk) -> None:
    ada = await desk.agent("ada")
    assert kinds(await desk.say(ada, Send(id=1, to="newcomer", body="x"))) == ["error unknown_agent"]
    assert kinds(await desk.say(ada, Send(id=2, to="newcomer", body="x", hold=True))) == ["ok"]
    session = desk.connect()
    assert kinds(await desk.say(session, Register(id=3, agent="newcomer"))) == ["ok", "deliver 1"]


async def test_a_key_makes_one_message_and_answers_the_first_answer_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    first, again = await desk.say(ada, Send(id=1, to="bob", body="x", key="k"), Send(id=2, to="bob", body="x", key="k"))
    assert again == {**first, "re": 2, "duplicate": True}
    (late,) = await desk.say(ada, Send(id=3, to="bob", body="x", key="k"))
    assert late == {**first, "re": 3, "duplicate": True}
    assert kinds(desk.heard(bob)) == ["deliver 1"]


async def test_a_key_with_another_content_is_a_conflict_and_stores_nothing(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", key="k"))
    for change in ({"body": b"x"}, {"to": "ada"}, {"subject": "s"}, {"claimable": True}, {"headers": {"a": "b"}}):
        fields: dict[str, Any] = {"to": "bob", "body": "x", "key": "k"} | change
        (error,) = await desk.say(ada, Send(id=2, **fields))
        assert (error["code"], error["detail"]) == ("key_conflict", {"message": 1})
    assert kinds(await desk.say(bob, Send(id=3, to="ada", body="y", key="k")))[-1] == "ok", "keys are the sender's own"


async def test_a_reply_joins_the_thread_and_counts_its_hops(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="q"))
    ok = (await desk.say(bob, Send(id=2, to="ada", body="a", reply_to=1)))[-1]
    assert ok["thread"] == 1
    reply = desk.heard(ada)[-1]
    assert (reply["thread"], reply["reply_to"], reply["hops"]) == (1, 1, 1)
    (error,) = await desk.say(ada, Send(id=3, to="bob", body="x", reply_to=99))
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [99]})
    (error,) = await desk.say(ada, Send(id=4, to="bob", body="x", reply_to=1, thread=2))
    assert error["code"] == "bad_request"


async def test_an_ack_of_an_inform_is_pointless(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="fyi", intent="inform"))
    heard = await desk.say(bob, Send(id=2, to="ada", body="thanks", reply_to=1, intent="ack"))
    assert kinds(heard)[-1] == "error pointless_ack"


async def test_acks_are_idempotent_and_name_what_is_not_in_the_inbox(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    desk.heard(bob)
    assert kinds(await desk.say(bob, Ack(id=2, messages=[1]), Ack(id=3, messages=[1]))) == ["ok", "ok"]
    (error,) = await desk.say(bob, Ack(messages=[1, 77]))
    assert (error["code"], error["detail"]) == ("unknown_message", {"messages": [77]})
    assert "re" not in error
    assert await desk.say(bob, Ack(messages=[1])) == []


async def test_a_nack_brings_it_back_after_a_backoff_until_it_is_dead(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    assert kinds(desk.heard(bob)) == ["deliver 1"]
    for attempt, wait_s in ((2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0)):
        await desk.say(bob, Nack(message=1, reason="not now"))
        await desk.pass_time(wait_s - 0.01)
        assert desk.heard(bob) == []
        await desk.pass_time(0.02)
        assert kinds(desk.heard(bob)) == [f"deliver 1 #{attempt}"]
    await desk.say(bob, Nack(message=1, reason="never"))
    await desk.pass_time(10_000)
    assert desk.heard(bob) == []
    (ok,) = await desk.say(ada, Receipts(id=2, message=1))
    assert ok["deliveries"][0]["stage"] == "dead"
    assert ok["deliveries"][0]["reason"] == "never"


async def test_reconnects_do_not_use_up_what_nacks_may(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="bob", body="x", hold=True))
    for _ in range(7):
        bob = await desk.agent("bob")
        desk.broker.lost(bob)
    bob = await desk.agent("bob")
    await desk.say(bob, Nack(message=1, reason="locked, try again"))
    (ok,) = await desk.say(ada, Receipts(id=2, message=1))
    assert (ok["deliveries"][0]["stage"], ok["deliveries"][0]["attempt"]) == ("queued", 9)


async def test_a_nack_without_retry_is_the_end_of_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Nack(id=2, message=1, reason="not mine", retry=False))
    (ok,) = await desk.say(ada, Receipts(id=2, message=1))
    assert (ok["deliveries"][0]["stage"], ok["deliveries"][0]["reason"]) == ("nacked", "not mine")


async def test_a_nacked_message_survives_a_restart_and_comes_when_it_is_due(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    await desk.say(bob, Nack(message=1, reason="later", delay_s=60))
    await desk.close()
    later = Desk(desk.store.folder)
    later.now = 30.0
    await later.open()
    try:
        session = later.connect()
        assert kinds(await later.say(session, Register(id=1, agent="bob"))) == ["ok"]
        await later.pass_time(30.0)
        assert kinds(later.heard(session)) == ["deliver 1 #2"]
    finally:
        await later.close()


async def test_receipts_tell_no_more_than_was_seen(desk: Desk) -> None:
    ada, bob, cy = await desk.agent("ada"), await desk.agent("bob"), await desk.agent("cy", credit=1)
    desk.broker.lost(cy)
    await desk.say(ada, Send(id=1, to="ALL", body="x"))

    async def stages() -> dict[str, str]:
        (ok,) = await desk.say(ada, Receipts(id=2, message=1))
        return {item["agent"]: item["stage"] for item in ok["deliveries"]}

    assert await stages() == {"bob": "pushed", "cy": "queued"}
    await desk.say(bob, Ack(messages=[1], stage="surfaced"))
    assert await stages() == {"bob": "surfaced", "cy": "queued"}
    await desk.say(bob, Ack(messages=[1]))
    assert await stages() == {"bob": "done", "cy": "queued"}


async def test_another_instance_takes_over_and_the_same_instance_keeps_its_epoch(desk: Desk) -> None:
    ada, first = await desk.agent("ada"), await desk.agent("bob", instance="i1")
    await desk.say(ada, Send(id=1, to="bob", body="x"))
    same = desk.connect()
    heard = await desk.say(same, Register(id=1, agent="bob", instance="i1"))
    assert heard[0]["epoch"] == 1
    assert kinds(heard) == ["ok", "deliver 1 #2"]
    assert kinds(desk.heard(first)) == ["deliver 1", "bye"]
    assert first.close == (4409, "replaced")
    other = desk.connect()
    heard = await desk.say(other, Register(id=1, agent="bob", instance="i2"))
    assert (heard[0]["epoch"], kinds(heard)) == (2, ["ok", "deliver 1 #3"])
    assert same.close == (4409, "replaced")
    desk.broker.lost(first)
    desk.broker.lost(same)
    assert desk.broker.sessions["bob"] is other


async def test_a_second_register_on_a_connection_is_refused(desk: Desk) -> None:
    ada = await desk.agent("ada")
    (error,) = await desk.say(ada, Register(id=2, agent="eve"))
    assert error["code"] == "bad_request"
    assert "registered as ada" in error["message"]


async def test_the_first_frame_must_be_register(desk: Desk) -> None:
    session = desk.connect()
    (error,) = await desk.say(session, Send(id=3, to="ada", body="x"), Heartbeat(id=4))
    assert (error["code"], error["re"]) == ("not_registered", 3)
    assert session.close == (4400, "not_registered")
    session = desk.connect()
    (error,) = await desk.say(session, Register(id=3, agent="bad name"))
    assert (error["code"], error["re"]) == ("bad_request", 3)
    assert session.close == (4400, "bad_request")


async def test_update_changes_what_it_names_and_keeps_the_rest(desk: Desk) -> None:
    ada, bob = await desk.agent("ada", caps=["review"], label="Ada", meta={"v": 1}), await desk.agent("bob")
    await desk.say(ada, Update(id=1, tags=["red"], status="busy"))
    (ok,) = await desk.say(bob, Agents(id=2, tag="red"))
    (card,) = ok["items"]
    assert (card["caps"], card["label"], card["status"], card["meta"]) == (["review"], "Ada", "busy", {"v": 1})
    await desk.close()
    again = await Desk(desk.store.folder).open()
    try:
        assert again.broker.directory.by_tag == {"red": {"ada"}}
        assert again.broker.directory.by_cap == {"review": {"ada"}}
    finally:
        await again.close()


async def test_heartbeats_answer_only_with_an_id_and_tell_the_status(desk: Desk) -> None:
    ada = await desk.agent("ada")
    assert await desk.say(ada, Heartbeat(status="idle", load=0.5)) == []
    assert kinds(await desk.say(ada, Heartbeat(id=1))) == ["ok"]
    (ok,) = await desk.say(ada, Agents(id=2, status="idle"))
    assert (ok["items"][0]["agent"], ok["items"][0]["load"]) == ("ada", 0.5)


async def test_inbox_and_message_show_what_is_there_without_changing_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, *(Send(id=i, to="bob", body=str(i), channel="ops" if i % 2 else None) for i in range(1, 6)))
    desk.heard(bob)
    (page,) = await desk.say(bob, Inbox(id=1, limit=2))
    assert ([item["message"] for item in page["items"]], page["next"]) == ([1, 2], 2)
    (page,) = await desk.say(bob, Inbox(id=1, after=2))
    assert [item["message"] for item in page["items"]] == [3, 4, 5]
    assert "next" not in page
    (page,) = await desk.say(ada, Inbox(id=1, agent="bob", channel="ops"))
    assert [item["message"] for item in page["items"]] == [1, 3, 5]
    await desk.say(bob, Ack(messages=[1]))
    (page,) = await desk.say(bob, Inbox(id=1, unread=False, limit=1))
    assert page["items"][0]["stage"] == "done"
    (found,) = await desk.say(ada, GetMessage(id=1, message=2))
    assert found["item"]["deliveries"] == [{"agent": "bob", "stage": "pushed", "at": START_MS, "attempt": 1}]
    assert kinds(await desk.say(ada, GetMessage(id=1, message=77))) == ["error unknown_message"]
    (error,) = await desk.say(ada, Inbox(id=1, agent="bobb"))
    assert (error["code"], error["detail"]) == ("unknown_agent", {"suggestions": ["bob"]})
    await desk.say(ada, Send(id=2, to="newcomer", body="x", hold=True))
    (page,) = await desk.say(ada, Inbox(id=1, agent="newcomer"))
    assert len(page["items"]) == 1


async def test_receipts_that_outgrow_a_message_are_refused_and_not_sent(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for i in range(9000):
        desk.broker.directory.ensure(f"{'w' * 110}{i}").heard_at = 0.0
    await desk.say(ada, Send(id=1, to="ALL", body="x"))
    assert kinds(await desk.say(ada, Receipts(id=2, message=1))) == ["error too_large"]
    (found,) = await desk.say(ada, GetMessage(id=3, message=1))
    assert found["item"]["body"] == "x"
    assert "deliveries" not in found["item"]


# -- work ------------------------------------------------------------------------------------------------------------


async def fleet(desk: Desk) -> tuple[Any, Any, Any]:
    """A manager and two reviewers that were both offered work 1."""
    manager = await desk.agent("manager")
    ada, bob = await desk.agent("ada", caps=["review"]), await desk.agent("bob", caps=["review"])
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    desk.heard(ada)
    desk.heard(bob)
    return manager, ada, bob


async def work_of(desk: Desk, session: Any) -> dict[str, Any]:
    (ok,) = [frame for frame in await desk.say(session, GetMessage(id=99, message=1)) if frame.get("re") == 99]
    work: dict[str, Any] = ok["item"]["work"]
    return work


async def test_one_of_many_claims_wins_and_the_others_hear_who_did(desk: Desk) -> None:
    _, ada, bob = await fleet(desk)
    desk.put(ada, Claim(id=2, message=1, lease_s=30))
    desk.put(bob, Claim(id=2, message=1, lease_s=30))
    await desk.turn()
    assert desk.heard(ada) == [{"op": "ok", "re": 2, "message": 1, "fence": 1, "lease_s": 30.0}]
    told, error = desk.heard(bob)
    assert kinds([told]) == ["task.claimed 1 ada"], "it had been given it, and need not try"
    assert (error["code"], error["detail"]) == ("claimed", {"holder": "ada", "state": "claimed", "lease_left_s": 30.0})


async def test_a_repeated_claim_of_the_same_instance_is_the_same_claim(desk: Desk) -> None:
    manager, ada, _ = await fleet(desk)
    first, again = await desk.say(ada, Claim(id=2, message=1), Claim(id=3, message=1))
    assert first["fence"] == again["fence"] == 1
    assert (await work_of(desk, manager))["attempts"] == 1


async def test_silence_loses_the_claim_and_the_candidates_are_offered_it_again(desk: Desk) -> None:
    manager, ada, bob = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    await desk.pass_time(30.1)
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada", "deliver 1 #2"]
    (ok,) = await desk.say(bob, Claim(id=3, message=1))
    assert ok["fence"] == 2
    assert kinds(await desk.say(ada, Complete(id=4, message=1, fence=1)))[-1] == "error stale_fence"
    assert kinds(await desk.say(ada, Complete(id=5, message=1, fence=2)))[-1] == "error not_holder"
    assert (await work_of(desk, manager))["holder"] == "bob"


async def test_traffic_and_reconnects_of_the_same_instance_keep_a_claim(desk: Desk) -> None:
    manager = await desk.agent("manager")
    ada = await desk.agent("ada", caps=["review"], instance="i1")
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    for _ in range(4):
        await desk.pass_time(20)
        await desk.say(ada, Heartbeat())
    desk.broker.lost(ada)
    await desk.pass_time(25)
    back = desk.connect()
    await desk.say(back, Register(id=1, agent="ada", instance="i1"))
    await desk.pass_time(25)
    assert kinds(await desk.say(back, Complete(id=3, message=1, fence=1, result="ok")))[-1] == "ok"
    work = await work_of(desk, manager)
    assert (work["state"], work["result"], work["attempts"]) == ("done", "ok", 1)


async def test_another_instance_does_not_keep_the_claims_of_the_one_it_replaced(desk: Desk) -> None:
    manager = await desk.agent("manager")
    ada = await desk.agent("ada", caps=["review"], instance="i1")
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    other = await desk.agent("ada", caps=["review"], instance="i2")
    for _ in range(4):
        await desk.pass_time(10)
        await desk.say(other, Heartbeat())
    assert (await work_of(desk, manager))["state"] == "ready"


async def test_a_restart_gives_each_held_claim_one_full_fresh_lease(desk: Desk) -> None:
    _, ada, _ = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    await desk.close()
    later = Desk(desk.store.folder)
    later.now = 5000.0
    await later.open()
    try:
        bob = await later.agent("bob", caps=["review"])
        await later.pass_time(29.9)
        assert later.heard(bob) == []
        await later.pass_time(0.2)
        assert kinds(later.heard(bob)) == ["deliver 1 #2"]
    finally:
        await later.close()


async def test_release_burns_no_attempt_and_bye_releases(desk: Desk) -> None:
    manager, ada, bob = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1))
    assert kinds(await desk.say(ada, Release(id=3, message=1, fence=1))) == ["ok", "deliver 1 #2"]
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada", "deliver 1 #2"]
    work = await work_of(desk, manager)
    assert (work["state"], work["attempts"]) == ("ready", 0)
    await desk.say(ada, Claim(id=4, message=1), Bye())
    assert ada.close == (1000, "")
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada", "deliver 1 #3"]
    (ok,) = await desk.say(bob, Agents(id=5, status="offline"))
    assert [card["agent"] for card in ok["items"]] == ["ada"]


async def test_a_failure_is_retried_after_a_backoff_and_buried_after_three_attempts(desk: Desk) -> None:
    manager, ada, _ = await fleet(desk)
    for attempt, wait_s in ((1, 1.0), (2, 2.0)):
        await desk.say(ada, Claim(id=2, message=1), Fail(id=3, message=1, fence=attempt, reason="broke"))
        assert (await work_of(desk, manager))["state"] == "delayed"
        assert kinds(await desk.say(ada, Claim(id=4, message=1)))[-1] == "error not_claimable"
        await desk.pass_time(wait_s + 0.01)
        assert kinds(desk.heard(ada)) == [f"deliver 1 #{attempt + 1}"]
    await desk.say(ada, Claim(id=2, message=1), Fail(id=3, message=1, fence=3, reason="broke for good"))
    work = await work_of(desk, manager)
    assert (work["state"], work["attempts"], work["reason"]) == ("buried", 3, "broke for good")
    (ok,) = await desk.say(manager, Receipts(id=5, message=1))
    assert {item["agent"]: item["stage"] for item in ok["deliveries"]} == {"ada": "dead", "bob": "superseded"}


async def test_a_failure_without_retry_is_final(desk: Desk) -> None:
    manager, ada, _ = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1), Fail(id=3, message=1, fence=1, reason="no", retry=False))
    assert (await work_of(desk, manager))["state"] == "failed"
    assert kinds(await desk.say(ada, Claim(id=4, message=1)))[-1] == "error finished"


async def test_words_repeated_with_the_same_fence_are_answered_like_the_first_time(desk: Desk) -> None:
    manager, ada, _ = await fleet(desk)
    complete = [Complete(id=i, message=1, fence=1, result=b"r") for i in (3, 4)]
    assert kinds(await desk.say(ada, Claim(id=2, message=1), *complete)) == ["ok", "ok", "ok"]
    assert (await work_of(desk, manager))["state"] == "done"


async def test_only_what_was_sent_as_claimable_can_be_claimed(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="ada", body="x"))
    assert kinds(await desk.say(ada, Claim(id=2, message=1))) == ["error not_claimable"]
    assert kinds(await desk.say(ada, Claim(id=3, message=2))) == ["error unknown_message"]
    assert kinds(await desk.say(ada, Renew(id=4, message=1, fence=1))) == ["error not_claimable"]


async def test_a_renewal_by_name_gives_a_new_lease(desk: Desk) -> None:
    _, ada, bob = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    (ok,) = await desk.say(ada, Renew(id=3, message=1, fence=1, lease_s=100))
    assert (ok["fence"], ok["lease_s"]) == (1, 100.0)
    await desk.pass_time(99.0)
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada"]
    assert kinds(await desk.say(bob, Renew(id=4, message=1, fence=1))) == ["error not_holder"]


async def test_work_that_a_candidate_acked_unclaimed_comes_to_it_again(desk: Desk) -> None:
    _, ada, bob = await fleet(desk)
    await desk.say(ada, Ack(messages=[1]))
    await desk.pass_time(59.0)
    assert desk.heard(ada) == []
    await desk.pass_time(2.0)
    assert kinds(desk.heard(ada)) == ["deliver 1 #2"]
    assert desk.heard(bob) == []


async def test_a_candidate_without_credit_is_offered_released_work_again_although_it_acked_the_first_offer_late(
    desk: Desk,
) -> None:
    manager = await desk.agent("manager")
    ada, bob = await desk.agent("ada", caps=["review"]), await desk.agent("bob", caps=["review"], credit=1)
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    assert kinds(desk.heard(bob)) == ["deliver 1"]
    await desk.say(ada, Claim(id=2, message=1))
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada"]
    (ok,) = await desk.say(manager, Receipts(id=3, message=1))
    assert {item["agent"]: item["stage"] for item in ok["deliveries"]} == {"ada": "pushed", "bob": "superseded"}
    await desk.say(ada, Release(id=4, message=1, fence=1))
    assert kinds(desk.heard(bob)) == ["deliver 1 #2"]
    await desk.say(bob, Ack(messages=[1]))
    assert kinds(await desk.say(bob, Claim(id=5, message=1))) == ["ok"]


async def test_work_waits_for_a_worker_that_comes_later(desk: Desk) -> None:
    manager = await desk.agent("manager")
    await desk.say(
        manager, Send(id=1, to="cap:review", body="work", claimable=True), Send(id=2, to="cap:review", body="m")
    )
    late = desk.connect()
    assert kinds(await desk.say(late, Register(id=1, agent="late", caps=["review"]))) == ["ok", "deliver 1"]
    other = await desk.agent("other")
    assert kinds(await desk.say(other, Update(id=2, caps=["review"]))) == ["ok", "deliver 1"]


# -- visits ----------------------------------------------------------------------------------------------------------


async def test_a_visit_sends_and_asks_and_disturbs_nobody(desk: Desk) -> None:
    bob = await desk.agent("bob", caps=["review"])
    visitor = desk.connect()
    (ok,) = await desk.say(visitor, Register(id=1, agent="bob", visit=True))
    assert (ok["epoch"], bob.close) == (1, None)
    assert kinds(await desk.say(visitor, Send(id=2, to="bob", body="note to self"))) == ["ok"]
    assert [frame["from"] for frame in desk.heard(bob)] == ["bob"]
    (page,) = await desk.say(visitor, Agents(id=3))
    assert [(card["agent"], card["caps"]) for card in page["items"]] == [("bob", ["review"])]
    assert kinds(await desk.say(visitor, Ack(id=4, messages=[1]))) == ["ok"]
    assert bob.unacked == set()
    desk.broker.lost(visitor)
    assert desk.broker.sessions["bob"] is bob


async def test_a_visitor_can_be_answered_but_belongs_to_no_group(desk: Desk) -> None:
    bob = await desk.agent("bob")
    visitor = desk.connect()
    await desk.say(visitor, Register(id=1, agent="cli-ann", visit=True))
    (ok,) = await desk.say(bob, Send(id=1, to="ALL", body="hi"))
    assert ok["recipients"] == 0
    assert kinds(await desk.say(bob, Send(id=2, to="cli-ann", body="hi"))) == ["ok"]
    assert desk.heard(visitor) == []
    (page,) = await desk.say(bob, Agents(id=3))
    assert [card["agent"] for card in page["items"]] == ["bob"]
    await desk.close()
    again = await Desk(desk.store.folder).open()
    try:
        assert again.broker.directory.names() == ["bob"]
        session = again.connect()
        assert kinds(await again.say(session, Register(id=1, agent="cli-ann"))) == ["ok", "deliver 2"]
        assert again.broker.directory.names() == ["bob", "cli-ann"]
    finally:
        await again.close()


async def test_a_visit_keeps_no_lease_alive(desk: Desk) -> None:
    _, ada, bob = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    visitor = desk.connect()
    await desk.say(visitor, Register(id=1, agent="ada", visit=True))
    for _ in range(4):
        await desk.pass_time(10)
        await desk.say(visitor, Heartbeat())
    assert kinds(desk.heard(bob)) == ["task.claimed 1 ada", "deliver 1 #2"]


# -- found by review -------------------------------------------------------------------------------------------------


async def test_two_nacked_messages_both_come_back_to_a_session_with_credit_for_one(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", credit=1)
    await desk.say(ada, *(Send(id=i, to="bob", body="x") for i in range(1, 4)))
    await desk.say(bob, Nack(message=1, reason="later", delay_s=5))
    await desk.say(bob, Nack(message=2, reason="later", delay_s=5))
    await desk.say(bob, Ack(messages=[3]))
    desk.heard(bob)
    await desk.pass_time(6)
    assert kinds(desk.heard(bob)) == ["deliver 1 #2"]
    assert kinds(await desk.say(bob, Ack(messages=[1]))) == ["deliver 2 #2"]


async def test_a_worker_that_comes_while_another_holds_the_work_is_offered_it_when_that_one_dies(desk: Desk) -> None:
    manager = await desk.agent("manager")
    ada = await desk.agent("ada", caps=["review"])
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    bob = await desk.agent("bob", caps=["review"])
    desk.broker.lost(ada)
    await desk.pass_time(31)
    assert kinds(desk.heard(bob)) == ["deliver 1 #2"]


async def test_what_the_relay_asks_of_a_busy_store_by_itself_is_asked_again(desk: Desk) -> None:
    _, ada, bob = await fleet(desk)
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    await desk.say(bob, Nack(message=1, reason="later", delay_s=5))
    other = sqlite3.connect(desk.store.path, isolation_level=None)
    assert desk.store._writer is not None
    await desk.store._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 1").fetchall())
    other.execute("BEGIN IMMEDIATE")
    await desk.pass_time(35)
    desk.broker.lost(bob)
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="bob", caps=["review"]))) == ["error unavailable"]
    other.execute("ROLLBACK")
    other.close()
    await desk.pass_time(2)
    assert (await work_of(desk, ada))["state"] == "ready"
    back = desk.connect()
    assert kinds(await desk.say(back, Register(id=1, agent="bob", caps=["review"]))) == ["ok", "deliver 1 #2"]


async def test_a_renewal_by_a_new_instance_is_not_taken_away_by_the_old_ones_silence(desk: Desk) -> None:
    manager = await desk.agent("manager")
    ada = await desk.agent("ada", caps=["review"], instance="i1")
    await desk.say(manager, Send(id=1, to="cap:review", body="work", claimable=True))
    await desk.say(ada, Claim(id=2, message=1, lease_s=30))
    other = await desk.agent("ada", caps=["review"], instance="i2")
    desk.now += 40
    desk.put(other, Renew(id=3, message=1, fence=1, lease_s=60))
    desk.deadlines.run(desk.now)
    await desk.turn()
    assert (await work_of(desk, manager))["state"] == "claimed"


async def test_a_send_with_a_bye_behind_it_is_answered_before_the_end(desk: Desk) -> None:
    ada = await desk.agent("ada")
    assert kinds(await desk.say(ada, Send(id=1, to="bob", body="x", hold=True), Bye())) == ["ok"]
    assert ada.close == (1000, "")


async def test_suggestions_are_few_a_message_however_many_names_are_wrong(desk: Desk) -> None:
    ada = await desk.agent("ada")
    heard = await desk.say(ada, *(Send(id=i, to="adaa", body="x") for i in range(20)))
    assert 0 < sum(bool(frame["detail"]["suggestions"]) for frame in heard) <= 4


async def test_a_question_waits_for_what_came_before_it_and_not_for_what_came_later(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    sends = [Send(id=i, to="bob", body="x") for i in range(30)]
    desk.put(ada, *sends)
    desk.put(bob, Inbox(id=1))
    desk.put(ada, *sends)
    assert [len(questions) for _, questions in (desk.broker.take(20) for _ in range(3))] == [0, 1, 0]
