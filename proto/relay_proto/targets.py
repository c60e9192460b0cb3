"""The target grammar: who a message is for, as text.

    target  = agent | "tag:" name | "cap:" name | "label:" text | "channel:" name | "broadcast" | "ALL"
            | "any:cap:" name | "any:tag:" name | "thread:" message

An agent id has no colon, so the prefixes never collide with one. `broadcast` and `ALL` are words, so no agent may
carry them as its id. Which agents a target means is the relay's `target.py`; this file only reads the text.
"""

import functools
import re
from enum import Enum

from . import limits
from .errors import BadRequest

AGENT_PATTERN = rf"\A[A-Za-z0-9._@/-]{{1,{limits.AGENT_CHARS_MAX}}}\Z"
NAME_PATTERN = rf"\A[A-Za-z0-9._@/:+#-]{{1,{limits.NAME_CHARS_MAX}}}\Z"
SOURCE_PATTERN = rf"\A[A-Za-z0-9._@/:+#-]{{1,{limits.AGENT_CHARS_MAX}}}\Z"
"""Who reports a task: a name, as long as an agent id, because a sender's id is the default."""
LABEL_PATTERN = rf"\A[^\x00-\x1f\x7f-\x9f]{{1,{limits.LABEL_CHARS_MAX}}}\Z"
BROADCAST_WORDS = frozenset({"broadcast", "ALL"})

_agent = re.compile(AGENT_PATTERN)
_name = re.compile(NAME_PATTERN)
_label = re.compile(LABEL_PATTERN)
_message = re.compile(r"\A[1-9][0-9]{0,17}\Z")


class TargetKind(Enum):
    """What a target picks by. The value is its prefix on the wire."""

    AGENT = ""
    TAG = "tag:"
    CAP = "cap:"
    LABEL = "label:"
    CHANNEL = "channel:"
    BROADCAST = "broadcast"
    ANY_TAG = "any:tag:"
    ANY_CAP = "any:cap:"
    THREAD = "thread:"


class Target:
    """A parsed target: `kind` and the `name` behind the prefix (empty for a broadcast)."""

    __slots__ = ("is_any", "is_direct", "is_group", "kind", "name")

    def __init__(self, kind: TargetKind, name: str) -> None:
        self.kind = kind
        self.name = name
        self.is_direct = kind is TargetKind.AGENT
        """It names one agent by its id."""
        self.is_any = kind in (TargetKind.ANY_CAP, TargetKind.ANY_TAG)
        """Exactly one of those it matches is meant, whoever is best placed."""
        self.is_group = not (self.is_direct or self.is_any)
        """Everyone it matches is meant."""

    def __repr__(self) -> str:
        return f"Target({self.kind.value}{self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


_PREFIXES = (
    (TargetKind.TAG, _name, "a tag is 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"),
    (TargetKind.CAP, _name, "a capability is 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"),
    (TargetKind.LABEL, _label, "a label is 1-128 characters, none of them a control character"),
    (TargetKind.CHANNEL, _name, "a channel is 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"),
    (TargetKind.ANY_TAG, _name, "a tag is 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"),
    (TargetKind.ANY_CAP, _name, "a capability is 1-64 characters of A-Z a-z 0-9 . _ - @ / : + #"),
    (TargetKind.THREAD, _message, "a thread is the id of its first message"),
)


@functools.lru_cache(maxsize=4096)  # agents talk to the same few targets; bounded, so a flood of names can't grow it
def parse_target(text: str, field: str = "to") -> Target:
    """The target that `text` names.

    Raises BadRequest, naming the text and the grammar, when it is none. Whether such an agent exists is not asked.
    """
    if text in BROADCAST_WORDS:
        return Target(TargetKind.BROADCAST, "")
    if ":" not in text:
        if _agent.match(text):
            return Target(TargetKind.AGENT, text)
        raise BadRequest(
            f"{field} is {text[:160]!r}; an agent id is 1-{limits.AGENT_CHARS_MAX} characters of A-Z a-z 0-9 . _ - @ /"
        )
    for kind, pattern, rule in _PREFIXES:
        if text.startswith(kind.value):
            name = text[len(kind.value) :]
            if pattern.match(name):
                return Target(kind, name)
            raise BadRequest(f"{field} is {text[:160]!r}; {rule}")
    raise BadRequest(
        f"{field} is {text[:160]!r}; a target is an agent id, tag:x, cap:x, label:x, channel:x, any:cap:x, any:tag:x, "
        "thread:id, broadcast or ALL"
    )
