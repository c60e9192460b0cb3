"""access.py: tokens, hosts, origins."""

import pytest

from relay_server.access import bearer, host_allowed, is_loopback, origin_allowed, token_digest, token_matches

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


def test_a_token_matches_itself_only() -> None:
    digest = token_digest("s3cret-s3cret-s3cret")
    assert token_matches("s3cret-s3cret-s3cret", digest)
    assert not token_matches("s3cret-s3cret-s3creT", digest)
    assert not token_matches("", digest)
    assert not token_matches(None, digest)
    assert not token_matches("\udcff", digest)
    assert token_matches(None, None)


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
