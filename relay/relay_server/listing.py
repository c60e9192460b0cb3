"""The `agents` op: a page of the directory."""

from relay_proto.codec import encode_frame
from relay_proto.frames import AgentCard, Agents

from .directory import Agent, Directory


def agents_page(directory: Directory, frame: Agents, now: float, bytes_max: int) -> tuple[list[AgentCard], str | None]:
    """Cards of the agents that pass every filter, by id, and where to go on (None at the end).

    A page ends at its limit, or before its cards would take more than `bytes_max`.
    """
    cards: list[AgentCard] = []
    size = 0
    for name in _candidates(directory, frame):
        if frame.after is not None and name <= frame.after:
            continue
        agent = directory.agents[name]
        if not _passes(agent, frame, now):
            continue
        card = directory.card(agent, now)
        size += len(encode_frame(card))
        if cards and (len(cards) >= frame.limit or size > bytes_max):
            return cards, cards[-1].agent
        cards.append(card)
    return cards, None


def _candidates(directory: Directory, frame: Agents) -> list[str]:
    """The smallest list that the indexes give."""
    for value, index in (
        (frame.label, directory.by_label),
        (frame.cap, directory.by_cap),
        (frame.tag, directory.by_tag),
        (frame.channel, directory.by_channel),
    ):
        if value is not None:
            return sorted(index.get(value, ()))
    return directory.names()


def _passes(agent: Agent, frame: Agents, now: float) -> bool:
    return (
        (frame.tag is None or frame.tag in agent.tags)
        and (frame.cap is None or frame.cap in agent.caps)
        and (frame.channel is None or frame.channel in agent.channels)
        and (frame.label is None or frame.label == agent.label)
        and (frame.machine is None or frame.machine == agent.machine)
        and (frame.status is None or frame.status == agent.presence(now))
    )
