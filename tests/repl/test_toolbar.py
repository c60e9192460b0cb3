"""toolbar: what matters stays, whatever the width."""

import random

import pytest
from prompt_toolkit.formatted_text.utils import fragment_list_to_text

from relay_client.cli.render import cells
from relay_client.pairs import Pair
from relay_client.repl.desk import Desk
from relay_client.repl.toolbar import fitted, parts, trip
from relay_proto import frames, limits
from tests.repl.standing import NOW_MS, StandIn, desk_of


def line(desk: Desk, width: int = 80, place: str = "localhost:4850") -> str:
    return fragment_list_to_text(fitted(parts(desk, place), width))


def busy() -> Desk:
    """A desk with something in each part."""
    agent = StandIn()
    desk = desk_of(agent, [])
    for number in range(3):
        desk.unread[number] = agent.message_of(number + 1)
    desk.fences, desk.owed_count, desk.peer = {1: 1}, 2, "builder"
    desk.settings.watch = {"tasks", "receipts"}
    return desk


def test_it_says_who_where_and_how_it_stands() -> None:
    assert line(desk_of(StandIn(), [])) == " me@localhost:4850  ● 0.4 ms  0 unread"


def test_a_name_with_a_host_in_it_is_set_apart_from_the_relay() -> None:
    desk = desk_of(StandIn(), [])
    desk.agent.name = "root@box"  # type: ignore[misc]
    assert line(desk).startswith(" root@box at localhost:4850  ●")


def test_everything_that_waits_is_counted_and_the_peer_is_named() -> None:
    assert line(busy(), 200) == (
        " me@localhost:4850  ● 0.4 ms  3 unread  1 claimed  2 owed  → builder  watching receipts, tasks"
    )


def test_on_80_columns_what_matters_least_is_left_out() -> None:
    assert line(busy(), 80) == " me@localhost:4850  ● 0.4 ms  3 unread  1 claimed  2 owed  → builder"
    assert line(busy(), 60) == " me  ●  3 unread  1 claimed  2 owed  → builder"
    assert line(busy(), 40) == " me  ●  3 unread  1 claimed  → builder"
    assert line(busy(), 12) == " me  ●"


def test_a_pair_is_named_before_whom_text_went_to() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    record = frames.Pair(pair=4, thread=4, sender="me", to="ben", state="active", opened_at=NOW_MS, changed_at=NOW_MS)
    desk.pair = Pair(agent, record)  # type: ignore[arg-type]  # a stand-in
    assert line(desk).endswith("→ ben")


def test_a_lost_connection_is_the_last_to_be_left_out() -> None:
    desk = busy()
    desk.agent.connected = False  # type: ignore[misc]
    assert "○ connecting again" in line(desk, 80)
    assert line(desk, 30) == " me  ○ connecting again"


def test_with_the_credit_used_up_there_may_be_more() -> None:
    agent = StandIn()
    desk = desk_of(agent, [])
    desk.unread = {number: agent.message_of(number + 1) for number in range(limits.CREDIT_MAX)}
    assert "1,024+ unread" in line(desk)


@pytest.mark.parametrize("width", [10, 12, 20, 30, 40, 60, 79, 80, 200])
def test_it_never_takes_a_second_line(width: int) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    desk = busy()
    desk.agent.name = dice.choice(("a", "x" * 128, "root@some-long-host.example.org"))  # type: ignore[misc]
    desk.peer = dice.choice(("label:世界世界世界", "y" * 100, "bob\x1b[2J"))
    assert cells(line(desk, width, "relay.example.org:4850")) <= width, f"seed {seed}"


def test_round_trips_are_short() -> None:
    assert [trip(seconds) for seconds in (0.0004, 0.0099, 0.012, 0.9994, 2.14)] == [
        "0.4 ms", "9.9 ms", "12 ms", "999 ms", "2.1 s",
    ]  # fmt: skip
