"""tally.py: what is counted of a turn. That the desk's outcomes are these is seen in test_overview.py."""

from typing import Any

from relay_proto.errors import StaleFence
from relay_proto.overview import COUNTERS
from relay_server.store import interface as ask
from relay_server.tally import Tally


def put(recipients: int, *, duplicate: bool = False) -> ask.MessagePut:
    return ask.MessagePut(message=1, thread=1, hops=0, recipients=recipients, online=0, sent_at=1, duplicate=duplicate)


def counted(tally: Tally) -> dict[str, int]:
    return {name: value for name in Tally.__slots__ if (value := getattr(tally, name))}


def claimed(message: int) -> ask.WorkClaimed:
    return ask.WorkClaimed(message=message, fence=1, lease_s=60.0, withdrawn=[])


def turn(*pairs: tuple[Any, Any]) -> dict[str, int]:
    tally = Tally()
    tally.turn([command for command, _ in pairs], [outcome for _, outcome in pairs])
    return counted(tally)


FAIL = ask.FailWork(None, 1, "ann", 1, 1, "no", True)
EXPIRE = ask.ExpireWork(None, None, 1, 1, 1)
RELEASE = ask.ReleaseWork(None, 1, "ann", 1, 1)


def test_inboxes_and_acks_are_counted_by_how_many_they_are() -> None:
    assert turn((None, put(3)), (None, put(2)), (None, ask.Acked(count=4))) == {
        "turns": 1, "commands": 3, "deliveries": 5, "acked": 4
    }  # fmt: skip


def test_a_message_that_was_there_counts_once() -> None:
    assert turn((None, put(3)), (None, put(3, duplicate=True)))["deliveries"] == 3


def test_each_claim_of_a_claim_of_several_counts() -> None:
    several = ask.NextClaimed(claims=[claimed(1), claimed(2)], items=[])
    assert turn((None, claimed(3)), (None, several))["claimed"] == 3


def test_work_ends_in_one_of_several_ways_and_a_release_is_none_of_them() -> None:
    ended, nothing = ask.Returned(ended=[1], offers=[]), ask.Returned(ended=[], offers=[])
    assert turn((None, ask.Completed(message=1, sender="b")))["completed"] == 1
    assert turn((FAIL, ended), (EXPIRE, ended), (RELEASE, ended), (FAIL, nothing), (EXPIRE, nothing)) == {
        "turns": 1, "commands": 5, "failed": 1, "expired": 1
    }  # fmt: skip


def test_what_the_store_refused_is_a_command_and_nothing_else() -> None:
    assert turn((None, StaleFence("no"))) == {"turns": 1, "commands": 1}


def test_it_has_the_names_of_the_wire() -> None:
    assert {*Tally.__slots__, "messages", "refused"} == set(COUNTERS)
