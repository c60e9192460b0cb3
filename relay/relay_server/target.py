"""Who a target means, now: a parsed target and the directory in, ids of recipients out.

Rules
- A direct target is one agent, known or held for. An unknown one is refused with suggestions unless the sender holds.
- A group target (tag:, cap:, label:, broadcast) is everyone in the directory who matches, connected or not, except the
  sender. Matching nobody is an answer, not an error.
- Recipients are in the order of their ids, so that the same send means the same rows.
"""

from typing import Final

from relay_proto.errors import BadRequest, UnknownAgent
from relay_proto.frames import Update
from relay_proto.targets import Target, TargetKind

from .directory import Directory

SERVED: Final = "an agent id, tag:x, cap:x, label:x, broadcast or ALL"


def recipients(directory: Directory, target: Target, sender: str, hold: bool) -> list[str]:
    """The ids that a send from `sender` to `target` is for.

    Raises UnknownAgent (with detail.suggestions) for a direct target nobody has, unless `hold`; BadRequest for kinds of
    targets that this version does not serve.
    """
    kind = target.kind
    if kind is TargetKind.AGENT:
        if not hold and target.name not in directory.agents:
            raise unknown_agent(directory, "to", target.name)
        return [target.name]
    if kind is TargetKind.TAG:
        found = directory.by_tag.get(target.name, _NOBODY)
    elif kind is TargetKind.CAP:
        found = directory.by_cap.get(target.name, _NOBODY)
    elif kind is TargetKind.LABEL:
        found = directory.by_label.get(target.name, _NOBODY)
    elif kind is TargetKind.BROADCAST:
        return [name for name in directory.names() if name != sender]
    else:
        raise BadRequest(f"to is {kind.value}{target.name!s}; this version serves {SERVED}")
    return sorted(name for name in found if name != sender)


def changes_address(frame: Update) -> bool:
    """True when an update may change which group targets the agent is meant by."""
    return frame.label is not None or frame.tags is not None or frame.caps is not None


_NOBODY: Final[set[str]] = set()


def unknown_agent(directory: Directory, field: str, name: str) -> UnknownAgent:
    """What to answer when `field` names an agent that nobody has seen, with close names as suggestions."""
    close = directory.suggestions(name)
    hint = f", did you mean {' or '.join(close)}?" if close else ""
    hint += " (hold keeps it for a name not yet seen)" if field == "to" else ""
    return UnknownAgent(
        f"{field} is {name!r}; no agent of this name was ever seen{hint}", detail={"suggestions": close}
    )
