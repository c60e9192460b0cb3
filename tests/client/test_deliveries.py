import pytest

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


# -- surfaced --------------------------------------------------------------------------------------------------------


def test_what_was_given_out_and_is_not_settled_is_told_as_surfaced_once() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1), deliver(2, claimable=True))
    assert deliveries.has_acks
    assert deliveries.take_surfaced() == [1, 2]
    assert deliveries.take_surfaced() == []
    assert not deliveries.has_acks


def test_what_waits_is_not_surfaced() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1))
    assert deliveries.take_surfaced() == []


def test_done_says_more_than_surfaced() -> None:
    deliveries = Deliveries()
    first, _ = given(deliveries, deliver(1), deliver(2))
    deliveries.done(first)
    assert deliveries.take_surfaced() == [2]
    assert deliveries.take_acks() == [1]


def test_what_was_nacked_or_given_back_is_not_surfaced_afterwards() -> None:
    deliveries = Deliveries()
    first, *_ = given(deliveries, deliver(1), deliver(2), deliver(3, claimable=True), deliver(4, claimable=True))
    deliveries.gave_up(first)
    deliveries.nacked(2)
    deliveries.claim_begun(3, fence=1)
    deliveries.given_back(3, fence=1)
    deliveries.claim_refused(4)
    assert deliveries.take_surfaced() == []


def test_the_next_offer_is_not_surfaced_by_the_one_before() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.given_back(1, fence=1)
    deliveries.arrived(deliver(1, claimable=True, attempt=2))
    assert deliveries.take_surfaced() == []
    given(deliveries)
    assert deliveries.take_surfaced() == [1]


def test_what_the_consumer_has_told_by_himself_is_not_told_again() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1), deliver(2))
    deliveries.acked([1], "surfaced")
    assert deliveries.take_surfaced() == [2]


def test_a_new_session_is_told_what_is_in_hand_and_nothing_else() -> None:
    deliveries = Deliveries()
    first, *_ = given(deliveries, deliver(1), deliver(2), deliver(3, claimable=True))
    deliveries.claim_begun(3, fence=1)
    deliveries.done(first)
    deliveries.arrived(deliver(4))
    assert deliveries.take_surfaced() == [2, 3]
    deliveries.registered()
    assert deliveries.take_surfaced() == [2, 3]


# -- superseded ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [2, None])
def test_what_was_taken_back_before_anyone_saw_it_is_gone_without_an_ack(by: int | None) -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1))
    deliveries.withdrawn(1, by=by)
    assert given(deliveries, deliver(2)) != []
    assert deliveries.superseded_by(1) is None
    assert (deliveries.take_acks(), deliveries.take_surfaced()) == ([], [2])


def test_what_is_in_hand_stays_and_is_marked_until_it_is_settled() -> None:
    deliveries = Deliveries()
    first, second = given(deliveries, deliver(1), deliver(2))
    deliveries.withdrawn(1, by=5)
    deliveries.withdrawn(9, by=6)
    assert (deliveries.superseded_by(1), deliveries.superseded_by(2), deliveries.superseded_by(9)) == (5, None, None)
    deliveries.done(first)
    assert deliveries.take_acks() == [1]
    deliveries.withdrawn(second.message, by=7)
    assert (deliveries.superseded_by(1), deliveries.superseded_by(2)) == (None, 7)


def test_what_is_over_while_it_is_in_hand_stays_there() -> None:
    deliveries = Deliveries()
    (frame,) = given(deliveries, deliver(1))
    deliveries.withdrawn(1, by=None)
    assert deliveries.superseded_by(1) is None
    deliveries.done(frame)
    assert deliveries.take_acks() == [1]


def test_what_was_taken_back_may_be_offered_again() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1, claimable=True))
    deliveries.withdrawn(1, by=None)
    again = deliver(1, claimable=True, attempt=2)
    assert given(deliveries, again) == [again]


def test_work_that_was_replaced_while_it_was_held_is_not_offered_again_by_an_older_copy() -> None:
    deliveries = Deliveries()
    given(deliveries, deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    deliveries.arrived(deliver(1, claimable=True, attempt=2))
    deliveries.withdrawn(1, by=5)
    deliveries.lost(1, fence=1)
    assert given(deliveries) == []


# -- replies ---------------------------------------------------------------------------------------------------------


def test_a_reply_that_is_taken_does_not_come_out_and_is_settled_like_any_other() -> None:
    deliveries, reply = Deliveries(), deliver(2, reply_to=9)
    for frame in (deliver(1), reply, deliver(3)):
        deliveries.arrived(frame)
    deliveries.take_replies(lambda frame: frame.reply_to == 9)
    assert [frame.message for frame in given(deliveries, deliver(2, reply_to=9, attempt=2))] == [1, 3]
    deliveries.done(reply)
    assert deliveries.take_acks() == [2]
    assert given(deliveries, deliver(2, reply_to=9, attempt=3)) == []
    assert deliveries.take_acks() == [2]


def test_what_was_settled_is_not_taken_as_a_reply() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1, reply_to=9))
    deliveries.acked([1], "done")
    deliveries.take_replies(lambda frame: pytest.fail(f"{frame} is settled"))
    assert given(deliveries) == []


