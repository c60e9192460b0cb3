"""presence.py: what an agent is, by what the relay sees."""

import pytest

from relay_proto.frames import Presence, Status
from relay_server.presence import STALE_S, presence


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
