"""The GitHub connector, fed the deliveries that GitHub sends, signed as GitHub signs them."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon import Daemon

from .connector import Connected

SECRET = "It's a Secret to Everybody"
OPENED = (Path(__file__).parent / "payloads" / "github_issues_opened.json").read_bytes()


@pytest.fixture
def github(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Connected:
    return Connected(make_daemon, tmp_path, "github")


@pytest.fixture
def hook(github: Connected) -> Iterator[httpx.Client]:
    with github.serving("github_webhook.py", GITHUB_SECRET=SECRET) as client:
        yield client


def deliver(
    hook: httpx.Client, body: bytes, event: str = "issues", guid: str = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
) -> httpx.Response:
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "User-Agent": "GitHub-Hookshot/044aadd", "Content-Type": "application/json", "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid, "X-GitHub-Hook-ID": "292430182", "X-Hub-Signature-256": f"sha256={mac}",
    }  # fmt: skip
    return hook.post("/", content=body, headers=headers)


def changed(action: str, **issue: Any) -> bytes:
    said = json.loads(OPENED)
    said["action"] = action
    said["issue"] |= issue
    return json.dumps(said).encode()


def test_an_issue_is_a_task_until_it_is_closed(github: Connected, hook: httpx.Client) -> None:
    assert deliver(hook, OPENED).status_code == 200
    [task] = github.tasks()
    assert (task["state"], task["to"], task["severity"], task["type"]) == (
        "ready",
        "cap:triage",
        "error",
        "github.issue",
    )
    assert (task["source"], task["dedupe_key"]) == ("github", "github/371013309/47")
    assert task["title"] == "octo-org/octo-repo#47 Upload fails with “413” — größer als 1 MB"
    whole = github.task(task["message"])
    assert whole["body"] == json.loads(OPENED)["issue"]["body"]
    payload = json.loads(whole["payload"]) if isinstance(whole["payload"], str) else whole["payload"]
    assert payload == {
        "url": "https://github.com/octo-org/octo-repo/issues/47", "author": "Codertocat", "labels": ["bug"],
    }  # fmt: skip

    closed = changed("closed", state="closed", state_reason="completed", closed_at="2026-02-21T10:00:00Z")
    assert deliver(hook, closed, guid="2").status_code == 200
    [task] = github.tasks()
    assert (task["state"], task["reason"]) == ("done", "closed by Codertocat: completed")

    assert deliver(hook, changed("reopened", state_reason="reopened"), guid="3").status_code == 200
    assert [task["state"] for task in github.tasks()] == ["done", "ready"]


def test_a_redelivery_makes_no_second_task_and_other_events_make_none(github: Connected, hook: httpx.Client) -> None:
    for _ in range(2):
        assert deliver(hook, OPENED).status_code == 200
    assert deliver(hook, changed("labeled"), guid="4").status_code == 200
    assert deliver(hook, b'{"zen": "Keep it logically awesome.", "hook_id": 1}', "ping").status_code == 200
    assert deliver(hook, changed("closed", number=999), guid="5").status_code == 200, "nobody knows of that one"
    [task] = github.tasks()
    assert (task["state"], task.get("occurrences", 1)) == ("ready", 1)


def test_what_is_not_signed_is_refused(github: Connected, hook: httpx.Client) -> None:
    forged = hook.post("/", content=OPENED, headers={"X-GitHub-Event": "issues", "X-Hub-Signature-256": "sha256=00"})
    unsigned = hook.post("/", content=OPENED, headers={"X-GitHub-Event": "issues"})
    assert (forged.status_code, unsigned.status_code) == (401, 401)
    assert deliver(hook, b"{").status_code == 400
    assert deliver(hook, b'{"action": "opened"}').status_code == 422
    assert github.tasks() == []


def test_while_the_relay_is_away_github_is_told_to_come_again(github: Connected, hook: httpx.Client) -> None:
    github.daemon.kill()
    assert deliver(hook, OPENED).status_code == 503
    github.daemon.start()
    assert deliver(hook, OPENED).status_code == 200
    assert len(github.tasks()) == 1
