"""Integrations: outside systems that report events and hear what becomes of them. What is set for each, and the rules.

    [{"name": "alerts", "token": "..", "targets": ["cap:ops"], "channels": ["ops"], "ratePerMin": 120,
      "callbackUrl": "https://alerts.example/relay", "callbackSecret": "..", "callbackEvents": ["done", "failed"]}]

or the same as a map by name. Everything but the name may be left out. A field that nobody knows is an error, not a
setting that is silently off; a secret is never part of an error.

What an integration reports is sent by `integration/NAME`: that is how its tasks are known, whoever works on them.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import msgspec

from relay_proto import limits
from relay_proto.errors import BadRequest
from relay_proto.scopes import ALL, SCOPES
from relay_proto.targets import NAME_PATTERN, TargetKind, parse_target

SENDER: Final = "integration/"
"""What the sender of an integration's events begins with."""
RATE_PER_MIN: Final = 120
RATE_PER_MIN_MAX: Final = 60_000
PACES_MAX: Final = 4096
"""Names whose pace is kept in mind, before those that rested are forgotten."""
SECRET_CHARS_MIN: Final = 16
URL_CHARS_MAX: Final = 2048
KINDS: Final = (
    "ready", "delayed", "claimed", "working", "parked", "done", "failed", "canceled", "buried", "superseded",
    "progress", "recur",
)  # fmt: skip
"""What can happen to a task: it comes to a state, goes on in it, or is reported again."""
CALLED_FOR: Final = frozenset(KINDS) - {"recur"}
"""What is called back where nothing is said. Whoever reports a thing again has the answer to that."""

CALL_S: Final = 10.0
"""How long a receiver has to answer, all in all."""
BACKOFF_S_FIRST: Final = 1.0
BACKOFF_S_MAX: Final = 600.0
ATTEMPTS_MAX: Final = 20
"""Attempts after which a callback that its receiver refuses is given up: about two hours."""
TRIED_S: Final = 24 * 3600.0
"""For how long one is tried whose receiver is away or broken, and at least ATTEMPTS_MAX times."""
GONE: Final = 410
LATER: Final = frozenset({408, 425, 429})
"""Refusals that say: not now."""

_NAME = re.compile(r"\A[A-Za-z0-9._-]{1,64}\Z")
_CHANNEL = re.compile(NAME_PATTERN)
_URL = re.compile(r"\A(https?)://([^\s/?#]+)([^\s#\x00-\x1f\x7f]*)\Z", re.ASCII)
_HOST = re.compile(r"\A(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?\Z")
_SECRET = re.compile(rf"\A[\x21-\x7e]{{{SECRET_CHARS_MIN},{limits.TOKEN_CHARS_MAX}}}\Z")


class IntegrationError(ValueError):
    """What is said of integrations can't be used; the text names integration, field, value, and what would be right."""


@dataclass(frozen=True, slots=True)
class Integration:
    """One outside system. `targets`, `channels`: where its events may go; None: anywhere. `scopes`: what its token may
    do; None: what tokens of integrations may."""

    name: str
    token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    callback_url: str | None = field(default=None, repr=False)
    callback_secret: str | None = field(default=None, repr=False)
    callback_events: frozenset[str] = CALLED_FOR
    rate_per_min: int = RATE_PER_MIN

    @property
    def sender(self) -> str:
        """In whose name its events are sent."""
        return SENDER + self.name

    @property
    def callback_origin(self) -> str | None:
        """Where its callbacks go, as it may be shown: the rest of an address is often a secret."""
        found = _URL.match(self.callback_url or "")
        return None if found is None else f"{found[1]}://{found[2]}"

    def allows_target(self, target: str) -> bool:
        """True when its events may go there."""
        return self.targets is None or target in self.targets

    def allows_channel(self, target: str, channel: str | None) -> bool:
        """True when they may go to this channel; to no channel at all they may, unless the target is one."""
        parsed = parse_target(target)
        wanted = {channel, parsed.name if parsed.kind is TargetKind.CHANNEL else channel} - {None}
        return self.channels is None or wanted <= set(self.channels)


class Listener(NamedTuple):
    """Whose tasks the store writes callbacks for, and on which kinds of events."""

    integration: str
    kinds: frozenset[str]


def listeners(integrations: Iterable[Integration]) -> dict[str, Listener]:
    """By the sender of their tasks, those that want to be called."""
    return {
        one.sender: Listener(one.name, one.callback_events)
        for one in integrations
        if one.callback_url is not None and one.callback_events
    }


def kind_of(event: str, state: str) -> str:
    """What a line of a task's history is to those who hear of it: progress, recur, or the state it came to."""
    return event if event in ("progress", "recur") else state


# -- reading ---------------------------------------------------------------------------------------------------------


