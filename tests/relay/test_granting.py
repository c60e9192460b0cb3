"""granting.py: tokens at the desk, over the real store: made, used, listed, revoked, over."""

import sqlite3
from typing import Any

import pytest

from relay_proto.frames import (
    Agents,
    Heartbeat,
    Inbox,
    Register,
    Send,
    TokenCreate,
    TokenRevoke,
    Tokens,
)
from relay_server.access import token_digest
from relay_server.doorkeeper import FAILURES_MAX
from relay_server.grants import ANYONE, NOBODY, make_grant
from relay_server.session import Session
from tests.relay.desk import START_MS, Desk, kinds

DAY_S = 24 * 3600.0


def knock(desk: Desk, name: str = "knock", address: str = "10.0.0.4") -> Session:
    """A connection whose handshake had no token, at a relay that asks for one."""
    desk.broker.doorkeeper.asks = True
    return Session(name, None, NOBODY, address)


async def make(desk: Desk, **fields: Any) -> tuple[str, int]:
    """A token and its number, made by an operator."""
    operator = desk.connect()
    (_, ok) = await desk.say(operator, Register(id=0, agent="op", visit=True), TokenCreate(id=1, **fields))
    assert ok["op"] == "ok", ok
    return ok["token"], ok["item"]["number"]


async def test_a_token_is_shown_once_and_kept_as_its_sha_256(desk: Desk) -> None:
    secret, number = await make(desk, agent="ada", note="for the tests")
    assert secret.startswith("rly_")
    assert len(secret) == len("rly_") + 43, "256 bits"
    operator = await desk.agent("op")
    (page,) = await desk.say(operator, Tokens(id=2))
    (item,) = page["items"]
    assert (item["number"], item["agent"], item["note"]) == (number, "ada", "for the tests")
    assert secret not in str(page)
    with sqlite3.connect(desk.store.path) as connection:
        ((digest,),) = connection.execute("SELECT digest FROM tokens").fetchall()
        dump = "\n".join(connection.iterdump())
    assert digest == token_digest(secret)
    assert secret not in dump


async def test_no_two_tokens_are_alike(desk: Desk) -> None:
    made = [await make(desk, agent="ada") for _ in range(5)]
    assert len({secret for secret, _ in made}) == len({number for _, number in made}) == 5


@pytest.mark.parametrize(
    ("fields", "scopes"),
    [
        ({"admin": True}, ["*"]),
        ({"scopes": ["stats:read", "health:read", "stats:read"]}, ["health:read", "stats:read"]),
        ({"integration": "ci"}, ["events:create"]),
        ({"agent": "ada", "scopes": ["messages:write"]}, ["messages:write"]),
    ],
)
async def test_a_token_has_the_scopes_that_are_said_or_those_of_its_kind(
    desk: Desk, fields: dict[str, Any], scopes: list[str]
) -> None:
    await make(desk, **fields)
    (page,) = await desk.say(await desk.agent("op"), Tokens(id=2))
    assert page["items"][0]["scopes"] == scopes


async def test_a_register_brings_the_token_where_the_handshake_had_none(desk: Desk) -> None:
    secret, _ = await make(desk, agent="ada")
    session = knock(desk)
    (ok, *_) = await desk.say(session, Register(id=1, agent="ada", token=secret))
    assert (ok["op"], session.agent) == ("ok", "ada")
    for token in (None, "guess"):
        stranger = knock(desk)
        assert kinds(await desk.say(stranger, Register(id=1, agent="ada", token=token))) == ["error unauthorized"]
        assert stranger.close == (4401, "unauthorized")


async def test_a_wrong_token_is_refused_where_none_is_asked_for(desk: Desk) -> None:
    stranger = desk.connect()
    assert kinds(await desk.say(stranger, Register(id=1, agent="ada", token="guess"))) == ["error unauthorized"]
    assert stranger.close == (4401, "unauthorized")


