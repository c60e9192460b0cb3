from typing import Any

from relay_client.message import Message, Page, Receipt, delivered
from relay_proto.frames import Ack, Event, Nack, Ok, Send, StoredMessage, WorkState
from tests.client.scripted import ScriptedRelay, deliver, running, sent


def message(**fields: Any) -> Message:
    return Message(None, deliver(7, **fields))  # type: ignore[arg-type]  # its agent is not asked


def test_a_message_shows_who_what_and_for_whom() -> None:
    assert repr(message()) == "Message(7 from 'bob' to 'alice': 'body 7')"
    assert repr(message(claimable=True, body=b"\x00")) == "Message(7 from 'bob' to 'alice', claimable: b'\\x00')"


def test_a_long_body_is_cut_in_its_repr() -> None:
    assert repr(message(body="x" * 1000)).endswith("x'... (1000))")
    assert len(repr(message(body="x" * 1000))) < 130


def test_headers_are_a_map_even_when_there_are_none() -> None:
    assert message().headers == {}
    assert message(headers={"a": "b"}).headers == {"a": "b"}


def test_receipts_and_pages_say_what_they_hold() -> None:
    assert repr(Receipt(7, 3, 2, 1, True, "k")) == "Receipt(7, thread=3, 1/2 online, duplicate)"
    assert repr(Receipt(7, 3, 2, 1, False, "k", ["bob"])) == "Receipt(7, thread=3, 1/2 online, full: bob)"
    assert repr(Page([1, 2], "b")) == "Page(2 items, next='b')"
    assert (Page([1], None).counts, Page([1], None, {"ready": 1}).counts) == ({}, {"ready": 1})


def test_a_message_carries_what_the_wire_carries() -> None:
    fields: dict[str, Any] = {"priority": 9, "expires_at": 5, "supersedes": 3, "caused_by": 2, "reply_by_at": 6}
    fields |= {"type": "review", "severity": "error"}
    given = message(**fields)
    assert {name: getattr(given, name) for name in fields} == fields
    assert {getattr(message(), name) for name in fields} == {None}


def test_a_message_of_a_list_is_like_one_that_was_delivered() -> None:
    fields: dict[str, Any] = {
        "subject": "s", "channel": "c", "reply_to": 3, "intent": "request", "content_type": "text/plain",
        "headers": {"a": "b"}, "claimable": True, "priority": 9, "expires_at": 5, "supersedes": 3, "caused_by": 2,
        "reply_by_at": 6, "type": "review", "severity": "error",
    }  # fmt: skip
    plain = deliver(7)
    item = StoredMessage(
        message=7, sender="bob", to="alice", body="body 7", sent_at=plain.sent_at, thread=7, hops=0, **fields
    )
    assert delivered(item) == deliver(7, **fields)
    item.work = WorkState(state="claimed", fence=5, attempts=2)
    assert delivered(item).attempt == 2
    item.attempt = 4
    assert delivered(item).attempt == 4


async def test_a_message_in_hand_shows_which_one_replaced_it(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(7), deliver(8))
        received = await agent.receive(5)
        assert received.superseded_by is None
        await peer.say(Event(event="superseded", at=1, message=7, by=9), deliver(9, supersedes=7))
        assert (await agent.receive(5)).message == 8
        assert (await agent.receive(5)).supersedes == 7
        assert received.superseded_by == 9


async def test_a_reply_goes_to_the_sender_and_names_the_message(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(7))
        received = await agent.receive(5)
        async with running(received.reply("yes", subject="re", priority=9, caused_by=3, timeout_s=5)) as reply:
            frame = await peer.next(Send)
            assert (frame.to, frame.body, frame.reply_to, frame.subject) == ("bob", "yes", 7, "re")
            assert (frame.priority, frame.caused_by) == (9, 3)
            await peer.say(sent(frame.id, 8))
            assert (await reply).message == 8


async def test_ack_and_nack_wait_until_the_relay_has_them(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(deliver(7), deliver(8))
        first, second = await agent.receive(5), await agent.receive(5)
        async with running(first.ack("surfaced")) as call:
            ack = await peer.next(Ack)
            assert (ack.messages, ack.stage, call.done()) == ([7], "surfaced", False)
            assert ack.id is not None
            await peer.say(Ok(re=ack.id))
            await call
        async with running(second.nack("not mine", retry=False)) as call:
            nack = await peer.next(Nack)
            assert (nack.message, nack.reason, nack.retry) == (8, "not mine", False)
            assert nack.id is not None
            await peer.say(Ok(re=nack.id))
            await call
