"""grants.py: what a token may do, and that no op goes without a scope."""

from typing import Any, get_args

import pytest

from relay_proto import frames as wire
from relay_proto.scopes import SCOPES, Scope
from relay_server.grants import (
    ADMIN,
    AGENT_SCOPES,
    ANYONE,
    NOBODY,
    OP_SCOPES,
    SCOPE_OF,
    Grant,
    make_grant,
    why_not,
    why_not_register,
    why_not_say,
)

FRAMES: tuple[type[Any], ...] = get_args(wire.ClientFrame)


def op_of(kind: type[Any]) -> str:
    return str(kind.__struct_config__.tag)


def test_each_op_has_a_scope_and_no_other_has_one() -> None:
    assert OP_SCOPES.keys() == {op_of(kind) for kind in FRAMES}
    assert {scope for scope in OP_SCOPES.values() if scope is not None} <= SCOPES
    assert {kind: OP_SCOPES[op_of(kind)] for kind in FRAMES} == SCOPE_OF


def test_only_what_opens_keeps_and_ends_a_connection_needs_no_scope() -> None:
    assert {op for op, scope in OP_SCOPES.items() if scope is None} == {"register", "heartbeat", "bye"}


def test_what_only_looks_needs_a_scope_to_read_and_what_changes_one_to_write() -> None:
    looks = {
        "agents", "receipts", "inbox", "message", "thread", "owed", "why", "subscribe", "unsubscribe", "check", "tasks",
        "task", "pairs", "pair", "overview",
    }  # fmt: skip
    for op, scope in OP_SCOPES.items():
        if scope is not None:
            assert scope.endswith(":read") is (op in looks), op


def test_the_scopes_are_those_of_the_contract() -> None:
    assert set(get_args(Scope)) == SCOPES | {"*"}
    assert len(SCOPES) == 15
    assert AGENT_SCOPES | {"system:write", "events:create"} == SCOPES


@pytest.mark.parametrize("grant", [ANYONE, ADMIN, make_grant(frozenset({"*"}), agent="ada")])
def test_a_full_grant_says_so_by_one_look(grant: Grant) -> None:
    assert grant.frames is None
    assert all(grant.may(scope) for scope in (*SCOPES, None))


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_one_scope_allows_its_ops_and_no_others(scope: str) -> None:
    grant = make_grant(frozenset({scope}))
    assert grant.frames == frozenset(kind for kind in FRAMES if OP_SCOPES[op_of(kind)] in (scope, None))
    assert grant.may(scope)
    assert not any(grant.may(other) for other in SCOPES - {scope})


def test_a_refusal_names_the_op_and_the_scope() -> None:
    refusal = why_not(make_grant(frozenset({"messages:read"})), wire.Send(id=1, to="bob", body="x"))
    assert refusal is not None
    assert (refusal.code, refusal.detail) == ("forbidden", {"scope": "messages:write"})
    assert refusal.message == "send needs the scope messages:write, which this token does not have"


def test_a_bound_grant_speaks_for_its_agent_only() -> None:
    assert ANYONE.speaks_for("ada")
    bound = make_grant(AGENT_SCOPES, agent="ada")
    assert bound.speaks_for("ada")
    assert not bound.speaks_for("bob")
    integration = make_grant(frozenset({"*"}), integration="ci")
    assert integration.agent == "integration/ci"
    assert integration.speaks_for("integration/ci")
    assert not integration.speaks_for("ci")


INTEGRATION = make_grant(
    frozenset({"*"}), integration="ci", targets=frozenset({"cap:build"}), channels=frozenset({"builds"})
)


@pytest.mark.parametrize(
    ("frame", "refused"),
    [
        (wire.Send(id=1, to="cap:build", body="x"), None),
        (wire.Send(id=1, to="cap:build", body="x", channel="builds"), None),
        (wire.Send(id=1, to="ALL", body="x"), "to"),
        (wire.Send(id=1, to="cap:build", body="x", channel="ops"), "channel"),
        (wire.Submit(id=1, to="bob", title="x", body="x"), "to"),
        (wire.PairOpen(id=1, to="bob"), "to"),
        (wire.Tasks(id=1, to="bob"), None),
    ],
    ids=repr,
)
def test_an_integration_addresses_what_it_is_allowed_to(frame: Any, refused: str | None) -> None:
    refusal = why_not(INTEGRATION, frame)
    assert (None if refusal is None else refusal.detail) == (None if refused is None else {"field": refused})


