"""Pairs on the wire: what each field takes, and how it is refused by name, value and limit."""

from typing import Any

import msgpack
import msgspec
import pytest

from relay_proto.codec import Refusal, decode_client_batch
from relay_proto.errors import BadRequest, TooLarge
from relay_proto.frames import ClientFrame, GetPair, Pair, PairAccept, PairHangup, PairOpen, PairReject, Pairs, PairSend

NEEDED: dict[str, dict[str, Any]] = {
    "pair_open": {"to": "ben"},
    "pair_accept": {"pair": 7},
    "pair_reject": {"pair": 7},
    "pair_send": {"pair": 7, "body": "x"},
    "pair_hangup": {"pair": 7},
    "pairs": {},
    "pair": {"pair": 7},
}
"""What each op can't do without."""


def read(op: str, **fields: Any) -> ClientFrame | Refusal:
    """What the relay makes of it, as an encoder that is not ours sends it."""
    [answer] = decode_client_batch(msgpack.packb([{"op": op, "id": 7, **fields}]))
    return answer


@pytest.mark.parametrize(
    ("op", "kind"),
    list(zip(NEEDED, (PairOpen, PairAccept, PairReject, PairSend, PairHangup, Pairs, GetPair), strict=True)),
)
def test_each_op_is_read_and_needs_what_it_needs(op: str, kind: type[ClientFrame]) -> None:
    assert type(read(op, **NEEDED[op])) is kind
    for name in NEEDED[op]:
        refused = read(op, **{key: value for key, value in NEEDED[op].items() if key != name})
        assert isinstance(refused, Refusal)
        assert name in refused.error.message


@pytest.mark.parametrize(
    ("op", "field", "good", "bad"),
    [
        ("pair_open", "to", ["a" * 128, "team@host/a-1"], ["", "two words", "tag:x", "ALL:x", 7]),
        ("pair_open", "objective", ["", "😀" * 1024], ["x" * 1025, 7]),
        ("pair_open", "key", ["k"], ["", "x" * 129]),
        ("pair_open", "hold", [True], [1]),
        ("pair_accept", "pair", [1, 2**63 - 1], [0, -1, 2**63, "7", 1.0]),
        ("pair_reject", "reason", ["", "x" * 1024], ["x" * 1025]),
        ("pair_hangup", "reason", ["no"], [7]),
        ("pair_send", "body", ["", b"\x00", "x" * 262_144], [None, 7, ["x"]]),
        ("pair_send", "subject", ["s" * 256], ["s" * 257]),
        ("pair_send", "reply_to", [1], [0]),
        ("pair_send", "intent", ["request", "inform", "ack"], ["shout"]),
        ("pair_send", "content_type", ["text/plain"], [""]),
        ("pair_send", "headers", [{"a": "b"}], [{"a": 7}]),
        ("pair_send", "payload", ["{}"], [{}]),
        ("pairs", "state", ["pending", "active", "rejected", "ended"], ["over", 7]),
        ("pairs", "agent", ["ben"], ["two words"]),
        ("pairs", "limit", [1, 1000], [0, 1001]),
        ("pairs", "after", [0], [-1]),
    ],
)
def test_each_field_takes_what_it_may_and_nothing_else(op: str, field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        frame = read(op, **{**NEEDED[op], field: value})
        assert getattr(frame, field) == value, frame
    for value in bad:
        refused = read(op, **{**NEEDED[op], field: value})
        assert isinstance(refused, Refusal), value
        assert isinstance(refused.error, BadRequest)
        assert field in refused.error.message


@pytest.mark.parametrize("fields", [{"body": "x" * 262_145}, {"body": "x" * 262_143, "payload": "{}"}])
def test_what_is_said_is_as_long_as_any_body(fields: dict[str, Any]) -> None:
    refused = read("pair_send", pair=7, **fields)
    assert isinstance(refused, Refusal)
    assert isinstance(refused.error, TooLarge)
    assert "262144" in refused.error.message


def test_a_pair_says_from_on_the_wire() -> None:
    pair = Pair(pair=7, sender="a", to="b", state="pending", thread=7, opened_at=1, changed_at=1)
    assert msgspec.to_builtins(pair) == {
        "pair": 7, "from": "a", "to": "b", "state": "pending", "thread": 7, "opened_at": 1, "changed_at": 1,
    }  # fmt: skip
