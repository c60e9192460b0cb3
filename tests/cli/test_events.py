"""events: what the relay tells by itself, in a line a person understands."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from relay_client.cli.events import event_lines, owed_lines
from relay_proto.frames import Event, OwedReply, Pair

NOW = datetime(2026, 11, 20, 14, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def lines(event: str, **fields: object) -> list[str]:
    return event_lines(Event(event=event, at=NOW_MS, **fields), "ann", now=NOW)  # type: ignore[arg-type]


def pair(state: Literal["pending", "active", "rejected", "ended"]) -> Pair:
    return Pair(
        pair=41, sender="ben", to="ann", state=state, thread=41, opened_at=1, changed_at=1, objective="fix\x1b it"
    )


def test_an_overdue_reply_says_what_is_known_of_the_other_side() -> None:
    told = lines(
        "reply.overdue", message=50, agent="ben", reply_by_at=NOW_MS, stage="queued", stage_at=NOW_MS - 60_000,
        status="offline", status_at=NOW_MS - 180_000,
    )  # fmt: skip
    assert told == [
        "overdue: a reply to #50 from ben, due 14:10:00; the ask is queued there since 14:09:00 (1m ago); "
        "ben is offline, last heard of 14:07:00 (3m ago)"
    ]
    assert lines("reply.overdue", message=50, agent="ben") == ["overdue: a reply to #50 from ben"]


@pytest.mark.parametrize(
    ("event", "fields", "line"),
    [
        (
            "reply.gone",
            {"message": 50, "agent": "ben", "status": "stale", "stage": "pushed", "reply_by_at": NOW_MS + 1000},
            "ben is stale and owes the reply to #50, due 14:10:01; the ask is pushed there",
        ),
        (
            "reply.refused",
            {"message": 50, "agent": "ben", "stage": "nacked", "reason": "no time"},
            "no reply to #50 will come from ben: nacked (no time)",
        ),
        (
            "reply.deadlock",
            {"message": 50, "ring": ["ann", "ben"]},
            "deadlock: nobody owes a reply to #50 any more; ann waits for ben waits for ann",
        ),
        (
            "superseded",
            {"message": 41, "by": 44, "stage": "surfaced"},
            "#41 is replaced by #44; you have the old one already (surfaced)",
        ),
        ("superseded", {"message": 41, "by": 44, "stage": "superseded"}, "#41 is replaced by #44"),
        (
            "withdrawn",
            {"message": 41, "stage": "superseded", "reason": "offered to ben"},
            "#41 is withdrawn: superseded (offered to ben)",
        ),
        ("receipt", {"message": 41, "agent": "ben", "stage": "done"}, "#41 is done at ben"),
        ("pair.opened", {"agent": "ben", "pair": pair("pending")}, "ben invited you into pair #41: fix\\x1b it"),
        ("pair.accepted", {"agent": "ann", "pair": pair("active")}, "pair #41 with ben is active: fix\\x1b it"),
        (
            "pair.ended",
            {"pair": pair("ended"), "reason": "ben was not heard of for 120 s"},
            "pair #41 with ben is ended (ben was not heard of for 120 s)",
        ),
        ("task.claimed", {"message": 41, "agent": "ben"}, "#41 is claimed by ben"),
        (
            "task.claimed",
            {"message": 41, "agent": "ann", "state": "claimed", "fence": 3},
            "#41 is claimed by you, fence 3",
        ),
        ("task.working", {"message": 41, "agent": "ben", "state": "working"}, "#41 is working by ben"),
        (
            "task.delayed",
            {"message": 41, "agent": "ben", "state": "delayed", "fence": 3, "reason": "no disk"},
            "#41 is delayed, fence 3 (ben: no disk)",
        ),
        ("task.ready", {"message": 41, "state": "ready"}, "#41 is ready"),
        ("task.ready", {"message": 41, "agent": "ann", "state": "ready", "fence": 3}, "#41 is ready, fence 3 (you)"),
        (
            "task.canceled",
            {"message": 41, "agent": "zoe", "state": "canceled", "reason": "not needed"},
            "#41 is canceled by zoe (not needed)",
        ),
        (
            "task.buried",
            {"message": 41, "state": "buried", "reason": "its holder fell silent"},
            "#41 is BURIED (its holder fell silent)",
        ),
        (
            "task.progress",
            {"message": 41, "agent": "ben", "state": "working", "progress": 0.4, "note": "the tests run"},
            "#41 at ben: 40% the tests run",
        ),
        ("task.progress", {"message": 41, "agent": "ben"}, "#41 at ben: it goes on"),
        (
            "task.recur",
            {"message": 41, "agent": "zoe", "state": "ready", "occurrences": 3},
            "#41 was reported again by zoe, 3 times by now",
        ),
        (
            "claim.lost",
            {"message": 41, "fence": 3, "state": "canceled", "reason": "canceled by zoe"},
            "you lost #41, fence 3: canceled by zoe; it is canceled",
        ),
        ("claim.lost", {"message": 41}, "you lost #41: the claim is over"),
        (
            "claim.resumed",
            {"message": 41, "fence": 3, "lease_s": 60.0, "reason": "its deadline passed"},
            "#41 goes on, fence 3: its deadline passed; 1m of lease",
        ),
        ("presence", {"agent": "ben", "status": "offline", "reason": "it said bye"}, "ben is offline (it said bye)"),
    ],
)
def test_each_kind_is_one_line(event: str, fields: dict[str, object], line: str) -> None:
    assert lines(event, **fields) == [line]


def test_a_kind_of_a_newer_relay_says_nothing() -> None:
    assert lines("weather", reason="rain") == []
    assert lines("task.weather", message=1, reason="rain") == []
    assert lines("claim.weather", message=1, reason="rain") == []


def test_what_is_owed_both_ways_is_said_own_debts_first() -> None:
    hope = OwedReply(message=7, asker="ann", agent="ben", asked_at=0, reply_by_at=NOW_MS + 60_000, status="busy")
    debt = OwedReply(
        message=9, asker="zoe", agent="ann", asked_at=0, reply_by_at=NOW_MS - 60_000, overdue=True, subject="x"
    )
    told = [
        "you owe zoe a reply to #9, due 14:09:00 (1m ago), overdue: x",
        "ben owes you a reply to #7, due 14:11:00 (in 1m); ben is busy",
    ]
    assert owed_lines([hope, debt], "ann", now=NOW) == told
    assert lines("owed", items=[hope, debt]) == told


def test_text_of_others_is_escaped() -> None:
    (line,) = lines("reply.refused", message=1, agent="b\x1ben", stage="nacked", reason="no\n\u202etime")
    assert line == r"no reply to #1 will come from b\x1ben: nacked (no\n\u202etime)"
    (line,) = lines("task.failed", message=1, agent="b\x1ben", state="failed", reason="no\n\u202etime")
    assert line == r"#1 is failed (b\x1ben: no\n\u202etime)"
    (line,) = lines("claim.lost", message=1, reason="\x9b2J")
    assert line == r"you lost #1: \x9b2J"
    owed = OwedReply(message=9, asker="z\x9b", agent="ann", asked_at=0, reply_by_at=NOW_MS, subject="\x1b[2J")
    (line,) = owed_lines([owed], "ann", now=NOW)
    assert "\x1b" not in line
    assert "\x9b" not in line
