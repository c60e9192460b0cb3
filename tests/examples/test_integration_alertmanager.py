"""The Alertmanager connector, fed notifications of version 4 as Alertmanager sends them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon import Daemon

from .connector import Connected

WEBHOOK = "webhook-token-0123456789"
FIRING: dict[str, Any] = json.loads((Path(__file__).parent / "payloads" / "alertmanager_v4.json").read_text())


@pytest.fixture
def alertmanager(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Connected:
    return Connected(make_daemon, tmp_path, "alertmanager")


@pytest.fixture
def hook(alertmanager: Connected) -> Iterator[httpx.Client]:
    with alertmanager.serving("alertmanager_webhook.py", WEBHOOK_TOKEN=WEBHOOK) as client:
        client.headers.update({"User-Agent": "Alertmanager/0.27.0", "Authorization": f"Bearer {WEBHOOK}"})
        yield client


def resolved(*numbers: int) -> dict[str, Any]:
    """The same group, in which these alerts are over."""
    said: dict[str, Any] = json.loads(json.dumps(FIRING))
    for number in numbers:
        said["alerts"][number] |= {"status": "resolved", "endsAt": "2026-02-20T09:44:31.052Z"}
    if len(numbers) == len(said["alerts"]):
        said["status"] = "resolved"
    return said


def test_each_alert_is_a_task_until_it_is_resolved(alertmanager: Connected, hook: httpx.Client) -> None:
    assert hook.post("/", json=FIRING).status_code == 200
    disk, load = alertmanager.tasks()
    assert (disk["title"], disk["severity"]) == (
        "HostOutOfDiskSpace: Host out of disk space (instance db1:9100)", "critical",
    )  # fmt: skip
    assert (disk["dedupe_key"], disk["source"], disk["to"]) == ("alert/8f1dbb0df3c1fd72", "alertmanager", "cap:oncall")
    assert (load["title"], load["severity"]) == ("HostHighCpuLoad: Host high CPU load (instance web3:9100)", "warning")
    assert alertmanager.task(disk["message"])["body"] == "Disk is almost full (< 10% left)\n  VALUE = 4.2"

    assert hook.post("/", json=FIRING).status_code == 200  # repeat_interval
    assert [task["occurrences"] for task in alertmanager.tasks()] == [2, 2]

    assert hook.post("/", json=resolved(1)).status_code == 200
    disk, load = alertmanager.tasks()
    assert (disk["state"], load["state"]) == ("ready", "done")
    assert load["reason"] == "resolved at 2026-02-20T09:44:31.052Z"

    assert hook.post("/", json=resolved(0, 1)).status_code == 200, "one of them was over already"
    assert [task["state"] for task in alertmanager.tasks()] == ["done", "done"]
    assert hook.post("/", json=FIRING).status_code == 200
    assert [task["state"] for task in alertmanager.tasks()] == ["done", "done", "ready", "ready"]
    assert hook.post("/", json=resolved(0, 1)).status_code == 200, "sent again: an answer was lost"
    assert [task["state"] for task in alertmanager.tasks()] == ["done", "done", "ready", "ready"]


def test_what_is_no_notification_or_from_nobody_known_is_refused(alertmanager: Connected, hook: httpx.Client) -> None:
    assert hook.post("/", json=FIRING, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert hook.post("/", json={"version": "3"}).status_code == 422
    assert hook.post("/", json={"version": "4", "alerts": [{"status": "firing"}]}).status_code == 422
    assert hook.post("/", content=b"not json").status_code == 400
    assert hook.post("/", json=[]).status_code == 400
    assert alertmanager.tasks() == []


def test_while_the_relay_is_away_it_is_told_to_come_again(alertmanager: Connected, hook: httpx.Client) -> None:
    alertmanager.daemon.kill()
    assert hook.post("/", json=FIRING).status_code == 503
    alertmanager.daemon.start()
    assert hook.post("/", json=FIRING).status_code == 200
    assert len(alertmanager.tasks()) == 2
