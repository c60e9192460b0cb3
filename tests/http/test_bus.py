"""bus.py: the door of the bus for twenty agents, over real HTTP against the daemon process."""

import os
import signal
import socket
import struct
import time
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
    assert send(door, "ada", "all", "in small letters").json()["recipients"] == 2


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


def test_what_was_not_taken_off_the_connection_is_not_read(daemon: Daemon, door: httpx.Client) -> None:
    for i in range(40):
        assert send(door, "ada", "ben", f"{i} " + "x" * 20_000).status_code == 201
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Small segments: the kernel sizes the relay's send buffer by them, and must not have room for all of it.
        deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
        deaf.connect(("127.0.0.1", daemon.port))
        deaf.sendall(b"GET /api/inbox/ben?mark_read=true HTTP/1.1\r\n" + HOST + b"\r\n")
        assert deaf.recv(1, socket.MSG_PEEK), "the answer has begun to come"
    for _ in range(10):
        assert len(bodies(door, "ben")) == 40


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


def work(door: httpx.Client, sender: str, to: str, body: str, **fields: Any) -> int:
    answer = door.post("/api/messages", json={"from": sender, "to": to, "body": body, "claimable": True, **fields})
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


def test_what_is_not_due_is_not_shown_and_not_marked_before_its_time(door: httpx.Client) -> None:
    door.post("/api/messages", json={"from": "ada", "to": "ben", "body": "in an hour", "delayS": 3600})
    door.post("/api/messages", json={"from": "ada", "to": "ben", "body": "in a second", "delayS": 1})
    assert bodies(door, "ben") == []
    assert bodies(door, "ben", mark_read="true") == []
    listed = door.get("/api/messages", params={"for": "ben", "unread": "true"}).json()
    assert ["dueAt" in one for one in listed] == [True, True], "a list that is not waited for shows what is to come"
    started = time.monotonic()
    assert bodies(door, "ben", mark_read="true", wait=8) == ["in a second"]
    assert 0.5 < time.monotonic() - started < 6
    (to_come,) = door.get("/api/messages/1").json()["deliveries"]
    assert (to_come["stage"], to_come["attempt"]) == ("queued", 1)


def test_what_is_not_due_does_not_hide_what_stands_behind_it(door: httpx.Client) -> None:
    for number in range(5):
        door.post("/api/messages", json={"from": "ada", "to": "ben", "body": f"later {number}", "delayS": 3600})
    for number in range(3):
        send(door, "ada", "ben", f"now {number}")
    answer = door.get("/api/inbox/ben", params={"limit": 2})
    assert [one["body"] for one in answer.json()] == ["now 0", "now 1"]
    since = answer.headers["X-Next-Since"]
    last = door.get("/api/inbox/ben", params={"limit": 2, "since": since, "wait": 5})
    assert [one["body"] for one in last.json()] == ["now 2"]
    assert "X-Next-Since" not in last.headers


def test_work_that_was_shown_ends_no_wait_until_there_is_something_new(door: httpx.Client) -> None:
    number = work(door, "ada", "ben", "build it")
    assert bodies(door, "ben", mark_read="true", wait=5) == ["build it"]
    started = time.monotonic()
    assert bodies(door, "ben", mark_read="true", wait=0.6) == []
    assert time.monotonic() - started >= 0.55
    for _ in range(5):
        assert bodies(door, "ben", mark_read="true") == ["build it"], "it can't be read away"
    (delivery,) = door.get(f"/api/messages/{number}").json()["deliveries"]
    assert (delivery["stage"], delivery["attempt"]) == ("queued", 2), "it was put off once, by the first"
    (shown,) = door.get("/api/inbox/ben").json()
    assert 50_000 < shown["dueAt"] - shown["at"] <= 60_000, "and is new again after a minute"
    send(door, "ada", "ben", "hi")
    assert bodies(door, "ben", mark_read="true", wait=5) == ["hi"]


def test_work_that_is_held_ends_no_wait_until_it_is_given_back(door: httpx.Client) -> None:
    number = work(door, "ada", "ben", "build it")
    assert door.post(f"/api/tasks/{number}/claim", json={"agentId": "ben"}).status_code == 200
    started = time.monotonic()
    assert bodies(door, "ben", mark_read="true", wait=0.6) == []
    assert time.monotonic() - started >= 0.55
    (held,) = door.get("/api/inbox/ben", params={"mark_read": "true"}).json()
    assert (held["claimedBy"], held["status"]) == ("ben", "claimed")
    assert bodies(door, "ben") == ["build it"], "its holder has it in its inbox until it is over"
    given_back = door.patch(f"/api/tasks/{number}/status", json={"agentId": "ben", "status": "open"})
    assert given_back.status_code == 200, given_back.text
    assert bodies(door, "ben", mark_read="true", wait=5) == ["build it"]


def test_work_for_any_one_goes_on_to_another_when_who_has_read_it_does_nothing(door: httpx.Client) -> None:
    for name in ("ben", "eve"):
        door.post("/api/agents", json={"id": name, "tags": ["t"]})
    work(door, "ada", "any:tag:t", "build it", offerS=1)
    first = next(name for name in ("ben", "eve") if bodies(door, name, mark_read="true"))
    other = "eve" if first == "ben" else "ben"
    assert bodies(door, other, mark_read="true", wait=8) == ["build it"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": "ben", "body": ""}, "from"),
        ({"from": "ada", "body": ""}, "to"),
        ({"from": "ada", "to": "a b", "body": ""}, "to"),
        ({"from": "ada", "to": "ben", "body": 5}, "body"),
        ({"from": "ada", "to": "ben", "message": "x"}, "body"),
        ({"from": 1, "to": "ben"}, "from"),
    ],
)
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
