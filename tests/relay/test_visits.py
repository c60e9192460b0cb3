"""Whose claim it is: visits that work beside a session, another instance that takes a claim along, late words."""

from relay_proto.frames import (
    Check,
    Claim,
    ClaimNext,
    Complete,
    Fail,
    Register,
    Release,
    Renew,
    Resolve,
    Submit,
    Subscribe,
    Tasks,
)
from relay_server.session import Session
from tests.relay.desk import Desk, kinds


async def visit(desk: Desk, name: str, instance: str) -> Session:
    session = desk.connect()
    (ok,) = await desk.say(session, Register(id=0, agent=name, instance=instance, visit=True))
    assert ok["op"] == "ok"
    return session


async def test_two_shells_of_one_name_are_two_claimers(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Submit(id=1, to="bob", title="once", hold=True))
    one, other = await visit(desk, "bob", "shell-1"), await visit(desk, "bob", "shell-2")
    assert kinds(await desk.say(one, Claim(id=1, message=1))) == ["ok"]
    (refused,) = await desk.say(other, Claim(id=1, message=1))
    assert (refused["code"], refused["detail"]["holder"]) == ("claimed", "bob")
    again = await visit(desk, "bob", "shell-1")  # its first answer was lost
    (ok,) = await desk.say(again, Claim(id=1, message=1))
    assert ok["fence"] == 1
    assert kinds(await desk.say(again, Complete(id=2, message=1, fence=1))) == ["ok"]


async def test_a_session_that_asks_again_is_not_given_what_a_shell_of_its_name_holds(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"], instance="side")
    await desk.say(ada, Submit(id=1, to="cap:x", title="shell"), Submit(id=2, to="cap:x", title="session"))
    shell = await visit(desk, "bob", "shell-1")
    await desk.say(shell, Claim(id=1, message=1))
    await desk.say(bob, ClaimNext(id=1))  # claims 2; say the answer was lost
    (ok,) = await desk.say(bob, ClaimNext(id=1, held=[]))
    assert [item["message"] for item in ok["items"]] == [2]


async def test_visits_of_a_name_that_never_registered_renew_nothing_but_by_a_word_about_the_claim(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Submit(id=1, to="bob", title="once", hold=True))
    await desk.say(await visit(desk, "bob", "shell-1"), Claim(id=1, message=1, lease_s=10))
    await desk.pass_time(8)
    await desk.say(await visit(desk, "bob", "shell-2"), Tasks(id=1))
    (ok,) = await desk.say(ada, Check(id=2, message=1, fence=1))
    assert ok["lease_s"] == 2
    await desk.pass_time(3)
    assert kinds(await desk.say(ada, Check(id=3, message=1, fence=1)))[-1] == "error finished"


async def test_the_live_session_of_the_agent_keeps_what_its_shell_claimed(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="long"))
    await desk.say(await visit(desk, "bob", "shell-1"), Claim(id=1, message=1, lease_s=10))
    for _ in range(5):
        await desk.pass_time(8)
        await desk.say(bob, Tasks(id=1))
    assert kinds(await desk.say(ada, Check(id=2, message=1, fence=1)))[-1] == "ok"


async def test_a_visit_hears_what_becomes_of_the_task_that_it_submitted(desk: Desk) -> None:
    bob = await desk.agent("bob", caps=["x"])
    shell = await visit(desk, "ops", "shell-1")
    await desk.say(shell, Subscribe(id=1, events=["task"]), Submit(id=2, to="cap:x", title="job"))
    await desk.say(bob, Claim(id=1, message=1), Complete(id=2, message=1, fence=1, result="fine"))
    assert kinds(desk.heard(shell)) == ["task.claimed 1 bob", "task.done 1 bob"]


async def test_a_claim_that_was_taken_along_is_the_new_instances(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.agent("bob", caps=["x"], instance="first")
    await desk.say(ada, Submit(id=1, to="cap:x", title="long"))
    first = await desk.agent("bob", caps=["x"], instance="first")
    await desk.say(first, Claim(id=1, message=1))
    second = await desk.agent("bob", caps=["x"], instance="second")
    await desk.say(second, Renew(id=1, message=1, fence=1))
    assert kinds(await desk.say(second, Claim(id=2, message=1))) == ["ok"]
    third = await desk.agent("bob", caps=["x"], instance="first")
    assert kinds(await desk.say(third, Claim(id=3, message=1)))[-1] == "error claimed"


async def test_a_completion_that_comes_after_it_was_resolved_is_refused(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="alarm", dedupe_key="k"))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.say(ada, Resolve(id=2, dedupe_key="k", result="theirs"))
    desk.heard(bob)
    assert kinds(await desk.say(bob, Complete(id=2, message=1, fence=1, result="mine"))) == ["error not_holder"]


async def test_a_word_that_comes_after_its_lease_is_no_repeat_of_one_that_was_said(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["x"])
    await desk.say(ada, Submit(id=1, to="cap:x", title="slow"))
    await desk.say(bob, Claim(id=1, message=1, lease_s=1))
    await desk.pass_time(2)
    desk.heard(bob)
    assert kinds(await desk.say(bob, Fail(id=2, message=1, fence=1, reason="disk full"))) == ["error not_holder"]
    assert kinds(await desk.say(bob, Release(id=3, message=1, fence=1))) == ["error not_holder"]
    await desk.say(bob, Claim(id=4, message=1))
    for number in (5, 6):  # said again, because the answer was lost
        assert kinds(await desk.say(bob, Release(id=number, message=1, fence=2)))[0] == "ok"
    assert kinds(await desk.say(bob, Fail(id=7, message=1, fence=2)))[-1] == "error not_holder"
