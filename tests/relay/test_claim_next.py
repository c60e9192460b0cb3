"""claim_next: the next pieces of work that an agent may take, claimed with the answer that hands them over."""

from pathlib import Path
from typing import Any

import pytest

from relay_proto.frames import Ack, ClaimNext, Complete, Nack, Park, Register, Release, Send, Subscribe
from relay_server.asking import PAGE_BYTES_MAX
from relay_server.quota import Limits
from relay_server.session import Session
from tests.relay.desk import Desk, kinds
from tests.relay.working import claim, crew, ok, state, submit, task


async def take(desk: Desk, session: Session, **fields: Any) -> list[int]:
    """What it is given."""
    answer = await ok(desk, session, ClaimNext(id=80, **fields))
    return [item["message"] for item in answer["items"]]


async def test_it_hands_over_the_work_with_its_fence_and_lease(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss, title="mend it", body="b" * 10)
    answer = await ok(desk, them.ada, ClaimNext(id=2, lease_s=90))
    (item,) = answer["items"]
    assert answer["lease_s"] == 90.0
    assert (item["message"], item["from"], item["subject"], item["body"]) == (message, "boss", "mend it", "b" * 10)
    assert item["work"] == {"state": "claimed", "fence": 1, "attempts": 1, "holder": "ada", "lease_s": 90.0}
    found = await task(desk, them.boss, message)
    assert (found["state"], found["holder"], found["lease_left_s"]) == ("claimed", "ada", 90)


async def test_when_there_is_nothing_it_says_so(desk: Desk) -> None:
    them = await crew(desk)
    assert await take(desk, them.ada, n=5) == []


async def test_what_is_urgent_comes_first_then_what_is_oldest(desk: Desk) -> None:
    them = await crew(desk)
    plain, patient, urgent, plain_too, critical = [
        await submit(desk, them.boss, to, **fields)
        for to, fields in (
            ("cap:x", {}), ("ada", {"priority": 0}), ("any:cap:x", {"priority": 7}), ("ALL", {}),
            ("ada", {"severity": "critical"}),
        )
    ]  # fmt: skip
    assert await take(desk, them.ada, n=2) == [critical, urgent]
    assert await take(desk, them.ada, n=64) == [plain, plain_too, patient]


async def test_it_gives_no_more_than_was_asked_for_and_all_at_once(desk: Desk) -> None:
    them = await crew(desk)
    made = [await submit(desk, them.boss) for _ in range(10)]
    desk.put(them.ada, ClaimNext(id=1, n=4))
    desk.put(them.bob, ClaimNext(id=1, n=4))
    await desk.turn()
    both = [
        [item["message"] for frame in desk.heard(session) if frame["op"] == "ok" for item in frame["items"]]
        for session in (them.ada, them.bob)
    ]
    assert both == [made[:4], made[4:8]]
    assert await take(desk, them.ada, n=4) == made[8:]


async def test_its_own_work_and_what_it_declined_is_for_others(desk: Desk) -> None:
    them = await crew(desk)
    own, declined, held = [await submit(desk, sender) for sender in (them.ada, them.boss, them.boss)]
    desk.put(them.ada, Nack(message=declined, reason="not mine", retry=False))
    await claim(desk, them.bob, held)
    assert await take(desk, them.ada, n=5) == []
    assert await take(desk, them.bob, n=5) == [own, declined]


@pytest.mark.parametrize(
    "to", ["ada", "cap:x", "any:cap:x", "tag:t", "any:tag:t", "label:L", "channel:red", "broadcast"]
)
async def test_it_is_for_whom_it_was_sent_to(desk: Desk, to: str) -> None:
    boss = await desk.agent("boss")
    ada = await desk.agent("ada", caps=["x"], tags=["t"], label="L", channels=["red"])
    other = await desk.agent("other", caps=["y"], tags=["u"], label="M", channels=["blue"])
    message = await submit(desk, boss, to)
    given = await take(desk, other)
    assert given == ([message] if to == "broadcast" else [])
    assert await take(desk, ada) == [one for one in [message] if one not in given]


