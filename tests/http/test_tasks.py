"""tasks.py: work over real HTTP against the daemon process."""

import asyncio
from typing import Any

import httpx
import pytest

import relay_client
from tests.daemon import Daemon


@pytest.fixture
def task(door: httpx.Client) -> int:
    """Work that ada sent to ben."""
    answer = door.post("/api/messages", json={"from": "ada", "to": "ben", "subject": "job", "claimable": True})
    assert answer.status_code == 201
    return int(answer.json()["id"])


def claim(door: httpx.Client, task: int, agent: str = "ben", **fields: Any) -> httpx.Response:
    return door.post(f"/api/tasks/{task}/claim", json={"agentId": agent, **fields})


def say(door: httpx.Client, task: int, status: str, agent: str = "ben", **fields: Any) -> httpx.Response:
    return door.patch(f"/api/tasks/{task}/status", json={"agentId": agent, "status": status, **fields})


def test_one_claims_it_and_another_is_told_who(door: httpx.Client, task: int) -> None:
    first = claim(door, task, leaseS=30)
    assert first.status_code == 200
    got = first.json()
    assert (got["status"], got["state"], got["claimedBy"], got["fence"], got["leaseS"]) == (
        "claimed", "claimed", "ben", 1, 30,
    )  # fmt: skip
    assert got["claimExpiresAt"] > got["createdAt"]
    taken = claim(door, task, "eve")
    assert (taken.status_code, taken.json()["code"], taken.json()["holder"]) == (409, "claimed", "ben")
    assert 0 < taken.json()["leaseLeftS"] <= 30
    assert claim(door, task).json()["fence"] == 1, "the same process asks again"
    by_message = door.post(f"/api/messages/{task}/claim", json={"agentId": "ben"})
    assert (by_message.status_code, by_message.json()["fence"]) == (200, 1)


def test_a_claim_is_guarded_by_instance_and_epoch(door: httpx.Client, task: int) -> None:
    door.post("/api/agents", json={"id": "ben", "instanceId": "i-1"})
    for guard, field in (({"instanceId": "i-0"}, "instanceId"), ({"epoch": 9}, "epoch")):
        for path in (f"/api/tasks/{task}/claim", f"/api/messages/{task}/claim"):
            stale = door.post(path, json={"agentId": "ben", **guard})
            assert (stale.status_code, stale.json()["code"], stale.json()["field"]) == (409, "stale", field)
    assert claim(door, task, instanceId="i-1", epoch=1).status_code == 200
    assert claim(door, task).status_code == 200, "the polled agent's own instance, unless it is said"
    assert say(door, task, "in_progress", epoch=2).json()["code"] == "stale"
    door.post("/api/agents", json={"id": "ben", "instanceId": "i-2"})
    assert say(door, task, "in_progress", instanceId="i-1", epoch=1).json()["code"] == "stale"
    assert claim(door, task, instanceId="i-2", epoch=2).json()["code"] == "claimed", "another process of the same name"


def test_its_life_from_claim_to_done(door: httpx.Client, task: int) -> None:
    assert say(door, task, "claimed").json()["status"] == "claimed"
    working = say(door, task, "in_progress", progress=0.4, note="half way").json()
    assert (working["status"], working["state"], working["progress"], working["note"]) == (
        "in_progress", "working", 0.4, "half way",
    )  # fmt: skip
    blocked = say(door, task, "blocked", reason="who decides?").json()
    assert (blocked["status"], blocked["state"], blocked["needs"]) == ("blocked", "parked", "human")
    assert say(door, task, "working").json()["state"] == "working"
    done = say(door, task, "done", result={"files": 3})
    assert (done.status_code, done.json()["status"], done.json()["result"]) == (200, "done", '{"files":3}')
    assert say(door, task, "completed", result={"files": 3}).status_code == 200, "said again, it is the same"
    events = door.get(f"/api/tasks/{task}/events").json()
    assert [one["event"] for one in events] == ["submit", "claim", "progress", "park", "progress", "complete"]
    assert (events[1]["agent"], events[1]["fence"], events[1]["status"]) == ("ben", 1, "claimed")


def test_its_other_ends(door: httpx.Client, task: int) -> None:
    claim(door, task)
    released = say(door, task, "released").json()
    assert (released["status"], released["state"], released["attempts"]) == ("open", "ready", 0)
    assert claim(door, task).json()["fence"] == 2
    assert say(door, task, "open").json()["state"] == "ready"
    claim(door, task)
    failed = say(door, task, "failed", reason="no disk").json()
    assert (failed["status"], failed["state"], failed["reason"]) == ("open", "delayed", "no disk")
    refused = say(door, task, "canceled", agent="eve")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    canceled = say(door, task, "canceled", agent="ada", reason="enough").json()
    assert (canceled["status"], canceled["reason"]) == ("canceled", "enough")
    assert say(door, task, "canceled", agent="eve", force=True).status_code == 200, "it is canceled already"
    over = claim(door, task)
    assert (over.status_code, over.json()["code"], over.json()["state"]) == (409, "finished", "canceled")


