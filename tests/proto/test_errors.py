import inspect

import pytest

from relay_proto import errors
from relay_proto.errors import ERRORS, Claimed, CloseCode, RateLimited, RelayError, error_for


def test_the_table_has_the_contract_s_codes_in_its_order() -> None:
    assert " ".join(ERRORS) == (
        "bad_frame bad_request unknown_op unauthorized forbidden not_registered unknown_agent ambiguous_target "
        "unknown_message key_conflict claimed stale_fence not_holder not_claimable finished dependency_cycle busy "
        "unknown_pair not_active unknown_token rate_limited hop_limit deadlock inbox_full too_large pointless_ack "
        "expired storage_full unavailable internal"
    )


def test_every_exception_of_the_module_is_in_the_table() -> None:
    defined = {kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, RelayError)} - {
        RelayError
    }
    assert defined == set(ERRORS.values())


@pytest.mark.parametrize("code", ERRORS)
def test_each_code_gives_its_own_exception_with_a_meaning_of_its_own(code: str) -> None:
    error = error_for(code, "what was wrong")
    assert type(error) is ERRORS[code]
    assert error.code == code
    assert error.meaning
    assert error.meaning != RelayError.meaning


def test_exactly_these_may_be_retried() -> None:
    assert {code for code, kind in ERRORS.items() if kind.retryable} == {
        "rate_limited", "inbox_full", "storage_full", "unavailable",
    }  # fmt: skip


def test_an_error_carries_what_it_was_given() -> None:
    error = error_for("rate_limited", "too fast", retry_after_s=1.5, detail={"limit": 10})
    assert isinstance(error, RateLimited)
    assert (str(error), error.message, error.retry_after_s, error.detail) == (
        "too fast",
        "too fast",
        1.5,
        {"limit": 10},
    )
    assert error.retryable


def test_a_code_of_a_newer_relay_is_kept_in_a_plain_error() -> None:
    error = error_for("of_tomorrow", "new")
    assert type(error) is RelayError
    assert error.code == "of_tomorrow"
    assert not error.retryable
    assert RelayError.code == "internal"


def test_errors_do_not_share_their_details() -> None:
    first, second = Claimed("a"), Claimed("b")
    first.detail["holder"] = "x"
    assert second.detail == {}


def test_an_error_shows_its_text_and_code() -> None:
    assert repr(Claimed("message 7 is claimed")) == "Claimed('message 7 is claimed', code='claimed')"


def test_close_codes_are_the_contract_s() -> None:
    assert {name: code for name, code in vars(CloseCode).items() if name.isupper()} == {
        "GOING_AWAY": 1001,
        "UNSUPPORTED_DATA": 1003,
        "RESTART": 1012,
        "BAD_FRAME": 4400,
        "UNAUTHORIZED": 4401,
        "REGISTER_TIMEOUT": 4408,
        "REPLACED": 4409,
        "REMOVED": 4410,
        "TOO_LARGE": 4413,
        "FLOODING": 4429,
    }
