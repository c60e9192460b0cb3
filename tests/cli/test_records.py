"""records: what a program reads, one JSON object a line."""

import base64
from typing import Any, cast

import orjson

from relay_client import Agent, Message, Receipt
from relay_client.cli.records import claim_record, json_line, message_json, receipt_record, struct_record
from relay_proto.frames import AgentCard, Deliver, StoredMessage, Task, TaskEvent, WorkState


def test_a_stored_message_has_the_names_of_the_wire() -> None:
    item = StoredMessage(message=1, sender="a", to="b", body="x\x1b\n", sent_at=5, thread=1, hops=0)
    line = json_line(struct_record(item))
    assert "\n" not in line
    assert "\x1b" not in line
    assert orjson.loads(line) == {
        "message": 1, "from": "a", "to": "b", "body": "x\x1b\n", "sent_at": 5, "thread": 1, "hops": 0
    }  # fmt: skip


def test_bytes_become_base64_under_their_own_name() -> None:
    work = WorkState(state="done", fence=1, attempts=1, result=b"\xff")
    item = StoredMessage(message=1, sender="a", to="b", body=b"\x00\xff", sent_at=5, thread=1, hops=0, work=work)
    record = struct_record(item)
    assert "body" not in record
    assert base64.b64decode(record["body_base64"]) == b"\x00\xff"
    assert base64.b64decode(record["work"]["result_base64"]) == b"\xff"


def test_a_task_has_the_names_of_the_wire_and_its_history() -> None:
    task = Task(
        message=1, sender="a", to="b", state="done", a2a="completed", sent_at=5, changed_at=6, attempts=1,
        attempts_max=3, fence=1, thread=1, body=b"\xff", result=b"\xfe",
        history=[TaskEvent(at=5, event="submit", state="ready", agent="a")],
    )  # fmt: skip
    assert orjson.loads(json_line(struct_record(task))) == {
        "message": 1, "from": "a", "to": "b", "state": "done", "a2a": "completed", "sent_at": 5, "changed_at": 6,
        "attempts": 1, "attempts_max": 3, "fence": 1, "thread": 1, "body_base64": "/w==", "result_base64": "/g==",
        "history": [{"at": 5, "event": "submit", "state": "ready", "agent": "a"}],
    }  # fmt: skip


def test_a_claim_is_its_message_with_fence_and_lease() -> None:
    frame = Deliver(message=5, sender="a", to="b", body=b"\xff", sent_at=5, attempt=2, thread=5, hops=0, claimable=True)
    assert claim_record(Message(cast(Agent, None), frame), 2, 60.0) == {
        "message": 5, "fence": 2, "lease_s": 60.0, "from": "a", "to": "b", "sent_at": 5, "thread": 5, "attempt": 2,
        "hops": 0, "claimable": True, "body_base64": "/w==",
    }  # fmt: skip


def test_an_agent_card_is_one_object() -> None:
    card = AgentCard(agent="a", status="idle", epoch=2, last_seen_at=9, caps=["review"])
    assert orjson.loads(json_line(struct_record(card))) == {
        "agent": "a", "status": "idle", "epoch": 2, "last_seen_at": 9, "caps": ["review"]
    }  # fmt: skip


def test_a_live_message_has_the_fields_of_its_delivery_and_no_others() -> None:
    plain = Deliver(message=1, sender="a", to="b", body="x", sent_at=5, attempt=1, thread=1, hops=0)
    assert orjson.loads(message_json(Message(cast(Agent, None), plain))) == {
        "message": 1, "from": "a", "to": "b", "sent_at": 5, "thread": 1, "attempt": 1, "hops": 0, "body": "x"
    }  # fmt: skip
    full: dict[str, Any] = {
        "subject": "s", "channel": "ci", "reply_to": 3, "caused_by": 2, "intent": "request", "content_type": "t",
        "headers": {"k": "v"}, "claimable": True, "type": "t", "severity": "error", "priority": 0,
        "expires_at": 9, "supersedes": 4, "reply_by_at": 8,
    }  # fmt: skip
    frame = Deliver(message=5, sender="a", to="b", body="x", sent_at=5, attempt=1, thread=1, hops=1, **full)
    record = orjson.loads(message_json(Message(cast(Agent, None), frame)))
    assert {name: record[name] for name in full} == full


def test_the_answer_to_a_send_says_who_had_no_room_and_what_was_noted_where_there_is_something() -> None:
    plain = {"message": 1, "thread": 1, "recipients": 2, "online": 1, "duplicate": False, "key": "k"}
    assert receipt_record(Receipt(1, 1, 2, 1, False, "k")) == plain
    told = receipt_record(Receipt(1, 1, 2, 1, False, "k", ["ann"], "note"))
    assert told == plain | {"full": ["ann"], "note": "note"}
