"""render: what a person sees of messages, agents and work."""

from datetime import UTC, datetime

import pytest

from relay_client import Receipt
from relay_client.cli.render import (
    agents_table,
    ago,
    cells,
    clock,
    cut,
    message_line,
    message_page,
    owed_table,
    receipt_lines,
    share_text,
    table,
    when,
    work_text,
)
from relay_proto.frames import AgentCard, DeliveryState, OwedReply, StoredMessage, WorkState

NOW = datetime(2026, 11, 20, 14, 10, 0, tzinfo=UTC)
SENT_AT = int(datetime(2026, 11, 20, 14, 3, 7, tzinfo=UTC).timestamp() * 1000)


def stored(**fields: object) -> StoredMessage:
    """A message as the relay keeps it, with some fields set."""
    base: dict[str, object] = {
        "message": 12, "sender": "builder", "to": "cap:review", "body": "have a look", "sent_at": SENT_AT,
        "thread": 12, "hops": 0,
    }  # fmt: skip
    return StoredMessage(**(base | fields))  # type: ignore[arg-type]


def test_a_message_is_one_line_with_time_number_ends_badges_and_text() -> None:
    line = message_line(stored(channel="ci", subject="branch x"), now=NOW)
    assert line == "14:03:07  #12  builder → cap:review  [ci] branch x: have a look"


def test_a_message_of_another_day_carries_its_date() -> None:
    assert message_line(stored(sent_at=SENT_AT - 86_400_000), now=NOW).startswith("2026-11-19 14:03:07  #12")


def test_work_and_stage_are_marked() -> None:
    line = message_line(stored(claimable=True), now=NOW, stage="queued")
    assert line == "14:03:07  #12  queued  builder → cap:review  (work) have a look"


def test_how_bad_it_is_is_marked_and_its_type_is_in_the_full_message() -> None:
    item = stored(claimable=True, severity="critical", type="alert")
    assert message_line(item, now=NOW).endswith("(work, critical) have a look")
    assert {"type:     alert", "severity: critical"} <= set(message_page(item, now=NOW))


def test_what_is_to_be_done_by_when_is_marked() -> None:
    line = message_line(
        stored(
            reply_to=7, reply_by_at=SENT_AT + 60_000, priority=9, supersedes=11, due_at=SENT_AT + 1_000,
            expires_at=SENT_AT + 86_400_000,
        ),
        now=NOW,
    )  # fmt: skip
    assert line.endswith(
        "(re #7, reply by 14:04:07, priority 9, replaces #11, due 14:03:08, until 2026-11-21 14:03:07) have a look"
    )


def test_a_line_stays_one_line_whatever_the_message_carries() -> None:
    line = message_line(stored(body="a\nb\x1b[2J", subject="s\u202e", channel="x"), now=NOW)
    assert line.endswith(r"[x] s\u202e: a\nb\x1b[2J")


def test_bytes_are_counted_not_shown() -> None:
    assert message_line(stored(body=b"\x00\xff\x1b"), now=NOW).endswith("<3 bytes>")


def test_a_line_is_cut_to_the_terminal_and_says_so() -> None:
    line = message_line(stored(body="x" * 500), now=NOW, width=60)
    assert cells(line) == 60
    assert line.endswith("x…")


def test_wide_characters_count_as_two_cells_and_combining_ones_as_none() -> None:
    assert cells("世界") == 4
    assert cells("e\u0301") == 1
    assert cut("世界世界", 5) == "世界…"
    assert cut("世界世界", 8) == "世界世界"


def test_time_is_said_in_its_largest_unit() -> None:
    now_ms = int(NOW.timestamp() * 1000)
    assert [ago(now_ms - s * 1000, NOW) for s in (0, 59, 60, 3_600, 86_400 * 3)] == ["0s", "59s", "1m", "1h", "3d"]
    assert ago(now_ms + 5_000, NOW) == "0s"  # the relay's clock may be ahead of ours
    assert clock(now_ms, NOW) == "14:10:00"


def test_a_table_is_aligned_and_leaves_empty_columns_out() -> None:
    assert table(("A", "B", "C"), [("x", "", "1"), ("longer", "", "22")]) == ["A       C", "x       1", "longer  22"]


