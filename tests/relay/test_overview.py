"""The overview at the desk, over a real store and with a clock that the test holds; and over the wire and HTTP."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay_proto import frames as wire
from relay_server.quota import Limits
from relay_server.session import Session
from relay_server.store.overview import PARKED_MS, STUCK_MS
from tests.daemon import Daemon
from tests.peer import Peer, Refused
from tests.relay.desk import START_MS, Desk

MINUTES = 60.0


async def look(desk: Desk, session: Session, **fields: Any) -> dict[str, Any]:
    """What an overview shows now."""
    (answer,) = [frame for frame in await desk.say(session, wire.GetOverview(id=99, **fields)) if frame.get("re") == 99]
    item: dict[str, Any] = answer["item"]
    return item


async def send(desk: Desk, session: Session, to: str, **fields: Any) -> int:
    heard = await desk.say(session, wire.Send(id=98, to=to, body="x", **fields))
    return int(next(frame["message"] for frame in heard if frame["op"] == "ok"))


async def heard(desk: Desk, *sessions: Session, seconds: float) -> None:
    """Time goes by, and these go on saying that they are alive."""
    for _ in range(int(seconds // 30)):
        await desk.pass_time(30)
        for session in sessions:
            await desk.say(session, wire.Heartbeat())


async def test_the_counters_grow_with_what_is_done(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben", caps=["x"])
    before = (await look(desk, ann))["counters"]
    await send(desk, ann, "broadcast")
    work = [await send(desk, ann, "cap:x", claimable=True) for _ in range(3)]
    await desk.say(ben, wire.Ack(messages=[1]))
    await desk.say(ben, wire.Claim(id=1, message=work[0]), wire.ClaimNext(id=2, n=2))
    await desk.say(ben, wire.Complete(id=3, message=work[0], fence=1))
    await desk.say(ben, wire.Fail(id=4, message=work[1], fence=1, reason="no"))
    await desk.say(ann, wire.Send(id=5, to="nobody", body="x"))
    await desk.say(ann, wire.Complete(id=6, message=work[0], fence=1))
    await desk.pass_time(200)  # ben is silent, and loses the third
    after = (await look(desk, ann))["counters"]
    grown = {name: after[name] - before[name] for name in after}
    assert {name: grown[name] for name in grown if name not in ("commands", "turns")} == {
        "messages": 4, "deliveries": 4, "acked": 1, "claimed": 3, "completed": 1, "failed": 1, "expired": 1,
        "refused": 2,
    }  # fmt: skip
    assert grown["commands"] >= grown["turns"] > 5


async def test_counters_begin_anew_with_the_relay_and_what_is_there_stays(desk: Desk) -> None:
    ann = await desk.agent("ann")
    await send(desk, ann, "ann")
    await desk.restart(down_s=5)
    await desk.pass_time(60)
    shown = await look(desk, await desk.agent("ann"))
    assert (shown["counters"]["messages"], shown["uptime_s"], shown["inboxes"]) == (0, 60, 1)


async def test_the_oldest_message_of_each_inbox_is_shown_and_who_waits_for_longest_first(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben", credit=1)
    first = await send(desk, ann, "ben")
    await desk.pass_time(5)
    second = await send(desk, ann, "gone", hold=True)
    for _ in range(3):
        await send(desk, ann, "ben")
    await desk.pass_time(10)
    shown = await look(desk, ann)
    assert shown["oldest"] == [
        {"agent": "ben", "message": first, "since_at": START_MS, "stage": "pushed", "count": 4, "status": "online"},
        {"agent": "gone", "message": second, "since_at": START_MS + 5000, "stage": "queued", "count": 1},
    ]
    assert (shown["inboxes"], shown["at"]) == (2, START_MS + 15_000)
    assert [one["agent"] for one in (await look(desk, ann, limit=1))["oldest"]] == ["ben"]
    await desk.say(ben, wire.Ack(messages=[first], stage="surfaced"))
    assert (await look(desk, ann))["oldest"][0]["stage"] == "surfaced"
    await desk.say(ben, wire.Ack(messages=[first]))
    assert (await look(desk, ann))["oldest"][0]["agent"] == "gone"


async def test_what_is_put_off_has_not_waited_and_what_was_declined_has(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    await send(desk, ann, "ben", delay_s=600)
    assert not {"inboxes", "oldest"} & (await look(desk, ann)).keys(), "nothing is due"
    declined = await send(desk, ann, "ben")
    await desk.say(ben, wire.Nack(message=declined, reason="not now", delay_s=3600))
    await desk.pass_time(60)
    (oldest,) = (await look(desk, ann))["oldest"]
    assert (oldest["message"], oldest["since_at"]) == (declined, START_MS)
    await heard(desk, ben, seconds=660)
    await desk.say(ben, wire.Ack(messages=[declined]))
    (oldest,) = (await look(desk, ann))["oldest"]
    assert (oldest["message"], oldest["since_at"]) == (1, START_MS + 600_000), "it waits since it was due"


async def test_held_work_is_stuck_when_no_word_of_it_comes(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben", label="Ben", caps=["x"])
    work = await send(desk, ann, "cap:x", claimable=True, subject="review a.py")
    await desk.say(ben, wire.Claim(id=1, message=work, lease_s=7200))
    await heard(desk, ben, seconds=STUCK_MS / 1000 - 60)
    await desk.say(ben, wire.Progress(id=2, message=work, fence=1, progress=0.25))
    spoke_at = desk.now_ms
    await heard(desk, ben, seconds=STUCK_MS / 1000 - 60)
    shown = await look(desk, ann)
    assert "stuck" not in shown
    assert shown["online"][0] == {
        "agent": "ben", "status": "online", "last_seen_at": desk.now_ms, "unacked": 1, "claims": 1, "label": "Ben"
    }  # fmt: skip
    await heard(desk, ben, seconds=2 * MINUTES)
    shown = await look(desk, ann)
    assert shown["stuck_count"] == 1
    assert shown["stuck"] == [
        {
            "message": work, "state": "working", "since_at": spoke_at, "to": "cap:x", "title": "review a.py",
            "holder": "ben", "status": "online", "progress": 0.25,
        }
    ]  # fmt: skip
    assert shown["tasks"] == {"working": 1}


async def test_parked_work_is_stuck_after_longer(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    work = await send(desk, ann, "ben", claimable=True)
    await desk.say(ben, wire.Claim(id=1, message=work))
    await desk.say(ben, wire.Park(id=2, message=work, fence=1, needs="human", deadline_s=86_400, reason="ask Eve"))
    parked_at = desk.now_ms
    await desk.pass_time(PARKED_MS / 1000 - 60)
    assert "stuck" not in await look(desk, ann)
    await desk.pass_time(2 * MINUTES)
    (stuck,) = (await look(desk, ann))["stuck"]
    assert stuck | {"state": "parked", "since_at": parked_at, "needs": "human", "status": "stale"} == stuck


async def test_work_that_nobody_claims_is_shown_once_for_each_place_it_waits_at(desk: Desk) -> None:
    ann = await desk.agent("ann")
    await desk.agent("ben", caps=["x", "y"])
    for to in ("cap:x", "cap:x", "cap:y"):
        await send(desk, ann, to, claimable=True)
        await desk.pass_time(1)
    await send(desk, ann, "cap:x", claimable=True, priority=9)
    await desk.pass_time(STUCK_MS / 1000 + 60)
    shown = await look(desk, ann)
    assert [(task["message"], task["to"], task["state"]) for task in shown["stuck"]] == [
        (1, "cap:x", "ready"), (3, "cap:y", "ready"), (4, "cap:x", "ready")
    ]  # fmt: skip
    assert shown["tasks"] == {"ready": 4}


async def test_replies_that_are_owed_are_counted(desk: Desk) -> None:
    ann, ben = await desk.agent("ann"), await desk.agent("ben")
    for seconds in (10, 20, 600):
        await send(desk, ann, "ben", expect_reply_s=seconds, waits=False)
    await desk.pass_time(30)
    shown = await look(desk, ann)
    assert (shown["owed"], shown["overdue"]) == (3, 2)
    await desk.say(ben, wire.Send(id=5, to="ann", body="yes", reply_to=1))
    shown = await look(desk, ann)
    assert (shown["owed"], shown["overdue"]) == (2, 1)


async def test_who_has_most_in_hand_comes_first_and_who_is_gone_does_not(tmp_path: Path) -> None:
    desk = await Desk(tmp_path / "desk", Limits(group_per_minute=0)).open()
    ann, ben, cid = [await desk.agent(name, caps=[name]) for name in ("ann", "ben", "cid")]
    for _ in range(2):
        await send(desk, ann, "ben")
    work = await send(desk, ann, "cap:cid", claimable=True)
    await desk.say(cid, wire.Claim(id=1, message=work))
    await desk.pass_time(1)
    assert [one["agent"] for one in (await look(desk, ann))["online"]] == ["cid", "ben", "ann"]
    desk.broker.lost(ben)
    await desk.turn()
    shown = await look(desk, ann)
    assert [one["agent"] for one in shown["online"]] == ["cid", "ann"]
    await desk.pass_time(1)
    assert (await look(desk, ann))["agents"] == {"online": 2, "stale": 1}
    await desk.close()


# -- over the wire and over HTTP ---------------------------------------------------------------------------------------


async def test_the_wire_and_http_say_the_same(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "ann") as ann, await Peer.join(daemon.url, "ben"):
        await ann.tell("ben", "secret of the body", subject="secret of the subject")
        said = (await ann.request("overview"))["item"]
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as door:
            answer = await door.get("/api/overview")
            figures = (await door.get("/metrics")).text
            refused = await door.get("/api/overview?limit=51")
    shown = answer.json()
    assert answer.status_code == 200
    assert shown["oldest"] == [
        {
            "agent": "ben", "message": 1, "sinceAt": said["oldest"][0]["since_at"], "stage": "pushed", "count": 1,
            "status": "online",
        }
    ]  # fmt: skip
    assert (shown["countedAt"], shown["sessions"], shown["stuckCount"]) == (said["counted_at"], 2, 0)
    assert [one["agent"] for one in shown["online"]] == ["ben", "ann"]
    assert (shown["counters"]["messages"], shown["agents"]) == (1, {"online": 2})
    assert "secret" not in answer.text, "what is said is not how the relay is"
    assert "relay_inboxes_open 1.0" in figures
    assert "relay_oldest_unacked_seconds 0." in figures
    assert (refused.status_code, refused.json()["field"]) == (422, "limit")


async def test_it_takes_the_scope_to_read_figures_and_a_visit_may_ask(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--token", "secret-of-the-operator").start()
    async with await Peer.join(daemon.url, "root", token="secret-of-the-operator") as root:
        good = (await root.request("token_create", agent="ann", scopes=["stats:read"]))["token"]
        bad = (await root.request("token_create", agent="ben", scopes=["messages:read"]))["token"]
    async with await Peer.join(daemon.url, "ann", token=good, visit=True) as ann:
        assert (await ann.request("overview"))["item"]["sessions"] == 0
    async with await Peer.join(daemon.url, "ben", token=bad, visit=True) as ben:
        with pytest.raises(Refused, match="stats:read"):
            await ben.request("overview")


async def test_the_store_is_asked_once_for_all_who_watch(daemon: Daemon) -> None:
    async with await Peer.join(daemon.url, "ann") as ann, await Peer.join(daemon.url, "ben") as ben:
        first, other = await asyncio.gather(ann.request("overview"), ben.request("overview"))
        await ann.tell("ben", "x")
        later = await ann.request("overview")
    assert {one["item"]["counted_at"] for one in (first, other, later)} == {first["item"]["counted_at"]}
    assert later["item"]["counters"]["messages"] == 1, "but the counters are of now"
