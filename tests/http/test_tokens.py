"""tokens.py and admission.py: tokens over real HTTP and WebSocket, against the daemon process."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from relay_proto import frames as wire
from relay_proto.errors import Forbidden
from relay_proto.scopes import ALL, SCOPES
from relay_server.doorkeeper import FAILURES_MAX
from relay_server.grants import AGENT_SCOPES, SCOPE_OF, make_grant
from relay_server.http.dispatch import Call
from relay_server.http.operations import OPERATIONS
from relay_server.http.table import Operation
from tests.daemon import Daemon
from tests.relay.raw import Raw

ADMIN = "the-token-that-the-relay-was-started-with"
OPEN = {"/healthz", "/readyz", "/api/openapi.json"}
"""What says nothing of anybody, to everybody."""
SOON_S = 1.0
MakeDaemon = Callable[..., Daemon]


@pytest.fixture
def locked(make_daemon: MakeDaemon) -> Daemon:
    """A relay that asks for tokens."""
    return make_daemon("--allow-origin", "https://dash.example", env={"RELAY_TOKEN": ADMIN}).start()


def client(daemon: Daemon, token: str | None = ADMIN, **options: Any) -> httpx.Client:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=daemon.url, timeout=10, trust_env=False, headers=headers, **options)


def make(daemon: Daemon, **body: Any) -> dict[str, Any]:
    with client(daemon) as admin:
        answer = admin.post("/api/tokens", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def agent(daemon: Daemon, name: str, bearer: str | None, **fields: Any) -> Raw:
    """A connection that registers; `welcome` is the answer, whatever it is."""
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    raw = await Raw.connect(daemon.ws, additional_headers=headers)
    await raw.send(wire.Register(id=0, agent=name, **fields))
    raw.welcome = await raw.receive()
    return raw


async def refused(daemon: Daemon, headers: list[tuple[str, str]], path: str = "") -> httpx.Response:
    """The answer that a handshake is refused with."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(daemon.ws + path, subprotocols=[Subprotocol("relay.v1")], additional_headers=headers)
    response = caught.value.response
    return httpx.Response(
        response.status_code, headers=list(response.headers.raw_items()), content=bytes(response.body or b"")
    )


# -- the rows --------------------------------------------------------------------------------------------------------


def test_a_token_is_made_shown_once_listed_and_revoked(locked: Daemon) -> None:
    made = make(locked, agent="ada", note="her laptop", expiresS=3600)
    with client(locked) as admin:
        (listed,) = admin.get("/api/tokens").json()
        assert {**listed, "token": made["token"]} == made
        assert (made["agent"], made["note"], made["active"]) == ("ada", "her laptop", True)
        assert made["expiresAt"] == made["createdAt"] + 3_600_000
        assert set(made["scopes"]) == AGENT_SCOPES
        gone = admin.delete(f"/api/tokens/{made['id']}")
        assert (gone.status_code, gone.json()["active"]) == (200, False)
        assert admin.delete(f"/api/tokens/{made['id']}").json() == gone.json()
        assert admin.delete("/api/tokens/99").json()["code"] == "unknown_token"
        assert admin.delete("/api/tokens/99").status_code == 404
    with client(locked, made["token"]) as ada:
        assert ada.get("/api/tokens").status_code == 401


def test_tokens_come_in_pages(locked: Daemon) -> None:
    ids = [make(locked, agent="ada")["id"] for _ in range(3)]
    with client(locked) as admin:
        first = admin.get("/api/tokens?limit=2")
        assert [token["id"] for token in first.json()] == ids[:2]
        rest = admin.get("/api/tokens", params={"since": first.headers["X-Next-Since"]})
        assert [token["id"] for token in rest.json()] == ids[2:]
        assert "X-Next-Since" not in rest.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scopes"),
        ({"agent": "ada", "admin": True}, "agent"),
        ({"agent": "ada", "integration": "ci"}, "agent"),
        ({"admin": True, "scopes": ["*"]}, "scopes"),
        ({"agent": "a b"}, "agent"),
        ({"integration": "c/i"}, "integration"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["messages:delete"]}, "scopes[0]"),
        ({"agent": "ada", "expiresS": 0}, "expiresS"),
        ({"agent": "ada", "expiresS": 1e12}, "expiresS"),
        ({"agent": "ada", "note": "x" * 257}, "note"),
        ({"agent": "ada", "scope": "messages:read"}, "scope"),
    ],
)
def test_a_body_that_does_not_fit_makes_nothing(locked: Daemon, body: dict[str, Any], field: str) -> None:
    with client(locked) as admin:
        answer = admin.post("/api/tokens", json=body)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "bad_request", field)
        assert admin.get("/api/tokens").json() == []


