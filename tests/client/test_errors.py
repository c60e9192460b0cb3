from relay_client.errors import (
    NOT_DONE,
    ClaimLost,
    Replaced,
    ReplyOverdue,
    ReplyRefused,
    TaskFailed,
    TaskNotDone,
    Unreachable,
    reason_for,
    refused,
    same_again,
)
from relay_proto.errors import BadRequest, NotHolder, RelayError, TooLarge
from relay_proto.frames import FieldRefused


def test_a_copy_of_an_error_says_the_same_and_is_another_object() -> None:
    error = RelayError("wait", code="new_code", retry_after_s=2.0, detail={"a": 1})
    copy = same_again(error)
    assert copy is not error
    assert (type(copy), copy.message, copy.code) == (RelayError, "wait", "new_code")
    assert (copy.retry_after_s, copy.detail) == (2.0, {"a": 1})
    assert isinstance(same_again(Replaced("gone")), Replaced)


def test_only_unreachable_is_worth_another_try() -> None:
    assert Unreachable.retryable
    assert not Replaced.retryable


def test_an_overdue_reply_is_a_timeout_and_a_typed_error() -> None:
    error = ReplyOverdue("no reply", detail={"message": 41, "agent": "bob", "stage": "pushed", "status_at": 5})
    assert isinstance(error, TimeoutError)
    assert (str(error), error.code, error.message) == ("no reply", "reply_overdue", "no reply")
    assert (error.ask, error.agent, error.stage, error.stage_at) == (41, "bob", "pushed", None)
    assert (error.status, error.status_at) == (None, 5)
    copy = same_again(error)
    assert isinstance(copy, ReplyOverdue)
    assert (str(copy), copy.agent) == ("no reply", "bob")


def test_a_refused_reply_says_who_and_why() -> None:
    error = ReplyRefused("no", detail={"message": 41, "agent": "bob", "stage": "nacked", "reason": "not mine"})
    assert (error.ask, error.agent, error.stage, error.reason) == (41, "bob", "nacked", "not mine")


def test_a_task_that_was_not_done_says_which_how_and_why() -> None:
    detail = {"message": 41, "state": "failed", "reason": "no disk"}
    error = same_again(TaskFailed("it failed", detail=detail))
    assert isinstance(error, TaskNotDone)
    assert (error.task, error.state, error.reason, error.code) == (41, "failed", "no disk", "task_failed")
    assert {state: kind.code for state, kind in NOT_DONE.items()} == {
        "failed": "task_failed", "canceled": "task_canceled", "buried": "task_buried", "superseded": "task_superseded",
    }  # fmt: skip


def test_a_lost_claim_is_one_that_is_not_held() -> None:
    error = ClaimLost("lost", detail={"message": 41, "fence": 3, "reason": "silence"})
    assert isinstance(error, NotHolder)
    assert (error.task, error.fence, error.reason, error.code) == (41, 3, "silence", "claim_lost")


def test_a_reason_is_type_and_text_within_its_limit() -> None:
    assert reason_for(ValueError("boom"), 100) == "ValueError: boom"
    assert reason_for(ValueError("x" * 100), 20) == "ValueError: xxxxxxxx"
    assert reason_for(ValueError("\ud800"), 100) == "ValueError: ?"


def test_what_a_frame_refuses_becomes_the_error_of_its_kind() -> None:
    assert isinstance(refused("send", FieldRefused(TooLarge, "body is 9 bytes")), TooLarge)
    assert str(refused("send", TypeError("unexpected"))) == "send: unexpected"
    assert isinstance(refused("send", TypeError("unexpected")), BadRequest)
