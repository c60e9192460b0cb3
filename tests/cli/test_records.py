"""records: what a program reads, one JSON object a line."""

import base64

import orjson

from relay_client.cli.records import json_line, struct_record
from relay_proto.frames import AgentCard, StoredMessage, WorkState


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


def test_an_agent_card_is_one_object() -> None:
    card = AgentCard(agent="a", status="idle", epoch=2, last_seen_at=9, caps=["review"])
    assert orjson.loads(json_line(struct_record(card))) == {
        "agent": "a", "status": "idle", "epoch": 2, "last_seen_at": 9, "caps": ["review"]
    }  # fmt: skip