async def test_work_of_channels_that_it_does_not_follow_is_not_for_it(desk: Desk) -> None:
    boss = await desk.agent("boss")
    ada = await desk.agent("ada", caps=["x"], channels=["red"])
    everything = await desk.agent("everything", caps=["x"])
    red, blue, none, chosen, direct = [
        await submit(desk, boss, to, channel=channel)
        for to, channel in (
            ("cap:x", "red"), ("cap:x", "blue"), ("cap:x", None), ("any:cap:x", "blue"), ("ada", "blue")
        )
    ]  # fmt: skip
    assert await take(desk, ada, n=9) == [red, none, chosen, direct]
    assert await take(desk, everything, n=9) == [blue]


async def test_it_may_ask_for_some_of_it_alone(desk: Desk) -> None:
    them = await crew(desk)
    direct = await submit(desk, them.boss, "ada")
    typed = await submit(desk, them.boss, type="ci")
    in_channel = await submit(desk, them.boss, channel="builds")
    assert await take(desk, them.ada, n=9, type="deploy") == []
    assert await take(desk, them.ada, n=9, to="bob") == [], "that is not for it"
    assert await take(desk, them.ada, n=9, type="ci", channel="builds") == []
    assert await take(desk, them.ada, n=9, type="ci") == [typed]
    assert await take(desk, them.ada, n=9, channel="builds") == [in_channel]
    assert await take(desk, them.ada, n=9, to="cap:x") == []
    assert await take(desk, them.ada, n=9, to="ada") == [direct]


async def test_an_answer_is_no_larger_than_a_message_and_the_first_is_always_given(desk: Desk) -> None:
    them = await crew(desk)
    made = [await submit(desk, them.boss, body="b" * 200_000) for _ in range(7)]
    first = await take(desk, them.ada, n=64)
    assert first == made[: len(first)]
    assert PAGE_BYTES_MAX - 250_000 < len(first) * 200_000 <= PAGE_BYTES_MAX
    assert await take(desk, them.ada, n=64) == made[len(first) :]


async def test_what_it_was_given_is_not_delivered_besides_and_counts_against_its_credit(desk: Desk) -> None:
    boss, ada = await desk.agent("boss"), await desk.agent("ada", caps=["x"], credit=1)
    blocking = await submit(desk, boss, "ada")
    waiting = [await submit(desk, boss, "ada") for _ in range(3)]
    assert kinds(desk.heard(ada)) == [f"deliver {blocking}"]
    assert await take(desk, ada, n=2) == [blocking, waiting[0]]
    assert ada.unacked == {blocking, waiting[0]}
    assert desk.heard(ada) == []
    assert kinds(await desk.say(ada, Ack(messages=[blocking]))) == [], "the other one fills its window"
    await ok(desk, ada, Complete(id=3, message=waiting[0], fence=1))
    assert kinds(await desk.say(ada, Ack(messages=[waiting[0]]))) == [f"deliver {waiting[1]}"]


