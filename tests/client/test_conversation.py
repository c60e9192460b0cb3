from typing import Any

import pytest

from relay_client import requests
from relay_client.conversation import Conversation, State
from relay_client.events import Feed
from relay_client.requests import About
from relay_proto import codec, limits
from relay_proto.errors import Claimed, Unauthorized
from relay_proto.frames import (
    Ack,
    Bye,
    Claim,
    ClaimNext,
    ClientFrame,
    Complete,
    Deliver,
    Error,
    Event,
    Fail,
    Heartbeat,
    Nack,
    Ok,
    Progress,
    Register,
    Release,
    Send,
    StoredMessage,
    Subscribe,
    Unsubscribe,
    Update,
    WorkState,
)
from tests.client.scripted import deliver, sent


class Caller:
    """Who waits for an answer, without an event loop."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.left = False

    def done(self) -> bool:
        return self.left

    def __repr__(self) -> str:
        return f"Caller({self.name})"


Talk = Conversation[Caller]


def talk(*, online: bool = True) -> Talk:
    conversation = Talk(Register(id=0, agent="alice", instance="i-1"), "prefix")
    if online:
        go_online(conversation)
    return conversation


def go_online(conversation: Talk) -> list[ClientFrame]:
    """Connect and register; what is written after that."""
    conversation.connected()
    assert [type(frame) for frame in written(conversation)] == [Register]
    conversation.receive([Ok(re=0, agent="alice", session="s", epoch=1)])
    return written(conversation)


def written(conversation: Talk) -> list[ClientFrame]:
    """What would be written now."""
    frames: list[ClientFrame] = []
    for payload in codec.batches(conversation.take_outgoing()):
        for frame in codec.decode_client_batch(payload):
            assert not isinstance(frame, codec.Refusal), frame
            frames.append(frame)
    return frames


def ask(conversation: Talk, kind: type[Any], **fields: Any) -> tuple[int, Caller]:
    frame = kind(id=conversation.next_id(), **fields)
    caller = Caller(kind.__name__)
    about = frame if isinstance(frame, About) else None
    conversation.request(frame.id, codec.encode_checked(frame), caller, about)
    return frame.id, caller


def send(conversation: Talk, body: str = "x") -> tuple[int, Caller]:
    return ask(conversation, Send, to="bob", body=body, key=conversation.next_key())


def give_up(conversation: Talk, id: int, caller: Caller) -> None:
    caller.left = True
    conversation.abandon(id)


# -- connections and requests ----------------------------------------------------------------------------------------


def test_nothing_but_register_leaves_before_it_is_answered() -> None:
    conversation = talk(online=False)
    send(conversation)
    conversation.connected()
    conversation.deliveries.arrived(deliver(1))
    assert [type(frame) for frame in written(conversation)] == [Register]
    assert not conversation.has_outgoing
    conversation.receive([Ok(re=0)])
    assert [type(frame) for frame in written(conversation)] == [Send]


def test_an_answer_goes_to_who_asked_for_it() -> None:
    conversation = talk()
    (one, first), (two, second) = send(conversation), send(conversation)
    answers = conversation.receive([sent(two, 8), Error(re=one, code="busy", message="no")])
    assert [(caller, type(frame)) for caller, frame in answers] == [(second, Ok), (first, Error)]
    assert conversation.receive([sent(two, 8)]) == []


def test_what_had_no_answer_is_sent_again_in_order_with_the_same_bytes() -> None:
    conversation = talk()
    ids = [send(conversation, body)[0] for body in "abc"]
    first = written(conversation)
    conversation.receive([sent(ids[1], 5)])
    conversation.lost()
    again = go_online(conversation)
    assert again == [first[0], first[2]]


def test_what_was_asked_while_offline_follows_what_is_sent_again() -> None:
    conversation = talk()
    send(conversation, "a")
    written(conversation)
    conversation.lost()
    send(conversation, "b")
    assert [frame.body for frame in go_online(conversation) if isinstance(frame, Send)] == ["a", "b"]


def test_the_late_answer_to_an_abandoned_request_is_dropped() -> None:
    conversation = talk()
    id, caller = send(conversation)
    give_up(conversation, id, caller)
    assert conversation.receive([sent(id, 1)]) == []
    assert conversation.free == requests.OPEN_REQUESTS_MAX


def test_a_caller_who_left_without_a_word_gets_no_answer_either() -> None:
    conversation = talk()
    id, caller = send(conversation)
    caller.left = True
    assert conversation.receive([sent(id, 1)]) == []


def test_an_abandoned_send_is_not_sent_again() -> None:
    conversation = talk()
    id, caller = send(conversation)
    written(conversation)
    give_up(conversation, id, caller)
    conversation.lost()
    assert go_online(conversation) == []


def test_a_send_that_is_abandoned_while_offline_is_not_sent_at_all() -> None:
    conversation = talk()
    id, caller = send(conversation)
    written(conversation)
    conversation.lost()
    give_up(conversation, id, caller)
    assert go_online(conversation) == []
    assert conversation.free == requests.OPEN_REQUESTS_MAX


def test_frames_without_an_answer_are_not_kept_over_a_reconnect() -> None:
    conversation = talk()
    conversation.say(codec.encode_frame(Heartbeat()))
    conversation.lost()
    conversation.say(codec.encode_frame(Heartbeat()))
    assert go_online(conversation) == []


def test_a_refused_register_is_kept_as_the_typed_error() -> None:
    conversation = talk(online=False)
    conversation.connected()
    conversation.receive([Error(re=0, code="unauthorized", message="no token")])
    assert isinstance(conversation.refusal, Unauthorized)
    assert conversation.state is State.REGISTERING


def test_errors_about_frames_without_an_id_are_complaints() -> None:
    conversation = talk()
    error = Error(code="unknown_message", message="messages [7] are not in the inbox")
    assert conversation.receive([error]) == []
    assert conversation.complaints == [error]


def test_bye_is_kept_until_the_next_connection() -> None:
    conversation = talk()
    conversation.receive([Bye(code="replaced")])
    assert conversation.bye == Bye(code="replaced")
    conversation.connected()
    assert conversation.bye is None


def test_the_end_gives_back_everyone_who_waits() -> None:
    conversation = talk()
    (_, first), (id, second) = send(conversation), send(conversation)
    give_up(conversation, id, second)
    assert conversation.end() == [first]


def test_room_is_counted_in_requests_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "OPEN_REQUESTS_MAX", 2)
    conversation = talk()
    id, _ = send(conversation)
    assert conversation.free == 1
    send(conversation)
    assert conversation.free == 0
    conversation.receive([sent(id, 1)])
    assert conversation.free == 1
    monkeypatch.setattr(requests, "OPEN_BYTES_MAX", 10)
    assert conversation.free == 0


def test_automatic_keys_are_ordered_and_never_the_same() -> None:
    conversation = talk()
    keys = [conversation.next_key() for _ in range(300)]
    assert keys == sorted(set(keys))


# -- acks ------------------------------------------------------------------------------------------------------------


def finish(conversation: Talk, count: int) -> None:
    for _ in range(count):
        frame = conversation.deliveries.next()
        assert frame is not None
        conversation.deliveries.done(frame)


def test_the_acks_of_one_tick_are_one_frame() -> None:
    conversation = talk()
    conversation.receive([deliver(message) for message in (1, 2, 3)])
    finish(conversation, 3)
    assert conversation.has_outgoing
    assert written(conversation) == [Ack(messages=[1, 2, 3])]
    assert not conversation.has_outgoing


def test_more_acks_than_one_frame_takes_are_several_frames() -> None:
    conversation = talk()
    count = limits.MESSAGES_MAX + 1
    conversation.receive([deliver(message) for message in range(1, count + 1)])
    finish(conversation, count)
    assert [len(frame.messages) for frame in written(conversation) if isinstance(frame, Ack)] == [count - 1, 1]


def hand_out(conversation: Talk, count: int) -> list[Deliver]:
    return [frame for _ in range(count) if (frame := conversation.deliveries.next()) is not None]


def test_what_is_surfaced_goes_in_one_frame_ahead_of_what_is_done() -> None:
    conversation = talk()
    conversation.receive([deliver(message) for message in (1, 2, 3, 4)])
    finish(conversation, 2)
    hand_out(conversation, 2)
    assert conversation.has_outgoing
    assert written(conversation) == [Ack(messages=[3, 4], stage="surfaced"), Ack(messages=[1, 2])]
    assert not conversation.has_outgoing


def test_more_that_is_surfaced_than_one_frame_takes_is_several_frames() -> None:
    conversation = talk()
    count = limits.MESSAGES_MAX + 1
    conversation.receive([deliver(message) for message in range(1, count + 1)])
    hand_out(conversation, count)
    assert [len(frame.messages) for frame in written(conversation) if isinstance(frame, Ack)] == [count - 1, 1]


def test_the_nack_of_what_was_just_given_out_is_the_last_word_about_it() -> None:
    conversation = talk()
    conversation.receive([deliver(1)])
    hand_out(conversation, 1)
    ask(conversation, Nack, message=1, reason="not mine")
    assert [type(frame) for frame in written(conversation)] == [Nack]


def test_a_new_session_hears_what_is_in_hand() -> None:
    conversation = talk()
    conversation.receive([deliver(1), deliver(2)])
    hand_out(conversation, 1)
    assert written(conversation) == [Ack(messages=[1], stage="surfaced")]
    conversation.lost()
    assert go_online(conversation) == [Ack(messages=[1], stage="surfaced")]


# -- asks and events -------------------------------------------------------------------------------------------------


def put_ask(conversation: Talk) -> tuple[int, Caller]:
    """An ask of bob: the id of its send, and who waits for the reply."""
    frame = Send(id=conversation.next_id(), to="bob", body="how?", key=conversation.next_key(), expect_reply_s=60)
    reply = Caller("reply")
    conversation.asks.begin(frame.id, "bob", 60, reply)
    conversation.request(frame.id, codec.encode_checked(frame), Caller("ok"), frame)
    return frame.id, reply


def test_the_reply_to_an_ask_is_settled_and_not_given_out() -> None:
    conversation = talk()
    id, caller = put_ask(conversation)
    reply = deliver(50, reply_to=41)
    conversation.receive([sent(id, 41), reply, deliver(51)])
    assert list(conversation.asks.take_settled()) == [(caller, reply)]
    assert [frame.message for frame in hand_out(conversation, 2)] == [51]


def test_replies_are_kept_while_an_ask_may_be_at_the_relay_and_has_no_id() -> None:
    conversation = talk(online=False)
    put_ask(conversation)
    conversation.deliveries.arrived(deliver(48, reply_to=40))
    assert [frame.message for frame in hand_out(conversation, 1)] == [48]  # it has not left yet
    go_online(conversation)
    conversation.receive([deliver(49, reply_to=40)])
    assert hand_out(conversation, 1) == []
    conversation.receive([Error(re=1, code="unknown_agent", message="no bob")])
    assert [frame.message for frame in hand_out(conversation, 1)] == [49]


def test_a_dropped_ask_keeps_no_replies() -> None:
    conversation = talk()
    put_ask(conversation)
    conversation.receive([deliver(49, reply_to=41)])
    for open in list(conversation.asks._by_id.values()):
        conversation.drop_ask(open)
    assert [frame.message for frame in hand_out(conversation, 1)] == [49]


def test_the_end_names_who_waits_for_a_reply_too() -> None:
    conversation = talk()
    _, reply = put_ask(conversation)
    assert [caller.name for caller in conversation.end()] == ["ok", "reply"]
    assert not reply.left


def test_events_go_to_each_feed_and_to_the_deliveries() -> None:
    conversation = talk()
    feed = Feed()
    conversation.feeds.add(feed)
    events = [Event(event="superseded", at=1, message=1, by=2), Event(event="withdrawn", at=1, message=2)]
    conversation.receive([deliver(1), deliver(2), *events])
    assert [feed.take(), feed.take(), feed.take()] == [*events, None]
    assert hand_out(conversation, 1) == []


def test_a_refused_subscription_is_not_renewed() -> None:
    conversation = talk()
    id, _ = ask(conversation, Subscribe, events=["presence"])
    conversation.receive([Error(re=id, code="forbidden", message="no")])
    conversation.lost()
    assert go_online(conversation) == []
    assert conversation.complaints == []  # the caller was told


def test_subscriptions_are_renewed_ahead_of_what_is_asked_again() -> None:
    conversation = talk()
    id, _ = ask(conversation, Subscribe, events=["receipt"])
    conversation.receive([Ok(re=id)])
    ask(conversation, Unsubscribe, events=["receipt"])
    conversation.lost()
    renewal, again = go_online(conversation)
    assert isinstance(renewal, Subscribe)
    assert isinstance(again, Unsubscribe)
    conversation.receive([Ok(re=renewal.id), Ok(re=again.id)])
    conversation.lost()
    assert go_online(conversation) == []


def test_acks_made_while_offline_leave_after_the_next_register() -> None:
    conversation = talk()
    conversation.receive([deliver(1)])
    conversation.lost()
    finish(conversation, 1)
    assert not conversation.has_outgoing
    assert go_online(conversation) == [Ack(messages=[1])]


def test_a_handled_message_that_comes_again_after_a_reconnect_is_acked_and_not_given_out() -> None:
    conversation = talk()
    conversation.receive([deliver(1)])
    finish(conversation, 1)
    written(conversation)  # lost on its way
    conversation.lost()
    go_online(conversation)
    conversation.receive([deliver(1, attempt=2)])
    assert conversation.deliveries.next() is None
    assert written(conversation) == [Ack(messages=[1])]


def test_bye_is_the_last_word_behind_all_acks() -> None:
    conversation = talk()
    conversation.receive([deliver(1)])
    send(conversation)
    finish(conversation, 1)
    conversation.say_bye()
    assert [type(frame) for frame in written(conversation)] == [Send, Ack, Bye]


# -- what the client knows of itself ---------------------------------------------------------------------------------


def test_an_accepted_update_is_what_the_next_register_says() -> None:
    conversation = talk()
    id, _ = ask(conversation, Update, tags=[], label="Alice", status="busy")
    conversation.receive([Ok(re=id)])
    beat, _ = ask(conversation, Heartbeat, status="idle", load=0.5)
    conversation.receive([Ok(re=beat)])
    conversation.lost()
    conversation.connected()
    (register,) = written(conversation)
    assert register == Register(id=0, agent="alice", instance="i-1", tags=[], label="Alice", status="idle")


def test_a_refused_update_changes_nothing() -> None:
    conversation = talk()
    id, _ = ask(conversation, Update, label="Alice")
    conversation.receive([Error(re=id, code="forbidden", message="no")])
    assert conversation.register.label is None


# -- claims ----------------------------------------------------------------------------------------------------------


def won(id: int, fence: int = 1) -> Ok:
    return Ok(re=id, message=7, fence=fence, lease_s=60)


def test_a_claim_that_was_won_for_nobody_is_released() -> None:
    conversation = talk()
    id, caller = ask(conversation, Claim, message=7)
    written(conversation)
    give_up(conversation, id, caller)
    assert conversation.receive([won(id, fence=3)]) == []
    (release,) = written(conversation)
    assert isinstance(release, Release)
    assert (release.message, release.fence) == (7, 3)


def test_an_abandoned_claim_that_may_have_been_won_is_asked_again_and_released() -> None:
    conversation = talk()
    id, caller = ask(conversation, Claim, message=7)
    claim = written(conversation)
    give_up(conversation, id, caller)
    conversation.lost()
    assert go_online(conversation) == claim
    conversation.receive([won(id)])
    assert [type(frame) for frame in written(conversation)] == [Release]
    conversation.lost()
    assert [type(frame) for frame in go_online(conversation)] == [Release]


def test_an_abandoned_claim_that_never_left_is_dropped() -> None:
    conversation = talk(online=False)
    id, caller = ask(conversation, Claim, message=7)
    give_up(conversation, id, caller)
    assert go_online(conversation) == []


def test_an_abandoned_claim_is_not_released_when_it_was_asked_for_again() -> None:
    conversation = talk()
    first, gone = ask(conversation, Claim, message=7)
    give_up(conversation, first, gone)
    second, caller = ask(conversation, Claim, message=7)
    written(conversation)
    answers = conversation.receive([won(first), won(second)])
    assert [waiter for waiter, _ in answers] == [caller]
    assert written(conversation) == []
    assert conversation.deliveries.fence_held(7) == 1


def test_an_abandoned_end_of_a_claim_is_sent_again() -> None:
    conversation = talk()
    for kind in (Complete, Fail, Release):
        id, caller = ask(conversation, kind, message=7, fence=1)
        give_up(conversation, id, caller)
    conversation.lost()
    assert [type(frame) for frame in go_online(conversation)] == [Complete, Fail, Release]


def test_one_agent_does_not_claim_the_same_work_twice() -> None:
    conversation = talk()
    id, _ = ask(conversation, Claim, message=7)
    with pytest.raises(Claimed):
        conversation.refuse_second_claim(7)
    conversation.receive([won(id)])
    with pytest.raises(Claimed):
        conversation.refuse_second_claim(7)
    conversation.refuse_second_claim(8)


def hold(conversation: Talk) -> None:
    conversation.receive([deliver(7, claimable=True)])
    conversation.deliveries.next()
    id, _ = ask(conversation, Claim, message=7)
    conversation.receive([won(id)])
    written(conversation)


def test_the_ack_of_released_work_goes_ahead_of_the_release() -> None:
    conversation = talk()
    hold(conversation)
    id, _ = ask(conversation, Release, message=7, fence=1)
    assert [type(frame) for frame in written(conversation)] == [Ack, Release]
    again = deliver(7, claimable=True, attempt=2)
    conversation.receive([again, Ok(re=id)])
    assert conversation.deliveries.next() is again


def test_the_ack_of_failed_work_follows_the_failure() -> None:
    conversation = talk()
    hold(conversation)
    ask(conversation, Fail, message=7, fence=1, reason="boom")
    assert [type(frame) for frame in written(conversation)] == [Fail, Ack]


def test_completed_work_is_acked_when_the_relay_has_it() -> None:
    conversation = talk()
    hold(conversation)
    id, _ = ask(conversation, Complete, message=7, fence=1)
    assert [type(frame) for frame in written(conversation)] == [Complete]
    conversation.receive([Ok(re=id)])
    assert written(conversation) == [Ack(messages=[7])]
    conversation.receive([deliver(7, claimable=True, attempt=2)])
    assert conversation.deliveries.next() is None


def test_a_completion_that_came_too_late_lets_the_next_offer_through() -> None:
    conversation = talk()
    hold(conversation)
    again = deliver(7, claimable=True, attempt=2)
    id, _ = ask(conversation, Complete, message=7, fence=1)
    conversation.receive([again, Error(re=id, code="stale_fence", message="lost")])
    assert conversation.deliveries.next() is again
    conversation.refuse_second_claim(7)


def test_a_completion_that_may_be_tried_again_keeps_the_claim() -> None:
    conversation = talk()
    hold(conversation)
    id, _ = ask(conversation, Complete, message=7, fence=1)
    conversation.receive([Error(re=id, code="unavailable", message="stopping")])
    assert conversation.deliveries.fence_held(7) == 1


def test_a_refused_claim_acks_the_offer() -> None:
    conversation = talk()
    conversation.receive([deliver(7, claimable=True)])
    conversation.deliveries.next()
    id, _ = ask(conversation, Claim, message=7)
    written(conversation)
    conversation.receive([Error(re=id, code="claimed", message="claimed by bob")])
    assert written(conversation) == [Ack(messages=[7])]


def next_item(message: int, fence: int = 1) -> StoredMessage:
    return StoredMessage(
        message=message, sender="bob", to="cap:x", body="x", sent_at=1, thread=message, hops=0, claimable=True,
        work=WorkState(state="claimed", fence=fence, attempts=1),
    )  # fmt: skip


def test_a_claim_next_whose_answer_was_lost_is_asked_again_with_what_is_known() -> None:
    conversation = talk()
    hold(conversation)
    next_id, _ = ask(conversation, ClaimNext, n=2, type="review")
    ask(conversation, Claim, message=9)
    ask(conversation, Release, message=8, fence=1)
    written(conversation)
    conversation.lost()
    again, *_ = [frame for frame in go_online(conversation) if isinstance(frame, ClaimNext)]
    assert again == ClaimNext(id=next_id, n=2, type="review", held=[7, 8, 9])


def test_a_claim_next_that_never_left_claimed_nothing() -> None:
    conversation = talk(online=False)
    id, _ = ask(conversation, ClaimNext, n=2)
    assert go_online(conversation) == [ClaimNext(id=id, n=2)]


def test_a_claim_next_that_knows_of_nothing_says_so() -> None:
    conversation = talk()
    id, _ = ask(conversation, ClaimNext)
    written(conversation)
    conversation.lost()
    assert go_online(conversation) == [ClaimNext(id=id, held=[])]


@pytest.mark.parametrize("while_offline", [False, True])
def test_what_an_abandoned_claim_next_won_is_released(while_offline: bool) -> None:
    conversation = talk()
    id, caller = ask(conversation, ClaimNext, n=2)
    written(conversation)
    if while_offline:
        conversation.lost()
        give_up(conversation, id, caller)
    else:
        give_up(conversation, id, caller)
        conversation.lost()
    assert go_online(conversation) == [ClaimNext(id=id, n=2, held=[])]  # only asking again shows what it won
    assert conversation.receive([Ok(re=id, items=[next_item(7), next_item(8, fence=3)])]) == []
    releases = [frame for frame in written(conversation) if isinstance(frame, Release)]
    assert [(frame.message, frame.fence) for frame in releases] == [(7, 1), (8, 3)]


def test_an_abandoned_claim_next_that_never_left_is_dropped() -> None:
    conversation = talk(online=False)
    id, caller = ask(conversation, ClaimNext)
    give_up(conversation, id, caller)
    assert go_online(conversation) == []


def test_of_two_claims_of_one_agent_that_cross_the_first_one_has_it() -> None:
    conversation = talk()
    next_id, _ = ask(conversation, ClaimNext)
    id, by_id = ask(conversation, Claim, message=7)
    answers = conversation.receive([Ok(re=next_id, items=[next_item(7)]), won(id)])
    [(_, first), (caller, second)] = answers
    assert isinstance(first, Ok)
    assert [item.message for item in first.items or []] == [7]
    assert caller is by_id
    assert isinstance(second, Error)
    assert second.code == "claimed"
    assert conversation.deliveries.fence_held(7) == 1


def test_the_answer_to_a_word_about_a_claim_whose_caller_left_still_counts() -> None:
    conversation = talk()
    hold(conversation)
    id, caller = ask(conversation, Progress, message=7, fence=1)
    give_up(conversation, id, caller)
    conversation.receive([Error(re=id, code="finished", message="canceled")])
    assert conversation.deliveries.fence_held(7) is None


def test_a_lost_claim_that_is_told_makes_room_for_the_next_offer() -> None:
    conversation = talk()
    hold(conversation)
    again = deliver(7, claimable=True, attempt=2)
    conversation.receive([Event(event="claim.lost", at=1, message=7, fence=1, state="ready"), again])
    assert conversation.deliveries.next() is again
