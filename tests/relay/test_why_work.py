"""why_work.py: what a piece of work waits for."""

from pathlib import Path

from relay_proto.frames import (
    Ack,
    Bye,
    Cancel,
    Claim,
    Complete,
    Fail,
    Nack,
    Park,
    Progress,
    Register,
    Release,
    Renew,
    Send,
    Submit,
)
from relay_server.quota import Limits
from tests.relay.asking_why import START, after, opened, why
from tests.relay.desk import Desk


async def test_held_says_who_under_which_fence_and_what_renews_the_lease(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"], status="busy")
    await desk.agent("cyd", caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    desk.now = 10
    await desk.say(bob, Claim(id=1, message=1))
    desk.now = 30
    told = await why(desk, message=1)
    assert told.sentences == [
        f"ada sent it to cap:review at {START} (30 s ago).",
        "bob holds it as work (fence 1, attempt 1 of 3), claimed or renewed at 2023-11-14 22:13:30 UTC (20 s ago).",
        "bob is busy, last heard of 20 s ago.",
        "The lease has 40 s left, and whatever bob says renews it; when it ends the work is offered again.",
        "It was withdrawn from cyd at 2023-11-14 22:13:30 UTC (20 s ago): claimed by bob.",
        "To go on: bob must complete, fail or release message 1.",
    ]
    assert (told.since_at, told.waits_for) == (after(10), ["bob"])
    assert told.facts["work"] == {
        "state": "claimed", "holder": "bob", "fence": 1, "attempts": 1, "attempts_max": 3, "changed_at": after(10),
        "lease_left_s": 40,
    }  # fmt: skip
    await desk.say(bob, Renew(id=2, message=1, fence=1))
    assert "claimed or renewed at 2023-11-14 22:13:50 UTC (just now)" in (await why(desk, message=1)).sentences[1]


async def test_held_by_one_that_is_gone_for_the_last_attempt(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    for fence in (1, 2):
        await desk.say(bob, Claim(id=1, message=1))
        await desk.say(bob, Fail(id=2, message=1, fence=fence, reason="no"))
        await desk.pass_time(5)
    await desk.say(bob, Claim(id=3, message=1))
    desk.broker.lost(bob)
    await desk.turn()
    told = await why(desk, message=1)
    assert told.sentences[3] == (
        "The lease has 1 min left, and nothing renews it until bob is back; when it ends the work is given up, "
        "this being its last attempt."
    )
    assert told.sentences[-1] == "To go on: bob must come back and complete, fail or release message 1."
    await desk.pass_time(61)
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        "It was given up (buried) at 2023-11-14 22:14:30 UTC (1 s ago) after 3 attempts, the last one by bob: its "
        "holders fell silent. Nobody is offered it again until it is kicked: one more attempt."
    )
    assert told.sentences[-1] == "It waits for nothing any more."


async def test_held_by_an_instance_that_another_one_replaced(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.agent("bob", caps=["review"])
    told = await why(desk, message=1)
    assert "another instance of bob is there now, which renews it by name only" in told.sentences[3]


async def test_ready_for_whoever_claims_it_first(desk: Desk) -> None:
    ada = await desk.agent("ada")
    bob = await desk.agent("bob", caps=["review"])
    await desk.agent("cyd", caps=["review"])
    await desk.say(bob, Bye())
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    told = await why(desk, message=1)
    assert told.sentences[1] == "It is work that can be claimed, and nobody holds it (attempts used: 0 of 3)."
    assert told.sentences[2].endswith("not pushed, since bob is not connected.")
    assert told.sentences[-1] == "To go on: bob must come back; cyd must claim message 1."
    assert told.waits_for == ["bob", "cyd"]


async def test_ready_and_given_to_several_of_whom_one_is_enough(desk: Desk) -> None:
    ada = await desk.agent("ada")
    for name in ("bob", "cyd"):
        await desk.agent(name, caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    assert (await why(desk, message=1)).sentences[-1] == "To go on: bob or cyd must claim message 1."


async def test_ready_and_nobody_can_do_it(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="any:cap:review", body="x", claimable=True))
    told = await why(desk, message=1)
    assert told.sentences[2:] == [
        "No agent with cap review is registered; the first one that comes is offered it.",
        "To go on: an agent with cap review must come.",
    ]
    assert (told.since_at, told.waits_for) == (after(0), [])


async def test_ready_and_declined_by_all_who_can(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", tags=["red"])
    await desk.say(ada, Send(id=1, to="tag:red", body="x", claimable=True))
    await desk.say(bob, Nack(message=1, retry=False, reason="no time"))
    told = await why(desk, message=1)
    assert told.sentences[2:] == [
        "No other agent with tag red is registered; the first one that comes is offered it.",
        f"bob refused it at {START} (just now): no time.",
        "To go on: an agent with tag red must come.",
    ]


async def test_ready_for_one_agent_that_declined_it(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", claimable=True))
    await desk.say(bob, Nack(message=1, retry=False, reason="no"))
    told = await why(desk, message=1)
    assert told.sentences[2] == (
        "Nobody has it to claim, and who comes later is not offered it: ada must send it again."
    )
    assert told.waits_for == ["ada"]


async def test_acked_without_a_claim_it_comes_again(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", claimable=True))
    await desk.say(bob, Ack(messages=[1]))
    told = await why(desk, message=1)
    assert told.sentences[2].endswith(
        "not pushed before 2023-11-14 22:14:20 UTC (in 1 min): bob acked it and did not claim it."
    )


async def test_failed_and_waiting_for_its_next_attempt(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", claimable=True))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.say(bob, Fail(id=2, message=1, fence=1, reason="no disk"))
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        "Attempt 1 of 3 failed: no disk. It is offered again at 2023-11-14 22:13:21 UTC (in 1 s)."
    )
    assert told.waits_for == []


async def test_put_off_by_its_sender(desk: Desk) -> None:
    ada = await desk.agent("ada")
    await desk.say(ada, Send(id=1, to="ada", body="x", claimable=True, delay_s=60))
    told = await why(desk, message=1)
    assert told.sentences[1] == (
        "It is work that its sender put off: it is offered at 2023-11-14 22:14:20 UTC (in 1 min)."
    )


async def test_done_failed_for_good_and_over(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, *(Send(id=i, to="bob", body="x", claimable=True) for i in (1, 2)))
    await desk.say(ada, Send(id=3, to="bob", body="x", claimable=True, ttl_s=5))
    await desk.say(bob, Claim(id=1, message=1), Claim(id=2, message=2))
    await desk.say(bob, Complete(id=3, message=1, fence=1))
    await desk.say(bob, Fail(id=4, message=2, fence=1, reason="can't be done", retry=False))
    await desk.pass_time(6)
    said = {message: (await why(desk, message=message)).sentences[1:-1] for message in (1, 2, 3)}
    assert said == {
        1: [f"bob completed it at {START} (6 s ago)."],
        2: [f"bob failed it for good at {START} (6 s ago): can't be done. Nobody is offered it again."],
        3: [
            "Its work was over at 2023-11-14 22:13:25 UTC (1 s ago): nobody claimed it in its time.",
            "It expired in the inbox of bob at 2023-11-14 22:13:25 UTC (1 s ago): not surfaced in its time.",
        ],
    }


async def test_work_that_was_given_back_and_not_taken_in_its_time_was_not_failed_by_anybody(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob")
    await desk.say(ada, Send(id=1, to="bob", body="x", claimable=True, ttl_s=5))
    await desk.say(bob, Claim(id=1, message=1))
    await desk.say(bob, Release(id=2, message=1, fence=1))
    await desk.pass_time(6)
    assert (await why(desk, message=1)).sentences[1:3] == [
        "Its work was over at 2023-11-14 22:13:25 UTC (1 s ago): nobody claimed it in its time.",
        "It expired in the inbox of bob at 2023-11-14 22:13:25 UTC (1 s ago): not surfaced in its time.",
    ]


async def test_ready_and_not_offered_to_one_whose_inbox_was_full(tmp_path: Path) -> None:
    async with opened(tmp_path, Limits(inbox_messages_max=1)) as desk:
        ada, bob, cyd = (
            await desk.agent("ada"),
            await desk.agent("bob", caps=["x"]),
            await desk.agent("cyd", caps=["x"]),
        )
        await desk.say(ada, Send(id=1, to="cyd", body="full"), Send(id=2, to="cap:x", body="x", claimable=True))
        await desk.say(bob, Nack(message=2, retry=False, reason="no"))
        told = await why(desk, message=2)
        assert told.sentences[2] == "Registered and not offered it: cyd; it is offered when they register again."
        assert told.sentences[-1] == "To go on: cyd must register again; an agent with cap x must come."
        await desk.say(cyd, Ack(messages=[1]))
        await desk.agent("cyd", caps=["x"])
        assert (await why(desk, message=2)).sentences[-1] == "To go on: cyd must claim message 2."


async def test_work_that_came_before_its_worker_and_is_held_by_another(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    await desk.say(ada, Send(id=1, to="cap:review", body="x", claimable=True))
    await desk.say(bob, Claim(id=1, message=1))
    cyd = desk.connect()
    await desk.say(cyd, Register(id=1, agent="cyd", caps=["review"]))
    assert (
        f"It was withdrawn from cyd at {START} (just now): somebody else had it."
        in (await why(desk, message=1)).sentences
    )
    await desk.say(bob, Release(id=2, message=1, fence=1))
    assert (await why(desk, message=1)).sentences[-1] == "To go on: bob or cyd must claim message 1."


async def test_parked_says_what_it_needs_and_until_when(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    await desk.say(ada, Submit(id=1, to="cap:review", title="deploy"))
    await desk.say(bob, Claim(id=1, message=1), Progress(id=2, message=1, fence=1, progress=0.5, note="built"))
    assert "It is at work: 50%, 'built'." in (await why(desk, message=1)).sentences
    await desk.say(bob, Park(id=3, message=1, fence=1, needs="human", reason="may I push?", deadline_s=3600))
    desk.now = 60
    told = await why(desk, message=1)
    assert told.sentences[1:3] == [
        f"bob holds it as work (fence 1, attempt 1 of 3) and has parked it since {START} (1 min): it needs a person: "
        "'may I push?'.",
        "Its lease does not run; it runs again when bob resumes, or at 2023-11-14 23:13:20 UTC (in 59 min).",
    ]
    assert told.sentences[-1] == "To go on: a person must give bob what it needs for message 1."
    assert told.facts["work"]["needs"] == "human"


async def test_what_depends_on_other_tasks_names_those_that_are_not_done(desk: Desk) -> None:
    ada, bob = await desk.agent("ada"), await desk.agent("bob", caps=["review"])
    for number in (1, 2):
        await desk.say(ada, Submit(id=number, to="cap:review", title="first"))
    await desk.say(ada, Submit(id=3, to="cap:review", title="then", depends_on=[1, 2]))
    await desk.say(bob, Claim(id=1, message=1), Complete(id=2, message=1, fence=1))
    told = await why(desk, message=3)
    assert "It is offered when task 2 (ready) is done." in told.sentences
    assert told.sentences[-1] == "To go on: whoever has it must get task 2 done."
    assert told.facts["work"]["waiting_for"] == [2]
    await desk.say(ada, Cancel(id=4, message=2, reason="not needed"))
    await desk.pass_time(0)
    told = await why(desk, message=3)
    assert told.sentences[1] == (
        f"It was canceled at {START} (just now): task 2, which it depends on, is canceled. Nobody is offered it again."
    )
