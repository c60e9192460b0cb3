import time
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay_proto import codec, limits
from relay_proto.codec import Refusal, decode_client_batch, decode_relay_batch
from relay_proto.errors import BadFrame, BadRequest, Forbidden, TooLarge, UnknownOp
from relay_proto.frames import (
    Ack,
    Agents,
    Bye,
    ClientFrame,
    Complete,
    Error,
    Frame,
    Heartbeat,
    Ok,
    Register,
    Send,
    Subscribe,
    Will,
)
from tests.proto.frame_strategies import client_frames, relay_frames

# Failures print a @reproduce_failure line; `pytest --hypothesis-seed=N` repeats a whole run.
quick = settings(
    max_examples=100, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)

HEARTBEAT = {"op": "heartbeat"}


def pack(value: Any) -> bytes:
    """MessagePack by an encoder that is not ours."""
    packed: bytes = msgpack.packb(value)
    return packed


def array(*items: bytes) -> bytes:
    """A MessagePack array of items that are encoded already, with the long header."""
    return b"\xdc" + len(items).to_bytes(2, "big") + b"".join(items)


def mapping(*pairs: tuple[bytes, bytes]) -> bytes:
    """A MessagePack map of keys and values that are encoded already; nobody looks whether the keys differ."""
    return b"\xde" + len(pairs).to_bytes(2, "big") + b"".join(key + value for key, value in pairs)


def fields(**values: Any) -> list[tuple[bytes, bytes]]:
    return [(pack(key), value if type(value) is bytes else pack(value)) for key, value in values.items()]


def send(**changes: Any) -> dict[str, Any]:
    return {"op": "send", "id": 7, "to": "builder", "body": "hello", **changes}


def refused(frame: dict[str, Any]) -> Refusal:
    [answer] = decode_client_batch(pack([frame]))
    assert isinstance(answer, Refusal), answer
    return answer


# -- round trips -----------------------------------------------------------------------------------------------------


@quick
@given(st.lists(client_frames, min_size=1, max_size=6))
def test_any_valid_client_frames_come_out_as_they_went_in(frames: list[ClientFrame]) -> None:
    assert decode_client_batch(codec.join_frames([codec.encode_checked(frame) for frame in frames])) == frames


@quick
@given(st.lists(relay_frames, min_size=1, max_size=6))
def test_any_relay_frames_come_out_as_they_went_in(frames: list[Frame]) -> None:
    assert decode_relay_batch(codec.join_frames([codec.encode_frame(frame) for frame in frames])) == frames


@quick
@given(client_frames, st.randoms(use_true_random=False))
def test_an_independent_encoder_with_another_field_order_is_understood(frame: ClientFrame, random: Any) -> None:
    pairs = list(msgpack.unpackb(codec.encode_frame(frame)).items())
    random.shuffle(pairs)
    assert decode_client_batch(pack([dict(pairs)])) == [frame]


def test_fields_at_their_default_stay_off_the_wire() -> None:
    data = codec.encode_frame(Send(id=1, to="a", body="b", claimable=False))
    assert msgpack.unpackb(data) == {"op": "send", "id": 1, "to": "a", "body": "b"}


def test_a_message_from_our_own_encoder_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def second_reading(_: bytes) -> None:
        raise AssertionError("the fast path was left")

    monkeypatch.setattr(codec, "_check_shape", second_reading)
    frames = [Send(id=i, to="builder", body="x" * 100, key=f"k{i}") for i in range(50)]
    data = codec.join_frames([codec.encode_frame(frame) for frame in frames])
    assert decode_client_batch(data) == frames
    with pytest.raises(AssertionError, match="fast path"):
        decode_client_batch(pack([send(subject="s", key="k")]))  # another order of fields


def test_a_message_of_many_large_frames_is_read_like_a_small_one() -> None:
    frames: list[ClientFrame] = [Send(id=i, to="a", body="é" * 20_000) for i in range(20)]
    frames.append(Complete(id=90, message=1, fence=1, result=b"\x90" * limits.RESULT_BYTES_MAX))
    data = codec.join_frames([codec.encode_checked(frame) for frame in frames])
    assert len(data) > codec.WHOLE_BYTES_MAX
    assert decode_client_batch(data) == frames


# -- out: batches ----------------------------------------------------------------------------------------------------


def test_batches_keep_order_and_the_limit_on_frames() -> None:
    frames = [codec.encode_frame(Heartbeat(id=i)) for i in range(2 * limits.FRAMES_MAX + 5)]
    payloads = list(codec.batches(frames))
    ids = [frame.id for payload in payloads for frame in decode_client_batch(payload) if isinstance(frame, Heartbeat)]
    assert ids == list(range(2 * limits.FRAMES_MAX + 5))
    assert len(payloads) == 3


