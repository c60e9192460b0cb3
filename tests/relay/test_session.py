"""session.py: the credit window."""

from relay_server.grants import ANYONE
from relay_server.session import Session, is_ranked


def ready(credit: int) -> Session:
    session = Session("s-1", None, ANYONE)
    session.agent, session.credit, session.lagging = "ada", credit, False
    return session


def test_a_new_session_takes_nothing_from_memory_before_its_inbox_was_read() -> None:
    assert not Session("s-1", None, ANYONE).can_take()


def test_deliveries_are_taken_up_to_the_credit_and_then_the_session_lags() -> None:
    session = ready(credit=2)
    for message in (1, 2):
        assert session.can_take()
        session.push(message, b"frame")
    assert not session.can_take()
    session.unacked.clear()
    assert not session.can_take(), "order: what was not pushed comes first, from the store"
    assert session.wants_refill()


def test_a_session_that_does_not_read_takes_nothing() -> None:
    session = ready(credit=2)
    session.writable = False
    assert not session.can_take()
    assert not session.wants_refill()


def test_a_refill_is_asked_for_once_and_only_with_credit() -> None:
    session = ready(credit=1)
    session.lagging = True
    assert session.wants_refill()
    session.refilling = True
    assert not session.wants_refill()
    session.refilling = False
    session.unacked.add(1)
    assert not session.wants_refill()


def test_pushed_to_never_goes_back() -> None:
    session = ready(credit=5)
    session.push(9, b"frame")
    session.push(4, b"frame")
    assert session.pushed_to == 9
    assert session.unacked == {4, 9}


def test_only_another_priority_than_the_default_is_a_rank() -> None:
    assert [is_ranked(priority) for priority in (None, 3, 4, 5)] == [False, True, False, True]


def test_what_came_by_its_priority_says_nothing_about_the_order_of_the_others() -> None:
    session = ready(credit=5)
    session.push(9, b"frame", ranked=True)
    assert (session.pushed_to, session.unacked) == (0, {9})
    session.push(4, b"frame")
    assert session.pushed_to == 4


def test_a_visit_is_never_refilled() -> None:
    session = Session("s-1", None, ANYONE)
    session.visiting = True
    assert not session.wants_refill()