def test_a_failure_for_good(door: httpx.Client, task: int) -> None:
    claim(door, task)
    assert say(door, task, "failed", retry=False).json()["status"] == "failed"


def test_an_older_fence_and_another_s_word_are_refused(door: httpx.Client, task: int) -> None:
    unclaimed = say(door, task, "done")
    assert (unclaimed.status_code, unclaimed.json()["code"]) == (409, "not_holder")
    claim(door, task)
    other = say(door, task, "done", agent="eve")
    assert (other.status_code, other.json()["code"]) == (409, "not_holder")
    say(door, task, "released")
    claim(door, task, "eve")
    old = say(door, task, "done", fence=1)
    assert (old.status_code, old.json()["code"], old.json()["fence"]) == (409, "stale_fence", 2)
    assert door.get(f"/api/tasks/{task}").json()["state"] == "claimed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"agentId": "ben"}, "status"),
        ({"status": "done"}, "agentId"),
        ({"agentId": "ben", "status": "finished"}, "status"),
        ({"agentId": "a b", "status": "done"}, "agentId"),
        ({"agentId": "ben", "status": "done", "fence": 0}, "fence"),
        ({"agentId": "ben", "status": "working", "progress": 2}, "progress"),
        ({"agentId": "ben", "status": "blocked", "needs": "money"}, "needs"),
        ({"agentId": "ben", "status": "blocked", "needs": "dependency"}, "dependsOn"),
        ({"agentId": "ben", "status": "blocked", "deadlineS": 0}, "deadlineS"),
        ({"agentId": "ben", "status": "claimed", "leaseS": 0}, "leaseS"),
        ({"agentId": "ben", "status": "failed", "reason": "x" * 1025}, "reason"),
    ],
)
def test_a_word_that_does_not_fit_is_named(door: httpx.Client, task: int, body: dict[str, Any], field: str) -> None:
    claim(door, task)
    answer = door.patch(f"/api/tasks/{task}/status", json=body)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text
    assert door.get(f"/api/tasks/{task}").json()["state"] == "claimed"


def test_a_result_that_is_too_large(door: httpx.Client, task: int) -> None:
    claim(door, task)
    answer = say(door, task, "done", result="x" * 65_537)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (413, "too_large", "result")


def test_what_is_no_task(door: httpx.Client) -> None:
    door.post("/api/messages", json={"from": "ada", "to": "ben", "body": ""})
    for path in ("/api/tasks/99", "/api/tasks/99/events"):
        missing = door.get(path)
        assert (missing.status_code, missing.json()["code"], missing.json()["field"]) == (404, "unknown_message", "id")
    for path in ("/api/tasks/1", "/api/tasks/1/events"):
        assert (door.get(path).status_code, door.get(path).json()["code"]) == (404, "not_claimable")
    assert (claim(door, 99).status_code, claim(door, 1).status_code) == (404, 409)
    assert (say(door, 99, "done").status_code, say(door, 99, "claimed").status_code) == (404, 404)
    assert door.get("/api/tasks/x").json()["field"] == "id"
    assert claim(door, 1, "a b").json()["field"] == "agentId"


async def submit_three(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        await ann.submit("cap:review", "one", source="ci", dedupe_key="k", severity="error")
        await ann.submit("ben", "two", "text", hold=True, type="fix", payload={"n": 1})
        await ann.submit("ben", "three", hold=True)


def test_they_are_listed_by_each_filter(daemon: Daemon, door: httpx.Client) -> None:
    asyncio.run(submit_three(daemon))
    claim(door, 2)
    say(door, 2, "done", result="fine")

    def ids(**query: Any) -> list[int]:
        answer = door.get("/api/tasks", params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()]

    assert (ids(), ids(status="done"), ids(status="open,done")) == ([1, 3], [2], [1, 2, 3])
    assert (ids(source="ci"), ids(target="ben"), ids(severity="error")) == ([1], [3], [1])
    assert (ids(status="completed", agent="ben"), ids(status="done", type="fix")) == ([2], [2])
    page = door.get("/api/tasks", params={"limit": 1})
    assert (len(page.json()), page.headers["x-next-since"]) == (1, "1")
    assert ids(since=1) == [3]
    shown = door.get("/api/tasks/2").json()
    assert (shown["title"], shown["body"], shown["payload"], shown["result"]) == ("two", "text", {"n": 1}, "fine")
    listed = door.get("/api/tasks").json()[0]
    assert (listed["target"], listed["source"], listed["dedupeKey"], listed["occurrences"]) == (
        "cap:review", "ci", "k", 1,
    )  # fmt: skip
    for query, field in (({"status": "open,nope"}, "status"), ({"target": "a b"}, "target"), ({"limit": 0}, "limit")):
        wrong = door.get("/api/tasks", params=query)
        assert (wrong.status_code, wrong.json()["field"]) == (422, field), wrong.text