def test_batches_keep_the_limit_on_bytes_to_the_last_byte() -> None:
    half = (limits.MESSAGE_BYTES_MAX - 3) // 2  # 3 bytes: the longest header of the array
    assert [len(payload) for payload in codec.batches([b"x" * half, b"y" * (half + 1)])] == [2 * half + 2]
    assert [len(payload) for payload in codec.batches([b"x" * half, b"y" * (half + 2)])] == [half + 1, half + 3]
    before = b"z" * limits.MESSAGE_BYTES_MAX
    assert [len(payload) for payload in codec.batches([before, b"x" * half, b"y" * (half + 2)])][1:] == [
        half + 1,
        half + 3,
    ]


def test_full_bodies_go_three_to_a_message() -> None:
    frames = [codec.encode_frame(Send(id=i, to="a", body="x" * limits.BODY_BYTES_MAX)) for i in range(9)]
    payloads = list(codec.batches(frames))
    assert [len(decode_client_batch(payload)) for payload in payloads] == [3, 3, 3]


def test_no_frames_make_no_batch() -> None:
    assert list(codec.batches([])) == []


@pytest.mark.parametrize("count", [1, 15, 16, 17, limits.FRAMES_MAX])
def test_joined_frames_are_one_array(count: int) -> None:
    assert msgpack.unpackb(codec.join_frames([pack(HEARTBEAT)] * count)) == [HEARTBEAT] * count


