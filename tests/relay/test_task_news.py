"""What is said of work: to who sent it, to who watches all of it, to who holds it, to who could have had it."""

from typing import Any

import pytest

from relay_proto.frames import (
    Cancel,
    Complete,
    Fail,
    Kick,
    Park,
    Progress,
    Register,
    Release,
    Renew,
    Resolve,
    Resume,
    Send,
    Submit,
    Subscribe,
    Unsubscribe,
)
from relay_server.session import Session
from tests.relay.desk import START_MS, Desk, kinds
from tests.relay.working import bring, claim, crew, events, ok, submit


async def watch(desk: Desk, session: Session, *kinds: Any) -> None:
    await ok(desk, session, Subscribe(id=70, events=list(kinds)))


def told(desk: Desk, session: Session) -> list[str]:
    """What it heard of tasks, in short: `working 1 ada`."""
    return [kind.removeprefix("task.") for kind in kinds(events(desk, session, "task."))]


# -- to who watches --------------------------------------------------------------------------------------------------


async def test_each_change_of_a_task_is_told_to_who_sent_it_in_order(desk: Desk) -> None:
    them = await crew(desk)
    await watch(desk, them.boss, "task")
    message = await submit(desk, them.boss, dedupe_key="k", attempts=2)
    await claim(desk, them.ada, message)
    await ok(desk, them.ada, Renew(id=1, message=message, fence=1))
    await ok(desk, them.ada, Progress(id=1, message=message, fence=1, progress=0.5, note="half"))
    await ok(desk, them.ada, Park(id=1, message=message, fence=1, needs="human", reason="ask"))
    await ok(desk, them.ada, Resume(id=1, message=message, fence=1))
    await ok(desk, them.ada, Fail(id=1, message=message, fence=1, reason="broke"))
    await desk.pass_time(1)
    await submit(desk, them.boss, dedupe_key="k")
    await claim(desk, them.bob, message)
    await desk.pass_time(60)
    await ok(desk, them.boss, Kick(id=1, message=message))
    await claim(desk, them.ada, message)
    await ok(desk, them.ada, Release(id=1, message=message, fence=3))
    await claim(desk, them.ada, message)
    await ok(desk, them.ada, Complete(id=1, message=message, fence=4))
    assert told(desk, them.boss) == [
        "ready 1 boss", "claimed 1 ada", "progress 1 ada", "parked 1 ada", "working 1 ada", "delayed 1 ada", "ready 1",
        "recur 1 boss", "claimed 1 bob", "buried 1", "ready 1 boss", "claimed 1 ada", "ready 1 ada", "claimed 1 ada",
        "done 1 ada",
    ]  # fmt: skip


