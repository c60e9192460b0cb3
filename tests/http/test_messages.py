"""messages.py: messages over real HTTP against the daemon process."""

import base64
from typing import Any

import httpx
import pytest

import relay_client
from relay_proto import limits
from tests.daemon import Daemon


def send(door: httpx.Client, status: int = 201, **fields: Any) -> dict[str, Any]:
    body = {"from": "ada", "to": "ben", "subject": "s"} | {
        "from" if name == "sender" else name: fields[name] for name in fields
    }
    answer = door.post("/api/messages", json=body)
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def inbox(door: httpx.Client, name: str = "ben", **query: Any) -> list[dict[str, Any]]:
    answer = door.get("/api/messages", params={"for": name} | query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_a_send_is_answered_with_the_message(door: httpx.Client) -> None:
    sent = send(
        door, subject="s", body="b", channel="ci", payload={"a": [1, None, 2.5]}, type="note", severity="info",
        priority=7, headers={"h": "v"}, contentType="text/plain", intent="inform",
    )  # fmt: skip
    assert sent.pop("createdAt") > 1_600_000_000_000
    (delivery,) = sent.pop("deliveries")
    assert (delivery["agent"], delivery["stage"]) == ("ben", "queued")
    assert sent == {
        "id": 1, "from": "ada", "to": "ben", "subject": "s", "body": "b", "channel": "ci", "threadId": 1, "hops": 0,
        "claimable": False, "payload": {"a": [1, None, 2.5]}, "type": "note", "severity": "info", "priority": 7,
        "headers": {"h": "v"}, "contentType": "text/plain", "intent": "inform", "readBy": [], "recipients": 1,
        "online": 0,
    }  # fmt: skip


def test_names_that_never_registered_send_and_are_sent_to(door: httpx.Client) -> None:
    send(door, sender="script-1", to="script-2", body="hi")
    (one,) = inbox(door, "script-2")
    assert (one["from"], one["body"], one["stage"]) == ("script-1", "hi", "queued")
    send(door, sender="script-2", to="script-1", body="back", replyTo=one["id"])
    assert [back["threadId"] for back in inbox(door, "script-1")] == [1]
    assert inbox(door, "nobody-yet") == []
    assert door.get("/api/agents").json() == [], "they belong to no group and are not listed"


def test_a_body_may_be_absent_and_a_payload_any_json(door: httpx.Client) -> None:
    payloads: tuple[Any, ...] = ({}, [], "text", 0, False, [{"deep": [[]]}])
    for payload in payloads:
        assert send(door, payload=payload)["payload"] == payload
    assert "payload" not in send(door, payload=None)
    assert (send(door)["body"], send(door, body=None)["body"]) == ("", "")
    for nothing in ({}, {"content": "hello"}, {"Body": "hello"}, {"body": None, "payload": None, "subject": None}):
        refused = door.post("/api/messages", json={"from": "ada", "to": "ben", **nothing})
        assert (refused.status_code, refused.json()["field"]) == (422, "body"), nothing


def test_an_idempotency_key_makes_one_message(door: httpx.Client) -> None:
    first = send(door, body="x", payload={"n": 1}, idempotencyKey="k")
    again = send(door, 200, body="x", payload={"n": 1}, idempotencyKey="k")
    assert (again["id"], again["duplicate"], again["createdAt"]) == (first["id"], True, first["createdAt"])
    for other in ({"body": "y", "payload": {"n": 1}}, {"body": "x", "payload": {"n": 2}}):
        conflict = send(door, 409, idempotencyKey="k", **other)
        assert (conflict["code"], conflict["message"]) == ("key_conflict", first["id"])
        assert conflict["field"] == "idempotencyKey"
    assert send(door, sender="eve", body="y", idempotencyKey="k")["id"] != first["id"], "another sender's key"
    assert len(inbox(door)) == 2


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"to": None}, 422, "bad_request", "to"),
        ({"to": "two words"}, 422, "bad_request", "to"),
        ({"to": "team:x"}, 422, "bad_request", "to"),
        ({"from": None}, 422, "bad_request", "from"),
        ({"from": "a b"}, 422, "bad_request", "from"),
        ({"body": {"a": 1}}, 422, "bad_request", "body"),
        ({"subject": 5}, 422, "bad_request", "subject"),
        ({"subject": "x" * 257}, 422, "bad_request", "subject"),
        ({"channel": "a b"}, 422, "bad_request", "channel"),
        ({"replyTo": 0}, 422, "bad_request", "replyTo"),
        ({"replyTo": "seven"}, 422, "bad_request", "replyTo"),
        ({"replyTo": 99}, 404, "unknown_message", "replyTo"),
        ({"threadId": 99}, 404, "unknown_message", "threadId"),
        ({"thread": 99}, 404, "unknown_message", "threadId"),
        ({"to": "thread:99"}, 404, "unknown_message", "to"),
        ({"supersedes": 99}, 404, "unknown_message", "supersedes"),
        ({"causedBy": 99}, 404, "unknown_message", "causedBy"),
        ({"claimable": "yes"}, 422, "bad_request", "claimable"),
        ({"idempotencyKey": ""}, 422, "bad_request", "idempotencyKey"),
        ({"priority": 10}, 422, "bad_request", "priority"),
        ({"severity": "bad"}, 422, "bad_request", "severity"),
        ({"ttlS": 0}, 422, "bad_request", "ttlS"),
        ({"offerS": 5}, 422, "bad_request", "offerS"),
        ({"attempts": 2}, 422, "bad_request", "attempts"),
        ({"thread": 1, "threadId": 2}, 422, "bad_request", "thread"),
        ({"body": "b" * (limits.BODY_BYTES_MAX + 1)}, 413, "too_large", "body"),
        ({"body": "b" * limits.BODY_BYTES_MAX, "payload": 1}, 413, "too_large", "body"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_stored(
    door: httpx.Client, fields: dict[str, Any], status: int, code: str, field: str
) -> None:
    body = {
        key: value for key, value in ({"from": "ada", "to": "ben", "body": "b"} | fields).items() if value is not None
    }
    answer = door.post("/api/messages", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field), answer.text
    assert door.get("/api/messages/cursor").json() == {"cursor": 0}


def test_an_inbox_is_read_in_pages_and_by_what_is_new(door: httpx.Client) -> None:
    for number in range(5):
        send(door, body=str(number), channel="even" if number % 2 == 0 else None)
    assert [one["body"] for one in inbox(door)] == list("01234")
    page = door.get("/api/messages", params={"for": "ben", "limit": 2})
    assert ([one["body"] for one in page.json()], page.headers["x-next-since"]) == (["0", "1"], "2")
    rest = door.get("/api/messages", params={"for": "ben", "since": 2})
    assert ([one["body"] for one in rest.json()], "x-next-since" in rest.headers) == (["2", "3", "4"], False)
    assert [one["body"] for one in inbox(door, channel="even")] == ["0", "2", "4"]
    assert door.get("/api/messages/cursor").json() == {"cursor": 5}
    assert inbox(door, since=5) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({}, "for"), ({"for": "a b"}, "for"), ({"for": "ben", "since": "x"}, "since"),
     ({"for": "ben", "limit": 0}, "limit"),
     ({"for": "ben", "limit": 1001}, "limit"), ({"for": "ben", "unread": "perhaps"}, "unread"),
     ({"for": "ben", "wait": 61}, "wait"), ({"for": "ben", "wait": -1}, "wait"),
     ({"for": "ben", "wait": "nan"}, "wait")],
)  # fmt: skip
def test_a_question_that_does_not_fit_is_named(door: httpx.Client, query: dict[str, Any], field: str) -> None:
    answer = door.get("/api/messages", params=query)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_what_is_read_is_not_unread(door: httpx.Client) -> None:
    sent = send(door, body="x")
    seen = door.patch(f"/api/messages/{sent['id']}", json={"agentId": "ben", "stage": "surfaced"})
    assert (seen.status_code, seen.json()["readBy"]) == (200, ["ben"])
    assert len(inbox(door, unread="true")) == 1
    read = door.patch(f"/api/messages/{sent['id']}", json={"agentId": "ben", "read": True})
    assert (read.status_code, read.json()["readBy"], read.json()["deliveries"][0]["stage"]) == (200, ["ben"], "done")
    assert inbox(door, unread="true") == []
    (kept,) = inbox(door)
    assert (kept["readBy"], kept["stage"]) == (["ben"], "done")
    assert door.patch(f"/api/messages/{sent['id']}", json={"agentId": "ben"}).status_code == 200, "twice is nothing"


