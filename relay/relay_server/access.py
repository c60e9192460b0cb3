"""Who may come in: tokens, and the Host and Origin checks that keep web pages out.

A relay on loopback without a token is open to local processes. It must not be open to the web pages that the same
machine's browser shows: a page can make the browser open a WebSocket to localhost (cross-site WebSocket hijacking) or
point its own host name at 127.0.0.1 (DNS rebinding). Browsers always send Origin on an upgrade and can't forge Host;
agents send no Origin. So: Host must be one of ours, and an Origin, if there is one, must be on the list. Where a
browser sends none (an image, a link), Sec-Fetch-Site says that it is a page's request.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from typing import Final

OWN_SITES: Final = frozenset({"none", "same-origin"})
"""Sec-Fetch-Site of what a person typed, and of the relay's own pages. Another port of this machine is another site."""
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


TOKEN_HEADERS: Final = ("X-Agent-Relay-Token", "X-Bus-Token")
"""What stands for `Authorization: Bearer`, for clients of other relays."""
TOKEN_PARAMETERS: Final = frozenset({"token", "access_token", "x-bus-token", "x-agent-relay-token"})


_ESCAPE: Final = re.compile("%([0-9A-Fa-f]{2})")


def is_loopback(host: str) -> bool:
    """True for an address to bind that only this machine can reach."""
    return host in LOOPBACK_HOSTS or host.startswith("127.")


def token_digest(token: str) -> bytes:
    """What is kept of a token: its SHA-256. The token itself is never stored or logged."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header, or None."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def token_given(authorization: Sequence[str], others: Sequence[str]) -> str | None:
    """The token of a request: of `Authorization: Bearer`, or of the headers that stand for it; None: there is none.

    `others`: what X-Agent-Relay-Token and X-Bus-Token hold. An Authorization that is no bearer's is some proxy's, and
    no token. Raises ValueError when Authorization stands twice, or two tokens differ; the text names none of them.
    """
    if len(authorization) > 1:
        raise ValueError("Authorization stands twice")
    given = {bearer(value) for value in authorization} | {value.strip() or None for value in others}
    given.discard(None)
    if len(given) > 1:
        raise ValueError("the headers hold two tokens that differ; send one")
    return given.pop() if given else None


def names_token(query: str) -> bool:
    """Whether a URL's query has a token in it. URLs end up in logs and histories, so one there is never looked at."""
    names = {_ESCAPE.sub(_unescape, pair.partition("=")[0]).lower() for pair in query.split("&")}
    return not names.isdisjoint(TOKEN_PARAMETERS)


def host_allowed(host: str | None, allowed: Collection[str]) -> bool:
    """True when the Host header (its port aside) names this relay. `*` in the list allows any."""
    if "*" in allowed:
        return True
    return host is not None and _without_port(host).lower() in allowed


def origin_allowed(origin: str | None, allowed: Collection[str]) -> bool:
    """True when there is no Origin (not a browser), or it is on the list. `*` in the list allows any."""
    return origin is None or "*" in allowed or origin.lower() in allowed


def why_not_let_in(
    hosts: Sequence[str],
    origins: Sequence[str],
    allowed_hosts: Collection[str],
    allowed_origins: Collection[str],
    sites: Collection[str] = (),
) -> tuple[int, str] | None:
    """HTTP status and reason for a request that may not come in, by its Host and Origin headers; None for one that may.

    `sites`: its Sec-Fetch-Site headers. A page's <img> or link makes a request without an Origin; browsers say there
    what it is, and pages can't.

    Both doors ask this, the WebSocket's and HTTP's, so that neither lets in what the other keeps out.
    """
    if len(hosts) > 1 or len(origins) > 1:
        return 400, "Host or Origin stands twice"
    if not host_allowed(hosts[0] if hosts else None, allowed_hosts):
        return 403, "this Host is not served here (--allow-host)"
    if not origin_allowed(origins[0] if origins else None, allowed_origins):
        return 403, "this Origin may not connect (--allow-origin)"
    if not origins and "*" not in allowed_origins and not OWN_SITES.issuperset(site.lower() for site in sites):
        return 403, "another site's page made this request; only pages of --allow-origin may, and by a script"
    return None


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.count(":") == 1 else host
