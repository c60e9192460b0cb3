"""What a handler says at the desk for whoever asks: in whose name, by which process, and what a refusal is about."""

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from relay_proto import frames as wire
from relay_proto.errors import BadRequest, RelayError
from relay_proto.fields import Instance, MessageId, PageLimit, RequestId
from relay_proto.targets import parse_target

from . import polled
from .errors import HttpError, camel, refusal

if TYPE_CHECKING:
    from .dispatch import Call

T = TypeVar("T")

_FIELD = re.compile(r"(\w+)(?:[.\[]\S*)? (?:is|are|must) ")
_NAMES = {"sender": "from", "key": "idempotencyKey", "thread": "threadId"}
"""Fields of frames that the door calls otherwise."""


class MessagePath(Struct):
    """`id`: of a message or a task."""

    id: MessageId


class PageQuery(Struct):
    """`since`: only what has a larger id; X-Next-Since of a page says where the next one begins."""

    limit: PageLimit = 100
    since: RequestId | None = None


class Process(Struct, rename="camel"):
    """Which process of the agent asks: `instanceId` as it registered, `epoch` as it was told then. What is
    given and out of date is refused (409 stale)."""

    instance_id: Instance | None = None
    epoch: int | None = None


async def say(call: "Call", agent: str, frame: Any, process: Process | None = None, **names: str) -> wire.Ok:
    """Say a frame in an agent's name, as the process that asks. `names`: how the body calls fields of the frame.

    Raises HttpError: with the field, where one field is what is refused.
    """
    instance = check_process(call, agent, process)
    try:
        if not isinstance(frame, wire.Remove):
            await polled.stay(call.relay, call.grant, agent, instance)
        return await call.ask(agent, frame, instance)
    except RelayError as error:
        raise in_fields(error, frame, names) from None


async def ask(call: "Call", frame: Any, **names: str) -> wire.Ok:
    """Ask a question that needs no name. Raises as `say`."""
    try:
        return await call.look_up(frame)
    except RelayError as error:
        raise in_fields(error, frame, names) from None


def check_target(to: str, field: str = "to") -> None:
    """Raises HttpError 422 unless this says whom a message is for."""
    try:
        parse_target(to, field)
    except BadRequest as error:
        raise HttpError(422, error.code, error.message, field=field) from None


def items(ok: wire.Ok, kind: type[T]) -> list[T]:
    """The items of a page: on the wire they are maps."""
    return msgspec.convert(ok.items or [], list[kind])  # type: ignore[valid-type]


def item(ok: wire.Ok, kind: type[T]) -> T:
    """The one thing that was asked for."""
    return msgspec.convert(ok.item, kind)


def next_page(ok: wire.Ok) -> dict[str, str]:
    """The header that says where the page behind this one begins; none at the end."""
    return {} if ok.next is None else {"X-Next-Since": str(ok.next)}


def in_fields(error: RelayError, frame: Any, names: dict[str, str]) -> HttpError:
    """What refuses a frame, with the field that it is about as the request calls it."""
    answer = refusal(error)
    found = _FIELD.match(error.message)
    if found is not None and found[1] in {*frame.__struct_encode_fields__, *frame.__struct_fields__, "field", *names}:
        name = names.get(found[1]) or _NAMES.get(found[1]) or camel(found[1])
        answer.field = name
        answer.message = name + error.message[len(found[1]) :]
    elif "field" in error.detail:
        answer.field = str(error.detail["field"])
    return answer


def check_process(call: "Call", agent: str, process: Process | None) -> str | None:
    """The instance to speak as, None for the agent's own over HTTP. Raises HttpError 409 when it is out of date."""
    known = call.relay.broker.directory.get(agent)
    live = call.relay.broker.sessions.get(agent)
    given, epoch = (None, None) if process is None else (process.instance_id, process.epoch)
    if epoch is not None and epoch != (known.epoch if known is not None else 0):
        raise stale(agent, "epoch", epoch, 0 if known is None else known.epoch)
    if given is not None and known is not None and known.epoch and given != known.instance:
        raise stale(agent, "instanceId", given, known.epoch)
    if given is None and live is not None and live.polled:
        return live.instance
    return given


def stale(agent: str, field: str, given: object, epoch: int) -> HttpError:
    """Another process of the agent has registered since."""
    message = f"{field} is {given!r:.140}, which is not the present one: {agent} registered last in epoch {epoch}"
    return HttpError(409, "stale", message, field=field, detail={"epoch": epoch})


def not_of(agent: str) -> HttpError:
    """No agent of this name is registered."""
    return HttpError(404, "unknown_agent", f"id is {agent!r}; no agent of this name is registered", field="id")
