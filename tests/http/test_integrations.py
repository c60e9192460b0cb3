"""/api/integrations: events become tasks, are counted, and end; who may report what, how often, and where to."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon import Daemon

ALERTS = "alerts-token-0123456789"
BOUND = "bound-token-0123456789"
ADMIN = "admin-token-0123456789"
SECRET = "callback-secret-0123456789"
CONFIGURED = [
    {"name": "alerts", "token": ALERTS, "ratePerMin": 1000},
    {
        "name": "bound", "token": BOUND, "targets": ["cap:ops", "channel:dev"], "channels": ["ops"],
        "callbackUrl": "http://127.0.0.1:9/very-secret-path", "callbackSecret": SECRET, "callbackEvents": ["done"],
        "ratePerMin": 6,
    },
]  # fmt: skip
EVENTS = "/api/integrations/events"


@pytest.fixture
def door(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a relay with integrations, who comes as its operator."""
    file = tmp_path / "integrations.json"
    file.write_text(json.dumps(CONFIGURED))
    daemon = make_daemon("--token", ADMIN, "--integrations", str(file)).start()
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False, headers=bearer(ADMIN)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def post(door: httpx.Client, token: str = ALERTS, **event: Any) -> httpx.Response:
    return door.post(EVENTS, json={"title": "disk full", "target": "cap:ops", **event}, headers=bearer(token))


