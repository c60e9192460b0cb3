"""/api/pairs over real HTTP, against the daemon as a process of its own."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import relay_client
from tests.daemon import Daemon

TOKEN = "the-operator-s-token-0123456789"


@pytest.fixture
def pair(door: httpx.Client) -> int:
    """An active pair of ann and ben."""
    opened = door.post("/api/pairs", json={"from": "ann", "to": "ben", "objective": "fix it"})
    assert opened.status_code == 201
    number = int(opened.json()["id"])
    assert door.post(f"/api/pairs/{number}/accept", json={"agentId": "ben"}).status_code == 200
    return number


def said(answer: httpx.Response) -> tuple[int, Any]:
    """Its status, and the code of what was refused."""
    return answer.status_code, answer.json().get("code")


def test_a_pair_is_opened_and_shown(door: httpx.Client) -> None:
    before = time.time() * 1000
    opened = door.post("/api/pairs", json={"from": "ann", "to": "ben", "objective": "fix it", "more": [1]})
    pair = opened.json()
    assert opened.status_code == 201
    assert before - 5000 < pair["createdAt"] < before + 60_000
    assert pair == {
        "id": pair["id"], "from": "ann", "to": "ben", "status": "pending", "threadId": pair["id"],
        "objective": "fix it", "createdAt": pair["createdAt"], "changedAt": pair["createdAt"],
    }  # fmt: skip
    shown = door.get(f"/api/pairs/{pair['id']}")
    assert (shown.status_code, shown.json()) == (200, pair)
    again = door.post("/api/pairs", json={"from": "ann", "to": "ben"})
    assert (again.status_code, again.json()) == (200, pair)


def test_a_pair_is_accepted_and_ended(door: httpx.Client) -> None:
    number = door.post("/api/pairs", json={"from": "ann", "to": "ben"}).json()["id"]
    for _ in range(2):
        accepted = door.post(f"/api/pairs/{number}/accept", json={"agentId": "ben"})
        assert (accepted.status_code, accepted.json()["status"]) == (200, "active")
    assert accepted.json()["acceptedAt"] == accepted.json()["changedAt"]
    for name in ("ann", "ben"):
        ended = door.post(f"/api/pairs/{number}/hangup", json={"agentId": name, "reason": f"{name} is done"})
        assert ended.status_code == 200
        pair = ended.json()
        assert (pair["status"], pair["endedBy"], pair["reason"]) == ("ended", "ann", "ann is done")
        assert pair["endedAt"] == pair["changedAt"]


def test_a_pair_is_rejected(door: httpx.Client) -> None:
    number = door.post("/api/pairs", json={"from": "ann", "to": "ben"}).json()["id"]
    for _ in range(2):
        rejected = door.post(f"/api/pairs/{number}/reject", json={"agentId": "ben", "reason": "no time"})
        assert rejected.status_code == 200
        pair = rejected.json()
        assert (pair["status"], pair["endedBy"], pair["reason"]) == ("rejected", "ben", "no time")
    assert said(door.post(f"/api/pairs/{number}/accept", json={"agentId": "ben"})) == (409, "not_active")


def test_what_is_said_in_a_pair_is_a_message_in_its_thread(door: httpx.Client, daemon: Daemon, pair: int) -> None:
    content = {
        "from": "ann", "body": "hi", "subject": "s", "payload": {"n": [1, 2.5, None]}, "contentType": "text/plain",
        "headers": {"a": "b"}, "intent": "inform", "idempotencyKey": "k",
    }  # fmt: skip
    sent = door.post(f"/api/pairs/{pair}/messages", json=content)
    assert sent.status_code == 201
    number = sent.json()["id"]
    expected = {
        "id": number, "threadId": pair, "from": "ann", "to": "ben", "body": "hi", "subject": "s", "intent": "inform",
        "payload": {"n": [1, 2.5, None]}, "contentType": "text/plain", "headers": {"a": "b"}, "recipients": 1,
        "online": 0,
    }  # fmt: skip
    assert {name: sent.json().get(name) for name in expected} == expected
    again = door.post(f"/api/pairs/{pair}/messages", json=content)
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, number, True)
    reply = door.post(f"/api/pairs/{pair}/messages", json={"from": "ben", "body": "hi back", "replyTo": number})
    assert (reply.status_code, reply.json()["replyTo"]) == (201, number)
    mail = door.get("/api/messages", params={"for": "ben", "unread": True}).json()
    assert [(item["from"], item["body"], item["threadId"]) for item in mail] == [
        ("ann", "fix it", pair), ("ann", "hi", pair),
    ]  # fmt: skip


async def test_one_over_http_and_one_over_the_websocket_talk(daemon: Daemon) -> None:
    client = httpx.AsyncClient(base_url=daemon.url, timeout=10, trust_env=False)
    async with client as door, relay_client.connect(daemon.url, agent="ben") as ben:
        number = (await door.post("/api/pairs", json={"from": "ann", "to": "ben", "objective": "x"})).json()["id"]
        invitation = await ben.receive(10)
        assert (invitation.message, invitation.type, invitation.body) == (number, "pair.open", "x")
        pair = await ben.pair(invitation.message)
        await pair.accept()
        assert (await door.get(f"/api/pairs/{number}")).json()["status"] == "active"
        sent = await door.post(f"/api/pairs/{number}/messages", json={"from": "ann", "body": "hi", "payload": {"n": 1}})
        assert sent.json()["online"] == 1
        message = await ben.receive(10)
        assert (message.body, message.thread, message.payload, message.sender) == ("hi", number, {"n": 1}, "ann")
        await pair.send("hi back")
        await ben.close()
        ended = (await door.get(f"/api/pairs/{number}")).json()
        assert (ended["status"], ended["endedBy"], ended["reason"]) == ("ended", "ben", "ben said bye")


def test_pairs_are_listed_by_who_and_how_they_stand(door: httpx.Client, pair: int) -> None:
    door.post("/api/pairs", json={"from": "cleo", "to": "dan"})
    rejected = door.post("/api/pairs", json={"from": "eve", "to": "dan"}).json()["id"]
    door.post(f"/api/pairs/{rejected}/reject", json={"agentId": "dan"})

    def listed(**query: Any) -> list[str]:
        answer = door.get("/api/pairs", params=query)
        assert answer.status_code == 200
        return [f"{item['from']}-{item['to']} {item['status']}" for item in answer.json()]

    assert listed() == ["ann-ben active", "cleo-dan pending", "eve-dan rejected"]
    assert listed(agent="dan") == ["cleo-dan pending", "eve-dan rejected"]
    assert listed(status="active") == ["ann-ben active"]
    assert listed(agent="dan", status="pending") == ["cleo-dan pending"]
    assert listed(agent="ann", status="ended") == []
    first = door.get("/api/pairs", params={"limit": 2})
    assert [item["from"] for item in first.json()] == ["ann", "cleo"]
    assert listed(since=first.headers["x-next-since"]) == ["eve-dan rejected"]
    assert "x-next-since" not in door.get("/api/pairs", params={"since": first.headers["x-next-since"]}).headers


def test_who_is_in_a_pair_is_busy(door: httpx.Client, pair: int) -> None:
    for sender, to, busy in (("cleo", "ben", "ben"), ("ann", "cleo", "ann"), ("ann", "ben", "ann")):
        refused = door.post("/api/pairs", json={"from": sender, "to": to})
        assert said(refused) == (409, "busy")
        assert (refused.json()["agent"], refused.json()["pair"]) == (busy, pair)
    other = door.post("/api/pairs", json={"from": "cleo", "to": "dan"}).json()["id"]
    door.post(f"/api/pairs/{pair}/hangup", json={"agentId": "ann"})
    crossing = door.post("/api/pairs", json={"from": "dan", "to": "cleo"})
    assert (said(crossing), crossing.json()["pair"]) == ((409, "busy"), other)


def test_only_the_two_have_a_say_in_it(door: httpx.Client, pair: int) -> None:
    for word in ("accept", "reject", "hangup"):
        assert said(door.post(f"/api/pairs/{pair}/{word}", json={"agentId": "cleo"})) == (403, "forbidden")
    assert said(door.post(f"/api/pairs/{pair}/messages", json={"from": "cleo", "body": "x"})) == (403, "forbidden")
    assert said(door.post(f"/api/pairs/{pair}/accept", json={"agentId": "ann"})) == (403, "forbidden")


def test_a_pair_that_is_not_accepted_or_over_takes_no_message(door: httpx.Client) -> None:
    number = door.post("/api/pairs", json={"from": "ann", "to": "ben"}).json()["id"]
    for status in ("pending", "ended"):
        refused = door.post(f"/api/pairs/{number}/messages", json={"from": "ann", "body": "x"})
        assert said(refused) == (409, "not_active")
        assert (refused.json()["pair"], refused.json()["state"]) == (number, status)
        door.post(f"/api/pairs/{number}/hangup", json={"agentId": "ann"})


@pytest.mark.parametrize("path", ["", "/accept", "/reject", "/hangup", "/messages"])
def test_a_pair_that_there_is_not(door: httpx.Client, path: str) -> None:
    url = f"/api/pairs/7{path}"
    answer = door.post(url, json={"agentId": "ann", "from": "ann", "body": "x"}) if path else door.get(url)
    assert said(answer) == (404, "unknown_pair")
    assert (answer.json()["pair"], answer.json()["field"]) == (7, "id")


@pytest.mark.parametrize(
    ("path", "content", "status", "field"),
    [
        ("", {"from": "ann"}, 422, "to"),
        ("", {"to": "ben"}, 422, "from"),
        ("", {"from": "two words", "to": "ben"}, 422, "from"),
        ("", {"from": "ann", "to": "tag:x"}, 422, "to"),
        ("", {"from": "ann", "to": "ben", "objective": "x" * 1025}, 422, "objective"),
        ("", {"from": "ann", "to": "ben", "idempotencyKey": ""}, 422, "idempotencyKey"),
        ("/1/accept", {}, 422, "agentId"),
        ("/1/accept", {"agentId": 7}, 422, "agentId"),
        ("/x/accept", {"agentId": "ann"}, 422, "id"),
        ("/0/accept", {"agentId": "ann"}, 422, "id"),
        ("/1/reject", {"agentId": "ann", "reason": "x" * 1025}, 422, "reason"),
        ("/1/messages", {"from": "ann"}, 422, "body"),
        ("/1/messages", {"from": "ann", "body": {}}, 422, "body"),
        ("/1/messages", {"from": "ann", "body": "x" * 262_145}, 413, "body"),
        ("/1/messages", {"from": "ann", "body": "x" * 262_144, "payload": 1}, 413, "body"),
        ("/1/messages", {"from": "ann", "body": "x", "intent": "shout"}, 422, "intent"),
    ],
)
def test_what_does_not_fit_is_named(
    door: httpx.Client, path: str, content: dict[str, Any], status: int, field: str
) -> None:
    refused = door.post(f"/api/pairs{path}", json=content)
    assert (refused.status_code, refused.json()["field"]) == (status, field)
    assert door.get("/api/pairs").json() == []


@pytest.mark.parametrize(
    ("query", "field"), [({"status": "odd"}, "status"), ({"limit": 0}, "limit"), ({"since": "x"}, "since")]
)
def test_a_query_that_does_not_fit_is_named(door: httpx.Client, query: dict[str, Any], field: str) -> None:
    refused = door.get("/api/pairs", params=query)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_one_with_itself_and_with_a_key_of_something_else(door: httpx.Client) -> None:
    assert said(door.post("/api/pairs", json={"from": "ann", "to": "ann"})) == (422, "bad_request")
    assert door.post("/api/pairs", json={"from": "ann", "to": "ben", "idempotencyKey": "k"}).status_code == 201
    refused = door.post("/api/pairs", json={"from": "ann", "to": "cleo", "idempotencyKey": "k"})
    assert said(refused) == (409, "key_conflict")


# -- tokens ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_daemon: Callable[..., Daemon]) -> Iterator[httpx.Client]:
    """A client with the operator's token of a relay that asks for one."""
    daemon = make_daemon("--token", TOKEN).start()
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False, headers=bearer(TOKEN)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def made(guarded: httpx.Client, **fields: Any) -> dict[str, str]:
    answer = guarded.post("/api/tokens", json=fields)
    assert answer.status_code == 201, answer.text
    return bearer(answer.json()["token"])


