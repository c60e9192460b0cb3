"""Callbacks: written with the change that they tell, posted in order for each task, tried again, and seen."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from relay_proto.frames import Cancel, Claim, Complete, Progress, Resolve, Submit
from relay_server.integrations import CALLED_FOR, KINDS, Listener
from relay_server.session import Session
from relay_server.store import applying
from relay_server.store import interface as ask
from tests.relay.desk import START_MS, Desk
from tests.relay.working import claim, ok

ALERTS = "integration/alerts"


class Ear:
    """A courier that carries nothing: it hears of changes and keeps what the store finds for it."""

    writable = True

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.found: list[Any] = []

    def changed(self, changes: Iterable[ask.Change]) -> None:
        self.changes += [f"{change.sender} {change.event}" for change in changes]

    def settle(self, found: Any) -> None:
        self.found.append(found)


class Wanted:
    """A desk at which `integration/alerts` wants to be called, and ada works."""

    def __init__(self, desk: Desk, alerts: Session, ada: Session) -> None:
        self.desk, self.alerts, self.ada, self.ear = desk, alerts, ada, Ear()
        desk.broker.courier = self.ear

    async def command(self, command: ask.Command) -> Any:
        self.desk.broker.commands.append(command)
        await self.desk.turn()
        return self.ear.found.pop()

    async def due(self, room: int = 100, busy: tuple[int, ...] = ()) -> ask.CallbacksDue:
        found = await self.command(ask.DueCallbacks(self.ear, None, {"alerts": room, "others": 5}, frozenset(busy)))
        assert isinstance(found, ask.CallbacksDue)
        return found

    async def kinds(self) -> list[str]:
        return [f"{job.kind} {job.message}" for job in (await self.due()).jobs]

    async def end(self, callback: int, state: Any = "delivered", in_ms: int | None = None) -> None:
        due_at = None if in_ms is None else self.desk.now_ms + in_ms
        reason = None if state == "delivered" else "HTTP 500"
        ended = await self.command(ask.EndCallback(self.ear, None, callback, state, due_at, reason))
        assert ended.callback == callback

    async def page(self, *states: Any, limit: int = 100, before: int = 2**62) -> ask.CallbacksFound:
        chosen = states or ("waiting", "delivered", "dead")
        self.desk.broker.look_up(ask.CallbacksPage(self.ear, 0, "alerts", chosen, limit, before))
        await self.desk.turn()
        found = self.ear.found.pop()
        assert isinstance(found, ask.CallbacksFound)
        return found

    async def counts(self) -> dict[str, dict[str, int]]:
        self.desk.broker.look_up(ask.CallbackCounts(self.ear, 0, ["alerts", "others"]))
        await self.desk.turn()
        counts: dict[str, dict[str, int]] = self.ear.found.pop().counts
        return counts

    async def submit(self, key: str | None = "k", **fields: Any) -> int:
        answer = await ok(self.desk, self.alerts, Submit(id=1, to="cap:x", title="disk full", dedupe_key=key, **fields))
        message: int = answer["message"]
        return message


@pytest.fixture
async def wanted(desk: Desk) -> Wanted:
    assert hasattr(desk.store, "listeners")
    desk.store.listeners = {ALERTS: Listener("alerts", CALLED_FOR)}
    return Wanted(desk, await desk.agent(ALERTS), await desk.agent("ada", caps=["x"]))


# -- what is written -------------------------------------------------------------------------------------------------


async def test_each_change_of_its_tasks_is_a_callback_and_those_of_others_are_none(wanted: Wanted) -> None:
    desk, ada = wanted.desk, wanted.ada
    message = await wanted.submit(severity="error", channel="ops", type="alert", source="zabbix")
    await ok(desk, ada, Submit(id=1, to="bob", title="mine", hold=True))
    await claim(desk, ada, message)
    await ok(desk, ada, Progress(id=1, message=message, fence=1, progress=0.5, note="half"))
    await wanted.submit(source="zabbix")
    await ok(desk, ada, Complete(id=1, message=message, fence=1, result="cleaned"))
    assert [item.kind for item in (await wanted.page()).items][::-1] == ["ready", "claimed", "progress", "done"]
    assert "ada submit" in wanted.ear.changes
    bodies = await every_body(wanted)
    assert [body.pop("id")[:4] for body in bodies] == ["evt_"] * 4
    task = {
        "id": message, "status": "open", "state": "ready", "title": "disk full", "source": "zabbix", "dedupeKey": "k",
        "target": "cap:x", "channel": "ops", "type": "alert", "severity": "error", "threadId": message, "attempts": 0,
        "occurrences": 1, "createdAt": START_MS,
    }  # fmt: skip
    claimed = task | {"status": "claimed", "state": "claimed", "attempts": 1}
    working = claimed | {"status": "in_progress", "state": "working"}
    done = claimed | {"status": "done", "state": "done", "occurrences": 2}
    base = {"integration": "alerts", "at": START_MS}
    assert bodies == [
        {**base, "event": "task.ready", "agentId": ALERTS, "task": task},
        {**base, "event": "task.claimed", "agentId": "ada", "task": claimed},
        {**base, "event": "task.progress", "agentId": "ada", "progress": 0.5, "note": "half", "task": working},
        {**base, "event": "task.done", "agentId": "ada", "result": "cleaned", "task": done},
    ]


async def every_body(wanted: Wanted) -> list[dict[str, Any]]:
    """The bodies of all that waits, each ended as it is seen."""
    bodies = []
    while jobs := (await wanted.due()).jobs:
        for job in jobs:
            body = json.loads(job.body)
            assert body["id"] == job.event
            bodies.append(body)
            await wanted.end(job.callback)
    return bodies


async def test_what_is_done_in_one_breath_is_told_as_it_happened(wanted: Wanted) -> None:
    desk, alerts, ada = wanted.desk, wanted.alerts, wanted.ada
    desk.put(alerts, *[Submit(id=n, to="cap:x", title=f"t{n}") for n in (1, 2, 3)])
    await desk.turn()
    first = min(job.message for job in (await wanted.due()).jobs)
    ids = (first, first + 1, first + 2)
    desk.put(ada, *[Claim(id=n, message=n) for n in ids], *[Complete(id=n, message=n, fence=1) for n in ids])
    await desk.turn()
    bodies = await every_body(wanted)
    for message in ids:
        told = [body for body in bodies if body["task"]["id"] == message]
        assert [body["event"] for body in told] == ["task.ready", "task.claimed", "task.done"]
        assert [body["task"]["state"] for body in told] == ["ready", "claimed", "done"]


async def test_what_the_relay_does_by_itself_is_told_too(wanted: Wanted) -> None:
    desk = wanted.desk
    message = await wanted.submit(attempts=1)
    await claim(desk, wanted.ada, message, 60)
    await desk.pass_time(61)
    assert [body["event"] for body in await every_body(wanted)] == ["task.ready", "task.claimed", "task.buried"]


async def test_a_resolved_and_a_canceled_task_say_so(wanted: Wanted) -> None:
    desk, alerts = wanted.desk, wanted.alerts
    await wanted.submit("a")
    await wanted.submit("b")
    await ok(desk, alerts, Resolve(id=1, dedupe_key="a", result=b"\xff\x00", reason="over"))
    two = (await wanted.due()).jobs[-1].message
    await ok(desk, alerts, Cancel(id=1, message=two))
    done, canceled = (await every_body(wanted))[-2:]
    assert (done["event"], done["note"], done["resultBase64"]) == ("task.done", "over", "/wA=")
    assert (canceled["event"], canceled["agentId"]) == ("task.canceled", ALERTS)


async def test_only_what_is_asked_for_is_written(wanted: Wanted) -> None:
    wanted.desk.store.listeners = {ALERTS: Listener("alerts", frozenset({"claimed"}))}
    message = await wanted.submit()
    await claim(wanted.desk, wanted.ada, message)
    assert await wanted.kinds() == [f"claimed {message}"]
    wanted.desk.store.listeners = {ALERTS: Listener("alerts", frozenset(KINDS))}
    await wanted.submit()
    assert [item.kind for item in (await wanted.page()).items] == ["recur", "claimed"]


async def test_what_was_refused_or_rolled_back_is_not_told(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that fails is applied again, command by command: what was good in it is told once."""
    desk = wanted.desk
    message = await wanted.submit()

    def broken(tx: Any, command: Any) -> Any:
        raise sqlite3.OperationalError("broken")

    monkeypatch.setitem(cast("dict[Any, Any]", applying.APPLY), ask.ProgressWork, broken)
    desk.put(
        wanted.ada,
        Claim(id=1, message=message),
        Progress(id=2, message=message, fence=1),
        Complete(id=3, message=message, fence=9),
    )
    await desk.turn()
    assert [body["event"] for body in await every_body(wanted)] == ["task.ready", "task.claimed"]


