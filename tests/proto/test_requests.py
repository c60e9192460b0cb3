import ast
import inspect
from typing import Any

import pytest

from relay_proto import codec, limits, requests
from relay_proto.errors import BadRequest, Forbidden, TooLarge
from relay_proto.fields import FieldRefused
from relay_proto.frames import ClientFrame
from relay_proto.requests import (
    Ack,
    Agents,
    Heartbeat,
    Inbox,
    Nack,
    Register,
    Send,
    Subscribe,
    Thread,
    Unsubscribe,
    Why,
    Will,
)


@pytest.mark.parametrize("body", ["x" * limits.BODY_BYTES_MAX, "é" * (limits.BODY_BYTES_MAX // 2), b"", ""])
def test_a_body_up_to_its_limit_is_taken(body: str | bytes) -> None:
    assert Send(id=1, to="a", body=body).body == body


@pytest.mark.parametrize("body", ["x" * (limits.BODY_BYTES_MAX + 1), "é" * (limits.BODY_BYTES_MAX // 2) + "x"])
def test_a_body_beyond_its_limit_is_too_large_when_it_is_made(body: str) -> None:
    with pytest.raises(FieldRefused, match="body is 262145 bytes; the limit is 262144") as caught:
        Send(id=1, to="a", body=body)
    assert caught.value.kind is TooLarge


@pytest.mark.parametrize("body", [None, 5, 1.5, [], {}, bytearray(b"x"), memoryview(b"x")])
def test_a_body_is_a_string_or_bytes_and_nothing_else(body: object) -> None:
    with pytest.raises(ValueError, match="body must be a string or bytes, not "):
        Send(id=1, to="a", body=body)


def test_a_sender_that_is_supplied_is_forbidden_when_it_is_made() -> None:
    with pytest.raises(FieldRefused, match="from is 'boss'; the relay stamps it") as caught:
        Send(id=1, to="a", body="", sender="boss")
    assert caught.value.kind is Forbidden


@pytest.mark.parametrize("word", ["broadcast", "ALL"])
def test_an_agent_cannot_carry_a_word_that_addresses_everyone(word: str) -> None:
    with pytest.raises(ValueError, match="that word addresses everyone"):
        Register(id=1, agent=word)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_agents_show_are_finite(number: float) -> None:
    with pytest.raises(ValueError, match=r"load is .*; it must be a finite number"):
        Heartbeat(load=number)
    with pytest.raises(ValueError, match=r"meta\.cpu is .*; it must be a finite number"):
        Register(id=1, agent="a", meta={"ok": 1.5, "cpu": number})


def test_defaults_are_the_contract_s() -> None:
    assert Ack(messages=[1]).stage == "done"
    assert Nack(message=1, reason="").retry
    assert Register(id=1, agent="a").credit == 64
    assert Inbox(id=1).unread
    assert (Inbox(id=1).limit, Agents(id=1).limit, Thread(id=1, thread=1).limit) == (100, 100, 100)
    assert Send(id=1, to="a", body="").waits  # an ask blocks who asks, unless it says otherwise


def test_only_work_is_attempted() -> None:
    assert Send(id=1, to="a", body="", claimable=True, attempts=1).attempts == 1
    with pytest.raises(ValueError, match="attempts is 1; only claimable work is attempted"):
        Send(id=1, to="a", body="", attempts=1)


@pytest.mark.parametrize(("ttl_s", "delay_s"), [(5, 5), (5, 5.0), (4.999, 5), (0.001, 2_592_000)])
def test_a_message_that_would_be_over_before_it_is_due_is_refused(ttl_s: float, delay_s: float) -> None:
    with pytest.raises(ValueError, match=f"ttl_s is {ttl_s}; with delay_s {delay_s} it would be over before it is due"):
        Send(id=1, to="a", body="", ttl_s=ttl_s, delay_s=delay_s)


@pytest.mark.parametrize(("ttl_s", "delay_s"), [(5, 4.999), (0.001, 0), (None, 5), (5, None)])
def test_a_message_that_is_due_before_it_is_over_is_taken(ttl_s: float | None, delay_s: float | None) -> None:
    Send(id=1, to="a", body="", ttl_s=ttl_s, delay_s=delay_s)


def test_why_asks_about_one_thing() -> None:
    Why(id=1, agent="a")
    Why(id=1, message=1)
    with pytest.raises(ValueError, match="why is about one thing: either agent or message"):
        Why(id=1)
    with pytest.raises(ValueError, match="why is about one thing: either agent or message"):
        Why(id=1, agent="a", message=1)


@pytest.mark.parametrize("to", ["boss", "tag:ops", "label:Front end", "channel:ops", "any:cap:x", "thread:7", "ALL"])
def test_a_will_may_be_for_anyone_a_message_may_be_for(to: str) -> None:
    assert Will(to=to, body="gone").to == to


@pytest.mark.parametrize("to", ["two words", "tag:", "thread:0", "nobody:x"])
def test_a_will_for_no_target_is_refused_while_its_writer_still_hears_it(to: str) -> None:
    with pytest.raises(FieldRefused, match=f"will.to is '{to}'; a") as caught:
        Will(to=to, body="gone")
    assert caught.value.kind is BadRequest


def test_the_body_of_a_will_has_the_limit_of_a_body() -> None:
    Will(to="a", body="é" * (limits.BODY_BYTES_MAX // 2))
    with pytest.raises(FieldRefused, match=r"will\.body is 262145 bytes; the limit is 262144") as caught:
        Will(to="a", body="x" * (limits.BODY_BYTES_MAX + 1))
    assert caught.value.kind is TooLarge


LARGEST: list[Any] = [
    Send(
        id=limits.ID_MAX, to="label:" + "€" * 128, body="x" * limits.BODY_BYTES_MAX, subject="😀" * 256,
        headers={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)}, key="😀" * 128, content_type="😀" * 128,
        channel="c" * 64, thread=limits.ID_MAX, reply_to=limits.ID_MAX, caused_by=limits.ID_MAX, intent="request",
        ttl_s=limits.TTL_S_MAX, delay_s=limits.DELAY_S_MAX - 1, priority=limits.PRIORITY_MAX,
        claimable=True, attempts=limits.ATTEMPTS_MAX, type="t" * 64, severity="critical",
        offer_s=limits.OFFER_S_MAX, supersedes=limits.ID_MAX, expect_reply_s=limits.REPLY_S_MAX, waits=False,
    ),
    Register(
        id=limits.ID_MAX, agent="a" * 128, token="😀" * 512, label="😀" * 128, machine="😀" * 128, instance="😀" * 128,
        tags=["t" * 64] * 64, caps=["t" * 64] * 64, channels=["t" * 64] * 64,
        meta={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)},
        will=Will(to="label:" + "€" * 128, body="x" * limits.BODY_BYTES_MAX, subject="😀" * 256, channel="c" * 64),
    ),
    Ack(messages=[limits.ID_MAX] * limits.MESSAGES_MAX),
    Subscribe(id=1, events=["receipt"] * 8),
    Unsubscribe(id=1, events=["presence"] * 8),
]  # fmt: skip


@pytest.mark.parametrize("frame", LARGEST, ids=lambda frame: type(frame).__name__)
def test_any_one_frame_fits_into_one_message(frame: ClientFrame) -> None:
    data = codec.join_frames([codec.encode_checked(frame)])
    assert len(data) <= limits.MESSAGE_BYTES_MAX // 2
    assert codec.decode_client_batch(data) == [frame]


def test_nothing_but_struct_definitions_checks_a_field() -> None:
    """The limits stand in the types; what stands in __post_init__ is what a type can't say. Six structs have one."""
    tree = ast.parse(inspect.getsource(requests))
    having = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(member, ast.FunctionDef) and member.name == "__post_init__" for member in node.body)
    ]
    assert having == ["Will", "Register", "Update", "Heartbeat", "Send", "Why"]
