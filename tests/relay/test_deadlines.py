"""deadlines.py: one heap for everything that must happen at a time."""

from relay_server.deadlines import Deadlines


def test_entries_run_in_order_of_time_then_of_arrival() -> None:
    ran: list[str] = []
    deadlines = Deadlines()
    for when, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        deadlines.add(when, lambda argument, now: ran.append(argument), name)
    assert deadlines.next_deadline() == 1.0
    deadlines.run(2.0)
    assert ran == ["first", "second", "late"]
    assert deadlines.next_deadline() is None


def test_an_entry_is_not_run_before_its_time() -> None:
    deadlines = Deadlines()
    deadlines.add(5.0, lambda argument, now: 1 / 0, None)
    deadlines.run(4.999)
    assert len(deadlines) == 1


def test_an_entry_that_is_early_goes_back_to_sleep_until_the_time_it_names() -> None:
    asked: list[float] = []

    def not_yet(argument: float, now: float) -> float | None:
        asked.append(now)
        return argument if now < argument else None

    deadlines = Deadlines()
    deadlines.add(1.0, not_yet, 3.0)
    deadlines.run(1.0)
    assert deadlines.next_deadline() == 3.0
    deadlines.run(3.0)
    assert asked == [1.0, 3.0]
    assert len(deadlines) == 0


def test_an_entry_that_wants_to_run_again_at_once_waits_for_the_next_run() -> None:
    deadlines = Deadlines()
    deadlines.add(1.0, lambda argument, now: now, None)
    deadlines.run(1.0)
    assert deadlines.next_deadline() == 1.0
