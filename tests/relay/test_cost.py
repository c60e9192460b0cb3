"""What many recipients cost: a broadcast is encoded once, and the store pays microseconds for each of them."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from relay_proto.codec import encode_frame
from relay_proto.frames import Deliver, Register, Send
from relay_server import sent
from relay_server.session import Session
from relay_server.store import interface as ask
from relay_server.store.sqlite import SQLiteStore
from tests.relay.desk import START_MS, Desk, kinds

AGENTS = 1000
NAMES = [f"agent-{number:04}" for number in range(AGENTS)]
RECIPIENT_US_MAX = 6.0
"""What the issue allows for one recipient of a group send, in the store, its share of the commit's fsync included."""
TURNS = 15


async def fleet(desk: Desk) -> list[Session]:
    """A thousand connected agents, registered in one turn."""
    sessions = [desk.connect() for _ in NAMES]
    for name, session in zip(NAMES, sessions, strict=True):
        desk.put(session, Register(id=0, agent=name))
    await desk.turn()
    for session in sessions:
        assert kinds(desk.heard(session)) == ["ok"]
    return sessions


@pytest.mark.parametrize("extra", [{}, {"priority": 9}, {"ttl_s": 60, "caused_by": 1}])
async def test_a_broadcast_to_a_thousand_connected_agents_is_encoded_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    sessions = await fleet(desk)
    ada = await desk.agent("ada")
    desk.put(ada, Send(id=1, to="ada", body="x"))
    await desk.turn()
    encoded: list[int] = []

    def count(frame: Any) -> bytes:
        if isinstance(frame, Deliver):
            encoded.append(frame.message)
        return encode_frame(frame)

    monkeypatch.setattr(sent, "encode_frame", count)
    desk.heard(ada)
    (ok,) = await desk.say(ada, Send(id=2, to="broadcast", body="y" * 1000, **extra))
    assert (ok["recipients"], ok["online"]) == (AGENTS, AGENTS)
    assert encoded == [ok["message"]]
    frames = [frame for session in sessions for frame in session.frames]
    assert len(frames) == AGENTS
    assert {id(frame) for frame in frames} == {id(frames[0])}, "the very same bytes, not equal ones"
    assert [frame["message"] for frame in desk.heard(sessions[0])] == [ok["message"]]


def group_send(number: int, names: list[str], plain: bool, **fields: Any) -> ask.PutMessage:
    given: dict[str, Any] = {"body": "x" * 200, "key": f"key-{number}"} | fields
    frame = Send(id=number, to="broadcast", **given)
    return ask.PutMessage(None, number, "ada", frame, names, 0, size=200, plain=plain, hops_max=16)


async def best_us(store: SQLiteStore, start: int, plain: bool, **fields: Any) -> float:
    """Microseconds a recipient, of the quickest turn: what else runs on the machine only makes turns slower."""
    best = float("inf")
    for number in range(start, start + TURNS):
        command = group_send(number, NAMES, plain, **fields)
        started = time.perf_counter()
        (outcome,) = await store.commit([command], START_MS + number)
        best = min(best, time.perf_counter() - started)
        assert isinstance(outcome, ask.MessagePut), outcome
        assert outcome.recipients == AGENTS
    return best * 1e6 / AGENTS


async def test_a_group_send_to_a_thousand_costs_the_store_six_microseconds_for_each_at_most(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path)
    await store.open()
    plain = await best_us(store, 100, True)
    special = await best_us(store, 200, False, ttl_s=3600)
    for start in range(1000, 1400, 50):
        await store.commit([group_send(number, NAMES, True) for number in range(start, start + 50)], START_MS)
    later = await best_us(store, 300, True)
    await store.close()
    print(f"a recipient: {plain:.2f} us; with a ttl {special:.2f} us; with 400 in each inbox {later:.2f} us")
    assert plain <= RECIPIENT_US_MAX
    assert special <= 2 * RECIPIENT_US_MAX, "two rows for each instead of one"
    # An inbox of a hundred and more fills pages of the index by itself, and a turn with one send writes one of them for
    # each recipient: that is what the last figure shows, and the disk's to say, so it is shown and not judged.