async def test_what_is_told_says_who_under_which_fence_to_which_state_and_why(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await watch(desk, them.boss, "task")
    await desk.pass_time(3)
    desk.put(
        them.ada,
        Progress(id=1, message=1, fence=1, progress=0.5, note="half"),
        Fail(id=2, message=1, fence=1, reason="no", retry=False),
    )
    await desk.turn()
    about = {"op": "event", "at": START_MS + 3000, "message": 1, "agent": "ada", "fence": 1}
    assert events(desk, them.boss, "task.") == [
        {**about, "event": "task.progress", "state": "working", "progress": 0.5, "note": "half"},
        {**about, "event": "task.failed", "state": "failed", "reason": "no"},
    ]


async def test_who_watches_its_own_hears_nothing_of_others_and_who_watches_all_hears_everything(desk: Desk) -> None:
    them = await crew(desk)
    everyone = await desk.agent("watcher")
    await watch(desk, them.bob, "task")
    await watch(desk, everyone, "tasks")
    theirs, own = await submit(desk, them.boss), await submit(desk, them.bob, "ada")
    await claim(desk, them.ada, theirs)
    assert told(desk, them.bob) == [f"ready {own} bob", f"claimed {theirs} ada"]
    assert told(desk, everyone) == [f"ready {theirs} boss", f"ready {own} bob", f"claimed {theirs} ada"]


async def test_who_does_not_watch_any_more_hears_no_more(desk: Desk) -> None:
    them = await crew(desk)
    await watch(desk, them.boss, "task", "tasks")
    await ok(desk, them.boss, Unsubscribe(id=1, events=["tasks"]))
    await submit(desk, them.boss)
    assert told(desk, them.boss) == ["ready 1 boss"], "once, and by the other kind"
    await ok(desk, them.boss, Unsubscribe(id=1, events=["task"]))
    await claim(desk, them.ada, 1)
    assert told(desk, them.boss) == []
    await watch(desk, them.boss, "tasks")
    desk.broker.lost(them.boss)
    assert not desk.broker.task_watchers


async def test_the_answer_to_who_did_it_comes_before_the_news_of_it(desk: Desk) -> None:
    them = await crew(desk)
    await watch(desk, them.boss, "tasks")
    await watch(desk, them.ada, "tasks")
    assert kinds(await desk.say(them.boss, Submit(id=1, to="cap:x", title="t"))) == ["ok", "task.ready 1 boss"]
    assert kinds(desk.heard(them.ada)) == ["deliver 1", "task.ready 1 boss"]
    desk.put(them.ada, Renew(id=2, message=1, fence=1))
    await claim(desk, them.ada, 1)
    desk.heard(them.ada)
    heard = await desk.say(them.ada, Complete(id=3, message=1, fence=1))
    assert kinds(heard) == ["ok", "task.done 1 ada"]


async def test_a_visit_may_watch_so_that_a_command_can_wait_for_a_task(desk: Desk) -> None:
    them = await crew(desk)
    shell = await desk.agent("boss", visit=True)
    await watch(desk, shell, "task")
    await submit(desk, them.boss)
    await claim(desk, them.ada, 1)
    assert told(desk, shell) == ["ready 1 boss", "claimed 1 ada"]
    desk.broker.lost(shell)
    assert not desk.broker.task_watchers
    assert desk.broker.sessions["boss"] is them.boss


async def test_what_is_refused_is_no_news(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await watch(desk, them.boss, "tasks")
    desk.heard(them.boss)
    await desk.say(
        them.bob, Complete(id=1, message=1, fence=1), Kick(id=2, message=1), Cancel(id=3, message=1),
        Resolve(id=4, dedupe_key="k"), Complete(id=5, message=9, fence=1),
    )  # fmt: skip
    assert desk.heard(them.boss) == []


@pytest.mark.parametrize("how", ["canceled", "superseded", "failed"])
async def test_what_ends_without_a_claim_is_told_too(desk: Desk, how: str) -> None:
    them = await crew(desk)
    await watch(desk, them.boss, "task")
    message = await submit(desk, them.boss, ttl_s=50 if how == "failed" else None)
    waiting = await submit(desk, them.boss, depends_on=[message])
    if how == "canceled":
        await ok(desk, them.boss, Cancel(id=1, message=message))
    elif how == "superseded":
        await ok(desk, them.boss, Send(id=1, to="ada", body="b", supersedes=message))
    await desk.pass_time(50)
    by_whom = "" if how == "failed" else " boss"
    expected = [f"ready {message} boss", f"delayed {waiting} boss", f"{how} {message}{by_whom}", f"canceled {waiting}"]
    assert told(desk, them.boss) == expected


# -- to who holds it -------------------------------------------------------------------------------------------------


async def test_who_was_silent_for_too_long_hears_that_its_claim_is_lost(desk: Desk) -> None:
    them = await bring(desk, "working")
    desk.heard(them.ada)
    await desk.pass_time(60)
    lost, again = desk.heard(them.ada)
    assert lost == {
        "op": "event", "event": "claim.lost", "at": START_MS + 60_000, "message": 1, "fence": 1, "state": "ready",
        "reason": "it was silent for longer than its lease",
    }  # fmt: skip
    assert kinds([again]) == ["deliver 1 #2"], "after that it may try again"
    assert events(desk, them.bob, "claim.") == []


async def test_who_used_up_the_last_attempt_hears_that_it_is_buried(desk: Desk) -> None:
    them = await bring(desk, "working", attempts=1)
    await desk.pass_time(60)
    (lost,) = events(desk, them.ada, "claim.")
    assert (lost["event"], lost["state"]) == ("claim.lost", "buried")


@pytest.mark.parametrize("target", ["claimed", "working", "parked"])
@pytest.mark.parametrize("how", ["cancel", "resolve"])
async def test_who_holds_what_others_end_hears_of_it(desk: Desk, target: Any, how: str) -> None:
    them = await bring(desk, target, dedupe_key="k")
    desk.heard(them.ada)
    frame = Cancel(id=1, message=1) if how == "cancel" else Resolve(id=1, dedupe_key="k")
    await ok(desk, them.boss, frame)
    (lost,) = events(desk, them.ada, "claim.")
    state, reason = ("canceled", "canceled by boss") if how == "cancel" else ("done", "resolved by boss")
    assert (lost["event"], lost["fence"], lost["state"], lost["reason"]) == ("claim.lost", 1, state, reason)
    assert desk.broker.leases.get(1) is None
    await desk.pass_time(1000)
    assert events(desk, them.ada, "claim.") == []


async def test_who_ends_its_claim_itself_is_not_told_what_it_knows(desk: Desk) -> None:
    them = await crew(desk)
    for kind in (Release, Complete):
        message = await submit(desk, them.boss)
        await claim(desk, them.ada, message)
        await ok(desk, them.ada, kind(id=1, message=message, fence=1))
    assert events(desk, them.ada, "claim.") == []


async def test_another_holder_hears_nothing_of_an_older_claim(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await ok(desk, them.ada, Release(id=1, message=1, fence=1))
    await claim(desk, them.bob, 1)
    desk.heard(them.ada), desk.heard(them.bob)
    await ok(desk, them.boss, Cancel(id=1, message=1))
    assert [event["fence"] for event in events(desk, them.bob, "claim.")] == [2]
    assert events(desk, them.ada, "claim.") == []


# -- to who could have had it ----------------------------------------------------------------------------------------


async def test_those_who_were_given_it_hear_that_it_is_taken_and_pay_no_credit_for_it(desk: Desk) -> None:
    boss = await desk.agent("boss")
    ada, bob, full = [
        await desk.agent(name, caps=["x"], credit=1) for name in ("ada", "bob", "full")
    ]  # fmt: skip
    blocking = await submit(desk, boss, "full")
    message = await submit(desk, boss)
    following = await submit(desk, boss, "bob")
    assert kinds(desk.heard(bob)) == [f"deliver {message}"]
    assert kinds(desk.heard(full)) == [f"deliver {blocking}"]
    await claim(desk, ada, message)
    assert kinds(desk.heard(bob)) == [f"task.claimed {message} ada", f"deliver {following}"]
    assert desk.heard(full) == [], "it was never given it, so there is nothing to take back"
    assert set((await desk.ledger(message)).values()) == {"queued", "superseded: claimed by ada"}


async def test_a_sender_that_watches_and_is_a_candidate_of_its_own_work_hears_of_a_claim_once(desk: Desk) -> None:
    """As a watcher. It was given nothing: work for a group is not for who sent it."""
    ada, bob = await desk.agent("ada", caps=["x"]), await desk.agent("bob", caps=["x"])
    await watch(desk, ada, "task", "tasks")
    message = await submit(desk, ada)
    desk.heard(ada)
    await claim(desk, bob, message)
    assert kinds(desk.heard(ada)) == [f"task.claimed {message} bob"]


async def test_a_candidate_that_also_watches_all_is_told_as_both(desk: Desk) -> None:
    them = await crew(desk)
    await watch(desk, them.bob, "tasks")
    message = await submit(desk, them.boss)
    desk.heard(them.bob)
    await claim(desk, them.ada, message)
    first, second = desk.heard(them.bob)
    assert kinds([first, second]) == [f"task.claimed {message} ada"] * 2
    assert "state" not in first
    assert (second["state"], second["fence"]) == ("claimed", 1)


async def test_after_a_kick_the_news_goes_on(desk: Desk) -> None:
    them = await bring(desk, "buried")
    watcher = desk.connect()
    await desk.say(watcher, Register(id=0, agent="watcher"), Subscribe(id=1, events=["tasks"]))
    await ok(desk, them.boss, Kick(id=1, message=1, reason="again"))
    assert [(event["event"], event["reason"]) for event in events(desk, watcher, "task.")] == [("task.ready", "again")]
