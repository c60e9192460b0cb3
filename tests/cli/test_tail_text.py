"""tail_text.py: an event as lines. Pure; that these are the relay's events is seen in test_tail.py."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from relay_client.cli.tail_filter import KINDS
from relay_client.cli.tail_text import event_text, painted
from relay_proto.fields import State

NOW = datetime(2026, 11, 21, 14, 5, 0, tzinfo=UTC)
AT = int(datetime(2026, 11, 21, 14, 3, 7, tzinfo=UTC).timestamp() * 1000)
MESSAGE: dict[str, Any] = {"id": 12, "from": "ann", "to": "ben", "body": "hi\nthere", "createdAt": AT, "threadId": 12}


def text(kind: str, data: dict[str, Any], **options: Any) -> list[str]:
    return event_text(kind, data, now=NOW, **options)


def test_a_message_is_a_line_with_all_that_matters() -> None:
    assert text("message.new", MESSAGE) == [r"14:03:07  #12  ann → ben  hi\nthere"]
    special = MESSAGE | {
        "subject": "a.py", "channel": "ci", "claimable": True, "severity": "error", "replyTo": 3, "priority": 9,
        "replyByAt": AT + 60_000, "dueAt": AT + 1000, "attempt": 2,
    }  # fmt: skip
    assert text("message.new", special) == [
        "14:03:07  #12  ann → ben  [ci] (work, error, re #3, reply by 14:04:07, priority 9, due 14:03:08, attempt 2) "
        r"a.py: hi\nthere"
    ]


def test_a_body_may_be_shown_in_full_and_can_not_pose_as_a_line_of_ours() -> None:
    lines = text("message.new", MESSAGE | {"subject": "a.py"}, bodies=True)
    assert lines == ["14:03:07  #12  ann → ben  a.py", "    hi", "    there"]
    assert text("message.new", MESSAGE | {"body": "AAEC", "encoding": "base64"})[0].endswith("<3 bytes>")


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("message.claimed", {"id": 1, "claimedBy": "ben", "fence": 2, "claimedAt": AT}, "#1  claimed by ben, fence 2"),
        ("message.deleted", {"id": 1, "deletedAt": AT, "deletedBy": "ann"}, "#1  taken back by ann"),
        ("message.deleted", {"id": 1, "deletedAt": AT, "deletedBy": "a", "reason": "b"}, "#1  taken back by a (b)"),
        ("agent.status", {"id": "ben", "status": "stale", "at": AT, "reason": "silent"}, "ben is stale (silent)"),
        ("agent.removed", {"id": "ben", "at": AT}, "ben is not listed any more"),
        (
            "task.working",
            {"id": 1, "state": "working", "event": "progress", "at": AT, "agentId": "ben", "fence": 1, "progress": 0.5},
            "#1  task working (progress) by ben, fence 1, 50%",
        ),
        (
            "task.buried",
            {"id": 1, "state": "buried", "event": "give_up", "at": AT, "agentId": "ben", "note": "no disk"},
            "#1  task BURIED (give_up) by ben: no disk",
        ),
        (
            "task.recur",
            {"id": 1, "state": "ready", "event": "recur", "at": AT, "occurrences": 3},
            "#1  task ready (recur), 3 times by now",
        ),
    ],
)
def test_each_event_is_a_line(kind: str, data: dict[str, Any], line: str) -> None:
    assert text(kind, data) == [f"14:03:07  {line}"]


def test_every_kind_that_there_is_has_words() -> None:
    for kind in KINDS:
        state = kind.removeprefix("task.") if kind.removeprefix("task.") in get_args(State) else "ready"
        (line,) = text(kind, {"id": 1, "at": AT, "state": state, "event": "claim", "status": "busy"})
        assert "{" not in line, kind


def test_an_event_of_a_newer_relay_is_shown_as_it_is() -> None:
    assert text("of.tomorrow", {"id": 1, "x": "\x1b"}) == [r'of.tomorrow  {"id":1,"x":"\u001b"}']


def test_what_others_wrote_is_escaped_and_cut() -> None:
    hostile = MESSAGE | {
        "from": "an\x1b]0;x\x07n",
        "body": "\u202eevil\x9b31m\r\n",
        "subject": "\x1b[2J",
        "channel": "\x07",
    }
    for lines in (text("message.new", hostile), text("message.new", hostile, bodies=True)):
        assert not {"\x1b", "\x07", "\u202e", "\x9b", "\r", "\n"} & set("".join(lines))
    (line,) = text("message.new", MESSAGE | {"body": "漢" * 100}, width=40)
    assert len(line) < 40
    assert line.endswith("…")


def test_colours_are_around_the_first_line_alone() -> None:
    lines = text("message.new", MESSAGE, bodies=True)
    first, *rest = painted("message.new", lines)
    assert (first, rest) == (f"\x1b[36m{lines[0]}\x1b[0m", lines[1:])
    assert painted("of.tomorrow", ["x"]) == ["x"]
    assert painted("task.ready", ["x"]) == ["\x1b[34mx\x1b[0m"]
