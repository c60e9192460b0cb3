"""Transcripts of the protocol against the real daemon, by a client that was written from docs/protocol.md alone."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.daemon import Daemon
from tests.peer import ANSWER_S, Frame, Peer, Refused

MIB = 1024 * 1024
MakeDaemon = Callable[..., Daemon]
T = TypeVar("T")


async def refusal(request: Any, code: str) -> Refused:
    """The error that a request ends with, which has to have this code."""
    with pytest.raises(Refused) as caught:
        await request
    assert caught.value.code == code, caught.value
    return caught.value


async def stages(peer: Peer, message: int) -> dict[str, str]:
    answer = await peer.request("receipts", message=message)
    return {state["agent"]: state["stage"] for state in answer["deliveries"]}


async def work(peer: Peer, message: int) -> Frame:
    state: Frame = (await peer.request("message", message=message))["item"]["work"]
    return state


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Ask again and again until the answer is the one that is waited for; each time is a round trip."""
    async with asyncio.timeout(ANSWER_S):
        while not holds(found := await ask()):
            pass
        return found


# -- opening ---------------------------------------------------------------------------------------------------------


async def test_register_is_answered_with_who_and_what_answers(daemon: Daemon) -> None:
    async with await Peer.connect(daemon.url) as peer:
        assert peer.ws.subprotocol == "relay.v1"
        ok = await peer.register("scout", caps=["review"], instance="i1")
        assert ok["agent"] == "scout"
        assert ok["epoch"] == 1
        assert ok["pending"] == 0
        assert ok["heartbeat_s"] == 30
        assert isinstance(ok["session"], str)
        assert ok["server"]["protocol"] == 1
        assert set(ok["server"]) == {"name", "version", "protocol"}
        assert ok["limits"] == {
            "message_bytes": MIB,
            "frames": 1024,
            "body_bytes": 262_144,
            "result_bytes": 65_536,
            "credit": 1024,
            "messages_per_ack": 1024,
            "page": 1000,
            "inbox_messages": 10_000,
            "inbox_bytes": 64 * MIB,
            "hops": 16,
        }


async def test_frames_may_follow_the_register_without_waiting(daemon: Daemon) -> None:
    async with await Peer.connect(daemon.url) as peer:
        await peer.send(
            {"op": "register", "id": 1, "agent": "scout"},
            {"op": "send", "id": 2, "to": "scout", "body": "note to self"},
            {"op": "heartbeat", "id": 3},
        )
        assert (await peer.answer(1))["epoch"] == 1
        message = (await peer.answer(2))["message"]
        await peer.answer(3)
        assert (await peer.deliver(message=message))["body"] == "note to self"


@pytest.mark.parametrize(
    "frame", [{"op": "heartbeat", "id": 7}, {"op": "send", "id": 7, "to": "a", "body": ""}, {"op": "agents", "id": 7}]
)
async def test_a_first_frame_that_is_not_register_is_refused_and_the_connection_closes(
    daemon: Daemon, frame: Frame
) -> None:
    async with await Peer.connect(daemon.url) as peer:
        await peer.send(frame)
        error = await refusal(peer.answer(7), "not_registered")
        assert "register" in str(error)
        assert await peer.closed() == 4400


async def test_a_first_frame_that_can_not_be_read_is_answered_and_the_connection_closed(daemon: Daemon) -> None:
    async with await Peer.connect(daemon.url) as peer:
        await refusal(peer.request("dance"), "unknown_op")
        assert await peer.closed() == 4400
    async with await Peer.connect(daemon.url) as peer:
        error = await refusal(peer.register("two words"), "bad_request")
        assert "agent is 'two words'" in str(error)
        assert await peer.closed() == 4400