CHANNELS = make_grant(frozenset({"*"}), integration="ci", channels=frozenset({"builds"}))


@pytest.mark.parametrize(
    ("to", "channel", "refused"),
    [
        ("bob", None, None),
        ("bob", "builds", None),
        ("channel:builds", None, None),
        ("channel:ops", None, "to"),
        ("channel:ops", "builds", "to"),
        ("channel:builds", "ops", "channel"),
    ],
)
def test_an_integration_s_channels_bound_its_targets_too(to: str, channel: str | None, refused: str | None) -> None:
    refusal = why_not(CHANNELS, wire.Send(id=1, to=to, body="x", channel=channel))
    assert (None if refusal is None else refusal.detail["field"]) == refused


def test_an_integration_without_targets_addresses_nobody() -> None:
    grant = make_grant(frozenset({"*"}), integration="ci", targets=frozenset(), channels=frozenset())
    assert why_not(grant, wire.Send(id=1, to="bob", body="x")) is not None


def test_whatever_the_scope_of_a_route_nothing_is_said_in_another_s_name_or_to_another_place() -> None:
    bound = make_grant(frozenset({"events:create"}), agent="ada")
    assert why_not_say(bound, "ada", wire.Submit(id=1, to="bob", title="x", body="x")) is None
    refusal = why_not_say(bound, "bob", wire.Heartbeat(id=1))
    assert refusal is not None
    assert refusal.message == "this token speaks for ada, not for bob"
    assert why_not_say(INTEGRATION, "integration/ci", wire.Submit(id=1, to="bob", title="x", body="x")) is not None


REGISTER = wire.Register(id=1, agent="ada")
VISIT = wire.Register(id=1, agent="ada", visit=True)


@pytest.mark.parametrize(
    ("scopes", "frame", "hears", "wants"),
    [
        ({"tasks:create"}, VISIT, True, None),
        ({"tasks:create"}, REGISTER, True, "agents:write"),
        ({"agents:write"}, REGISTER, True, "messages:read"),
        ({"agents:write"}, REGISTER, False, None),
        ({"agents:write", "messages:read"}, REGISTER, True, None),
        ({"*"}, REGISTER, True, None),
    ],
)
def test_to_register_is_to_be_listed_and_to_be_given_messages(
    scopes: set[str], frame: wire.Register, hears: bool, wants: str | None
) -> None:
    refusal = why_not_register(make_grant(frozenset(scopes)), frame, hears=hears)
    assert (None if refusal is None else refusal.detail["scope"]) == wants


def test_nobody_registers_under_another_s_name() -> None:
    bound = make_grant(frozenset({"*"}), agent="bob")
    for frame in (REGISTER, VISIT):
        refusal = why_not_register(bound, frame, hears=True)
        assert refusal is not None
        assert refusal.message == "agent is 'ada'; this token speaks for bob only"


def test_a_last_will_is_a_message() -> None:
    will = wire.Will(to="ALL", body="gone")
    listener = make_grant(frozenset({"agents:write", "messages:read"}))
    refusal = why_not_register(listener, wire.Register(id=1, agent="ada", will=will), hears=True)
    assert refusal is not None
    assert refusal.detail == {"scope": "messages:write"}
    frame = wire.Register(id=1, agent="integration/ci", will=will)
    refusal = why_not_register(INTEGRATION, frame, hears=True)
    assert refusal is not None
    assert refusal.detail == {"field": "to"}


def test_nobody_may_only_say_who_it_is() -> None:
    assert NOBODY.frames == frozenset({wire.Register, wire.Heartbeat, wire.Bye})


@pytest.mark.parametrize("kind", [wire.Withdraw, wire.Cancel])
def test_a_bound_token_goes_over_nobody_s_head(kind: Any) -> None:
    frame = kind(id=1, message=1, force=True)
    bound = make_grant(AGENT_SCOPES, agent="ada")
    assert why_not(bound, frame) is not None
    assert why_not_say(bound, "ada", frame) is not None
    frame.force = False
    assert why_not(bound, frame) is None
    assert why_not_say(bound, "ada", frame) is None
    frame.force = True
    for grant in (ADMIN, make_grant(frozenset({*AGENT_SCOPES, "system:write"}), agent="ada"), make_grant(AGENT_SCOPES)):
        assert why_not(grant, frame) is None