def test_an_event_makes_a_task_is_counted_and_is_over(door: httpx.Client) -> None:
    made = post(
        door, body="98 %", channel="ops", type="alert", severity="error", dedupeKey="disk/1", payload={"used": [98]},
        metadata={"host": "db1", "n": 2},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    task = made.json()["task"]
    assert made.json() == {"created": True, "task": task}
    shown = {
        "status": "open", "state": "ready", "title": "disk full", "target": "cap:ops", "source": "alerts",
        "from": "integration/alerts", "threadId": task["id"], "dedupeKey": "disk/1", "channel": "ops", "type": "alert",
        "severity": "error", "priority": 6, "body": "98 %", "payload": {"used": [98]}, "occurrences": 1,
    }  # fmt: skip
    assert {name: task[name] for name in shown} == shown
    assert door.get(f"/api/tasks/{task['id']}").json() == task
    again = post(door, dedupeKey="disk/1")
    assert (again.status_code, again.json()["created"], again.json()["occurrences"]) == (200, False, 2)
    assert again.json()["task"]["id"] == task["id"]
    over = door.post(
        EVENTS, json={"status": "resolved", "dedupeKey": "disk/1", "reason": "rotated", "result": "ok"},
        headers=bearer(ALERTS),
    )  # fmt: skip
    assert (over.status_code, over.json()["resolved"], over.json()["task"]["status"]) == (200, True, "done")
    anew = post(door, dedupeKey="disk/1")
    assert anew.status_code == 201
    assert anew.json()["task"]["id"] != task["id"]


def test_the_task_carries_what_the_event_said(door: httpx.Client, tmp_path: Path) -> None:
    made = post(door, body="b", payload={"ü": [1, None]}, metadata={"s": "x", "n": 1.5, "t": True})
    message = made.json()["task"]["id"]
    database = sqlite3.connect(f"file:{tmp_path / 'data0' / 'relay.db'}?mode=ro", uri=True)
    found = database.execute(
        "SELECT sender, body, payload, headers, claimable FROM messages WHERE message = ?", (message,)
    ).fetchone()
    database.close()
    sender, body, payload, headers, claimable = found
    assert (sender, body, claimable) == ("integration/alerts", "b", 1)
    assert json.loads(payload) == {"ü": [1, None]}
    assert json.loads(headers) == {"s": "x", "n": "1.5", "t": "true"}


def test_the_same_request_again_is_one_event(door: httpx.Client) -> None:
    first, again = (post(door, idempotencyKey="mail-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["duplicate"] is True
    assert again.json()["task"]["id"] == first.json()["task"]["id"]
    other = post(door, idempotencyKey="mail-1", title="another")
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "key_conflict", "idempotencyKey")
    reports = [post(door, idempotencyKey=key, dedupeKey="d").json().get("occurrences") for key in "abbc"]
    assert reports == [None, 2, 2, 3]


def test_the_same_resolution_again_is_the_first_and_ends_no_later_task(door: httpx.Client) -> None:
    over = {"status": "resolved", "dedupeKey": "disk/1", "idempotencyKey": "r1"}
    first = post(door, dedupeKey="disk/1").json()["task"]["id"]
    assert post(door, **over).json().get("duplicate") is None
    again = post(door, **over)
    assert (again.status_code, again.json()["resolved"], again.json()["duplicate"]) == (200, True, True)
    later = post(door, dedupeKey="disk/1").json()["task"]["id"]
    assert post(door, **over).json()["task"]["id"] == first
    assert door.get(f"/api/tasks/{later}").json()["status"] == "open"
    other = post(door, **over | {"dedupeKey": "disk/2"})
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "key_conflict", "idempotencyKey")


def test_an_event_that_follows_another_is_in_its_thread(door: httpx.Client) -> None:
    first = post(door, idempotencyKey="<1@x>").json()["task"]
    second = post(door, idempotencyKey="<2@x>", follows="<1@x>").json()["task"]
    followed = post(door, idempotencyKey="<4@x>", follows=["<nobody@x>", "<2@x>", "<1@x>"])
    assert followed.status_code == 201, followed.text
    third = followed.json()["task"]
    stranger = post(door, idempotencyKey="<3@x>", follows="<nobody@x>").json()["task"]
    assert third["threadId"] == second["threadId"] == first["threadId"] == first["id"]
    assert stranger["threadId"] == stranger["id"]


def test_one_who_was_never_seen_gets_its_task_when_it_comes(door: httpx.Client) -> None:
    assert post(door, target="nobody-yet").status_code == 201
    assert post(door, target="cap:nobody-has").status_code == 201


def test_where_events_may_go(door: httpx.Client) -> None:
    assert post(door, BOUND).status_code == 201
    assert post(door, BOUND, channel="ops").status_code == 201
    for said, field in (
        ({"target": "ann"}, "target"),
        ({"target": "broadcast"}, "target"),
        ({"channel": "dev"}, "channel"),
        ({"target": "channel:dev"}, "target"),
    ):
        refused = post(door, BOUND, **said)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (403, "forbidden", field)


def test_so_many_events_a_minute(door: httpx.Client) -> None:
    codes = [post(door, BOUND, dedupeKey="same").status_code for _ in range(7)]
    assert codes == [201, 200, 200, 200, 200, 200, 429]
    late = post(door, BOUND, dedupeKey="same")
    assert late.json()["code"] == "rate_limited"
    assert late.json()["limit"] == 6
    assert 0 < int(late.headers["Retry-After"]) <= 11
    assert post(door, ALERTS).status_code == 201, "another integration is not held up"


def test_who_may_report_for_whom(door: httpx.Client) -> None:
    assert post(door, ADMIN, integration="alerts").json()["task"]["from"] == "integration/alerts"
    nobody = post(door, ADMIN)
    assert (nobody.status_code, nobody.json()["field"]) == (422, "integration")
    another = post(door, ALERTS, integration="bound")
    assert (another.status_code, another.json()["code"]) == (403, "forbidden")
    assert post(door, ALERTS, integration="alerts").status_code == 201
    assert post(door, "wrong-token-0123456789").status_code == 401
    assert door.get("/api/integrations", headers=bearer(ALERTS)).status_code == 403
    agent = door.post("/api/tokens", json={"agent": "ann", "scopes": ["events:create"]}).json()["token"]
    assert post(door, agent, integration="alerts").status_code == 403


def test_a_stored_token_of_an_integration_has_the_bounds_of_the_configuration(door: httpx.Client) -> None:
    made = door.post("/api/tokens", json={"integration": "bound"})
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    assert post(door, token, dedupeKey="k").json()["task"]["source"] == "bound"
    assert post(door, token, target="ann").status_code == 403
    stray = door.post("/api/tokens", json={"integration": "unheard-of"}).json()["token"]
    refused = post(door, stray, target="ann")
    assert (refused.status_code, refused.json()["field"]) == (403, "integration")


def test_what_does_not_fit_is_refused_by_its_field(door: httpx.Client) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"title": None}, "title"),
        ({"title": "x" * 257}, "title"),
        ({"target": None}, "target"),
        ({"target": "nope:x"}, "target"),
        ({"to": "ann"}, "target"),
        ({"severity": "bad"}, "severity"),
        ({"status": "closed"}, "status"),
        ({"body": {"a": 1}}, "body"),
        ({"metadata": {"a": {"b": 1}}}, "metadata"),
        ({"status": "resolved"}, "dedupeKey"),
        ({"integration": "a b"}, "integration"),
    ]
    for event, field in wrong:
        refused = post(door, **event)
        assert refused.status_code == 422, (event, refused.text)
        assert refused.json()["field"].startswith(field), event


