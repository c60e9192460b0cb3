"""system.py: the relay as a whole, over real HTTP against the daemon process."""

import sqlite3
import statistics
import time
from collections.abc import Callable

import httpx
import pytest

from tests.daemon import Daemon

OPEN_TASKS = 60_000


def test_channels_are_those_that_somebody_follows(door: httpx.Client) -> None:
    assert door.get("/api/channels").json() == []
    door.post("/api/agents", json={"id": "ben", "channels": ["ci", "ops"]})
    door.post("/api/agents", json={"id": "ann", "channels": ["ci"]})
    answer = door.get("/api/channels")
    assert (answer.status_code, answer.json()) == (
        200,
        [{"name": "ci", "count": 2, "agents": ["ann", "ben"]}, {"name": "ops", "count": 1, "agents": ["ben"]}],
    )
    first = door.get("/api/channels", params={"limit": 1})
    assert ([one["name"] for one in first.json()], first.headers["x-next-since"]) == (["ci"], "ci")
    second = door.get("/api/channels", params={"limit": 1, "since": "ci"})
    assert ([one["name"] for one in second.json()], second.headers.get("x-next-since")) == (["ops"], None)


def test_stats_count_agents_messages_and_tasks(door: httpx.Client) -> None:
    door.post("/api/agents", json={"id": "ben", "status": "busy"})
    door.post("/api/agents", json={"id": "ann"})
    door.post("/api/messages", json={"from": "ann", "to": "ben", "body": "x", "claimable": True})
    door.post("/api/messages", json={"from": "ann", "to": "ben", "body": "x"})
    door.post("/api/messages/1/claim", json={"agentId": "ben"})
    stats = door.get("/api/stats").json()
    assert stats["agents"] == {"total": 2, "busy": 1, "online": 1}
    assert (stats["messages"], stats["tasks"], stats["leases"], stats["waiting"]) == (2, {"claimed": 1}, 1, 0)


def test_health_asks_the_store(door: httpx.Client) -> None:
    answer = door.get("/api/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["cursor"]) == (200, "ok", 0)


@pytest.fixture
def busy(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A relay that has OPEN_TASKS open tasks."""
    daemon = make_daemon().start()
    for _ in range(2):
        work = {"from": "ann", "to": "ben", "body": "x", "claimable": True}
        assert httpx.post(f"{daemon.url}/api/messages", json=work, trust_env=False).status_code == 201
    assert daemon.stop() == 0
    connection = sqlite3.connect(daemon.data / "relay.db")
    for table in ("messages", "work"):
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join("message + n" if name in ("message", "thread") else name for name in names)
        connection.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {OPEN_TASKS}) "
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, numbers WHERE message = 2"
        )
    connection.commit()
    connection.close()
    return daemon.start()


def test_health_stats_and_metrics_do_not_cost_what_there_is(busy: Daemon) -> None:
    with httpx.Client(base_url=busy.url, timeout=30, trust_env=False) as door:

        def took(path: str) -> float:
            started = time.perf_counter()
            assert door.get(path).status_code == 200
            return time.perf_counter() - started

        assert door.get("/api/stats").json()["tasks"] == {"ready": OPEN_TASKS + 2}
        counting = statistics.median(took("/api/tasks?limit=1") for _ in range(7))
        others = {
            path: statistics.median(took(path) for _ in range(15)) for path in ("/api/health", "/api/stats", "/metrics")
        }
        assert {path: seconds for path, seconds in others.items() if seconds > counting / 3} == {}, counting


def test_the_counts_of_tasks_are_of_the_last_seconds(door: httpx.Client) -> None:
    door.post("/api/messages", json={"from": "ann", "to": "ben", "body": "x", "claimable": True})
    assert door.get("/api/stats").json()["tasks"] == {"ready": 1}
    door.post("/api/messages", json={"from": "ann", "to": "ben", "body": "x", "claimable": True})
    until = time.monotonic() + 15
    while (tasks := door.get("/api/stats").json()["tasks"]) != {"ready": 2}:
        assert tasks == {"ready": 1}
        assert time.monotonic() < until
        time.sleep(0.1)
    assert 'relay_tasks{state="ready"} 2.0' in door.get("/metrics").text, "the same counts"
