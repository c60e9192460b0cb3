"""The overview: what a screen may ask for at once, and what stays off the wire."""

import msgspec
import pytest

from relay_proto import codec, limits
from relay_proto.errors import BadRequest
from relay_proto.frames import AgentAtWork, GetOverview, OldestUnacked, Overview, StuckTask
from relay_proto.overview import COUNTERS


@pytest.mark.parametrize("limit", [0, limits.OVERVIEW_ENTRIES_MAX + 1])
def test_a_list_longer_than_a_screen_is_refused(limit: int) -> None:
    with pytest.raises(BadRequest, match=f"limit is {limit}"):
        codec.encode_checked(GetOverview(id=1, limit=limit))


def test_it_asks_for_a_screen_unless_it_says_more() -> None:
    assert msgspec.to_builtins(GetOverview(id=1)) == {"op": "overview", "id": 1}
    assert codec.encode_checked(GetOverview(id=1, limit=limits.OVERVIEW_ENTRIES_MAX))


def test_what_is_not_known_stays_off_the_wire() -> None:
    shown = Overview(
        version="1", at=9, uptime_s=0.5, counters={}, sessions=0, unacked=0, agents={}, counted_at=9,
    )  # fmt: skip
    assert set(msgspec.to_builtins(shown)) == {
        "version", "at", "uptime_s", "counters", "sessions", "unacked", "agents", "counted_at"
    }  # fmt: skip


def test_the_longest_overview_fits_into_one_message() -> None:
    name, many = "a" * limits.AGENT_CHARS_MAX, limits.OVERVIEW_ENTRIES_MAX
    shown = Overview(
        version="1" * 16, at=2**42, uptime_s=1e9, counters=dict.fromkeys(COUNTERS, 2**53), sessions=1, unacked=1,
        agents={"online": 1}, counted_at=2**42, tasks={"ready": 1},
        online=[AgentAtWork(agent=name, status="online", last_seen_at=2**42, label="😀" * 128)] * many,
        oldest=[OldestUnacked(agent=name, message=limits.ID_MAX, since_at=2**42, stage="surfaced", count=1000)] * many,
        stuck=[
            StuckTask(
                message=limits.ID_MAX, state="working", since_at=2**42, to="€" * limits.TARGET_CHARS_MAX,
                title="😀" * limits.SUBJECT_CHARS_MAX, holder=name,
            )
        ] * many,
    )  # fmt: skip
    assert len(codec.encode_frame(shown)) < limits.MESSAGE_BYTES_MAX // 4