async def test_a_connection_that_does_not_register_is_closed(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("--register-timeout", "0.2").start()
    async with await Peer.connect(daemon.url) as silent, await Peer.join(daemon.url, "prompt") as prompt:
        assert await silent.closed() == 4408
        assert [frame["code"] for frame in silent.inbox] == ["not_registered"]
        await prompt.request("heartbeat")


async def test_a_second_register_is_refused_and_changes_nothing(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        await refusal(peer.register("other"), "bad_request")
        await refusal(peer.register("scout"), "bad_request")
        agents = await peer.request("agents")
        assert [card["agent"] for card in agents["items"]] == ["scout"]


async def test_without_its_token_a_relay_serves_nobody(make_daemon: MakeDaemon) -> None:
    token = "correct horse battery"
    daemon = make_daemon("--token", token).start()
    for fields in ({}, {"token": "wrong"}, {"token": token[:-1]}):
        async with await Peer.connect(daemon.url) as peer:
            await refusal(peer.register("scout", **fields), "unauthorized")
            assert await peer.closed() == 4401
    async with await Peer.connect(daemon.url) as peer:
        await peer.register("scout", token=token)
    async with await Peer.connect(daemon.url, additional_headers={"Authorization": f"Bearer {token}"}) as peer:
        await peer.register("scout")


async def test_a_web_page_of_another_origin_is_turned_away(daemon: Daemon) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await Peer.connect(daemon.url, additional_headers={"Origin": "https://evil.example"})
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("offered", [[Subprotocol("relay.v9")], None], ids=["another", "none"])
async def test_a_handshake_without_our_subprotocol_is_turned_away(
    daemon: Daemon, offered: list[Subprotocol] | None
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await Peer.connect(daemon.url, subprotocols=offered)
    assert caught.value.response.status_code == 400


# -- messages that can't be read -------------------------------------------------------------------------------------


async def test_a_text_message_closes_the_connection(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        await peer.ws.send('[{"op": "heartbeat"}]')
        assert await peer.closed() == 1003


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x90",
        b"\xc1",
        msgpack.packb({"op": "heartbeat"}),
        msgpack.packb([{"op": "heartbeat"}])[:-1],
        msgpack.packb([{"op": "heartbeat"}]) + b"\xc0",
        msgpack.packb([{"op": "heartbeat"}] * 1025),
        msgpack.packb([{"op": "heartbeat", "when": msgpack.Timestamp(1)}]),
        msgpack.packb([{"op": "heartbeat", "deep": [[1]]}]),
        b"\x91\x82\xa2op\xa9heartbeat\xa2op\xa9heartbeat",
        b"\x91" * 100_000,
    ],
    ids=["nothing", "no_frames", "reserved", "a_map", "cut", "trailing", "too_many", "ext", "nested", "twice", "deep"],
)
async def test_a_message_that_is_no_array_of_frames_closes_the_connection(daemon: Daemon, data: bytes) -> None:
    async with await Peer.join(daemon.url, "scout") as peer, await Peer.join(daemon.url, "neighbour") as neighbour:
        await peer.send_bytes(data)
        error = await peer.recv("error")
        assert error["code"] == "bad_frame"
        assert "re" not in error
        assert await peer.closed() == 4400
        await neighbour.request("heartbeat")


async def test_a_message_over_a_mebibyte_closes_the_connection(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer, await Peer.join(daemon.url, "neighbour") as neighbour:
        with suppress(ConnectionClosed):  # it may close before all of it is written
            await peer.send_bytes(b"\x91" + b"\x00" * MIB)
        assert await peer.closed() == 4413
        await neighbour.request("heartbeat")


async def test_fragments_that_grow_over_a_mebibyte_close_the_connection(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        with suppress(ConnectionClosed):
            await peer.ws.send([b"\x91" + b"\x00" * (MIB // 2), b"\x00" * (MIB // 2)])
        assert await peer.closed() == 4413


async def test_a_message_in_fragments_is_one_message(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        data = msgpack.packb([{"op": "send", "id": 9, "to": "scout", "body": "in pieces"}])
        await peer.ws.send([data[:5], data[5:6], data[6:]])
        await peer.answer(9)
        assert (await peer.deliver())["body"] == "in pieces"


async def test_a_message_of_almost_a_mebibyte_is_served(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        body = "x" * 262_000
        await peer.send(*[{"op": "send", "id": 100 + i, "to": "scout", "body": body} for i in range(4)])
        for i in range(4):
            await peer.answer(100 + i)
            assert (await peer.deliver())["body"] == body


# -- frames that are refused -----------------------------------------------------------------------------------------


async def test_an_unknown_op_is_answered_and_the_connection_stays(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        for op in ("dance", "steal", "event", "ok", "deliver"):
            error = await refusal(peer.request(op), "unknown_op")
            assert repr(op) in str(error)
        await peer.request("heartbeat")


async def test_neighbours_of_refused_frames_are_served_in_order(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        await peer.send(
            {"op": "send", "id": 21, "to": "scout", "body": "first"},
            {"op": "send", "id": 22, "to": "scout", "body": 5},
            {"op": "send", "id": 23, "to": "two words", "body": ""},
            {"op": "dance", "id": 24},
            {"op": "ack", "messages": []},
            {"op": "send", "id": 25, "to": "scout", "body": "last"},
        )
        await peer.answer(21)
        await refusal(peer.answer(22), "bad_request")
        await refusal(peer.answer(23), "bad_request")
        await refusal(peer.answer(24), "unknown_op")
        await peer.answer(25)
        error = await peer.recv("error")
        assert "re" not in error
        assert error["message"].startswith("messages is []")
        assert [(await peer.deliver())["body"] for _ in range(2)] == ["first", "last"]


async def test_a_refusal_names_field_value_and_limit(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        error = await refusal(peer.request("inbox", limit=1001), "bad_request")
        assert str(error) == "bad_request: limit is 1001; expected int <= 1000"
        error = await refusal(peer.tell("scout", "x" * 262_145), "too_large")
        assert str(error) == "too_large: body is 262145 bytes; the limit is 262144"


async def test_a_sender_that_supplies_from_is_refused(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        await refusal(peer.tell("scout", from_="boss"), "forbidden")
        await refusal(peer.tell("scout", from_="scout"), "forbidden")
        assert await peer.delivered() == []


async def test_unknown_fields_are_ignored(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout", mood="fine", colours=["red", 5]) as peer:
        message = await peer.tell("scout", "hi", urgency=5, hints={"a": 1}, blob=b"\x00")
        assert (await peer.deliver())["message"] == message


# -- sending and receiving -------------------------------------------------------------------------------------------


async def test_a_delivery_carries_everything_the_sender_gave(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        given = {
            "subject": "Größe",
            "channel": "ops/eu",
            "intent": "request",
            "content_type": "text/plain",
            "headers": {"trace": "a1"},
        }
        ok = await lead.request("send", to="scout", body=b"\x00\xff", **given)
        assert set(ok) == {"op", "re", "message", "thread", "recipients", "online"}
        assert (ok["thread"], ok["recipients"], ok["online"]) == (ok["message"], 1, 1)
        deliver = await scout.deliver()
        sent_at = deliver.pop("sent_at")
        assert 1.7e12 < sent_at < 5e12
        assert deliver == {
            "op": "deliver",
            "message": ok["message"],
            "from": "lead",
            "to": "scout",
            "body": b"\x00\xff",
            "attempt": 1,
            "thread": ok["message"],
            "hops": 0,
            **given,
        }


async def test_a_reply_joins_the_thread_and_counts_its_hops(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        root = await lead.tell("scout", "?", intent="request")
        reply = await scout.request("send", to="lead", body="!", reply_to=root, intent="inform")
        assert reply["thread"] == root
        deliver = await lead.deliver()
        assert (deliver["thread"], deliver["reply_to"], deliver["hops"]) == (root, root, 1)
        error = await refusal(lead.tell("scout", reply_to=reply["message"], intent="ack"), "pointless_ack")
        assert "inform" in str(error)
        await refusal(lead.tell("scout", reply_to=999_999), "unknown_message")


async def test_a_thread_is_named_by_its_root(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "a") as peer:
        root = await peer.tell("a")
        inside = await peer.tell("a", reply_to=root)
        ok = await peer.request("send", to="a", body="", thread=root)
        assert ok["thread"] == root
        assert (await peer.deliver(message=ok["message"]))["hops"] == 0
        await refusal(peer.tell("a", thread=inside), "bad_request")
        await refusal(peer.tell("a", thread=root, reply_to=await peer.tell("a")), "bad_request")
        await refusal(peer.tell("a", thread=999), "unknown_message")


async def test_messages_of_one_sender_come_in_order_with_ids_that_grow(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", credit=500) as scout:
        for batch in range(4):
            await lead.send(
                *[{"op": "send", "id": 1000 + i, "to": "scout", "body": f"{batch}/{i}"} for i in range(100)]
            )
        got = [await scout.deliver() for _ in range(400)]
        assert [deliver["body"] for deliver in got] == [f"{batch}/{i}" for batch in range(4) for i in range(100)]
        ids = [deliver["message"] for deliver in got]
        assert ids == sorted(set(ids))


async def test_what_is_not_acked_comes_again_after_a_reconnect_and_what_is_acked_does_not(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        scout = await Peer.join(daemon.url, "scout", instance="i1")
        first, second, third = [await lead.tell("scout", body) for body in "abc"]
        assert [(await scout.deliver())["attempt"] for _ in range(3)] == [1, 1, 1]
        await scout.request("ack", messages=[second])
        scout.drop()
        async with await Peer.connect(daemon.url) as again:
            assert (await again.register("scout", instance="i1"))["pending"] == 2
            came = [await again.deliver() for _ in range(2)]
            assert [deliver["message"] for deliver in came] == [first, third]
            assert all(deliver["attempt"] > 1 for deliver in came)
            assert await again.delivered() == []


async def test_offline_agents_lose_nothing_over_a_kill_of_the_relay(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as scout:
        await scout.send({"op": "bye"})
        assert await scout.closed() == 1000
    async with await Peer.join(daemon.url, "lead") as lead:
        sent = [await lead.tell("scout", str(i)) for i in range(5)]
        daemon.kill()
    daemon.start()
    async with await Peer.connect(daemon.url) as scout:
        assert (await scout.register("scout"))["pending"] == 5
        assert [(await scout.deliver())["message"] for _ in range(5)] == sent


async def test_no_more_than_the_credit_is_unacked(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", credit=2) as scout:
        sent = [await lead.tell("scout", str(i)) for i in range(5)]
        assert await scout.delivered() == sent[:2]
        await scout.request("ack", messages=[sent[0]], stage="surfaced")
        assert await scout.delivered() == []
        await scout.request("ack", messages=[sent[1]])
        assert (await scout.deliver())["message"] == sent[2]
        assert await scout.delivered() == []
        await scout.send({"op": "ack", "messages": [sent[0], sent[2]]})
        assert [(await scout.deliver())["message"] for _ in range(2)] == sent[3:]


async def test_completing_work_gives_no_credit_back_but_the_ack_does(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "a", credit=1, caps=["x"]) as a:
        job, following = await lead.tell("cap:x", claimable=True), await lead.tell("a")
        await a.deliver(message=job)
        fence = (await a.request("claim", message=job))["fence"]
        await a.request("complete", message=job, fence=fence)
        assert await a.delivered() == []
        await a.request("ack", messages=[job])
        await a.deliver(message=following)


async def test_acks_are_idempotent_and_name_what_is_not_in_the_inbox(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        message = await lead.tell("scout")
        other = await lead.tell("lead")
        for _ in range(2):
            await scout.request("ack", messages=[message])
        error = await refusal(scout.request("ack", messages=[message, other, 999]), "unknown_message")
        assert error.detail["messages"] == [other, 999]
        await scout.send({"op": "ack", "messages": [999]})
        assert (await scout.recv("error"))["code"] == "unknown_message"
        assert await stages(lead, other) == {"lead": "pushed"}


async def test_a_nack_brings_it_again_with_another_attempt(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        message = await lead.tell("scout")
        for attempt in range(1, 5):
            assert (await scout.deliver())["attempt"] == attempt
            await scout.request("nack", message=message, reason=f"no {attempt}", delay_s=0)
        assert (await scout.deliver())["attempt"] == 5
        await scout.request("nack", message=message, reason="enough", delay_s=0)
        [state] = (await lead.request("receipts", message=message))["deliveries"]
        assert (state["agent"], state["stage"], state["reason"]) == ("scout", "dead", "enough")
        assert await scout.delivered() == []


async def test_a_nack_waits_for_its_backoff_before_it_comes_again(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        message = await lead.tell("scout")
        await scout.deliver()
        start = asyncio.get_running_loop().time()
        await scout.request("nack", message=message, reason="not now")
        assert (await scout.deliver())["attempt"] == 2
        assert asyncio.get_running_loop().time() - start > 0.9


async def test_a_nack_without_retry_is_the_end_of_it(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", credit=1) as scout:
        message, following = await lead.tell("scout"), await lead.tell("scout")
        await scout.deliver(message=message)
        await scout.send({"op": "nack", "message": message, "reason": "not mine", "retry": False})
        await scout.deliver(message=following)
        [state] = (await lead.request("receipts", message=message))["deliveries"]
        assert (state["stage"], state["reason"]) == ("nacked", "not mine")


async def test_receipts_tell_how_far_a_message_came(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", tags=["t"]) as scout:
        async with await Peer.join(daemon.url, "away", tags=["t"]):
            pass
        message = await lead.tell("tag:t")
        assert await stages(lead, message) == {"away": "queued", "scout": "pushed"}
        await scout.request("ack", messages=[message], stage="surfaced")
        assert await stages(lead, message) == {"away": "queued", "scout": "surfaced"}
        await scout.request("ack", messages=[message])
        assert await stages(lead, message) == {"away": "queued", "scout": "done"}
        await refusal(lead.request("receipts", message=999), "unknown_message")


# -- who it is for ---------------------------------------------------------------------------------------------------


async def test_an_unknown_agent_is_refused_with_suggestions(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "builder-1") as peer:
        error = await refusal(peer.tell("bulider-1"), "unknown_agent")
        assert error.detail["suggestions"] == ["builder-1"]
        error = await refusal(peer.tell("zzz"), "unknown_agent")
        assert error.detail["suggestions"] == []


async def test_hold_keeps_an_inbox_for_an_agent_that_was_never_seen(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        ok = await lead.request("send", to="newcomer", body="welcome", hold=True)
        assert (ok["recipients"], ok["online"]) == (1, 0)
        async with await Peer.connect(daemon.url) as newcomer:
            assert (await newcomer.register("newcomer"))["pending"] == 1
            assert (await newcomer.deliver())["body"] == "welcome"


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        ("tag:blue", ["a", "b"]),
        ("cap:review", ["b", "c"]),
        ("label:Front end", ["a", "c"]),
        ("broadcast", ["a", "b", "c"]),
        ("ALL", ["a", "b", "c"]),
        ("tag:nobody", []),
        ("a", ["a"]),
    ],
)
async def test_a_group_reaches_its_members_but_never_the_sender(
    daemon: Daemon, target: str, reached: list[str]
) -> None:
    peers = {
        "a": await Peer.join(daemon.url, "a", tags=["blue"], label="Front end"),
        "b": await Peer.join(daemon.url, "b", tags=["blue"], caps=["review"]),
        "c": await Peer.join(daemon.url, "c", caps=["review"], label="Front end"),
    }
    async with await Peer.join(daemon.url, "me", tags=["blue"], caps=["review"], label="Front end") as me:
        ok = await me.request("send", to=target, body="")
        assert (ok["recipients"], ok["online"]) == (len(reached), len(reached))
        assert [name for name, peer in peers.items() if await peer.delivered() == [ok["message"]]] == reached
        assert await me.delivered() == []
    for peer in peers.values():
        await peer.ws.close()


async def test_update_changes_what_an_agent_is_found_by(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "scout", tags=["old"], caps=["stays"]) as scout,
    ):
        await scout.request("update", tags=["new"], status="busy", label="Lookout", meta={"pid": 7, "ok": True})
        assert (await lead.request("send", to="tag:old", body=""))["recipients"] == 0
        assert (await lead.request("send", to="tag:new", body=""))["recipients"] == 1
        [card] = (await lead.request("agents", tag="new", cap="stays"))["items"]
        assert (card["status"], card["label"], card["meta"]) == ("busy", "Lookout", {"pid": 7, "ok": True})


async def test_register_replaces_what_an_earlier_one_said(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "a", tags=["old"], label="L"),
        await Peer.join(daemon.url, "a", caps=["new"]),
    ):
        assert (await lead.request("agents", tag="old"))["items"] == []
        [card] = (await lead.request("agents", cap="new"))["items"]
        assert "label" not in card


# -- idempotency -----------------------------------------------------------------------------------------------------


async def test_a_key_makes_one_message_of_many_sends(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        first = await lead.request("send", to="scout", body="once", key="k1")
        again = await lead.request("send", to="scout", body="once", key="k1")
        assert again.pop("duplicate") is True
        assert {**again, "re": 0} == {**first, "re": 0}
        assert await scout.delivered() == [first["message"]]
        other = await scout.request("send", to="lead", body="mine", key="k1")
        assert other["message"] != first["message"]


async def test_a_key_outlives_the_connection_and_the_relay(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        first = await lead.tell("scout", "once", key="k1", hold=True)
    daemon.kill()
    daemon.start()
    async with await Peer.join(daemon.url, "lead") as lead:
        again = await lead.request("send", to="scout", body="once", key="k1", hold=True)
        assert (again["message"], again["duplicate"]) == (first, True)


async def test_a_key_in_one_batch_makes_one_message(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        await lead.send(*[{"op": "send", "id": 50 + i, "to": "lead", "body": "x", "key": "k"} for i in range(3)])
        answers = [await lead.answer(50 + i) for i in range(3)]
        assert len({answer["message"] for answer in answers}) == 1
        assert [answer.get("duplicate", False) for answer in answers] == [False, True, True]


@pytest.mark.parametrize(
    "change",
    [
        {"body": "other"},
        {"body": b"same"},
        {"to": "cap:x"},
        {"subject": "s"},
        {"headers": {"a": "b"}},
        {"claimable": True},
    ],
    ids=str,
)
async def test_a_key_with_other_content_is_a_conflict(daemon: Daemon, change: Frame) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        message = await lead.tell("lead", "same", key="k1")
        error = await refusal(
            lead.request("send", **{"to": "lead", "body": "same", "key": "k1", **change}), "key_conflict"
        )
        assert error.detail["message"] == message


# -- work ------------------------------------------------------------------------------------------------------------


async def test_of_many_claims_one_wins_and_the_others_learn_who(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        racers = {f"r{i}": await Peer.join(daemon.url, f"r{i}", caps=["review"]) for i in range(8)}
        message = await lead.tell("cap:review", "a.py", claimable=True)
        for racer in racers.values():
            assert (await racer.deliver(message=message))["claimable"] is True
        answers = await asyncio.gather(
            *[racer.request("claim", message=message, lease_s=30) for racer in racers.values()], return_exceptions=True
        )
        won = [name for name, answer in zip(racers, answers, strict=True) if isinstance(answer, dict)]
        assert len(won) == 1
        for answer in answers:
            if isinstance(answer, dict):
                assert (answer["message"], answer["fence"], answer["lease_s"]) == (message, 1, 30)
            else:
                assert isinstance(answer, Refused)
                assert answer.code == "claimed"
                assert answer.detail["holder"] == won[0]
                assert 25 < answer.detail["lease_left_s"] <= 30
        receipts = (await lead.request("receipts", message=message))["deliveries"]
        assert {state["agent"] for state in receipts if state["stage"] == "superseded"} == set(racers) - set(won)
        assert all(won[0] in state["reason"] for state in receipts if state["stage"] == "superseded")
        for racer in racers.values():
            await racer.ws.close()


async def test_a_claim_is_repeated_renewed_and_completed_under_one_fence(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout", caps=["x"]) as scout:
        message = await lead.tell("cap:x", claimable=True)
        claim = await scout.request("claim", message=message)
        assert claim["lease_s"] == 60
        assert (await scout.request("claim", message=message))["fence"] == claim["fence"]
        renewed = await scout.request("renew", message=message, fence=claim["fence"], lease_s=90.5)
        assert (renewed["message"], renewed["fence"], renewed["lease_s"]) == (message, claim["fence"], 90.5)
        state = await work(lead, message)
        assert (state["state"], state["holder"], state["attempts"]) == ("claimed", "scout", 1)
        assert 85 < state["lease_left_s"] <= 90.5
        for _ in range(2):
            ok = await scout.request("complete", message=message, fence=claim["fence"], result="fine")
            assert set(ok) == {"op", "re"}
        state = await work(lead, message)
        assert (state["state"], state["result"]) == ("done", "fine")
        assert await stages(lead, message) == {"scout": "done"}
        error = await refusal(scout.request("claim", message=message), "finished")
        assert error.detail["state"] == "done"
        await refusal(scout.request("renew", message=message, fence=claim["fence"]), "not_holder")
        await refusal(scout.request("fail", message=message, fence=claim["fence"]), "not_holder")


async def test_an_older_fence_is_stale_whoever_sends_it(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "slow", caps=["x"]) as slow,
        await Peer.join(daemon.url, "quick", caps=["x"]) as quick,
    ):
        message = await lead.tell("cap:x", claimable=True)
        old = (await slow.request("claim", message=message))["fence"]
        await slow.request("release", message=message, fence=old)
        new = (await quick.request("claim", message=message))["fence"]
        assert new == old + 1
        for op in ("renew", "release", "complete", "fail"):
            for peer in (slow, quick):
                error = await refusal(peer.request(op, message=message, fence=old), "stale_fence")
                assert error.detail["fence"] == new
            await refusal(slow.request(op, message=message, fence=new), "not_holder")
            await refusal(quick.request(op, message=message, fence=new + 1), "not_holder")
        await quick.request("complete", message=message, fence=new)


async def test_only_what_was_sent_as_work_can_be_claimed(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        message = await lead.tell("lead")
        await refusal(lead.request("claim", message=message), "not_claimable")
        await refusal(lead.request("complete", message=message, fence=1), "not_claimable")
        await refusal(lead.request("claim", message=999), "unknown_message")


async def test_released_work_is_offered_to_every_candidate_again_without_burning_an_attempt(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "a", caps=["x"]) as a,
        await Peer.join(daemon.url, "b", caps=["x"]) as b,
    ):
        message = await lead.tell("cap:x", claimable=True)
        for _ in range(4):
            for peer in (a, b):
                await peer.deliver(message=message)
                await peer.send({"op": "ack", "messages": [message], "stage": "surfaced"})
            fence = (await a.request("claim", message=message))["fence"]
            for _ in range(2):
                await a.request("release", message=message, fence=fence)
        state = await work(lead, message)
        assert (state["state"], state["attempts"]) == ("ready", 0)
        assert (await b.deliver(message=message))["attempt"] == 5


async def test_work_is_offered_to_those_who_come_later(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        ok = await lead.request("send", to="cap:x", body="", claimable=True)
        assert ok["recipients"] == 0
        async with await Peer.join(daemon.url, "late", caps=["x"]) as late:
            await late.deliver(message=ok["message"])
        async with await Peer.join(daemon.url, "learner") as learner:
            assert await learner.delivered() == []
            await learner.request("update", caps=["x"])
            await learner.deliver(message=ok["message"])


async def test_the_work_of_a_silent_holder_is_offered_again(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "b", caps=["x"]) as b:
        a = await Peer.join(daemon.url, "a", caps=["x"], instance="i1")
        message = await lead.tell("cap:x", claimable=True)
        first = await b.deliver(message=message)
        await a.request("claim", message=message, lease_s=1)
        a.drop()
        assert (await stages(lead, message))["b"] == "superseded"
        again = await b.deliver(message=message)
        assert (first["attempt"], again["attempt"]) == (1, 2)
        assert (await b.request("claim", message=message))["fence"] == 2
        async with await Peer.join(daemon.url, "a", instance="i1") as back:
            await refusal(back.request("complete", message=message, fence=1), "stale_fence")


async def test_a_lease_lives_as_long_as_its_holder_is_heard_of(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "busy") as busy,
        await Peer.join(daemon.url, "silent") as silent,
    ):
        kept, lost = [await lead.tell("cap:x", claimable=True) for _ in range(2)]
        await busy.request("claim", message=kept, lease_s=1)
        await silent.request("claim", message=lost, lease_s=1)

        async def while_busy_works() -> Frame:
            await busy.request("heartbeat")
            return await work(lead, lost)

        # A lease of the same length, claimed later, has ended: so the first one would have too.
        assert (await until(while_busy_works, lambda state: state["state"] != "claimed"))["state"] == "ready"
        assert (await work(lead, kept))["state"] == "claimed"


async def test_failed_work_comes_back_after_a_backoff_and_is_buried_at_the_third_time(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "a", caps=["x"]) as a:
        message = await lead.tell("cap:x", claimable=True)
        for attempt in (1, 2, 3):
            await a.deliver(message=message)
            fence = (await a.request("claim", message=message))["fence"]
            assert fence == attempt
            for _ in range(2):
                await a.request("fail", message=message, fence=fence, reason=f"broke {attempt}")
            state = await work(lead, message)
            if attempt < 3:
                assert (state["state"], state["reason"]) == ("delayed", f"broke {attempt}")
                assert state["ready_at"] > 1.7e12
                error = await refusal(a.request("claim", message=message), "not_claimable")
                assert error.detail["state"] == "delayed"
        assert (state["state"], state["reason"], state["attempts"]) == ("buried", "broke 3", 3)
        error = await refusal(a.request("claim", message=message), "finished")
        assert error.detail["state"] == "buried"
        assert await stages(lead, message) == {"a": "dead"}


async def test_work_failed_for_good_is_not_offered_again(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "a", caps=["x"]) as a:
        message = await lead.tell("cap:x", claimable=True)
        fence = (await a.request("claim", message=message))["fence"]
        for _ in range(2):
            await a.request("fail", message=message, fence=fence, reason="can't", retry=False)
        assert (await work(lead, message))["state"] == "failed"


async def test_work_that_was_acked_without_a_claim_is_still_there_to_be_claimed(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "a", caps=["x"]) as a:
        message = await lead.tell("cap:x", claimable=True)
        await a.deliver(message=message)
        await a.request("ack", messages=[message])
        assert await a.delivered() == []  # it comes again, but not at once
        assert await stages(lead, message) == {"a": "queued"}
        assert (await a.request("claim", message=message))["fence"] == 1


async def test_who_declines_work_is_not_offered_it_again(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead") as lead,
        await Peer.join(daemon.url, "a", caps=["x"]) as a,
        await Peer.join(daemon.url, "b", caps=["x"]) as b,
    ):
        message = await lead.tell("cap:x", claimable=True)
        await b.deliver(message=message)
        await b.request("nack", message=message, reason="not my field", retry=False)
        await a.deliver(message=message)
        fence = (await a.request("claim", message=message))["fence"]
        await a.request("release", message=message, fence=fence)
        await a.deliver(message=message)
        assert await b.delivered() == []


# -- taking over, leaving --------------------------------------------------------------------------------------------


async def test_another_instance_takes_the_agent_over(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "a", instance="i1") as old:
        message = await lead.tell("a", "unacked")
        job = await lead.tell("a", "job", claimable=True)
        await old.deliver(message=job)
        fence = (await old.request("claim", message=job))["fence"]
        async with await Peer.connect(daemon.url) as new:
            assert (await new.register("a", instance="i2"))["epoch"] == 2
            bye = await old.recv("bye")
            assert bye["code"] == "replaced"
            assert await old.closed() == 4409
            assert (await new.deliver(message=message))["attempt"] == 2
            # What the old instance claimed is not given to the new one, who has to know the fence to go on with it.
            error = await refusal(new.request("claim", message=job), "claimed")
            assert error.detail["holder"] == "a"
            assert (await new.request("renew", message=job, fence=fence))["fence"] == fence
            await new.request("complete", message=job, fence=fence)


async def test_without_an_instance_each_connection_is_another_one(daemon: Daemon) -> None:
    for epoch in (1, 2, 3):
        async with await Peer.connect(daemon.url) as peer:
            assert (await peer.register("a"))["epoch"] == epoch


async def test_the_same_instance_comes_back_to_its_epoch_and_its_claims(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead:
        first = await Peer.join(daemon.url, "a", instance="i1", caps=["x"])
        message = await lead.tell("cap:x", claimable=True)
        fence = (await first.request("claim", message=message))["fence"]
        first.drop()
        async with await Peer.connect(daemon.url) as again:
            assert (await again.register("a", instance="i1", caps=["x"]))["epoch"] == 1
            assert (await again.request("claim", message=message))["fence"] == fence
            await again.request("complete", message=message, fence=fence)


async def test_a_claim_outlives_a_kill_of_the_relay(daemon: Daemon) -> None:
    async with (
        await Peer.join(daemon.url, "lead", instance="l") as lead,
        await Peer.join(daemon.url, "a", instance="i1", caps=["x"]) as a,
    ):
        message = await lead.tell("cap:x", claimable=True)
        fence = (await a.request("claim", message=message, lease_s=40))["fence"]
        daemon.kill()
    daemon.start()
    async with await Peer.join(daemon.url, "lead", instance="l") as lead:
        error = await refusal(lead.request("claim", message=message), "claimed")
        assert error.detail["holder"] == "a"
        assert 30 < error.detail["lease_left_s"] <= 40
        async with await Peer.join(daemon.url, "a", instance="i1") as a:
            await a.request("complete", message=message, fence=fence)


async def test_bye_gives_claims_back_at_once_and_a_lost_socket_does_not(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "b", caps=["x"]) as b:
        dropped = await Peer.join(daemon.url, "dropped")
        leaving = await Peer.join(daemon.url, "leaving")
        one, two = [await lead.tell("cap:x", claimable=True) for _ in range(2)]
        await dropped.request("claim", message=one)
        await leaving.request("claim", message=two)
        assert await b.delivered() == [one, two]
        dropped.drop()
        await leaving.send({"op": "bye"})
        assert await leaving.closed() == 1000
        assert (await b.deliver())["message"] == two
        assert (await work(lead, two))["attempts"] == 0
        assert (await work(lead, one))["state"] == "claimed"

        async def presence() -> dict[str, str]:
            return {card["agent"]: card["status"] for card in (await lead.request("agents"))["items"]}

        seen = await until(presence, lambda cards: cards["dropped"] != "online")
        assert seen == {"b": "online", "dropped": "stale", "lead": "online", "leaving": "offline"}


async def test_a_relay_that_stops_says_goodbye(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout") as peer:
        stopping = asyncio.create_task(asyncio.to_thread(daemon.stop))
        assert await peer.closed() == 1012
        assert [frame["code"] for frame in peer.inbox] == ["going_away"]
        assert await stopping == 0


# -- asking ----------------------------------------------------------------------------------------------------------


async def test_agents_come_in_pages_by_id(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "m") as peer:
        for name in ("z", "a", "k", "b"):
            async with await Peer.join(daemon.url, name, tags=["t"], machine="box"):
                pass
        page = await peer.request("agents", limit=2, tag="t")
        assert [card["agent"] for card in page["items"]] == ["a", "b"]
        page = await peer.request("agents", limit=2, tag="t", after=page["next"])
        assert [card["agent"] for card in page["items"]] == ["k", "z"]
        assert "next" not in page
        everyone = (await peer.request("agents"))["items"]
        assert [card["agent"] for card in everyone] == ["a", "b", "k", "m", "z"]
        assert [card["agent"] for card in (await peer.request("agents", status="online"))["items"]] == ["m"]
        assert (await peer.request("agents", machine="box", tag="nope"))["items"] == []
        [card] = (await peer.request("agents", status="online"))["items"]
        assert set(card) == {"agent", "status", "epoch", "last_seen_at"}


async def test_an_agent_s_own_word_on_itself_is_shown(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "a", status="idle", label="L", caps=["c"]) as peer:
        await peer.request("heartbeat", status="busy", load=0.5)
        [card] = (await peer.request("agents", cap="c", label="L", status="busy"))["items"]
        assert (card["status"], card["load"], card["epoch"]) == ("busy", 0.5, 1)


async def test_an_inbox_comes_in_pages_and_reading_it_changes_nothing(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout") as scout:
        sent = [await lead.tell("scout", str(i), channel="odd" if i % 2 else "even") for i in range(5)]
        await scout.request("ack", messages=[sent[1]])
        page = await scout.request("inbox", limit=3)
        assert [item["message"] for item in page["items"]] == [sent[0], sent[2], sent[3]]
        page = await scout.request("inbox", limit=3, after=page["next"])
        assert [item["message"] for item in page["items"]] == [sent[4]]
        assert "next" not in page
        odd = await scout.request("inbox", channel="odd", unread=False)
        assert [(item["message"], item["stage"]) for item in odd["items"]] == [(sent[1], "done"), (sent[3], "pushed")]
        item = odd["items"][1]
        assert (item["from"], item["to"], item["body"], item["attempt"]) == ("lead", "scout", "3", 1)
        assert (await lead.request("inbox"))["items"] == []
        theirs = await lead.request("inbox", agent="scout")
        assert [item["message"] for item in theirs["items"]] == [sent[0], *sent[2:]]


async def test_a_page_of_large_messages_ends_before_it_is_too_large(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "scout", credit=1) as scout:
        sent = [await scout.tell("scout", "x" * 250_000) for _ in range(6)]
        seen: list[int] = []
        after = 0
        pages = 0
        while len(seen) < len(sent):
            page = await scout.request("inbox", after=after)
            seen += [item["message"] for item in page["items"]]
            after, pages = page.get("next", 0), pages + 1
        assert seen == sent
        assert pages > 1


async def test_a_message_is_shown_with_its_deliveries(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "lead") as lead, await Peer.join(daemon.url, "scout"):
        message = await lead.tell("scout", "text", subject="s")
        item = (await lead.request("message", message=message))["item"]
        assert (item["message"], item["from"], item["subject"], item["body"]) == (message, "lead", "s", "text")
        [state] = item["deliveries"]
        assert set(state) == {"agent", "stage", "at", "attempt"}
        assert "work" not in item
        await refusal(lead.request("message", message=999), "unknown_message")
