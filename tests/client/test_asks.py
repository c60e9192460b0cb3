from typing import Any

import pytest

from relay_client import asks as module
from relay_client.asks import Ask, Asks, is_reply
from relay_client.errors import ReplyOverdue, ReplyRefused
from relay_proto.errors import Deadlock, RelayError
from relay_proto.frames import Event, Ok
from tests.client.scripted import deliver
from tests.client.test_conversation import Caller

AT = 1_700_000_000_000


def event(kind: str, message: int = 41, agent: str | None = "bob", **fields: Any) -> Event:
    return Event(event=f"reply.{kind}", at=AT, message=message, agent=agent, **fields)


def asked(asks: Asks[Caller], to: str = "bob", *, id: int = 1, message: int = 41, recipients: int = 1) -> Ask[Caller]:
    """An ask that the relay has accepted."""
    ask = asks.begin(id, to, 60, Caller())
    asks.sent(id)
    asks.accepted(id, Ok(re=id, message=message, recipients=recipients))
    return ask


def outcome(asks: Asks[Caller]) -> Any:
    """What the one ask that is settled ended with."""
    asks.judge()
    [(_, ended)] = asks.take_settled()
    return ended


def error(asks: Asks[Caller], kind: type[RelayError]) -> Any:
    ended = outcome(asks)
    assert isinstance(ended, kind)
    return ended


def still_waits(asks: Asks[Caller]) -> bool:
    asks.judge()
    return not list(asks.take_settled()) and len(asks) == 1


# -- replies ---------------------------------------------------------------------------------------------------------


def test_a_reply_is_what_names_the_ask_and_is_no_ack() -> None:
    assert is_reply(deliver(1, reply_to=41))
    assert is_reply(deliver(1, reply_to=41, intent="inform"))
    assert not is_reply(deliver(1, reply_to=41, intent="ack"))
    assert not is_reply(deliver(1))


def test_the_first_reply_settles_the_ask_and_the_second_is_nobodys() -> None:
    asks: Asks[Caller] = Asks()
    ask = asked(asks)
    reply = deliver(50, reply_to=41)
    assert not asks.takes(deliver(49, reply_to=40))
    assert not asks.takes(deliver(49, reply_to=41, intent="ack"))
    assert asks.takes(reply)
    assert not asks.takes(deliver(51, reply_to=41))
    assert list(asks.take_settled()) == [(ask.waiter, reply)]
    assert list(asks.take_settled()) == []
    assert len(asks) == 0


def test_a_reply_wins_over_all_that_came_with_it() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks)
    asks.happened(event("overdue"))
    reply = deliver(50, reply_to=41)
    assert asks.takes(reply)
    assert outcome(asks) is reply


def test_a_waiter_who_left_takes_no_reply() -> None:
    asks: Asks[Caller] = Asks()
    ask = asked(asks)
    ask.waiter.left = True
    assert not asks.takes(deliver(50, reply_to=41))


def test_after_it_was_dropped_a_reply_is_nobodys() -> None:
    asks: Asks[Caller] = Asks()
    ask = asked(asks)
    asks.drop(ask)
    asks.drop(ask)
    assert not asks.takes(deliver(50, reply_to=41))
    asks.happened(event("overdue"))
    asks.judge()
    assert list(asks.take_settled()) == []


def test_one_ask_that_two_wait_for_is_answered_to_both() -> None:
    asks: Asks[Caller] = Asks()
    first, second, third = (asked(asks, id=id) for id in (1, 2, 3))
    asks.drop(second)
    reply = deliver(50, reply_to=41)
    assert asks.takes(reply)
    assert list(asks.take_settled()) == [(first.waiter, reply), (third.waiter, reply)]


# -- asks without an id ----------------------------------------------------------------------------------------------


def test_only_what_may_be_at_the_relay_may_be_answered() -> None:
    asks: Asks[Caller] = Asks()
    asks.begin(1, "bob", 60, Caller())
    assert not asks.may_be_answered
    asks.sent(1)
    assert asks.may_be_answered
    asks.accepted(1, Ok(re=1, message=41, recipients=1))
    assert not asks.may_be_answered