async def test_the_token_of_a_frame_goes_no_further(desk: Desk) -> None:
    secret, _ = await make(desk, agent="ada")
    desk.put(knock(desk), Register(id=1, agent="ada", token=secret))
    assert secret not in repr(desk.broker.commands)


async def test_a_token_speaks_for_its_agent_only(desk: Desk) -> None:
    secret, _ = await make(desk, agent="ada")
    for visit in (True, False):
        thief = knock(desk)
        (error,) = await desk.say(thief, Register(id=1, agent="bob", token=secret, visit=visit))
        assert (error["code"], thief.close) == ("forbidden", (4401, "forbidden"))
        assert secret not in str(error)


async def test_two_tokens_in_one_connection_are_one_too_many(desk: Desk) -> None:
    first, _ = await make(desk, agent="ada")
    second, _ = await make(desk, agent="ada")
    session = knock(desk)
    session.grant = desk.broker.doorkeeper.admit(first, session.address, desk.now)
    assert kinds(await desk.say(session, Register(id=1, agent="ada", token=second))) == ["error unauthorized"]
    again = knock(desk)
    again.grant = session.grant
    assert kinds(await desk.say(again, Register(id=1, agent="ada", token=first)))[0] == "ok"


async def test_wrong_tokens_of_registers_are_counted_by_address(desk: Desk) -> None:
    secret, _ = await make(desk, agent="ada")
    for attempt in range(FAILURES_MAX):
        await desk.say(knock(desk), Register(id=1, agent="ada", token=f"guess {attempt}"))
    late = knock(desk)
    (error,) = await desk.say(late, Register(id=1, agent="ada", token=secret))
    assert (error["code"], late.close) == ("rate_limited", (4429, "rate_limited"))
    assert error["retry_after_s"] == 60.0
    elsewhere = knock(desk, address="10.0.0.5")
    assert kinds(await desk.say(elsewhere, Register(id=1, agent="ada", token=secret)))[0] == "ok"


async def test_a_frame_beyond_the_scopes_is_refused_and_the_others_go_on(desk: Desk) -> None:
    secret, _ = await make(desk, scopes=["messages:write", "agents:read"])
    await desk.agent("bob")
    session = knock(desk)
    await desk.say(session, Register(id=1, agent="ada", token=secret, visit=True))
    heard = await desk.say(
        session, Send(id=2, to="bob", body="x"), Inbox(id=3), Agents(id=4), TokenCreate(id=5, admin=True)
    )
    assert {frame["re"]: frame.get("code", "ok") for frame in heard} == {
        2: "ok",
        3: "forbidden",
        4: "ok",
        5: "forbidden",
    }
    assert session.close is None


async def test_what_came_behind_a_register_is_looked_at_like_all_else(desk: Desk) -> None:
    secret, _ = await make(desk, scopes=["agents:read"])
    session = knock(desk)
    heard = await desk.say(session, Register(id=1, agent="ada", token=secret, visit=True), Inbox(id=2))
    assert kinds(heard) == ["ok", "error forbidden"]


async def test_nobody_is_given_an_inbox_for_the_right_to_look_at_figures(desk: Desk) -> None:
    secret, _ = await make(desk, scopes=["stats:read"])
    ada = await desk.agent("ada")
    thief = knock(desk)
    assert kinds(await desk.say(thief, Register(id=1, agent="ada", token=secret))) == ["error forbidden"]
    assert ada.close is None, "and nobody is thrown out for it"


