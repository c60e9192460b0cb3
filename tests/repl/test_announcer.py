"""announcer: at most ten prints in any second, and no message is lost count of."""

import random

import pytest

from relay_client.repl.announcer import FEW, PRINTS_PER_S, WINDOW_S, Announcer

Sent = tuple[str, int]


def announcer() -> Announcer[Sent | str]:
    return Announcer(lambda item: None if isinstance(item, str) else item[0])


def test_what_comes_alone_is_printed_at_once() -> None:
    one = announcer()
    assert one.due_at() is None
    one.came(("bob", 1), 100.0)
    assert one.due_at() == float("-inf")
    assert one.take(100.0) == ([("bob", 1)], None)
    assert one.due_at() is None


def test_a_burst_shows_its_beginning_and_then_one_line_for_its_tail() -> None:
    one = announcer()
    for number in range(46):
        one.came(("bob" if number % 5 else "ci", number), 100.0)
    items, left = one.take(100.0)
    assert items == [("bob" if number % 5 else "ci", number) for number in range(PRINTS_PER_S - 1)]
    assert left is None
    due = one.due_at()
    assert due == 100.0 + WINDOW_S
    items, left = one.take(due)
    assert items == []
    assert str(left) == "+37 more, type inbox (bob 29, ci 8)"
    assert one.due_at() is None


def test_a_tail_of_a_few_is_printed_as_it_is() -> None:
    one = announcer()
    for number in range(PRINTS_PER_S - 1 + FEW):
        one.came(("bob", number), 100.0)
    one.take(100.0)
    assert one.take(101.0) == ([("bob", number) for number in range(PRINTS_PER_S - 1, PRINTS_PER_S - 1 + FEW)], None)


def test_nothing_overtakes_what_is_held() -> None:
    one = announcer()
    for number in range(20):
        one.came(("bob", number), 100.0)
    one.take(100.0)
    one.came(("ann", 20), 100.9)
    assert one.take(100.9) == ([], None)
    _, left = one.take(101.0)
    assert str(left) == "+12 more, type inbox (bob 11, ann 1)"


def test_news_are_counted_apart_and_many_senders_are_summed_up() -> None:
    one = announcer()
    for number in range(PRINTS_PER_S - 1):
        one.came(("bob", number), 100.0)
    one.take(100.0)
    for sender in ("a", "a", "b", "b", "c", "c", "d", "e"):
        one.came((sender, 0), 100.0)
    one.came("it rains", 100.0)
    _, left = one.take(101.0)
    assert str(left) == "+8 more, type inbox (a 2, b 2, c 2, 2 others); +1 more news"


def test_thousands_are_readable() -> None:
    one = announcer()
    for number in range(5009):
        one.came(("bob", number), 100.0)
    one.take(100.0)
    assert str(one.take(101.0)[1]) == "+5,000 more, type inbox (bob 5,000)"


def test_what_was_seen_elsewhere_is_not_announced() -> None:
    one = announcer()
    for number in range(30):
        one.came(("bob", number), 100.0)
    one.forget(lambda item: item[1] in (0, *range(12, 30)))
    items, _ = one.take(100.0)
    assert ("bob", 0) not in items
    assert one.take(101.0) == ([("bob", 9), ("bob", 10), ("bob", 11)], None)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_no_second_has_more_prints_than_it_may_and_every_message_is_counted(seed: int) -> None:
    dice = random.Random(seed)
    one, now, sent = announcer(), 1000.0, 0
    prints: list[float] = []
    shown = 0

    def take() -> None:
        nonlocal shown
        items, left = one.take(now)
        prints.extend([now] * (len(items) + (left is not None)))
        shown += len(items) + (left.messages if left is not None else 0)

    for _ in range(400):
        now += dice.choice((0.0, 0.0, 0.01, 0.1, 0.3, 1.5))
        if (due := one.due_at()) is not None and due <= now:
            take()
        for _ in range(dice.choice((0, 1, 1, 2, 30))):
            one.came(("bob", sent), now)
            sent += 1
    while (due := one.due_at()) is not None:
        now = max(now, due)
        take()
    assert shown == sent, f"seed {seed}"
    for start in prints:
        within = [at for at in prints if start <= at < start + WINDOW_S]
        assert len(within) <= PRINTS_PER_S, f"seed {seed}: {len(within)} prints in the second from {start}"
