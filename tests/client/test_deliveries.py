from relay_client.deliveries import HANDLED_MIN, Deliveries
from relay_proto.frames import Deliver
from tests.client.scripted import deliver


def given(deliveries: Deliveries, *frames: Deliver) -> list[Deliver]:
    """Let frames arrive, and take all there is to give out."""
    for frame in frames:
        deliveries.arrived(frame)
    out: list[Deliver] = []
    while (frame_ := deliveries.next()) is not None:
        out.append(frame_)
    return out


def test_deliveries_are_given_out_in_the_order_they_came() -> None:
    assert [frame.message for frame in given(Deliveries(), deliver(3), deliver(1), deliver(2))] == [3, 1, 2]


def test_what_comes_again_while_it_waits_is_dropped_and_the_waiting_copy_stays_valid() -> None:
    deliveries, first = Deliveries(), deliver(1)
    assert given(deliveries, first, deliver(1, attempt=2)) == [first]
    deliveries.done(first)
    assert deliveries.take_acks() == [1]


def test_what_comes_again_while_it_is_in_hand_is_dropped() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1))
    assert given(deliveries, deliver(1, attempt=2)) == []
    assert deliveries.take_acks() == []


def test_what_was_dealt_with_and_comes_again_is_acked_again_and_not_given_out() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1))
    deliveries.done(frame)
    assert deliveries.take_acks() == [1]
    assert given(deliveries, deliver(1, attempt=2)) == []
    assert deliveries.take_acks() == [1]


def test_what_was_acked_by_its_id_is_remembered_too() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1))
    deliveries.acked([1], "done")
    deliveries.done(frame)
    assert deliveries.take_acks() == []  # the caller's own frame has said it
    assert given(deliveries, deliver(1, attempt=2)) == []


def test_surfaced_settles_nothing() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1))
    deliveries.acked([1], "surfaced")
    deliveries.done(frame)
    assert deliveries.take_acks() == [1]


def test_what_was_acked_before_anyone_asked_for_it_is_not_given_out() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1))
    deliveries.acked([1], "done")
    assert deliveries.next() is None


def test_what_was_nacked_comes_through_again() -> None:
    deliveries, again = Deliveries(), deliver(1, attempt=2)
    (frame,) = given(deliveries, deliver(1))
    assert deliveries.gave_up(frame)
    assert given(deliveries, again) == [again]
    deliveries.nacked(1)
    assert given(deliveries, deliver(1, attempt=3)) != []


def test_what_is_settled_is_not_nacked_as_well() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1))
    deliveries.done(frame)
    assert not deliveries.gave_up(frame)


def test_work_that_was_passed_over_comes_through_again() -> None:
    deliveries, again = Deliveries(), deliver(1, claimable=True, attempt=2)
    (frame,) = given(deliveries, deliver(1, claimable=True))
    deliveries.done(frame)
    assert deliveries.take_acks() == [1]
    assert given(deliveries, again) == [again]


def test_work_that_was_completed_does_not_come_through_again() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.completed(1)
    assert deliveries.take_acks() == [1]
    assert given(deliveries, deliver(1, claimable=True, attempt=2)) == []
    deliveries.done(frame)  # the loop goes on
    assert deliveries.take_acks() == [1]  # only the one for the copy that came again


def test_a_refused_claim_settles_the_offer_so_that_the_next_one_comes_through() -> None:
    deliveries, again = Deliveries(), deliver(1, claimable=True, attempt=2)
    (frame,) = given(deliveries, deliver(1, claimable=True))
    deliveries.claim_refused(1)
    assert deliveries.take_acks() == [1]
    assert given(deliveries, again) == [again]
    deliveries.done(frame)  # the loop that had the old offer in hand goes on
    assert deliveries.take_acks() == []
    assert not deliveries.gave_up(frame)


def test_the_loop_does_not_ack_work_that_is_held() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.done(frame)
    assert not deliveries.gave_up(frame)
    assert deliveries.take_acks() == []
    deliveries.completed(1)
    assert deliveries.take_acks() == [1]


def test_work_given_back_is_settled_and_its_next_offer_comes_through() -> None:
    deliveries, again = Deliveries(), deliver(1, claimable=True, attempt=2)
    given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.given_back(1, fence=1)
    assert deliveries.take_acks() == [1]
    assert given(deliveries, again) == [again]


def test_what_comes_again_while_it_is_held_comes_through_only_when_the_claim_is_lost() -> None:
    deliveries, again = Deliveries(), deliver(1, claimable=True, attempt=2)
    given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    assert given(deliveries, again) == []
    deliveries.lost(1, fence=1)
    assert given(deliveries) == [again]
    assert deliveries.fence_held(1) is None


def test_what_came_again_while_it_was_held_is_forgotten_when_the_work_is_completed() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.arrived(deliver(1, claimable=True, attempt=2))
    deliveries.completed(1)
    assert given(deliveries) == []


def test_the_end_of_an_older_claim_does_not_touch_the_present_one() -> None:
    deliveries = Deliveries()
    deliveries.claim_begun(1, fence=2)
    deliveries.lost(1, fence=1)
    deliveries.given_back(1, fence=1)
    assert deliveries.fence_held(1) == 2


def test_the_last_handled_messages_are_remembered_and_not_many_more() -> None:
    deliveries = Deliveries()
    count = 3 * HANDLED_MIN
    for message in range(1, count + 1):
        deliveries.arrived(deliver(message))
        frame = deliveries.next()
        assert frame is not None
        deliveries.done(frame)
    assert len(deliveries.take_acks()) == count
    assert given(deliveries, deliver(count), deliver(count - HANDLED_MIN + 1)) == []
    assert given(deliveries, deliver(1)) != []
