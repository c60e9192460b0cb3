"""What is known of agents, in words: whether they are there, what they hold, and whom they wait for.

The parts of which `why` makes its answers. A clause goes behind a name ("bob" + " is offline since ..") or behind who.
"""

from typing import TYPE_CHECKING, Any, Final

from . import words
from .directory import Agent

if TYPE_CHECKING:
    from .broker import Broker
    from .waits import Wait

SENTENCES_MAX: Final = 40
WAITS_FOR_MAX: Final = 100
CHAIN_MAX: Final = 16
"""Agents of a chain of waits that are named."""
HELP_MAX: Final = 6
"""What could be done, said at once."""


class Story:
    """An explanation as it is told: sentences, whose move it is, since when it waits, and what would help."""

    def __init__(self, broker: "Broker", now: float) -> None:
        self.broker = broker
        self.now = now
        self.now_ms = int(now * 1000 + broker.directory.clock_offset_ms)
        self.sentences: list[str] = []
        self.help: dict[str, None] = {}
        self.facts: dict[str, Any] = {}
        self.since_at: int | None = None
        self._waits_for: dict[str, None] = {}
        self._chained: set[str] = set()

    def say(self, sentence: str) -> None:
        if len(self.sentences) < SENTENCES_MAX:
            self.sentences.append(sentence)

    def waits_since(self, at: int | None) -> None:
        """Something has waited since then; the earliest counts."""
        if at is not None and (self.since_at is None or at < self.since_at):
            self.since_at = at

    def move_of(self, agent: str, deed: str = "") -> None:
        """It is this agent's move: to do the deed. If it waits itself, it is the move of whoever that leads to."""
        if self.is_there(agent) and self.broker.waits.asked_by(agent):
            self.follow(agent)
            return
        self._waits_for[agent] = None
        if deed:
            self.help[f"{agent} must {deed}"] = None

    def follow(self, agent: str) -> None:
        """Say whom an agent waits for, to the end of each chain, where the next move is."""
        if agent in self._chained:
            return
        self._chained.add(agent)
        for wait in self.broker.waits.asked_by(agent):
            chain, ends = _chain(self.broker, wait)
            text = ", who ".join(chain)
            if len(ends) == 1:
                text += f", who {self.state_of(ends[0])}"
                known = self.broker.directory.get(ends[0])
                self.help[f"{ends[0]} must {'reply' if known and known.connected else 'come back and reply'}"] = None
            self.say(f"{agent} {text}.")
            self._waits_for.update(dict.fromkeys(ends))

    def is_there(self, agent: str) -> bool:
        """It has a session now."""
        return agent in self.broker.sessions

    def state_of(self, agent: str) -> str:
        """`is busy, last heard of 3 s ago`, `is offline since 2023-.. UTC (5 min): it said bye`."""
        known = self.broker.directory.get(agent)
        if known is None:
            return "has never registered"
        if known.visitor and not known.epoch:
            return "has only visited: it is given nothing until it registers"
        return self._state(known)

    def heard_at(self, agent: Agent) -> int | None:
        """When it was last heard of, ms since 1970; None: never, as far as is known."""
        if agent.heard_at == float("-inf"):
            return None
        return int(agent.heard_at * 1000 + self.broker.directory.clock_offset_ms)

    def _state(self, known: Agent) -> str:
        presence = known.presence(self.now)
        heard_at = self.heard_at(known)
        if heard_at is None:
            return f"is {presence} and was never heard of"
        if known.connected:
            if presence == "stale":
                return f"is stale: connected, and silent {words.since(heard_at, self.now_ms)}"
            return f"is {presence}, last heard of {words.span((self.now_ms - heard_at) / 1000)} ago"
        pruned = "; it is in no group until it registers again" if known.visitor else ""
        if known.said_bye:
            return f"is offline {words.since(heard_at, self.now_ms)}: it said bye{pruned}"
        cause = "it has not connected since the relay started" if known.left else "its connection was lost"
        return f"is {presence}: {cause}; it was last heard of at {words.when(heard_at, self.now_ms)}{pruned}"

    def window_of(self, agent: str) -> str | None:
        """What keeps the relay from pushing to an agent that is connected, as a clause; None: nothing."""
        session = self.broker.sessions[agent]
        if len(session.unacked) >= session.credit:
            return f"holds as many messages as it takes at once ({len(session.unacked)} unacked of credit {session.credit})"
        if not session.writable:
            return "is connected, but does not read what is sent to it"
        return None


def _chain(broker: "Broker", wait: "Wait") -> tuple[list[str], list[str]]:
    """The links `waits for bob (message 7)` from a wait on, and the agents at its end: those who can move."""
    links: list[str] = []
    seen = {wait.asker}
    while True:
        on = sorted(wait.on)
        what = f" (message {wait.message})" if wait.message is not None else ""
        if not on:
            return [*links, f"waits for a reply that nobody is left to give{what}"], []
        links.append(f"waits for {words.listed(on, 'or')}{what}")
        if len(on) > 1:
            return links, on
        behind = broker.waits.asked_by(on[0])
        if not behind or on[0] not in broker.sessions or on[0] in seen or len(links) >= CHAIN_MAX:
            return links, on
        seen.add(on[0])
        wait = behind[0]
