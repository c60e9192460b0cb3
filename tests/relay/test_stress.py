"""Random stress of the broker over the real store: whatever the agents do, and in whatever order, this stays true.

A failure prints its seed; RELAY_TEST_SEED=<that seed> makes it the first run.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay_server.store import queries
from tests.relay.stress import DRAIN_ROUNDS, Broken, Fleet, make_cheap, temporary_folder

FIRST_SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
RUNS = 12
STEPS = 250
LOG_LINES = 40
OPEN = "stage IN ('queued', 'surfaced')"
HELD = "('claimed', 'working', 'parked')"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the store may be: in memory if there is such a place, and without the room it reserves."""
    make_cheap(monkeypatch)
    with temporary_folder() as path:
        yield Path(path) / "desk"


@pytest.mark.parametrize("run", range(RUNS))
async def test_what_must_be_true_is_true_whatever_happens(run: int, folder: Path) -> None:
    seed = FIRST_SEED + run
    fleet = Fleet(folder, seed)
    await fleet.open()
    try:
        for _ in range(STEPS):
            if await fleet.step():
                check_at_rest(fleet)
        await drain(fleet)
    except BaseException:
        print(f"RELAY_TEST_SEED={seed}", *fleet.log[-LOG_LINES:], sep="\n")
        raise
    finally:
        await fleet.close()


async def drain(fleet: Fleet) -> None:
    """Everything ends once everyone works: nothing stays open, and nothing was done that nobody saw."""
    fleet.draining = True
    for number in range(DRAIN_ROUNDS):
        await fleet.drain_round(number)
        check_at_rest(fleet)
        if not left_open(fleet):
            break
    if left := left_open(fleet):
        raise Broken(f"left open: {left[:5]}")
    for message, agent in fleet.rows("SELECT message, agent FROM deliveries WHERE stage = 'done'"):
        if fleet.sent.get(message) is False and message not in fleet.actors[agent].seen:
            raise Broken(f"{message} is done, but {agent} never saw it")


def left_open(fleet: Fleet) -> list[object]:
    """Deliveries and work that are not over. Work that everyone nacked for good is over."""
    deliveries = fleet.rows(f"SELECT message, agent, stage, due_at FROM deliveries WHERE {OPEN}")
    works = fleet.rows(
        "SELECT message, state, holder, target FROM work"
        " WHERE state NOT IN ('done', 'failed', 'buried', 'superseded') AND EXISTS"
        " (SELECT 1 FROM deliveries WHERE message = work.message AND stage NOT IN ('nacked', 'dead'))"
    )
    return [*deliveries, *works]


def check_at_rest(fleet: Fleet) -> None:
    """With nothing left to decide, memory agrees with the store."""
    check_sessions(fleet)
    check_leases(fleet)
    check_asks(fleet)
    check_wakes(fleet)


def check_sessions(fleet: Fleet) -> None:
    """Nobody has more than its credit, waits although it has credit, or pays credit for what was withdrawn.

    What is over, or offered to another, at this very moment is not waited for: the timer may not have run. Nor is what
    one holds a claim on: it was given back and claimed again in one breath.
    """
    now = fleet.desk.now_ms
    for name, session in fleet.desk.broker.sessions.items():
        if session.close is not None:
            continue
        if len(session.unacked) > session.credit:
            raise Broken(f"credit: {name} has {len(session.unacked)} of {session.credit}")
        due = fleet.rows(
            f"SELECT message FROM deliveries WHERE agent = ?1 AND {OPEN} AND due_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > ?2) AND (offer_at IS NULL OR offer_at > ?2)"
            " AND NOT EXISTS (SELECT 1 FROM work AS w WHERE w.message = deliveries.message"
            f" AND w.state IN {HELD} AND w.holder = ?1)",
            name,
            now,
        )
        missing = {message for (message,) in due} - session.unacked
        if missing and len(session.unacked) < session.credit and session.writable:
            flags = f"lagging {session.lagging}, refilling {session.refilling}, rescan {session.rescan}"
            raise Broken(f"stall: {name} waits for {sorted(missing)}; {flags}, pushed to {session.pushed_to}")
        withdrawn = fleet.rows(
            "SELECT message FROM deliveries LEFT JOIN work USING (message)"
            " WHERE agent = ?1 AND stage IN ('superseded', 'expired') AND holder IS NOT ?1",
            name,
        )
        if leaked := session.unacked.intersection(message for (message,) in withdrawn):
            raise Broken(f"credit leak: {name} pays for {leaked}, which was taken back")
        early = fleet.rows(  # those that were nacked may have been offered again just before
            "SELECT message FROM deliveries WHERE agent = ? AND attempt <= 1 AND stage = 'queued' AND due_at > ?",
            name,
            now,
        )
        if pushed := session.unacked.intersection(message for (message,) in early):
            raise Broken(f"too early: {name} was given {pushed}")


