"""What `relay doctor` asks the relay: is it there, does it let us in, which release is it, how far away, how late.

Every check gives findings and raises nothing.
"""

import asyncio
import statistics
import time
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from relay_proto.errors import Forbidden, RelayError, Unauthorized

from ..address import Address, parse_url
from ..profiles import SettingsError
from ..settings import Settings
from ..skew import skew
from ..unreachable import os_error_words
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from ..agent import Agent

ROUND_TRIPS: Final = 5
SLOW_S: Final = 0.25
"""A round trip beyond this is felt by whoever waits for answers."""
CLOCK_WARN_S: Final = 5.0
"""Times that one machine says and another reads, like expiries, are off by so much."""


async def check_relay(settings: Settings, name: str, timeout_s: float) -> list[Finding]:
    """Visits the relay under `name` and looks at it. A relay that is not there is one finding."""
    where = f"{settings.url} ({settings.source('url')})"
    try:
        address = parse_url(settings.url)
    except RelayError as exc:
        return [fail("relay", f"{exc.message} ({settings.source('url')})", "set a URL that is one")]
    token, found = _token(settings)
    try:
        async with asyncio.timeout(timeout_s):
            version, ahead_s = await _probe(address)
    except (OSError, TimeoutError, ValueError) as exc:
        why = str(exc) or f"no answer within {timeout_s:g} s"
        todo = "start it: relay daemon start, or relay serve; or say where it is: --url, RELAY_URL, a profile"
        return [*found, fail("relay", f"nothing at {where}: {why}", todo)]
    can_visit = not found
    found.append(ok("relay", f"{where} answers: version {version}"))
    if words := skew(version):
        found.append(warn("versions", words, "bring the older one up to date: relay upgrade"))
    found.extend(_clock(ahead_s))
    if can_visit:
        found.extend(await _visit(settings, token, name, timeout_s))
    return found


def _token(settings: Settings) -> tuple[str | None, list[Finding]]:
    try:
        return settings.token, []
    except SettingsError as exc:
        return None, [fail("token", str(exc), "mend that; without it the relay does not know you")]


async def _probe(address: Address) -> tuple[str, float | None]:
    """The relay's version, and how far its clock is ahead of ours in seconds (None: an older one, which does not say).

    Raises OSError, ValueError.
    """
    import httpx

    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.close()
    except OSError as exc:
        raise OSError(os_error_words(exc, address)) from None
    _, place, path, _, _ = urllib.parse.urlsplit(address.uri)
    url = f"{'https' if address.secure else 'http'}://{place}{path.removesuffix('/ws')}/healthz"
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        asked_at = time.time()
        try:
            response = await client.get(url)
            said = response.json()
            version = said["version"]
        except httpx.HTTPError as exc:
            raise OSError(f"{exc or type(exc).__name__}") from None
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"something answers there, with status {response.status_code}, and it is no relay"
            ) from None
        answered_at = time.time()
    return str(version)[:40], ahead(said.get("now"), asked_at, answered_at)


def ahead(now_ms: object, asked_at: float, answered_at: float) -> float | None:
    """Seconds that a clock is ahead which said `now_ms` between these two moments; 0 when it may be right, None when it
    said nothing."""
    if not isinstance(now_ms, int):
        return None
    told = now_ms / 1000
    return max(told - answered_at, 0.0) + min(told - asked_at, 0.0)


def _clock(ahead_s: float | None) -> Iterator[Finding]:
    if ahead_s is None:
        return
    if abs(ahead_s) > CLOCK_WARN_S:
        word = "ahead of" if ahead_s > 0 else "behind"
        yield warn(
            "clock",
            f"the relay's clock is {abs(ahead_s):.0f} s {word} this one",
            "set both by NTP (timedatectl); the relay takes a changed clock over with its next start",
        )
    else:
        yield ok(
            "clock",
            "the relay's and this one agree"
            if not ahead_s
            else f"the relay's and this one differ by {abs(ahead_s):.2g} s",
        )


async def _visit(settings: Settings, token: str | None, name: str, timeout_s: float) -> list[Finding]:
    """Comes in as any command does, and measures some round trips."""
    import relay_client

    trips: list[float] = []
    try:
        async with (
            asyncio.timeout(timeout_s),
            relay_client.connect(settings.url, agent=name, token=token or False, visit=True, reconnect=False) as agent,
        ):
            for _ in range(ROUND_TRIPS):
                trips.append(await _round_trip_s(agent))
    except (Unauthorized, Forbidden) as exc:
        whose = f"the token of {_token_source(settings)}: " if token else "without a token: "
        said = f"{whose}{exc.message} ({exc.code})"
        return [fail("token", said, "a token goes in --token, RELAY_TOKEN, RELAY_TOKEN_FILE or a profile")]
    except (RelayError, OSError, TimeoutError) as exc:
        why = getattr(exc, "message", None) or str(exc) or f"no answer within {timeout_s:g} s"
        return [
            fail(
                "session",
                f"the relay answers over HTTP and gives no session: {why}",
                "its log shows its side: relay daemon logs",
            )
        ]
    trip_s = statistics.median(trips)
    said = f"{trip_s * 1000:.1f} ms, the middle one of {ROUND_TRIPS}"
    let_in = f"taken ({_token_source(settings)})" if token else "none is asked for"
    slow = warn("round trip", said, "expected over a far network; on one machine the relay is busy: relay top")
    return [ok("token", let_in), slow if trip_s > SLOW_S else ok("round trip", said)]


async def _round_trip_s(agent: "Agent") -> float:
    """Of a small question that changes nothing; of the registration, for a token that may not ask it."""
    began = time.perf_counter()
    try:
        await agent.owed()
    except Forbidden:
        return agent.round_trip_s or 0.0
    return time.perf_counter() - began


def _token_source(settings: Settings) -> str:
    return settings.source("token" if settings["token"].value else "token_file")
