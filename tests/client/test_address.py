import pytest

from relay_client.address import parse_url
from relay_proto.errors import BadRequest


@pytest.mark.parametrize(
    ("url", "uri", "host", "port"),
    [
        ("http://localhost:4850", "ws://localhost:4850/ws", "localhost", 4850),
        ("http://localhost:4850/", "ws://localhost:4850/ws", "localhost", 4850),
        ("ws://127.0.0.1:9/ws", "ws://127.0.0.1:9/ws", "127.0.0.1", 9),
        ("https://relay.example", "wss://relay.example/ws", "relay.example", 443),
        ("http://relay.example", "ws://relay.example/ws", "relay.example", 80),
        ("wss://relay.example/team/ws?a=b", "wss://relay.example/team/ws?a=b", "relay.example", 443),
        (f"http://{'a' * 63}.b.:1", f"ws://{'a' * 63}.b.:1/ws", f"{'a' * 63}.b.", 1),
        ("http://[::1]:4850", "ws://[::1]:4850/ws", "::1", 4850),
    ],
)
def test_a_url_names_a_websocket_address(url: str, uri: str, host: str, port: int) -> None:
    address = parse_url(url)
    assert (address.uri, address.host, address.port) == (uri, host, port)
    assert address.secure == uri.startswith("wss:")
    assert address.url == url


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "localhost:4850", "ftp://localhost", "http://", "http://localhost:99999", "http://localhost:x",
        "http://local host", "http://localhost\r\n", "http://user:secret@localhost", "http://localhost/ws#top", "http://ö",
        None, 4850, "http://a..b", "http://.a", f"http://{'a' * 64}", f"http://x.{'a' * 64}.y:1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_relay_is_refused_with_what_would_be_right(url: object) -> None:
    with pytest.raises(BadRequest, match="url"):
        parse_url(url)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["http://user:secret@localhost", "ftp://u:secret@h", "http://u:secret@h:x"])
def test_a_password_in_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)