def test_a_table_that_is_too_wide_cuts_its_widest_column_then_takes_more_lines_and_hides_none() -> None:
    headings = ("N", "SCOPES", "ENDS", "NOTE")
    rows = [("1", "s" * 90, "revoked 14:05:00 (3m ago)", "for ci"), ("2", "*", "", "")]
    assert table(headings, rows, 60) == [
        "N  SCOPES                    ENDS                     NOTE",
        "1  sssssssssssssssssssssss…  revoked 14:05:00 (3m a…  for ci",
        "2  *",
    ]
    assert table(headings, rows, 30) == [
        "N  SCOPES         ENDS",
        "    NOTE",
        "1  ssssssssssss…  revoked 14:…",
        "    for ci",
        "2  *",
    ]
    assert all(cells(line) <= 30 for line in table(headings, rows, 30, wraps=False))
    assert len(table(headings, rows, 30, wraps=False)) == 3


def test_a_table_survives_wide_and_hostile_cells() -> None:
    lines = table(("NAME", "X"), [("世界", "1"), ("a\nb", "2")])
    assert lines == ["NAME  X", "世界  1", "a\\nb  2"]


def test_agents_are_shown_with_what_they_are_found_by() -> None:
    card = AgentCard(
        agent="reviewer-1", status="busy", epoch=3, last_seen_at=int(NOW.timestamp() * 1000) - 4_000, label="Ann",
        caps=["review", "test"], tags=["blue"], load=0.5, reason="it said\x1b bye",
    )  # fmt: skip
    assert agents_table([card], now=NOW) == [
        "AGENT       STATUS  LABEL  CAPS         TAGS  LOAD  SEEN  REASON",
        r"reviewer-1  busy    Ann    review,test  blue  0.5   4s    it said\x1b bye",
    ]


def test_a_message_in_full_has_envelope_body_work_and_deliveries() -> None:
    item = stored(
        subject="look", reply_to=7, thread=7, headers={"path": "a.py"}, body="one\nmessage:  #99\x1b[1m",
        claimable=True,
        work=WorkState(state="done", fence=2, attempts=2, holder="reviewer-1", result="fine"),
        deliveries=[DeliveryState(agent="reviewer-1", stage="done", at=SENT_AT, attempt=2)],
    )  # fmt: skip
    page = message_page(item, now=NOW)
    assert page[0] == "message:  #12"
    assert "thread:   #7, a reply to #7" in page
    assert "    message:  #99\\x1b[1m" in page  # the body is indented: it can't pose as a line of ours
    assert "work:     done by reviewer-1 (fence 2, attempts 2 of 3); result: fine" in page
    assert page[-1] == "reviewer-1  done   14:03:07  2"


def test_a_message_in_full_has_its_times_its_priority_and_what_it_comes_from() -> None:
    page = message_page(
        stored(
            channel="ci", caused_by=3, supersedes=11, priority=0, due_at=SENT_AT + 480_000,
            expires_at=SENT_AT + 3_600_000, reply_by_at=SENT_AT + 60_000,
        ),
        now=NOW,
    )  # fmt: skip
    assert page[4:11] == [
        "thread:   #12",
        "cause:    #3",
        "replaces: #11",
        "channel:  ci",
        "priority: 0",
        "due:      14:11:07 (in 1m)",
        "expires:  15:03:07 (in 53m)",
    ]
    assert page[11] == "reply by: 14:04:07 (5m ago)"


def test_how_far_it_came_is_said_with_the_reason() -> None:
    one = DeliveryState(agent="ann", stage="superseded", at=SENT_AT, attempt=1, reason="offered to\x1b ben")
    assert message_page(stored(deliveries=[one]), now=NOW)[-1] == (
        r"ann        superseded  14:03:07  1        offered to\x1b ben"
    )


def test_a_moment_is_said_with_its_distance() -> None:
    assert when(SENT_AT, NOW) == "14:03:07 (6m ago)"
    assert when(SENT_AT + 7_200_000, NOW) == "16:03:07 (in 1h)"


