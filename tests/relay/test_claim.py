"""claim.py: the state table of work and the reasons for saying no."""

import pytest

from relay_proto.errors import Claimed, NotClaimable, NotHolder, StaleFence
from relay_server.claim import (
    ATTEMPTS_MAX,
    BACKOFF_S_MAX,
    TRANSITIONS,
    State,
    after_failure,
    after_silence,
    backoff_s,
    is_repeat,
    why_not_claim,
    why_not_held,
)


def test_only_ready_work_can_be_claimed() -> None:
    assert [state for state, event in TRANSITIONS if event == "claim"] == ["ready"]


def test_what_is_over_stays_over() -> None:
    assert not [state for state, _ in TRANSITIONS if state in ("done", "failed", "buried")]


@pytest.mark.parametrize(("state", "kind"), [("claimed", Claimed), ("delayed", NotClaimable), ("done", NotClaimable)])
def test_a_refused_claim_says_why(state: State, kind: type[Exception]) -> None:
    error = why_not_claim(7, state, "ada")
    assert isinstance(error, kind)
    assert "message 7" in str(error)


def test_an_older_fence_is_stale_whoever_sends_it() -> None:
    for agent in ("ada", "bob"):
        assert isinstance(why_not_held(7, agent, 1, "claimed", 2, "ada"), StaleFence)


def test_the_right_fence_from_another_agent_is_not_the_holders() -> None:
    assert isinstance(why_not_held(7, "bob", 2, "claimed", 2, "ada"), NotHolder)
    assert isinstance(why_not_held(7, "ada", 9, "claimed", 2, "ada"), NotHolder)
    assert isinstance(why_not_held(7, "ada", 2, "ready", 2, "ada"), NotHolder)
    assert why_not_held(7, "ada", 2, "claimed", 2, "ada") is None


def test_backoff_doubles_up_to_its_limit() -> None:
    assert [backoff_s(attempt) for attempt in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert backoff_s(10_000) == BACKOFF_S_MAX


def test_failures_and_silence_are_retried_until_the_attempts_are_used_up() -> None:
    assert after_failure(1, retry=True) == "fail"
    assert after_failure(1, retry=False) == "fail_for_good"
    assert after_failure(ATTEMPTS_MAX, retry=True) == "give_up"
    assert after_silence(ATTEMPTS_MAX - 1) == "expire"
    assert after_silence(ATTEMPTS_MAX) == "give_up"


def test_a_word_that_was_taken_before_is_recognised() -> None:
    assert is_repeat("give_up", "buried")
    assert is_repeat("complete", "done")
    assert not is_repeat("complete", "ready")
    assert is_repeat("release", "ready")
    assert not is_repeat("renew", "ready")
