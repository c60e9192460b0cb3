"""tokens.py of the wire: what a frame about tokens may say."""

import msgspec
import pytest

from relay_proto.codec import Refusal, decode_client_batch, encode_frame, join_frames
from relay_proto.frames import TokenCreate, TokenRevoke
from relay_proto.tokens import check_token


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "scopes is missing"),
        ({"agent": "ada", "admin": True}, "agent is given beside admin; a token is for one of them"),
        ({"agent": "ada", "integration": "ci", "admin": True}, "agent is given beside integration and admin"),
        ({"integration": "ci", "admin": True}, "integration is given beside admin"),
        ({"admin": True, "scopes": ["*"]}, "scopes is given beside admin, which has all of them"),
        ({"agent": "ada", "expires_s": 0.5}, "expires_s is 0.5; it must be 1 to 315360000 s"),
        ({"agent": "ada", "expires_s": float("nan")}, "expires_s is nan"),
    ],
)
def test_a_token_is_for_one_and_for_something(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TokenCreate(id=1, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments", [("ada", None, False, None), (None, None, False, ["*"]), (None, None, True, None)]
)
def test_one_is_enough(arguments: tuple[str | None, str | None, bool, list[str] | None]) -> None:
    check_token(*arguments)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"scopes": ["messages:delete"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"integration": "a/b"}, "integration"),
        ({"agent": "ALL x"}, "agent"),
    ],
)
def test_what_no_scope_or_name_is_is_refused_by_field(frame: dict[str, object], said: str) -> None:
    good = encode_frame(TokenCreate(id=1, scopes=["*"]))
    assert decode_client_batch(join_frames([good])) == [TokenCreate(id=1, scopes=["*"])]
    data = msgspec.msgpack.encode({"op": "token_create", "id": 1, **frame})
    (refusal,) = decode_client_batch(join_frames([data]))
    assert isinstance(refusal, Refusal)
    assert refusal.error.code == "bad_request"
    assert refusal.error.message.startswith(said)


def test_who_revokes_by_the_token_itself_is_not_quoted() -> None:
    data = msgspec.msgpack.encode({"op": "token_revoke", "id": 1, "number": "rly_secret"})
    (refusal,) = decode_client_batch(join_frames([data]))
    assert isinstance(refusal, Refusal)
    assert refusal.error.code == "bad_request"
    assert "rly_secret" not in refusal.error.message
    assert TokenRevoke(id=1, number=3).number == 3