def test_a_token_of_an_agent_speaks_for_it_and_for_nobody_else(guarded: httpx.Client) -> None:
    ann, ben = made(guarded, agent="ann"), made(guarded, agent="ben")
    opened = guarded.post("/api/pairs", json={"to": "ben"}, headers=ann)
    assert (opened.status_code, opened.json()["from"]) == (201, "ann")
    url = f"/api/pairs/{opened.json()['id']}"
    assert said(guarded.post("/api/pairs", json={"from": "ben", "to": "ann"}, headers=ann)) == (403, "forbidden")
    assert said(guarded.post(f"{url}/accept", json={"agentId": "ben"}, headers=ann)) == (403, "forbidden")
    assert guarded.post(f"{url}/accept", headers=ben).json()["status"] == "active"
    assert said(guarded.post(f"{url}/messages", json={"from": "ann", "body": "x"}, headers=ben)) == (403, "forbidden")
    assert guarded.post(f"{url}/messages", json={"body": "x"}, headers=ben).json()["from"] == "ben"


def test_each_row_takes_its_scope(guarded: httpx.Client) -> None:
    reader, writer = (
        made(guarded, agent="ann", scopes=["pairs:read"]),
        made(guarded, agent="ann", scopes=["pairs:write"]),
    )
    for path in ("/api/pairs", "/api/pairs/1"):
        assert guarded.get(path, headers={"Authorization": ""}).status_code == 401
        assert said(guarded.get(path, headers=writer)) == (403, "forbidden")
        assert guarded.get(path, headers=reader).status_code in (200, 404)
    for path in ("", "/1/accept", "/1/reject", "/1/hangup", "/1/messages"):
        content = {"to": "ben", "body": "x"}
        assert said(guarded.post(f"/api/pairs{path}", json=content, headers=reader)) == (403, "forbidden")
        assert guarded.post(f"/api/pairs{path}", json=content, headers=writer).status_code in (201, 403, 200, 409)


