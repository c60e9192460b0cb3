import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import relay_client
from relay_client import (
    Agent,
    Disconnected,
    Submitted,
    TaskBuried,
    TaskCanceled,
    TaskFailed,
    TaskNotDone,
    TaskSuperseded,
    ending,
)
from relay_client import tasks as module
from relay_proto.errors import BadRequest, DependencyCycle, RelayError, TooLarge, UnknownMessage
from relay_proto.frames import (
    Cancel,
    Error,
    Event,
    GetTask,
    Heartbeat,
    Kick,
    Ok,
    Resolve,
    Submit,
    Subscribe,
    Task,
    TaskEvent,
    Tasks,
    Unsubscribe,
)
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, deliver, exchange, running
from tests.daemon import Daemon


def task(state: str, message: int = 7, **fields: Any) -> Task:
    given: dict[str, Any] = {
        "sender": "alice", "to": "cap:review", "a2a": "working", "sent_at": 5, "changed_at": 6, "attempts": 1,
        "attempts_max": 3, "fence": 1, "thread": message,
    }  # fmt: skip
    return Task(message=message, state=state, **(given | fields))  # type: ignore[arg-type]


async def quiet(agent: Agent, peer: Peer) -> None:
    """All that the client had to say was said, and nothing was."""
    async with running(agent.heartbeat()) as call:
        beat = await peer.next(Heartbeat)
        await peer.say(Ok(re=beat.id or 0))
        await call


# -- submit ----------------------------------------------------------------------------------------------------------


async def test_a_submit_carries_what_it_was_given_and_says_what_became_of_it(relay: ScriptedRelay) -> None:
    options: dict[str, Any] = {
        "type": "review", "severity": "error", "source": "ci", "dedupe_key": "main/red", "depends_on": [3, 4],
        "attempts": 5, "channel": "c", "thread": 3, "reply_to": 4, "content_type": "text/plain", "headers": {"a": "b"},
        "key": "k", "hold": True, "ttl_s": 2.5, "delay_s": 2, "priority": 9, "supersedes": 5, "caused_by": 6,
        "offer_s": 7,
    }  # fmt: skip
    async with relay.agent() as (agent, peer), running(agent.submit("cap:review", "fix it", "why", **options)) as call:
        frame = await peer.next(Submit)
        assert frame == Submit(id=frame.id, to="cap:review", title="fix it", body="why", **options)
        await peer.say(Ok(re=frame.id, message=9, thread=3, recipients=4, online=2))
        submitted = await call
        assert (submitted.message, submitted.thread, submitted.recipients, submitted.online) == (9, 3, 4, 2)
        assert (submitted.occurrences, submitted.duplicate, submitted.key) == (1, False, "k")
        assert repr(submitted) == "Submitted(9, thread=3, 2/4 online)"


async def test_what_was_reported_before_says_how_often(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.submit("bob", "t", dedupe_key="d")) as call:
        frame = await peer.next(Submit)
        await peer.say(Ok(re=frame.id, message=9, thread=9, recipients=1, online=1, occurrences=3))
        submitted = await call
        assert submitted.occurrences == 3
        assert repr(submitted) == "Submitted(9, thread=9, 1/1 online, 3 times)"


async def test_a_submit_without_a_key_gets_one_and_is_said_again_with_it(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.submit("bob", "t")) as call:
        first = await peer.next(Submit)
        assert first.key
        await peer.cut()
        peer = await relay.registered()
        assert await peer.next(Submit) == first
        await peer.say(Ok(re=first.id, message=9, thread=9, recipients=1, online=1, duplicate=True))
        submitted = await call
        assert (submitted.key, submitted.duplicate) == (first.key, True)


async def test_a_submit_that_is_owed_a_reply_blocks_nobody(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.submit("bob", "t", expect_reply_s=60)):
        frame = await peer.next(Submit)
        assert (frame.expect_reply_s, frame.waits) == (60, False)


async def test_a_submit_that_is_not_answered_in_time_names_its_key(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(TimeoutError, match=r"within 0\.01 s.*key k-1"):
            await agent.submit("bob", "t", key="k-1", timeout_s=0.01)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"to": "no one"}, BadRequest, "to is 'no one'"),
        ({"title": "x" * 257}, BadRequest, "length <= 256"),
        ({"title": None}, BadRequest, "title"),
        ({"body": {"a": 1}}, BadRequest, "body must be a string or bytes"),
        ({"body": "x" * 262_145}, TooLarge, "262145 bytes"),
        ({"severity": "bad"}, BadRequest, "severity is 'bad'"),
        ({"source": "ci"}, BadRequest, "without a dedupe_key"),
        ({"depends_on": []}, BadRequest, "depends_on"),
        ({"attempts": 0}, BadRequest, "attempts is 0"),
        ({"subject": "s"}, BadRequest, "subject is 's'; the subject of a task is its title"),
        ({"colour": "red"}, BadRequest, "colour"),
    ],
)
async def test_a_submit_with_a_bad_argument_says_nothing_and_leaves_nothing_open(
    relay: ScriptedRelay, arguments: dict[str, Any], error: type[RelayError], says: str
) -> None:
    async with relay.agent() as (agent, peer):
        with pytest.raises(error, match=says):
            await agent.submit(**({"to": "bob", "title": "t"} | arguments))
        assert agent._link.conversation.end() == []
        await quiet(agent, peer)