# -- out: checks before sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "kind", "words"),
    [
        (Send(id=1, to="x" * 161, body=""), BadRequest, r"to is 'x+\.\.\.; expected str of length <= 160"),
        (Send(id=1, to="a", body="", priority=10), BadRequest, "priority is 10; expected int <= 9"),
        (Ack(messages=[1], stage="dead"), BadRequest, "stage is 'dead'; expected one of surfaced done"),  # type: ignore[arg-type]
        (Send(id=1, to="a", body="", offer_s=0.5), BadRequest, r"offer_s is 0\.5; expected float >= 1"),
        (Subscribe(id=1, events=["owed"]), BadRequest, r"events\[0\] is 'owed'; expected one of receipt presence"),  # type: ignore[list-item]
        (Register(id=1, agent="a", will=Will(to="a", body="", subject="s" * 257)), BadRequest, r"will\.subject"),
        (Ack(messages=[]), BadRequest, r"messages is \[\]; expected array of length >= 1"),
        (Ack(messages=[5, 0]), BadRequest, r"messages\[1\] is 0; expected int >= 1"),
        (Agents(id=2**70), BadRequest, "agents"),
        (Agents(id=1, tag="two words"), BadRequest, r"tag is 'two words'; expected 1-64 characters of A-Z"),
        (Send(id=1, to="a", body="", subject="\ud800"), BadRequest, "surrogates"),
    ],
)
def test_a_frame_the_relay_would_refuse_is_not_sent(frame: ClientFrame, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        codec.encode_checked(frame)


# -- in: one bad frame -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        (send(body=5), "bad_request", "body must be a string or bytes, not int"),
        (send(body=["a"]), "bad_request", "body must be a string or bytes, not list"),
        (send(body={"a": 1}), "bad_request", "body must be a string or bytes, not dict"),
        (send(body=None), "bad_request", "body must be a string or bytes"),
        ({"op": "send", "id": 7, "to": "a"}, "bad_request", "body is missing; send needs it"),
        (send(to=""), "bad_request", "to is ''; expected str of length >= 1"),
        (send(to=7), "bad_request", "to is 7; expected str, got int"),
        (send(headers={"a": 1}), "bad_request", "headers"),
        (send(headers={str(i): "" for i in range(33)}), "bad_request", "headers"),
        (send(intent="shout"), "bad_request", "intent is 'shout'; expected one of request inform ack"),
        (send(key=""), "bad_request", "key is ''; expected str of length >= 1"),
        (send(channel="two words"), "bad_request", "channel is 'two words'; expected 1-64 characters of"),
        (send(claimable=1), "bad_request", "claimable is 1; expected bool"),
        (send(body="x" * (limits.BODY_BYTES_MAX + 1)), "too_large", "body is 262145 bytes; the limit is 262144"),
        (send(body="é" * (limits.BODY_BYTES_MAX // 2 + 1)), "too_large", "body is 262146 bytes; the limit is 262144"),
        (send(body=b"x" * (limits.BODY_BYTES_MAX + 1)), "too_large", "body is 262145 bytes; the limit is 262144"),
        (send(**{"from": "boss"}), "forbidden", "from is 'boss'; the relay stamps it"),
        ({"op": "shout", "id": 7}, "unknown_op", "op is 'shout'; this relay does not know it"),
        ({"op": "ok", "id": 7, "re": 1}, "unknown_op", "op is 'ok'"),
        ({"op": "register", "id": 7, "agent": "two words"}, "bad_request", "agent is 'two words'; expected 1-128"),
        ({"op": "register", "id": 7, "agent": "ALL"}, "bad_request", "agent is 'ALL'; that word addresses everyone"),
        ({"op": "register", "id": 7, "agent": "a\n"}, "bad_request", r"agent is 'a\n'"),
        ({"op": "register", "id": 7, "agent": "a", "credit": 0}, "bad_request", "credit is 0; expected int >= 1"),
        ({"op": "register", "id": 7, "agent": "a", "meta": {"x": float("nan")}}, "bad_request", "meta.x is nan"),
        ({"op": "update", "id": 7, "meta": {"x": float("-inf")}}, "bad_request", "meta.x is -inf"),
        ({"op": "update", "id": 7, "status": "stale"}, "bad_request", "'stale'; expected one of online idle busy"),
        ({"op": "agents", "id": 7, "status": "gone"}, "bad_request", "expected one of online idle busy stale offline"),
        ({"op": "ack", "id": 7, "messages": [1], "stage": "dead"}, "bad_request", "expected one of surfaced done"),
        ({"op": "update", "id": 7, "tags": ["ok", 5]}, "bad_request", "tags[1] is 5; expected str, got int"),
        ({"op": "update", "id": 7, "label": "a\x1b[31m"}, "bad_request", "none of them a control character"),
        ({"op": "heartbeat", "id": 7, "load": float("nan")}, "bad_request", "load is nan; it must be a finite"),
        ({"op": "heartbeat", "id": 7, "load": float("inf")}, "bad_request", "load is inf; it must be a finite"),
        ({"op": "claim", "id": 7, "message": 1, "lease_s": float("nan")}, "bad_request", "lease_s is nan"),
        ({"op": "claim", "id": 7, "message": 1, "lease_s": float("inf")}, "bad_request", "lease_s is inf"),
        ({"op": "claim", "id": 7, "message": 1, "lease_s": 0.5}, "bad_request", "lease_s is 0.5; expected float >= 1"),
        ({"op": "claim", "id": 7, "message": 0}, "bad_request", "message is 0; expected int >= 1"),
        ({"op": "claim", "id": 7, "message": 2**63}, "bad_request", "message is 9223372036854775808; expected int <="),
        ({"op": "claim", "id": 7, "message": -1}, "bad_request", "message is -1; expected int >= 1"),
        ({"op": "claim", "id": 7, "message": True}, "bad_request", "message is True; expected int, got bool"),
        ({"op": "claim", "id": 7, "message": 1.0}, "bad_request", "message is 1.0; expected int, got float"),
        ({"op": "nack", "id": 7, "message": 1}, "bad_request", "reason is missing; nack needs it"),
        ({"op": "ack", "id": 7, "messages": list(range(1, 1026))}, "bad_request", "expected array of length <= 1024"),
        ({"op": "complete", "id": 7, "message": 1, "fence": 1, "result": 5}, "bad_request", "result must be a string"),
        (
            {"op": "complete", "id": 7, "message": 1, "fence": 1, "result": "x" * (limits.RESULT_BYTES_MAX + 1)},
            "too_large",
            "result is 65537 bytes; the limit is 65536",
        ),
        ({"op": "inbox", "id": 7, "limit": 1001}, "bad_request", "limit is 1001; expected int <= 1000"),
        ({"op": "thread", "id": 7}, "bad_request", "thread is missing; thread needs it"),
        ({"op": "thread", "id": 7, "thread": 0}, "bad_request", "thread is 0; expected int >= 1"),
        ({"op": "thread", "id": 7, "thread": 1, "limit": 1001}, "bad_request", "limit is 1001; expected int <= 1000"),
        ({"op": "thread", "id": 7, "thread": 1, "after": -1}, "bad_request", "after is -1; expected int >= 0"),
        ({"op": "owed", "id": 7, "agent": "two words"}, "bad_request", "agent is 'two words'; expected 1-128"),
        ({"op": "why", "id": 7}, "bad_request", "why is about one thing: either agent or message"),
        ({"op": "why", "id": 7, "agent": "a", "message": 1}, "bad_request", "why is about one thing"),
        ({"op": "why", "id": 7, "message": 0}, "bad_request", "message is 0; expected int >= 1"),
        ({"op": "why", "id": 7, "agent": ""}, "bad_request", "agent is ''; expected 1-128 characters"),
        ({"op": "subscribe", "id": 7}, "bad_request", "events is missing; subscribe needs it"),
        ({"op": "subscribe", "id": 7, "events": []}, "bad_request", "events is []; expected array of length >= 1"),
        ({"op": "subscribe", "id": 7, "events": ["receipt"] * 9}, "bad_request", "expected array of length <= 8"),
        ({"op": "subscribe", "id": 7, "events": "receipt"}, "bad_request", "events is 'receipt'; expected array"),
        ({"op": "subscribe", "id": 7, "events": [5]}, "bad_request", "events[0] is 5; expected str, got int"),
        (
            {"op": "subscribe", "id": 7, "events": ["receipt", "owed"]},
            "bad_request",
            "events[1] is 'owed'; expected one of receipt presence",
        ),
        (
            {"op": "unsubscribe", "id": 7, "events": ["all"]},
            "bad_request",
            "events[0] is 'all'; expected one of receipt presence",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_name_value_and_limit(frame: dict[str, Any], code: str, words: str) -> None:
    answer = refused(frame)
    assert answer.error.code == code
    assert words in str(answer.error)
    assert answer.re == 7


# Of each field of time and order: the values at its limits, then those beyond them, each with the limit that it breaks.
SPANS: dict[str, tuple[list[float], list[tuple[Any, str]]]] = {
    "ttl_s": (
        [0.001, 1, 2_592_000, 2_592_000.0],
        [(value, "it must be 0.001 to 2592000 s") for value in (0, 0.0, 0.0009, 2_592_001, 2_592_000.5)],
    ),
    "delay_s": (
        [0, 0.0, 0.0001, 2_592_000, 2_592_000.0],
        [(-0.001, ">= 0"), (2_592_001, "<= 2592000"), (2_592_000.5, "<= 2592000")],
    ),
    "expect_reply_s": (
        [0.001, 1, 604_800, 604_800.0],
        [(value, "it must be 0.001 to 604800 s") for value in (0, 0.0009, 604_801, 604_800.5)],
    ),
    "offer_s": (
        [1, 1.0, 86_400, 86_400.0],
        [(0, ">= 1"), (0.999, ">= 1"), (86_401, "<= 86400"), (86_400.5, "<= 86400")],
    ),
    "priority": ([0, 9], [(10, "<= 9"), (2**64 - 1, "<= 9"), (4.0, "int | null, got float")]),
    "supersedes": ([1, 2**63 - 1], [(0, ">= 1"), (2**63, "<= 9223372036854775807"), (1.0, "int | null, got float")]),
    "caused_by": ([1, 2**63 - 1], [(0, ">= 1"), (2**63, "<= 9223372036854775807"), (1.0, "int | null, got float")]),
    "waits": ([True, False], [(1, "expected bool"), (0, "expected bool")]),
}
ALIKE: list[tuple[Any, str]] = [(-1, ""), (True, "got bool"), ("5", "got str"), ([5], "got array"), (b"5", "got bytes")]
ENDLESS: list[tuple[Any, str]] = [
    (float("nan"), ">= "), (float("inf"), "<= "), (float("-inf"), ">= "), (1e300, "<= "), (2**64 - 1, "<= "),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, (good, _) in SPANS.items() for value in good])
def test_a_field_of_time_or_order_is_taken_at_its_limits(field: str, value: Any) -> None:
    [frame] = decode_client_batch(pack([send(**{field: value})]))
    assert isinstance(frame, Send), frame
    assert getattr(frame, field) == value
    assert decode_client_batch(codec.join_frames([codec.encode_checked(frame)])) == [frame]


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        (field, value, limit)
        for field, (_, bad) in SPANS.items()
        for value, limit in [*bad, *(ALIKE if field != "waits" else []), *(ENDLESS if field.endswith("_s") else [])]
    ],
)
def test_a_field_of_time_or_order_beyond_its_limits_is_refused_by_name_value_and_limit(
    field: str, value: Any, limit: str
) -> None:
    answer = refused(send(**{field: value}))
    assert answer.error.code == "bad_request"
    assert str(answer.error).startswith(f"{field} is {value!r}; ")
    if "it must be" not in str(answer.error):  # a check names both limits, whichever was broken
        assert limit in str(answer.error)
    assert answer.re == 7


@pytest.mark.parametrize("field", SPANS)
def test_nil_for_a_field_of_time_or_order_is_the_same_as_leaving_it_out(field: str) -> None:
    if field != "waits":
        assert decode_client_batch(pack([send(**{field: None})])) == decode_client_batch(pack([send()]))


def test_a_time_to_live_that_ends_before_the_delay_is_refused_with_both() -> None:
    answer = refused(send(ttl_s=5, delay_s=5))
    assert str(answer.error) == "ttl_s is 5; with delay_s 5 it would be over before it is due"
    assert (answer.error.code, answer.re) == ("bad_request", 7)


def will(**changes: Any) -> dict[str, Any]:
    return {"op": "register", "id": 7, "agent": "a", "will": {"to": "boss", "body": "gone", **changes}}


def test_a_will_comes_out_as_it_went_in() -> None:
    [frame] = decode_client_batch(pack([will(subject="s" * 256, channel="c" * 64, of_tomorrow=1)]))
    assert isinstance(frame, Register)
    assert frame.will == Will(to="boss", body="gone", subject="s" * 256, channel="c" * 64)


@pytest.mark.parametrize(
    ("frame", "code", "field", "limit"),
    [
        (will(to=""), "bad_request", "will.to", "expected str of length >= 1"),
        (will(to="x" * 161), "bad_request", "will.to", "expected str of length <= 160"),
        (will(to="two words"), "bad_request", "will.to is 'two words'", "an agent id is 1-128 characters"),
        (will(to="thread:0"), "bad_request", "will.to is 'thread:0'", "a thread is the id of its first message"),
        (will(body=5), "bad_request", "will.body", "expected str, got int"),
        (will(body="x" * (limits.BODY_BYTES_MAX + 1)), "too_large", "will.body is 262145", "the limit is 262144"),
        (will(subject="s" * 257), "bad_request", "will.subject", "expected str of length <= 256"),
        (will(channel="two words"), "bad_request", "will.channel", "expected 1-64 characters of"),
        ({**will(), "will": {"to": "a"}}, "bad_request", "will.body", "is missing"),
        ({**will(), "will": {"body": "a"}}, "bad_request", "will.to", "is missing"),
        ({**will(), "will": "boss"}, "bad_request", "will is 'boss'", "got str"),
    ],
)
def test_a_wrong_will_is_refused_when_it_is_left(frame: dict[str, Any], code: str, field: str, limit: str) -> None:
    answer = refused(frame)
    assert answer.error.code == code
    assert str(answer.error).startswith(field)
    assert limit in str(answer.error)
    assert answer.re == 7


def test_the_text_of_a_refusal_stays_short_whatever_was_sent() -> None:
    for frame in (
        will(to="x" * 500_000),
        send(to="x" * 500_000),
        send(**{"from": "x" * 500_000}),
        {"op": "x" * 500_000, "id": 7},
    ):
        assert len(str(refused(frame).error)) < 250


def test_a_refusal_never_repeats_a_token() -> None:
    answer = refused({"op": "register", "id": 7, "agent": "a", "token": "secret" * 100})
    assert "secret" not in str(answer.error)
    assert "token is ***; expected str of length <= 512" in str(answer.error)


@pytest.mark.parametrize("wrong", [-1, 2**63, 2**64 - 1, True, None, "7", 7.0, b"7", [7]])
def test_an_id_that_is_none_is_refused_without_re(wrong: object) -> None:
    answer = refused({"op": "agents", "id": wrong})
    assert isinstance(answer.error, BadRequest)
    assert answer.re is None


def test_the_largest_ids_are_taken() -> None:
    frame = {"op": "claim", "id": 2**63 - 1, "message": 2**63 - 1}
    [claim] = decode_client_batch(pack([frame]))
    assert not isinstance(claim, Refusal)


def test_a_refused_frame_stands_between_its_served_neighbours() -> None:
    answers = decode_client_batch(pack([HEARTBEAT, send(body=5), {"op": "shout", "id": 8}, {"op": "bye"}]))
    assert answers[0] == Heartbeat()
    assert isinstance(answers[1], Refusal)
    assert answers[1].re == 7
    assert isinstance(answers[2], Refusal)
    assert isinstance(answers[2].error, UnknownOp)
    assert answers[3] == Bye()


def test_a_refused_frame_stands_between_its_served_neighbours_in_a_large_message() -> None:
    good = send(body="x" * 30_000)
    answers = decode_client_batch(pack([good, send(**{"from": "boss"}), good, good]))
    assert [type(answer) for answer in answers] == [Send, Refusal, Send, Send]
    assert isinstance(answers[1], Refusal)
    assert isinstance(answers[1].error, Forbidden)


@pytest.mark.parametrize(
    "value", [None, True, 2**64 - 1, -1, 1.5, "text", b"bytes", [1, "a", None], {"a": 1, "b": "c"}, [], {}]
)
def test_unknown_fields_are_ignored(value: object) -> None:
    assert decode_client_batch(pack([{**HEARTBEAT, "of_tomorrow": value}])) == [Heartbeat()]


@pytest.mark.parametrize("header", [b"\x82", b"\xde\0\2", b"\xdf\0\0\0\2"], ids=["short", "16-bit", "32-bit"])
def test_maps_may_have_headers_of_any_length(header: bytes) -> None:
    frame = header + b"".join(key + value for key, value in fields(op="heartbeat", zz={"a": 1}))
    assert decode_client_batch(array(frame)) == [Heartbeat()]


def test_a_refusal_shows_what_it_answers() -> None:
    assert repr(refused({"op": "shout", "id": 7})) == (
        "Refusal(UnknownOp(\"op is 'shout'; this relay does not know it\", code='unknown_op'), re=7)"
    )


# -- in: what is no array of frames ----------------------------------------------------------------------------------

BEAT = fields(op="heartbeat")
EXT = b"\xd4\x05x"
TIMESTAMP = pack(msgpack.Timestamp(1))
NOT_FRAMES: dict[str, bytes] = {
    "nothing": b"",
    "an empty array": b"\x90",
    "a map": pack(HEARTBEAT),
    "a string": pack("heartbeat"),
    "an array of arrays": pack([["heartbeat"]]),
    "nil for a frame": pack([None]),
    "a reserved byte": b"\xc1",
    "a truncated frame": pack([HEARTBEAT])[:-1],
    "a second value after the array": pack([HEARTBEAT]) + b"\xc0",
    "1,025 frames": array(*[pack(HEARTBEAT)] * 1025),
    "an array that claims 4 billion frames": b"\xdd\xff\xff\xff\xff",
    "a string that claims 4 GB": b"\x91\xdb\xff\xff\xff\xff",
    "a map that claims 4 billion fields": b"\x91\xdf\xff\xff\xff\xff",
    "no op": pack([{"id": 7}]),
    "an op that is a number": pack([{"op": 7, "id": 7}]),
    "an op that is bytes": pack([{"op": b"heartbeat"}]),
    "op twice": array(mapping(*BEAT, *BEAT)),
    "a field twice": array(mapping(*fields(op="claim", id=1, message=1), *fields(message=2))),
    "a field twice with the same value": array(mapping(*fields(op="claim", id=1, message=1), *fields(message=1))),
    "an unknown field twice": array(mapping(*BEAT, *fields(zz=1), *fields(zz=1))),
    "a field twice in a frame that is refused": array(mapping(*fields(op="zz", id=1), *fields(id=2))),
    "a key of meta twice": array(
        mapping(*fields(op="update", id=1, meta=mapping((pack("a"), pack(1)), (pack("a"), pack(2)))))
    ),
    "a key twice in an unknown map": array(
        mapping(*BEAT, *fields(zz=mapping((pack("a"), pack(1)), (pack("a"), pack(1)))))
    ),
    "a key that is a number": array(mapping(*BEAT, (pack(1), pack(1)))),
    "a key that is bytes": array(mapping(*BEAT, (pack(b"op"), pack(1)))),
    "a key that is a list": array(mapping(*BEAT, (pack([]), pack(1)))),
    "a key that is a map": array(mapping(*BEAT, (pack({}), pack(1)))),
    "a key of meta that is a number": pack([{"op": "update", "id": 1, "meta": {1: 1}}]),
    "an ext type": array(mapping(*BEAT, *fields(zz=EXT))),
    "an ext type of 3 bytes": array(mapping(*BEAT, *fields(zz=b"\xc7\x03\x05xyz"))),
    "an ext type for a body": array(mapping(*fields(op="send", id=1, to="a", body=EXT))),
    "an ext type in a list": array(mapping(*BEAT, *fields(zz=array(EXT)))),
    "an ext type for a frame": array(EXT),
    "an ext type for a key": array(mapping(*BEAT, (EXT, pack(1)))),
    "a timestamp": array(mapping(*BEAT, *fields(zz=TIMESTAMP))),
    "a timestamp for a body": array(mapping(*fields(op="send", id=1, to="a", body=TIMESTAMP))),
    "a nested body": pack([send(body={"a": {"b": 1}})]),
    "a nested will": pack([{"op": "register", "id": 1, "agent": "a", "will": {"to": "b", "body": ["x"]}}]),
    "a key of a will twice": array(
        mapping(*fields(op="register", id=1, agent="a", will=mapping(*fields(to="b", body="x"), *fields(to="c"))))
    ),
    "a list of subscriptions that nests": pack([{"op": "subscribe", "id": 1, "events": [["receipt"]]}]),
    "a nested meta": pack([{"op": "update", "id": 1, "meta": {"a": {"b": 1}}}]),
    "an unknown field that nests": pack([{**HEARTBEAT, "zz": [[1]]}]),
    "a frame of 65 fields": pack([{**HEARTBEAT, **{f"f{i}": 1 for i in range(64)}}]),
    "a list of 5,000 items": pack([{**HEARTBEAT, "zz": [0] * 5000}]),
    "text that is not UTF-8": array(mapping(*fields(op="send", id=1, to="a", body=b"\xa2\xff\xfe"))),
    "text that is not UTF-8 in an unknown field": array(mapping(*BEAT, *fields(zz=b"\xa2\xff\xfe"))),
    "text that is not UTF-8 in a large message": array(
        mapping(*fields(op="send", id=1, to="a", body=pack("x" * 70_000))),
        mapping(*fields(op="send", id=1, to="a", body=b"\xa2\xff\xfe")),
    ),
    "a surrogate": array(mapping(*fields(op="send", id=1, to="a", body=b"\xa3\xed\xa0\x80"))),
    "a good frame before a bad one": array(pack(HEARTBEAT), b"\x01"),
    "a refused frame before a bad one": array(pack({"op": "zz"}), mapping(*BEAT, *BEAT)),
}


@pytest.mark.parametrize("what", NOT_FRAMES)
def test_what_is_no_array_of_frames_raises_bad_frame(what: str) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_client_batch(NOT_FRAMES[what])
    assert len(str(caught.value)) < 400


def test_a_message_one_byte_too_long_is_too_large_before_it_is_read() -> None:
    with pytest.raises(TooLarge, match="the message is 1048577 bytes; the limit is 1048576"):
        decode_client_batch(b"\xc1" * (limits.MESSAGE_BYTES_MAX + 1))


# -- in: what hostile bytes cost -------------------------------------------------------------------------------------


def full(item: bytes) -> bytes:
    """An array of arrays of 1,000 of this item, close to the limit on bytes."""
    return array(*[array(*[item] * 1000)] * 1000)


def flood(**values: Any) -> bytes:
    """One frame with these fields, encoded already."""
    return b"\x91" + mapping(*fields(**values))


MIB = limits.MESSAGE_BYTES_MAX - 200
COSTLY: dict[str, bytes] = {
    "arrays in arrays": b"\x91" * MIB,
    "maps in maps": b"\x81\xa1a" * (MIB // 3),
    "arrays that each claim 1,024 items": b"\xdc\x04\x00" * (MIB // 3),
    "a body nested a million deep": flood(op="send", id=1, to="a", body=b"\x91" * MIB),
    "an unknown field nested a million deep": flood(op="heartbeat", zz=b"\x91" * MIB),
    "a million empty arrays": full(b"\x90"),
    "a million empty maps": full(b"\x80"),
    "a body of a million empty arrays": flood(op="send", id=1, to="a", body=full(b"\x90")),
    "a body of a million empty maps": flood(
        op="send", id=1, to="a", body=b"\xdd" + MIB.to_bytes(4, "big") + b"\x80" * MIB
    ),
    "a body of a million numbers": flood(op="send", id=1, to="a", body=full(b"\xe0")),
    "64 bodies of 16,000 empty arrays": array(
        *[mapping(*fields(op="send", id=1, to="a", body=array(*[b"\x90"] * 16_000)))] * 64
    ),
    "a result of a million empty arrays": flood(op="complete", id=1, message=1, fence=1, result=full(b"\x90")),
    "a will of a million empty arrays": flood(op="register", id=1, agent="a", will=full(b"\x90")),
    "a million subscriptions": flood(op="subscribe", id=1, events=b"\xdd" + MIB.to_bytes(4, "big") + b"\xa0" * MIB),
    "a from of a million empty arrays": flood(op="send", id=1, to="a", body="", **{"from": full(b"\x90")}),
    "unknown fields of a million empty maps": array(
        *[mapping(*fields(op="heartbeat", zz=array(*[b"\x80"] * 1000)))] * 1000
    ),
    "unknown fields of a million numbers": array(*[mapping(*fields(op="zz", zz=array(*[b"\xe0"] * 1000)))] * 1000),
    "frames of 64 unknown fields": array(*[mapping(*BEAT, *[(pack(f"{i:02}"), b"\x80") for i in range(63)])] * 1024),
    "1,024 refused frames": array(*[pack(send(to="x" * 900))] * 1024),
    "a key of 500 KB twice": array(mapping(*BEAT, *[(pack("k" * 500_000), b"\x01")] * 2)),
    "a key of 900 KB of bytes": array(mapping(*BEAT, (pack(b"k" * 900_000), b"\x01"))),
    "a million keys": array(b"\xdf" + (300_000).to_bytes(4, "big") + b"\xa1a\x01" * 300_000),
}


def outcome(data: bytes) -> BadFrame | TooLarge | None:
    try:
        answers = decode_client_batch(data)
    except (BadFrame, TooLarge) as exc:
        return exc
    assert all(isinstance(answer, (Frame, Refusal)) for answer in answers)
    return None


@pytest.mark.parametrize("what", COSTLY)
def test_hostile_bytes_cost_little_time(what: str) -> None:
    data, took = COSTLY[what], []
    assert len(data) <= limits.MESSAGE_BYTES_MAX
    for _ in range(5):  # the best of five, of this process's own time: others may have had the core
        start = time.process_time()
        outcome(data)
        took.append(time.process_time() - start)
    assert min(took) < 0.050


@pytest.mark.parametrize("what", COSTLY)
def test_hostile_bytes_cost_little_memory(what: str) -> None:
    data = COSTLY[what]
    tracemalloc.start()
    try:
        outcome(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * limits.MESSAGE_BYTES_MAX


# -- in: anything at all ---------------------------------------------------------------------------------------------


def assert_nothing_hidden(data: bytes) -> None:
    """An independent decoder, which sees every key, finds nothing in a message that ours should have refused."""

    def unique(pairs: list[tuple[object, object]]) -> dict[object, object]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def no_ext(code: int, _: bytes) -> None:
        raise AssertionError(f"ext type {code}")

    frames = msgpack.unpackb(data, object_pairs_hook=unique, ext_hook=no_ext)
    assert "Timestamp" not in repr(frames)
    assert 1 <= len(frames) <= limits.FRAMES_MAX


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    if outcome(data) is None:
        assert_nothing_hidden(data)


@quick
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just("op"), inner),
        max_leaves=12,
    )
)
def test_any_messagepack_value_is_refused_or_read(value: object) -> None:
    for data in (pack(value), pack([value]), pack([send(zz=value)]), pack([send(body=value)])):
        if outcome(data) is None:
            assert_nothing_hidden(data)


@quick
@given(st.lists(client_frames, min_size=1, max_size=3), st.data())
def test_damaged_messages_are_refused_or_read(frames: list[ClientFrame], choices: st.DataObject) -> None:
    data = bytearray(codec.join_frames([codec.encode_frame(frame) for frame in frames]))
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(data)))
        end = choices.draw(st.sampled_from([at, at + 1, at + 3, len(data)]))
        data[at:end] = choices.draw(st.binary(max_size=3) | st.sampled_from([b"\xd6\xff\0\0\0\1", b"\xa2op\xa3bye"]))
    if outcome(bytes(data)) is None:
        assert_nothing_hidden(bytes(data))