def test_a_send_that_is_no_ask_is_not_waited_for() -> None:
    asks: Asks[Caller] = Asks()
    asks.sent(1)
    asks.accepted(1, Ok(re=1, message=41))
    assert not asks.may_be_answered
    assert len(asks) == 0


@pytest.mark.parametrize("end", ["refused", "dropped"])
def test_an_ask_that_ends_without_an_id_may_not_be_answered_any_more(end: str) -> None:
    asks: Asks[Caller] = Asks()
    ask = asks.begin(1, "bob", 60, Caller())
    asks.sent(1)
    if end == "refused":
        asks.refused(1)
    else:
        asks.drop(ask)
    assert not asks.may_be_answered
    assert len(asks) == 0


def test_what_was_told_before_the_ask_had_an_id_counts() -> None:
    asks: Asks[Caller] = Asks()
    asks.begin(1, "bob", 60, Caller())
    asks.sent(1)
    asks.happened(event("refused", stage="dead"))
    asks.happened(event("overdue", message=40))
    asks.accepted(1, Ok(re=1, message=41, recipients=1))
    assert error(asks, ReplyRefused).agent == "bob"


def test_what_is_told_early_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asks: Asks[Caller] = Asks()
    asks.happened(event("overdue"))
    assert len(asks._early) == 0  # no ask could be meant
    asks.begin(1, "bob", 60, Caller())
    asks.sent(1)
    for message in range(module.EARLY_EVENTS_MAX + 5):
        asks.happened(event("overdue", message=message + 100))
    assert len(asks._early) == module.EARLY_EVENTS_MAX
    asks.accepted(1, Ok(re=1, message=41, recipients=1))
    assert len(asks._early) == 0


# -- what ends it ----------------------------------------------------------------------------------------------------


def test_without_a_recipient_it_is_over_at_once() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks, "cap:review", recipients=0)
    refused = error(asks, ReplyRefused)
    assert str(refused) == "nobody is there to answer message 41: cap:review has no recipient"
    assert (refused.ask, refused.agent, refused.detail["refused"]) == (41, None, [])


def test_it_is_over_when_everyone_who_was_asked_has_refused() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks, "cap:review", recipients=2)
    asks.happened(event("refused", stage="nacked", reason="not mine"))
    asks.happened(event("refused", stage="nacked", reason="not mine"))  # the same one again
    assert still_waits(asks)
    asks.happened(event("refused", agent="carol", stage="expired"))
    refused = error(asks, ReplyRefused)
    assert str(refused) == "no reply to message 41 will come: refused by bob (nacked: not mine); carol (expired)"
    assert (refused.ask, refused.agent, refused.stage, refused.reason) == (41, "carol", "expired", None)
    assert [one["agent"] for one in refused.detail["refused"]] == ["bob", "carol"]


def test_a_message_that_is_dead_at_one_may_be_answered_by_the_others() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks, "cap:review", recipients=2)
    asks.happened(event("refused", stage="dead"))
    assert still_waits(asks)


def test_work_that_is_dead_is_so_for_all_who_could_have_done_it() -> None:
    asks: Asks[Caller] = Asks()
    asks.begin(1, "cap:review", 60, Caller(), claimable=True)
    asks.accepted(1, Ok(re=1, message=41, recipients=3))
    asks.happened(event("refused", stage="nacked"))
    assert still_waits(asks)
    asks.happened(event("refused", agent="carol", stage="dead"))
    assert error(asks, ReplyRefused).agent == "carol"


def test_who_is_gone_may_come_back_and_is_remembered() -> None:
    asks: Asks[Caller] = Asks()
    ask = asked(asks)
    asks.happened(event("gone", status="stale", stage="pushed"))
    asks.happened(event("gone", status="offline", stage="pushed"))
    assert still_waits(asks)
    assert str(ask.overdue_error()) == (
        "no reply from bob to message 41 within 60 s: it was pushed and not surfaced; bob is offline"
    )


