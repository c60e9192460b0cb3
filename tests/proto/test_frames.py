import inspect

import msgspec
import pytest

from relay_proto import answers, fields, frames, records, requests, work
from relay_proto.frames import Frame, Request
from tests.proto.frame_strategies import CLIENT_FRAMES, RELAY_FRAMES

ALL_FRAMES = tuple(dict.fromkeys((*CLIENT_FRAMES, *RELAY_FRAMES)))


def op_of(kind: type[Frame]) -> str:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def test_each_op_is_the_contract_s_word_for_it() -> None:
    assert {op_of(kind) for kind in CLIENT_FRAMES} == {
        "register", "update", "heartbeat", "bye", "send", "ack", "nack", "receipts",
        "submit", "claim", "claim_next", "renew", "progress", "park", "resume", "release", "complete", "fail",
        "cancel", "kick", "resolve", "check", "tasks", "task",
        "agents", "inbox", "message", "thread", "owed", "forgive", "why", "overview",
        "subscribe", "unsubscribe", "withdraw", "remove",
        "pair_open", "pair_accept", "pair_reject", "pair_send", "pair_hangup", "pairs", "pair",
        "token_create", "tokens", "token_revoke",
    }  # fmt: skip
    assert {op_of(kind) for kind in RELAY_FRAMES} == {"ok", "error", "deliver", "event", "bye"}


def test_every_frame_that_is_defined_can_be_sent_by_someone() -> None:
    defined = {
        kind
        for kind in vars(frames).values()
        if inspect.isclass(kind) and issubclass(kind, Frame) and kind not in (Frame, Request)
    }
    assert defined == set(ALL_FRAMES)


@pytest.mark.parametrize("kind", CLIENT_FRAMES, ids=op_of)
def test_each_frame_is_answered_except_the_three_that_may_go_without(kind: type[Frame]) -> None:
    unanswered = {"ack", "nack", "heartbeat", "bye"}
    assert issubclass(kind, Request) is (op_of(kind) not in unanswered)
    if issubclass(kind, Request):
        [field] = [field for field in msgspec.structs.fields(kind) if field.name == "id"]
        assert field.required


@pytest.mark.parametrize("kind", ALL_FRAMES, ids=op_of)
def test_times_end_in_at_and_durations_in_s(kind: type[Frame]) -> None:
    for field in msgspec.structs.fields(kind):
        if field.name.endswith("_at"):
            assert field.type in (int, int | None), field.name
        if field.name.endswith("_s"):
            assert "float" in str(field.type), field.name


@pytest.mark.parametrize("kind", ALL_FRAMES, ids=op_of)
def test_frames_are_slotted_and_documented(kind: type[Frame]) -> None:
    assert not kind.__struct_config__.dict
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__ + "(")


def test_frames_gives_every_frame_and_record_of_the_wire_under_one_roof() -> None:
    for module in (requests, work, answers, records):
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                assert vars(frames)[name] is value
    assert frames.FieldRefused is fields.FieldRefused


def test_no_two_frames_of_one_side_have_the_same_op() -> None:
    for kinds in (CLIENT_FRAMES, RELAY_FRAMES):
        assert len({op_of(kind) for kind in kinds}) == len(kinds)
