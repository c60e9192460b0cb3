from typing import Any

import pytest

from relay_client.claims import Claims, Watches, ends_claim, granted
from relay_client.deliveries import Deliveries
from relay_client.errors import Replaced
from relay_client.requests import AboutClaim
from relay_proto.errors import RelayError
from relay_proto.frames import Check, Claim, ClaimNext, Error, Event, Ok, Park, Renew, StoredMessage, WorkState
from tests.client.scripted import deliver


class Follower:
    """A watch that writes down what it hears."""

    def __init__(self, message: int) -> None:
        self.message = message
        self.heard: list[Any] = []

    def answered(self, about: AboutClaim, frame: Ok | Error) -> None:
        self.heard.append((about, frame))

    def happened(self, event: Event) -> None:
        self.heard.append(event)

    def registered(self) -> None:
        self.heard.append("registered")

    def ended(self, error: RelayError) -> None:
        self.heard.append(error)


def item(message: int, fence: int = 1) -> StoredMessage:
    return StoredMessage(
        message=message, sender="bob", to="cap:x", body="x", sent_at=1, thread=message, hops=0, claimable=True,
        work=WorkState(state="claimed", fence=fence, attempts=2, lease_s=60.0),
    )  # fmt: skip


def renew(message: int, fence: int = 1) -> Renew:
    return Renew(id=5, message=message, fence=fence)


# -- who hears what --------------------------------------------------------------------------------------------------


def test_news_come_in_their_order_and_only_when_they_are_told() -> None:
    watches, follower, other = Watches(), Follower(7), Follower(8)
    watches.add(follower)
    watches.add(other)
    event, ok = Event(event="claim.resumed", at=1, message=7), Ok(re=5)
    watches.happened(event)
    watches.answered(renew(7), ok)
    watches.registered()
    assert follower.heard == []
    watches.tell()
    assert follower.heard == [event, (renew(7), ok), "registered"]
    assert other.heard == ["registered"]


def test_several_may_follow_one_message() -> None:
    watches, first, second = Watches(), Follower(7), Follower(7)
    watches.add(first)
    watches.add(second)
    watches.remove(first)
    watches.registered()
    watches.tell()
    assert (first.heard, second.heard, len(watches)) == ([], ["registered"], 1)


def test_who_left_hears_nothing_not_even_what_was_kept() -> None:
    watches, follower = Watches(), Follower(7)
    watches.add(follower)
    watches.registered()
    watches.remove(follower)
    watches.remove(follower)
    watches.tell()
    assert (follower.heard, len(watches)) == ([], 0)


def test_who_leaves_when_he_hears_something_hears_nothing_behind_it() -> None:
    class Leaver(Follower):
        def registered(self) -> None:
            super().registered()
            watches.remove(self)

    watches, leaver = Watches(), Leaver(7)
    watches.add(leaver)
    watches.registered()
    watches.ended(Replaced("gone"))
    watches.tell()
    assert leaver.heard == ["registered"]


def test_the_end_is_told_to_everyone() -> None:
    watches, follower, error = Watches(), Follower(7), Replaced("gone")
    watches.add(follower)
    watches.ended(error)
    watches.tell()
    assert follower.heard == [error]


# -- grants ----------------------------------------------------------------------------------------------------------


def test_what_claim_next_gave_is_held_and_in_hand() -> None:
    deliveries = Deliveries()
    claims, ok = Claims(deliveries), Ok(re=1, items=[item(7), item(8, fence=3)])
    claims.granted_next(ok)
    assert [one.message for one in ok.items or []] == [7, 8]
    assert (deliveries.fence_held(7), deliveries.fence_held(8)) == (1, 3)
    deliveries.arrived(deliver(7, claimable=True))
    assert deliveries.next() is None
    deliveries.completed(7)
    assert deliveries.take_acks() == [7]


def test_what_is_held_here_already_is_not_given_out_a_second_time() -> None:
    deliveries = Deliveries()
    claims, ok = Claims(deliveries), Ok(re=1, items=[item(7), item(8)])
    deliveries.claim_begun(7, fence=1)
    claims.granted_next(ok)
    assert [one.message for one in ok.items or []] == [8]
    refused = claims.granted(Claim(id=2, message=8), Ok(re=2, message=8, fence=1), "alice")
    assert isinstance(refused, Error)
    assert (refused.code, refused.detail) == ("claimed", {"holder": "alice"})