# -- one of them is gone ---------------------------------------------------------------------------------------------


def test_an_agent_that_is_removed_is_in_no_pair(door: httpx.Client) -> None:
    assert door.post("/api/agents", json={"id": "ben", "name": "Ben"}).status_code == 201
    number = door.post("/api/pairs", json={"from": "ann", "to": "ben"}).json()["id"]
    door.post(f"/api/pairs/{number}/accept", json={"agentId": "ben"})
    assert door.delete("/api/agents/ben").status_code == 200
    pair = door.get(f"/api/pairs/{number}").json()
    assert (pair["status"], pair["reason"]) == ("ended", "ben was removed")


def test_who_is_not_heard_of_over_http_is_gone(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--pair-grace", "1.5").start()
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as door:
        number = door.post("/api/pairs", json={"from": "ann", "to": "ben"}).json()["id"]
        door.post(f"/api/pairs/{number}/accept", json={"agentId": "ben"})
        until = time.monotonic() + 3
        while time.monotonic() < until:  # one talks and one looks at its mail, for longer than the grace
            assert door.post(f"/api/pairs/{number}/messages", json={"from": "ann", "body": "x"}).status_code == 201
            assert door.get("/api/messages", params={"for": "ben"}).status_code == 200
            time.sleep(0.2)  # the time that goes by is what is tested
        daemon.kill()
        daemon.start()
        assert door.get(f"/api/pairs/{number}").json()["status"] == "active"
        until = time.monotonic() + 10
        while (pair := door.get(f"/api/pairs/{number}").json())["status"] == "active":
            assert time.monotonic() < until
            door.post(f"/api/pairs/{number}/messages", json={"from": "ann", "body": "x"})
            time.sleep(0.1)  # it is the relay's clock that has to go on
        assert (pair["status"], pair["reason"]) == ("ended", "ben was not heard of for 1.5 s")
        assert "endedBy" not in pair
