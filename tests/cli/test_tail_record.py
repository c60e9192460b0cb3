"""tail_record.py: an event with the names of the wire. That inbox says the same is seen in test_tail.py."""

from typing import Any

import pytest

from relay_client.cli.tail_record import tail_record


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (
            "message.new",
            {
                "id": 7, "from": "ann", "to": "ben", "threadId": 7, "createdAt": 1, "replyByAt": 2, "replyTo": 3,
                "payload": {"innerName": 1}, "headers": {"aB": "c"}, "readBy": ["ben"], "status": "open",
            },
            {
                "message": 7, "from": "ann", "to": "ben", "thread": 7, "sent_at": 1, "reply_by_at": 2, "reply_to": 3,
                "payload": {"innerName": 1}, "headers": {"aB": "c"},
            },
        ),
        ("message.new", {"id": 7, "body": "AAEC", "encoding": "base64"}, {"message": 7, "body_base64": "AAEC"}),
        (
            "message.claimed",
            {"id": 7, "claimedBy": "ben", "fence": 2, "claimedAt": 9},
            {"message": 7, "holder": "ben", "fence": 2, "at": 9},
        ),
        (
            "message.deleted",
            {"id": 7, "deletedBy": "ann", "deletedAt": 9},
            {"message": 7, "agent": "ann", "at": 9},
        ),
        (
            "task.done",
            {"id": 7, "state": "done", "status": "done", "event": "complete", "agentId": "ben", "at": 9},
            {"message": 7, "state": "done", "event": "complete", "agent": "ben", "at": 9},
        ),
        (
            "agent.status",
            {"id": "ben", "status": "idle", "epoch": 2, "at": 9},
            {"agent": "ben", "status": "idle", "epoch": 2, "at": 9},
        ),
        ("of.tomorrow", {"id": 1, "someThing": 2}, {"id": 1, "some_thing": 2}),
        ("gap", {"from": "a-1", "to": "a-9"}, {"from": "a-1", "to": "a-9"}),
    ],
)  # fmt: skip
def test_an_event_has_the_names_of_the_wire(kind: str, data: dict[str, Any], said: dict[str, Any]) -> None:
    assert tail_record(kind, data, "5f2c9a-41") == {"event": kind, "id": "5f2c9a-41", "data": said}


def test_a_message_from_before_has_no_id_to_go_on_behind() -> None:
    assert tail_record("message.new", {"id": 7}, "")["id"] is None