def test_nobody_gives_away_more_than_it_has(locked: Daemon) -> None:
    deputy = make(locked, scopes=["system:write", "messages:read"])["token"]
    own = make(locked, agent="ada", scopes=["*"])["token"]
    with client(locked, deputy) as door:
        assert door.post("/api/tokens", json={"admin": True}).status_code == 403
        assert door.post("/api/tokens", json={"scopes": ["messages:read"]}).status_code == 201
    with client(locked, own) as door:
        assert door.post("/api/tokens", json={"admin": True}).status_code == 403
        assert door.post("/api/tokens", json={"agent": "bob"}).status_code == 403
        assert door.post("/api/tokens", json={"agent": "ada"}).status_code == 201


# -- who comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Authorization", "X-Agent-Relay-Token", "X-Bus-Token"])
async def test_each_of_three_headers_carries_a_token_through_both_doors(locked: Daemon, header: str) -> None:
    value = f"Bearer {ADMIN}" if header == "Authorization" else ADMIN
    with client(locked, None) as door:
        assert door.get("/api/tokens", headers={header: value}).status_code == 200
        wrong = door.get("/api/tokens", headers={header: f"{value}x"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
        assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="relay"'
    async with await Raw.connect(locked.ws, additional_headers={header: value}) as raw:
        await raw.send(wire.Register(id=1, agent="ada"))
        assert (await raw.receive())["op"] == "ok"
    answer = await refused(locked, [(header, f"{value}x")])
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="relay"')


async def test_two_tokens_that_differ_are_refused_and_two_that_do_not_are_one(locked: Daemon) -> None:
    same = {"Authorization": f"Bearer {ADMIN}", "X-Bus-Token": ADMIN}
    other = same | {"X-Bus-Token": "another"}
    with client(locked, None) as door:
        assert door.get("/api/tokens", headers=same).status_code == 200
        answer = door.get("/api/tokens", headers=other)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert "another" not in answer.text
    assert (await refused(locked, list(other.items()))).status_code == 400


async def test_nobody_comes_in_without_one_but_to_see_whether_it_lives(locked: Daemon) -> None:
    with client(locked, None) as door:
        for operation in OPERATIONS:
            status = ask(door, operation).status_code
            assert status == 401 if operation.scope is not None else status == 200, operation.path
    raw = await agent(locked, "ada", None)
    assert (raw.welcome["code"], await raw.closed()) == ("unauthorized", 4401)


async def test_where_no_token_is_asked_for_anyone_may_do_all_but_a_wrong_token_is_wrong(daemon: Daemon) -> None:
    with client(daemon, None) as door:
        made = door.post("/api/tokens", json={"agent": "ada"})
        assert made.status_code == 201
        for headers in ({"X-Bus-Token": "guess"}, {"Authorization": "Bearer guess"}):
            assert door.get("/api/tokens", headers=headers).status_code == 401
        bound = door.get("/api/tokens", headers={"X-Bus-Token": made.json()["token"]})
        assert bound.status_code == 403, "who shows a token is bound by it"
    assert (await refused(daemon, [("X-Bus-Token", "guess")])).status_code == 401
    raw = await agent(daemon, "ada", None, token="guess")
    assert (raw.welcome["code"], await raw.closed()) == ("unauthorized", 4401)


def test_a_relay_that_asks_for_tokens_but_has_none_of_its_own_takes_stored_ones(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    made = make_without(daemon, {"admin": True})
    assert daemon.stop() == 0
    daemon.options = ("--ask-token",)
    daemon.start()
    with client(daemon, None) as door:
        assert door.get("/api/tokens").status_code == 401
        assert door.get("/api/tokens", headers={"X-Bus-Token": made["token"]}).status_code == 200
    assert "nobody can come in" not in daemon.log.read_text()


def make_without(daemon: Daemon, body: dict[str, Any]) -> dict[str, Any]:
    """A token, made where none is asked for."""
    with client(daemon, None) as door:
        made: dict[str, Any] = door.post("/api/tokens", json=body).json()
    return made


def test_a_relay_that_can_let_in_nobody_says_so(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("--ask-token").start()
    assert "nobody can come in" in daemon.log.read_text()


# -- what a token may do ---------------------------------------------------------------------------------------------


SAMPLE: dict[str, Any] = {
    "message": 999_999, "thread": 999_999, "messages": [999_999], "fence": 1, "to": "bob", "body": "x", "title": "t",
    "reason": "r", "needs": "human", "dedupe_key": "k", "agent": "nobody", "events": ["receipt"], "pair": 999_999,
    "number": 999_999, "id": 0,
}  # fmt: skip
"""A value for each field that some frame requires."""
MORE: dict[type[Any], dict[str, Any]] = {
    wire.Why: {"agent": "nobody"},
    wire.TokenCreate: {"scopes": ["system:write"], "expires_s": 1},
}
FRAMES = [kind for kind in get_args(wire.ClientFrame) if kind not in (wire.Register, wire.Bye)]


def sample(kind: type[Any]) -> Any:
    required = {field.name: SAMPLE[field.name] for field in msgspec.structs.fields(kind) if field.required}
    return kind(**{"id": 0, **required, **MORE.get(kind, {})})


async def test_over_websocket_each_scope_allows_its_ops_and_no_others(locked: Daemon) -> None:
    for scope in sorted(SCOPES):
        token = make(locked, scopes=[scope])["token"]
        async with await agent(locked, "ada", token, visit=True) as raw:
            assert raw.welcome["op"] == "ok"
            for re, kind in enumerate(FRAMES, 1):
                frame = sample(kind)
                frame.id = re
                await raw.send(frame)
                answer = await raw.answer(re)
                missing = (answer.get("detail") or {}).get("scope")
                wanted = SCOPE_OF[kind]
                if wanted in (scope, None):
                    assert missing is None, (scope, kind)
                else:
                    assert (answer["code"], missing) == ("forbidden", wanted), (scope, kind)


def ask(door: httpx.Client, operation: Operation) -> httpx.Response:
    """The head of the answer to a request that changes nothing: ids that are not there, bodies without content."""
    path = operation.path.replace("{id}", "999999")
    while "{" in path:
        before, _, behind = path.partition("{")
        path = f"{before}999999{behind.partition('}')[2]}"
    body: dict[str, Any] | None = None if operation.body is None else {}
    with door.stream(operation.method, path, json=body) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            answer.read()
        return answer


def test_each_row_has_a_scope_or_is_a_probe() -> None:
    for operation in OPERATIONS:
        if operation.path in OPEN:
            assert operation.scope is None
        elif operation.scope == ALL:
            assert operation.tag == "keeping", f"{operation.path} gives away everything, or should not take this"
        else:
            assert operation.scope in SCOPES, f"{operation.method} {operation.path}"
            looks = operation.method == "GET"
            assert operation.scope.endswith(":read") or not looks or operation.scope == "system:write", operation.path


def test_over_http_each_row_takes_its_scope_and_no_other(locked: Daemon) -> None:
    for scope in sorted({operation.scope for operation in OPERATIONS if operation.scope is not None}):
        with_it = make(locked, scopes=[scope])["token"]
        without = make(locked, scopes=sorted(SCOPES - {scope}))["token"]
        rows = [operation for operation in OPERATIONS if operation.scope == scope]
        with client(locked, with_it) as may, client(locked, without) as may_not:
            for row in rows:
                assert ask(may, row).status_code not in (401, 403), f"{row.method} {row.path}"
                answer = ask(may_not, row)
                assert (answer.status_code, answer.json()["scope"]) == (403, scope), f"{row.method} {row.path}"


async def test_a_bound_token_speaks_for_no_other(locked: Daemon) -> None:
    token = make(locked, agent="ada")["token"]
    for name, options in (("bob", {}), ("bob", {"visit": True})):
        thief = await agent(locked, name, token, **options)
        assert (thief.welcome["code"], await thief.closed()) == ("forbidden", 4401)
    thief = await agent(locked, "bob", None, token=token)
    assert (thief.welcome["code"], await thief.closed()) == ("forbidden", 4401)
    async with await agent(locked, "ada", token) as ada:
        assert ada.welcome["op"] == "ok"
        await ada.send(wire.Send(id=1, to="ada", body="x"))
        assert (await ada.answer(1))["op"] == "ok"


AS_BOB: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/api/messages", {"from": "bob", "to": "cy", "body": "x"}),
    ("POST", "/api/send", {"from": "bob", "to": "cy", "body": "x"}),
    ("PATCH", "/api/messages/{message}", {"agentId": "bob", "read": True}),
    ("DELETE", "/api/messages/{message}?agentId=bob&force=true", None),
    ("POST", "/api/messages/{message}/claim", {"agentId": "bob"}),
    ("POST", "/api/tasks/{message}/claim", {"agentId": "bob"}),
    ("PATCH", "/api/tasks/{message}/status", {"agentId": "bob", "status": "canceled", "force": True}),
    ("POST", "/api/agents", {"id": "bob"}),
    ("DELETE", "/api/agents/bob", None),
    ("POST", "/api/agents/bob/heartbeat", {}),
    ("PATCH", "/api/agents/bob/label", {"label": "not bob"}),
    ("POST", "/api/pairs", {"from": "bob", "to": "cy"}),
    ("POST", "/api/pairs/{pair}/accept", {"agentId": "bob"}),
    ("POST", "/api/pairs/{pair}/reject", {"agentId": "bob"}),
    ("POST", "/api/pairs/{pair}/hangup", {"agentId": "bob"}),
    ("POST", "/api/pairs/{pair}/messages", {"from": "bob", "body": "x"}),
    ("POST", "/api/integrations/events", {"integration": "bob", "title": "x", "target": "cy"}),
    ("GET", "/api/inbox/bob?mark_read=true", None),
]
"""What bob could say over HTTP."""
AN_OPERATOR_S = {
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/{id}"),
    ("POST", "/api/integrations/{name}/callbacks/{id}/retry"),
}


def test_each_row_that_changes_something_is_said_in_a_name_or_is_an_operator_s() -> None:
    said = {(method, path.partition("?")[0]) for method, path, _ in AS_BOB}
    said = {(method, path.replace("{message}", "{id}").replace("{pair}", "{id}")) for method, path in said}
    said = {(method, path.replace("/bob", "/{id}" if "agents" in path else "/{agent}")) for method, path in said}
    changing = {(row.method, row.path) for row in OPERATIONS if row.method != "GET"}
    assert changing == (said - {("GET", "/api/inbox/{agent}")}) | AN_OPERATOR_S


def test_over_http_a_bound_token_speaks_for_no_other(locked: Daemon) -> None:
    with client(locked) as door:
        for name in ("bob", "cy"):
            assert door.post("/api/agents", json={"id": name, "label": name}).status_code == 201
        work = door.post("/api/messages", json={"from": "cy", "to": "bob", "body": "x", "claimable": True}).json()["id"]
        pair = door.post("/api/pairs", json={"from": "cy", "to": "bob"}).json()["id"]
        before = state(door, work, pair)
    token = make(locked, agent="ada", scopes=sorted(SCOPES - {"system:write"}))["token"]
    with client(locked, token) as ada:
        for method, path, body in AS_BOB:
            answer = ada.request(method, path.format(message=work, pair=pair), json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{method} {path}"
        sent = ada.post("/api/messages", json={"to": "cy", "body": "mine"})
        assert (sent.status_code, sent.json()["from"]) == (201, "ada"), "without a name it is its own"
    with client(locked) as door:
        assert state(door, work, pair) == before


def state(door: httpx.Client, work: int, pair: int) -> list[Any]:
    """All that bob could have changed."""
    task, agent = door.get(f"/api/tasks/{work}").json(), door.get("/api/agents/bob").json()
    inbox = door.get("/api/messages?for=bob").json()
    return [
        (task["status"], task["state"]), (agent["label"], agent["epoch"]), [message["id"] for message in inbox],
        door.get(f"/api/pairs/{pair}").json()["status"], door.get("/api/messages/cursor").status_code,
    ]  # fmt: skip


def test_an_integration_sends_only_where_the_configuration_lets_it(make_daemon: MakeDaemon) -> None:
    configured = json.dumps([{"name": "ci", "targets": ["cap:build"], "token": "the-token-of-the-ci-integration"}])
    daemon = make_daemon(env={"RELAY_TOKEN": ADMIN, "RELAY_INTEGRATIONS": configured}).start()
    scopes = ["messages:write", "events:create"]
    known = make(daemon, integration="ci", scopes=scopes)["token"]
    stray = make(daemon, integration="stray", scopes=scopes)["token"]
    for token, name, target, status in (
        (known, "ci", "cap:build", 201),
        (known, "ci", "bob", 403),
        (known, "stray", "cap:build", 403),
        (stray, "ci", "cap:build", 403),
        (stray, "stray", "bob", 403),
    ):
        message = {"from": f"integration/{name}", "to": target, "body": "x"}
        with client(daemon, token) as door:
            assert door.post("/api/messages", json=message).status_code == status, (name, target)
    with client(daemon, known) as door:
        event = {"title": "x", "body": "x", "target": "bob"}
        assert door.post("/api/integrations/events", json=event).status_code == 403


# -- the end of a token ----------------------------------------------------------------------------------------------


async def test_revoking_closes_websocket_sessions_within_a_second(locked: Daemon) -> None:
    made, other = make(locked, agent="ada"), make(locked, agent="bob")
    async with (
        await agent(locked, "ada", made["token"]) as ada,
        await agent(locked, "ada", made["token"], visit=True) as visit,
        await agent(locked, "bob", other["token"]) as bob,
    ):
        begun = time.monotonic()
        with client(locked) as admin:
            assert admin.delete(f"/api/tokens/{made['id']}").status_code == 200
        for raw in (ada, visit):
            assert (await raw.receive())["code"] == "unauthorized"
            assert await raw.closed() == 4401
        assert time.monotonic() - begun < SOON_S
        await bob.send(wire.Heartbeat(id=1))
        assert (await bob.answer(1))["op"] == "ok"
    assert (await refused(locked, [("Authorization", f"Bearer {made['token']}")])).status_code == 401


async def test_revoking_over_websocket_does_the_same(locked: Daemon) -> None:
    made = make(locked, agent="ada")
    async with await agent(locked, "ada", made["token"]) as ada, await agent(locked, "op", ADMIN, visit=True) as op:
        begun = time.monotonic()
        await op.send(wire.TokenRevoke(id=1, number=made["id"]))
        assert (await op.answer(1))["item"]["is_over"]
        assert (await ada.receive())["code"] == "unauthorized"
        assert await ada.closed() == 4401
        assert time.monotonic() - begun < SOON_S


@contextlib.contextmanager
def stream(daemon: Daemon, token: str) -> Iterator[httpx.Response]:
    with client(daemon, token) as door, door.stream("GET", "/api/events") as events:
        assert events.status_code == 200
        yield events


def end_of(events: httpx.Response) -> float:
    """When the stream ended: it is read until then."""
    with contextlib.suppress(httpx.RemoteProtocolError):
        for _ in events.iter_raw():
            pass
    return time.monotonic()


async def test_revoking_closes_streams_within_a_second(locked: Daemon) -> None:
    made = make(locked, scopes=["events:read"])
    with stream(locked, made["token"]) as events:
        ended = asyncio.create_task(asyncio.to_thread(end_of, events))
        with client(locked) as admin:
            begun = time.monotonic()
            assert admin.delete(f"/api/tokens/{made['id']}").status_code == 200
        assert await asyncio.wait_for(ended, 10) - begun < SOON_S


async def test_revoking_ends_long_polls_within_a_second(locked: Daemon) -> None:
    made = make(locked, agent="ada")
    options: dict[str, Any] = {"base_url": locked.url, "timeout": 40, "trust_env": False}
    async with (
        httpx.AsyncClient(**options, headers={"X-Bus-Token": made["token"]}) as ada,
        httpx.AsyncClient(**options, headers={"X-Bus-Token": ADMIN}) as admin,
    ):
        poll = asyncio.create_task(ada.get("/api/messages?for=ada&wait=30"))
        waiting = 0
        async with asyncio.timeout(10):
            while waiting != 1:  # another process: a look is all the notice there is
                waiting = (await admin.get("/api/stats")).json()["waiting"]
        begun = time.monotonic()
        assert (await admin.delete(f"/api/tokens/{made['id']}")).status_code == 200
        answer = await poll
        assert time.monotonic() - begun < SOON_S
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_token_ends_at_its_time_and_closes_what_is_open_then(locked: Daemon) -> None:
    not_before = time.monotonic() + 3.0
    made = make(locked, agent="ada", expiresS=3)
    until = time.monotonic() + 3.0
    with stream(locked, made["token"]) as events:
        ended = asyncio.create_task(asyncio.to_thread(end_of, events))
        async with await agent(locked, "ada", made["token"]) as ada:
            assert ada.welcome["op"] == "ok"
            assert await ada.closed() == 4401
            closed = time.monotonic()
        assert not_before - 0.05 < closed < until + SOON_S, "the clocks of two processes, and ms"
        assert await asyncio.wait_for(ended, 10) - until < SOON_S
    with client(locked, made["token"]) as door:
        assert door.get("/api/tokens").status_code == 401


def test_a_token_outlives_the_relay_and_its_end_does_too(locked: Daemon) -> None:
    stays, gone = make(locked, scopes=["system:write"]), make(locked, admin=True)
    with client(locked) as admin:
        admin.delete(f"/api/tokens/{gone['id']}")
    locked.kill()
    locked.start()
    for token, status in ((stays["token"], 200), (gone["token"], 401)):
        with client(locked, token) as door:
            assert door.get("/api/tokens").status_code == status


# -- guessing --------------------------------------------------------------------------------------------------------


async def test_on_loopback_too_wrong_tokens_are_counted_over_both_doors(locked: Daemon) -> None:
    friend = make(locked, admin=True)["token"]
    fresh = make(locked, admin=True)["token"]
    with client(locked, friend) as door:
        assert door.get("/api/tokens").status_code == 200
    with client(locked, None) as door:
        for attempt in range(FAILURES_MAX - 2):
            assert door.get("/api/tokens", headers={"X-Bus-Token": f"guess {attempt}"}).status_code == 401
        assert (await refused(locked, [("X-Bus-Token", "guess")])).status_code == 401
        raw = await agent(locked, "ada", None, token="guess")
        assert (raw.welcome["code"], await raw.closed()) == ("unauthorized", 4401)

        limited = door.get("/api/tokens", headers={"X-Bus-Token": fresh})
        assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
        assert 50 <= int(limited.headers["Retry-After"]) <= 61
        answer = await refused(locked, [("X-Bus-Token", fresh)])
        assert answer.status_code == 429
        assert 50 <= int(answer.headers["Retry-After"]) <= 61
        raw = await agent(locked, "ada", None, token=fresh)
        assert (raw.welcome["code"], await raw.closed()) == ("rate_limited", 4429)
        assert door.get("/healthz").status_code == 200
    with client(locked, friend) as door:
        assert door.get("/api/tokens").status_code == 200, "it was right from here lately"


# -- no token where it does not belong, and the other checks go on ---------------------------------------------------


async def test_a_token_in_a_url_is_never_looked_at(locked: Daemon) -> None:
    with client(locked, None) as door:
        for name in ("token", "access_token", "x-bus-token"):
            answer = door.get("/api/tokens", params={name: ADMIN})
            assert (answer.status_code, answer.json()["field"]) == (400, "token")
            assert ADMIN not in answer.text
            assert (await refused(locked, [], f"?{name}={ADMIN}")).status_code == 400
    with client(locked) as door:
        assert door.get("/api/tokens", params={"token": ADMIN}).status_code == 400, "not even beside one in a header"


async def test_no_token_is_written_anywhere(locked: Daemon) -> None:
    made = make(locked, agent="ada")
    wrong = "rly_wrong-and-not-to-be-repeated"
    secrets = (ADMIN, made["token"], wrong)
    said: list[str] = []
    with client(locked, None) as door:
        for token in secrets:
            for header in ("X-Bus-Token", "X-Agent-Relay-Token"):
                said.append(door.delete("/api/tokens/99", headers={header: token}).text)
            said.append(door.get("/api/tokens", params={"token": token}).text)
            said.append(door.get("/api/tokens", headers=[(b"X-Bus-Token", f"{token}\u00e9".encode())]).text)
        bodies: list[dict[str, Any]] = [{"token": wrong}, {"token": [wrong], "agent": 7}]
        said += [door.post("/api/tokens", json=body, headers={"X-Bus-Token": ADMIN}).text for body in bodies]
        said.append(door.get("/api/tokens", headers={"X-Bus-Token": ADMIN}).text)
        said.append(door.delete(f"/api/tokens/{made['token']}", headers={"X-Bus-Token": ADMIN}).text)
    for token in secrets:
        said.append((await refused(locked, [("X-Bus-Token", f"{token}x")])).text)
        for name in ("ada", "bob"):
            raw = await agent(locked, name, None, token=f"{token}{'x' * 600}")
            said.append(repr(raw.welcome))
            raw = await agent(locked, name, None, token=f"{token}x")
            said.append(repr(raw.welcome))
    assert locked.stop() == 0
    files = [path.read_bytes() for path in (locked.log, *locked.data.iterdir()) if path.is_file()]
    for token in secrets:
        assert not any(token in text for text in said), said
        assert not any(token.encode() in data for data in files)


async def test_the_right_token_does_not_open_the_door_to_a_web_page(locked: Daemon) -> None:
    with client(locked) as door:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert door.get("/api/tokens", headers=headers).status_code == 403
        page = door.get("/api/tokens", headers={"Origin": "https://dash.example"})
        assert (page.status_code, page.headers["Access-Control-Allow-Origin"]) == (200, "https://dash.example")
        preflight = {
            "Origin": "https://dash.example",
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "x-bus-token, authorization, x-agent-relay-token",
        }
        with client(locked, None) as anonymous:
            answer = anonymous.options("/api/tokens/1", headers=preflight)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://dash.example")
            answer = anonymous.options("/api/tokens/1", headers=preflight | {"Origin": "https://evil.example"})
            assert answer.status_code == 403
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(
                locked.ws, subprotocols=[Subprotocol("relay.v1")], origin=Origin(origin),
                additional_headers={"X-Bus-Token": ADMIN},
            )  # fmt: skip
        assert caught.value.response.status_code == 403


async def test_a_handler_that_forgets_to_ask_who_speaks_is_refused_all_the_same() -> None:
    bound = make_grant(AGENT_SCOPES, agent="ada")
    call = Call(cast("Any", None), cast("Any", None), bound, None, None, None)
    with pytest.raises(Forbidden, match="speaks for ada, not for bob"):
        await call.ask("bob", wire.Heartbeat(id=0))