@quick
@given(client_frames, st.data())
def test_a_key_that_stands_twice_is_never_accepted(frame: ClientFrame, choices: st.DataObject) -> None:
    pairs = [(pack(key), pack(value)) for key, value in msgpack.unpackb(codec.encode_frame(frame)).items()]
    key, _ = choices.draw(st.sampled_from(pairs))
    value = choices.draw(st.sampled_from([value for _, value in pairs]))
    pairs.insert(choices.draw(st.integers(0, len(pairs))), (key, value))
    for padding in (b"", pack(send(body="x" * codec.WHOLE_BYTES_MAX))):  # as a small and as a large message
        data = array(mapping(*pairs), padding) if padding else array(mapping(*pairs))
        with pytest.raises(BadFrame):
            decode_client_batch(data)


# -- in: the client's side -------------------------------------------------------------------------------------------


def test_an_op_of_a_newer_relay_is_left_out() -> None:
    frames = decode_relay_batch(pack([{"op": "ok", "re": 1}, {"op": "of_tomorrow", "at": 1}, {"op": "bye"}]))
    assert frames == [Ok(re=1), Bye()]


def test_a_field_of_a_newer_relay_is_ignored() -> None:
    assert decode_relay_batch(pack([{"op": "ok", "re": 1, "mood": {"deep": [[]]}}])) == [Ok(re=1)]


