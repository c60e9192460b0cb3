"""Arrivals: whoever waits for an inbox is called when something comes into it, once, after the commit."""

from collections.abc import Callable
from functools import partial

from relay_proto.frames import Bye, Claim, Nack, Register, Release, Send, Submit, Update
from relay_server.arrivals import Arrivals
from tests.relay.desk import Desk


class Calls:
    """Waits for agents' inboxes; `named` has who was called for, in order."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.named: list[str] = []

    def wait(self, *agents: str) -> list[Callable[[], None]]:
        return [self.desk.broker.arrivals.wait(agent, partial(self.named.append, agent)) for agent in agents]

    def heard(self) -> list[str]:
        named = self.named.copy()
        self.named.clear()
        return named


def test_a_waiter_is_called_once_and_only_for_its_agent() -> None:
    arrivals = Arrivals()
    called: list[int] = []
    arrivals.wait("ada", lambda: called.append(1))
    arrivals.wait("ada", lambda: called.append(2))
    arrivals.came(["bob"])
    assert called == []
    arrivals.came(["bob", "ada"])
    assert sorted(called) == [1, 2]
    arrivals.came(["ada"])
    assert sorted(called) == [1, 2]
    assert arrivals.waiting == {}


def test_a_waiter_may_wait_again_when_it_is_called() -> None:
    arrivals = Arrivals()
    called: list[int] = []

    def again() -> None:
        called.append(len(called))
        arrivals.wait("ada", again)

    arrivals.wait("ada", again)
    arrivals.came(["ada"])
    arrivals.came(["ada"])
    assert called == [0, 1]


def test_who_takes_it_back_is_not_called_and_nothing_is_left() -> None:
    arrivals = Arrivals()
    called: list[int] = []
    forget = arrivals.wait("ada", lambda: called.append(1))
    other = arrivals.wait("ada", lambda: called.append(2))
    forget()
    forget()
    arrivals.came(["ada"])
    assert called == [2]
    other()
    assert arrivals.waiting == {}


async def test_a_send_calls_its_recipients_after_the_commit(desk: Desk) -> None:
    ada, _, calls = await desk.agent("ada"), await desk.agent("bob"), Calls(desk)
    calls.wait("ada", "bob", "carl")
    desk.put(ada, Send(id=1, to="bob", body="x"))
    assert calls.heard() == [], "not on disk yet"
    await desk.turn()
    assert calls.heard() == ["bob"]
    calls.wait("bob")
    await desk.say(ada, Send(id=2, to="broadcast", body="x"), Send(id=3, to="carl", body="x", hold=True))
    assert calls.heard() == ["bob", "carl"]


async def test_a_repeated_send_and_a_refused_one_call_nobody(desk: Desk) -> None:
    ada, _, calls = await desk.agent("ada"), await desk.agent("bob"), Calls(desk)
    await desk.say(ada, Send(id=1, to="bob", body="x", key="k"))
    calls.wait("bob", "nobody")
    await desk.say(ada, Send(id=2, to="bob", body="x", key="k"), Send(id=3, to="nobody", body="x"))
    assert calls.heard() == []


async def test_what_is_due_later_calls_when_it_is_due(desk: Desk) -> None:
    ada, bob, calls = await desk.agent("ada"), await desk.agent("bob"), Calls(desk)
    calls.wait("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", delay_s=10))
    assert calls.heard() == []
    await desk.pass_time(11)
    assert calls.heard() == ["bob"]
    calls.wait("bob")
    await desk.say(bob, Nack(id=2, message=1, reason="not now", delay_s=5))
    assert calls.heard() == []
    await desk.pass_time(6)
    assert calls.heard() == ["bob"]


async def test_work_that_is_there_again_calls_its_candidates(desk: Desk) -> None:
    ada, bob, calls = await desk.agent("ada"), await desk.agent("bob", caps=["review"]), Calls(desk)
    await desk.agent("carl", caps=["review"])
    await desk.say(ada, Submit(id=1, to="cap:review", title="look", body="x"))
    await desk.say(bob, Claim(id=2, message=1))
    calls.wait("ada", "bob", "carl")
    await desk.say(bob, Release(id=3, message=1, fence=1))
    assert sorted(calls.heard()) == ["bob", "carl"]
    await desk.say(bob, Claim(id=4, message=1))
    calls.wait("carl")
    await desk.say(bob, Bye())
    assert calls.heard() == ["carl"]


async def test_work_for_any_one_calls_who_it_is_passed_on_to(desk: Desk) -> None:
    ada, calls = await desk.agent("ada"), Calls(desk)
    await desk.agent("bob", caps=["review"])
    await desk.agent("carl", caps=["review"])
    calls.wait("bob", "carl")
    await desk.say(ada, Send(id=1, to="any:cap:review", body="x", claimable=True, offer_s=10))
    (first,) = calls.heard()
    await desk.pass_time(11)
    assert calls.heard() == ["carl" if first == "bob" else "bob"]


async def test_who_can_do_waiting_work_is_called_when_it_says_so(desk: Desk) -> None:
    ada, calls = await desk.agent("ada"), Calls(desk)
    await desk.say(ada, Submit(id=1, to="cap:review", title="look", body="x"))
    calls.wait("bob", "carl")
    bob = desk.connect()
    await desk.say(bob, Register(id=0, agent="bob"))
    assert calls.heard() == []
    await desk.say(bob, Update(id=1, caps=["review"]))
    assert calls.heard() == ["bob"]
    await desk.agent("carl", caps=["review"])
    assert calls.heard() == ["carl"]