def test_a_reply_that_nobody_saw_is_put_back_ahead_of_all() -> None:
    deliveries, reply = Deliveries(), deliver(1, reply_to=9)
    deliveries.arrived(reply)
    deliveries.arrived(deliver(2))
    deliveries.take_replies(lambda frame: frame is reply)
    deliveries.put_back(reply)
    assert [frame.message for frame in given(deliveries)] == [1, 2]
    deliveries.done(reply)
    deliveries.put_back(reply)
    assert given(deliveries) == []


def test_while_replies_are_kept_nothing_passes_them() -> None:
    deliveries = Deliveries()
    deliveries.keeps_replies = True
    frames = (deliver(1), deliver(2, reply_to=9, intent="ack"), deliver(3, reply_to=9), deliver(4))
    assert [frame.message for frame in given(deliveries, *frames)] == [1, 2]
    assert deliveries.has_waiting
    deliveries.keeps_replies = False
    assert [frame.message for frame in given(deliveries)] == [3, 4]
    assert deliveries.take_surfaced() == [1, 2, 3, 4]


# -- claims of what was not given out --------------------------------------------------------------------------------


def test_what_is_claimed_while_it_waits_is_not_given_out_and_is_acked_at_its_end() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1, claimable=True))
    deliveries.claim_begun(1, fence=1)
    assert given(deliveries, deliver(2)) != []
    assert deliveries.take_surfaced() == [2]
    deliveries.given_back(1, fence=1)
    assert deliveries.take_acks() == [1]


def test_what_is_claimed_unseen_is_in_hand() -> None:
    deliveries, item = Deliveries(), deliver(1, claimable=True)
    deliveries.claim_begun(1, fence=1, frame=item)
    assert given(deliveries, deliver(1, claimable=True)) == []
    deliveries.registered()
    assert deliveries.take_surfaced() == [1]
    deliveries.completed(1)
    assert deliveries.take_acks() == [1]


def test_what_is_held_is_known() -> None:
    deliveries = Deliveries()
    for message in (3, 1, 2):
        deliveries.claim_begun(message, fence=1)
    deliveries.completed(1)
    assert deliveries.held == [3, 2]


def test_what_comes_only_while_it_is_held_is_acked_too() -> None:
    deliveries = Deliveries()
    deliveries.claim_begun(1, fence=1)  # by its id
    assert given(deliveries, deliver(1, claimable=True)) == []
    deliveries.completed(1)
    assert deliveries.take_acks() == [1]  # or its credit would never come back


def test_what_was_taken_for_somebody_else_is_surfaced_only_when_they_say_so() -> None:
    deliveries = Deliveries()
    for number in (1, 2, 3):
        deliveries.arrived(deliver(number))
    for _ in range(2):
        deliveries.next(tells=False)
    deliveries.next()
    assert deliveries.take_surfaced() == [3]
    deliveries.registered()
    assert deliveries.take_surfaced() == [3]
    deliveries.acked([1], "surfaced")
    deliveries.registered()
    assert deliveries.take_surfaced() == [1, 3]


@pytest.mark.parametrize("end", ["nacked", "claim refused", "acked"])
def test_what_comes_anew_after_its_end_is_surfaced_like_any_other(end: str) -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1, claimable=True))
    deliveries.next(tells=False)
    match end:
        case "nacked":
            deliveries.nacked(1)
        case "claim refused":
            deliveries.claim_refused(1)
        case _:
            deliveries.acked([1], "done")
    deliveries.arrived(deliver(1, claimable=True, attempt=2))
    assert deliveries.next() is not None
    assert deliveries.take_surfaced() == [1]
    deliveries.registered()
    assert deliveries.take_surfaced() == [1]


def test_what_was_kept_back_and_is_given_out_after_all_is_told_again_after_a_reconnect() -> None:
    deliveries = Deliveries()
    deliveries.arrived(deliver(1))
    frame = deliveries.next(tells=False)
    assert frame is not None
    deliveries.put_back(frame)
    assert deliveries.next() is frame
    assert deliveries.take_surfaced() == [1]
    deliveries.registered()
    assert deliveries.take_surfaced() == [1]
