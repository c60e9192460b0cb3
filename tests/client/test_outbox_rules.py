from typing import Any

import pytest

from relay_client.outbox_rules import (
    FAULTS_MAX,
    RETRY_S_MAX,
    Next,
    is_same,
    leaving,
    read_send,
    rest_of_delay_s,
    rest_of_ttl_s,
    retry_s,
    what_next,
)
from relay_proto import codec
from relay_proto.errors import ERRORS, BadFrame, BadRequest, Expired, RateLimited, RelayError
from relay_proto.fields import QUEUED_HEADER
from relay_proto.frames import Send, StoredMessage

T0 = 1_700_000_000_000


def send(**fields: Any) -> Send:
    given: dict[str, Any] = {"id": 0, "to": "bob", "body": "x", "key": "k"}
    return Send(**(given | fields))


def test_what_leaves_says_when_it_was_sent() -> None:
    frame = leaving(send(headers={"a": "b"}), 7, T0, T0 + 5000)
    assert (frame.id, frame.key, frame.headers) == (7, "k", {"a": "b", QUEUED_HEADER: str(T0)})


def test_a_ttl_counts_from_the_send() -> None:
    assert rest_of_ttl_s(60, T0, T0) == 60
    assert rest_of_ttl_s(60, T0, T0 + 59_000) == 1
    assert rest_of_ttl_s(60, T0, T0 + 59_999) == pytest.approx(0.001)
    assert rest_of_ttl_s(60, T0, T0 + 60_000) is None
    assert leaving(send(ttl_s=60), 1, T0, T0 + 45_000).ttl_s == 15


def test_a_ttl_that_is_over_is_said_so() -> None:
    with pytest.raises(Expired, match=r"ttl_s was 60; it was over after 61\.000 s"):
        leaving(send(ttl_s=60), 1, T0, T0 + 61_000)


def test_a_delay_counts_from_the_send_and_is_never_negative() -> None:
    assert rest_of_delay_s(60, T0, T0 + 20_000) == 40
    assert rest_of_delay_s(60, T0, T0 + 90_000) == 0
    assert leaving(send(delay_s=60), 1, T0, T0 + 20_000).delay_s == 40
    assert leaving(send(delay_s=60), 1, T0, T0 + 90_000).delay_s is None


@pytest.mark.parametrize("waited_ms", [0, 1, 59_999, 60_000, 89_998])
def test_a_ttl_behind_a_delay_stays_behind_it(waited_ms: int) -> None:
    codec.encode_checked(leaving(send(delay_s=60, ttl_s=90), 1, T0, T0 + waited_ms))


def test_a_clock_that_was_set_back_makes_nothing_longer() -> None:
    frame = leaving(send(ttl_s=60, delay_s=10), 1, T0, T0 - 3_600_000)
    assert (frame.ttl_s, frame.delay_s) == (60, 10)


def test_the_stamp_counts_as_a_header() -> None:
    headers = {f"h{i}": "x" for i in range(32)}
    with pytest.raises(BadRequest, match="headers"):
        codec.encode_checked(leaving(send(headers=headers), 1, T0, T0))
    codec.encode_checked(send(headers=headers))


STORED: dict[str, Any] = {
    "message": 1,
    "sender": "alice",
    "to": "bob",
    "body": "x",
    "sent_at": 1,
    "thread": 1,
    "hops": 0,
}


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({}, {}),
        ({"ttl_s": 5, "delay_s": 2}, {"expires_at": 99}),
        ({}, {"headers": {QUEUED_HEADER: "1"}}),
        ({"headers": {"a": "b"}}, {"headers": {"a": "b", QUEUED_HEADER: "1"}}),
        ({"headers": {QUEUED_HEADER: "7"}}, {"headers": {QUEUED_HEADER: "1"}}),
        ({"subject": "s", "priority": 9}, {"subject": "s", "priority": 9}),
        ({}, {"channel": "c", "priority": 4, "reply_to": 5}),
    ],
)
def test_a_stored_message_is_the_same_whatever_it_had_waited(fields: dict[str, Any], stored: dict[str, Any]) -> None:
    assert is_same(send(**fields), StoredMessage(**(STORED | stored)))


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({}, {"body": "y"}),
        ({}, {"body": b"x"}),
        ({}, {"to": "carol"}),
        ({}, {"claimable": True}),
        ({}, {"headers": {"a": "b"}}),
        ({"headers": {"a": "b"}}, {}),
        ({"subject": "s"}, {}),
        ({"channel": "c"}, {"channel": "d"}),
        ({"reply_to": 1}, {"reply_to": 2}),
        ({"priority": 0}, {"priority": 4}),
        ({"type": "review"}, {}),
        ({"severity": "error"}, {"severity": "info"}),
    ],
)
def test_a_stored_message_with_another_content_is_another(fields: dict[str, Any], stored: dict[str, Any]) -> None:
    assert not is_same(send(**fields), StoredMessage(**(STORED | stored)))


@pytest.mark.parametrize("code", ERRORS)
def test_only_what_may_pass_keeps_the_line_waiting(code: str) -> None:
    error = ERRORS[code]("no")
    again = code in {"rate_limited", "inbox_full", "storage_full", "unavailable", "internal"}
    assert what_next(error, 0) is (Next.AGAIN if again else Next.REFUSED)


def test_a_fault_of_the_relay_is_met_a_few_times_and_then_put_aside() -> None:
    error = ERRORS["internal"]("oh")
    assert [what_next(error, i) for i in (0, FAULTS_MAX - 1)] == [Next.AGAIN] * 2
    assert what_next(error, FAULTS_MAX) is Next.REFUSED


def test_a_code_of_a_newer_relay_waits_only_when_it_says_how_long() -> None:
    assert what_next(RelayError("no", code="moon_phase"), 0) is Next.REFUSED
    assert what_next(RelayError("no", code="moon_phase", retry_after_s=3), 0) is Next.AGAIN


def test_the_relay_says_when_to_try_again_else_the_wait_doubles_up_to_a_bound() -> None:
    assert retry_s(RateLimited("no", retry_after_s=7.5), 9) == 7.5
    assert retry_s(RateLimited("no", retry_after_s=-1), 0) == 0
    assert [retry_s(RateLimited("no"), i) for i in (0, 1, 2)] == [1, 2, 4]
    assert retry_s(RateLimited("no"), 10_000) == RETRY_S_MAX


@pytest.mark.parametrize("body", ["text", b"\0bytes"])
def test_a_send_is_read_back_as_it_was_kept(body: str | bytes) -> None:
    frame = send(body=body, headers={"a": "b"}, ttl_s=1.5)
    assert read_send(codec.encode_frame(frame)) == frame


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x81\xa2op\xa3bye"])
def test_what_is_no_send_is_said_so(data: bytes) -> None:
    with pytest.raises(BadFrame, match="no send"):
        read_send(data)