# -- the queue -------------------------------------------------------------------------------------------------------


async def test_of_one_task_only_the_oldest_is_due_and_tasks_do_not_wait_for_each_other(wanted: Wanted) -> None:
    one, two = await wanted.submit("a"), await wanted.submit("b")
    await claim(wanted.desk, wanted.ada, one)
    assert await wanted.kinds() == [f"ready {one}", f"ready {two}"]
    first, second = (await wanted.due()).jobs
    assert [job.callback for job in (await wanted.due(busy=(first.callback,))).jobs] == [second.callback]
    assert len((await wanted.due(room=1)).jobs) == 1
    await wanted.end(first.callback)
    assert await wanted.kinds() == [f"ready {two}", f"claimed {one}"]


async def test_what_failed_holds_up_its_task_until_its_time(wanted: Wanted) -> None:
    desk = wanted.desk
    message = await wanted.submit()
    await claim(desk, wanted.ada, message)
    first = (await wanted.due()).jobs[0]
    await wanted.end(first.callback, "waiting", in_ms=4000)
    found = await wanted.due()
    assert (found.jobs, found.due_at) == ([], desk.now_ms + 4000)
    desk.now += 4
    [again] = (await wanted.due()).jobs
    assert (again.callback, again.attempts, again.event) == (first.callback, 1, first.event)
    await wanted.end(again.callback)
    assert await wanted.kinds() == [f"claimed {message}"]