def test_a_payload_that_is_no_text_is_refused(door: httpx.Client) -> None:
    headers = bearer(ALERTS) | {"Content-Type": "application/json"}
    data = b'{"title": "t", "target": "ann", "payload": "\xff"}'
    refused = door.post(EVENTS, content=data, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (422, "payload")


def test_body_and_payload_together_have_a_limit(door: httpx.Client) -> None:
    big: list[tuple[dict[str, Any], str]] = [
        ({"body": "x" * 200_000, "payload": "y" * 100_000}, "body"),
        ({"body": "x" * 300_000}, "body"),
        ({"status": "resolved", "dedupeKey": "k", "result": "x" * 70_000}, "result"),
    ]
    for event, field in big:
        refused = post(door, **event)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (413, "too_large", field)


def test_what_nobody_reported_can_t_be_resolved(door: httpx.Client) -> None:
    refused = door.post(EVENTS, json={"status": "resolved", "dedupeKey": "x"}, headers=bearer(ALERTS))
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_message")


def test_what_is_set_is_shown_without_secrets(door: httpx.Client) -> None:
    post(door, BOUND, dedupeKey="k")
    door.post(EVENTS, json={"status": "resolved", "dedupeKey": "k"}, headers=bearer(BOUND))
    shown = door.get("/api/integrations")
    assert shown.status_code == 200
    alerts, bound = shown.json()
    assert alerts == {"name": "alerts", "ratePerMin": 1000}
    assert bound.pop("callbacks")["delivered"] == 0
    bound.pop("lastFailure", None)
    assert bound == {
        "name": "bound", "ratePerMin": 6, "targets": ["cap:ops", "channel:dev"], "channels": ["ops"],
        "callbackOrigin": "http://127.0.0.1:9", "callbackEvents": ["task.done"], "signed": True,
    }  # fmt: skip
    callbacks = door.get("/api/integrations/bound/callbacks")
    assert [one["event"] for one in callbacks.json()] == ["task.done"]
    for text in (shown.text, callbacks.text):
        for secret in (ALERTS, BOUND, SECRET, "very-secret-path"):
            assert secret not in text


def test_a_relay_that_asks_for_no_token_takes_an_event_of_any_name(daemon: Daemon) -> None:
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as door:
        made = door.post(EVENTS, json={"integration": "cron", "title": "backup failed", "to": "ann"})
        assert (made.status_code, made.json()["task"]["from"]) == (201, "integration/cron")
        assert door.get("/api/integrations").json() == []
        assert door.get("/api/integrations/cron/callbacks").status_code == 404


def test_the_environment_configures_too_and_errors_are_the_command_s(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make_daemon(env={"RELAY_INTEGRATIONS": json.dumps({"mail": {"targets": ["ann"]}})}).start()
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as door:
        [card] = door.get("/api/integrations").json()
        assert (card["name"], card["targets"]) == ("mail", ["ann"])
        made = door.post(EVENTS, json={"integration": "mail", "title": "its only target is meant"})
        assert made.json()["task"]["target"] == "ann"
    wrong = make_daemon(env={"RELAY_INTEGRATIONS": '[{"name": "a", "token": "hunter2"}]'})
    with pytest.raises(RuntimeError, match="RELAY_INTEGRATIONS: integration 'a': token has 7 characters") as caught:
        wrong.start()
    assert "ended with 2" in str(caught.value)
    assert "hunter2" not in str(caught.value)
