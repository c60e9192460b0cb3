"""A payload: JSON text beside the body, that the relay keeps and never looks into."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay_proto import limits
from relay_proto.frames import Ack, Claim, ClaimNext, GetMessage, GetTask, Inbox, Register, Send, Submit, Thread
from relay_server.quota import Limits
from tests.relay.desk import Desk

TEXT = '{"rows": [1, 2.5, null], "of": "ü"}'


async def test_it_comes_with_the_delivery_and_again_after_a_restart(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", instance="i")
    # The first send to an inbox is looked at closely in any case: for its room.
    await desk.say(ada, Send(id=1, to="bob", body="bare"))
    await desk.say(ada, Send(id=2, to="bob", body="look", payload=TEXT))
    bare, second = desk.heard(bob)
    assert (second["body"], second["payload"]) == ("look", TEXT)
    assert "payload" not in bare
    await desk.restart()
    again = desk.connect()
    _, bare, second = await desk.say(again, Register(id=0, agent="bob", instance="i"))
    assert ("payload" in bare, second["payload"]) == (False, TEXT)


@pytest.mark.parametrize("text", ["", "null", "not json at all", '"a"'])
async def test_whatever_text_it_is_it_comes_as_it_was_sent(desk: Desk, text: str) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="b", payload=text))
    (delivered,) = desk.heard(bob)
    assert delivered["payload"] == text


async def test_each_question_shows_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="job", payload=TEXT))
    (inbox,) = (await desk.say(bob, Inbox(id=1)))[-1]["items"]
    message = (await desk.say(bob, GetMessage(id=2, message=1)))[-1]["item"]
    (thread,) = (await desk.say(bob, Thread(id=3, thread=1)))[-1]["items"]
    task = (await desk.say(bob, GetTask(id=4, message=1)))[-1]["item"]
    (claimed,) = (await desk.say(bob, ClaimNext(id=5)))[-1]["items"]
    assert [item["payload"] for item in (inbox, message, thread, task, claimed)] == [TEXT] * 5


async def test_work_that_is_offered_again_comes_with_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="b", claimable=True, payload=TEXT))
    await desk.say(bob, Claim(id=1, message=1, lease_s=1), Ack(messages=[1]))
    await desk.pass_time(2)
    assert [frame["payload"] for frame in desk.heard(bob) if frame["op"] == "deliver"] == [TEXT]


async def test_it_is_content_of_a_key(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")

    async def send(**fields: Any) -> dict[str, Any]:
        return (await desk.say(ada, Send(id=1, to="bob", body="b", key="k", **fields)))[-1]

    assert (await send(payload=TEXT))["message"] == 1
    assert (await send(payload=TEXT))["duplicate"] is True
    assert (await send(payload=TEXT + " "))["code"] == "key_conflict"
    assert (await send())["code"] == "key_conflict"


async def test_it_counts_with_the_body_against_its_limit(desk: Desk) -> None:
    ada, _ = await desk.agent("ada"), await desk.agent("bob")
    body = "b" * (limits.BODY_BYTES_MAX - 4)
    (ok,) = await desk.say(ada, Send(id=1, to="bob", body=body, payload="1234"))
    assert ok["op"] == "ok"
    session = desk.connect()
    await desk.say(session, Register(id=0, agent="eve"))
    # Encoded by hand: a Send of ours would refuse to be made.
    frame = Send(id=2, to="bob", body=body, payload="1234")
    frame.payload = "12345"
    (refused,) = await desk.say(session, frame)
    assert (refused["code"], "262145" in refused["message"], "262144" in refused["message"]) == (
        "too_large",
        True,
        True,
    )


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose inboxes hold 100 bytes."""
    desk = await Desk(tmp_path / "small", Limits(inbox_bytes_max=100)).open()
    yield desk
    await desk.close()


async def test_it_counts_against_the_inbox(small: Desk) -> None:
    ada, bob = await small.agent("ada"), await small.agent("bob", credit=1)
    (ok,) = await small.say(ada, Send(id=1, to="bob", body="b" * 10, payload="p" * 80))
    (refused,) = await small.say(ada, Send(id=2, to="bob", body="b" * 10, payload="pp"))
    assert (ok["op"], refused["code"]) == ("ok", "inbox_full")
    assert refused["detail"]["bytes"] == 90
    await small.say(bob, Ack(id=1, messages=[1]))
    (ok,) = await small.say(ada, Send(id=3, to="bob", body="b" * 10, payload="pp"))
    assert ok["op"] == "ok"