@pytest.mark.parametrize("before", [[], [{"op": "of_tomorrow"}]], ids=["alone", "after_an_unknown_op"])
@pytest.mark.parametrize(
    "broken",
    [
        pack([{"op": "ok", "re": 1}])[1:-1],
        pack({"op": "ok"}),
        pack({"re": 1}),
        pack({"op": 7}),
        pack(7),
        mapping(*fields(op="error", code="x", message=b"\xa2\xff\xfe")),
        mapping(*fields(op="of_tomorrow", zz=b"\x91" * 100_000)),
        mapping(*fields(op="ok", re=b"\xc1")),
    ],
    ids=["truncated", "no_re", "no_op", "op_a_number", "no_map", "not_utf8", "too_deep", "reserved_byte"],
)
def test_what_no_relay_sends_raises_bad_frame(before: list[object], broken: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_relay_batch(array(*[pack(frame) for frame in before], broken))


@pytest.mark.parametrize("data", [b"", b"\x90", pack(7), pack([{"op": "zz"}] * 1025), b"\x91" * 100_000])
def test_a_message_that_is_no_batch_raises_bad_frame_at_the_client_too(data: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_relay_batch(data)


@quick
@given(st.lists(relay_frames, min_size=1, max_size=3), st.data())
def test_damaged_messages_of_the_relay_raise_only_bad_frame(frames: list[Frame], choices: st.DataObject) -> None:
    data = bytearray(codec.join_frames([codec.encode_frame(frame) for frame in frames]))
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(data)))
        data[at : at + choices.draw(st.integers(0, 2))] = choices.draw(st.binary(max_size=3))
    try:
        decode_relay_batch(bytes(data))
    except BadFrame:
        pass


def test_an_error_without_re_is_about_a_frame_without_id() -> None:
    [error] = decode_relay_batch(pack([{"op": "error", "code": "claimed", "message": "no", "detail": {"holder": "a"}}]))
    assert error == Error(code="claimed", message="no", detail={"holder": "a"})
