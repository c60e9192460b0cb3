"""leases.py: a claim lives as long as its holder is heard of, and one lease longer."""

from relay_proto.frames import Claim, Heartbeat, Register, Renew
from relay_server.deadlines import Deadlines
from relay_server.directory import Directory
from relay_server.leases import LOOK_S, Lease, Leases
from tests.relay import desk as relay
from tests.relay.working import bring, claim, crew, ok, state, submit, task


class Desk:
    def __init__(self) -> None:
        self.directory = Directory()
        self.deadlines = Deadlines()
        self.expired: list[int] = []
        self.alive_at = float("-inf")
        self.leases = Leases(self.directory, self.deadlines, self.on_silence, lambda agent: self.alive_at)
        self.holder = self.directory.ensure("ada")
        self.holder.epoch = 1
        self.holder.heard_at = 0.0

    def on_silence(self, lease: Lease) -> None:
        self.expired.append(lease.message)


def test_silence_for_a_lease_ends_the_claim_and_not_a_moment_earlier() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.deadlines.run(9.999)
    assert desk.expired == []
    desk.deadlines.run(10.0)
    assert desk.expired == [7]


def test_traffic_keeps_a_claim_alive_without_touching_it() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.holder.heard_at = 8.0
    desk.deadlines.run(10.0)
    assert desk.expired == []
    assert desk.deadlines.next_deadline() == 18.0
    assert desk.leases.left_s(7, 12.0) == 6.0


def test_the_traffic_of_another_instance_renews_nothing() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.leases.freeze("ada", 1, 4.0)
    desk.holder.epoch, desk.holder.heard_at = 2, 9.0
    desk.deadlines.run(13.9)
    assert desk.expired == []
    desk.deadlines.run(14.0)
    assert desk.expired == [7]


def test_a_renewal_with_a_shorter_lease_ends_sooner() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 100.0, now=0.0)
    desk.leases.hold(7, "ada", 1, 1, 2.0, now=1.0)
    desk.deadlines.run(3.0)
    assert desk.expired == [7]


def test_a_dropped_claim_does_not_expire_and_neither_does_its_old_entry_end_the_next_claim() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.leases.drop(7)
    desk.leases.hold(7, "ada", 1, 2, 50.0, now=5.0)
    desk.deadlines.run(20.0)
    assert desk.expired == []
    assert desk.leases.left_s(7, 20.0) == 35.0
    assert desk.leases.left_s(8, 20.0) is None


def test_what_is_kept_of_an_ended_claim_is_gone_after_a_minute_however_long_its_lease_was() -> None:
    desk = Desk()
    for message in range(100):
        desk.leases.hold(message, "ada", 1, 1, 24 * 3600.0, now=0.0)
        desk.leases.drop(message)
    desk.leases.hold(7, "ada", 1, 2, 24 * 3600.0, now=0.0)
    desk.deadlines.run(LOOK_S)
    assert len(desk.deadlines) == 1
    desk.deadlines.run(24 * 3600.0)
    assert desk.expired == [7]


def test_renewing_with_ever_other_leases_does_not_pile_up_deadlines() -> None:
    desk = Desk()
    for i in range(10_000):
        desk.leases.hold(7, "ada", 1, 1, 30.0 if i % 2 else 50.0, now=i / 1000)
    assert len(desk.deadlines) <= 2
    desk.deadlines.run(39.9)
    assert desk.expired == []
    desk.deadlines.run(40.0)
    assert desk.expired == [7]


def test_a_socket_that_lives_keeps_a_claim_alive() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.alive_at = 8.0
    desk.deadlines.run(17.9)
    assert desk.expired == []
    assert desk.leases.left_s(7, 17.5) == 0.5
    desk.deadlines.run(18.0)
    assert desk.expired == [7]


def test_the_socket_of_another_instance_renews_nothing() -> None:
    desk = Desk()
    desk.leases.hold(7, "ada", 1, 1, 10.0, now=0.0)
    desk.holder.epoch, desk.alive_at = 2, 9.0
    desk.deadlines.run(10.0)
    assert desk.expired == [7]


# -- at the desk -----------------------------------------------------------------------------------------------------


