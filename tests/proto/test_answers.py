from typing import get_args

import msgspec
import pytest

from relay_proto import codec, limits
from relay_proto.codec import decode_relay_batch
from relay_proto.errors import BadFrame
from relay_proto.fields import EventKind, State
from relay_proto.frames import Deliver, Event, Ok, OwedReply, Pair, StoredMessage, WorkState

PAIR = Pair(
    pair=7, sender="a", to="b", state="active", thread=7, opened_at=1, changed_at=9, objective="x", accepted_at=9
)
EVENTS: dict[str, Event] = {
    "receipt": Event(event="receipt", at=9, message=7, agent="b", stage="nacked", reason="not mine"),
    "presence": Event(event="presence", at=9, agent="b", status="stale", reason="silent for 120 s"),
    "reply.overdue": Event(
        event="reply.overdue", at=9, message=7, agent="b", reply_by_at=9, stage="pushed", stage_at=5, status="busy",
        status_at=3,
    ),
    "reply.gone": Event(
        event="reply.gone", at=9, message=7, agent="b", reply_by_at=9, stage="surfaced", stage_at=5, status="offline",
        status_at=3,
    ),
    "reply.refused": Event(event="reply.refused", at=9, message=7, agent="b", stage="dead", reason="five nacks"),
    "reply.deadlock": Event(event="reply.deadlock", at=9, message=7, ring=["a", "b"], reason="a waits for b"),
    "superseded": Event(event="superseded", at=9, message=7, by=8, stage="superseded", reason="superseded by 8"),
    "withdrawn": Event(event="withdrawn", at=9, message=7, stage="expired", reason="not surfaced in its time"),
    "task.claimed": Event(event="task.claimed", at=9, message=7, agent="b"),
    "task.STATE": Event(
        event="task.working", at=9, message=7, agent="b", fence=2, state="working", reason="the lease ended"
    ),
    "task.progress": Event(
        event="task.progress", at=9, message=7, agent="b", fence=2, state="working", progress=0.5, note="half of it"
    ),
    "task.recur": Event(
        event="task.recur", at=9, message=7, agent="b", fence=2, state="claimed", reason="disk 7 full", occurrences=3
    ),
    "claim.lost": Event(event="claim.lost", at=9, message=7, fence=2, state="ready", reason="silent for 60 s"),
    "claim.resumed": Event(event="claim.resumed", at=9, message=7, fence=2, lease_s=60.0, reason="7 is done"),
    "pair.opened": Event(event="pair.opened", at=9, message=7, agent="a", pair=PAIR),
    "pair.accepted": Event(event="pair.accepted", at=9, message=7, agent="b", pair=PAIR),
    "pair.rejected": Event(event="pair.rejected", at=9, message=7, agent="b", pair=PAIR, reason="no time"),
    "pair.ended": Event(event="pair.ended", at=9, message=7, agent="a", pair=PAIR, reason="it is fixed"),
    "owed": Event(
        event="owed", at=9, items=[OwedReply(message=7, asker="a", agent="b", asked_at=1, reply_by_at=9, overdue=True)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_comes_out_as_it_went_in(kind: str) -> None:
    assert decode_relay_batch(codec.join_frames([codec.encode_frame(EVENTS[kind])])) == [EVENTS[kind]]


def test_what_can_be_subscribed_to_is_among_the_events() -> None:
    kinds = set(get_args(EventKind))
    assert kinds - {"task", "tasks"} <= EVENTS.keys()
    assert {"task", "tasks"} <= kinds  # one's own, or all: both bring task.STATE, task.progress and task.recur


@pytest.mark.parametrize("state", get_args(State))
def test_each_state_of_work_has_an_event(state: State) -> None:
    event = Event(event=f"task.{state}", at=9, message=7, state=state)
    assert decode_relay_batch(codec.join_frames([codec.encode_frame(event)])) == [event]


def test_an_answer_about_work_comes_out_as_it_went_in() -> None:
    work = WorkState(state="claimed", fence=2, attempts=1)
    stored = StoredMessage(message=7, sender="a", to="cap:x", body=b"x", sent_at=1, thread=7, hops=0, work=work)
    answer = Ok(re=1, items=[stored], lease_s=60.0, counts={"ready": 3}, state="parked", park_until_at=9, occurrences=2)
    [read] = decode_relay_batch(codec.join_frames([codec.encode_frame(answer)]))
    assert isinstance(read, Ok)
    assert msgspec.convert(read.items, list[StoredMessage]) == [stored]
    assert (read.counts, read.state, read.park_until_at, read.occurrences) == ({"ready": 3}, "parked", 9, 2)


def test_every_field_of_an_event_belongs_to_one_of_them() -> None:
    used = {name for event in EVENTS.values() for name in msgspec.to_builtins(event)}
    assert {field.name for field in msgspec.structs.fields(Event)} == used - {"op"}


def test_an_event_of_a_newer_relay_is_kept_with_what_is_known_of_it() -> None:
    [event] = decode_relay_batch(msgspec.msgpack.encode([{"op": "event", "event": "of.tomorrow", "at": 1, "zz": [[]]}]))
    assert event == Event(event="of.tomorrow", at=1)


@pytest.mark.parametrize("broken", [{"event": "receipt"}, {"at": 1}, {"event": "owed", "at": 1, "items": [{}]}])
def test_an_event_that_lacks_what_it_must_have_is_not_of_this_protocol(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame, match="the relay sent a frame that is not of this protocol"):
        decode_relay_batch(msgspec.msgpack.encode([{"op": "event", **broken}]))


def test_from_is_the_wires_name_for_sender() -> None:
    renamed = {field.name: field.encode_name for field in msgspec.structs.fields(Deliver)}
    assert {name: wire for name, wire in renamed.items() if name != wire} == {"sender": "from"}


def test_an_answer_says_only_what_it_has_to() -> None:
    assert msgspec.to_builtins(Ok(re=1)) == {"op": "ok", "re": 1}
    assert msgspec.to_builtins(Ok(re=1, full=["b"], note="x")) == {"op": "ok", "re": 1, "full": ["b"], "note": "x"}


def test_the_delivery_of_the_largest_send_fits_into_one_message() -> None:
    delivery = Deliver(
        message=limits.ID_MAX, sender="a" * 128, to="label:" + "€" * 128, body="x" * limits.BODY_BYTES_MAX,
        sent_at=2**42, attempt=5, thread=limits.ID_MAX, hops=16, subject="😀" * 256, channel="c" * 64,
        reply_to=limits.ID_MAX, headers={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)},
        content_type="😀" * 128, priority=9, expires_at=2**42, supersedes=limits.ID_MAX, caused_by=limits.ID_MAX,
        reply_by_at=2**42, intent="request", claimable=True, type="t" * 64, severity="critical",
    )  # fmt: skip
    assert len(codec.encode_frame(delivery)) <= limits.MESSAGE_BYTES_MAX // 2
