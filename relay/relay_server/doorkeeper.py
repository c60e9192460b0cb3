"""Who is at the door: which token gives which grant, how often one may be wrong, and what is open under which token.

Rules
- A token that is given is looked at, on a relay that asks for none too: a wrong one is refused, never overlooked.
- What is kept of a token is its SHA-256. It is found by that, and compared in constant time.
- FAILURES_MAX wrong tokens in FAILURES_S from one address, this machine's own included: then no token from there is
  looked at for a while, but for those that were right from there lately. So a guesser learns nothing, and a process
  with an old token does not lock out its neighbours.
- When a token ends, by a word or by its time, so does all that was opened with it.

No I/O, no clock: `now` is monotonic seconds.
"""

import functools
import hmac
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from relay_proto.errors import RateLimited, Unauthorized

from .access import token_digest
from .grants import ADMIN, ANYONE, INTEGRATION_SCOPES, Grant, make_grant

FAILURES_MAX: Final = 10
"""Wrong tokens from one address within FAILURES_S."""
FAILURES_S: Final = 60.0
ADDRESSES_MAX: Final = 4096
"""Addresses whose wrong tokens are remembered; the one that failed longest ago is forgotten first."""
FRIENDS_MAX: Final = 8
"""Addresses remembered of one token, where it was right lately."""
LATELY_S: Final = 24 * 3600.0
"""How long that is."""


class _Known:
    """A token that is let in: its digest, what it may do, and from where it came lately (address: when)."""

    __slots__ = ("digest", "grant", "seen_from")

    def __init__(self, digest: bytes, grant: Grant) -> None:
        self.digest = digest
        self.grant = grant
        self.seen_from: dict[str, float] = {}

    def came_from(self, address: str, now: float) -> None:
        self.seen_from.pop(address, None)
        if len(self.seen_from) >= FRIENDS_MAX:
            del self.seen_from[next(iter(self.seen_from))]
        self.seen_from[address] = now


