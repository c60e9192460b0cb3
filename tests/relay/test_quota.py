"""quota.py: what is too fast, what goes round in a circle, and what an inbox has room for."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_proto import limits as wire_limits
from relay_proto.errors import RateLimited
from relay_server.quota import ASKED_S, MEASURED_S, RECENT_S, Limits, Rates, Room, Rooms, inbox_full

# Failures print a @reproduce_failure line; `pytest --hypothesis-seed=N` repeats a whole run.
quick = settings(deadline=None, database=None, print_blob=True)

BOOT = 1_000_000.7
"""Where the clock of these tests begins: a machine that has been up for days, and no round number."""
NONE = Limits(0, 0, 0, 0, 0, 0)


class Talk:
    """Agents that send under these limits, and a clock in the hand."""

    def __init__(self, **set_limits: int) -> None:
        self.rates = Rates(dataclasses.replace(NONE, **set_limits))
        self.now = BOOT

    def direct(self, sender: str, to: str, is_human: bool = False) -> RateLimited | None:
        return self.rates.refusal(sender, to, False, is_human, self.now)

    def group(self, sender: str) -> RateLimited | None:
        return self.rates.refusal(sender, None, True, False, self.now)

    def exchanges(self, count: int, one: str = "ada", other: str = "bob") -> int:
        """How many of `count` exchanges go through before one is refused. The first message is none yet."""
        self.direct(other, one)
        for done in range(count):
            if self.direct(*((one, other) if done % 2 == 0 else (other, one))) is not None:
                return done
        return count


# -- defaults --------------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_documents() -> None:
    assert Limits() == Limits(100_000, 10, 30, 16, 10_000, 64 * 1024 * 1024)
    assert Limits().hops_max == wire_limits.HOPS_MAX


def test_no_quota_holds_when_all_are_off() -> None:
    talk = Talk()
    assert [talk.direct("ada", "bob") or talk.direct("bob", "ada") or talk.group("ada") for _ in range(999)] == (
        [None] * 999
    )
    assert len(talk.rates) == 0


# -- send rate and group rate ----------------------------------------------------------------------------------------


def test_a_sender_may_send_a_seconds_worth_at_once_and_then_waits_for_each() -> None:
    talk = Talk(send_per_s=100)
    assert all(talk.direct("ada", "bob") is None for _ in range(100))
    refused = talk.direct("ada", "bob")
    assert isinstance(refused, RateLimited)
    assert refused.detail == {"code": "send_rate", "limit": 100}
    assert refused.retry_after_s == 0.010
    assert "ada" in str(refused)
    assert "send_per_s is 100" in str(refused)
    assert "0.01 s" in str(refused)
    assert talk.direct("cyd", "bob") is None  # each sender has its own


def test_group_sends_have_a_limit_of_their_own_and_direct_ones_do_not_count() -> None:
    talk = Talk(group_per_minute=10)
    assert all(talk.direct("ada", "bob") is None for _ in range(100))
    assert all(talk.group("ada") is None for _ in range(10))
    refused = talk.group("ada")
    assert refused is not None
    assert refused.detail == {"code": "group_rate", "limit": 10}
    assert refused.retry_after_s == 6.0
    assert "group_per_minute is 10" in str(refused)
    assert talk.direct("ada", "bob") is None
    assert talk.group("bob") is None


def test_a_token_is_back_after_its_share_of_the_minute_and_not_a_moment_earlier() -> None:
    talk = Talk(group_per_minute=10)
    for _ in range(10):
        talk.group("ada")
    talk.now = BOOT + 5.998
    refused = talk.group("ada")
    assert refused is not None
    assert refused.retry_after_s == 0.002
    talk.now = BOOT + 6.0
    assert talk.group("ada") is None
    assert talk.group("ada") is not None
    talk.now = BOOT + 6.0 + 60.0
    assert [talk.group("ada") is None for _ in range(11)] == [True] * 10 + [False]


@quick
@given(
    st.integers(1, 500),
    st.floats(0, 1e7),
    st.lists(st.one_of(st.just(0.0), st.floats(0, 90), st.just("wait")), min_size=1, max_size=80),
)
def test_in_no_time_more_gets_through_than_a_full_bucket_and_what_flowed_into_it(
    limit: int, boot: float, steps: list[float | str]
) -> None:
    rates = Rates(dataclasses.replace(NONE, group_per_minute=limit))
    now, retry_at = boot, None
    sent: list[float] = []
    for step in steps:
        if step == "wait":
            now = retry_at or now
        else:
            assert isinstance(step, float)
            now += step
        for _ in range(40):
            refused = rates.refusal("ada", None, True, False, now)
            if refused is None:
                sent.append(now)
                retry_at = None
                continue
            assert refused.retry_after_s is not None
            assert retry_at is None or now < retry_at
            assert rates.refusal("ada", None, True, False, now + refused.retry_after_s - 0.0011) is not None
            retry_at = now + refused.retry_after_s
            break
    for number, at in enumerate(sent):
        room = limit + (sent[-1] - at) * limit / 60
        assert len(sent) - number <= room + 1e-3


def test_a_refused_message_takes_no_token_of_any_quota() -> None:
    talk = Talk(send_per_s=20, group_per_minute=10)
    assert all(talk.group("ada") is None for _ in range(10))
    assert all(talk.group("ada") is not None for _ in range(50))
    assert all(talk.direct("ada", "bob") is None for _ in range(10))
    refused = talk.group("ada")  # both are used up: the first one speaks
    assert refused is not None
    assert refused.detail["code"] == "send_rate"
    talk.now += 6.0
    assert talk.group("ada") is None  # and what was refused has not put off the next token

    talk = Talk(send_per_s=10, pair_per_minute=5)
    assert talk.exchanges(9) == 5
    assert all(talk.direct("bob", "ada") is not None for _ in range(50))
    assert all(talk.direct("bob", "cyd") is None for _ in range(7))  # 3 of its 10 went to ada


# -- the pair --------------------------------------------------------------------------------------------------------


def test_two_agents_may_go_back_and_forth_so_often_a_minute_and_then_wait() -> None:
    talk = Talk(pair_per_minute=30)
    assert talk.exchanges(99) == 30
    refused = talk.direct("ada", "bob")
    assert refused is not None
    assert refused.detail == {"code": "pair_rate", "limit": 30, "with": "bob"}
    assert refused.retry_after_s == 2.0
    assert "ada and bob" in str(refused)
    assert "pair_per_minute is 30" in str(refused)
    talk.now += 1.998
    assert talk.direct("ada", "bob") is not None
    talk.now = BOOT + 2.0
    assert talk.direct("ada", "bob") is None
    refused = talk.direct("bob", "ada")
    assert refused is not None
    assert refused.detail["with"] == "ada"


def test_a_stream_in_one_direction_is_no_loop() -> None:
    talk = Talk(pair_per_minute=1)
    assert all(talk.direct("ada", "bob") is None for _ in range(1000))
    assert talk.direct("bob", "ada") is None
    assert all(talk.direct("bob", "ada") is None for _ in range(1000))
    assert talk.direct("ada", "bob") is not None
    assert talk.direct("bob", "ada") is None  # the refused one has turned nothing round
    assert all(talk.direct("cyd", "cyd") is None for _ in range(100))


def test_silence_saves_up_no_more_than_a_minutes_exchanges() -> None:
    talk = Talk(pair_per_minute=4)
    assert talk.exchanges(2) == 2
    talk.now += 3600.0
    assert talk.exchanges(9) == 4


def test_each_pair_has_its_own_number() -> None:
    talk = Talk(pair_per_minute=4)
    assert talk.exchanges(9, "ada", "bob") == 4
    assert talk.exchanges(9, "ada", "cyd") == 4
    assert talk.exchanges(9, "cyd", "bob") == 4


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_progress_of_either_lets_the_two_go_on(who: str) -> None:
    talk = Talk(pair_per_minute=4)
    assert talk.exchanges(4) == 4
    assert talk.direct("ada", "bob") is not None
    talk.rates.progress(who, talk.now)
    assert talk.direct("ada", "bob") is None
    assert talk.direct("bob", "ada") is None
    assert talk.direct("ada", "bob") is None
    assert talk.direct("bob", "ada") is None
    assert talk.direct("ada", "bob") is not None  # once, also when all of it happens at one time


def test_progress_of_others_or_of_before_changes_nothing() -> None:
    talk = Talk(pair_per_minute=4)
    talk.rates.progress("ada", talk.now)
    assert talk.exchanges(9) == 4
    talk.rates.progress("cyd", talk.now)
    assert talk.direct("ada", "bob") is not None


def test_progress_frees_all_pairs_of_the_agent() -> None:
    talk = Talk(pair_per_minute=4)
    others = [f"agent-{number}" for number in range(20)]
    assert all(talk.exchanges(9, "ada", other) == 4 for other in others)
    talk.rates.progress("ada", talk.now)
    assert all(talk.direct("ada", other) is None for other in others)


def test_a_person_is_not_slowed_and_its_word_is_progress() -> None:
    talk = Talk(pair_per_minute=4)
    for _ in range(100):
        assert talk.direct("eve", "ada", is_human=True) is None
        assert talk.direct("ada", "eve") is None
    assert talk.exchanges(4) == 4
    assert talk.direct("ada", "bob") is not None
    assert talk.direct("eve", "bob", is_human=True) is None
    assert talk.direct("ada", "bob") is None


def test_a_persons_word_that_was_refused_is_no_progress() -> None:
    talk = Talk(pair_per_minute=4, send_per_s=10)
    assert talk.exchanges(4) == 4
    assert all(talk.direct("eve", "cyd", is_human=True) is None for _ in range(10))
    assert talk.direct("eve", "ada", is_human=True) is not None
    assert talk.direct("ada", "bob") is not None


# -- memory ----------------------------------------------------------------------------------------------------------


def test_who_has_not_spoken_for_minutes_is_forgotten() -> None:
    talk = Talk(send_per_s=10, group_per_minute=10, pair_per_minute=10)
    for number in range(1000):
        talk.direct(f"agent-{number}", "ada")
        talk.group(f"agent-{number}")
        talk.rates.progress(f"agent-{number}", talk.now)
    assert len(talk.rates) == 4000
    talk.rates.forget(talk.now)
    talk.now += RECENT_S
    talk.direct("bob", "ada")
    talk.rates.forget(talk.now)
    assert len(talk.rates) == 2
    talk.rates.forget(talk.now)
    assert len(talk.rates) == 2
    talk.now += RECENT_S
    talk.rates.forget(talk.now)
    assert len(talk.rates) == 0


def test_who_has_used_up_its_minute_is_remembered_until_it_is_over() -> None:
    talk = Talk(group_per_minute=1, pair_per_minute=1)
    assert talk.group("ada") is None
    assert talk.exchanges(1, "ada", "bob") == 1
    for silence_s in range(0, 60, 4):
        talk.now = BOOT + silence_s
        talk.rates.forget(talk.now)
    assert talk.rates.refusal("ada", None, True, False, BOOT + 59.9) is not None
    assert talk.rates.refusal("bob", "ada", False, False, BOOT + 59.9) is not None


@pytest.mark.parametrize("every_s", [0.1, 20.0, RECENT_S])
def test_forgetting_gives_nobody_a_token(every_s: float) -> None:
    """The same messages with and without a reaper that forgets: the same ones are refused."""
    forgetful, other = (Talk(send_per_s=1, group_per_minute=2, pair_per_minute=3) for _ in range(2))
    next_forget = BOOT
    for step in range(4000):
        now = forgetful.now = other.now = BOOT + step * 0.4
        if now >= next_forget:
            forgetful.rates.forget(now)
            next_forget += every_s
        if step % 601 == 0:
            forgetful.rates.progress("ada", now)
            other.rates.progress("ada", now)
        if step % 3 == 0:
            assert (forgetful.group("ada") is None) == (other.group("ada") is None)
        else:
            ends = ("ada", "bob") if step % 2 else ("bob", "ada")
            assert (forgetful.direct(*ends) is None) == (other.direct(*ends) is None)


# -- inboxes ---------------------------------------------------------------------------------------------------------


def rooms(messages_max: int = 0, bytes_max: int = 0) -> Rooms:
    return Rooms(dataclasses.replace(NONE, inbox_messages_max=messages_max, inbox_bytes_max=bytes_max))


def test_without_limits_there_is_always_room_and_nothing_is_kept() -> None:
    unbounded = rooms()
    assert all(unbounded.take("ada", 10**12, BOOT) is Room.OK for _ in range(100))
    assert len(unbounded) == 0


def test_an_inbox_that_is_not_known_is_measured_and_then_counted_in_memory() -> None:
    inboxes = rooms(messages_max=5)
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    inboxes.measured("ada", 2, 2, BOOT)
    inboxes.measured("ada", 3, 3, BOOT)
    assert inboxes.take("ada", 1, BOOT) is Room.OK
    assert inboxes.take("ada", 1, BOOT) is Room.OK
    assert inboxes.held("ada") == (5, 5)
    assert inboxes.held("bob") == (0, 0)
    assert inboxes.take("bob", 1, BOOT) is Room.MEASURE


def test_at_the_bound_the_store_is_asked_once_a_second_and_in_between_memory_refuses() -> None:
    inboxes = rooms(messages_max=5)
    inboxes.measured("ada", 5, 5, BOOT)
    assert inboxes.take("ada", 1, BOOT) is Room.FULL
    assert inboxes.take("ada", 1, BOOT + MEASURED_S - 0.001) is Room.FULL
    assert inboxes.take("ada", 1, BOOT + MEASURED_S) is Room.MEASURE
    inboxes.measured("ada", 5, 5, BOOT + MEASURED_S)
    assert inboxes.take("ada", 1, BOOT + MEASURED_S) is Room.FULL


def test_the_last_message_that_fits_is_let_in_and_the_next_is_not() -> None:
    by_count = rooms(messages_max=5)
    by_count.measured("ada", 4, 4, BOOT)
    assert by_count.take("ada", 1, BOOT) is Room.OK
    assert by_count.take("ada", 1, BOOT) is Room.FULL
    by_size = rooms(bytes_max=100)
    by_size.measured("ada", 1, 90, BOOT)
    assert by_size.take("ada", 11, BOOT) is Room.FULL
    assert by_size.take("ada", 10, BOOT) is Room.OK
    assert by_size.take("ada", 1, BOOT) is Room.FULL
    assert by_size.take("ada", 0, BOOT) is Room.OK


def test_what_was_acked_makes_room_at_once() -> None:
    inboxes = rooms(messages_max=5)
    inboxes.measured("ada", 5, 5, BOOT)
    inboxes.acked("ada", 2)
    assert [inboxes.take("ada", 1, BOOT) for _ in range(3)] == [Room.OK, Room.OK, Room.FULL]
    inboxes.acked("bob", 1)
    assert inboxes.take("bob", 1, BOOT) is Room.MEASURE
    inboxes.acked("bob", 1)
    assert inboxes.take("bob", 1, BOOT) is Room.MEASURE


def test_an_inbox_whose_acks_may_have_freed_bytes_is_measured_and_not_refused() -> None:
    inboxes = rooms(bytes_max=100)
    inboxes.measured("ada", 2, 100, BOOT)
    assert inboxes.take("ada", 10, BOOT) is Room.FULL
    inboxes.acked("ada", 1)
    assert inboxes.take("ada", 10, BOOT) is Room.MEASURE
    inboxes.measured("ada", 2, 60, BOOT)
    assert inboxes.take("ada", 40, BOOT) is Room.OK
    assert inboxes.take("ada", 1, BOOT) is Room.FULL


def test_an_ack_of_nothing_makes_no_room() -> None:
    inboxes = rooms(bytes_max=100)
    inboxes.measured("ada", 2, 100, BOOT)
    inboxes.acked("ada", 0)
    assert inboxes.take("ada", 10, BOOT) is Room.FULL


def test_no_ack_makes_more_room_than_there_is() -> None:
    inboxes = rooms(messages_max=2)
    inboxes.measured("ada", 1, 1, BOOT)
    inboxes.acked("ada", 3)
    assert [inboxes.take("ada", 1, BOOT) for _ in range(3)] == [Room.OK, Room.OK, Room.FULL]


def test_a_consumer_that_keeps_up_is_never_measured_again() -> None:
    inboxes = rooms(messages_max=5, bytes_max=100)
    inboxes.measured("ada", 0, 0, BOOT)
    for _ in range(100):
        assert inboxes.take("ada", 60, BOOT) is Room.OK
        inboxes.acked("ada", 1)


def test_what_came_while_a_measure_was_under_way_is_not_lost_from_the_count() -> None:
    inboxes = rooms(messages_max=5)
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    inboxes.measured("ada", 1, 1, BOOT)  # the second is still to come
    assert inboxes.held("ada") == (2, 2)
    assert inboxes.take("ada", 1, BOOT) is Room.OK
    inboxes.measured("ada", 2, 2, BOOT)  # found before the third was there
    assert inboxes.held("ada") == (3, 3)
    inboxes.measured("ada", 3, 3, BOOT)
    assert inboxes.held("ada") == (3, 3)


def test_a_bound_that_may_count_what_was_refused_is_measured_and_refuses_nobody() -> None:
    inboxes = rooms(messages_max=3, bytes_max=100)
    inboxes.measured("ada", 2, 90, BOOT)
    inboxes.acked("ada", 1)
    assert inboxes.take("ada", 50, BOOT) is Room.MEASURE
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    inboxes.measured("ada", 1, 80, BOOT)  # no room for the 50
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE
    inboxes.measured("ada", 2, 81, BOOT)
    inboxes.measured("ada", 3, 82, BOOT)
    inboxes.measured("ada", 3, 82, BOOT)  # nothing is under way any more
    assert inboxes.take("ada", 1, BOOT) is Room.FULL


@pytest.mark.parametrize(("asked_again_s", "found"), [(ASKED_S - 0.001, 3), (ASKED_S, 2)])
def test_a_measure_that_never_comes_is_given_up_after_a_minute(asked_again_s: float, found: int) -> None:
    inboxes = rooms(messages_max=3)
    assert inboxes.take("ada", 1, BOOT) is Room.MEASURE  # a repeat: the store answers it without looking
    assert inboxes.take("ada", 1, BOOT + asked_again_s) is Room.MEASURE
    inboxes.measured("ada", 2, 2, BOOT + asked_again_s)
    assert inboxes.held("ada") == (found, found)  # at most: one may be still to come
    assert inboxes.take("ada", 1, BOOT + asked_again_s) is (Room.OK if found == 2 else Room.MEASURE)


def test_what_came_in_unasked_is_counted_where_the_inbox_is_known() -> None:
    inboxes = rooms(messages_max=2)
    inboxes.added("bob", 1)
    assert len(inboxes) == 0
    inboxes.measured("ada", 1, 1, BOOT)
    inboxes.added("ada", 9)
    assert inboxes.held("ada") == (2, 10)
    assert inboxes.take("ada", 1, BOOT) is Room.FULL


@quick
@given(st.data())
def test_memory_never_lets_one_message_too_many_in(data: st.DataObject) -> None:
    """Against a store that decides in order, and whose answers come when the next turn is already being asked for."""
    messages_max, bytes_max = data.draw(st.sampled_from([(3, 0), (0, 30), (4, 30)]))
    inboxes, now = rooms(messages_max, bytes_max), BOOT
    inbox: list[int] = []
    ahead: list[tuple[str, int]] = []
    answers: list[tuple[str, int, int]] = []

    def decide(kind: str, size: int) -> None:
        if kind == "ack":
            answers.append(("ack", len(inbox[:1]), 0))
            del inbox[:1]
            return
        has_room = len(inbox) < (messages_max or 999) and sum(inbox) + size <= (bytes_max or 999)
        assert has_room or kind != "OK"
        if has_room:
            inbox.append(size)
        if kind == "MEASURE":
            answers.append((kind, len(inbox), sum(inbox)))

    for _ in range(data.draw(st.integers(1, 60))):
        now += data.draw(st.sampled_from([0.0, 0.0, 0.5] if ahead or answers else [0.0, MEASURED_S, RECENT_S]))
        match data.draw(st.sampled_from(["send", "send", "send", "repeat", "ack", "turn", "answer", "forget"])):
            case "send":
                size = data.draw(st.integers(0, 12))
                room = inboxes.take("ada", size, now)
                ahead += [(room.name, size)] if room is not Room.FULL else []
            case "repeat":  # the store finds its key and looks at nothing else
                inboxes.take("ada", data.draw(st.integers(0, 12)), now)
            case "ack":
                ahead.append(("ack", 0))
            case "turn" if not answers:
                for kind, size in ahead:
                    decide(kind, size)
                ahead.clear()
            case "answer":
                for kind, count, size in answers:
                    if kind == "ack":
                        inboxes.acked("ada", count)
                    else:
                        inboxes.measured("ada", count, size, now)
                answers.clear()
            case "forget" if not ahead and not answers:
                inboxes.forget(now)


def test_inboxes_that_nobody_writes_to_are_forgotten_and_measured_when_somebody_does() -> None:
    inboxes = rooms(messages_max=5)
    for number in range(100):
        inboxes.measured(f"agent-{number}", 1, 1, BOOT)
    inboxes.forget(BOOT)
    assert inboxes.take("agent-7", 1, BOOT + RECENT_S) is Room.OK
    inboxes.forget(BOOT + RECENT_S)
    assert len(inboxes) == 1
    assert inboxes.take("agent-7", 1, BOOT + RECENT_S) is Room.OK
    assert inboxes.take("agent-8", 1, BOOT + RECENT_S) is Room.MEASURE


def test_a_full_inbox_is_refused_with_its_name_its_numbers_and_their_limits() -> None:
    error = rooms(messages_max=5, bytes_max=100).inbox_full("ada", 4, 99)
    assert error.code == "inbox_full"
    assert error.retry_after_s == 1.0
    assert error.detail == {"agent": "ada", "messages": 4, "messages_max": 5, "bytes": 99, "bytes_max": 100}
    for part in ("ada", "4 messages (the limit is 5)", "99 bytes (the limit is 100)"):
        assert part in str(error)
    assert str(inbox_full("ada", 4, 99, (5, 100))) == str(error)
    assert "99 bytes (no limit)" in str(inbox_full("ada", 5, 99, (5, 0)))
