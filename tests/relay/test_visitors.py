"""Names that only ever visited: how long they are known, how many of them, and what stays when one is forgotten."""

from collections.abc import Iterable

import pytest

from relay_proto.frames import (
    Check,
    Claim,
    Heartbeat,
    Inbox,
    PairAccept,
    PairOpen,
    Register,
    Remove,
    Send,
    Submit,
)
from relay_server import visitors
from relay_server.store import interface as ask
from relay_server.times import COME_BACK_S, PRUNE_S, SWEEP_S
from tests.relay.desk import Desk, kinds
from tests.relay.test_visits import visit


async def come(desk: Desk, names: Iterable[str]) -> None:
    """Each of these visits, and is gone."""
    for name in names:
        desk.broker.lost(await visit(desk, name, "i"))


async def known(desk: Desk) -> set[str]:
    """The names that memory has; the rows are the same ones."""
    names = set(desk.broker.directory.agents)
    await desk.restart()
    assert set(desk.broker.directory.agents) == names
    return names


async def test_one_that_was_not_heard_of_for_long_is_forgotten_and_its_mail_stays(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await come(desk, ["bob"])
    await desk.say(ada, Send(id=1, to="bob", body="while it is known"))
    await desk.pass_time(PRUNE_S - SWEEP_S)
    assert desk.broker.directory.get("bob") is not None
    await desk.pass_time(2 * SWEEP_S)
    assert desk.broker.directory.get("bob") is None
    (refused,) = await desk.say(ada, Send(id=2, to="bob", body="to nobody"))
    assert refused["code"] == "unknown_agent"
    again = await visit(desk, "bob", "j")
    (inbox,) = await desk.say(again, Inbox(id=1))
    assert [item["body"] for item in inbox["items"]] == ["while it is known"]
    desk.broker.lost(again)
    assert await known(desk) == {"ada", "bob"}


async def test_what_is_written_down_is_forgotten_as_well(desk: Desk) -> None:
    await come(desk, ["bob"])
    await desk.pass_time(PRUNE_S + SWEEP_S)
    assert await known(desk) == set()


@pytest.mark.parametrize("speaks", [True, False])
async def test_an_open_visit_keeps_its_name_whether_or_not_it_speaks(desk: Desk, speaks: bool) -> None:
    shell, other = await visit(desk, "bob", "i"), await visit(desk, "bob", "j")
    desk.broker.lost(other)
    desk.broker.lost(other)
    for _ in range(30):
        await desk.pass_time(PRUNE_S / 20)
        if speaks:
            await desk.say(shell, Heartbeat())
    assert "bob" in desk.broker.directory.agents
    desk.broker.lost(shell)
    await desk.pass_time(PRUNE_S / 2)
    assert ("bob" in desk.broker.directory.agents) == speaks, "its time is from its last word"
    await desk.pass_time(PRUNE_S)
    assert "bob" not in desk.broker.directory.agents


async def test_one_whose_register_came_when_its_connection_was_lost_is_no_open_visit(desk: Desk) -> None:
    session = desk.connect()
    desk.put(session, Register(id=0, agent="bob", visit=True))
    desk.broker.lost(session)
    await desk.turn()
    assert desk.broker.directory.agents["bob"].visits == 0
    await desk.pass_time(PRUNE_S + SWEEP_S)
    assert await known(desk) == set()


async def test_beyond_the_limit_the_longest_quiet_go_but_nobody_who_was_just_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 3)
    monkeypatch.setattr(visitors, "FORGET_MAX", 2)
    await desk.agent("ada")
    shell = await visit(desk, "shell", "i")
    names = [f"v{number}" for number in range(8)]
    for name in names:
        await come(desk, [name])
        desk.now += 1
    await come(desk, ["v0"])  # heard of again: now v1 is the one
    await desk.pass_time(SWEEP_S - desk.now)
    assert set(names) <= desk.broker.directory.agents.keys(), "they were there within the last minute"
    await desk.pass_time(SWEEP_S)
    assert desk.broker.directory.agents.keys() == {"ada", "shell", "v0", "v7"}, "three, one of them by its open visit"
    desk.broker.lost(shell)
    assert await known(desk) == {"ada", "shell", "v0", "v7"}


