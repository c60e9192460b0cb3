import pytest

from relay_client import Replaced, Unreachable
from relay_client.ending import backoff_s, may_try_again, verdict
from relay_proto.errors import BadFrame, RelayError, TooLarge, Unauthorized, Unavailable
from relay_proto.frames import Bye, Error


@pytest.mark.parametrize(("code", "kind"), [(4400, BadFrame), (4401, Unauthorized), (4409, Replaced), (4413, TooLarge)])
def test_some_close_codes_are_final(code: int, kind: type[RelayError]) -> None:
    error = verdict(None, [], code, "because")
    assert isinstance(error, kind)
    assert str(error) == "because"


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1012, 4408, 4429])
def test_after_the_others_the_next_connection_may_follow(code: int | None) -> None:
    assert verdict(Bye(code="going_away"), [], code, "because") is None


def test_the_goodbye_counts_and_its_words_come_first() -> None:
    error = verdict(Bye(code="replaced", message="by i-2"), [], None, "lost")
    assert isinstance(error, Replaced)
    assert str(error) == "by i-2"


def test_the_last_complaint_of_its_kind_says_more_than_the_close() -> None:
    complaints = [Error(code="bad_frame", message="twice"), Error(code="busy", message="no")]
    assert str(verdict(None, complaints, 4400, "bad_frame")) == "twice"


def test_only_what_may_pass_is_tried_again() -> None:
    assert may_try_again(Unreachable("refused"))
    assert may_try_again(Unavailable("starting"))
    assert not may_try_again(Unreachable("no relay", detail={"permanent": True}))
    assert not may_try_again(Unauthorized("no"))


def test_the_backoff_grows_is_jittered_and_has_an_end() -> None:
    for attempt, most in ((0, 0.1), (1, 0.2), (3, 0.8), (7, 10.0), (10_000, 10.0)):
        waits = [backoff_s(attempt) for _ in range(200)]
        assert 0 <= min(waits) < most / 4
        assert most * 3 / 4 < max(waits) <= most