def test_a_claim_that_is_given_out_again_was_lost() -> None:
    deliveries, follower = Deliveries(), Follower(7)
    claims = Claims(deliveries)
    claims.watches.add(follower)
    deliveries.claim_begun(7, fence=1)
    deliveries.arrived(deliver(7, claimable=True, attempt=2))
    claims.granted_next(Ok(re=1, items=[item(7, fence=2)]))
    claims.watches.tell()
    [(about, frame)] = follower.heard
    assert (about.fence, frame.code) == (1, "stale_fence")
    assert deliveries.fence_held(7) == 2
    assert deliveries.next() is None  # the copy that came meanwhile is this claim's


def test_what_was_won_for_nobody_is_what_nobody_here_holds() -> None:
    deliveries = Deliveries()
    claims = Claims(deliveries)
    deliveries.claim_begun(7, fence=1)
    claim = Claim(id=1, message=8)
    assert claims.won_for_nobody(claim, Ok(re=1, message=8, fence=4)) == [(8, 4)]
    both = Ok(re=1, items=[item(7), item(9, fence=5)])
    assert claims.won_for_nobody(ClaimNext(id=1), both) == [(9, 5)]
    assert granted(both) == [(7, 1), (9, 5)]


def test_an_answer_that_is_not_of_this_protocol_gives_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ok = Ok(re=1, items=[{"message": "7"}])
    Claims(Deliveries()).granted_next(ok)
    assert ok.items == []
    assert "not of this protocol" in caplog.text


# -- the end of a claim ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["stale_fence", "not_holder", "finished", "expired", "not_claimable", "unknown_message"]
)
def test_these_codes_end_a_claim_and_let_the_next_offer_through(code: str) -> None:
    deliveries = Deliveries()
    claims, again = Claims(deliveries), deliver(7, claimable=True, attempt=2)
    deliveries.claim_begun(7, fence=1)
    deliveries.arrived(again)
    claims.answered(renew(7), Error(code=code, message="over"))
    assert deliveries.fence_held(7) is None
    assert deliveries.next() is again


@pytest.mark.parametrize("code", ["unavailable", "internal", "storage_full", "dependency_cycle", "bad_request"])
def test_these_do_not(code: str) -> None:
    deliveries = Deliveries()
    deliveries.claim_begun(7, fence=1)
    Claims(deliveries).answered(renew(7), Error(code=code, message="not now"))
    assert deliveries.fence_held(7) == 1


def test_what_is_wrong_with_a_dependency_does_not_end_the_claim() -> None:
    park = Park(id=1, message=7, fence=1, needs="dependency", depends_on=[9])
    assert not ends_claim(park, "unknown_message")
    assert not ends_claim(park, "finished")
    assert ends_claim(park, "stale_fence")
    assert ends_claim(Park(id=1, message=7, fence=1, needs="human"), "finished")


@pytest.mark.parametrize("code", ["claimed", "finished", "expired", "not_claimable", "unknown_message"])
def test_a_refused_claim_spends_its_offer(code: str) -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(7, claimable=True))
    deliveries.next()
    Claims(deliveries).refused(Claim(id=1, message=7), Error(code=code, message="no"))
    assert deliveries.take_acks() == [7]


def test_an_old_fence_that_is_checked_does_not_end_the_present_claim() -> None:
    deliveries = Deliveries()
    deliveries.claim_begun(7, fence=2)
    Claims(deliveries).answered(Check(id=1, message=7, fence=1), Error(code="stale_fence", message="old"))
    assert deliveries.fence_held(7) == 2


# -- events ----------------------------------------------------------------------------------------------------------


def test_work_that_someone_else_claimed_is_not_given_out() -> None:
    deliveries = Deliveries()
    claims = Claims(deliveries)
    for message in (7, 8, 9):
        deliveries.arrived(deliver(message, claimable=True))
    in_hand = deliveries.next()
    for message in (7, 8):
        claims.happened(Event(event="task.claimed", at=1, message=message, agent="bob"), "alice")
    assert in_hand is not None
    left = deliveries.next()
    assert left is not None
    assert left.message == 9
    deliveries.done(in_hand)
    assert deliveries.take_acks() == [7]


def test_one_s_own_claim_takes_nothing_away() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(7, claimable=True))
    Claims(deliveries).happened(Event(event="task.claimed", at=1, message=7, agent="alice"), "alice")
    assert deliveries.next() is not None


def test_a_claim_that_another_hand_ended_is_lost_unless_it_is_an_older_one() -> None:
    deliveries = Deliveries()
    claims = Claims(deliveries)
    deliveries.claim_begun(7, fence=2)
    claims.happened(Event(event="claim.lost", at=1, message=7, fence=1), "alice")
    assert deliveries.fence_held(7) == 2
    claims.happened(Event(event="claim.lost", at=1, message=7, fence=2, state="canceled"), "alice")
    assert deliveries.fence_held(7) is None