async def test_those_who_registered_once_are_no_visitors(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 0)
    desk.broker.lost(await desk.agent("bob"))
    await desk.pass_time(2 * PRUNE_S)
    assert desk.broker.directory.agents["bob"].visitor, "it is pruned"
    assert await known(desk) == {"bob"}


async def test_those_who_left_do_not_count_and_the_store_forgets_none_of_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 1)
    await come(desk, ["eve"])
    desk.now += 1
    bob = await desk.agent("bob")
    await desk.say(bob, Remove(id=1, agent="bob"))
    await desk.pass_time(3 * SWEEP_S)
    desk.broker.commands.append(ask.ForgetVisitors(None, None, ["bob"], desk.now_ms + 1000, []))
    await desk.turn()
    assert await known(desk) == {"bob", "eve"}


async def test_a_minute_counts_from_the_last_word_of_a_visit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 0)
    shell = await visit(desk, "bob", "i")
    await desk.pass_time(3.5 * SWEEP_S)
    await desk.say(shell, Heartbeat())
    desk.broker.lost(shell)
    await desk.pass_time(SWEEP_S)
    assert "bob" in desk.broker.directory.agents
    await desk.pass_time(SWEEP_S)
    assert await known(desk) == set()


async def test_who_is_in_a_pair_is_kept_while_it_is_in_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 0)
    desk.broker.pairs.grace_s = 10 * SWEEP_S
    ada = await desk.agent("ada")
    shell = await visit(desk, "bob", "i")
    await desk.say(ada, PairOpen(id=1, to="bob"))
    await desk.say(shell, PairAccept(id=1, pair=1))
    desk.broker.lost(shell)
    for _ in range(5):
        await desk.pass_time(SWEEP_S)
        await desk.say(ada, Heartbeat())
    assert "bob" in desk.broker.directory.agents
    await desk.pass_time(10 * SWEEP_S)
    assert "bob" not in desk.broker.directory.agents


async def test_its_claims_outlive_its_name(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "VISITORS_MAX", 0)
    ada = await desk.agent("ada")
    await desk.say(ada, Submit(id=1, to="bob", title="once", hold=True))
    shell = await visit(desk, "bob", "i")
    await desk.say(shell, Claim(id=1, message=1, lease_s=5 * SWEEP_S))
    desk.broker.lost(shell)
    await desk.pass_time(3 * SWEEP_S)
    assert "bob" not in desk.broker.directory.agents
    assert kinds(await desk.say(ada, Check(id=2, message=1, fence=1))) == ["ok"]
    await desk.pass_time(3 * SWEEP_S)
    assert kinds(await desk.say(ada, Check(id=3, message=1, fence=1)))[-1] == "error finished"


async def test_one_that_comes_while_it_is_being_forgotten_is_known(desk: Desk) -> None:
    await come(desk, ["bob", "eve"])
    desk.now += PRUNE_S
    forget = ask.ForgetVisitors(None, None, ["bob", "eve"], desk.now_ms - 1000, [])
    bob, eve = desk.connect(), desk.connect()
    desk.put(bob, Register(id=0, agent="bob", visit=True))  # before it in the same turn
    desk.broker.commands.append(forget)
    desk.put(eve, Register(id=0, agent="eve", visit=True), Send(id=1, to="bob", body="x"))  # behind it
    await desk.turn()
    assert kinds(desk.heard(eve)) == ["ok", "ok"]
    for session in (bob, eve):
        assert kinds(await desk.say(session, Send(id=2, to="eve", body="x")))[-1] == "ok"
    assert await known(desk) == {"bob", "eve"}


async def test_after_a_start_everyone_has_time_to_come_before_its_age_counts(desk: Desk) -> None:
    await come(desk, ["bob"])
    await desk.restart(down_s=2 * PRUNE_S)
    await desk.pass_time(COME_BACK_S - SWEEP_S)
    assert "bob" in desk.broker.directory.agents
    await desk.pass_time(2 * SWEEP_S)
    assert await known(desk) == set()
