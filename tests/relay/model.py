"""What the relay promises, as plain dicts and lists: inboxes, channels, stages and time.

A second opinion, written from the protocol and not from the code. It knows no sessions, windows, turns or tables. After
each step it says which frames each agent has heard since the last one, and what everybody's inbox holds.

Times are milliseconds since 1970.
"""

from dataclasses import dataclass, field
from typing import Any

PRIORITY_DEFAULT = 4
NACKS_MAX = 5
NOT_IN_TIME = "not surfaced in its time"
NOT_DEALT_WITH = "surfaced, and not dealt with in its time"

Heard = tuple[Any, ...]
"""("deliver", message, attempt), ("withdrawn", message), ("superseded", message), ("bye",)."""


@dataclass
class Delivery:
    """One message in one inbox."""

    message: int
    priority: int
    at: int
    due_at: int
    expires_at: int | None
    stage: str = "queued"
    reason: str | None = None
    attempt: int = 1
    nacks: int = 0

    @property
    def is_open(self) -> bool:
        return self.stage in ("queued", "surfaced")

    def is_over(self, now: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def becomes(self, stage: str, now: int, reason: str | None = None) -> None:
        self.stage, self.at, self.reason = stage, now, reason


@dataclass
class Agent:
    """One agent that was ever seen. `holds`: what its connection was given and did not ack or nack; None: offline."""

    instance: str
    epoch: int = 1
    credit: int = 1
    tags: frozenset[str] = frozenset()
    caps: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    holds: list[int] | None = None
    in_front: set[int] = field(default_factory=set)
    """What it surfaced without being given it by this connection."""


def content(frame: dict[str, Any]) -> dict[str, Any]:
    """What must be the same when a key is repeated."""
    kind, _, name = frame["to"].partition(":")
    fields = {field: value for field, value in frame.items() if field != "hold" and (field, value) != ("delay_s", 0)}
    if kind == "channel":
        fields.setdefault("channel", name)
    return fields


@dataclass
class Model:
    """All of it. Each method is something that happens; what follows from it at once has happened when it returns."""

    now: int
    agents: dict[str, Agent] = field(default_factory=dict)
    senders: dict[int, str] = field(default_factory=dict)
    inboxes: dict[str, dict[int, Delivery]] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[dict[str, Any], tuple[int, int, int]]] = field(default_factory=dict)
    replaced: set[int] = field(default_factory=set)
    heard: dict[str, list[Heard]] = field(default_factory=dict)

    # -- agents ---------------------------------------------------------------------------------------------------

    def register(self, name: str, instance: str, credit: int, **address: frozenset[str]) -> tuple[int, int]:
        """(epoch, pending). The connection that it had, if any, is told and is over."""
        agent = self.agents.setdefault(name, Agent(instance))
        for delivery in self.inbox(name).values():
            if delivery.stage == "surfaced" and delivery.is_over(self.now):
                delivery.becomes("expired", self.now, NOT_DEALT_WITH)
        if agent.holds is not None:
            self.leave(name)
        if agent.instance != instance:
            agent.instance, agent.epoch = instance, agent.epoch + 1
        agent.credit, agent.holds, agent.in_front = credit, [], set()
        self.update(name, **address)
        pending = len(self.open(name))
        self.heard[name] = []
        self._fill(name)
        return agent.epoch, pending

    def update(self, name: str, **address: frozenset[str]) -> None:
        for part, value in address.items():
            setattr(self.agents[name], part, value)

    def leave(self, name: str) -> None:
        """Its connection is over. What it was given and did not deal with will be another attempt."""
        agent = self.agents[name]
        for message in agent.holds or ():
            delivery = self.inboxes[name][message]
            if delivery.is_open:
                delivery.attempt += 1
        agent.holds = None

    def restart(self, down_ms: int) -> None:
        """All connections are gone, and nobody could note what had been pushed."""
        for agent in self.agents.values():
            agent.holds = None
        self.now += down_ms
        self._happen()

    # -- messages -------------------------------------------------------------------------------------------------

    def send(self, sender: str, frame: dict[str, Any]) -> tuple[int, int, int] | str:
        """(message, recipients, how many of them are online), or the code of the error."""
        key = frame.get("key")
        if key is not None and (sender, key) in self.keys:
            first, answer = self.keys[sender, key]
            return answer if content(first) == content(frame) else "key_conflict"
        recipients = self._recipients(sender, frame)
        if isinstance(recipients, str):
            return recipients
        older = frame.get("supersedes")
        if older is not None and older not in self.senders:
            return "unknown_message"
        if older is not None and self.senders[older] != sender:
            return "forbidden"
        message = len(self.senders) + 1
        self.senders[message] = sender
        for name in recipients:
            self.inbox(name)[message] = self._delivery(message, frame)
        if older is not None:
            self._supersede(older, message)
        for name in self.inboxes:
            self._fill(name)
        answer = (message, len(recipients), sum(self.is_connected(name) for name in recipients))
        if key is not None:
            self.keys[sender, key] = (frame, answer)
        return answer

    def _delivery(self, message: int, frame: dict[str, Any]) -> Delivery:
        ttl_s = frame.get("ttl_s")
        return Delivery(
            message,
            frame.get("priority", PRIORITY_DEFAULT),
            self.now,
            self.now + frame.get("delay_s", 0) * 1000,
            None if ttl_s is None else self.now + ttl_s * 1000,
        )

    def _recipients(self, sender: str, frame: dict[str, Any]) -> list[str] | str:
        kind, _, name = frame["to"].partition(":")
        channel = frame.get("channel")
        if not name and kind != "ALL":
            return [kind] if kind in self.agents or frame.get("hold") else "unknown_agent"
        found = []
        for who, agent in sorted(self.agents.items()):
            member = {"ALL": frozenset({""}), "tag": agent.tags, "cap": agent.caps, "channel": agent.channels}[kind]
            tuned_in = channel is None or not agent.channels or channel in agent.channels
            if who != sender and name in member and tuned_in:
                found.append(who)
        return found

    def _supersede(self, older: int, message: int) -> None:
        """Who has it in front of it, or dealt with it, is told of the first one that replaces it."""
        is_first = older not in self.replaced
        self.replaced.add(older)
        for name, inbox in self.inboxes.items():
            delivery = inbox.get(older)
            if delivery is None:
                continue
            if delivery.stage == "queued":
                delivery.becomes("superseded", self.now, f"superseded by {message}")
                if older in self.holds(name):
                    self._hear(name, "superseded", older)
                    self._take_back(name, older)
            elif is_first and delivery.stage in ("surfaced", "done") and self.is_connected(name):
                self._hear(name, "superseded", older)

    # -- what an agent says of what it was given ---------------------------------------------------------------------

    def ack(self, name: str, messages: list[int], stage: str) -> list[int]:
        """The ids that are not in its inbox."""
        for message in messages:
            delivery = self.inbox(name).get(message)
            if stage == "surfaced":
                if delivery is not None and delivery.stage == "queued":
                    delivery.becomes("surfaced", self.now)
                if message not in self.holds(name):
                    self.agents[name].in_front.add(message)
                continue
            if delivery is not None and delivery.stage in ("queued", "surfaced", "expired", "superseded"):
                delivery.becomes("done", self.now)
            self._take_back(name, message)
            self.agents[name].in_front.discard(message)
        self._fill(name)
        return [message for message in messages if message not in self.inbox(name)]

    def nack(self, name: str, message: int, reason: str, retry: bool, delay_s: int | None) -> bool:
        """False when it is not in its inbox."""
        self._take_back(name, message)
        self.agents[name].in_front.discard(message)
        delivery = self.inbox(name).get(message)
        if delivery is not None and delivery.is_open:
            if not retry:
                delivery.becomes("nacked", self.now, reason)
            elif delivery.is_over(self.now):
                delivery.becomes("expired", self.now, reason)
            elif delivery.nacks + 1 >= NACKS_MAX:
                delivery.becomes("dead", self.now, reason)
            else:
                wait_s = 2**delivery.nacks if delay_s is None else delay_s
                delivery.becomes("queued", self.now, reason)
                delivery.nacks += 1
                delivery.attempt += 1
                delivery.due_at = self.now + wait_s * 1000
        self._fill(name)
        return delivery is not None

    # -- time -----------------------------------------------------------------------------------------------------

    def pass_time(self, ms: int) -> None:
        """Whatever becomes due or is over on the way happens at its own moment."""
        until = self.now + ms
        for moment in self._moments(until):
            self.now = moment
            self._happen()
        self.now = until

    def _moments(self, until: int) -> list[int]:
        times = {
            at
            for inbox in self.inboxes.values()
            for delivery in inbox.values()
            for at in (delivery.due_at, delivery.expires_at)
            if at is not None and self.now < at <= until
        }
        return sorted(times)

    def _happen(self) -> None:
        for name, inbox in self.inboxes.items():
            for delivery in inbox.values():
                if delivery.stage == "queued" and delivery.is_over(self.now):
                    delivery.becomes("expired", self.now, NOT_IN_TIME)
                    if delivery.message in self.holds(name):
                        self._hear(name, "withdrawn", delivery.message)
                        self._take_back(name, delivery.message)
        for name in self.inboxes:
            self._fill(name)

    # -- what is true now -----------------------------------------------------------------------------------------

    def inbox(self, name: str) -> dict[int, Delivery]:
        return self.inboxes.setdefault(name, {})

    def open(self, name: str) -> list[Delivery]:
        return [delivery for delivery in self.inbox(name).values() if delivery.is_open]

    def is_connected(self, name: str) -> bool:
        return name in self.agents and self.agents[name].holds is not None

    def holds(self, name: str) -> list[int]:
        agent = self.agents.get(name)
        return [] if agent is None or agent.holds is None else agent.holds

    def ledger(self, message: int) -> list[tuple[str, str, int, int, str | None]]:
        """(agent, stage, at, attempt, reason) of each delivery of a message, by agent."""
        found = []
        for name, inbox in sorted(self.inboxes.items()):
            if (delivery := inbox.get(message)) is not None:
                found.append((name, self.shown(name, delivery), delivery.at, delivery.attempt, delivery.reason))
        return found

    def shown(self, name: str, delivery: Delivery) -> str:
        """Its stage, as one sees it: what a connection holds is pushed."""
        is_pushed = delivery.stage == "queued" and delivery.message in self.holds(name)
        return "pushed" if is_pushed else delivery.stage

    def _fill(self, name: str) -> None:
        """Push the best of what waits, as long as there is credit. What is over, and in nobody's hand, ends then."""
        while self.is_connected(name):
            holds = self.holds(name)
            if len(holds) < self.agents[name].credit:
                for delivery in self.open(name):
                    if delivery.is_over(self.now) and delivery.message not in {*holds, *self.agents[name].in_front}:
                        delivery.becomes("expired", self.now, NOT_DEALT_WITH)
            waiting = [
                delivery
                for delivery in self.open(name)
                if delivery.due_at <= self.now and not delivery.is_over(self.now) and delivery.message not in holds
            ]
            if not waiting or len(holds) >= self.agents[name].credit:
                return
            best = min(waiting, key=lambda delivery: (-delivery.priority, delivery.message))
            holds.append(best.message)
            self._hear(name, "deliver", best.message, best.attempt)

    def _take_back(self, name: str, message: int) -> None:
        """It costs no credit any more."""
        if message in self.holds(name):
            self.holds(name).remove(message)

    def _hear(self, name: str, *what: Any) -> None:
        self.heard.setdefault(name, []).append(what)
