"""Path, query and body of a request, read into checked structs. What does not fit is refused by the field's name."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from relay_proto import limits
from relay_proto.codec import in_words, words_of
from relay_proto.errors import TooLarge
from relay_proto.fields import FieldRefused
from relay_proto.scopes import TOKEN_PREFIX

from .errors import STATUS, HttpError

BODY_BYTES_MAX: Final = limits.MESSAGE_BYTES_MAX
"""Bytes of a request's body: what one WebSocket message may have."""
QUERY_FIELDS_MAX: Final = 64
SHOWN_CHARS_MAX: Final = 80

_LIMIT = re.compile(r"(?:<=|>=|<|>) (\d+)")
_SECRET: Final = frozenset({"token", "secret"})


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body. Raises HttpError: 413 as soon as it is known to be too long, 400 when it does not come."""
    size = request.headers.get("content-length")
    if size is not None and size.isdigit() and int(size) > bytes_max:
        raise too_large(int(size), bytes_max)
    chunks: list[bytes] = []
    length = 0
    try:
        async for chunk in request.stream():
            length += len(chunk)
            if length > bytes_max:
                raise too_large(length, bytes_max)
            chunks.append(chunk)
    except ClientDisconnect:
        raise HttpError(400, "bad_frame", "the connection ended before the body did") from None
    return b"".join(chunks)


async def when_gone(receive: Receive, tell: Callable[[], None]) -> None:
    """Calls `tell` when the client has closed the connection. For an answer that takes its time."""
    while (await receive())["type"] != "http.disconnect":
        continue
    tell()


def too_large(size: int, bytes_max: int) -> HttpError:
    """The body is beyond its limit; the connection closes, for what is left of it is not read."""
    message = f"the body is {size} bytes or more; the limit is {bytes_max}"
    return HttpError(413, TooLarge.code, message, limit=bytes_max, headers={"Connection": "close"})


def check_json(content_type: str | None) -> None:
    """Raises HttpError 415 unless this is JSON: a form or plain text is what a web page may send without asking."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        shown = f"is {content_type!r:.80}" if content_type else "is missing"
        raise HttpError(
            415, "unsupported_media_type", f"Content-Type {shown}; send application/json", field="Content-Type"
        )


def from_json(kind: type[Any], data: bytes) -> Any:
    """A struct from a JSON object. Raises HttpError: 400 for what is no JSON, 422 for a field that does not fit."""
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as exc:
        raise _unfit(exc, kind, _loose(data)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise HttpError(400, "bad_json", f"the body is no JSON: {exc}") from None
    except RecursionError:
        raise HttpError(400, "bad_json", "the body nests deeper than any JSON that is read here") from None


def from_query(kind: type[Any], query: bytes) -> Any:
    """A struct from a query string. Raises HttpError 400 when it can't be read, 422 for a field that does not fit."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise HttpError(
            400,
            "bad_request",
            f"the query can't be read: UTF-8, at most {QUERY_FIELDS_MAX} fields",
            limit=QUERY_FIELDS_MAX,
        ) from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values and name in kind.__struct_encode_fields__:
            raise HttpError(422, "bad_request", f"{name} stands twice in the query", field=name)
        values[name] = value
    return from_texts(kind, values)


def from_texts(kind: type[Any], values: Mapping[str, str]) -> Any:
    """A struct from texts that stand for numbers and truths, too: a path or a query. Raises HttpError 422."""
    try:
        read = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise _unfit(exc, kind, values) from None
    for name, field in zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True):
        if name in values and getattr(read, field) is None:  # msgspec reads the text `null` as None
            raise HttpError(422, "bad_request", f"{name} is {values[name]!r}; leave it out", field=name)
    return read


def _loose(data: bytes) -> Any:
    """The same JSON without its rules, to show the value that did not fit."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _unfit(exc: msgspec.ValidationError, kind: type[Any], values: Any) -> HttpError:
    text, _, path = str(exc).partition(" - at `")
    path = path.strip("`").removeprefix("key in ").removeprefix("$").lstrip(".")
    cause = exc.__cause__
    status, code = 422, "bad_request"
    if isinstance(cause, FieldRefused):
        status, code = STATUS.get(cause.kind.code, 422), cause.kind.code
    if cause is not None:
        field = path or text.partition(" ")[0]
        return HttpError(status, code, text, field=field, limit=_limit_in(text))
    if text.startswith("Object missing required field"):
        missing = text.split("`")[1]
        field = f"{path}.{missing}" if path else missing
        return HttpError(422, code, f"{field} is missing", field=field)
    if text.startswith("Object contains unknown field"):
        unknown = text.split("`")[1]
        known = " ".join(kind.__struct_encode_fields__)
        return HttpError(422, code, f"{unknown} is no field here; there are {known}", field=unknown)
    if text.startswith("Invalid enum value"):
        text = f"expected one of {' '.join(_choices(kind, path))}"
    text = in_words(text)
    if not path:
        return HttpError(422, code, f"the body is not what is wanted here: {text}", field="body")
    shown = "***" if path in _SECRET else _shown(values, path)
    return HttpError(422, code, f"{path} is {shown}; {text}", field=path, limit=_limit_in(text))


def _choices(kind: type[Any], path: str) -> list[str]:
    name = path.split("[")[0].split(".")[0]
    return [
        word for field in msgspec.structs.fields(kind) if field.encode_name == name for word in words_of(field.type)
    ]


def _limit_in(text: str) -> int | None:
    found = _LIMIT.search(text)
    return int(found.group(1)) if found else None


def _shown(values: Any, path: str) -> str:
    value = values
    for part in re.split(r"[.\[\]]+", path.strip("[]")):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
    text = repr(value)
    if TOKEN_PREFIX in text:
        return "***"  # a token that somebody put into the wrong field
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 3]}..."