async def test_a_refused_submit_raises_the_typed_error(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.submit("bob", "t", depends_on=[3])) as call:
        frame = await peer.next(Submit)
        await peer.say(Error(re=frame.id, code="dependency_cycle", message="a ring", detail={"cycle": [3, 9]}))
        with pytest.raises(DependencyCycle) as caught:
            await call
        assert caught.value.detail == {"cycle": [3, 9]}


# -- looking, and deciding -------------------------------------------------------------------------------------------


async def test_each_op_says_what_the_protocol_says(relay: ScriptedRelay) -> None:
    shown = task("done", result=b"\x00", body="x", history=[TaskEvent(at=5, event="submit", state="ready")])
    ops: list[tuple[Any, Any, dict[str, Any], Any]] = [
        (lambda a: a.task(7), GetTask(id=1, message=7), {"item": shown}, shown),
        (lambda a: a.cancel(7), Cancel(id=1, message=7), {"message": 7}, None),
        (lambda a: a.cancel(7, "r", True), Cancel(id=1, message=7, reason="r", force=True), {"message": 7}, None),
        (lambda a: a.kick(7, "r"), Kick(id=1, message=7, reason="r"), {"message": 7}, None),
        (lambda a: a.resolve("d"), Resolve(id=1, dedupe_key="d"), {"message": 7}, 7),
        (
            lambda a: a.resolve("d", "ci", "green", "r"),
            Resolve(id=1, dedupe_key="d", source="ci", result="green", reason="r"),
            {"message": 7},
            7,
        ),
    ]
    for ask, expected, answer, result in ops:
        assert await exchange(relay, ask, expected, answer) == result


async def test_a_page_of_tasks_is_typed_and_has_its_counts(relay: ScriptedRelay) -> None:
    filters: dict[str, Any] = {
        "type": "review", "severity": "error", "source": "ci", "dedupe_key": "d", "to": "cap:x", "sender": "bob",
        "holder": "carl", "channel": "c", "newest": True, "limit": 1, "after": 9,
    }  # fmt: skip
    page = await exchange(
        relay,
        lambda a: a.tasks(("ready", "claimed"), **filters),
        Tasks(id=1, state=["ready", "claimed"], **filters),
        {"items": [task("ready")], "next": 7, "counts": {"ready": 3, "buried": 1}},
    )
    assert (page.items, page.next, page.counts) == ([task("ready")], 7, {"ready": 3, "buried": 1})


async def test_tasks_of_one_state_and_of_any(relay: ScriptedRelay) -> None:
    one = await exchange(relay, lambda a: a.tasks("buried"), Tasks(id=1, state=["buried"]), {})
    assert (one.items, one.counts) == ([], {})
    await exchange(relay, lambda a: a.tasks(), Tasks(id=1), {})