async def test_a_revoked_token_closes_its_sessions_and_lets_nobody_in(desk: Desk) -> None:
    secret, number = await make(desk, agent="ada")
    other, _ = await make(desk, agent="bob")
    session, bystander = knock(desk), knock(desk)
    await desk.say(session, Register(id=1, agent="ada", token=secret))
    await desk.say(bystander, Register(id=1, agent="bob", token=other))
    operator = desk.connect()
    heard = await desk.say(operator, Register(id=0, agent="op", visit=True), TokenRevoke(id=1, number=number))
    assert heard[1]["item"]["is_over"]
    assert [frame["code"] for frame in desk.heard(session)] == ["unauthorized"]
    assert session.close == (4401, "unauthorized")
    assert session in desk.broker.speaking, "it is told at once"
    assert bystander.close is None
    assert await desk.say(session, Heartbeat(id=9)) == [], "what it says after that is not heard"
    late = knock(desk)
    assert kinds(await desk.say(late, Register(id=1, agent="ada", token=secret))) == ["error unauthorized"]


async def test_who_revokes_its_own_token_is_answered_first(desk: Desk) -> None:
    secret, number = await make(desk, admin=True)
    session = knock(desk)
    await desk.say(session, Register(id=1, agent="op", token=secret, visit=True))
    assert kinds(await desk.say(session, TokenRevoke(id=2, number=number))) == ["ok", "bye"]


async def test_a_token_that_is_revoked_while_its_register_commits_opens_nothing(desk: Desk) -> None:
    secret, number = await make(desk, agent="ada")
    session = knock(desk)
    desk.put(session, Register(id=1, agent="ada", token=secret), Send(id=2, to="ada", body="x"))
    desk.broker.doorkeeper.revoke(number)
    await desk.turn()
    assert session.close == (4401, "unauthorized")
    assert 2 not in [frame.get("re") for frame in desk.heard(session)]


async def test_to_revoke_again_is_nothing_and_what_is_not_there_is_said(desk: Desk) -> None:
    _, number = await make(desk, agent="ada")
    operator = await desk.agent("op")
    first = await desk.say(operator, TokenRevoke(id=1, number=number))
    await desk.pass_time(5.0)
    assert (await desk.say(operator, TokenRevoke(id=1, number=number))) == first
    (error,) = await desk.say(operator, TokenRevoke(id=2, number=99))
    assert (error["code"], error["message"]) == ("unknown_token", "number is 99; there is no such token")


async def test_a_token_ends_by_itself_and_closes_its_sessions_then(desk: Desk) -> None:
    secret, number = await make(desk, agent="ada", expires_s=60)
    session = knock(desk)
    await desk.say(session, Register(id=1, agent="ada", token=secret))
    await desk.pass_time(59.9)
    assert session.close is None
    await desk.pass_time(0.2)
    assert session.close == (4401, "unauthorized")
    assert not desk.broker.doorkeeper.is_known(number)
    (page,) = await desk.say(await desk.agent("op"), Tokens(id=1))
    assert (page["items"][0]["expires_at"], page["items"][0]["is_over"]) == (START_MS + 60_000, True)


async def test_a_lost_session_is_forgotten_by_the_doorkeeper(desk: Desk) -> None:
    secret, _ = await make(desk, agent="ada")
    session = knock(desk)
    await desk.say(session, Register(id=1, agent="ada", token=secret))
    assert desk.broker.doorkeeper._open
    desk.broker.lost(session)
    assert desk.broker.doorkeeper._open == {}


async def test_tokens_outlive_the_relay_and_so_do_their_ends(desk: Desk) -> None:
    stays, number = await make(desk, agent="ada")
    short, _ = await make(desk, agent="ada", expires_s=60)
    over, _ = await make(desk, agent="ada", expires_s=5)
    revoked, gone = await make(desk, agent="ada")
    await desk.say(await desk.agent("op"), TokenRevoke(id=1, number=gone))
    await desk.restart(down_s=30.0)
    assert desk.broker.doorkeeper.stored == 2, "what is over is not remembered"
    for token in (over, revoked):
        assert kinds(await desk.say(knock(desk), Register(id=1, agent="ada", token=token))) == ["error unauthorized"]
    for token in (stays, short):
        session = knock(desk)
        assert kinds(await desk.say(session, Register(id=1, agent="ada", token=token)))[0] == "ok"
    await desk.pass_time(31.0)
    assert session.close == (4401, "unauthorized")
    assert desk.broker.doorkeeper.is_known(number)


