"""presence.py: what an agent is, by what the relay sees."""

import pytest

from relay_proto.frames import Presence, Status
from relay_server.presence import STALE_S, presence, reason


@pytest.mark.parametrize(
    ("connected", "status", "silent_s", "left", "expected"),
    [
        (True, None, 0.0, False, "online"),
        (True, "busy", 0.0, False, "busy"),
        (True, "idle", STALE_S - 0.001, False, "idle"),
        (True, "idle", STALE_S, False, "stale"),
        (False, "idle", 0.0, False, "stale"),
        (False, None, STALE_S, False, "offline"),
        (False, None, 0.0, True, "offline"),
    ],
)
def test_presence_follows_the_connection_the_silence_and_the_last_word(
    connected: bool, status: Status | None, silent_s: float, left: bool, expected: Presence
) -> None:
    assert presence(connected, status, 1000.0, left, 1000.0 + silent_s) == expected


@pytest.mark.parametrize(
    ("connected", "silent_s", "left", "said_bye", "expected"),
    [
        (True, 0.0, False, False, None),
        (True, STALE_S - 0.001, False, False, None),
        (True, STALE_S, False, False, "connected, and silent for 120 s"),
        (False, 5.9, False, False, "its connection was lost; last heard of 5 s ago"),
        (False, 90.0, True, True, "it said bye 1 minute ago"),
        (False, 7200.0, True, True, "it said bye 2 hours ago"),
        (False, 3 * 86400.0, True, False, "not connected since the relay started; last heard of 3 days ago"),
        (False, -1.0, False, True, "it said bye 0 s ago"),
        (False, float("inf"), True, False, "never heard of"),
    ],
)
def test_the_reason_says_why_in_words_and_is_absent_where_there_is_nothing_to_explain(
    connected: bool, silent_s: float, left: bool, said_bye: bool, expected: str | None
) -> None:
    assert reason(connected, 1000.0 - silent_s, left, said_bye, 1000.0) == expected