async def test_filters_are_checked_before_anything_is_said(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        calls: list[Any] = [
            agent.tasks("sleeping"),  # type: ignore[arg-type]
            agent.tasks([]),
            agent.tasks(to="team:x"),
            agent.tasks(limit=0),
            agent.task(0),
            agent.cancel(7, "x" * 1025),
            agent.resolve(""),
            agent.resolve("d", result={"a": 1}),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(BadRequest):
                await call
        await quiet(agent, peer)


# -- results ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def waiting(relay: ScriptedRelay, *, told: bool = True) -> AsyncIterator[tuple[Agent, Peer, Any]]:
    """An agent that has submitted task 7 and waits for its result."""
    async with relay.agent() as (agent, peer):
        async with running(agent.submit("cap:review", "t")) as call:
            frame = await peer.next(Submit)
            await peer.say(Ok(re=frame.id, message=7, thread=7, recipients=1, online=1))
            submitted: Submitted = await call
        async with running(submitted.result()) as result:
            subscribe = await peer.next(Subscribe)
            assert subscribe.events == ["task"]
            if told:
                await peer.say(Ok(re=subscribe.id))
            else:
                await peer.say(Error(re=subscribe.id, code="forbidden", message="no"))
            yield agent, peer, result


async def looked(peer: Peer, shown: Task) -> None:
    """The client looks at the task, and sees this."""
    look = await peer.next(GetTask)
    assert look.message == shown.message
    await peer.say(Ok(re=look.id, item=shown))


def told(state: str, message: int = 7) -> Event:
    return Event(event=f"task.{state}", at=1, message=message, state=state)  # type: ignore[arg-type]


async def test_the_result_of_a_task_that_is_over_comes_at_once(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("done", result="green"))
        assert await result == "green"


async def test_a_task_may_be_done_without_a_result(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("done"))
        assert await result is None


async def test_it_waits_until_the_relay_tells_that_the_task_is_over(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (agent, peer, result):
        await looked(peer, task("ready"))
        await quiet(agent, peer)
        await peer.say(told("claimed"), told("working"), told("done", message=8), deliver(9))
        await agent.receive(WAIT_S)
        await quiet(agent, peer)  # all that is nothing to look at
        assert not result.done()
        await peer.say(told("done"))
        await looked(peer, task("done", result=b"\x00"))
        assert await result == b"\x00"


async def test_an_end_that_comes_while_it_looks_is_not_missed(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        look = await peer.next(GetTask)
        await peer.say(told("done"), Ok(re=look.id, item=task("working")))
        await looked(peer, task("done", result="green"))
        assert await result == "green"


async def test_an_end_that_was_taken_back_is_waited_for_again(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (agent, peer, result):
        await looked(peer, task("working"))
        await quiet(agent, peer)
        await peer.say(told("buried"))
        await looked(peer, task("ready"))  # it was kicked meanwhile
        await quiet(agent, peer)
        await quiet(agent, peer)
        await peer.say(told("done"))
        await looked(peer, task("done", result="green"))
        assert await result == "green"


async def test_an_event_that_does_not_say_the_state_is_looked_into(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("working"))
        await peer.say(Event(event="task.something", at=1, message=7))
        await looked(peer, task("done", result="green"))
        assert await result == "green"


@pytest.mark.parametrize(
    ("state", "error"),
    [("failed", TaskFailed), ("canceled", TaskCanceled), ("buried", TaskBuried), ("superseded", TaskSuperseded)],
)
async def test_a_task_that_was_not_done_raises_how_it_ended(
    relay: ScriptedRelay, state: str, error: type[TaskNotDone]
) -> None:
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("claimed"))
        await peer.say(told(state))
        await looked(peer, task(state, reason="it broke"))
        with pytest.raises(error, match=f"task 7 is {state}: it broke") as caught:
            await result
        assert (caught.value.task, caught.value.state, caught.value.reason) == (7, state, "it broke")


async def test_after_a_reconnect_it_looks_again(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("working"))
        await peer.cut()
        peer = await relay.registered()
        assert (await peer.next(Subscribe)).events == ["task"]
        await looked(peer, task("done", result="green"))
        assert await result == "green"


async def test_one_subscription_does_for_all(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (agent, peer, result):
        await looked(peer, task("ready"))
        async with running(agent.result(8)) as other:
            await looked(peer, task("ready", message=8))
            await peer.say(told("done", message=8), told("done"))
            for _ in range(2):
                look = await peer.next(GetTask)
                await peer.say(Ok(re=look.id, item=task("done", message=look.message, result=str(look.message))))
            assert (await result, await other) == ("7", "8")


async def test_waits_that_begin_together_subscribe_once(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.result(7)), running(agent.result(8)):
        await peer.say(Ok(re=(await peer.next(Subscribe)).id))
        assert {(await peer.next(GetTask)).message for _ in range(2)} == {7, 8}


async def test_who_took_the_subscription_back_finds_it_made_again(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    async with waiting(relay) as (agent, peer, _):
        look = await peer.next(GetTask)
        async with running(agent.unsubscribe("task")) as call:
            await peer.say(Ok(re=(await peer.next(Unsubscribe)).id))
            await call
        await peer.say(Ok(re=look.id, item=task("working")))
        assert (await peer.next(Subscribe)).events == ["task"]


async def test_an_event_that_is_never_told_is_made_good_by_looking(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    async with waiting(relay) as (_, peer, result):
        await looked(peer, task("working"))
        await looked(peer, task("done", result="green"))
        assert await result == "green"


@pytest.mark.parametrize("case", ["another's", "refused"])
async def test_what_is_not_told_is_looked_at_now_and_then(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(module, "POLL_UNTOLD_S", 0.01)
    async with waiting(relay, told=case != "refused") as (_, peer, result):
        sender = "bob" if case == "another's" else "alice"
        await looked(peer, task("working", sender=sender))
        if case == "refused":
            await peer.say(Error(re=(await peer.next(Subscribe)).id, code="forbidden", message="no"))
        await looked(peer, task("done", result="green", sender=sender))
        assert await result == "green"


async def test_it_gives_up_after_its_time(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        with pytest.raises(TimeoutError, match=r"task 7 was not over within 0\.01 s"):
            await agent.result(7, 0.01)
        assert len(agent._conversation.claims.watches) == 0


async def test_a_task_that_is_unknown_raises(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (_, peer, result):
        look = await peer.next(GetTask)
        await peer.say(Error(re=look.id, code="unknown_message", message="no message 7"))
        with pytest.raises(UnknownMessage):
            await result


async def test_the_end_of_the_link_ends_the_waiting(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (agent, peer, result):
        await looked(peer, task("working"))
        await quiet(agent, peer)
        await agent.close()
        with pytest.raises(Disconnected):
            await asyncio.wait_for(result, WAIT_S)


async def test_what_waits_for_results_takes_nothing_from_the_loop(relay: ScriptedRelay) -> None:
    async with waiting(relay) as (agent, peer, _):
        await looked(peer, task("working"))
        events = agent.events()
        await peer.say(told("working"), deliver(9))
        assert (await agent.receive(WAIT_S)).message == 9
        assert (await asyncio.wait_for(anext(events), WAIT_S)).event == "task.working"


# -- with a real relay -----------------------------------------------------------------------------------------------


async def test_a_result_comes_to_who_submitted_the_task(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker", caps=["x"]) as worker,
    ):
        task = await boss.submit("any:cap:x", "look", "at a.py", dedupe_key="a.py")
        again = await boss.submit("any:cap:x", "look", "at a.py", dedupe_key="a.py")
        assert (again.message, task.occurrences, again.occurrences) == (task.message, 1, 2)
        async with running(task.result()) as result:
            async with worker.claim(await worker.receive(WAIT_S)) as work:
                assert (await boss.tasks()).counts == {"claimed": 1}
                await work.progress(0.5, "half")
                work.done("3 findings")
            assert await asyncio.wait_for(result, WAIT_S) == "3 findings"
        shown = await boss.task(task.message)
        assert (shown.state, shown.progress, shown.note, shown.occurrences) == ("done", 0.5, "half", 2)


async def test_each_other_end_is_told_as_what_it_is(daemon: Daemon) -> None:
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker") as worker,
    ):
        errors: list[type[TaskNotDone]] = [TaskFailed, TaskBuried, TaskCanceled, TaskSuperseded]
        tasks = {error: await boss.submit("worker", error.code, attempts=1) for error in errors}
        results = {error: asyncio.create_task(task.result(WAIT_S)) for error, task in tasks.items()}
        for error, retry in ((TaskFailed, False), (TaskBuried, True)):
            fence, _ = await worker.claim_message(tasks[error].message)
            await worker.fail(tasks[error].message, fence, "no disk", retry)
        await boss.cancel(tasks[TaskCanceled].message, "no need")
        await boss.send("worker", "instead", supersedes=tasks[TaskSuperseded].message)
        for kind, result in results.items():
            with pytest.raises(kind):
                await result
        buried = tasks[TaskBuried].message
        assert [task.message for task in await boss.tasks("buried")] == [buried]
        await boss.kick(buried)
        async with worker.claim(buried) as work:
            work.done("after all")
        assert await boss.result(buried, WAIT_S) == "after all"


async def test_what_was_seen_to_elsewhere_is_resolved(daemon: Daemon) -> None:
    async with relay_client.connect(daemon.url, agent="ci") as ci:
        task = await ci.submit("ci", "main is red", dedupe_key="main")
        assert await ci.resolve("main", result="green again", reason="fixed by hand") == task.message
        assert await task.result(WAIT_S) == "green again"


async def test_a_visit_waits_for_a_result_too(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_UNTOLD_S", 0.01)
    async with (
        relay_client.connect(daemon.url, agent="boss", visit=True) as boss,
        relay_client.connect(daemon.url, agent="worker") as worker,
    ):
        task = await boss.submit("worker", "look")
        async with running(task.result()) as result:
            async with worker.claim(task.message) as work:
                work.done("done")
            assert await asyncio.wait_for(result, WAIT_S) == "done"


async def test_a_result_that_comes_while_the_relay_restarts_is_not_missed(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "BACKOFF_S_MAX", 0.05)
    async with (
        relay_client.connect(daemon.url, agent="boss") as boss,
        relay_client.connect(daemon.url, agent="worker") as worker,
    ):
        task = await boss.submit("worker", "look")
        async with running(task.result()) as result:
            async with worker.claim(task.message) as work:
                daemon.kill()
                work.done("done")
                daemon.start()
            assert await asyncio.wait_for(result, WAIT_S) == "done"
