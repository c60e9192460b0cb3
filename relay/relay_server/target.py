"""Who a target means, now: a parsed target and the directory in, ids of recipients out.

Rules
- A direct target is one agent, known or held for. A name that is nobody's id but the label of one agent means that one.
  An unknown one is refused with suggestions unless the sender holds.
- A group target (tag:, cap:, label:, channel:, broadcast) is everyone in the directory who matches, connected or not,
  except the sender. Matching nobody is an answer, not an error. Who subscribed to channels gets, of what is sent to
  groups, only messages of those channels or of none.
- An any: target is the same, and then the best placed one of them; `place` says what that is.
- Recipients are in the order of their ids, so that the same send means the same rows.
- Who takes part in a thread is the store's to say.
"""

from collections.abc import Iterable
from typing import Final

from relay_proto.errors import AmbiguousTarget, UnknownAgent
from relay_proto.frames import Presence, Update
from relay_proto.targets import BROADCAST_WORDS, Target, TargetKind

from .directory import Directory

CANDIDATES_MAX: Final = 20
"""Names of agents that an ambiguous_target shows."""
_PLACES: Final[dict[Presence, int]] = {"online": 0, "idle": 0, "busy": 1, "stale": 2, "offline": 3}


def recipients(directory: Directory, target: Target, sender: str, hold: bool, channel: str | None) -> list[str]:
    """The ids that a send from `sender` to `target` is for; of an any: target all whom it could be for.

    Raises UnknownAgent (with detail.suggestions) for a direct target nobody has, unless `hold`; AmbiguousTarget (with
    detail.candidates) for one that is only the label of several.
    """
    match target.kind:
        case TargetKind.AGENT:
            return [target.name if target.name in directory.agents else _by_label(directory, target.name, hold)]
        case TargetKind.TAG | TargetKind.ANY_TAG:
            found = directory.by_tag.get(target.name, _NOBODY)
        case TargetKind.CAP | TargetKind.ANY_CAP:
            found = directory.by_cap.get(target.name, _NOBODY)
        case TargetKind.LABEL:
            found = directory.by_label.get(target.name, _NOBODY)
        case TargetKind.CHANNEL:
            found = directory.by_channel.get(target.name, _NOBODY)
        case TargetKind.BROADCAST:
            names = [name for name in directory.names() if name != sender]
            return _tuned_in(directory, names, channel) if channel is not None else names
        case TargetKind.THREAD:
            return []
    names = sorted(name for name in found if name != sender)
    if channel is None or target.is_any or target == Target(TargetKind.CHANNEL, channel):
        return names
    return _tuned_in(directory, names, channel)


def _tuned_in(directory: Directory, names: list[str], channel: str) -> list[str]:
    agents = directory.agents
    return [name for name in names if not agents[name].channels or channel in agents[name].channels]


def _by_label(directory: Directory, name: str, hold: bool) -> str:
    if hold:
        return name
    owners = sorted(directory.by_label.get(name, _NOBODY))
    if len(owners) > 1:
        raise ambiguous(name, owners)
    if not owners:
        raise unknown_agent(directory, "to", name)
    return owners[0]


def place(presence: Presence, unacked: int, idle_at: float, name: str) -> tuple[int, int, float, str]:
    """How well an agent is placed to get what any one of many may have: the least comes first.

    Online and idle before busy before stale before offline, then who has the least unacked, then who is idle the
    longest; the name decides between equals.
    """
    return _PLACES[presence], unacked, idle_at, name


def changes_address(frame: Update) -> bool:
    """True when an update may change which group targets the agent is meant by."""
    return frame.label is not None or frame.tags is not None or frame.caps is not None


def work_targets(label: str | None, tags: Iterable[str], caps: Iterable[str]) -> list[str]:
    """What work may be sent to so that it is also for an agent that comes later, as text."""
    groups = [*(f"cap:{cap}" for cap in caps), *(f"tag:{tag}" for tag in tags)]
    targets = [*BROADCAST_WORDS, *groups, *(f"any:{group}" for group in groups)]
    return targets if label is None else [*targets, f"label:{label}"]


_NOBODY: Final[set[str]] = set()


def ambiguous(label: str, owners: list[str]) -> AmbiguousTarget:
    """What to answer when one agent is meant by a label and several carry it."""
    shown = owners[:CANDIDATES_MAX]
    return AmbiguousTarget(
        f"to is {label!r}; {len(owners)} agents carry this label: {', '.join(shown)}"
        f"{', ..' if owners[CANDIDATES_MAX:] else ''}. Name one of them, or write label:{label} for all",
        detail={"candidates": shown},
    )


def unknown_agent(directory: Directory, field: str, name: str) -> UnknownAgent:
    """What to answer when `field` names an agent that nobody has seen, with close names as suggestions."""
    close = directory.suggestions(name)
    hint = f", did you mean {' or '.join(close)}?" if close else ""
    hint += " (hold keeps it for a name not yet seen)" if field == "to" else ""
    return UnknownAgent(
        f"{field} is {name!r}; no agent of this name was ever seen{hint}", detail={"suggestions": close}
    )
