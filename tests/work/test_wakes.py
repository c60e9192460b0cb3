"""Who is woken by a task, and who is not: a hundred idle agents on real sockets, and what each of them is sent.

What an agent was given before a moment is known by a heartbeat: its answer comes behind all that was said before.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.daemon import Daemon
from tests.work.wire import Frame, Wire, close_all, fleet

AGENTS = 100
OFFER_S = 1.0


@pytest.fixture(autouse=True)
async def closing() -> AsyncIterator[None]:
    """Whatever a test leaves open."""
    yield
    await close_all()


async def join(daemon: Daemon) -> tuple[Wire, list[Wire]]:
    """Somebody with tasks, and a hundred idle agents that can do them."""
    wires = await fleet(daemon.port, [f"a{number}" for number in range(AGENTS)], caps=["x"])
    return await Wire.join(daemon.port, "lead"), wires


async def submit(lead: Wire, to: str, **fields: object) -> int:
    answer = await lead.ask("submit", to=to, title="do it", **fields)
    return int(answer["message"])


async def given(wires: list[Wire], op: str = "deliver") -> dict[str, list[Frame]]:
    """What each of them has got of this kind so far, where it is anything."""
    await asyncio.gather(*[wire.ask("heartbeat") for wire in wires])
    found = {wire.name: [frame for frame in wire.frames if frame["op"] == op] for wire in wires}
    return {name: frames for name, frames in found.items() if frames}


async def test_one_task_for_any_of_a_hundred_wakes_one(daemon: Daemon) -> None:
    lead, wires = await join(daemon)
    task = await submit(lead, "any:cap:x")
    ((name, (delivery,)),) = (await given(wires)).items()
    assert delivery["message"] == task
    (wire,) = [wire for wire in wires if wire.name == name]
    await wire.ask("claim", message=task)
    assert await given(wires, "event") == {}  # there was no other candidate


async def test_who_does_not_answer_an_offer_in_time_loses_it_to_the_next_and_to_nobody_else(daemon: Daemon) -> None:
    lead, wires = await join(daemon)
    sent_at = time.monotonic()
    task = await submit(lead, "any:cap:x", offer_s=OFFER_S)
    had_it: list[str] = []
    for _ in range(2):
        names = list(await given(wires))
        (name,) = [name for name in names if name not in had_it]
        had_it.append(name)
        (wire,) = [wire for wire in wires if wire.name == name]
        await wire.take("event", event="withdrawn", message=task)
    names = list(await given(wires))
    assert len(names) == 3
    assert time.monotonic() - sent_at >= 2 * OFFER_S
    (third,) = [wire for wire in wires if wire.name in names and wire.name not in had_it]
    assert (await third.ask("claim", message=task))["fence"] == 1


async def test_ten_tasks_for_any_of_a_hundred_wake_ten(daemon: Daemon) -> None:
    lead, wires = await join(daemon)
    tasks = await asyncio.gather(*[submit(lead, "any:cap:x") for _ in range(10)])
    woken = await given(wires)
    assert [len(frames) for frames in woken.values()] == [1] * 10
    assert sorted(frame["message"] for (frame,) in woken.values()) == sorted(tasks)


async def test_a_task_for_all_wakes_all_and_the_claim_is_told_to_those_who_lost_it(daemon: Daemon) -> None:
    lead, wires = await join(daemon)
    task = await submit(lead, "cap:x")
    assert {name: [frame["message"] for frame in frames] for name, frames in (await given(wires)).items()} == {
        wire.name: [task] for wire in wires
    }
    winner, *others = wires
    await winner.ask("claim", message=task)
    told = await given(wires, "event")
    assert told.keys() == {wire.name for wire in others}
    for (event,) in told.values():
        assert (event["event"], event["message"], event["agent"]) == ("task.claimed", task, winner.name)


async def test_who_had_no_credit_for_a_task_is_not_told_that_another_has_it_and_never_gets_it(daemon: Daemon) -> None:
    lead = await Wire.join(daemon.port, "lead")
    quick, full = await fleet(daemon.port, ["quick", "full"], caps=["x"], credit=1)
    blocker = (await lead.ask("send", to="full", body="first this"))["message"]
    await full.take("deliver", message=blocker)
    task = await submit(lead, "cap:x")
    await quick.take("deliver", message=task)
    await quick.ask("claim", message=task)
    await full.ask("ack", messages=[blocker])  # now it has credit
    after = (await lead.ask("send", to="full", body="and then this"))["message"]
    await full.take("deliver", message=after)
    await full.ask("heartbeat")
    assert full.frames == []
    (receipt,) = [one for one in (await lead.ask("receipts", message=task))["deliveries"] if one["agent"] == "full"]
    assert (receipt["stage"], receipt["reason"]) == ("superseded", "claimed by quick")


async def test_many_tasks_of_one_moment_come_to_one_agent_in_one_batch(daemon: Daemon) -> None:
    lead, alone = await Wire.join(daemon.port, "lead"), await Wire.join(daemon.port, "alone", caps=["x"])
    tasks = await submit_at_once(lead, [f"task {number}" for number in range(20)])
    await given([alone])
    assert [frame["message"] for frame in alone.frames if frame["op"] == "deliver"] == tasks
    assert alone.batches <= 3  # the answer to register, the tasks, the answer to the heartbeat


async def submit_at_once(lead: Wire, titles: list[str]) -> list[int]:
    """All of them in one WebSocket message."""
    answers = lead.requests([("submit", {"to": "any:cap:x", "title": title}) for title in titles])
    return [answer["message"] for answer in await asyncio.gather(*answers)]


async def test_claim_next_takes_many_at_once_and_they_are_not_delivered_besides(daemon: Daemon) -> None:
    lead = await Wire.join(daemon.port, "lead")
    urgent, *tasks = await asyncio.gather(submit(lead, "cap:x", priority=9), *[submit(lead, "cap:x") for _ in range(9)])
    busy = await Wire.join(daemon.port, "busy", caps=["x"], credit=1)
    await busy.take("deliver", message=urgent)
    answer = await busy.ask("claim_next", n=5, lease_s=30)
    assert [item["message"] for item in answer["items"]] == [urgent, *sorted(tasks)[:4]]
    assert {item["work"]["fence"] for item in answer["items"]} == {1}
    assert await given([busy]) == {}
