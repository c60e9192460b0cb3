from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay_proto import codec, limits
from relay_proto.frames import (
    AgentCard,
    DeliveryState,
    Explanation,
    OwedReply,
    StoredMessage,
    Task,
    TaskEvent,
    WorkState,
)
from tests.proto.frame_strategies import frames_of

OWED_ITEMS = 100
"""Replies in one `owed` event, as docs/protocol.md says."""
LONGEST = OwedReply(
    message=limits.ID_MAX, asker="a" * 128, agent="b" * 128, asked_at=2**42, reply_by_at=2**42, overdue=True,
    subject="😀" * 256, stage="superseded", stage_at=2**42, status="offline",
)  # fmt: skip
SMALLEST: dict[type[msgspec.Struct], dict[str, Any]] = {
    AgentCard: {"agent": "a", "status": "online", "epoch": 1, "last_seen_at": 1},
    DeliveryState: {"agent": "a", "stage": "queued", "at": 1, "attempt": 1},
    WorkState: {"state": "ready", "fence": 0, "attempts": 0},
    TaskEvent: {"at": 1, "event": "submit", "state": "ready"},
    Task: {
        "message": 1, "from": "a", "to": "cap:x", "state": "ready", "a2a": "submitted", "sent_at": 1, "changed_at": 1,
        "attempts": 0, "attempts_max": 3, "fence": 0, "thread": 1,
    },
    OwedReply: {"message": 1, "asker": "a", "agent": "b", "asked_at": 1, "reply_by_at": 2},
    Explanation: {"about": "agent b", "sentences": []},
}  # fmt: skip


@pytest.mark.parametrize("kind", SMALLEST, ids=lambda kind: kind.__name__)
def test_what_is_not_known_stays_off_the_wire(kind: type[msgspec.Struct]) -> None:
    record = msgspec.convert(SMALLEST[kind], kind)
    assert msgspec.to_builtins(record) == SMALLEST[kind]


def test_a_stored_message_names_its_sender_from() -> None:
    stored = StoredMessage(message=1, sender="a", to="b", body="x", sent_at=1, thread=1, hops=0)
    assert msgspec.to_builtins(stored) == {
        "message": 1, "from": "a", "to": "b", "body": "x", "sent_at": 1, "thread": 1, "hops": 0,
    }  # fmt: skip


def test_records_do_not_share_their_lists() -> None:
    first, second = (AgentCard(agent=name, status="online", epoch=1, last_seen_at=1) for name in "ab")
    first.tags.append("x")
    assert second.tags == []
    one, other = (msgspec.convert(SMALLEST[Task], Task) for _ in "ab")
    one.depends_on.append(7)
    one.waiting_for.append(7)
    assert (other.depends_on, other.waiting_for) == ([], [])


def test_the_attempts_that_stay_off_the_wire_are_the_default() -> None:
    work = WorkState(state="ready", fence=0, attempts=0, attempts_max=limits.ATTEMPTS_DEFAULT)
    assert "attempts_max" not in msgspec.to_builtins(work)


def test_what_was_reported_once_does_not_say_so() -> None:
    assert msgspec.convert(SMALLEST[Task], Task).occurrences == 1


@settings(max_examples=50, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        frames_of(OwedReply) | frames_of(DeliveryState) | frames_of(TaskEvent) | frames_of(Task) | frames_of(WorkState),
        min_size=1,
        max_size=4,
    )
)
def test_any_record_comes_out_as_it_went_in(records: Sequence[msgspec.Struct]) -> None:
    for record in records:
        assert msgspec.msgpack.decode(codec.encode_frame(record), type=type(record)) == record


def test_a_page_of_the_longest_tasks_holds_some_of_them() -> None:
    """`tasks` shows no body, result or history. A page of fewer than `limit` is one; a page of none is not."""
    longest = Task(
        message=limits.ID_MAX, sender="a" * 128, to="label:" + "€" * 128, state="superseded", a2a="input_required",
        sent_at=2**42, changed_at=2**42, attempts=100, attempts_max=100, fence=limits.ID_MAX, thread=limits.ID_MAX,
        title="😀" * 256, type="t" * 64, severity="critical", source="s" * 128, dedupe_key="😀" * 128,
        occurrences=2**31, last_seen_at=2**42, priority=9, channel="c" * 64, expires_at=2**42, holder="h" * 128,
        lease_left_s=86_400.0, ready_at=2**42, needs="dependency", park_until_at=2**42, progress=0.5, note="😀" * 1024,
        progress_at=2**42, depends_on=[limits.ID_MAX] * limits.DEPENDENCIES_MAX,
        waiting_for=[limits.ID_MAX] * limits.DEPENDENCIES_MAX, reason="😀" * 1024, beginning="😀" * 120,
        depends_states=["superseded"] * limits.DEPENDENCIES_MAX,
    )  # fmt: skip
    assert len(codec.encode_frame(longest)) * 50 < limits.MESSAGE_BYTES_MAX


def test_all_that_an_owed_event_may_hold_fits_into_one_message() -> None:
    assert OWED_ITEMS * len(codec.encode_frame(LONGEST)) < limits.MESSAGE_BYTES_MAX // 2
