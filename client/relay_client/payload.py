"""A payload on its way: any JSON value in a program, JSON text on the wire."""

from typing import Any

import msgspec

from relay_proto.errors import BadRequest


def write_payload(payload: Any) -> str | None:
    """The JSON of a value; None for None, which is no payload. Raises BadRequest for what JSON has no word for."""
    if payload is None:
        return None
    try:
        return msgspec.json.encode(payload).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise BadRequest(f"payload is a {type(payload).__name__} that is no JSON: {exc}") from None


def read_payload(text: str | None) -> Any:
    """The value of what a message carries; its text, if that is no JSON after all: the relay never looks inside."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
