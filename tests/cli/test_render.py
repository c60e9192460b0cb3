"""render: what a person sees of messages, agents and work."""

from datetime import UTC, datetime

from relay_client.cli.render import agents_table, ago, cells, clock, cut, message_line, message_page, table, work_text
from relay_proto.frames import AgentCard, DeliveryState, StoredMessage, WorkState

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


def test_a_table_survives_wide_and_hostile_cells() -> None:
    lines = table(("NAME", "X"), [("世界", "1"), ("a\nb", "2")])
    assert lines == ["NAME  X", "世界  1", "a\\nb  2"]


def test_agents_are_shown_with_what_they_are_found_by() -> None:
    card = AgentCard(
        agent="reviewer-1", status="busy", epoch=3, last_seen_at=int(NOW.timestamp() * 1000) - 4_000, label="Ann",
        caps=["review", "test"], tags=["blue"], load=0.5,
    )  # fmt: skip
    assert agents_table([card], now=NOW) == [
        "AGENT       STATUS  LABEL  CAPS         TAGS  LOAD  SEEN",
        "reviewer-1  busy    Ann    review,test  blue  0.5   4s",
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
    assert "work:     done by reviewer-1 (fence 2, attempts 2); result: fine" in page
    assert page[-1] == "reviewer-1  done   14:03:07  2"


def test_work_says_who_holds_it_for_how_long_and_why_it_ended() -> None:
    held = WorkState(state="claimed", fence=7, attempts=2, holder="ann", lease_s=60.0, lease_left_s=41.2)
    assert work_text(held) == "claimed by ann, 41 s left (fence 7, attempts 2)"
    assert work_text(WorkState(state="buried", fence=3, attempts=3, reason="no disk")).endswith("; no disk")
