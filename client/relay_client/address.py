"""Where a relay is: a URL as a user writes it, as the WebSocket address that is connected to."""

import urllib.parse
from typing import Final

from relay_proto import limits
from relay_proto.errors import BadRequest

DEFAULT_URL: Final = f"http://localhost:{limits.DEFAULT_PORT}"
LABEL_CHARS_MAX: Final = 63
"""Characters between two dots of a host's name, says DNS; Python fails on more with an error of its own."""
_SCHEMES: Final = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
_HINT: Final = f"expected something like {DEFAULT_URL} (http, https, ws or wss)"


class Address:
    """A relay's WebSocket address. `url` is the one the user gave, `uri` the one that is connected to."""

    __slots__ = ("host", "port", "secure", "uri", "url")

    def __init__(self, url: str, uri: str, host: str, port: int, secure: bool) -> None:
        self.url = url
        self.uri = uri
        self.host = host
        self.port = port
        self.secure = secure

    def __repr__(self) -> str:
        return f"Address({self.uri})"


def parse_url(url: str) -> Address:
    """The address that a URL names: http and https are read as ws and wss, an empty path becomes /ws.

    Without a port it is 80 or 443, as in every URL (a relay behind a proxy). Raises BadRequest, naming the URL and what
    would be right; nothing is looked up.
    """
    if not isinstance(url, str):
        raise BadRequest(f"url is {url!r}; {_HINT}")
    if "@" in url.partition("//")[2].partition("/")[0]:  # first of all: what the others repeat may hold a password
        raise BadRequest("url has a user name in it; a relay knows tokens: give the token apart from the url")
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadRequest(f"url is {url[:200]!r}: {exc}; {_HINT}") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not host or not url.isascii() or any(char <= " " for char in url):
        raise BadRequest(f"url is {url[:200]!r}; {_HINT}")
    if not all(0 < len(label) <= LABEL_CHARS_MAX for label in host.removesuffix(".").split(".")):
        raise BadRequest(
            f"url is {url[:200]!r}; a part of the host's name is empty or has over {LABEL_CHARS_MAX} characters"
        )
    if parts.fragment:
        raise BadRequest(f"url is {url[:200]!r}; a relay's address has no #fragment")
    secure = scheme == "wss"
    uri = urllib.parse.urlunsplit(
        (scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/ws", parts.query, "")
    )
    return Address(url, uri, host, port if port is not None else 443 if secure else 80, secure)