async def test_what_was_over_a_month_ago_is_not_listed_and_its_number_is_not_given_again(desk: Desk) -> None:
    _, first = await make(desk, agent="ada", expires_s=60)
    desk.now += 30 * DAY_S + 61
    _, second = await make(desk, agent="ada")
    assert second == first + 1
    (page,) = await desk.say(await desk.agent("op"), Tokens(id=1))
    assert [item["number"] for item in page["items"]] == [second]


async def test_tokens_are_listed_in_pages(desk: Desk) -> None:
    numbers = [(await make(desk, agent="ada"))[1] for _ in range(3)]
    operator = await desk.agent("op")
    (page,) = await desk.say(operator, Tokens(id=1, limit=2))
    assert ([item["number"] for item in page["items"]], page["next"]) == (numbers[:2], numbers[1])
    (page,) = await desk.say(operator, Tokens(id=1, limit=2, after=page["next"]))
    assert ([item["number"] for item in page["items"]], page.get("next")) == (numbers[2:], None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agent": "ada"}, "forbidden"),
        ({"agent": "ada", "scopes": ["messages:read"]}, "ok"),
        ({"agent": "ada", "scopes": ["messages:write"]}, "forbidden"),
        ({"scopes": ["messages:read"]}, "ok"),
        ({"admin": True}, "forbidden"),
        ({"scopes": ["*"]}, "forbidden"),
    ],
)
async def test_nobody_gives_a_scope_that_it_does_not_have(desk: Desk, fields: dict[str, Any], code: str) -> None:
    deputy = Session("deputy", None, make_grant(frozenset({"system:write", "messages:read"})))
    await desk.say(deputy, Register(id=0, agent="deputy", visit=True))
    (answer,) = await desk.say(deputy, TokenCreate(id=1, **fields))
    assert answer.get("code", "ok") == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agent": "deputy"}, "ok"),
        ({"agent": "ada"}, "forbidden"),
        ({"admin": True}, "forbidden"),
        ({"integration": "deputy"}, "forbidden"),
    ],
)
async def test_nobody_gives_a_name_that_it_does_not_have(desk: Desk, fields: dict[str, Any], code: str) -> None:
    deputy = Session("deputy", None, make_grant(frozenset({"*"}), agent="deputy"))
    await desk.say(deputy, Register(id=0, agent="deputy", visit=True))
    (answer,) = await desk.say(deputy, TokenCreate(id=1, **fields))
    assert answer.get("code", "ok") == code


async def test_nobody_gives_away_more_time_than_it_has(desk: Desk) -> None:
    session = desk.connect()
    session.grant = make_grant(frozenset({"*"}), until=desk.now + 60)
    await desk.say(session, Register(id=0, agent="op", visit=True))
    for expires_s, code in ((None, "error forbidden"), (61, "error forbidden"), (59, "ok")):
        assert kinds(await desk.say(session, TokenCreate(id=1, agent="ada", expires_s=expires_s))) == [code]


async def test_there_is_a_bound_to_how_many_there_are(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_proto.limits.TOKENS_MAX", 2)
    for _ in range(2):
        _, number = await make(desk, agent="ada")
    operator = await desk.agent("op")
    assert kinds(await desk.say(operator, TokenCreate(id=1, agent="ada"))) == ["error forbidden"]
    await desk.say(operator, TokenRevoke(id=2, number=number))
    assert kinds(await desk.say(operator, TokenCreate(id=3, agent="ada"))) == ["ok"]


async def test_without_tokens_everybody_may_do_everything(desk: Desk) -> None:
    session = desk.connect()
    assert session.grant is ANYONE
    await make(desk, admin=True)