async def test_what_it_has_before_it_is_claimed_without_coming_again(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    assert kinds(desk.heard(them.ada)) == kinds(desk.heard(them.bob)) == [f"deliver {message}"]
    assert await take(desk, them.ada) == [message]
    assert desk.heard(them.ada) == []
    assert kinds(desk.heard(them.bob)) == [f"task.claimed {message} ada"]
    assert (them.ada.unacked, them.bob.unacked) == ({message}, set())


async def test_it_takes_over_what_was_offered_to_another_one(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss, "any:cap:x")
    (has_it, other) = (them.ada, them.bob) if them.ada.frames else (them.bob, them.ada)
    assert await take(desk, other) == [message]
    assert kinds(desk.heard(has_it)) == [f"deliver {message}", f"task.claimed {message} {other.agent}"]
    await desk.pass_time(50)
    assert await state(desk, them.boss, message) == "claimed"
    assert desk.heard(has_it) == [], "the offer is over with that"


async def test_who_was_never_offered_it_may_give_it_back(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    late = await desk.agent("late", caps=["x"], credit=1)
    assert await take(desk, late) == [message]
    await ok(desk, late, Release(id=3, message=message, fence=1))
    assert await state(desk, them.boss, message) == "ready"
    assert await take(desk, them.bob) == [message]


async def test_an_answer_that_was_lost_is_given_again_with_held(desk: Desk) -> None:
    them = await crew(desk)
    made = [await submit(desk, them.boss) for _ in range(4)]
    assert await take(desk, them.ada, n=2, lease_s=60) == made[:2]
    await desk.pass_time(10)
    before = await task(desk, them.boss, made[1])
    answer = await ok(desk, them.ada, ClaimNext(id=3, n=2, held=[made[0]], lease_s=60))
    assert [(item["message"], item["work"]["fence"]) for item in answer["items"]] == [(made[1], 1), (made[2], 1)]
    after = await task(desk, them.boss, made[1])
    assert (after["attempts"], after["history"]) == (1, before["history"]), "no claim, but the same one"
    assert after["lease_left_s"] == 60
    assert await take(desk, them.ada, n=2, held=made[:3]) == [made[3]]
    assert await take(desk, them.ada, n=2) == [], "who does not ask for it is given nothing that it has"


async def test_what_is_parked_is_given_again_as_what_it_is(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    await claim(desk, them.ada, message)
    await ok(desk, them.ada, Park(id=2, message=message, fence=1, needs="human"))
    answer = await ok(desk, them.ada, ClaimNext(id=3, held=[]))
    assert [item["work"]["state"] for item in answer["items"]] == ["parked"]
    await desk.pass_time(1000)
    assert await state(desk, them.boss, message) == "parked"


async def test_another_instance_is_not_given_what_the_first_one_holds(desk: Desk) -> None:
    them = await crew(desk)
    await submit(desk, them.boss)
    assert len(await take(desk, them.ada)) == 1
    again = await desk.agent("ada", instance="another", caps=["x"])
    assert await take(desk, again, held=[]) == []


async def test_a_visit_takes_work_for_its_agent_whose_session_keeps_the_lease(desk: Desk) -> None:
    them = await crew(desk)
    message = await submit(desk, them.boss)
    shell = await desk.agent("ada", visit=True)
    assert await take(desk, shell, lease_s=60) == [message]
    desk.broker.lost(shell)
    for _ in range(5):
        await desk.pass_time(50)
        await desk.say(them.ada, Ack(messages=[message]))
    assert await state(desk, them.boss, message) == "claimed"
    await desk.pass_time(60)
    assert await state(desk, them.boss, message) == "ready"


async def test_a_visit_of_an_agent_that_is_not_there_works_for_one_lease(desk: Desk) -> None:
    boss = await desk.agent("boss")
    message = await submit(desk, boss, "shell", hold=True)
    shell = await desk.agent("shell", visit=True)
    assert await take(desk, shell, lease_s=60) == [message]
    await desk.pass_time(59.9)
    assert await state(desk, boss, message) == "claimed"
    await desk.pass_time(0.1)
    assert await state(desk, boss, message) == "ready"


async def test_a_full_turn_of_workers_shares_a_pile_without_a_double(desk: Desk) -> None:
    boss = await desk.agent("boss")
    workers = [await desk.agent(f"w{number:02}", caps=["x"]) for number in range(20)]
    made = [await submit(desk, boss) for _ in range(50)]
    for worker in workers:
        desk.heard(worker)
        desk.put(worker, ClaimNext(id=1, n=3))
    await desk.turn()
    given = [
        item["message"]
        for worker in workers
        for frame in desk.heard(worker)
        if frame["op"] == "ok"
        for item in frame["items"]
    ]
    assert sorted(given) == made


async def test_watchers_hear_of_each_claim(desk: Desk) -> None:
    them = await crew(desk)
    watcher = desk.connect()
    await desk.say(watcher, Register(id=0, agent="watcher"), Subscribe(id=1, events=["tasks"]))
    made = [await submit(desk, them.boss) for _ in range(2)]
    desk.heard(watcher)
    await take(desk, them.ada, n=2)
    assert kinds(desk.heard(watcher)) == [f"task.claimed {message} ada" for message in made]


async def test_what_was_taken_past_a_full_inbox_and_given_back_still_ends_in_its_time(tmp_path: Path) -> None:
    desk = await Desk(tmp_path / "small", Limits(inbox_messages_max=1)).open()
    boss, ben = await desk.agent("boss"), await desk.agent("ben", caps=["x"])
    await desk.agent("cid", caps=["x"])  # has room: else the send would be refused
    await ok(desk, boss, Send(id=1, to="ben", body="fills the inbox"))
    message = await submit(desk, boss, ttl_s=50)
    assert await take(desk, ben) == [message]
    await ok(desk, ben, Release(id=2, message=message, fence=1))
    await desk.pass_time(51)
    assert await desk.ledger(message) == dict.fromkeys(("ben", "cid"), "expired: not surfaced in its time")
    await desk.close()