def receipt(recipients: int, online: int, **more: object) -> Receipt:
    """The answer to a send."""
    given = {"duplicate": False, "key": "k"} | more
    return Receipt(12, 12, recipients, online, **given)  # type: ignore[arg-type]


def test_a_receipt_says_how_many_have_it_and_how_many_are_there() -> None:
    assert receipt_lines("builder", receipt(1, 1)) == ["#12 → builder: in the inbox, online"]
    assert receipt_lines("builder", receipt(1, 0)) == ["#12 → builder: in the inbox, offline"]
    assert receipt_lines("builder", receipt(1, 1), is_work=True) == ["#12 → builder: one may take it, online"]
    assert receipt_lines("tag:x", receipt(3, 2)) == ["#12 → tag:x: in 3 inboxes, 2 of them online"]
    assert receipt_lines("tag:x", receipt(0, 0), delay_s=60) == [
        "#12 → tag:x: accepted, but it matches nobody: in no inbox"
    ]
    assert receipt_lines("builder", receipt(1, 1), delay_s=90.0) == ["#12 → builder: in the inbox, online; due in 90s"]


def test_a_receipt_says_who_had_no_room_and_what_else_the_relay_noted() -> None:
    assert receipt_lines("ALL", receipt(2, 2, full=["ann", "b\x1bn"], note="not your\nthread")) == [
        "#12 → ALL: in 2 inboxes, 2 of them online",
        r"  full, so not in the inbox of: ann, b\x1bn",
        r"  note: not your\nthread",
    ]


def test_a_duplicate_is_news_only_for_who_chose_the_key() -> None:
    again = receipt(1, 1, duplicate=True)
    assert receipt_lines("x", again) == ["#12 → x: in the inbox, online"]
    assert receipt_lines("x", again, own_key=True)[0].endswith("(this key was used before: nothing new was sent)")


def test_owed_replies_say_who_owes_whom_by_when() -> None:
    late = OwedReply(
        message=7, asker="ann", agent="ben", asked_at=SENT_AT, reply_by_at=SENT_AT + 60_000, overdue=True,
        subject="which\x1b branch", stage="surfaced", stage_at=SENT_AT + 1_000, status="busy",
    )  # fmt: skip
    open_ = OwedReply(message=8, asker="ben", agent="ann", asked_at=SENT_AT, reply_by_at=SENT_AT + 600_000)
    assert owed_table([late, open_], now=NOW) == [
        "ASK  OWED BY  STATUS  TO   REPLY BY              ASK IS    SINCE     SUBJECT",
        r"#7   ben      busy    ann  14:04:07  overdue 5m  surfaced  14:03:08  which\x1b branch",
        "#8   ann              ben  14:13:07",
    ]


def test_work_says_who_holds_it_for_how_long_and_why_it_ended() -> None:
    held = WorkState(state="claimed", fence=7, attempts=2, holder="ann", lease_s=60.0, lease_left_s=41.2)
    assert work_text(held, now=NOW) == "claimed by ann, 41 s left (fence 7, attempts 2 of 3)"
    buried = WorkState(state="buried", fence=3, attempts=3, reason="no disk")
    assert work_text(buried, now=NOW).endswith("; no disk")
    parked = WorkState(
        state="parked", fence=2, attempts=1, attempts_max=5, holder="ann", needs="human", progress=0.4, note="half",
        park_until_at=SENT_AT + 480_000, reason="may I?",
    )  # fmt: skip
    assert work_text(parked, now=NOW) == (
        "parked by ann, needs human until 14:11:07 (fence 2, attempts 1 of 5); 40% done; half; may I?"
    )
    delayed = WorkState(state="delayed", fence=0, attempts=0, ready_at=SENT_AT + 480_000)
    assert work_text(delayed, now=NOW) == "delayed until 14:11:07 (fence 0, attempts 0 of 3)"


@pytest.mark.parametrize(("share", "text"), [(None, ""), (0.0, "0%"), (0.29, "29%"), (0.999, "99%"), (1.0, "100%")])
def test_a_share_is_whole_only_when_all_is_done(share: float | None, text: str) -> None:
    assert share_text(share) == text