def test_reading_is_refused_by_the_field(door: httpx.Client) -> None:
    send(door)
    for path, body, status, field in (
        ("1", {}, 422, "agentId"),
        ("1", {"agentId": "ben", "read": False}, 422, "read"),
        ("1", {"agentId": "ben", "stage": "queued"}, 422, "stage"),
        ("x", {"agentId": "ben"}, 422, "id"),
        ("0", {"agentId": "ben"}, 422, "id"),
    ):
        answer = door.patch(f"/api/messages/{path}", json=body)
        assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    for path, name in (("99", "ben"), ("1", "eve")):
        missing = door.patch(f"/api/messages/{path}", json={"agentId": name})
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_message")
    stale = door.patch("/api/messages/1", json={"agentId": "ben", "epoch": 3})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")


def test_one_message_and_its_thread(door: httpx.Client) -> None:
    root = send(door, body="root")
    send(door, sender="ben", to="ada", body="reply", replyTo=root["id"])
    send(door, body="aside", threadId=root["id"])
    shown = door.get("/api/messages/2").json()
    assert (shown["replyTo"], shown["threadId"], shown["hops"]) == (1, 1, 1)
    for start in (1, 2, 3):
        assert [one["body"] for one in door.get(f"/api/messages/{start}/thread").json()] == ["root", "reply", "aside"]
    page = door.get("/api/messages/1/thread", params={"limit": 2})
    assert (len(page.json()), page.headers["x-next-since"]) == (2, "2")
    for path in ("/api/messages/99", "/api/messages/99/thread"):
        missing = door.get(path)
        assert (missing.status_code, missing.json()["code"], missing.json()["field"]) == (404, "unknown_message", "id")
    for path in ("/api/messages/x", "/api/messages/-1/thread", "/api/messages/99999999999999999999"):
        assert (door.get(path).status_code, door.get(path).json()["field"]) == (422, "id")