async def test_a_restart_forgets_none_and_says_the_same_ids(wanted: Wanted) -> None:
    desk = wanted.desk
    message = await wanted.submit()
    before = (await wanted.due()).jobs
    await desk.restart(5)
    after = (await Wanted(desk, await desk.agent("x"), await desk.agent("y")).due()).jobs
    assert [(job.event, job.body) for job in after] == [(job.event, job.body) for job in before]
    assert after[0].message == message


async def test_what_was_given_up_is_seen_does_not_stop_the_rest_and_can_be_tried_again(wanted: Wanted) -> None:
    message = await wanted.submit()
    await claim(wanted.desk, wanted.ada, message)
    first = (await wanted.due()).jobs[0]
    await wanted.end(first.callback, "dead")
    [second] = (await wanted.due()).jobs
    assert second.kind == "claimed"
    await wanted.end(second.callback)
    assert await wanted.counts() == {"alerts": {"dead": 1, "delivered": 1}, "others": {}}
    [dead] = (await wanted.page("dead")).items
    assert (dead.callback, dead.attempts, dead.reason, dead.due_at) == (first.callback, 1, "HTTP 500", None)

    retried = await wanted.command(ask.RetryCallback(wanted.ear, None, "alerts", first.callback))
    assert (retried.item.state, retried.item.attempts) == ("waiting", 0)
    [again] = (await wanted.due()).jobs
    assert again.event == first.event
    delivered = await wanted.command(ask.RetryCallback(wanted.ear, None, "alerts", second.callback))
    assert delivered.item.state == "delivered"
    for integration, callback in (("others", first.callback), ("alerts", 999)):
        assert (await wanted.command(ask.RetryCallback(wanted.ear, None, integration, callback))).item is None


async def test_trying_again_leaves_the_order_of_a_task_as_it_is(wanted: Wanted) -> None:
    message = await wanted.submit()
    await claim(wanted.desk, wanted.ada, message)
    first = (await wanted.due()).jobs[0]
    retry = ask.RetryCallback(wanted.ear, None, "alerts", first.callback + 1)
    assert (await wanted.command(retry)).item.due_at is None, "the one before it is on its way"
    assert await wanted.kinds() == [f"ready {message}"]
    await wanted.end(first.callback, "dead")
    assert (await wanted.command(ask.RetryCallback(wanted.ear, None, "alerts", first.callback))).item.due_at is None
    assert await wanted.kinds() == [f"claimed {message}"]
    await wanted.end(first.callback + 1)
    assert await wanted.kinds() == [f"ready {message}"]


async def test_pages_are_newest_first_over_all_states(wanted: Wanted) -> None:
    messages = [await wanted.submit(f"k{n}") for n in range(5)]
    for number, job in enumerate((await wanted.due()).jobs):
        if number % 2:
            await wanted.end(job.callback)
    seen: list[int] = []
    page = await wanted.page(limit=2)
    seen += [item.message for item in page.items]
    while page.next is not None:
        page = await wanted.page(limit=2, before=page.next)
        seen += [item.message for item in page.items]
    assert seen == messages[::-1]


async def test_a_delivered_one_keeps_no_body_and_goes_with_its_message(wanted: Wanted, tmp_path: Path) -> None:
    desk = wanted.desk
    message = await wanted.submit()
    await ok(desk, wanted.alerts, Resolve(id=1, dedupe_key="k"))
    assert len(await every_body(wanted)) == 2
    database = sqlite3.connect(f"file:{desk.store.path}?mode=ro", uri=True)
    assert database.execute("SELECT count(*), count(body) FROM callbacks").fetchone() == (2, 0)
    desk.now += 40 * 24 * 3600
    desk.broker.commands.append(ask.Reap(None, None, 0, desk.now_ms, 500))
    await desk.turn()
    assert database.execute("SELECT count(*) FROM messages WHERE message = ?", (message,)).fetchone() == (0,)
    assert database.execute("SELECT count(*) FROM callbacks").fetchone() == (0,)
    database.close()