async def test_a_holder_that_answers_pings_and_says_nothing_keeps_what_it_holds(desk: relay.Desk) -> None:
    them = await bring(desk, "working")
    for _ in range(10):
        await desk.pass_time(50)
        them.ada.alive_at = desk.now  # as the edge notes it
    assert await state(desk, them.boss, 1) == "working"
    await desk.pass_time(60)
    assert await state(desk, them.boss, 1) == "ready"


async def test_a_lease_runs_from_the_last_sign_of_the_socket_when_that_is_gone(desk: relay.Desk) -> None:
    them = await bring(desk, "working")
    for _ in range(4):
        await desk.pass_time(50)
        them.ada.alive_at = desk.now
    desk.broker.lost(them.ada)
    await desk.pass_time(59)
    assert (await task(desk, them.boss, 1))["lease_left_s"] == 1
    await desk.pass_time(1)
    assert await state(desk, them.boss, 1) == "ready"


async def test_the_same_instance_that_comes_back_in_time_keeps_what_it_holds(desk: relay.Desk) -> None:
    them = await crew(desk)
    holder = await desk.agent("eve", instance="one", caps=["x"])
    message = await submit(desk, them.boss)
    await claim(desk, holder, message)
    for _ in range(3):
        desk.broker.lost(holder)
        await desk.pass_time(59)
        holder = await desk.agent("eve", instance="one", caps=["x"])
    assert (await task(desk, them.boss, message))["fence"] == 1
    assert (await ok(desk, holder, Claim(id=1, message=message)))["fence"] == 1, "it is the same claim"


async def test_another_instance_does_not_keep_what_the_first_one_held_but_may_take_it_on(desk: relay.Desk) -> None:
    them = await crew(desk)
    first = await desk.agent("eve", instance="one", caps=["x"])
    kept, dropped = await submit(desk, them.boss), await submit(desk, them.boss)
    for message in (kept, dropped):
        await claim(desk, first, message)
    await desk.pass_time(20)
    first.alive_at = desk.now
    await desk.pass_time(10)
    second = await desk.agent("eve", instance="two", caps=["x"])
    assert [(await task(desk, them.boss, message))["lease_left_s"] for message in (kept, dropped)] == [50, 50]
    await ok(desk, second, Renew(id=1, message=kept, fence=1))
    for _ in range(6):
        await desk.pass_time(10)
        await desk.say(second, Heartbeat())
        second.alive_at = desk.now
    assert [await state(desk, them.boss, message) for message in (kept, dropped)] == ["claimed", "ready"]


async def test_a_chain_of_instances_does_not_keep_what_the_first_one_held(desk: relay.Desk) -> None:
    them = await crew(desk)
    holder = await desk.agent("eve", instance="0", caps=["x"])
    message = await submit(desk, them.boss)
    await claim(desk, holder, message)
    for number in range(1, 6):
        await desk.pass_time(10)
        await desk.say(holder, Heartbeat())
        holder.alive_at = desk.now
        holder = await desk.agent("eve", instance=str(number), caps=["x"])
    assert (await task(desk, them.boss, message))["lease_left_s"] == 20, "it was heard of 40 s ago"
    await desk.pass_time(20)
    assert await state(desk, them.boss, message) == "ready"


async def test_a_restart_gives_one_full_fresh_lease_from_when_the_relay_is_there_again(desk: relay.Desk) -> None:
    them = await bring(desk, "working")
    await desk.pass_time(59)
    await desk.restart(down_s=10_000)
    boss = await desk.agent("boss")
    assert (await task(desk, boss, them.message))["lease_left_s"] == 60
    await desk.pass_time(59.9)
    assert await state(desk, boss, 1) == "working"
    await desk.pass_time(0.1)
    assert await state(desk, boss, 1) == "ready"


async def test_a_shell_command_of_an_agent_renews_by_name_and_by_nothing_else(desk: relay.Desk) -> None:
    them = await bring(desk, "working")
    shell = desk.connect()
    await desk.pass_time(30)
    await desk.say(shell, Register(id=0, agent="ada", visit=True), Heartbeat(id=1))
    assert (await task(desk, them.boss, 1))["lease_left_s"] == 30
    await ok(desk, shell, Renew(id=2, message=1, fence=1))
    assert (await task(desk, them.boss, 1))["lease_left_s"] == 60
