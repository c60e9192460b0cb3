"""Random stress of the broker over the real store: whatever the agents do, and in whatever order, this stays true.

A failure prints its seed; RELAY_TEST_SEED=<that seed> makes it the first run.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.relay.stress import DRAIN_ROUNDS, Broken, Fleet, make_cheap, temporary_folder

FIRST_SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
RUNS = 12
STEPS = 250
LOG_LINES = 40
OPEN = "stage IN ('queued', 'surfaced')"


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
        "SELECT message, state, holder, target FROM work WHERE state NOT IN ('done', 'failed', 'buried') AND EXISTS"
        " (SELECT 1 FROM deliveries WHERE message = work.message AND stage NOT IN ('nacked', 'dead'))"
    )
    return [*deliveries, *works]


def check_at_rest(fleet: Fleet) -> None:
    """With nothing left to decide, memory agrees with the store."""
    check_sessions(fleet)
    check_leases(fleet)
    check_wakes(fleet)


def check_sessions(fleet: Fleet) -> None:
    """Nobody has more than its credit, waits although it has credit, or pays credit for what was withdrawn."""
    for name, session in fleet.desk.broker.sessions.items():
        if session.close is not None:
            continue
        if len(session.unacked) > session.credit:
            raise Broken(f"credit: {name} has {len(session.unacked)} of {session.credit}")
        due = fleet.rows(f"SELECT message FROM deliveries WHERE agent = ? AND {OPEN} AND due_at IS NULL", name)
        missing = {message for (message,) in due} - session.unacked
        if missing and len(session.unacked) < session.credit and session.writable:
            flags = f"lagging {session.lagging}, refilling {session.refilling}, rescan {session.rescan}"
            raise Broken(f"stall: {name} waits for {sorted(missing)}; {flags}, pushed to {session.pushed_to}")
        withdrawn = fleet.rows(
            "SELECT message, holder FROM deliveries JOIN work USING (message) WHERE agent = ? AND stage = 'superseded'",
            name,
        )
        leaked = [message for message, holder in withdrawn if message in session.unacked and holder != name]
        if leaked:
            raise Broken(f"credit leak: {name} pays for {leaked}, which it can't take any more")


def check_leases(fleet: Fleet) -> None:
    """Each claimed work has a lease with its fence and a live deadline, and nothing else has one."""
    broker = fleet.desk.broker
    watched = {id(entry[3]) for entry in fleet.desk.deadlines._heap}
    claimed = set()
    for message, fence in fleet.rows("SELECT message, fence FROM work WHERE state = 'claimed'"):
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
    ((delivery_due,),) = fleet.rows("SELECT min(due_at) FROM deliveries WHERE stage = 'queued'")
    ((work_ready,),) = fleet.rows("SELECT min(ready_at) FROM work WHERE state = 'delayed'")
    wake = fleet.desk.broker._due_at
    for at in (delivery_due, work_ready):
        if at is not None and (wake is None or wake > at):
            raise Broken(f"wake at {wake}: a delivery is due at {delivery_due}, work is ready at {work_ready}")