def read_integrations(text: str | bytes, source: str, rate_per_min: int = RATE_PER_MIN) -> tuple[Integration, ...]:
    """What a JSON text says of integrations. `source` names it in errors: a file, a variable.

    `rate_per_min`: of those that have none of their own.
    Raises IntegrationError.
    """
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise IntegrationError(f"{source} is no JSON: {exc}") from None
    items: list[tuple[str, Any]]
    if isinstance(said, dict):
        items = [(f"integration {name!r:.80}", _named(source, name, item)) for name, item in said.items()]
    elif isinstance(said, list):
        items = [(f"integration {_shown_name(item) or number}", item) for number, item in enumerate(said, 1)]
    else:
        raise IntegrationError(f"{source} holds a JSON {_kind(said)}; it must be a list, or a map by name")
    found = tuple(_integration(f"{source}: {where}", item, rate_per_min) for where, item in items)
    check_all(found, source)
    return found


def check_all(integrations: Iterable[Integration], source: str, taken: Iterable[str | None] = ()) -> None:
    """Raises IntegrationError when two have one name, or one token. `taken`: tokens that others have."""
    names: set[str] = set()
    tokens = {token for token in taken if token is not None}
    for one in integrations:
        if one.name in names:
            raise IntegrationError(f"{source}: integration {one.name!r} stands twice; give each a name of its own")
        if one.token is not None and one.token in tokens:
            raise IntegrationError(
                f"{source}: integration {one.name!r}: token is one that another has; give each a token of its own"
            )
        names.add(one.name)
        tokens |= {one.token} if one.token is not None else set()


def _named(source: str, name: str, item: Any) -> Any:
    if isinstance(item, dict) and item.setdefault("name", name) != name:
        raise IntegrationError(f"{source}: integration {name!r:.80}: name is {item['name']!r:.80}; it must be its key")
    return item


def _shown_name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return f"{name!r:.80}" if isinstance(name, str) else None


def _integration(where: str, item: Any, rate_per_min: int) -> Integration:
    if not isinstance(item, dict):
        raise IntegrationError(f"{where} is a JSON {_kind(item)}; it must be an object with at least a name")
    unknown = sorted(set(item) - _FIELDS.keys())
    if unknown:
        raise IntegrationError(f"{where}: there is no field {unknown[0]!r:.80}; the fields are {' '.join(_FIELDS)}")
    if item.get("name") is None:
        raise IntegrationError(f"{where}: name is missing")
    values: dict[str, Any] = {}
    for name, value in item.items():
        if value is not None:
            attribute, read = _FIELDS[name]
            if attribute in values:
                raise IntegrationError(f"{where}: {name} stands there under another name, too; say it once")
            values[attribute] = read(f"{where}: {name}", value)
    if values.get("callback_url") is None:
        for name in ("callbackSecret", "callbackEvents"):
            if item.get(name) is not None:
                raise IntegrationError(f"{where}: {name} is given and callbackUrl is not; nothing would be called")
    return Integration(**({"rate_per_min": rate_per_min} | values))


def _read_name(field: str, value: Any) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise IntegrationError(f"{field} is {_shown(value)}; it must be 1-64 characters of A-Z a-z 0-9 . _ -")
    return value


def _read_secret(field: str, value: Any) -> str:
    """Its value is not shown, whatever it is."""
    if not isinstance(value, str):
        raise IntegrationError(f"{field} is a JSON {_kind(value)}; it must be a text")
    if not _SECRET.match(value):
        raise IntegrationError(
            f"{field} has {len(value)} characters; it must have {SECRET_CHARS_MIN} to {limits.TOKEN_CHARS_MAX}, all "
            "of visible ASCII (python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one)"
        )
    return value


