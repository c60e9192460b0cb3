"""task_text: what a person sees of tasks and claims."""

from datetime import UTC, datetime
from typing import cast

import pytest

from relay_client import Agent, Message
from relay_client.cli.render import cells
from relay_client.cli.task_text import (
    claim_lines,
    counts_text,
    history_table,
    state_text,
    task_page,
    tasks_table,
)
from relay_proto.frames import Deliver, Task, TaskEvent

NOW = datetime(2026, 11, 20, 14, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def made(**fields: object) -> Task:
    """A task as the relay lists it, with some fields set."""
    base: dict[str, object] = {
        "message": 12, "sender": "ann", "to": "cap:review", "state": "ready", "a2a": "submitted", "title": "look",
        "sent_at": NOW_MS - 300_000, "changed_at": NOW_MS - 60_000, "attempts": 0, "attempts_max": 3, "fence": 0,
        "thread": 12,
    }  # fmt: skip
    return Task(**(base | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "ready"),
        ({"state": "claimed", "holder": "ben", "lease_left_s": 41.7}, "claimed by ben, 41s left"),
        ({"state": "working", "holder": "ben", "lease_left_s": 125.0}, "working by ben, 2m left"),
        ({"state": "delayed", "ready_at": NOW_MS + 8_000}, "delayed, ready in 8s"),
        ({"state": "delayed", "ready_at": NOW_MS - 1}, "delayed, ready now"),
        ({"state": "delayed", "ready_at": NOW_MS + 3_599_999}, "delayed, ready in 1h"),
        ({"state": "delayed"}, "delayed, waits for other tasks"),
        ({"state": "delayed", "depends_on": [3, 4, 5], "waiting_for": [3, 5]}, "delayed, waits for #3, #5"),
        (
            {"state": "parked", "holder": "ben", "needs": "human", "park_until_at": NOW_MS + 7_200_000},
            "parked by ben, needs human, 2h left",
        ),
        (
            {"state": "parked", "holder": "ben", "needs": "dependency", "depends_on": [3], "waiting_for": [3]},
            "parked by ben, needs dependency #3",
        ),
        ({"state": "buried", "holder": "ben", "reason": "no disk"}, "BURIED"),
        ({"state": "done", "holder": "ben"}, "done"),
    ],
)
def test_a_state_says_who_has_it_and_what_it_waits_for(fields: dict[str, object], text: str) -> None:
    assert state_text(made(**fields), now=NOW) == text


def test_a_list_is_a_line_a_task_and_buried_ones_stand_out() -> None:
    told = tasks_table(
        [
            made(state="working", holder="ben", lease_left_s=41.0, progress=0.4, note="the tests run", attempts=1),
            made(message=9, title="disk full", severity="critical", type="alert", occurrences=3, state="buried",
                 attempts=3, reason="no\x1b disk"),
            made(message=10, title=None),
        ],
        now=NOW,
    )  # fmt: skip
    assert told == [
        "TASK  STATE                     SEVERITY  TITLE      TYPE   TO          AGE  SEEN     PROGRESS  ATTEMPTS  "
        "NOTE",
        "#12   working by ben, 41s left            look              cap:review  5m            40%       1 of 3    "
        "the tests run",
        r"#9    BURIED                    critical  disk full  alert  cap:review  5m   3 times            3 of 3    "
        r"no\x1b disk",
        "#10   ready                               -                 cap:review  5m                      0 of 3",
    ]


def test_a_long_title_leaves_room_on_a_terminal_and_is_whole_in_a_pipe() -> None:
    task = made(title="x" * 200)
    assert "x" * 200 in tasks_table([task], now=NOW)[1]
    _, line = tasks_table([task], now=NOW, width=100)
    assert "cap:review" in line
    assert cells(line) <= 100


def test_counts_are_in_the_order_of_a_task_s_life_without_what_is_not_there() -> None:
    assert counts_text({"buried": 2, "working": 1, "ready": 3, "parked": 0}) == "3 ready, 1 working, 2 BURIED"
    assert counts_text({}) == "nothing open"


