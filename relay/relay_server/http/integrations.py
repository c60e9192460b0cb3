"""/api/integrations: events of outside systems become tasks, and what those systems are called back with is seen.

An event is a submit of the wire, said by `integration/NAME`; that something is over is a resolve. Whose event it is
says the token; who may do everything names the integration.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.errors import BadRequest, RateLimited, RelayError
from relay_proto.fields import (
    Key,
    MetaMap,
    Name,
    PageLimit,
    Priority,
    Reason,
    RequestId,
    Severity,
    Subject,
    TargetText,
    check_opaque,
    check_payload,
)
from relay_proto.targets import parse_target
from relay_proto.tokens import IntegrationName

from ..integrations import Integration
from ..store import interface as ask
from . import calls, shapes
from .dispatch import Call
from .errors import HttpError, not_found
from .payloads import Payload, json_text
from .said import in_fields, item
from .table import Operation, Reply

STATES: tuple[ask.CallbackState, ...] = ("waiting", "delivered", "dead")
Follows = Annotated[list[Key], Meta(max_length=limits.NAMES_MAX)]


class NewEvent(Struct, rename="camel"):
    """Something happened outside (`status` open), or is over (resolved; `dedupeKey` says what).

    One open task for one `dedupeKey`: what is reported again counts its occurrences. `idempotencyKey`: the same request
    again is one event. `follows`: the idempotencyKey of an earlier event, in whose thread this one stands; of
    several the first that is known.
    """

    title: Subject | None = None
    body: str = ""
    target: TargetText | None = None
    to: TargetText | None = None
    channel: Name | None = None
    type: Name | None = None
    severity: Severity | None = None
    priority: Priority | None = None
    dedupe_key: Key | None = None
    status: Literal["open", "resolved"] = "open"
    payload: Payload = UNSET
    metadata: MetaMap | None = None
    idempotency_key: Key | None = None
    follows: Key | Follows | None = None
    result: str | None = None
    reason: Reason | None = None
    integration: IntegrationName | None = None

    def __post_init__(self) -> None:
        if self.status == "open" and self.title is None:
            raise ValueError("title is missing; it says what happened")
        if self.status == "resolved" and self.dedupe_key is None:
            raise ValueError("dedupeKey is missing; it says what is resolved")
        if self.target is not None and self.to is not None and self.target != self.to:
            raise ValueError(f"target is {self.target!r} and to is {self.to!r:.80}; they are the same field")
        check_opaque("body", self.body, limits.BODY_BYTES_MAX)
        if (payload := json_text(self.payload)) is not None:
            check_payload(self.body, payload)
        if self.result is not None:
            check_opaque("result", self.result, limits.RESULT_BYTES_MAX)


class EventAnswer(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """`created`: a task was made. `duplicate`: this very event was known by its key. `resolved`: the task is over."""

    task: shapes.Task
    created: bool
    occurrences: int | None = None
    duplicate: bool = False
    resolved: bool = False


class CallbackCounts(Struct):
    waiting: int = 0
    delivered: int = 0
    dead: int = 0


class IntegrationCard(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """`targets`, `channels`: where its events may go; absent: anywhere. `callbackOrigin`: where it is called back,
    without the path of the address, which is often a secret. `callbacks`: how many there are, by state."""

    name: str
    rate_per_min: int
    targets: list[str] | None = None
    channels: list[str] | None = None
    callback_origin: str | None = None
    callback_events: list[str] | None = None
    signed: bool = False
    callbacks: CallbackCounts | None = None
    last_failure: str | None = None


class CallbackCard(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One callback. `eventId`: the id that its receiver knows. `dueAt`: when it is tried; absent: after another one."""

    id: int
    event_id: str
    event: str
    task_id: int
    status: str
    attempts: int
    at: int
    due_at: int | None = None
    tried_at: int | None = None
    reason: str | None = None


class IntegrationPath(Struct):
    name: IntegrationName


class CallbackPath(Struct):
    name: IntegrationName
    id: RequestId


class CallbacksQuery(Struct):
    """`since`: only those with smaller ids; X-Next-Since of a page says where the next one begins."""

    status: Literal["waiting", "delivered", "dead"] | None = None
    limit: PageLimit = limits.PAGE_DEFAULT
    since: RequestId | None = None


