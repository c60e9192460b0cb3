"""Hypothesis strategies for valid frames, read off the types in frames.py: a new op is covered the day it is added."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from relay_proto.frames import (
    ClaimNext,
    ClientFrame,
    Frame,
    Park,
    RelayFrame,
    Send,
    Submit,
    Tasks,
    TokenCreate,
    Why,
    Will,
)
from relay_proto.targets import AGENT_PATTERN, BROADCAST_WORDS, LABEL_PATTERN, NAME_PATTERN

CLIENT_FRAMES: tuple[type[Frame], ...] = ClientFrame.__args__
RELAY_FRAMES: tuple[type[Frame], ...] = RelayFrame.__args__

OPAQUE = st.text(max_size=40) | st.binary(max_size=40)
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "body": OPAQUE,
    "result": OPAQUE | st.none(),
    "sender": st.none(),  # `from`: supplied only to be refused
    "items": st.lists(st.dictionaries(st.text(max_size=8), st.integers(0, 2**63 - 1), max_size=3), max_size=3),
    "detail": st.dictionaries(st.text(max_size=8), OPAQUE | st.integers(0, 9), max_size=3),
    "ttl_s": st.none() | st.integers(1, 2_592_000) | st.floats(0.001, 2_592_000),
    "expect_reply_s": st.none() | st.integers(1, 604_800) | st.floats(0.001, 604_800),
    "deadline_s": st.none() | st.integers(1, 2_592_000) | st.floats(1, 2_592_000),
    "expires_s": st.none() | st.integers(1, 315_360_000) | st.floats(1, 315_360_000),
    "item": st.dictionaries(st.text(max_size=8), OPAQUE, max_size=3),
}
"""Fields whose type says too little; what they may hold is said in words."""

target_texts = st.one_of(
    st.from_regex(AGENT_PATTERN),
    st.sampled_from(sorted(BROADCAST_WORDS)),
    st.from_regex(LABEL_PATTERN).map(lambda text: f"label:{text}"),
    st.integers(1, 10**18 - 1).map(lambda message: f"thread:{message}"),
    st.builds(
        str.__add__,
        st.sampled_from(["tag:", "cap:", "channel:", "any:tag:", "any:cap:"]),
        st.from_regex(NAME_PATTERN),
    ),
)
"""Every text that the target grammar takes."""


def due_before_it_is_over(fields: dict[str, Any]) -> dict[str, Any]:
    ttl_s, delay_s = fields.get("ttl_s"), fields.get("delay_s")
    if ttl_s is not None and delay_s is not None and ttl_s <= delay_s:
        del fields["delay_s"]
    return fields


def attempts_of_work(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("attempts") is not None:
        fields["claimable"] = True
    return due_before_it_is_over(fields)


def titled_and_named(fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("subject", None)  # the title is the subject
    if fields.get("dedupe_key") is None:
        fields.pop("source", None)
    return due_before_it_is_over(fields)


def parked_for_what_it_waits_for(fields: dict[str, Any]) -> dict[str, Any]:
    if fields["needs"] == "dependency":
        return {**fields, "depends_on": fields.get("depends_on") or [1]}
    fields.pop("depends_on", None)
    return fields


def about_one_thing(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("agent") is None and fields.get("message") is None:
        return {**fields, "message": 1}
    if fields.get("agent") is not None and fields.get("message") is not None:
        del fields["message"]
    return fields


def for_one_of_them(fields: dict[str, Any]) -> dict[str, Any]:
    given = [name for name in ("agent", "integration", "admin") if fields.get(name)]
    for name in given[1:]:
        del fields[name]
    if given == ["admin"]:
        fields.pop("scopes", None)
    if not given and fields.get("scopes") is None:
        fields["scopes"] = ["*"]
    return fields


TOGETHER: dict[type[msgspec.Struct], Callable[[dict[str, Any]], dict[str, Any]]] = {
    Send: attempts_of_work,
    Submit: titled_and_named,
    Park: parked_for_what_it_waits_for,
    Why: about_one_thing,
    TokenCreate: for_one_of_them,
}
"""What a type can't say of two fields: the fields of a frame, changed so that they may stand together."""


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of one field's type, within its limits."""
    match kind:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=low, le=high):
            return st.integers(-(2**63) if low is None else low, 2**63 - 1 if high is None else high)
        case inspect.FloatType(ge=low, le=high):
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern).filter(lambda text: text not in BROADCAST_WORDS)
        case inspect.StrType(min_length=low, max_length=high):
            return st.text(min_size=low or 0, max_size=min(high or 40, 40))
        case inspect.LiteralType(values=words):
            return st.sampled_from(list(words))
        case inspect.ListType(item_type=item, min_length=low):
            return st.lists(values(item), min_size=low or 0, max_size=4)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values(key), values(value), max_size=4)
        case inspect.UnionType(types=kinds):
            return st.one_of([values(member) for member in kinds])
        case inspect.Metadata(type=inner):
            return values(inner)
        case inspect.StructType(cls=struct):
            return frames_of(struct)
    raise AssertionError(f"no strategy for {kind}")


CHECKED = ("ttl_s", "expect_reply_s", "deadline_s", "expires_s")
"""Durations whose limits stand in a check."""


TARGETS = ((Will, "to"), (ClaimNext, "to"), (Tasks, "to"))
"""Targets that are checked while the frame is made; that of a send is the relay's to read."""


def says_any(kind: inspect.Type) -> bool:
    """True when somewhere in the type stands Any."""
    match kind:
        case inspect.AnyType():
            return True
        case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
            return says_any(inner)
        case inspect.UnionType(types=kinds):
            return any(says_any(member) for member in kinds)
    return False


def frames_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Valid structs of one type, any of the optional fields left out."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    together = TOGETHER.get(kind, dict)
    needed: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in info.fields:
        strategy = SPECIAL[field.name] if says_any(field.type) or field.name in CHECKED else values(field.type)
        if (kind, field.name) in TARGETS:
            strategy = target_texts if field.required else st.none() | target_texts
        (needed if field.required else optional)[field.name] = strategy
    return st.fixed_dictionaries(needed, optional=optional).map(lambda fields: kind(**together(fields)))


client_frames = st.one_of([frames_of(kind) for kind in CLIENT_FRAMES])
relay_frames = st.one_of([frames_of(kind) for kind in RELAY_FRAMES])
