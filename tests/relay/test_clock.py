"""clock.py: the relay's own time goes on evenly, whatever somebody does to the machine's clock."""

import time
from pathlib import Path

import pytest
import structlog

from relay_server.clock import JUMP_MS, Clock
from relay_server.config import Config
from relay_server.server import Relay

HOURS_NS = 6 * 3600 * 1_000_000_000


def jump(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    """Somebody sets the machine's clock."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + by_ns)


def test_it_begins_as_the_machines_clock() -> None:
    assert abs(Clock().now_ms() - time.time_ns() // 1_000_000) < 1000


@pytest.mark.parametrize("by_ns", [HOURS_NS, -HOURS_NS])
def test_a_jump_of_hours_moves_nothing(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    clock = Clock()
    before = clock.now_ms()
    jump(monkeypatch, by_ns)
    assert 0 <= clock.now_ms() - before < 1000
    assert abs(Clock().now_ms() - before - by_ns // 1_000_000) < 1000, "the next start takes it over"


def test_a_second_of_it_is_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, passed_ns = Clock(), 0
    real = time.clock_gettime_ns
    monkeypatch.setattr(time, "clock_gettime_ns", lambda which: real(which) + passed_ns)
    before = clock.now_ms()
    passed_ns = 3600 * 1_000_000_000
    assert 0 <= clock.now_ms() - before - 3_600_000 < 1000


@pytest.mark.parametrize("by_ns", [HOURS_NS, -HOURS_NS])
def test_a_jump_is_told_once_and_its_end_is_another(monkeypatch: pytest.MonkeyPatch, by_ns: int) -> None:
    clock = Clock()
    assert clock.jumped_ms() is None
    with monkeypatch.context() as set_wrong:
        jump(set_wrong, by_ns)
        told = clock.jumped_ms()
        assert told is not None
        assert abs(told - by_ns // 1_000_000) < 1000
        assert clock.jumped_ms() is None, "it was told"
    back = clock.jumped_ms()
    assert back is not None
    assert abs(back) < 1000


def test_a_clock_that_is_corrected_by_little_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    jump(monkeypatch, (JUMP_MS - 1000) * 1_000_000)
    assert clock.jumped_ms() is None


def test_the_relay_compares_the_clocks_now_and_then_and_logs_a_jump(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as lines:
        relay = Relay(Config(data=tmp_path))
        assert relay._compare_clocks(None, 100.0) == 160.0
        assert lines == []
        jump(monkeypatch, -HOURS_NS)
        assert relay._compare_clocks(None, 160.0) == 220.0
        relay._compare_clocks(None, 220.0)
    (line,) = lines
    assert line["log_level"] == "warning"
    assert "clock has jumped" in line["event"]
    assert abs(line["away_s"] + 6 * 3600) < 2
