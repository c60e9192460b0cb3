"""leases.py: a claim lives as long as its holder is heard of, and one lease longer."""

from relay_server.deadlines import Deadlines
from relay_server.directory import Directory
from relay_server.leases import LOOK_S, Lease, Leases


class Desk:
    def __init__(self) -> None:
        self.directory = Directory()
        self.deadlines = Deadlines()
        self.expired: list[int] = []
        self.leases = Leases(self.directory, self.deadlines, self.on_silence)
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
    desk.leases.freeze("ada", 4.0)
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