# -- events ----------------------------------------------------------------------------------------------------------


async def event(call: Call) -> Reply:
    """Report that something happened, happened again, or is over."""
    body: NewEvent = call.body
    integration = _whose(call, body.integration)
    relay = call.relay
    wait_s = relay.integrations.wait_s(integration, relay.now())
    if wait_s:
        raise RateLimited(
            f"integration {integration.name!r} has used up its {integration.rate_per_min} events a minute",
            retry_after_s=round(wait_s, 3), detail={"limit": integration.rate_per_min},
        )  # fmt: skip
    if body.status == "resolved":
        return await _resolve(call, integration, body)
    target = _target(integration, body)
    thread = None
    if body.follows is not None:
        keys = [body.follows] if isinstance(body.follows, str) else body.follows
        thread = await calls.thread_of(relay, integration.sender, keys)
    frame = wire.Submit(
        id=0, to=target, title=body.title or "", body=body.body, channel=body.channel, type=body.type,
        severity=body.severity, priority=body.priority, dedupe_key=body.dedupe_key, key=body.idempotency_key,
        source=None if body.dedupe_key is None else integration.name, headers=_headers(body.metadata), thread=thread,
        payload=json_text(body.payload),
        hold=parse_target(target).is_direct,
    )  # fmt: skip
    ok = await _say(call, integration, frame)
    assert ok.message is not None
    task = await _task(call, ok.message)
    if ok.occurrences is not None:
        return Reply(EventAnswer(task=task, created=False, occurrences=ok.occurrences))
    if ok.duplicate:
        return Reply(EventAnswer(task=task, created=False, occurrences=task.occurrences, duplicate=True))
    return Reply(EventAnswer(task=task, created=True), 201)


async def _resolve(call: Call, integration: Integration, body: NewEvent) -> Reply:
    frame = wire.Resolve(
        id=0, dedupe_key=body.dedupe_key or "", source=integration.name, result=body.result, reason=body.reason,
        key=body.idempotency_key,
    )  # fmt: skip
    ok = await _say(call, integration, frame)
    assert ok.message is not None
    task = await _task(call, ok.message)
    return Reply(EventAnswer(task=task, created=False, duplicate=ok.duplicate, resolved=True))


async def _say(call: Call, integration: Integration, frame: wire.Submit | wire.Resolve) -> wire.Ok:
    """In its name; what is refused is said of the fields of the event. Events need no other scope than their own."""
    try:
        return await call.ask(integration.sender, frame)
    except RelayError as error:
        raise in_fields(error, frame, {"to": "target"}) from None


def _whose(call: Call, named: str | None) -> Integration:
    """The integration that this event is of. Raises HttpError."""
    own = call.grant.integration
    if named is None and own is None:
        raise HttpError(
            422, "bad_request", "integration is missing, and the token is no integration's", field="integration"
        )
    if own is not None and named not in (None, own):
        message = f"integration is {named!r}; this token is of {own!r}"
        raise HttpError(403, "forbidden", message, field="integration")
    if own is None and not call.grant.may("system:write"):
        message = "integration is named by a token that is no integration's and lacks the scope system:write"
        raise HttpError(403, "forbidden", message, field="integration")
    if own is not None and own not in call.relay.integrations.configured:
        message = f"integration {own!r} is not in the relay's configuration; its token may report nothing"
        raise HttpError(403, "forbidden", message, field="integration")
    return call.relay.integrations.named(own or named or "")


def _target(integration: Integration, body: NewEvent) -> str:
    """Where the event goes, as far as the integration may send there. Raises HttpError, BadRequest."""
    target = body.target or body.to
    if target is None and integration.targets is not None and len(integration.targets) == 1:
        [target] = integration.targets
    if target is None:
        raise HttpError(422, "bad_request", "target is missing", field="target")
    try:
        parse_target(target, "target")
    except BadRequest as exc:
        raise HttpError(422, exc.code, exc.message, field="target") from None
    if not integration.allows_target(target):
        message = f"target is {target!r:.170}; integration {integration.name!r} may not send there"
        raise HttpError(403, "forbidden", message, field="target")
    if not integration.allows_channel(target, body.channel):
        said = f"channel is {body.channel!r}" if body.channel is not None else f"target is {target!r:.170}"
        message = (
            f"{said}; integration {integration.name!r} may use the channels {' '.join(integration.channels or ())}"
        )
        raise HttpError(403, "forbidden", message, field="target" if body.channel is None else "channel")
    return target


