"""Work on the wire: what each field takes, and how it is refused by name, value and limit."""

import ast
import inspect
from typing import Any, get_args

import msgpack
import msgspec
import pytest

from relay_proto import codec, limits, work
from relay_proto.base import Request
from relay_proto.codec import Refusal, decode_client_batch
from relay_proto.errors import BadRequest, Forbidden, TooLarge
from relay_proto.fields import FieldRefused, Needs, Severity, State
from relay_proto.frames import ClientFrame, Send
from relay_proto.work import (
    Cancel,
    Check,
    ClaimNext,
    Complete,
    Fail,
    Kick,
    Park,
    Progress,
    Resolve,
    Submit,
    Tasks,
)

KINDS: dict[str, type[Request]] = {
    str(kind.__struct_config__.tag): kind
    for kind in vars(work).values()
    if inspect.isclass(kind) and issubclass(kind, Request) and kind.__module__ == work.__name__
}
HELD = {"message": 41, "fence": 2}
NEEDED: dict[str, dict[str, Any]] = {
    "submit": {"to": "cap:review", "title": "look at a.py"},
    "claim": {"message": 41},
    "claim_next": {},
    "renew": HELD,
    "progress": HELD,
    "park": {**HELD, "needs": "human"},
    "resume": HELD,
    "release": HELD,
    "complete": HELD,
    "fail": HELD,
    "cancel": {"message": 41},
    "kick": {"message": 41},
    "resolve": {"dedupe_key": "disk/7"},
    "check": HELD,
    "tasks": {},
    "task": {"message": 41},
}
"""What each op can't do without."""


def request(op: str, **changes: Any) -> dict[str, Any]:
    return {"op": op, "id": 7, **NEEDED[op], **changes}


def read(frame: dict[str, Any]) -> ClientFrame | Refusal:
    """What the relay makes of it, as an encoder that is not ours sends it."""
    [answer] = decode_client_batch(msgpack.packb([frame]))
    return answer


def names_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)}


def refused(frame: dict[str, Any]) -> Refusal:
    answer = read(frame)
    assert isinstance(answer, Refusal), answer
    assert answer.re == 7
    return answer


# -- each field at its limits, and beyond them -----------------------------------------------------------------------

Good = list[Any]
Bad = list[tuple[Any, str]]

