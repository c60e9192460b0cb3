"""The relay against a model of it: hypothesis makes up what agents do, and both must say the same after each step.

A failure prints the steps that lead to it, as short as hypothesis could make them, and a line that reproduces it
(`@reproduce_failure`), to be put above `class Relay`; `pytest --hypothesis-seed=N` repeats a whole run.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from relay_proto import frames as wire
from tests.relay.model import Heard, Model
from tests.relay.side_by_side import SideBySide
from tests.relay.stress import make_cheap

NAMES = ("ann", "ben", "cyd", "dan")
TOPICS = frozenset({"red", "blue"})
TARGETS = (*NAMES, "ALL", *(f"{kind}:{topic}" for kind in ("tag", "cap", "channel") for topic in sorted(TOPICS)))
EXAMPLES = 150
STEPS = 10
"""Rules in one example; one of them does several things."""

names = st.sampled_from(NAMES)
topics = st.frozensets(st.sampled_from(sorted(TOPICS)))
addresses = st.fixed_dictionaries({"tags": topics, "caps": topics, "channels": topics})
credits = st.sampled_from([1, 1, 2, 3, 64])
picks = st.integers(0, 11)
"""Picks one of what there is, modulo."""


def sometimes(values: list[Any]) -> st.SearchStrategy[Any]:
    """None most of the time: a message that has everything at once is the rarest one."""
    return st.sampled_from([*([None] * 2 * len(values)), *values])


messages = st.fixed_dictionaries(
    {
        "to": st.sampled_from(TARGETS),
        "hold": st.sampled_from([None, True]),
        "channel": sometimes(sorted(TOPICS)),
        "priority": sometimes([0, 3, 4, 5, 9]),
        "ttl_s": sometimes([3, 10, 60]),
        "delay_s": sometimes([0, 1, 2, 20]),
        "key": sometimes(["k1", "k2"]),
    }
).map(lambda fields: {field: value for field, value in fields.items() if value is not None})
messages = messages.filter(lambda fields: fields.get("ttl_s", 61) > fields.get("delay_s", 0))
sends = st.tuples(st.just("send"), picks, messages, st.sampled_from(["", "", "", "own", "any"]), picks)
acks = st.tuples(st.just("ack"), picks, st.lists(picks, max_size=3), st.sampled_from(["surfaced", "done", "done"]))
delays = st.sampled_from([None, None, 1, 5, 30])
"""Of a nack. Not 0: whether what is due again at once comes before what waits is nobody's promise."""
nacks = st.tuples(st.just("nack"), picks, picks, sometimes(["for good"]), delays)
times = st.tuples(st.just("pass_time"), st.sampled_from([1, 1, 2, 3, 10, 31]))
repeats = st.tuples(st.just("repeat"), picks)
step = st.one_of(sends, sends, sends, sends, acks, acks, acks, nacks, times, times, repeats)
steps = st.tuples(*[st.lists(step, max_size=10)] * 5).map(lambda lists: [one for some in lists for one in some])
"""Some twenty-five; a single list would be five, and one with a least length could not be made short again."""


