import msgspec
import pytest

from relay_proto.base import Frame, Request
from relay_proto.frames import Heartbeat, Owed


def test_a_frames_op_is_its_tag_and_no_field() -> None:
    assert msgspec.to_builtins(Heartbeat()) == {"op": "heartbeat"}
    assert Frame.__struct_config__.tag_field == "op"


def test_a_field_at_its_default_stays_off_the_wire() -> None:
    assert msgspec.to_builtins(Owed(id=1)) == {"op": "owed", "id": 1}
    assert msgspec.to_builtins(Owed(id=1, agent="a")) == {"op": "owed", "id": 1, "agent": "a"}


def test_a_request_needs_an_id() -> None:
    with pytest.raises(TypeError, match="id"):
        Owed()  # type: ignore[call-arg]
    assert [field.name for field in msgspec.structs.fields(Request)] == ["id"]
