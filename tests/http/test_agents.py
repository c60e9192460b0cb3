"""agents.py: agents without a socket, over real HTTP against the daemon process."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import relay_client
from tests.daemon import Daemon


def register(door: httpx.Client, name: str = "ben", **fields: Any) -> dict[str, Any]:
    answer = door.post("/api/agents", json={"id": name, **fields})
    assert answer.status_code in (200, 201), answer.text
    card: dict[str, Any] = answer.json()
    return card


def test_the_first_register_is_201_and_the_next_is_200_in_the_same_epoch(door: httpx.Client) -> None:
    body = {
        "id": "ben", "name": "Ben", "machine": "m1", "tags": ["t"], "capabilities": ["c"], "channels": ["ci"],
        "meta": {"n": 1}, "instanceId": "i-1",
    }  # fmt: skip
    first = door.post("/api/agents", json=body)
    assert first.status_code == 201
    card = first.json()
    assert card.pop("lastSeenAt") > 1_600_000_000_000
    assert card == {
        "id": "ben", "name": "Ben", "label": "Ben", "machine": "m1", "tags": ["t"], "capabilities": ["c"],
        "channels": ["ci"], "meta": {"n": 1}, "instanceId": "i-1", "epoch": 1, "status": "online", "pending": 0,
    }  # fmt: skip
    again = door.post("/api/agents", json=body)
    assert (again.status_code, again.json()["epoch"]) == (200, 1)
    other = door.post("/api/agents", json=body | {"instanceId": "i-2"})
    assert (other.status_code, other.json()["epoch"]) == (200, 2)


def test_without_an_instance_the_epoch_stays(door: httpx.Client) -> None:
    assert [register(door)["epoch"] for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ({"id": 5}, "id"),
        ({"id": "two words"}, "id"),
        ({"id": "ALL"}, "id"),
        ({"id": "ben", "tags": "t"}, "tags"),
        ({"id": "ben", "tags": ["a b"]}, "tags[0]"),
        ({"id": "ben", "capabilities": [1]}, "capabilities[0]"),
        ({"id": "ben", "instanceId": ""}, "instanceId"),
        ({"id": "ben", "status": "asleep"}, "status"),
        ({"id": "ben", "meta": {"deep": {}}}, "meta.deep"),
    ],
)
def test_a_field_that_does_not_fit_is_named_and_nobody_registered(
    door: httpx.Client, body: dict[str, Any], field: str
) -> None:
    answer = door.post("/api/agents", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request"), answer.text
    assert answer.json()["field"].startswith(field.split("[")[0].split(".")[0])
    assert door.get("/api/agents").json() == []


def test_they_are_listed_by_each_filter(door: httpx.Client) -> None:
    register(door, "ann", tags=["t"], capabilities=["review"], machine="m1")
    register(door, "ben", channels=["ci"], label="Ben", status="busy")

    def ids(**query: str) -> list[str]:
        answer = door.get("/api/agents", params=query)
        assert answer.status_code == 200, answer.text
        return [card["id"] for card in answer.json()]

    assert ids() == ["ann", "ben"]
    assert (ids(tag="t"), ids(machine="m1"), ids(status="busy"), ids(channel="ci")) == (
        ["ann"], ["ann"], ["ben"], ["ben"],
    )  # fmt: skip
    assert (ids(capability="review"), ids(label="Ben"), ids(tag="none")) == (["ann"], ["ben"], [])
    first = door.get("/api/agents", params={"limit": "1"})
    assert ([card["id"] for card in first.json()], first.headers["x-next-since"]) == (["ann"], "ann")
    assert ids(since="ann") == ["ben"]
    found = door.get("/api/agents/find", params={"capability": "review"})
    assert [card["id"] for card in found.json()] == ["ann"]
    for path, field in (("/api/agents?status=asleep", "status"), ("/api/agents/find", "capability")):
        refused = door.get(path)
        assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_one_is_shown_and_one_that_is_not_there_is_404(door: httpx.Client) -> None:
    register(door, "team/ben")
    shown = door.get("/api/agents/team%2Fben")
    assert (shown.status_code, shown.json()["id"]) == (200, "team/ben")
    assert "instanceId" not in shown.json(), "that is its own to know"
    door.post("/api/messages", json={"from": "ada", "to": "eve"})
    for name in ("nobody", "ada", "eve"):
        missing = door.get(f"/api/agents/{name}")
        assert (missing.status_code, missing.json()["code"], missing.json()["field"]) == (404, "unknown_agent", "id")


def test_it_is_removed_and_its_inbox_and_epoch_stay(door: httpx.Client) -> None:
    register(door, "ben", tags=["t"], instanceId="i-1")
    door.post("/api/messages", json={"from": "ada", "to": "ben", "body": "kept"})
    gone = door.delete("/api/agents/ben")
    assert (gone.status_code, gone.json()) == (200, {"id": "ben", "removed": True})
    assert door.get("/api/agents/ben").status_code == 404
    assert door.delete("/api/agents/ben").status_code == 404
    assert door.post("/api/agents/ben/heartbeat", json={}).status_code == 404
    assert door.post("/api/messages", json={"from": "ada", "to": "tag:t", "body": ""}).json()["recipients"] == 0
    back = door.post("/api/agents", json={"id": "ben", "instanceId": "i-2"})
    assert (back.status_code, back.json()["epoch"], back.json()["pending"]) == (201, 2, 1)


def test_a_token_removes_its_own_agent_and_an_operator_s_any(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(env={"RELAY_TOKEN": "the-token-of-the-relay-0123456789"}).start()
    with httpx.Client(base_url=daemon.url, trust_env=False) as door:
        admin = {"X-Agent-Relay-Token": "the-token-of-the-relay-0123456789"}
        door.headers.update(admin)
        for name in ("ann", "ben", "eve"):
            register(door, name)
        bound = door.post("/api/tokens", json={"agent": "ben"}).json()["token"]
        scopes = ["agents:write", "system:write"]
        operator = door.post("/api/tokens", json={"agent": "ops", "scopes": scopes}).json()["token"]
        for token, name, status in ((bound, "ann", 403), (bound, "ben", 200), (operator, "ann", 200)):
            answer = door.delete(f"/api/agents/{name}", headers={"X-Agent-Relay-Token": token})
            assert answer.status_code == status, answer.text
        refused = door.post("/api/agents", json={"id": "eve"}, headers={"X-Agent-Relay-Token": bound})
        assert (refused.status_code, refused.json()["field"]) == (403, "id")
        assert [card["id"] for card in door.get("/api/agents").json()] == ["eve"]


def test_a_heartbeat_is_guarded_by_instance_and_epoch(door: httpx.Client) -> None:
    register(door, "ben", instanceId="i-1")
    beat = door.post("/api/agents/ben/heartbeat", json={"instanceId": "i-1", "epoch": 1, "status": "busy", "load": 0.5})
    assert (beat.status_code, beat.json()["status"], beat.json()["load"]) == (200, "busy", 0.5)
    for body, field in (({"instanceId": "i-2"}, "instanceId"), ({"epoch": 2}, "epoch")):
        stale = door.post("/api/agents/ben/heartbeat", json=body)
        assert (stale.status_code, stale.json()["code"], stale.json()["field"]) == (409, "stale", field)
        assert stale.json()["epoch"] == 1
    assert door.post("/api/agents/ben/heartbeat").status_code == 200
    missing = door.post("/api/agents/nobody/heartbeat", json={})
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_agent")
    wrong = door.post("/api/agents/ben/heartbeat", json={"status": "dead"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "status")


def test_after_a_restart_a_heartbeat_brings_it_back_as_it_was(daemon: Daemon, door: httpx.Client) -> None:
    register(door, "ben", tags=["t"], capabilities=["c"], label="Ben", machine="m1", instanceId="i-1")
    register(door, "eve")
    daemon.kill()
    daemon.start()
    assert door.get("/api/agents/ben").json()["status"] == "offline"
    for body in ({"instanceId": "i-2", "epoch": 1}, {"instanceId": "i-1", "epoch": 2}, {}):
        assert door.post("/api/agents/ben/heartbeat", json=body).json()["code"] == "stale"
    assert door.get("/api/agents/ben").json()["status"] == "offline"
    back = door.post("/api/agents/ben/heartbeat", json={"instanceId": "i-1", "epoch": 1}).json()
    assert (back["status"], back["epoch"], back["tags"], back["capabilities"]) == ("online", 1, ["t"], ["c"])
    assert (back["label"], back["machine"]) == ("Ben", "m1")
    assert door.post("/api/agents/eve/heartbeat").json()["status"] == "online", "its instance needs no name"


def test_after_a_restart_whatever_it_says_brings_it_back(daemon: Daemon, door: httpx.Client) -> None:
    for name in ("ann", "ben", "eve"):
        register(door, name, tags=["t"])
    register(door, "named", instanceId="i-1")
    daemon.kill()
    daemon.start()
    for name in ("ann", "named"):
        door.post("/api/messages", json={"from": name, "to": "x", "body": "hi"})
    door.get("/api/messages", params={"for": "ben"})
    status = {one["id"]: (one["status"], one["tags"]) for one in door.get("/api/agents").json()}
    assert status["ann"] == status["ben"] == ("online", ["t"])
    assert status["eve"] == ("offline", ["t"]), "it has said nothing"
    assert status["named"] == ("offline", []), "that may have been another process of this name"


def test_its_label_changes_and_the_rest_stays(door: httpx.Client) -> None:
    register(door, "ben", tags=["t"])
    changed = door.patch("/api/agents/ben/label", json={"label": "Benno"})
    assert (changed.status_code, changed.json()["name"], changed.json()["tags"]) == (200, "Benno", ["t"])
    assert door.patch("/api/agents/nobody/label", json={"label": "x"}).status_code == 404
    for body in ({}, {"label": ""}, {"label": 5}):
        wrong = door.patch("/api/agents/ben/label", json=body)
        assert (wrong.status_code, wrong.json()["field"]) == (422, "label")


async def test_a_connected_agent_is_taken_over_only_by_a_named_instance(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="ben", instance="socket"),
        httpx.AsyncClient(base_url=daemon.url, trust_env=False) as door,
    ):
        refused = await door.post("/api/agents", json={"id": "ben"})
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "busy", "id")
        assert (await door.get("/api/agents/ben")).json()["epoch"] == 1
        taken = await door.post("/api/agents", json={"id": "ben", "instanceId": "http"})
        assert (taken.status_code, taken.json()["epoch"]) == (200, 2)


async def test_a_message_to_all_reaches_agents_of_both_doors(daemon: Daemon, door: httpx.Client) -> None:
    register(door, "ben")
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        sent = await ann.send("ALL", "hello")
        assert (sent.recipients, sent.online) == (1, 1)
    found = await asyncio.to_thread(door.get, "/api/messages", params={"for": "ben"})
    assert [one["body"] for one in found.json()] == ["hello"]


def test_registering_is_quick(door: httpx.Client) -> None:
    started = time.monotonic()
    for number in range(50):
        register(door, f"agent-{number}")
    assert time.monotonic() - started < 10
    assert len(door.get("/api/agents").json()) == 50