class Relay(SideBySide):
    """Agents that send, ack and nack, and a model of their inboxes."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.desk.now_ms)
        self.heard: dict[str, list[Heard]] = {name: [] for name in NAMES}

    def say(self, name: str, frame: Any) -> dict[str, Any]:
        """The answer to a request. What else is heard is kept until it is compared."""
        self.desk.put(self.sessions[name], frame)
        self.run(self.desk.turn())
        self.listen()
        return self.answers[name].pop()

    def listen(self) -> None:
        """Take what everybody heard: answers, and the rest as the model would say it."""
        self.answers: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
        for name, session in self.sessions.items():
            for frame in self.desk.heard(session):
                if "re" in frame:
                    self.answers[name].append(frame)
                elif frame["op"] == "deliver":
                    self.heard[name].append(("deliver", frame["message"], frame["attempt"]))
                else:
                    self.heard[name].append((frame["event"], frame["message"]))

    def someone(self, pick: int) -> str:
        """One of those who are connected; there is one."""
        if not self.sessions:
            self.register(
                NAMES[pick % len(NAMES)], "a", 2, dict.fromkeys(("tags", "caps", "channels"), frozenset[str]())
            )
        connected = sorted(self.sessions)
        return connected[pick % len(connected)]

    def some_message(self, pick: int) -> int:
        """One of the last that were sent, or one that was not."""
        return max(1, len(self.model.senders) + 1 - pick)

    # -- agents ---------------------------------------------------------------------------------------------------

    @initialize(
        agents=st.lists(st.tuples(names, credits, addresses), min_size=1, max_size=4, unique_by=lambda one: one[0]),
        steps=steps,
    )  # fmt: skip
    def begin(self, agents: list[Any], steps: list[Any]) -> None:
        for name, credit, address in agents:
            self.register(name, "a", credit, address)
        self.act(steps)

    @rule(name=names, instance=st.sampled_from("ab"), credit=credits, address=addresses)
    def register(self, name: str, instance: str, credit: int, address: dict[str, frozenset[str]]) -> None:
        previous = self.sessions.pop(name, None)
        self.sessions[name] = self.desk.connect()
        lists: dict[str, Any] = {part: sorted(value) for part, value in address.items()}
        self.heard[name] = []
        ok = self.say(name, wire.Register(id=1, agent=name, instance=instance, credit=credit, **lists))
        if previous is not None:
            assert self.desk.heard(previous)[-1]["code"] == "replaced"
            self.desk.broker.lost(previous)
        assert (ok["epoch"], ok["pending"]) == self.model.register(name, instance, credit, **address)

    @rule(pick=picks, address=addresses)
    def update(self, pick: int, address: dict[str, frozenset[str]]) -> None:
        name = self.someone(pick)
        lists: dict[str, Any] = {part: sorted(value) for part, value in address.items()}
        ok = self.say(name, wire.Update(id=1, **lists))
        assert ok["op"] == "ok"
        self.model.update(name, **address)

    @rule(pick=picks, says_bye=st.booleans())
    def leave(self, pick: int, says_bye: bool) -> None:
        name = self.someone(pick)
        session = self.sessions.pop(name)
        if says_bye:
            self.desk.put(session, wire.Bye())
            self.run(self.desk.turn())
        self.desk.broker.lost(session)
        self.model.leave(name)

    @rule(down_s=st.sampled_from([0, 1, 15]))
    def restart(self, down_s: int) -> None:
        self.sessions.clear()
        self.heard = {name: [] for name in NAMES}
        self.run(self.desk.restart(down_s))
        self.watcher = self.desk.connect()
        self.run(self.desk.say(self.watcher, wire.Register(id=0, agent="watcher", visit=True)))
        self.model.restart(down_s * 1000)

    @rule(steps=steps)
    def act(self, steps: list[Any]) -> None:
        """What agents do all day."""
        for name, *arguments in steps:
            getattr(self, name)(*arguments)
            self.everybody_heard_the_same()

    # -- messages -------------------------------------------------------------------------------------------------

    def send(self, pick: int, fields: dict[str, Any], replaces: str, older: int) -> None:
        name = self.someone(pick)
        own = [message for message, sender in self.model.senders.items() if sender == name]
        if replaces == "own" and own:
            fields = {**fields, "supersedes": own[-1 - older % len(own)]}
        elif replaces == "any":
            fields = {**fields, "supersedes": self.some_message(older)}
        self.send_as(name, fields)

    def repeat(self, pick: int) -> None:
        """A send whose answer was lost is sent again."""
        known = [(sender, fields) for (sender, _), (fields, _) in self.model.keys.items() if sender in self.sessions]
        if known:
            self.send_as(*known[pick % len(known)])

    def send_as(self, name: str, fields: dict[str, Any]) -> None:
        is_repeat = (name, fields.get("key")) in self.model.keys
        answer = self.say(name, wire.Send(id=2, body="b", **fields))
        expected = self.model.send(name, fields)
        if isinstance(expected, str):
            assert (answer["op"], answer.get("code")) == ("error", expected)
        else:
            assert answer["op"] == "ok", answer
            assert (answer["message"], answer["recipients"], answer["online"]) == expected
            assert answer.get("duplicate", False) == is_repeat

    def ack(self, pick: int, others: list[int], stage: Any) -> None:
        name = self.someone(pick)
        held = self.model.holds(name)
        ids = {held[other % len(held)] if held and other % 4 else self.some_message(other) for other in others}
        ids |= {held[pick % len(held)]} if held else {self.some_message(pick)}
        answer = self.say(name, wire.Ack(id=3, messages=sorted(ids), stage=stage))
        self.answered_about(answer, self.model.ack(name, sorted(ids), stage))

    def nack(self, pick: int, message: int, for_good: str | None, delay_s: int | None) -> None:
        name = self.someone(pick)
        held = self.model.holds(name)
        message = held[message % len(held)] if held and message % 4 else self.some_message(message)
        retry = for_good is None
        answer = self.say(name, wire.Nack(id=4, message=message, reason="r", retry=retry, delay_s=delay_s))
        self.answered_about(answer, [] if self.model.nack(name, message, "r", retry, delay_s) else [message])

    def answered_about(self, answer: dict[str, Any], unknown: list[int]) -> None:
        if unknown:
            assert (answer["code"], answer["detail"]) == ("unknown_message", {"messages": unknown})
        else:
            assert answer["op"] == "ok", answer

    def pass_time(self, seconds: int) -> None:
        self.run(self.desk.pass_time(seconds))
        self.model.pass_time(seconds * 1000)

    # -- what must be the same ------------------------------------------------------------------------------------

    @invariant()
    def everybody_heard_the_same(self) -> None:
        self.run(self.desk.turn())
        self.run(self.desk.pass_time(0))
        self.model.pass_time(0)
        self.listen()
        assert self.desk.now_ms == self.model.now
        for name in NAMES:
            expected, heard = self.model.heard.pop(name, []), self.heard[name]
            if name in self.sessions:
                assert deliveries(heard) == deliveries(expected), f"in this order, for {name}"
                assert Counter(heard) == Counter(expected), f"for {name}"
            self.heard[name] = []

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        messages = list(self.model.senders)
        questions: list[Any] = [wire.Receipts(id=message, message=message) for message in messages]
        questions += [wire.Inbox(id=10_000 + place, agent=name, limit=1000) for place, name in enumerate(NAMES)]
        answers = {answer["re"]: answer for answer in self.run(self.desk.say(self.watcher, *questions))}
        for message in messages:
            states = [
                (state["agent"], state["stage"], state["at"], state["attempt"], state.get("reason"))
                for state in answers[message]["deliveries"]
            ]
            assert states == self.model.ledger(message), message
        for place, name in enumerate(NAMES):
            if name not in self.model.agents and not self.model.open(name):
                assert answers[10_000 + place]["code"] == "unknown_agent"
                continue
            items = answers[10_000 + place]["items"]
            shown = [(item["message"], item["stage"], item["attempt"]) for item in items]
            expected = [
                (entry.message, self.model.shown(name, entry), entry.attempt) for entry in self.model.open(name)
            ]
            assert shown == expected, name


def deliveries(heard: list[Heard]) -> list[Heard]:
    return [what for what in heard if what[0] == "deliver"]


def test_the_relay_and_the_model_say_the_same_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    make_cheap(monkeypatch)
    run_state_machine_as_test(
        Relay,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=False,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
