"""The types of fields, each with its limit, and what a type can't say: the checks that frames run after decoding."""

import math
from typing import Annotated, Final, Literal

from msgspec import Meta

from . import limits
from .errors import RelayError, TooLarge
from .targets import AGENT_PATTERN, LABEL_PATTERN, NAME_PATTERN, SOURCE_PATTERN

RequestId = Annotated[int, Meta(ge=0, le=limits.ID_MAX)]
MessageId = Annotated[int, Meta(ge=1, le=limits.ID_MAX)]
Fence = Annotated[int, Meta(ge=1, le=limits.ID_MAX)]
AgentId = Annotated[str, Meta(pattern=AGENT_PATTERN)]
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Names = Annotated[list[Name], Meta(max_length=limits.NAMES_MAX)]
Source = Annotated[str, Meta(pattern=SOURCE_PATTERN)]
Label = Annotated[str, Meta(pattern=LABEL_PATTERN)]
MachineName = Annotated[str, Meta(min_length=1, max_length=limits.MACHINE_CHARS_MAX)]
Instance = Annotated[str, Meta(min_length=1, max_length=limits.INSTANCE_CHARS_MAX)]
Token = Annotated[str, Meta(max_length=limits.TOKEN_CHARS_MAX)]
TargetText = Annotated[str, Meta(min_length=1, max_length=limits.TARGET_CHARS_MAX)]
Subject = Annotated[str, Meta(max_length=limits.SUBJECT_CHARS_MAX)]
ContentType = Annotated[str, Meta(min_length=1, max_length=limits.CONTENT_TYPE_CHARS_MAX)]
Key = Annotated[str, Meta(min_length=1, max_length=limits.KEY_CHARS_MAX)]
Reason = Annotated[str, Meta(max_length=limits.REASON_CHARS_MAX)]
MapKey = Annotated[str, Meta(min_length=1, max_length=limits.MAP_KEY_CHARS_MAX)]
MapText = Annotated[str, Meta(max_length=limits.MAP_VALUE_CHARS_MAX)]
Headers = Annotated[dict[MapKey, MapText], Meta(max_length=limits.MAP_ENTRIES_MAX)]
QUEUED_HEADER: Final = "relay-queued-at"
"""The header that says since when a client kept a message because the relay was away: ms since 1970, as text."""
MetaMap = Annotated[dict[MapKey, MapText | int | float | bool | None], Meta(max_length=limits.MAP_ENTRIES_MAX)]
"""Flat on purpose: an envelope that nests is a second body."""
LeaseSeconds = (
    Annotated[int, Meta(ge=int(limits.LEASE_S_MIN), le=int(limits.LEASE_S_MAX))]
    | Annotated[float, Meta(ge=limits.LEASE_S_MIN, le=limits.LEASE_S_MAX)]
)
DelaySeconds = (
    Annotated[int, Meta(ge=0, le=int(limits.DELAY_S_MAX))] | Annotated[float, Meta(ge=0, le=limits.DELAY_S_MAX)]
)
Seconds = int | float
"""A duration whose limits a check says, not its type: of two types for one number an error would name only one."""
OfferSeconds = (
    Annotated[int, Meta(ge=int(limits.OFFER_S_MIN), le=int(limits.OFFER_S_MAX))]
    | Annotated[float, Meta(ge=limits.OFFER_S_MIN, le=limits.OFFER_S_MAX)]
)
Credit = Annotated[int, Meta(ge=1, le=limits.CREDIT_MAX)]
PageLimit = Annotated[int, Meta(ge=1, le=limits.PAGE_MAX)]
Priority = Annotated[int, Meta(ge=0, le=limits.PRIORITY_MAX)]
Intent = Literal["request", "inform", "ack"]
Status = Literal["online", "idle", "busy"]
"""What an agent says of itself; `stale` and `offline` are the relay's to say."""
Presence = Literal["online", "idle", "busy", "stale", "offline"]
Stage = Literal["queued", "pushed", "surfaced", "done", "nacked", "expired", "superseded", "dead"]
State = Literal[
    "ready", "delayed", "claimed", "working", "parked", "done", "failed", "canceled", "buried", "superseded"
]
"""Of work. The relay's claim.py says what leads where."""
Needs = Literal["human", "input", "auth", "dependency"]
PairState = Literal["pending", "active", "rejected", "ended"]
"""Of a pair. An open one is pending until it is accepted; rejected and ended are the end."""
Severity = Literal["info", "warning", "error", "critical"]
Attempts = Annotated[int, Meta(ge=1, le=limits.ATTEMPTS_MAX)]
Share = Annotated[float, Meta(ge=0, le=1)]
EventKind = Literal["receipt", "presence", "task", "tasks"]
"""Events that come only to who subscribed to them; the others come to whom they concern."""
EventKinds = Annotated[list[EventKind], Meta(min_length=1, max_length=limits.EVENTS_MAX)]
Body = str | bytes


def body_bytes(body: Body) -> int:
    """Size of a body in bytes, as it counts against BODY_BYTES_MAX (UTF-8 for text)."""
    return len(body) if type(body) is bytes or body.isascii() else len(body.encode())  # type: ignore[union-attr]


def content_bytes(body: Body, payload: str | None) -> int:
    """Size of what a message carries, as it counts against BODY_BYTES_MAX and an inbox: its body and its payload."""
    return body_bytes(body) if payload is None else body_bytes(body) + body_bytes(payload)


class FieldRefused(ValueError):
    """A field that is refused with another code than `bad_request`: `kind` is the error to answer with."""

    def __init__(self, kind: type[RelayError], message: str) -> None:
        super().__init__(message)
        self.kind = kind


def check_opaque(field: str, value: object, bytes_max: int) -> None:
    """Raises ValueError unless it is a string or bytes, FieldRefused (too_large) when it is longer than bytes_max."""
    if type(value) is not str and type(value) is not bytes:
        raise ValueError(f"{field} must be a string or bytes, not {type(value).__name__}")
    size = body_bytes(value)
    if size > bytes_max:
        raise FieldRefused(TooLarge, f"{field} is {size} bytes; the limit is {bytes_max}")


def check_payload(body: Body, payload: str) -> None:
    """Raises FieldRefused (too_large) when body and payload together are longer than a body may be."""
    size = content_bytes(body, payload)
    if size > limits.BODY_BYTES_MAX:
        raise FieldRefused(
            TooLarge, f"body and payload are {size} bytes together; the limit is {limits.BODY_BYTES_MAX}"
        )


def check_finite(field: str, value: object) -> None:
    """Raises ValueError for a float that is no number or infinite: JSON and SQL have no word for them."""
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"{field} is {value}; it must be a finite number")


def check_seconds(field: str, value: float, least: float, most: float) -> None:
    """Raises ValueError unless it is a number of seconds from `least` to `most`."""
    if not least <= value <= most:  # false for what is no number, too
        raise ValueError(f"{field} is {value}; it must be {least:g} to {most:.0f} s")


def check_meta(meta: MetaMap) -> None:
    """Raises ValueError unless each number in it is finite."""
    for key, value in meta.items():
        check_finite(f"meta.{key}", value)
