"""bus.py: the door of the bus for twenty agents, over real HTTP against the daemon process."""

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.daemon import Daemon
from tests.http.raw import HOST, Raw


def send(door: httpx.Client, sender: str, to: str, body: str, **fields: Any) -> httpx.Response:
    return door.post("/api/send", json={"from": sender, "to": to, "subject": "s", "body": body, **fields})


def bodies(door: httpx.Client, name: str, **query: Any) -> list[str]:
    answer = door.get(f"/api/inbox/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return [one["body"] for one in answer.json()]


def test_a_letter_waits_in_the_inbox_of_a_name_until_it_is_marked_as_read(door: httpx.Client) -> None:
    sent = send(door, "ada", "ben", "hi")
    assert (sent.status_code, sent.json()) == (201, {"ok": True, "id": 1, "recipients": 1, "online": 0})
    (letter,) = door.get("/api/inbox/ben").json()
    assert (letter["from"], letter["to"], letter["subject"], letter["body"]) == ("ada", "ben", "s", "hi")
    assert bodies(door, "ben") == ["hi"], "reading changes nothing"
    assert bodies(door, "ben", mark_read="true") == ["hi"]
    assert bodies(door, "ben", mark_read="true") == []
    assert door.get("/api/messages/1").json()["readBy"] == ["ben"]


def test_all_reaches_each_who_reads_an_inbox_but_the_sender(door: httpx.Client) -> None:
    for name in ("ada", "ben", "eve"):
        assert bodies(door, name) == []
    assert send(door, "ada", "ALL", "to all").json()["recipients"] == 2
    assert [bodies(door, name) for name in ("ada", "ben", "eve")] == [[], ["to all"], ["to all"]]


def test_a_key_makes_one_letter(door: httpx.Client) -> None:
    assert send(door, "ada", "ben", "hi", idempotencyKey="k").status_code == 201
    again = send(door, "ada", "ben", "hi", idempotencyKey="k")
    assert (again.status_code, again.json()["duplicate"], again.json()["id"]) == (200, True, 1)
    assert send(door, "ada", "ben", "other", idempotencyKey="k").status_code == 409


def test_a_letter_is_not_read_by_who_went_before_the_answer(daemon: Daemon, door: httpx.Client) -> None:
    send(door, "ada", "ben", "hi")
    os.kill(daemon.pid, signal.SIGSTOP)
    with Raw(daemon) as hasty:
        hasty.say(b"GET /api/inbox/ben?mark_read=true HTTP/1.1\r\n", HOST, b"\r\n")
    os.kill(daemon.pid, signal.SIGCONT)
    for _ in range(10):  # what the first one set in motion is over by then
        assert bodies(door, "ben") == ["hi"]
    assert bodies(door, "ben", mark_read="true") == ["hi"]
    assert bodies(door, "ben", mark_read="true") == []


def test_a_look_at_the_head_of_an_inbox_reads_nothing(door: httpx.Client) -> None:
    send(door, "ada", "ben", "hi")
    assert door.head("/api/inbox/ben", params={"mark_read": "true"}).status_code == 200
    assert bodies(door, "ben", mark_read="true") == ["hi"]


def test_who_closes_after_the_answer_has_read_it(door: httpx.Client) -> None:
    send(door, "ada", "ben", "hi")
    for expected in (["hi"], []):
        answer = door.get("/api/inbox/ben", params={"mark_read": "true"}, headers={"Connection": "close"})
        assert [one["body"] for one in answer.json()] == expected


def test_what_was_marked_is_not_there_for_the_very_next_request(door: httpx.Client) -> None:
    for turn in range(50):
        send(door, "ada", "ben", f"letter {turn}")
        assert bodies(door, "ben", mark_read="true") == [f"letter {turn}"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"to": "ben"}, "from"), ({"from": "ada"}, "to"), ({"from": "ada", "to": "a b"}, "to"),
     ({"from": "ada", "to": "ben", "body": 5}, "body"), ({"from": 1, "to": "ben"}, "from")],
)  # fmt: skip
def test_a_letter_that_does_not_fit(door: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = door.post("/api/send", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert door.get("/api/messages/cursor").json()["cursor"] == 0


def test_an_inbox_that_can_t_be(door: httpx.Client) -> None:
    assert door.get("/api/inbox/a%20b").json()["field"] == "agent"
    assert door.get("/api/inbox/ben", params={"mark_read": "maybe"}).json()["field"] == "mark_read"


def test_the_token_of_the_bus(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(env={"RELAY_TOKEN": "the-secret-of-the-bus-0123456789"}).start()
    with httpx.Client(base_url=daemon.url, trust_env=False) as door:
        assert send(door, "ada", "ben", "hi").status_code == 401
        door.headers["X-Bus-Token"] = "the-secret-of-the-bus-0123456789"
        assert send(door, "ada", "ben", "hi").status_code == 201
        assert bodies(door, "ben", mark_read="true") == ["hi"]


def test_a_bound_token_reads_its_own_and_marks_no_other_s(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(env={"RELAY_TOKEN": "the-secret-of-the-bus-0123456789"}).start()
    with httpx.Client(base_url=daemon.url, trust_env=False) as door:
        door.headers["X-Bus-Token"] = "the-secret-of-the-bus-0123456789"
        token = door.post("/api/tokens", json={"agent": "ben"}).json()["token"]
        send(door, "ada", "ben", "for ben")
        send(door, "ada", "eve", "for eve")
        door.headers["X-Bus-Token"] = token
        assert bodies(door, "ben", mark_read="true") == ["for ben"]
        refused = door.get("/api/inbox/eve", params={"mark_read": "true"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        spoken = send(door, "eve", "ben", "x")
        assert (spoken.status_code, spoken.json()["field"]) == (403, "from")
        assert door.post("/api/send", json={"to": "eve", "body": "mine"}).status_code == 201
        assert door.get("/api/messages/3").json()["from"] == "ben"