def _headers(metadata: dict[str, Any] | None) -> dict[str, str] | None:
    """What else is said of the event, as the headers of its message: texts."""
    if metadata is None:
        return None
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in metadata.items()
    }


async def _task(call: Call, message: int) -> shapes.Task:
    ok = await call.look_up(wire.GetTask(id=0, message=message))
    return shapes.task(item(ok, wire.Task), call.relay.clock.now_ms())


# -- what is set, and what is called back ----------------------------------------------------------------------------


async def list_integrations(call: Call) -> Reply:
    """The integrations of the configuration, without their secrets."""
    configured = call.relay.integrations.configured
    counted = await calls.counts(call.relay, list(configured)) if configured else ask.CallbacksCounted({})
    return Reply([_card(call, one, counted.counts.get(one.name, {})) for one in configured.values()])


def _card(call: Call, one: Integration, counts: dict[str, int]) -> IntegrationCard:
    card = IntegrationCard(
        name=one.name, rate_per_min=one.rate_per_min, targets=None if one.targets is None else list(one.targets),
        channels=None if one.channels is None else list(one.channels), callback_origin=one.callback_origin,
    )  # fmt: skip
    if one.callback_url is not None:
        card.callback_events = sorted(f"task.{kind}" for kind in one.callback_events)
        card.signed = one.callback_secret is not None
        card.callbacks = CallbackCounts(**counts)
        courier = call.relay.courier
        card.last_failure = courier.last_failure(one.name) if courier is not None else None
    return card


async def list_callbacks(call: Call) -> Reply:
    """The callbacks of one integration, the newest first: those that wait, were delivered, and were given up (dead)."""
    query: CallbacksQuery = call.query
    _known(call, call.path.name)
    states = STATES if query.status is None else (query.status,)
    found = await calls.page(call.relay, call.path.name, states, query.limit, query.since or limits.ID_MAX)
    headers = {} if found.next is None else {"X-Next-Since": str(found.next)}
    return Reply([_callback(item) for item in found.items], headers=headers)


async def retry_callback(call: Call) -> Reply:
    """Try a callback again now: one that was given up, or that waits for its time."""
    _known(call, call.path.name)
    item = await calls.retry(call.relay, call.path.name, call.path.id)
    if item is None:
        raise not_found("callback", call.path.id)
    if item.state == "delivered":
        raise HttpError(409, "finished", f"callback {item.callback} was delivered")
    return Reply(_callback(item))


def _known(call: Call, name: str) -> None:
    if name not in call.relay.integrations.configured:
        raise not_found("integration", name)


def _callback(item: ask.CallbackItem) -> CallbackCard:
    return CallbackCard(
        id=item.callback, event_id=item.event, event=f"task.{item.kind}", task_id=item.message, status=item.state,
        attempts=item.attempts, at=item.at, due_at=item.due_at, tried_at=item.tried_at, reason=item.reason,
    )  # fmt: skip


TAG = "integrations"
OPERATIONS = (
    Operation(
        "GET", "/api/integrations", list_integrations, "stats:read", "List the integrations", TAG,
        {200: list[IntegrationCard]},
    ),
    Operation(
        "POST", "/api/integrations/events", event, "events:create", "Report an event", TAG,
        {200: EventAnswer, 201: EventAnswer}, body=NewEvent, errors=(404, 409, 429, 503),
    ),
    Operation(
        "GET", "/api/integrations/{name}/callbacks", list_callbacks, "stats:read", "List callbacks", TAG,
        {200: list[CallbackCard]}, path_of=IntegrationPath, query=CallbacksQuery, errors=(404,),
    ),
    Operation(
        "POST", "/api/integrations/{name}/callbacks/{id}/retry", retry_callback, "system:write",
        "Try a callback again", TAG, {200: CallbackCard}, path_of=CallbackPath, errors=(404, 409),
    ),
)  # fmt: skip
