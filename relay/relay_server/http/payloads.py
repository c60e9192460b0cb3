"""A payload in a request: any JSON beside the body. It is kept as the text that came, and never looked into."""

from typing import Annotated

from msgspec import Meta, Raw, UnsetType

Payload = (
    Annotated[Raw, Meta(extra_json_schema={"description": "Any JSON beside the body; it counts with it."})] | UnsetType
)


def json_text(payload: Payload) -> str | None:
    """The payload as it came, None when there is none. Raises ValueError when it is no UTF-8."""
    if isinstance(payload, UnsetType):
        return None
    try:
        return bytes(payload).decode().strip()
    except UnicodeDecodeError:
        raise ValueError("payload is no UTF-8") from None


def payload_text(payload: Payload) -> str | None:
    """The same, where null is none. Raises ValueError."""
    text = json_text(payload)
    return None if text == "null" else text