class Doorkeeper:
    """All tokens of one relay. `token`: the one that it was started with, which may do everything.

    `asks`: nobody comes in without a token.
    """

    def __init__(self, token: str | None = None, *, asks: bool = False) -> None:
        self.asks = asks or token is not None
        self._known: dict[bytes, _Known] = {}
        self._by_token: dict[int, _Known] = {}
        self._by_integration: dict[str, tuple[frozenset[str] | None, frozenset[str] | None]] = {}
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._open: dict[int, dict[int, Callable[[], None]]] = {}
        self._watches = itertools.count()
        if token is not None:
            self._know(token_digest(token), ADMIN)

    # -- at the door -------------------------------------------------------------------------------------------------

    def admit(self, token: str | None, address: str, now: float) -> Grant:
        """What this token gives, or its absence. `address`: where it comes from, without a port.

        Raises Unauthorized: it is missing where one is asked for, or wrong, or over. Raises RateLimited: too many were
        wrong from there, so it was not looked at.
        """
        if token is None:
            if self.asks:
                raise Unauthorized("a token is asked for here, and none was given")
            return ANYONE
        digest = token_digest(token)
        known = self._known.get(digest)
        is_right = known is not None and hmac.compare_digest(known.digest, digest) and known.grant.until > now
        if not (is_right and known is not None and now - known.seen_from.get(address, -LATELY_S) < LATELY_S):
            self._check_failures(address, now)
        if known is None or not is_right:
            self._failed(address, now)
            raise Unauthorized("the token is wrong, or it was revoked, or its time is over")
        known.came_from(address, now)
        return known.grant

    def _check_failures(self, address: str, now: float) -> None:
        times = self._failures.get(network(address), [])
        recent = [at for at in times if now - at < FAILURES_S]
        if len(recent) >= FAILURES_MAX:
            retry_after_s = round(recent[-FAILURES_MAX] + FAILURES_S - now, 3)
            raise RateLimited(
                f"{FAILURES_MAX} wrong tokens within {FAILURES_S:.0f} s came from this address; no token from there is "
                "looked at for a while",
                retry_after_s=retry_after_s,
            )

    def _failed(self, address: str, now: float) -> None:
        key = network(address)
        times = self._failures.pop(key, [])
        self._failures[key] = [*times[1 - FAILURES_MAX :], now]
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    # -- which tokens there are --------------------------------------------------------------------------------------

    def _know(self, digest: bytes, grant: Grant) -> None:
        known = self._known[digest] = _Known(digest, grant)
        if grant.token is not None:
            self._by_token[grant.token] = known

    def add_integration(
        self,
        name: str,
        token: str | None = None,
        scopes: Collection[str] | None = None,
        targets: Collection[str] | None = None,
        channels: Collection[str] | None = None,
    ) -> None:
        """An integration of the configuration. `targets`, `channels`: what it may address; None: anything.

        Without a token of its own it comes with stored ones (`relay token create --integration`). Call it before the
        relay runs, for that is when the stored ones are put in. Raises ValueError when its token is another's too.
        """
        bounds = _bound(targets), _bound(channels)
        self._by_integration[name] = bounds
        if token is not None:
            digest = token_digest(token)
            if digest in self._known:
                raise ValueError(f"the token of the integration {name} is another's too; give each its own")
            given = INTEGRATION_SCOPES if scopes is None else frozenset(scopes)
            self._know(digest, make_grant(given, integration=name, targets=bounds[0], channels=bounds[1]))

    def put(
        self,
        digest: bytes,
        token: int,
        scopes: Collection[str],
        *,
        agent: str | None = None,
        integration: str | None = None,
        until: float = float("inf"),
    ) -> Grant:
        """A stored token is let in, `until` its time is over (monotonic seconds).

        One for an integration has the bounds that the configuration sets for that one; when it names no such
        integration (any more), its token may address nobody.
        """
        targets: frozenset[str] | None = None
        channels: frozenset[str] | None = None
        if integration is not None:
            targets, channels = self._by_integration.get(integration, (frozenset(), frozenset()))
        grant = make_grant(
            frozenset(scopes),
            token=token, agent=agent, integration=integration, targets=targets, channels=channels, until=until,
        )  # fmt: skip
        self._know(digest, grant)
        return grant

    def revoke(self, token: int) -> None:
        """This stored token is over, and all that was opened with it. Idempotent."""
        known = self._by_token.pop(token, None)
        if known is not None:
            del self._known[known.digest]
        for close in self._open.pop(token, {}).values():
            close()

    def is_known(self, token: int) -> bool:
        """Whether this stored token is let in."""
        return token in self._by_token

    @property
    def stored(self) -> int:
        """How many stored tokens are let in."""
        return len(self._by_token)

    def is_good(self, grant: Grant, now: float) -> bool:
        """Whether the token of this grant, which was let in before, still is."""
        return grant.token is None or (self.is_known(grant.token) and grant.until > now)

    def can_let_in(self) -> bool:
        """Whether there is anybody whom it would let in."""
        return not self.asks or bool(self._known)

    # -- what is open ------------------------------------------------------------------------------------------------

    def watch(self, grant: Grant, close: Callable[[], None]) -> Callable[[], None]:
        """`close` is called, once, when the grant's token ends; at once when it has ended. Gives what undoes this.

        For whatever lives longer than one request: sessions, streams, long polls. Call the other when it is over.
        """
        token = grant.token
        if token is None:
            return _nothing
        if token not in self._by_token:
            close()
            return _nothing
        watch = next(self._watches)
        self._open.setdefault(token, {})[watch] = close
        return functools.partial(self._unwatch, token, watch)

    def _unwatch(self, token: int, watch: int) -> None:
        watching = self._open.get(token)
        if watching is not None:
            watching.pop(watch, None)
            if not watching:
                del self._open[token]


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the first four groups of an IPv6 one, which one host may own."""
    if ":" not in address:
        return address
    head, gap, tail = address.partition("::")
    groups = head.split(":") if head else []
    if gap:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(behind)) + behind
    return ":".join(groups[:4]) if any(group.strip("0") for group in groups[:4]) else address


def _bound(words: Collection[str] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)


def _nothing() -> None:
    """There is nothing to undo."""
