"""What messages, agents, tasks and receipts look like to a program: one JSON object a line, with the wire's names.

Bytes have no JSON: `body` becomes `body_base64`, `result` becomes `result_base64`.
"""

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from ..payload import read_payload
from .escape import escape_json

if TYPE_CHECKING:
    from relay_client import Message, Receipt
    from relay_client.tasks import Submitted


def json_line(record: dict[str, Any]) -> str:
    """One record as one line, exact: what would act on a terminal is there as a JSON escape."""
    return escape_json(orjson.dumps(record).decode())


def struct_record(item: msgspec.Struct) -> dict[str, Any]:
    """A struct of the wire (AgentCard, StoredMessage, OwedReply, Task) as a JSON-ready dict."""
    record: dict[str, Any] = msgspec.to_builtins(item, builtin_types=(bytes,))
    _bytes_as_base64(record, "body")
    _bytes_as_base64(record, "result")
    if "payload" in record:
        record["payload"] = read_payload(record["payload"])
    if isinstance(record.get("work"), dict):
        _bytes_as_base64(record["work"], "result")
    return record


def message_json(message: "Message") -> str:
    """A live message as a line of JSON, with the field names of `deliver`; what is not set is left out."""
    return json_line(message_record(message))


def message_record(message: "Message") -> dict[str, Any]:
    """A live message as a JSON-ready dict."""
    record: dict[str, Any] = {
        "message": message.message,
        "from": message.sender,
        "to": message.to,
        "sent_at": message.sent_at,
        "thread": message.thread,
        "attempt": message.attempt,
        "hops": message.hops,
        "subject": message.subject,
        "channel": message.channel,
        "reply_to": message.reply_to,
        "caused_by": message.caused_by,
        "intent": message.intent,
        "content_type": message.content_type,
        "headers": message.headers or None,
        "claimable": message.claimable or None,
        "type": message.type,
        "severity": message.severity,
        "priority": message.priority,
        "expires_at": message.expires_at,
        "supersedes": message.supersedes,
        "reply_by_at": message.reply_by_at,
        "body": message.body,
        "payload": message.payload,
    }
    _bytes_as_base64(record, "body")
    return {name: value for name, value in record.items() if value is not None}


def receipt_record(receipt: "Receipt") -> dict[str, Any]:
    """The answer to a send as a JSON-ready dict."""
    record: dict[str, Any] = {
        "message": receipt.message,
        "thread": receipt.thread,
        "recipients": receipt.recipients,
        "online": receipt.online,
        "duplicate": receipt.duplicate,
        "key": receipt.key,
    }
    if receipt.full:
        record["full"] = receipt.full
    if receipt.note is not None:
        record["note"] = receipt.note
    return record


def submitted_record(submitted: "Submitted") -> dict[str, Any]:
    """The answer to a submit as a JSON-ready dict. `occurrences`: how often it was reported by now."""
    return receipt_record(submitted) | {"occurrences": submitted.occurrences}


def claim_record(message: "Message", fence: int, lease_s: float) -> dict[str, Any]:
    """A claim that was granted as a JSON-ready dict: the message, with its fence and its lease."""
    return {"message": message.message, "fence": fence, "lease_s": lease_s} | message_record(message)


def _bytes_as_base64(record: dict[str, Any], field: str) -> None:
    value = record.get(field)
    if isinstance(value, bytes):
        del record[field]
        record[f"{field}_base64"] = base64.b64encode(value).decode()