def test_a_message_is_taken_back_and_stays_readable(door: httpx.Client) -> None:
    send(door, body="oops")
    for name in ("eve", "ben"):
        refused = door.delete("/api/messages/1", params={"agentId": name})
        assert (refused.status_code, refused.json()["code"], refused.json()["sender"]) == (403, "forbidden", "ada")
    gone = door.delete("/api/messages/1", params={"agentId": "ada", "reason": "a slip"})
    assert (gone.status_code, gone.json()["deliveries"][0]["reason"]) == (200, "withdrawn by ada: a slip")
    assert gone.json()["withdrawnAt"] >= gone.json()["createdAt"]
    assert inbox(door, unread="true") == []
    assert door.get("/api/messages/1").json()["withdrawnAt"] == gone.json()["withdrawnAt"]
    assert door.delete("/api/messages/1").status_code == 200, "twice is nothing"
    missing = door.delete("/api/messages/99")
    assert (missing.status_code, missing.json()["field"]) == (404, "id")
    send(door)
    assert "withdrawnAt" in door.delete("/api/messages/2").json(), "in its sender's name, where nobody is named"
    send(door)
    assert "withdrawnAt" in door.delete("/api/messages/3", params={"agentId": "ops", "force": "true"}).json()


def test_a_message_that_is_work_shows_who_has_it(door: httpx.Client) -> None:
    send(door, claimable=True, body="do it")
    assert inbox(door)[0]["status"] == "open"
    assert door.post("/api/messages/1/claim", json={"agentId": "ben"}).status_code == 200
    (work,) = inbox(door)
    assert (work["claimable"], work["status"], work["claimedBy"]) == (True, "claimed", "ben")
    assert work["claimExpiresAt"] > work["createdAt"] + 50_000


async def test_bytes_of_the_wire_are_base64(daemon: Daemon, door: httpx.Client) -> None:
    async with relay_client.connect(daemon.url, agent="ann") as ann:
        await ann.send("ben", b"\x00\xff", hold=True, payload={"a": 1})
    (one,) = inbox(door)
    assert (base64.b64decode(one["body"]), one["encoding"], one["payload"]) == (b"\x00\xff", "base64", {"a": 1})


async def test_what_is_sent_here_is_pushed_there(daemon: Daemon, door: httpx.Client) -> None:
    async with relay_client.connect(daemon.url, agent="ben") as ben:
        sent = send(door, body="hi", payload=[1])
        assert sent["online"] == 1
        async for message in ben:
            assert (message.sender, message.body, message.payload) == ("ada", "hi", [1])
            break


def test_too_much_at_once_is_429_with_a_time(make_daemon: Any) -> None:
    daemon = make_daemon("--group-rate", "1", "--inbox-messages", "1").start()
    with httpx.Client(base_url=daemon.url, trust_env=False) as door:
        send(door, to="ALL")
        limited = door.post("/api/messages", json={"from": "ada", "to": "ALL", "body": ""})
        assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
        assert limited.json()["quota"] == "group_rate"
        assert 1 <= int(limited.headers["retry-after"]) <= 61
        send(door)
        full = door.post("/api/messages", json={"from": "ada", "to": "ben", "body": ""})
        assert (full.status_code, full.json()["code"]) == (429, "inbox_full")
        assert int(full.headers["retry-after"]) >= 1
