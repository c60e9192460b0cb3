import ast
import inspect
from typing import Any

import msgspec
import pytest

from relay_proto import codec, frames, limits
from relay_proto.errors import Forbidden, TooLarge
from relay_proto.frames import (
    Ack,
    ClientFrame,
    Complete,
    Deliver,
    FieldRefused,
    Frame,
    Heartbeat,
    Nack,
    Register,
    Request,
    Send,
)
from tests.proto.frame_strategies import CLIENT_FRAMES, RELAY_FRAMES

ALL_FRAMES = tuple(dict.fromkeys((*CLIENT_FRAMES, *RELAY_FRAMES)))


def op_of(kind: type[Frame]) -> str:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def test_each_op_is_the_contract_s_word_for_it() -> None:
    assert {op_of(kind) for kind in CLIENT_FRAMES} == {
        "register", "update", "heartbeat", "bye", "send", "ack", "nack", "receipts",
        "claim", "renew", "release", "complete", "fail", "agents", "inbox", "message",
    }  # fmt: skip
    assert {op_of(kind) for kind in RELAY_FRAMES} == {"ok", "error", "deliver", "bye"}


def test_every_frame_that_is_defined_can_be_sent_by_someone() -> None:
    defined = {
        kind
        for kind in vars(frames).values()
        if inspect.isclass(kind) and issubclass(kind, Frame) and kind not in (Frame, Request)
    }
    assert defined == set(ALL_FRAMES)


@pytest.mark.parametrize("kind", CLIENT_FRAMES, ids=op_of)
def test_each_frame_is_answered_except_the_three_that_may_go_without(kind: type[Frame]) -> None:
    unanswered = {"ack", "nack", "heartbeat", "bye"}
    assert issubclass(kind, Request) is (op_of(kind) not in unanswered)
    if issubclass(kind, Request):
        [field] = [field for field in msgspec.structs.fields(kind) if field.name == "id"]
        assert field.required


@pytest.mark.parametrize("kind", ALL_FRAMES, ids=op_of)
def test_times_end_in_at_and_durations_in_s(kind: type[Frame]) -> None:
    for field in msgspec.structs.fields(kind):
        if field.name.endswith("_at"):
            assert field.type in (int, int | None), field.name
        if field.name.endswith("_s"):
            assert "float" in str(field.type), field.name


@pytest.mark.parametrize("kind", ALL_FRAMES, ids=op_of)
def test_frames_are_slotted_and_documented(kind: type[Frame]) -> None:
    assert not kind.__struct_config__.dict
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__ + "(")


def test_from_is_the_wire_s_name_for_sender() -> None:
    assert {
        field.name: field.encode_name for field in msgspec.structs.fields(Deliver) if field.name != field.encode_name
    } == {"sender": "from"}


def test_every_unserved_field_is_a_field_of_send() -> None:
    named = {field.name for field in msgspec.structs.fields(Send)}
    assert set(frames.UNSERVED_SEND_FIELDS) <= named


@pytest.mark.parametrize("body", ["x" * limits.BODY_BYTES_MAX, "é" * (limits.BODY_BYTES_MAX // 2), b"", ""])
def test_a_body_up_to_its_limit_is_taken(body: str | bytes) -> None:
    assert Send(id=1, to="a", body=body).body == body


@pytest.mark.parametrize("body", ["x" * (limits.BODY_BYTES_MAX + 1), "é" * (limits.BODY_BYTES_MAX // 2) + "x"])
def test_a_body_beyond_its_limit_is_too_large_when_it_is_made(body: str) -> None:
    with pytest.raises(FieldRefused, match="body is 262145 bytes; the limit is 262144") as caught:
        Send(id=1, to="a", body=body)
    assert caught.value.kind is TooLarge


def test_a_result_has_a_limit_of_its_own() -> None:
    Complete(id=1, message=1, fence=1, result="x" * limits.RESULT_BYTES_MAX)
    with pytest.raises(FieldRefused, match="result is 65537 bytes; the limit is 65536"):
        Complete(id=1, message=1, fence=1, result="x" * (limits.RESULT_BYTES_MAX + 1))


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
    assert frames.Fail(id=1, message=1, fence=1).retry
    assert frames.Inbox(id=1).unread
    assert (frames.Inbox(id=1).limit, frames.Agents(id=1).limit) == (100, 100)


LARGEST: list[Any] = [
    Send(
        id=limits.ID_MAX, to="label:" + "€" * 128, body="x" * limits.BODY_BYTES_MAX, subject="😀" * 256,
        headers={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)}, key="😀" * 128, content_type="😀" * 128,
    ),
    Register(
        id=limits.ID_MAX, agent="a" * 128, token="😀" * 512, label="😀" * 128, machine="😀" * 128, instance="😀" * 128,
        tags=["t" * 64] * 64, caps=["t" * 64] * 64, channels=["t" * 64] * 64,
        meta={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)},
    ),
    Ack(messages=[limits.ID_MAX] * limits.MESSAGES_MAX),
    Complete(id=1, message=1, fence=1, result=b"x" * limits.RESULT_BYTES_MAX),
]  # fmt: skip


@pytest.mark.parametrize("frame", LARGEST, ids=lambda frame: op_of(type(frame)))
def test_any_one_frame_fits_into_one_message(frame: ClientFrame) -> None:
    data = codec.join_frames([codec.encode_checked(frame)])
    assert len(data) <= limits.MESSAGE_BYTES_MAX // 2
    assert codec.decode_client_batch(data) == [frame]


def test_the_delivery_of_the_largest_send_fits_into_one_message() -> None:
    send = LARGEST[0]
    delivery = Deliver(
        message=limits.ID_MAX, sender="a" * 128, to=send.to, body=send.body, sent_at=2**42, attempt=5,
        thread=limits.ID_MAX, hops=9, subject=send.subject, headers=send.headers, content_type=send.content_type,
    )  # fmt: skip
    assert len(codec.encode_frame(delivery)) <= limits.MESSAGE_BYTES_MAX // 2


def test_nothing_but_struct_definitions_checks_a_field() -> None:
    """The limits stand in the types; what stands in __post_init__ is what a type can't say. Five frames have one."""
    tree = ast.parse(inspect.getsource(frames))
    having = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(member, ast.FunctionDef) and member.name == "__post_init__" for member in node.body)
    ]
    assert having == ["Register", "Update", "Heartbeat", "Send", "Complete"]