WORKS = 500
"""Claims in one turn: a storm, or a second of a busy fleet."""
BARE_TIMES_MAX = 2.5
"""A claim may cost so many times what SQLite takes for its bare rows. (What it is in microseconds is the machine's to
say: see docs/architecture.md.)"""


def work_send(number: int) -> ask.PutMessage:
    frame = Send(id=number, to="bob", body="x" * 200, claimable=True)
    return ask.PutMessage(None, number, "ada", frame, ["bob"], 0, size=200, hops_max=16)


async def works(store: SQLiteStore, now_ms: int) -> list[int]:
    outcomes = await store.commit([work_send(number) for number in range(WORKS)], now_ms)
    return [outcome.message for outcome in outcomes if isinstance(outcome, ask.MessagePut)]


async def us_each(store: SQLiteStore, commands: list[ask.Command], now_ms: int, expected: type) -> float:
    started = time.perf_counter()
    outcomes = await store.commit(commands, now_ms)
    took = time.perf_counter() - started
    assert [type(outcome) for outcome in outcomes] == [expected] * len(commands)
    return took * 1e6 / len(commands)


def bare_us(connection: sqlite3.Connection, works: list[int], *statements: str) -> float:
    """A transaction in which each of these pieces of work is written by each of these statements, one by one."""
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for message in works:
        for statement in statements:
            connection.execute(statement, (message,)).fetchall()
    connection.execute("COMMIT")
    return (time.perf_counter() - started) * 1e6 / len(works)


def bare_store(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE work (message INTEGER PRIMARY KEY, state TEXT, fence INTEGER, holder TEXT) STRICT")
    connection.execute("CREATE INDEX ready ON work (state) WHERE state = 'ready'")
    connection.execute(
        "CREATE TABLE inbox (message INTEGER, agent TEXT, stage TEXT, PRIMARY KEY (message, agent)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX open ON inbox (agent, message) WHERE stage = 'queued'")
    return connection


WORK_TURNS_MAX = 4 * TURNS
"""The quickest of so many turns counts, and no more than TURNS are taken where those are quick enough."""


def is_near_bare(best: dict[str, float]) -> bool:
    return all(best[name] <= BARE_TIMES_MAX * best[f"bare {name}"] for name in ("claim", "complete"))


CLAIM = """UPDATE work SET state = 'claimed', fence = fence + 1, holder = 'bob'
           WHERE message = ? AND state = 'ready' RETURNING fence"""
COMPLETE = "UPDATE work SET state = 'done' WHERE message = ? AND fence = 1 AND holder = 'bob'"
ACK = "UPDATE inbox SET stage = 'done' WHERE message = ? AND agent = 'bob'"


async def test_a_claim_and_a_completion_cost_the_store_little_more_than_their_bare_rows(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path)
    await store.open()
    bare = bare_store(tmp_path / "bare.db")
    await store.commit([ask.PutAgent(None, 0, Register(id=0, agent="bob"), "i")], START_MS)
    best = dict.fromkeys(("claim", "complete", "bare claim", "bare complete"), float("inf"))
    for turn in range(WORK_TURNS_MAX):
        now_ms = START_MS + turn
        made = await works(store, now_ms)
        bare.execute("BEGIN")
        bare.executemany("INSERT INTO work VALUES (?, 'ready', 0, NULL)", [(message,) for message in made])
        bare.executemany("INSERT INTO inbox VALUES (?, 'bob', 'queued')", [(message,) for message in made])
        bare.execute("COMMIT")
        claims: list[ask.Command] = [ask.ClaimWork(None, 1, "bob", 1, "i", message, 60.0) for message in made]
        completions: list[ask.Command] = [ask.CompleteWork(None, 1, "bob", message, 1, None) for message in made]
        took = {
            "claim": await us_each(store, claims, now_ms, ask.WorkClaimed),
            "bare claim": bare_us(bare, made, CLAIM),
            "complete": await us_each(store, completions, now_ms, ask.Completed),
            "bare complete": bare_us(bare, made, COMPLETE, ACK),
        }
        best = {name: min(best[name], us) for name, us in took.items()}
        if turn + 1 >= TURNS and is_near_bare(best):
            break
    await store.close()
    bare.close()
    print(*(f"{name}: {us:.2f} us" for name, us in best.items()), sep="; ")
    assert is_near_bare(best), best