IDS: tuple[Good, Bad] = (
    [1, 2**63 - 1],
    [
        (0, "expected int >= 1"), (-1, "expected int >= 1"), (2**63, "expected int <= 9223372036854775807"),
        (1.0, "got float"), (True, "got bool"), ("1", "got str"),
    ],
)  # fmt: skip
LEASES: tuple[Good, Bad] = (
    [1, 1.0, 86_400, 86_400.0],
    [
        (0, ">= 1"), (0.999, ">= 1"), (-1, ">= 1"), (86_401, "<= 86400"), (86_400.5, "<= 86400"), ("5", "got str"),
        (float("nan"), ">= 1"), (float("inf"), "<= 86400"),
    ],
)  # fmt: skip
REASONS: tuple[Good, Bad] = (["", "😀" * 1024], [("x" * 1025, "expected str of length <= 1024"), (5, "got int")])
KEYS: tuple[Good, Bad] = (
    ["k", "😀" * 128], [("", "expected str of length >= 1"), ("x" * 129, "expected str of length <= 128")],
)  # fmt: skip
NAMES: tuple[Good, Bad] = (
    ["n" * 64, "a:b+c#1"],
    [(name, "expected 1-64 characters of A-Z") for name in ("", "two words", "n" * 65, "é", "a\n")],
)
SOURCES: tuple[Good, Bad] = (
    ["a" * 128, "team@host/agent-1.x_y", "github:issues#7"],
    [(name, "expected 1-128 characters of A-Z") for name in ("", "two words", "n" * 129, "é")],
)
AGENTS: tuple[Good, Bad] = (
    ["a" * 128], [(name, "expected 1-128 characters of A-Z") for name in ("", "two words", "a:b", "a" * 129)],
)  # fmt: skip
SEVERITIES: tuple[Good, Bad] = (
    list(get_args(Severity)),
    [("fatal", "expected one of info warning error critical"), ("", "expected one of"), (3, "got int")],
)
BOOLEANS: tuple[Good, Bad] = ([True, False], [(1, "expected bool"), ("true", "expected bool")])
TARGETS: tuple[Good, Bad] = (
    ["boss", "tag:ops", "label:" + "€" * 128, "channel:ops", "any:cap:x", "any:tag:x", "thread:7", "ALL", "broadcast"],
    [
        ("", "expected str of length >= 1"), ("x" * 161, "expected str of length <= 160"), (5, "got int"),
        ("two words", "an agent id is 1-128 characters"), ("tag:", "a tag is 1-64 characters"),
        ("thread:0", "a thread is the id of its first message"), ("nobody:x", "a target is an agent id"),
    ],
)  # fmt: skip
DEPENDENCIES: tuple[Good, Bad] = (
    [[1], [2**63 - 1] * 64],
    [([], "expected array of length >= 1"), ([1] * 65, "expected array of length <= 64"), (1, "got int")],
)
FIELDS: dict[tuple[str, str], tuple[Good, Bad]] = {
    ("submit", "title"): (["", "😀" * 256], [("x" * 257, "expected str of length <= 256"), (5, "got int")]),
    ("submit", "body"): (["", b"", "x" * limits.BODY_BYTES_MAX], []),
    ("submit", "type"): NAMES,
    ("submit", "severity"): SEVERITIES,
    ("submit", "dedupe_key"): KEYS,
    ("submit", "depends_on"): DEPENDENCIES,
    ("submit", "attempts"): (
        [1, 100], [(0, "expected int >= 1"), (101, "expected int <= 100"), (1.0, "got float"), (True, "got bool")],
    ),
    ("claim", "message"): IDS,
    ("claim", "lease_s"): LEASES,
    ("claim_next", "n"): ([1, 64], [(0, "expected int >= 1"), (65, "expected int <= 64"), (1.0, "got float")]),
    ("claim_next", "lease_s"): LEASES,
    ("claim_next", "to"): TARGETS,
    ("claim_next", "type"): NAMES,
    ("claim_next", "channel"): NAMES,
    ("claim_next", "held"): (
        [[], [1], [2**63 - 1] * limits.MESSAGES_MAX],
        [([1] * 1025, "expected array of length <= 1024"), (1, "got int"), ("41", "got str")],
    ),
    ("renew", "fence"): IDS,
    ("renew", "lease_s"): LEASES,
    ("progress", "fence"): IDS,
    ("progress", "progress"): (
        [0, 0.0, 1, 1.0, 5e-324],
        [
            (-0.001, "expected float >= 0"), (-1, "expected float >= 0"), (1.0000001, "expected float <= 1"),
            (2, "expected float <= 1"), (float("nan"), "expected float >= 0"), (float("inf"), "expected float <= 1"),
            (True, "got bool"), ("1", "got str"),
        ],
    ),
    ("progress", "note"): REASONS,
    ("park", "needs"): (
        ["human", "input", "auth"],
        [("coffee", "expected one of human input auth dependency"), ("", "expected one of"), (5, "got int")],
    ),
    ("park", "reason"): REASONS,
    ("park", "deadline_s"): (
        [1, 1.0, 2_592_000, 2_592_000.0],
        [(value, "it must be 1 to 2592000 s") for value in (0, 0.999, -1, 2_592_001, 2_592_000.5)]
        + [(value, "it must be 1 to 2592000 s") for value in (float("nan"), float("inf"), float("-inf"), 1e300)]
        + [(True, "got bool"), ("60", "got str")],
    ),
    ("resume", "fence"): IDS,
    ("resume", "lease_s"): LEASES,
    ("release", "fence"): IDS,
    ("complete", "fence"): IDS,
    ("complete", "result"): (["", b"", "é" * (limits.RESULT_BYTES_MAX // 2)], []),
    ("fail", "reason"): REASONS,
    ("fail", "retry"): BOOLEANS,
    ("cancel", "message"): IDS,
    ("cancel", "reason"): REASONS,
    ("cancel", "force"): BOOLEANS,
    ("kick", "message"): IDS,
    ("kick", "reason"): REASONS,
    ("resolve", "dedupe_key"): KEYS,
    ("resolve", "source"): SOURCES,
    ("resolve", "result"): (["", b"x" * limits.RESULT_BYTES_MAX], []),
    ("resolve", "reason"): REASONS,
    ("resolve", "key"): KEYS,
    ("check", "message"): IDS,
    ("check", "fence"): IDS,
    ("tasks", "state"): (
        [["ready"], list(get_args(State))],
        [
            ([], "expected array of length >= 1"), (["ready"] * 11, "expected array of length <= 10"),
            ("ready", "got str"),
        ],
    ),
    ("tasks", "type"): NAMES,
    ("tasks", "severity"): SEVERITIES,
    ("tasks", "source"): SOURCES,
    ("tasks", "dedupe_key"): KEYS,
    ("tasks", "to"): TARGETS,
    ("tasks", "sender"): AGENTS,
    ("tasks", "holder"): AGENTS,
    ("tasks", "channel"): NAMES,
    ("tasks", "newest"): BOOLEANS,
    ("tasks", "limit"): ([1, 1000], [(0, "expected int >= 1"), (1001, "expected int <= 1000")]),
    ("tasks", "after"): ([0, 2**63 - 1], [(-1, "expected int >= 0"), (2**63, "expected int <= 9223372036854775807")]),
    ("task", "message"): IDS,
}  # fmt: skip


def test_each_field_of_work_that_has_a_limit_is_listed() -> None:
    listed = {name for _, name in FIELDS} | {"id", "to"}  # `to` of a submit is the relay's to read, as that of a send
    for op, kind in KINDS.items():
        assert names_of(kind) - (names_of(Send) - {"body"} if op == "submit" else set()) <= listed, op


@pytest.mark.parametrize(
    ("op", "field", "value"), [(*at, value) for at, (good, _) in FIELDS.items() for value in good], ids=str
)
def test_a_field_of_work_is_taken_at_its_limits(op: str, field: str, value: Any) -> None:
    frame = read(request(op, **{field: value}))
    assert not isinstance(frame, Refusal), frame
    assert getattr(frame, field) == value
    assert decode_client_batch(codec.join_frames([codec.encode_checked(frame)])) == [frame]


@pytest.mark.parametrize(
    ("op", "field", "value", "words"),
    [(*at, value, words) for at, (_, bad) in FIELDS.items() for value, words in bad],
    ids=str,
)
def test_a_field_of_work_beyond_its_limits_is_refused_by_name_value_and_limit(
    op: str, field: str, value: Any, words: str
) -> None:
    answer = refused(request(op, **{field: value}))
    assert answer.error.code == "bad_request"
    shown = repr(value) if len(repr(value)) <= 80 else f"{value!r:.77}..."
    assert str(answer.error).startswith(f"{field} is {shown[:80]}")
    assert words in str(answer.error)


@pytest.mark.parametrize(("op", "field"), [(op, field) for op, fields in NEEDED.items() for field in fields])
def test_what_a_request_can_not_do_without_is_named(op: str, field: str) -> None:
    frame = request(op)
    del frame[field]
    assert str(refused(frame).error) == f"{field} is missing; {op} needs it"


@pytest.mark.parametrize("op", NEEDED)
def test_a_request_needs_no_more_than_that_and_nil_is_the_same_as_leaving_it_out(op: str) -> None:
    kind = KINDS[op]
    nothing = {field.encode_name: None for field in msgspec.structs.fields(kind) if field.default is None}
    assert isinstance(read(request(op)), kind)
    assert read({**nothing, **request(op)}) == read(request(op))


def test_every_request_about_work_is_looked_at_here() -> None:
    assert NEEDED.keys() == KINDS.keys()


def test_an_item_of_a_list_is_refused_by_its_place() -> None:
    assert str(refused(request("submit", depends_on=[1, 0])).error) == "depends_on[1] is 0; expected int >= 1"
    assert str(refused(request("park", needs="dependency", depends_on=["7"])).error).startswith("depends_on[0] is '7'")
    assert str(refused(request("claim_next", held=[1, 2, 0])).error) == "held[2] is 0; expected int >= 1"
    assert str(refused(request("tasks", state=["ready", "over"])).error) == (
        f"state[1] is 'over'; expected one of {' '.join(get_args(State))}"
    )


@pytest.mark.parametrize("op", ["complete", "resolve"])
def test_a_result_has_a_limit_of_its_own(op: str) -> None:
    for result in ("x" * 65_537, b"x" * 65_537):
        error = refused(request(op, result=result)).error
        assert isinstance(error, TooLarge)
        assert str(error) == "result is 65537 bytes; the limit is 65536"
    assert str(refused(request(op, result=5)).error) == "result must be a string or bytes, not int"


def test_a_result_that_is_too_large_is_refused_when_it_is_made() -> None:
    with pytest.raises(FieldRefused, match="result is 65537 bytes; the limit is 65536"):
        Complete(id=1, message=1, fence=1, result="x" * (limits.RESULT_BYTES_MAX + 1))
    with pytest.raises(FieldRefused, match="result is 65537 bytes; the limit is 65536"):
        Resolve(id=1, dedupe_key="k", result=b"x" * (limits.RESULT_BYTES_MAX + 1))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_progress_is_a_number_when_it_is_made(number: float) -> None:
    with pytest.raises(ValueError, match=r"progress is .*; it must be a finite number"):
        Progress(id=1, message=1, fence=1, progress=number)


@pytest.mark.parametrize("kind", [ClaimNext, Tasks])
def test_a_target_that_is_none_is_refused_when_it_is_made(kind: type[ClaimNext | Tasks]) -> None:
    with pytest.raises(FieldRefused, match="to is 'two words'; an agent id is") as caught:
        kind(id=1, to="two words")
    assert caught.value.kind is BadRequest


def test_defaults_are_the_contract_s() -> None:
    assert ClaimNext(id=1).n == 1
    assert Fail(id=1, message=1, fence=1).retry
    assert not Cancel(id=1, message=1).force
    assert (Tasks(id=1).limit, Tasks(id=1).newest, Tasks(id=1).state) == (100, False, None)
    assert Submit(id=1, to="a", title="x").body == ""


# -- submit: a send that makes a task --------------------------------------------------------------------------------


def test_a_title_is_the_subject_of_a_message_that_can_be_claimed() -> None:
    for frame in (request("submit"), request("submit", claimable=False), request("submit", subject="look at a.py")):
        task = read(frame)
        assert isinstance(task, Submit), task
        assert (task.title, task.claimable) == ("look at a.py", True)
        assert task.subject in (None, task.title)


def test_a_subject_besides_the_title_is_refused() -> None:
    assert str(refused(request("submit", subject="b.py")).error) == (
        "subject is 'b.py'; the subject of a task is its title"
    )
    long = refused(request("submit", subject="x" * 256)).error
    assert len(str(long)) < 250


@pytest.mark.parametrize(
    ("severity", "priority"), [("critical", 8), ("error", 6), ("warning", None), ("info", None), (None, None)]
)
def test_the_priority_of_a_task_goes_by_its_severity(severity: Severity | None, priority: int | None) -> None:
    task = read(request("submit", severity=severity))
    assert isinstance(task, Submit)
    assert task.priority == priority


@pytest.mark.parametrize("priority", [0, 4, 9])
def test_a_priority_that_is_given_is_kept(priority: int) -> None:
    task = read(request("submit", severity="critical", priority=priority))
    assert isinstance(task, Submit)
    assert task.priority == priority


@pytest.mark.parametrize("severity", get_args(Severity))
def test_the_severity_of_a_message_that_is_no_task_says_nothing_of_its_priority(severity: Severity) -> None:
    frame = read({"op": "send", "id": 7, "to": "a", "body": "x", "severity": severity, "type": "build"})
    assert isinstance(frame, Send)
    assert (frame.severity, frame.priority, frame.type) == (severity, None, "build")


def test_a_source_without_a_dedupe_key_is_refused() -> None:
    assert str(refused(request("submit", source="ci")).error) == "source is 'ci'; without a dedupe_key it names nothing"
    task = read(request("submit", source="ci", dedupe_key="build/7"))
    assert isinstance(task, Submit)
    assert (task.source, task.dedupe_key) == ("ci", "build/7")
    assert isinstance(read(request("submit", dedupe_key="build/7")), Submit)  # its source is the sender


@pytest.mark.parametrize(("source", "words"), SOURCES[1])
def test_a_source_beyond_its_limits_is_refused(source: str, words: str) -> None:
    assert words in str(refused(request("submit", source=source, dedupe_key="k")).error)


@pytest.mark.parametrize("source", SOURCES[0])
def test_whatever_may_send_a_task_may_be_its_source(source: str) -> None:
    assert isinstance(read(request("submit", source=source, dedupe_key="k")), Submit)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"from": "boss"}, Forbidden, "from is 'boss'; the relay stamps it"),
        ({"body": 5}, BadRequest, "body must be a string or bytes, not int"),
        ({"body": "x" * 262_145}, TooLarge, "body is 262145 bytes; the limit is 262144"),
        ({"ttl_s": 5, "delay_s": 5}, BadRequest, "ttl_s is 5; with delay_s 5 it would be over before it is due"),
        ({"ttl_s": 0}, BadRequest, "ttl_s is 0; it must be 0.001 to 2592000 s"),
        ({"priority": 10}, BadRequest, "priority is 10; expected int <= 9"),
        ({"expect_reply_s": 0}, BadRequest, "expect_reply_s is 0; it must be 0.001 to 604800 s"),
    ],
)
def test_what_a_send_may_not_say_a_task_may_not_either(
    changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    error = refused(request("submit", **changes)).error
    assert isinstance(error, kind)
    assert words in str(error)


def test_a_send_has_attempts_only_when_it_can_be_claimed() -> None:
    send = {"op": "send", "id": 7, "to": "a", "body": "x", "attempts": 1}
    assert str(refused(send).error) == "attempts is 1; only claimable work is attempted"
    frame = read({**send, "claimable": True})
    assert isinstance(frame, Send)
    assert frame.attempts == 1


# -- park: needs, and what it depends on -----------------------------------------------------------------------------


@pytest.mark.parametrize("needs", sorted(set(get_args(Needs)) - {"dependency"}))
def test_only_what_waits_for_other_tasks_names_them(needs: str) -> None:
    assert isinstance(read(request("park", needs=needs)), Park)
    assert str(refused(request("park", needs=needs, depends_on=[40])).error) == (
        f"needs is '{needs}'; depends_on stands with the need 'dependency', and only there"
    )


def test_what_waits_for_other_tasks_has_to_name_them() -> None:
    assert str(refused(request("park", needs="dependency")).error) == (
        "needs is 'dependency'; depends_on stands with the need 'dependency', and only there"
    )
    assert isinstance(read(request("park", needs="dependency", depends_on=[40])), Park)


@pytest.mark.parametrize(("value", "words"), DEPENDENCIES[1])
def test_it_can_wait_for_some_tasks_and_not_for_any_number(value: Any, words: str) -> None:
    assert words in str(refused(request("park", needs="dependency", depends_on=value)).error)


# -- the frames as a whole -------------------------------------------------------------------------------------------

LARGEST: list[Any] = [
    Submit(
        id=limits.ID_MAX, to="label:" + "€" * 128, title="😀" * 256, body="x" * limits.BODY_BYTES_MAX,
        headers={f"{i:02}" + "😀" * 62: "😀" * 1024 for i in range(32)}, key="😀" * 128, content_type="😀" * 128,
        channel="c" * 64, thread=limits.ID_MAX, reply_to=limits.ID_MAX, caused_by=limits.ID_MAX, intent="request",
        ttl_s=limits.TTL_S_MAX, delay_s=limits.DELAY_S_MAX - 1, priority=limits.PRIORITY_MAX, attempts=100,
        type="t" * 64, severity="critical", offer_s=limits.OFFER_S_MAX, supersedes=limits.ID_MAX,
        expect_reply_s=limits.REPLY_S_MAX, waits=False, hold=True, source="s" * 128, dedupe_key="😀" * 128,
        depends_on=[limits.ID_MAX] * limits.DEPENDENCIES_MAX,
    ),
    ClaimNext(id=1, n=64, to="label:" + "€" * 128, held=[limits.ID_MAX] * limits.MESSAGES_MAX),
    Complete(id=1, message=1, fence=1, result=b"x" * limits.RESULT_BYTES_MAX),
    Park(
        id=1, message=1, fence=1, needs="dependency", reason="😀" * 1024, deadline_s=limits.PARK_S_MAX,
        depends_on=[limits.ID_MAX] * limits.DEPENDENCIES_MAX,
    ),
    Resolve(id=1, dedupe_key="😀" * 128, source="s" * 128, result="x" * limits.RESULT_BYTES_MAX, reason="😀" * 1024),
]  # fmt: skip


@pytest.mark.parametrize("frame", LARGEST, ids=lambda frame: type(frame).__name__)
def test_any_one_frame_of_work_fits_into_one_message(frame: ClientFrame) -> None:
    data = codec.join_frames([codec.encode_checked(frame)])
    assert len(data) <= limits.MESSAGE_BYTES_MAX // 2
    assert decode_client_batch(data) == [frame]


def test_a_task_from_our_own_encoder_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def second_reading(_: bytes) -> None:
        raise AssertionError("the fast path was left")

    monkeypatch.setattr(codec, "_check_shape", second_reading)
    frames: list[ClientFrame] = [
        Submit(id=1, to="cap:x", title="t", severity="error", dedupe_key="k", source="s"),
        Progress(id=2, message=1, fence=1, progress=0.5),
        Kick(id=3, message=1, reason="again"),
        Check(id=4, message=1, fence=1),
    ]
    assert decode_client_batch(codec.join_frames([codec.encode_frame(frame) for frame in frames])) == frames


def test_no_frame_has_more_fields_than_half_of_what_a_map_may_have() -> None:
    for kind in get_args(ClientFrame):
        assert 2 * (len(msgspec.structs.fields(kind)) + 1) <= codec.FRAME_FIELDS_MAX, kind


def test_what_a_type_can_not_say_is_checked_where_the_frame_is_made() -> None:
    tree = ast.parse(inspect.getsource(work))
    having = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(member, ast.FunctionDef) and member.name == "__post_init__" for member in node.body)
    ]
    assert having == ["Submit", "ClaimNext", "Progress", "Park", "Complete", "Resolve", "Tasks"]
