"""top_view.py: an overview as lines, for screens of any size. Pure; the real screen is in test_top.py."""

from typing import Any

import pytest

from relay_client.cli.render import cells
from relay_client.cli.top_rates import Rates
from relay_client.cli.top_view import HEIGHT_MIN, ORDERS, Line, Screen, frame
from relay_proto.frames import AgentAtWork, OldestUnacked, Overview, StuckTask

NOW = 1_700_000_000_000
LONG = "a" * 128
COUNTERS = dict.fromkeys(
    ("messages", "deliveries", "acked", "claimed", "completed", "failed", "expired", "refused", "commands", "turns"), 0
)


def overview(**fields: Any) -> Overview:
    given: dict[str, Any] = {
        "version": "0.1.0", "at": NOW, "uptime_s": 7200.0, "counters": COUNTERS, "sessions": 0, "unacked": 0,
        "agents": {}, "counted_at": NOW,
    }  # fmt: skip
    return Overview(**given | fields)


def rates_of(*looks: Overview) -> Rates:
    rates = Rates()
    for shown in looks:
        rates.take(shown)
    return rates


def screen(**fields: Any) -> Screen:
    return Screen("http://localhost:4850", "14:03:07", **fields)


def text(lines: list[Line]) -> str:
    return "\n".join(line.text.rstrip() for line in lines)


BUSY = overview(
    sessions=3, unacked=7, agents={"online": 2, "busy": 1, "offline": 4}, tasks={"ready": 2, "working": 1, "buried": 1},
    inboxes=2, owed=3, overdue=1, stuck_count=2,
    online=[
        AgentAtWork(agent="ben", status="busy", last_seen_at=NOW - 3000, unacked=5, claims=2, load=0.5),
        AgentAtWork(agent="ann", status="online", last_seen_at=NOW - 90_000, label="Ann"),
    ],
    oldest=[
        OldestUnacked(agent="cid", message=12, since_at=NOW - 3_700_000, stage="queued", count=1000),
        OldestUnacked(agent="ben", message=40, since_at=NOW - 5000, stage="pushed", count=5, status="busy"),
    ],
    stuck=[
        StuckTask(
            message=9, state="parked", since_at=NOW - 86_400_000, to="cap:x", title="review a.py", holder="ben",
            status="busy", needs="human",
        ),
        StuckTask(message=11, state="ready", since_at=NOW - 1_200_000, to="cap:y"),
    ],
)  # fmt: skip


def test_a_pipe_gets_all_of_it() -> None:
    before = overview(uptime_s=7190.0)
    now = overview(uptime_s=7200.0, counters=COUNTERS | {"messages": 250, "acked": 4, "commands": 60, "turns": 20})
    now = Overview(**{name: getattr(BUSY, name) for name in Overview.__struct_fields__} | {"counters": now.counters})
    assert text(frame(rates_of(before, now), screen(round_trip_s=0.0012), None, None)) == (
        "relay 0.1.0  http://localhost:4850  up 2h  answered in 1.2 ms\n"
        "agents  2 online, 1 busy, 4 offline; 3 with a session\n"
        "inbox   2 with something open; 7 messages in the hands of live sessions\n"
        "tasks   2 ready, 1 working, 1 BURIED; 3 replies owed, 1 OVERDUE\n"
        "per second:  messages 25  deliveries 0  acked 0.4  claimed 0  completed 0  failed 0  expired 0  refused 0"
        "  a turn 3.0\n"
        "\n"
        "STUCK WORK  STATE   FOR  HELD BY                       TITLE\n"
        "#9          parked  1d   ben (busy)       needs human  review a.py\n"
        "#11         ready   20m  nobody of cap:y\n"
        "\n"
        "OLDEST UNACKED  WAITS  MESSAGE  STAGE   OPEN   AGENT IS\n"
        "cid             1h     #12      queued  1000+  never seen\n"
        "ben             5s     #40      pushed  5      busy\n"
        "\n"
        "ONLINE  STATUS  IN HAND  CLAIMS  LOAD  HEARD  LABEL\n"
        "ben     busy    5        2       0.5   3s\n"
        "ann     online  0        0             1m     Ann\n"
        "and 1 more"
    )


def test_a_relay_with_nothing_to_do_says_so() -> None:
    shown = text(frame(rates_of(overview()), screen(), None, None))
    for words in ("agents  none; 0 with a session", "tasks   nothing open", "STUCK WORK  none", "ONLINE  none"):
        assert words in shown
    assert "since its start:  messages 0" in shown, "one look is no rate"


