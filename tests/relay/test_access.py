"""access.py: tokens, hosts, origins."""

import hashlib

import pytest

from relay_server.access import (
    bearer,
    host_allowed,
    is_loopback,
    names_token,
    origin_allowed,
    token_digest,
    token_given,
)

HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "relay.example"})


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:4850", True),
        ("127.0.0.1", True),
        ("[::1]:4850", True),
        ("Relay.Example:80", True),
        ("evil.example:4850", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_host_of_ours_is_served(host: str | None, allowed: bool) -> None:
    assert host_allowed(host, HOSTS) is allowed
    assert host_allowed(host, {"*"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(None, True), ("https://dash.example", True), ("https://evil.example", False), ("null", False), ("", False)],
)
def test_a_web_page_is_let_in_only_from_the_list(origin: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, {"https://dash.example"}) is allowed


def test_what_is_kept_of_a_token_is_its_sha_256() -> None:
    assert token_digest("s3cret") == hashlib.sha256(b"s3cret").digest()
    assert token_digest("\udcff") != token_digest("s3cret"), "what no encoding knows is a token that nobody has"


@pytest.mark.parametrize(
    ("authorization", "others", "token"),
    [
        ([], [], None),
        (["Bearer abc"], [], "abc"),
        ([], ["abc"], "abc"),
        (["Bearer abc"], ["abc", " abc "], "abc"),
        (["Basic dXNlcg=="], [], None),
        (["Basic dXNlcg=="], ["abc"], "abc"),
        (["Bearer "], [""], None),
    ],
)
def test_a_token_stands_in_one_of_three_headers(authorization: list[str], others: list[str], token: str | None) -> None:
    assert token_given(authorization, others) == token


@pytest.mark.parametrize(
    ("authorization", "others"),
    [(["Bearer abc", "Bearer abc"], []), (["Bearer abc"], ["xyz"]), ([], ["abc", "xyz"])],
)
def test_two_tokens_are_none(authorization: list[str], others: list[str]) -> None:
    with pytest.raises(ValueError, match=r"Authorization stands twice|two tokens that differ") as caught:
        token_given(authorization, others)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", False),
        ("for=ada&limit=3", False),
        ("token=abc", True),
        ("for=ada&TOKEN=abc", True),
        ("access_token=", True),
        ("x=token", False),
        ("to%6Ben=abc", True),
    ],
)
def test_a_token_in_a_url_is_seen(query: str, named: bool) -> None:
    assert names_token(query) is named


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer ", None),
        ("abc", None),
        (None, None),
    ],
)
def test_a_bearer_header_gives_its_token(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.4", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
