"""Tasks: submitted, reported again, ended or revived from outside, with their history; and pages of them."""

from pathlib import Path
from typing import Any

import pytest

from relay_proto.frames import (
    Ack,
    Cancel,
    Check,
    Claim,
    Complete,
    Fail,
    GetTask,
    Inbox,
    Kick,
    Progress,
    Release,
    Renew,
    Resolve,
    Send,
    Submit,
    Subscribe,
    Tasks,
)
from relay_server.quota import Limits
from relay_server.store import task_reads
from relay_server.store.history import HISTORY_BYTES_MAX
from tests.relay.asking_why import opened
from tests.relay.desk import START_MS, Desk, kinds
from tests.relay.working import ask, bring, claim, crew, lines, listed, ok, page, state, submit, task

# -- submitting ------------------------------------------------------------------------------------------------------


async def test_a_task_is_work_with_a_title(desk: Desk) -> None:
    them = await crew(desk)
    frame = Submit(
        id=1, to="cap:x", title="mend it", body="the build", type="ci.red", severity="error", channel="builds",
        attempts=5, dedupe_key="main", source="ci",
    )  # fmt: skip
    answer = await ok(desk, them.boss, frame)
    assert answer == {"op": "ok", "re": 1, "message": 1, "thread": 1, "recipients": 2, "online": 2}
    (delivered,) = desk.heard(them.ada)
    shown = {part: delivered[part] for part in ("subject", "body", "claimable", "type", "severity", "priority")}
    assert shown == {
        "subject": "mend it", "body": "the build", "claimable": True, "type": "ci.red", "severity": "error",
        "priority": 6,
    }  # fmt: skip
    assert await task(desk, them.bob, 1) == {
        "message": 1, "from": "boss", "to": "cap:x", "state": "ready", "a2a": "submitted", "sent_at": START_MS,
        "changed_at": START_MS, "attempts": 0, "attempts_max": 5, "fence": 0, "thread": 1, "title": "mend it",
        "type": "ci.red", "severity": "error", "source": "ci", "dedupe_key": "main", "priority": 6,
        "channel": "builds", "body": "the build",
        "history": [{"at": START_MS, "event": "submit", "state": "ready", "agent": "boss"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ({"severity": "critical"}, 8), ({"severity": "error"}, 6), ({"severity": "warning"}, None),
        ({"severity": "critical", "priority": 2}, 2), ({}, None),
    ],
)  # fmt: skip
async def test_what_is_severe_comes_first_unless_its_sender_says_otherwise(
    desk: Desk, fields: dict[str, Any], priority: int | None
) -> None:
    them = await crew(desk)
    assert (await task(desk, them.boss, await submit(desk, them.boss, **fields))).get("priority") == priority


async def test_every_claimable_message_is_a_task(desk: Desk) -> None:
    them = await crew(desk)
    await ok(desk, them.boss, Send(id=1, to="ada", subject="do it", body="b", claimable=True, attempts=2, delay_s=9))
    found = await task(desk, them.boss, 1)
    assert (found["title"], found["attempts_max"], found["state"]) == ("do it", 2, "delayed")
    assert lines(found) == ["submit delayed boss"]


async def test_what_is_no_task_is_none(desk: Desk) -> None:
    them = await crew(desk)
    await ok(desk, them.boss, Send(id=1, to="ada", body="b"))
    assert (await ask(desk, them.boss, GetTask(id=2, message=1)))["code"] == "not_claimable"
    assert (await ask(desk, them.boss, GetTask(id=2, message=2)))["code"] == "unknown_message"


# -- reported again --------------------------------------------------------------------------------------------------


async def test_what_is_reported_again_while_it_is_open_is_counted_and_wakes_nobody(desk: Desk) -> None:
    them = await crew(desk)
    first = await submit(desk, them.boss, dedupe_key="disk", title="disk 90%")
    await ok(desk, them.boss, Subscribe(id=2, events=["task"]))
    desk.heard(them.ada), desk.heard(them.boss)
    await desk.pass_time(60)
    answer = await ok(desk, them.boss, Submit(id=3, to="cap:x", title="disk 95%", dedupe_key="disk"))
    assert (answer["message"], answer["occurrences"]) == (first, 2)
    assert desk.heard(them.ada) == desk.heard(them.bob)[1:] == []
    (event,) = desk.heard(them.boss)
    assert (event["event"], event["occurrences"], event["agent"]) == ("task.recur", 2, "boss")
    found = await task(desk, them.boss, first)
    assert (found["occurrences"], found["last_seen_at"]) == (2, START_MS + 60_000)
    assert lines(found) == ["submit ready boss", "recur ready boss disk 95%"]
    assert await listed(desk, them.boss) == [first]


@pytest.mark.parametrize("target", ["ready", "delayed", "claimed", "working", "parked"])
async def test_it_is_the_same_task_in_whatever_open_state_it_is(desk: Desk, target: Any) -> None:
    them = await bring(desk, target, dedupe_key="k")
    before = await them.task()
    answer = await ok(desk, them.boss, Submit(id=3, to="cap:x", title="t", dedupe_key="k"))
    assert answer["message"] == them.message
    after = await them.task()
    assert (after["state"], after["occurrences"], after["fence"]) == (target, 2, before["fence"])


@pytest.mark.parametrize("target", ["done", "failed", "canceled", "superseded", "buried"])
async def test_when_it_is_over_the_same_key_opens_a_new_one(desk: Desk, target: Any) -> None:
    them = await bring(desk, target, dedupe_key="k")
    answer = await ok(desk, them.boss, Submit(id=3, to="cap:x", title="t", dedupe_key="k"))
    assert answer["message"] > them.message
    assert "occurrences" not in answer
    again = await ok(desk, them.boss, Submit(id=4, to="cap:x", title="t", dedupe_key="k"))
    assert (again["message"], again["occurrences"]) == (answer["message"], 2)


async def test_a_key_is_its_sources(desk: Desk) -> None:
    them = await crew(desk)
    bosss = await submit(desk, them.boss, dedupe_key="k")
    adas = await submit(desk, them.ada, dedupe_key="k")
    cis = await submit(desk, them.boss, dedupe_key="k", source="ci")
    assert len({bosss, adas, cis}) == 3
    assert await submit(desk, them.ada, dedupe_key="k", source="ci") == cis, "whoever says it"
    assert await submit(desk, them.bob, dedupe_key="k", source="boss") == bosss, "the default is the sender"


async def test_a_report_that_is_repeated_with_its_key_counts_once(desk: Desk) -> None:
    them = await crew(desk)
    first = await submit(desk, them.boss, dedupe_key="k", key="1")
    again = [Submit(id=number, to="cap:x", title="t", dedupe_key="k", key=key) for number, key in enumerate("12231")]
    answers = [await ok(desk, them.boss, frame) for frame in again]
    assert [answer["message"] for answer in answers] == [first] * 5
    assert [answer.get("occurrences") for answer in answers[1:4]] == [2, 2, 3]
    assert [answers[0].get("duplicate"), answers[4].get("duplicate")] == [True, True], "it made the message"
    assert (await task(desk, them.boss, first))["occurrences"] == 3


async def test_a_counted_report_that_comes_once_more_after_the_end_opens_nothing(desk: Desk) -> None:
    them = await crew(desk)
    first = await submit(desk, them.boss, dedupe_key="k")
    frame = Submit(id=1, to="cap:x", title="t", dedupe_key="k", key="1")
    await ok(desk, them.boss, frame)
    await ok(desk, them.boss, Resolve(id=2, dedupe_key="k"))
    assert (await ok(desk, them.boss, frame))["message"] == first
    assert await listed(desk, them.boss) == []


@pytest.mark.parametrize("other", [{"dedupe_key": "l"}, {"attempts": 2}, {"depends_on": [1]}, {"source": "ci"}])
async def test_the_same_key_with_another_content_is_refused(desk: Desk, other: dict[str, Any]) -> None:
    them = await crew(desk)
    await submit(desk, them.boss)
    given: dict[str, Any] = {"to": "cap:x", "title": "t", "dedupe_key": "k", "key": "1"}
    message = (await ok(desk, them.boss, Submit(id=1, **given)))["message"]
    answer = await ask(desk, them.boss, Submit(id=2, **given | other))
    assert (answer["code"], answer["detail"]) == ("key_conflict", {"message": message})


async def test_a_report_to_nobody_in_particular_is_counted_though_its_target_is_gone(desk: Desk) -> None:
    them = await crew(desk)
    first = await submit(desk, them.boss, "ada", dedupe_key="k")
    answer = await ask(desk, them.boss, Submit(id=1, to="nobody-here", title="t", dedupe_key="k"))
    assert (answer["op"], answer.get("message")) == ("ok", first)


# -- resolve ---------------------------------------------------------------------------------------------------------


async def test_resolve_closes_the_open_task_of_its_key_and_tells_its_holder(desk: Desk) -> None:
    them = await bring(desk, "working", dedupe_key="disk", source="monitor")
    desk.heard(them.ada)
    frame = Resolve(id=2, dedupe_key="disk", source="monitor", result="42%", reason="it is below")
    assert await ok(desk, them.bob, frame) == {"op": "ok", "re": 2, "message": 1}
    (told,) = [heard for heard in desk.heard(them.ada) if heard["event"] == "claim.lost"]
    reason = "resolved by bob: it is below"
    assert (told["message"], told["fence"], told["state"], told["reason"]) == (1, 1, "done", reason)
    found = await them.task()
    assert (found["state"], found["result"], found["reason"]) == ("done", "42%", "it is below")
    assert lines(found)[-1] == "resolve done bob 1 it is below"
    assert (await ask(desk, them.ada, Renew(id=3, message=1, fence=1)))["code"] == "not_holder"
    assert desk.broker.leases.get(1) is None
    assert (await ask(desk, them.bob, frame))["code"] == "unknown_message", "there is none any more"


async def test_what_is_resolved_before_anybody_began_goes_from_every_inbox(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss, dedupe_key="k")
    await ok(desk, them.boss, Resolve(id=2, dedupe_key="k"))
    assert kinds(desk.heard(them.ada)) == [f"deliver {message}", f"withdrawn {message}"]
    assert set((await desk.ledger(message)).values()) == {"superseded: resolved by boss"}
    assert not them.ada.unacked


async def test_only_a_key_that_is_open_is_resolved(desk: Desk) -> None:
    them = await bring(desk, "buried", dedupe_key="k")
    for source, key in (("boss", "k"), ("boss", "l"), ("ci", "k")):
        answer = await ask(desk, them.ada, Resolve(id=2, dedupe_key=key, source=source))
        assert (answer["code"], answer["detail"]) == ("unknown_message", {"source": source, "dedupe_key": key})


async def test_a_resolve_that_is_repeated_with_its_key_gets_its_first_answer_and_ends_no_later_task(desk: Desk) -> None:
    them = await crew(desk)
    first = await submit(desk, them.boss, dedupe_key="k", key="1")
    frame = Resolve(id=2, dedupe_key="k", key="1")  # the keys of sends are others
    assert await ok(desk, them.boss, frame) == {"op": "ok", "re": 2, "message": first}
    again = {"op": "ok", "re": 2, "message": first, "duplicate": True}
    assert await ok(desk, them.boss, frame) == again
    second = await submit(desk, them.boss, dedupe_key="k")
    await desk.restart()
    boss, bob = await desk.agent("boss"), await desk.agent("bob")
    assert await ok(desk, boss, frame) == again
    assert await listed(desk, boss) == [second]
    answer = await ask(desk, boss, Resolve(id=3, dedupe_key="k", source="ci", key="1"))
    assert (answer["code"], answer["detail"]) == ("key_conflict", {"message": first})
    assert (await ok(desk, bob, Resolve(id=4, dedupe_key="k", source="boss", key="1")))["message"] == second, "its own"


async def test_the_key_of_a_resolve_that_was_refused_is_free(desk: Desk) -> None:
    them = await crew(desk)
    frame = Resolve(id=2, dedupe_key="k", key="1")
    assert (await ask(desk, them.boss, frame))["code"] == "unknown_message"
    message = await submit(desk, them.boss, dedupe_key="k")
    assert await ok(desk, them.boss, frame) == {"op": "ok", "re": 2, "message": message}


async def test_the_key_of_a_resolve_makes_no_report_of_a_submit(desk: Desk) -> None:
    them = await crew(desk)
    await submit(desk, them.boss, dedupe_key="k")
    await ok(desk, them.boss, Resolve(id=2, dedupe_key="k", key="1"))
    answer = await ok(desk, them.boss, Submit(id=3, to="cap:x", title="t", dedupe_key="k", key="1"))
    assert (answer["message"], answer.get("duplicate")) == (2, None)


# -- cancel and kick -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["ready", "delayed", "claimed", "working", "parked", "buried"])
async def test_its_sender_cancels_it_and_whoever_holds_it_is_told(desk: Desk, target: Any) -> None:
    them = await bring(desk, target)
    desk.heard(them.ada)
    answer = await ok(desk, them.boss, Cancel(id=2, message=1, reason="not needed"))
    assert answer == {"op": "ok", "re": 2, "message": 1}
    lost = [heard for heard in desk.heard(them.ada) if heard.get("event") == "claim.lost"]
    assert len(lost) == (target in ("claimed", "working", "parked"))
    found = await them.task()
    assert (found["state"], found["reason"]) == ("canceled", "not needed")
    assert lines(found)[-1] == "cancel canceled boss 1 not needed"
    assert (await ok(desk, them.boss, Cancel(id=3, message=1)))["message"] == 1, "it is what was asked for"
    assert (await them.task())["history"] == found["history"]


async def test_another_agent_cancels_by_force_alone(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    answer = await ask(desk, them.ada, Cancel(id=2, message=1))
    assert (answer["code"], answer["detail"]) == ("forbidden", {"sender": "boss"})
    assert (await them.task())["state"] == "claimed"
    await ok(desk, them.bob, Cancel(id=2, message=1, force=True))
    assert lines(await them.task())[-1] == "cancel canceled bob 1"


async def test_what_is_no_work_and_what_is_not_there_is_not_canceled(desk: Desk) -> None:
    them = await crew(desk)
    await ok(desk, them.boss, Send(id=1, to="ada", body="b"))
    assert (await ask(desk, them.boss, Cancel(id=2, message=1)))["code"] == "not_claimable"
    assert (await ask(desk, them.boss, Cancel(id=2, message=2)))["code"] == "unknown_message"


async def test_a_kick_is_one_more_attempt_with_a_new_fence(desk: Desk) -> None:
    them = await bring(desk, "buried")
    assert (await them.task())["attempts_max"] == 1
    desk.heard(them.ada), desk.heard(them.bob)
    assert await ok(desk, them.bob, Kick(id=2, message=1, reason="the disk is back")) == {
        "op": "ok", "re": 2, "message": 1
    }  # fmt: skip
    assert kinds(desk.heard(them.ada)) == kinds(desk.heard(them.bob)) == ["deliver 1 #2"]
    found = await them.task()
    assert (found["state"], found["attempts"], found["attempts_max"], found["fence"]) == ("ready", 1, 2, 1)
    assert lines(found)[-1] == "kick ready bob 1 the disk is back"
    assert await claim(desk, them.ada, 1) == 2
    await ok(desk, them.ada, Fail(id=3, message=1, fence=2, reason="again"))
    assert (await them.task())["state"] == "buried", "one more, and not as many as before"


async def test_only_what_is_buried_is_kicked(desk: Desk) -> None:
    them = await bring(desk, "failed")
    answer = await ask(desk, them.boss, Kick(id=2, message=1))
    assert (answer["code"], answer["detail"]) == ("not_claimable", {"state": "failed"})


async def test_what_is_reported_by_another_task_by_now_is_not_kicked(desk: Desk) -> None:
    them = await bring(desk, "buried", dedupe_key="k")
    newer = await submit(desk, them.boss, dedupe_key="k")
    answer = await ask(desk, them.boss, Kick(id=2, message=1))
    assert (answer["code"], answer["detail"]) == ("key_conflict", {"message": newer})
    assert (await them.task())["state"] == "buried"
    await ok(desk, them.boss, Resolve(id=3, dedupe_key="k"))
    await ok(desk, them.boss, Kick(id=4, message=1))
    assert await submit(desk, them.boss, dedupe_key="k") == 1, "it is the open one again"


async def test_what_has_no_time_left_is_not_kicked(desk: Desk) -> None:
    them = await bring(desk, "buried", ttl_s=50)
    await desk.pass_time(50)
    assert (await ask(desk, them.boss, Kick(id=2, message=1)))["code"] == "expired"
    assert (await them.task())["state"] == "buried"


# -- the life of a task ----------------------------------------------------------------------------------------------


async def test_its_history_says_who_did_what_when_and_under_which_fence(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    steps: list[tuple[Any, Any]] = [
        (them.ada, Claim(id=1, message=message, lease_s=60)),
        (them.ada, Progress(id=1, message=message, fence=1, progress=0.25, note="a quarter")),
        (them.ada, Release(id=1, message=message, fence=1)),
        (them.bob, Claim(id=1, message=message, lease_s=60)),
        (them.bob, Fail(id=1, message=message, fence=2, reason="no disk")),
    ]
    for session, frame in steps:
        await desk.pass_time(1)
        await ok(desk, session, frame)
    await desk.pass_time(1)
    await claim(desk, them.ada, message)
    await desk.pass_time(60)
    await claim(desk, them.bob, message)
    await ok(desk, them.bob, Complete(id=2, message=message, fence=4, result=b"\x00"))
    found = await task(desk, them.boss, message)
    assert lines(found) == [
        "submit ready boss",
        "claim claimed ada 1",
        "progress working ada 1 a quarter",
        "release ready ada 1",
        "claim claimed bob 2",
        "fail delayed bob 2 no disk",
        "ripen ready 2",
        "claim claimed ada 3",
        "expire ready 3 ada fell silent",
        "claim claimed bob 4",
        "complete done bob 4",
    ]
    assert [line["at"] - START_MS for line in found["history"]] == [
        0, 1000, 2000, 3000, 4000, 5000, 6000, 6000, 66_000, 66_000, 66_000
    ]  # fmt: skip
    assert (found["attempts"], found["fence"], found["holder"], found["result"]) == (3, 4, "bob", b"\x00")


async def test_progress_is_shown_and_a_new_claim_begins_anew(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    await ok(desk, them.ada, Progress(id=2, message=1, fence=1, progress=0.5, note="half"))
    await ok(desk, them.ada, Progress(id=2, message=1, fence=1, note="testing"))
    found = await them.task()
    assert (found["state"], found["progress"], found["note"], found["progress_at"]) == (
        "working", 0.5, "testing", START_MS,
    )  # fmt: skip
    await ok(desk, them.ada, Release(id=3, message=1, fence=1))
    await claim(desk, them.bob, 1)
    assert not {"progress", "note", "progress_at"} & (await them.task()).keys()


async def test_a_history_that_grows_for_ever_keeps_its_newest_lines(desk: Desk) -> None:
    them = await bring(desk, "claimed")
    note = "x" * 1000
    for number in range(100):
        await ok(desk, them.ada, Progress(id=2, message=1, fence=1, note=f"{number} {note}"))
    kept = lines(await them.task())
    assert kept[-1] == f"progress working ada 1 99 {note}"
    assert 10 * 1000 < sum(map(len, kept)) <= HISTORY_BYTES_MAX + 2000
    numbers = [int(line.split()[4]) for line in kept if line.startswith("progress")]
    assert numbers == list(range(numbers[0], 100)), "without a gap"


async def test_a_monitor_that_reports_the_same_for_days_does_not_fill_the_disk(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss, dedupe_key="k", title="y" * 200)
    for _ in range(60):
        desk.put(them.boss, *[Submit(id=1, to="cap:x", title="y" * 200, dedupe_key="k") for _ in range(10)])
        await desk.turn()
        await desk.pass_time(60)
        desk.heard(them.boss)
    found = await task(desk, them.boss, message)
    assert found["occurrences"] == 601
    assert sum(map(len, lines(found))) <= HISTORY_BYTES_MAX + 2000


async def test_a_claim_that_breaks_and_is_made_again_for_ever_keeps_a_short_history(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    for fence in range(1, 600):
        desk.put(
            them.ada, Claim(id=1, message=message), Release(id=2, message=message, fence=fence), Ack(messages=[message])
        )
        await desk.turn()
    found = await task(desk, them.boss, message)
    assert (found["fence"], found["attempts"]) == (599, 0)
    assert lines(found)[-1] == "release ready ada 599"
    assert sum(map(len, lines(found))) <= HISTORY_BYTES_MAX


# -- check -----------------------------------------------------------------------------------------------------------


async def test_check_says_whose_claim_it_is_and_what_is_left_of_it_and_changes_nothing(desk: Desk) -> None:
    them = await bring(desk, "working")
    await desk.pass_time(20)
    before = await them.task()
    assert await ok(desk, them.bob, Check(id=2, message=1, fence=1)) == {
        "op": "ok", "re": 2, "agent": "ada", "message": 1, "fence": 1, "lease_s": 40.0, "state": "working"
    }  # fmt: skip
    assert await them.task() == before


@pytest.mark.parametrize("target", ["ready", "delayed", "done", "failed", "canceled", "buried", "superseded"])
async def test_the_fence_of_what_nobody_holds_is_not_current(desk: Desk, target: Any) -> None:
    them = await bring(desk, target)
    answer = await ask(desk, them.ada, Check(id=2, message=1, fence=1))
    assert (answer["code"], answer["detail"]) == ("finished", {"state": target, "fence": 1})


async def test_an_older_fence_is_stale_and_one_that_was_never_given_is_nobodys(desk: Desk) -> None:
    them = await bring(desk, "ready")
    await claim(desk, them.bob, 1)
    answer = await ask(desk, them.ada, Check(id=2, message=1, fence=1))
    assert (answer["code"], answer["detail"]) == ("stale_fence", {"fence": 2})
    assert (await ask(desk, them.ada, Check(id=2, message=1, fence=3)))["code"] == "not_holder"
    assert (await ask(desk, them.ada, Check(id=2, message=9, fence=1)))["code"] == "unknown_message"


# -- pages -----------------------------------------------------------------------------------------------------------


async def test_what_is_open_and_what_is_buried_is_listed_oldest_first_and_counted(desk: Desk) -> None:
    them = await crew(desk)
    ready, delayed, buried, done, held = [
        await submit(desk, them.boss, attempts=1, delay_s=60 if number == 1 else None) for number in range(5)
    ]
    await claim(desk, them.ada, buried)
    await ok(desk, them.ada, Fail(id=1, message=buried, fence=1, reason="r"))
    await claim(desk, them.ada, done)
    await ok(desk, them.ada, Complete(id=1, message=done, fence=1))
    await claim(desk, them.ada, held)
    found = await page(desk, them.boss)
    assert [(item["message"], item["state"]) for item in found["items"]] == [
        (ready, "ready"), (delayed, "delayed"), (buried, "buried"), (held, "claimed")
    ]  # fmt: skip
    assert found["counts"] == {"ready": 1, "delayed": 1, "buried": 1, "claimed": 1}
    assert not {"history", "body", "result"} & found["items"][0].keys()
    assert await listed(desk, them.boss, newest=True) == [held, buried, delayed, ready]
    assert await listed(desk, them.boss, state=["done"]) == [done]
    assert await listed(desk, them.boss, state=["buried", "done"], newest=True) == [done, buried]
    assert await listed(desk, them.boss, state=["failed"]) == []


async def test_all_filters_must_hold(desk: Desk) -> None:
    them = await crew(desk)
    special: dict[str, Any] = {
        "type": "ci", "severity": "error", "source": "monitor", "dedupe_key": "k", "channel": "builds"
    }  # fmt: skip
    one = await submit(desk, them.boss, "any:cap:x", **special)
    other = await submit(desk, them.ada)
    await claim(desk, them.bob, one)
    filters = {**special, "to": "any:cap:x", "sender": "boss", "holder": "bob", "state": ["claimed"]}
    for field, value in filters.items():
        assert await listed(desk, them.boss, **{field: value}) == [one], field
    assert await listed(desk, them.boss, **filters) == [one]
    assert await listed(desk, them.boss, **{**filters, "holder": "ada"}) == []
    assert await listed(desk, them.boss, sender="ada") == [other]


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("states", [None, ["ready", "done"]])
async def test_pages_go_on_behind_each_other_and_end(desk: Desk, newest: bool, states: Any) -> None:
    them = await crew(desk)
    made = [await submit(desk, them.boss) for _ in range(5)]
    if newest:
        made.reverse()
    seen, after = [], None
    for _ in range(3):
        found = await page(desk, them.boss, limit=2, after=after, newest=newest, state=states)
        assert len(found["items"]) <= 2
        assert ("counts" in found) == (after is None)
        seen += [item["message"] for item in found["items"]]
        after = found.get("next")
    assert (seen, after) == (made, None)


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("states", [None, ["canceled", "ready"]])
async def test_a_page_that_looked_at_much_and_found_little_says_where_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, newest: bool, states: Any
) -> None:
    monkeypatch.setattr(task_reads, "SCAN_MAX", 3)
    them = await crew(desk)
    made = [await submit(desk, them.boss, type="rare" if number in (0, 6) else "common") for number in range(7)]
    seen, after, pages = [], None, 0
    while pages < 10:
        found = await page(desk, them.boss, type="rare", after=after, newest=newest, state=states)
        pages += 1
        seen += [item["message"] for item in found["items"]]
        if (after := found.get("next")) is None:
            break
    assert seen == ([made[6], made[0]] if newest else [made[0], made[6]])
    assert pages == 3


async def test_a_page_is_no_longer_than_a_message_may_be(tmp_path: Path) -> None:
    titles = [f"{number:03} " + "\u20ac" * 250 for number in range(900)]
    async with opened(tmp_path, Limits(0, 0, 0, 0, 0, 0)) as desk:
        boss = await desk.agent("boss")
        for title in titles:
            desk.put(boss, Submit(id=1, to="boss", title=title, dedupe_key=title[:3] + "\u20ac" * 120))
        await desk.turn()
        desk.broker.lost(boss)
        reader = await desk.agent("reader")
        seen: list[str] = []
        sizes: list[int] = []
        after: int | None = 0
        while after is not None:
            found = await page(desk, reader, limit=1000, after=after)
            sizes.append(len(found["items"]))
            seen += [item["title"] for item in found["items"]]
            after = found.get("next")
    assert seen == titles
    assert len(sizes) == 2, "the first one ended by its bytes"


async def test_a_visit_may_ask_for_tasks(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    visitor = await desk.agent("shell", visit=True)
    assert kinds(await desk.say(visitor, Tasks(id=1), GetTask(id=2, message=message))) == ["ok", "ok"]
    assert await state(desk, visitor, message) == "ready"


async def test_nobody_reports_in_the_name_of_an_integration(desk: Desk) -> None:
    """Whoever held the open task of its key would be given what it reports next, wherever that may go."""
    desk.broker.integrations = frozenset({"alerts"})
    mal, alerts, own = await desk.agent("mal"), await desk.agent("alerts"), await desk.agent("integration/alerts")
    for session, source, expected in (
        (mal, "alerts", "error forbidden"),
        (alerts, None, "error forbidden"),
        (mal, "other", "ok"),
        (own, "alerts", "ok"),
    ):
        frame = Submit(id=1, to="ann", title="disk full", dedupe_key="disk", source=source, key=f"{source}", hold=True)
        assert kinds(await desk.say(session, frame)) == [expected], (session.agent, source)


async def test_an_inbox_says_how_the_work_in_it_stands_but_for_its_result(desk: Desk) -> None:
    them = await crew(desk)
    await submit(desk, them.boss)
    await submit(desk, them.boss)
    await desk.say(them.boss, Send(id=9, to="ada", body="no work"))
    await desk.say(them.ada, Claim(id=1, message=1, lease_s=90))
    await desk.say(them.ada, Progress(id=2, message=1, fence=1, progress=0.5, note="half"))
    answer = await ok(desk, them.bob, Inbox(id=3, agent="ada"))
    assert [item.get("work") for item in answer["items"]] == [
        {
            "state": "working", "fence": 1, "attempts": 1, "holder": "ada", "lease_s": 90.0, "lease_left_s": 90.0,
            "progress": 0.5, "note": "half",
        },
        {"state": "ready", "fence": 0, "attempts": 0},
        None,
    ]  # fmt: skip
    await desk.say(them.ada, Complete(id=4, message=1, fence=1, result="x" * 1000))
    answer = await ok(desk, them.bob, Inbox(id=5, agent="ada", unread=False, limit=1))
    assert (answer["items"][0]["work"]["state"], "result" in answer["items"][0]["work"]) == ("done", False)