MANY = overview(
    sessions=700, inboxes=900, stuck_count=80,
    online=[AgentAtWork(agent=f"worker-{n}", status="online", last_seen_at=NOW) for n in range(50)],
    oldest=[OldestUnacked(agent=f"inbox-{n}", message=n + 1, since_at=NOW, stage="queued", count=1) for n in range(50)],
    stuck=[StuckTask(message=n + 1, state="ready", since_at=NOW, to="cap:x", title="漢字" * 60) for n in range(50)],
)  # fmt: skip


@pytest.mark.parametrize("shown", [overview(), BUSY, MANY], ids=["idle", "busy", "many"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (120, 30), (40, 12), (20, 5), (500, 200), (1, 1)])
def test_a_screen_is_filled_exactly_whatever_its_size(shown: Overview, width: int, height: int) -> None:
    lines = frame(rates_of(overview(uptime_s=1.0), shown), screen(), width, height)
    assert len(lines) == height
    assert max(cells(line.text) for line in lines) <= width
    assert lines[-1].kind == "keys"


def test_a_small_screen_has_some_of_each_list_and_says_how_many_it_does_not_show() -> None:
    lines = frame(rates_of(MANY), screen(), 80, 24)
    for kind, heading, count in (("bad", "STUCK WORK", 80), ("warn", "OLDEST UNACKED", 900), ("plain", "ONLINE", 700)):
        start = next(place for place, line in enumerate(lines) if line.text.startswith(heading))
        rows = []
        for line in lines[start + 1 :]:
            if line.kind != kind:
                break
            rows.append(line)
        assert len(rows) >= 2, heading
        assert lines[start + 1 + len(rows)].text == f"and {count - len(rows)} more"


def test_what_one_list_does_not_need_the_others_get() -> None:
    few = overview(sessions=50, inboxes=0, online=MANY.online)
    lines = frame(rates_of(few), screen(), 80, 24)
    assert sum(line.text.startswith("worker-") for line in lines) >= 8


def test_a_screen_without_a_look_says_what_it_waits_for() -> None:
    lines = frame(Rates(), screen(news="connecting"), 80, HEIGHT_MIN)
    assert lines[0].text.startswith("relay  http://localhost:4850")
    assert lines[1] == Line("connecting", "warn")


def test_a_lost_connection_and_a_held_screen_are_said_at_the_top() -> None:
    lost = frame(rates_of(overview()), screen(news="no connection for 3s", round_trip_s=0.001), 80, 24)[0]
    assert "NO CONNECTION FOR 3S" in lost.text
    assert "answered" not in lost.text
    assert (lost.kind, cells(lost.text)) == ("bad", 80)
    paused = frame(rates_of(overview()), screen(is_paused=True), 80, 24)
    assert paused[0].text.endswith("PAUSED" + " " * (80 - len(paused[0].text.split("PAUSED")[0]) - 14) + "14:03:07")
    assert "p go on" in paused[-1].text


def test_who_is_online_may_be_ordered() -> None:
    def names(order: str) -> list[str]:
        lines = frame(rates_of(BUSY), screen(order=order), 80, 40)
        return [
            line.text.split()[0] for line in lines if line.text.startswith(("ann ", "ben ")) and "#" not in line.text
        ]

    assert {order: names(order) for order in ORDERS} == {
        "in hand": ["ben", "ann"], "name": ["ann", "ben"], "status": ["ann", "ben"], "silence": ["ann", "ben"]
    }  # fmt: skip


def test_how_the_messages_went_is_drawn_where_there_is_a_screen() -> None:
    looks = [overview(uptime_s=float(n), counters=COUNTERS | {"messages": n * n}) for n in range(5)]
    assert "messages ▂▄▆█ most 7.0" in text(frame(rates_of(*looks), screen(), 80, 24))
    assert "▂" not in text(frame(rates_of(*looks), screen(), None, None))


def test_what_others_wrote_is_escaped_and_pushes_nothing_out_of_sight() -> None:
    hostile = overview(
        version="\x1b[2J",
        sessions=1, inboxes=1, stuck_count=1,
        stuck=[StuckTask(message=1, state="working", since_at=NOW, to="cap:x", title="\x1b[2J\u202e\r\n", holder=LONG)],
        oldest=[OldestUnacked(agent=LONG, message=12, since_at=NOW, stage="queued", count=1)],
        online=[AgentAtWork(agent="c", status="online", last_seen_at=NOW, label="\x1b]0;x\x07")],
    )  # fmt: skip
    for sizes in ((80, 24), (None, None)):
        lines = frame(rates_of(hostile), screen(), *sizes)
        shown = "".join(line.text for line in lines)
        assert not {"\x1b", "\x07", "\u202e", "\r", "\n"} & set(shown)
    assert "#12" in text(frame(rates_of(hostile), screen(), 80, 24))