def _read_url(field: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > URL_CHARS_MAX or (found := _URL.match(value)) is None:
        raise IntegrationError(f"{field} is {_shown(value)}; it must be an http:// or https:// address without #")
    if "@" in found[2]:
        raise IntegrationError(f"{field} names a user or a password; receivers know us by callbackSecret")
    if not _HOST.match(found[2]):
        raise IntegrationError(f"{field} is {_shown(value)}; {found[2]!r:.80} is no host, or host:port")
    return value


def _read_scopes(field: str, value: Any) -> tuple[str, ...]:
    return _read_list(field, value, lambda one: one == ALL or one in SCOPES, f"one of {' '.join(sorted(SCOPES))}")


def _read_targets(field: str, value: Any) -> tuple[str, ...]:
    def is_target(one: str) -> bool:
        try:
            return parse_target(one) is not None
        except BadRequest:
            return False

    return _read_list(field, value, is_target, "a target like ann, cap:x or channel:x")


def _read_channels(field: str, value: Any) -> tuple[str, ...]:
    return _read_list(
        field, value, lambda one: bool(_CHANNEL.match(one)), "1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"
    )


def _read_events(field: str, value: Any) -> frozenset[str]:
    names = _read_list(
        field, value, lambda one: one == "*" or one.removeprefix("task.") in KINDS, f"one of {' '.join(KINDS)}, or *"
    )
    return frozenset(KINDS) if "*" in names else frozenset(one.removeprefix("task.") for one in names)


def _read_rate(field: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= RATE_PER_MIN_MAX:
        raise IntegrationError(f"{field} is {_shown(value)}; it must be a number of events, 1 to {RATE_PER_MIN_MAX}")
    return value


def _read_list(field: str, value: Any, fits: Callable[[str], bool], rule: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise IntegrationError(f"{field} is {_shown(value)}; it must be a list")
    for one in value:
        if not isinstance(one, str) or not fits(one):
            raise IntegrationError(f"{field} has {_shown(one)}; each must be {rule}")
    return tuple(dict.fromkeys(value))


_FIELDS: Final[dict[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "name": ("name", _read_name),
    "token": ("token", _read_secret),
    "scopes": ("scopes", _read_scopes),
    "targets": ("targets", _read_targets),
    "channels": ("channels", _read_channels),
    "allowedTargets": ("targets", _read_targets),
    "allowedChannels": ("channels", _read_channels),
    "callbackUrl": ("callback_url", _read_url),
    "callbackSecret": ("callback_secret", _read_secret),
    "callbackEvents": ("callback_events", _read_events),
    "ratePerMin": ("rate_per_min", _read_rate),
}
"""The fields of one integration as they are written (some by two names): what they are called here, what reads them."""


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "list", str: "text", bool: "truth", type(None): "null"}
    return kinds.get(type(value), "number")


def _shown(value: Any) -> str:
    return f"{value!r:.80}"


# -- calling ---------------------------------------------------------------------------------------------------------


class Pace:
    """How often one may come: `per_min` at once, and then evenly so many a minute."""

    __slots__ = ("_full_at", "_span_s", "_token_s")

    def __init__(self, per_min: int) -> None:
        self._token_s = 60.0 / per_min
        self._span_s = 60.0
        self._full_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """0.0, and it is counted; or how many seconds it is too early, and it is not."""
        full_at = max(self._full_at, now) + self._token_s
        if (early_s := full_at - now - self._span_s) > 1e-6:
            return early_s
        self._full_at = full_at
        return 0.0

    def is_full(self, now: float) -> bool:
        """It is as good as new."""
        return self._full_at <= now


class Integrations:
    """Those that are configured, and those that only ever came with a token; and how often each may come."""

    def __init__(self, configured: Iterable[Integration] = (), rate_per_min: int = RATE_PER_MIN) -> None:
        self.configured = {one.name: one for one in configured}
        self._rate_per_min = rate_per_min
        self._paces: dict[str, Pace] = {}

    def named(self, name: str) -> Integration:
        """What is set for this name; one that is not configured is as free as its token."""
        return self.configured.get(name) or Integration(name, rate_per_min=self._rate_per_min)

    def wait_s(self, integration: Integration, now: float) -> float:
        """0.0, and the event is counted; or how many seconds it is too early."""
        pace = self._paces.get(integration.name)
        if pace is None:
            if len(self._paces) >= PACES_MAX:
                self._paces = {name: kept for name, kept in self._paces.items() if not kept.is_full(now)}
            pace = self._paces[integration.name] = Pace(integration.rate_per_min)
        return pace.wait_s(now)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What X-Relay-Signature says: who has the secret can tell that we sent it, and when."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def backoff_s(attempts: int, share: float, asked_s: float = 0.0) -> float:
    """Seconds until the next attempt after so many: 1, 2, 4 .. up to 10 minutes, less up to a quarter by `share` (0-1).

    `asked_s`: what the receiver asked for; it is heard as far as those 10 minutes go.
    """
    doubled = min(BACKOFF_S_FIRST * 2.0 ** min(attempts - 1, 16), BACKOFF_S_MAX)
    return max(doubled * (1.0 - 0.25 * share), min(asked_s, BACKOFF_S_MAX))


def judge(status: int | None, attempts: int, age_s: float) -> Literal["delivered", "waiting", "dead"]:
    """What becomes of a callback after an attempt. `status`: what HTTP said, None when nobody did.

    `attempts`: with this one. `age_s`: since it was to be told.
    """
    if status is not None and 200 <= status < 300:
        return "delivered"
    if status == GONE:
        return "dead"
    if attempts < ATTEMPTS_MAX:
        return "waiting"
    is_refused = status is not None and 300 <= status < 500 and status not in LATER
    return "dead" if is_refused or age_s >= TRIED_S else "waiting"
