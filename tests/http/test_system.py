"""system.py: the relay as a whole, over real HTTP against the daemon process."""

import httpx


def test_channels_are_those_that_somebody_follows(door: httpx.Client) -> None:
    assert door.get("/api/channels").json() == []
    door.post("/api/agents", json={"id": "ben", "channels": ["ci", "ops"]})
    door.post("/api/agents", json={"id": "ann", "channels": ["ci"]})
    answer = door.get("/api/channels")
    assert (answer.status_code, answer.json()) == (
        200, [{"name": "ci", "agents": ["ann", "ben"]}, {"name": "ops", "agents": ["ben"]}],
    )  # fmt: skip


def test_stats_count_agents_messages_and_tasks(door: httpx.Client) -> None:
    door.post("/api/agents", json={"id": "ben", "status": "busy"})
    door.post("/api/agents", json={"id": "ann"})
    door.post("/api/messages", json={"from": "ann", "to": "ben", "claimable": True})
    door.post("/api/messages", json={"from": "ann", "to": "ben"})
    door.post("/api/messages/1/claim", json={"agentId": "ben"})
    stats = door.get("/api/stats").json()
    assert stats["agents"] == {"total": 2, "busy": 1, "online": 1}
    assert (stats["messages"], stats["tasks"], stats["leases"], stats["waiting"]) == (2, {"claimed": 1}, 1, 0)


def test_health_asks_the_store(door: httpx.Client) -> None:
    answer = door.get("/api/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["cursor"]) == (200, "ok", 0)