def test_a_ring_is_a_deadlock() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks)
    asks.happened(event("overdue"))
    asks.happened(event("deadlock", agent=None, ring=["alice", "bob"]))
    deadlock = error(asks, Deadlock)
    assert str(deadlock) == "message 41 is not waited for any more: alice and bob wait in a ring"
    assert deadlock.detail == {"ring": ["alice", "bob"], "message": 41}


def test_a_ring_is_told_in_the_words_of_the_relay() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks)
    asks.happened(event("deadlock", agent=None, ring=["alice", "bob"], reason="a ring"))
    assert str(error(asks, Deadlock)) == "a ring"


# -- the words at the deadline ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stage": "queued", "status": "offline", "status_at": AT - 90_000},
         "it was never pushed; bob is offline, last heard of 90 s ago"),
        ({"stage": "pushed", "status": "busy"}, "it was pushed and not surfaced; bob is busy"),
        ({"stage": "surfaced", "stage_at": AT - 600_000}, "it was surfaced 10 min ago and not answered"),
        ({"stage": "done", "stage_at": AT - 7_200_000}, "it was dealt with 2 h ago and not answered"),
        ({"stage": "dead"}, "it was given up as dead"),
        ({"status": "stale", "status_at": AT - 1}, "bob is stale, last heard of less than 1 s ago"),
        ({"status": "stale", "status_at": AT + 1}, "bob is stale"),
        ({"status": "offline", "status_at": AT - 3 * 86_400_000}, "bob is offline, last heard of 3 d ago"),
    ],
)  # fmt: skip
def test_what_is_overdue_is_told_in_a_sentence(fields: dict[str, Any], says: str) -> None:
    asks: Asks[Caller] = Asks()
    asked(asks)
    asks.happened(event("overdue", reply_by_at=AT, **fields))
    overdue = error(asks, ReplyOverdue)
    assert str(overdue) == f"no reply from bob to message 41 within 60 s: {says}"
    assert (overdue.ask, overdue.agent) == (41, "bob")
    assert {name: getattr(overdue, name) for name in fields} == fields
    assert overdue.detail["owing"] == [{"agent": "bob", "reply_by_at": AT, **fields}]


def test_all_who_owe_are_told_and_so_are_those_who_refused() -> None:
    asks: Asks[Caller] = Asks()
    asked(asks, "cap:review", recipients=3)
    asks.happened(event("overdue", stage="pushed", status="offline", status_at=AT - 9000))
    asks.happened(event("overdue", agent="carol", status="busy"))
    asks.happened(event("refused", agent="dave", stage="nacked", reason="not mine"))
    overdue = error(asks, ReplyOverdue)
    assert str(overdue) == (
        "no reply from cap:review to message 41 within 60 s: bob (pushed and not surfaced, offline, last heard of 9 s "
        "ago); carol (busy); dave refused it (nacked: not mine)"
    )
    assert [one["agent"] for one in overdue.detail["owing"]] == ["bob", "carol"]


def test_what_nothing_is_known_of_is_told_so() -> None:
    asks: Asks[Caller] = Asks()
    ask = asks.begin(1, "bob", 1.5, Caller())
    assert "within 1.5 s: the relay did not confirm the ask" in str(ask.overdue_error())
    assert ask.overdue_error().ask is None
    asks.accepted(1, Ok(re=1, message=41, recipients=1))
    assert str(ask.overdue_error()) == "no reply from bob to message 41 within 1.5 s; the relay tells nothing more"
    assert (ask.overdue_error().ask, ask.overdue_error().agent) == (41, None)


def test_the_end_names_who_waits() -> None:
    asks: Asks[Caller] = Asks()
    first, second = asked(asks), asks.begin(2, "bob", 60, Caller())
    assert asks.end() == [first.waiter, second.waiter]
    assert (len(asks), asks.may_be_answered) == (0, False)