def test_a_task_in_full_has_all_that_is_known_its_body_its_result_and_its_history() -> None:
    task = made(
        state="done", a2a="completed", holder="ben", fence=2, attempts=1, progress=0.5, note="half",
        progress_at=NOW_MS - 90_000, type="review", severity="error", source="ci", dedupe_key="main-red", occurrences=2,
        last_seen_at=NOW_MS - 60_000, depends_on=[3, 4], depends_states=["done", "canceled"], priority=6,
        channel="ci", thread=7, body="one\ntask:     #99\x1b", result="fine\x1b",
        history=[
            TaskEvent(at=NOW_MS - 300_000, event="submit", state="ready", agent="ann"),
            TaskEvent(at=NOW_MS - 60_000, event="ripen", state="ready"),
            TaskEvent(at=NOW_MS, event="complete", state="done", agent="b\x1ben", fence=2, note="ok"),
        ],
    )  # fmt: skip
    page = task_page(task, now=NOW)
    facts = dict(line.split(":", 1) for line in page[: page.index("")])
    assert {name: value.strip() for name, value in facts.items()} == {
        "task": "#12", "title": "look", "state": "done", "a2a": "completed", "progress": "50% half (1m ago)",
        "from": "ann", "to": "cap:review", "holder": "ben", "fence": "2", "attempts": "1 of 3", "type": "review",
        "severity": "error", "source": "ci", "dedupe": "main-red", "seen": "2 times, last 14:09:00 (1m ago)",
        "after": "#3 (done), #4 (canceled)", "priority": "6", "channel": "ci", "thread": "#7",
        "sent": "14:05:00 (5m ago)", "changed": "14:09:00 (1m ago)",
    }  # fmt: skip
    assert page[page.index("") :] == [
        "",
        "    one",
        r"    task:     #99\x1b",
        "",
        "result:",
        r"    fine\x1b",
        "",
        "AT        EVENT     STATE  WHO        FENCE  NOTE",
        "14:05:00  submit    ready  ann",
        "14:09:00  ripen     ready  the relay",
        r"14:10:00  complete  done   b\x1ben    2      ok",
    ]


def test_an_older_relay_that_does_not_say_how_dependencies_stand_is_not_spoken_for() -> None:
    page = task_page(made(state="delayed", depends_on=[3, 4], waiting_for=[4]), now=NOW)
    assert "after:    #3, #4 (not done)" in page


def test_work_without_a_title_is_listed_by_the_beginning_of_its_body() -> None:
    assert "fix it" in tasks_table([made(title=None, beginning="fix it")], now=NOW)[1]


def test_on_a_narrow_terminal_every_column_is_still_there() -> None:
    task = made(
        state="working", holder="ben", lease_left_s=41.0, progress=0.4, note="the tests run", severity="critical",
        type="alert", occurrences=3, title="x" * 60,
    )  # fmt: skip
    for width in (120, 80, 60, 40):
        told = tasks_table([task], now=NOW, width=width)
        assert max(cells(line) for line in told) <= width
        for word in ("TASK", "STATE", "SEVERITY", "TITLE", "TO", "SEEN", "PROGRESS", "ATTEMPTS", "NOTE"):
            assert word in " ".join(told).split(), (width, told)
        for word in ("#12", "working", "critical", "40%", "0 of 3", "the"):
            assert word in " ".join(told), (width, told)


def test_a_history_keeps_its_lines_whatever_is_in_it() -> None:
    told = history_table([TaskEvent(at=NOW_MS, event="fail", state="buried", note="a\nb\u202e")], now=NOW)
    assert told[1].endswith(r"a\nb\u202e")
    assert "BURIED" in told[1]
    assert len(told) == 2


def test_a_claim_shows_its_fence_and_the_body_set_in() -> None:
    frame = Deliver(
        message=12, sender="ann", to="cap:review", body="one\nfence:    9", sent_at=0, attempt=1, thread=12, hops=0,
        subject="lo\nok",
    )  # fmt: skip
    item = Message(cast(Agent, None), frame)
    assert claim_lines(item, 3, 60.0) == [
        "claimed:  #12",
        "fence:    3",
        "lease:    1m",
        r"title:    lo\nok",
        "from:     ann → cap:review",
        "",
        "    one",
        "    fence:    9",
    ]