def check_asks(fleet: Fleet) -> None:
    """Who waits for whom is in memory as it stands in the store, and nobody owes what it said it would not answer."""
    kept: dict[int, tuple[str, set[str]]] = {}
    for message, asker, agent, _ in fleet.rows(queries.blocking_asks):
        kept.setdefault(message, (asker, set()))[1].add(agent)
    waits = fleet.desk.broker.waits._by_message
    known = {message: (wait.asker, wait.on) for message, wait in waits.items()}
    if kept != known:
        differing = [message for message in kept.keys() | known.keys() if kept.get(message) != known.get(message)]
        raise Broken(f"waits: {[(message, kept.get(message), known.get(message)) for message in differing]}")
    for wait in waits.values():
        if (ring := fleet.desk.broker.waits.ring_of(wait)) is not None:
            raise Broken(f"a ring that nobody was told of: {ring}")
    refused = fleet.rows(
        "SELECT a.message, a.agent, d.stage FROM asks AS a JOIN deliveries AS d USING (message, agent)"
        " JOIN messages AS m USING (message) WHERE a.state IN ('open', 'overdue') AND NOT m.claimable"
        " AND m.target NOT GLOB 'any:*' AND d.stage IN ('nacked', 'dead', 'expired', 'superseded')"
    )
    if refused:
        raise Broken(f"owed, though it will not come: {refused}")


def check_leases(fleet: Fleet) -> None:
    """Each claim that runs has a lease with its fence and a live deadline, and nothing else has one."""
    broker = fleet.desk.broker
    watched = {id(entry[3]) for entry in fleet.desk.deadlines._heap}
    claimed = set()
    for message, fence in fleet.rows("SELECT message, fence FROM work WHERE state IN ('claimed', 'working')"):
        claimed.add(message)
        lease = broker.leases.get(message)
        if lease is None or lease.fence != fence:
            raise Broken(f"work {message} is claimed at fence {fence}, but its lease is {lease}")
        if id(lease) not in watched:
            raise Broken(f"the lease of work {message} has no deadline")
    if unclaimed := set(broker.leases._by_message) - claimed:
        raise Broken(f"leases of work that nobody holds: {unclaimed}")


def check_wakes(fleet: Fleet) -> None:
    """What waits for its time has a wake that is not later."""
    ((due_at, expires_at, offer_at, ready_at, reply_by_at),) = fleet.rows(
        f"SELECT (SELECT min(due_at) FROM deliveries WHERE {OPEN}),"
        " (SELECT min(expires_at) FROM deliveries WHERE stage = 'queued'),"
        " (SELECT min(max(offer_at, coalesce(due_at, 0))) FROM deliveries WHERE stage IN ('queued', 'nacked', 'dead')),"
        " (SELECT min(ready_at) FROM work WHERE state = 'delayed'),"
        " (SELECT min(reply_by_at) FROM asks WHERE state = 'open')"
    )
    times = {"due": due_at, "expires": expires_at, "offer": offer_at, "ready": ready_at, "reply": reply_by_at}
    wake = fleet.desk.broker._due_at
    late = {what: at for what, at in times.items() if at is not None and (wake is None or wake > at)}
    if late:
        raise Broken(f"wake at {wake}, which is too late for {late}")
