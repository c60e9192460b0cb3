"""What is known of agents, in words: whether they are there, what they hold, and whom they wait for.

The parts of which `why` makes its answers. A clause goes behind a name ("bob" + " is offline since ..") or behind who.
"""

from typing import TYPE_CHECKING, Any, Final

from relay_proto.frames import Explanation, StoredMessage

from . import words
from .directory import Agent

if TYPE_CHECKING:
    from .broker import Broker
    from .waits import Wait

WAITS_FOR_MAX: Final = 100
"""Agents in `waits_for`."""
BLOCKED_MAX: Final = 5
"""Agents that wait themselves, and waits of each of them, that are followed."""
CHAIN_MAX: Final = 16
"""Agents of a chain of waits that are named."""
HELP_MAX: Final = 6
"""What could be done, said at once."""


class Story:
    """An explanation as it is told: sentences, whose move it is, since when it waits, and what would help."""

    def __init__(self, broker: "Broker", now: float) -> None:
        self.broker = broker
        self.now = now
        self.now_ms = broker.directory.wall_ms(now)
        self.sentences: list[str] = []
        self.facts: dict[str, Any] = {}
        self.since_at: int | None = None
        self.told: set[str] = set()
        """Agents of whom was said what they are."""
        self._waits_for: dict[str, None] = {}
        self._help: dict[tuple[str, str], dict[str, None]] = {}
        self._blocked: dict[str, None] = {}

    def say(self, sentence: str) -> None:
        """One more sentence, in the order to read them."""
        self.sentences.append(sentence)

    def say_state(self, agent: str) -> None:
        """What an agent is, once."""
        if agent not in self.told:
            self.say(f"{agent} {self.state_of(agent)}.")

    def waits_since(self, at: int | None) -> None:
        """Something has waited since then; the earliest counts."""
        if at is not None and (self.since_at is None or at < self.since_at):
            self.since_at = at

    def move_of(self, agent: str, deed: str = "", any_one: bool = False) -> None:
        """It is this agent's move: to come, if it is not there, and to do the deed.

        If it waits itself, it is the move of whoever that leads to. any_one: of all whose deed it is, one is enough.
        """
        if not self.is_blocked(agent):
            self._waits_for[agent] = None
            self.would_help(agent, self._from_where_it_is(agent, deed), any_one)

    def _from_where_it_is(self, agent: str, deed: str) -> str:
        if self.is_there(agent):
            return deed
        known = self.broker.directory.get(agent)
        return " and ".join(filter(None, ["come back" if known is not None and known.epoch else "register", deed]))

    def is_blocked(self, agent: str) -> bool:
        """It is there and waits itself. Whom for is told at the end."""
        if not self.is_there(agent) or not self.broker.waits.asked_by(agent):
            return False
        self._blocked[agent] = None
        return True

    def would_help(self, who: str, deed: str, any_one: bool = False) -> None:
        """Somebody could unblock it, an agent or whoever is described."""
        self._help.setdefault((deed, "or" if any_one else "and"), {})[who] = None

    def end(self, about: str, nothing: str) -> Explanation:
        """The whole of it. `nothing`: what to say when nothing waits."""
        for agent in list(self._blocked)[:BLOCKED_MAX]:
            for wait in self.broker.waits.asked_by(agent)[:BLOCKED_MAX]:
                self._follow(wait)
        if self.since_at is None:
            self.say(nothing)
        elif self._help:
            deeds = [f"{words.listed(list(who), last)} must {deed}" for (deed, last), who in self._help.items()]
            self.say(f"To go on: {'; '.join([*deeds[:HELP_MAX], *(['or the like'] if deeds[HELP_MAX:] else [])])}.")
        waits_for = list(self._waits_for)[:WAITS_FOR_MAX]
        return Explanation(
            about=about, sentences=self.sentences, since_at=self.since_at, waits_for=waits_for, facts=self.facts
        )

    def _follow(self, wait: "Wait") -> None:
        """Say whom an agent waits for, to the end of the chain, where the next move is."""
        links, last = _chain(self.broker, wait)
        text, ends = ", who ".join(links), sorted(last.on)
        if len(ends) == 1:
            text += f", who {self.state_of(ends[0])}"
        for end in ends:
            answer = "reply" if last.message is None else f"reply to message {last.message}"
            self.would_help(end, self._from_where_it_is(end, answer), any_one=True)
            self._waits_for[end] = None
        self.say(f"{wait.asker} {text}.")

    def is_there(self, agent: str) -> bool:
        """It has a session now."""
        return agent in self.broker.sessions

    def state_of(self, agent: str) -> str:
        """`is busy, last heard of 3 s ago`, `has been offline since 2023-.. UTC (5 min): it said bye`."""
        self.told.add(agent)
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
        return self.broker.directory.wall_ms(agent.heard_at)

    def _state(self, known: Agent) -> str:
        presence = known.presence(self.now)
        heard_at = self.heard_at(known)
        if heard_at is None:
            return f"is {presence} and was never heard of"
        if known.connected:
            if presence == "stale":
                return f"is stale: connected, and silent {words.since(heard_at, self.now_ms)}"
            return f"is {presence}, last heard of {words.ago((self.now_ms - heard_at) / 1000)}"
        pruned = "; it is in no group until it registers again" if known.visitor else ""
        if known.said_bye:
            return f"has been offline {words.since(heard_at, self.now_ms)}: it said bye{pruned}"
        cause = "it has not connected since the relay started" if known.left else "its connection was lost"
        return f"is {presence}: {cause}; it was last heard of at {words.when(heard_at, self.now_ms)}{pruned}"

    def stage_since(self, agent: str, oldest: StoredMessage) -> str:
        """How far the oldest message of an inbox came, and since when it is there or surfaced."""
        assert oldest.at is not None
        since = words.since(oldest.at, self.now_ms)
        if oldest.stage == "surfaced":
            return f"surfaced {since}"
        return f"there {since} and {'not surfaced' if self.broker.has_pushed(agent, oldest.message) else 'not pushed'}"

    def window_of(self, agent: str) -> str | None:
        """What keeps the relay from pushing to an agent that is connected, as a clause; None: nothing."""
        session = self.broker.sessions[agent]
        if len(session.unacked) >= session.credit:
            return f"holds all that it takes at once ({len(session.unacked)} unacked of credit {session.credit})"
        if not session.writable:
            return "is connected, but does not read what is sent to it"
        return None


def _chain(broker: "Broker", wait: "Wait") -> tuple[list[str], "Wait"]:
    """The links `waits for bob (message 7)` from a wait on, and the last wait: those it is on can move."""
    links: list[str] = []
    seen = {wait.asker}
    while True:
        on = sorted(wait.on)
        what = f" (message {wait.message})" if wait.message is not None else ""
        links.append(f"waits for {words.listed(on, 'or') if on else 'a reply that nobody is left to give'}{what}")
        behind = broker.waits.asked_by(on[0]) if len(on) == 1 else []
        if not behind or on[0] not in broker.sessions or on[0] in seen or len(links) >= CHAIN_MAX:
            return links, wait
        seen.add(on[0])
        wait = behind[0]
