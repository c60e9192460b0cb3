"""The relay against a model of it: hypothesis makes up what agents do, and both must say the same after each step.

A failure prints the steps that lead to it, as short as hypothesis could make them, and a line that reproduces it
(`@reproduce_failure`); `pytest --hypothesis-seed=N` repeats a whole run.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from relay_proto import frames as wire
from relay_server.quota import Limits
from relay_server.session import Session
from tests.relay.desk import Desk
from tests.relay.model import Heard, Model
from tests.relay.stress import make_cheap, temporary_folder

NAMES = ("ann", "ben", "cyd", "dan")
TOPICS = frozenset({"red", "blue"})
TARGETS = (*NAMES, "ALL", *(f"{kind}:{topic}" for kind in ("tag", "cap", "channel") for topic in sorted(TOPICS)))
UNLIMITED = Limits(
    send_per_s=0, group_per_minute=0, pair_per_minute=0, hops_max=0, inbox_messages_max=0, inbox_bytes_max=0
)
EXAMPLES = 60
STEPS = 40

names = st.sampled_from(NAMES)
topics = st.frozensets(st.sampled_from(sorted(TOPICS)))
addresses = st.fixed_dictionaries({"tags": topics, "caps": topics, "channels": topics})
picks = st.integers(0, 9999)
"""Picks one of what there is, modulo."""
sends = st.fixed_dictionaries(
    {"to": st.sampled_from(TARGETS)},
    optional={
        "channel": st.sampled_from(sorted(TOPICS)),
        "priority": st.sampled_from([0, 3, 4, 5, 9]),
        "ttl_s": st.sampled_from([3, 10, 60]),
        "delay_s": st.sampled_from([0, 1, 2, 20]),
        "key": st.sampled_from(["k1", "k2", "k3"]),
        "hold": st.booleans(),
    },
).filter(lambda frame: frame.get("ttl_s", 61) > frame.get("delay_s", 0))


class Relay(RuleBasedStateMachine):
    """The desk and the model side by side. Each rule does one thing to both."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = temporary_folder()
        self.desk = Desk(Path(self.folder.name) / "desk", UNLIMITED)
        self.run(self.desk.open())
        self.model = Model(self.desk.now_ms)
        self.sessions: dict[str, Session] = {}
        self.watcher = self.desk.connect()
        self.run(self.desk.say(self.watcher, wire.Register(id=0, agent="watcher", visit=True)))
        self.heard: dict[str, list[Heard]] = {name: [] for name in NAMES}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.desk.close())
        self.runner.close()
        self.folder.cleanup()

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
        """One of those who are connected."""
        connected = sorted(self.sessions)
        return connected[pick % len(connected)]

    def some_message(self, pick: int) -> int:
        """One that was sent, or one behind the last."""
        return 1 + pick % (len(self.model.senders) + 1)

    # -- agents ---------------------------------------------------------------------------------------------------

    @rule(name=names, instance=st.sampled_from("ab"), credit=st.sampled_from([1, 1, 2, 3, 64]), address=addresses)
    def register(self, name: str, instance: str, credit: int, address: dict[str, frozenset[str]]) -> None:
        previous = self.sessions.pop(name, None)
        self.sessions[name] = self.desk.connect()
        lists = {part: sorted(value) for part, value in address.items()}
        self.heard[name] = []
        ok = self.say(name, wire.Register(id=1, agent=name, instance=instance, credit=credit, **lists))
        if previous is not None:
            assert self.desk.heard(previous)[-1]["code"] == "replaced"
            self.desk.broker.lost(previous)
        assert (ok["epoch"], ok["pending"]) == self.model.register(name, instance, credit, **address)

    @precondition(lambda self: self.sessions)
    @rule(pick=picks, address=addresses)
    def update(self, pick: int, address: dict[str, frozenset[str]]) -> None:
        name = self.someone(pick)
        ok = self.say(name, wire.Update(id=1, **{part: sorted(value) for part, value in address.items()}))
        assert ok["op"] == "ok"
        self.model.update(name, **address)

    @precondition(lambda self: self.sessions)
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

    # -- messages -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.sessions)
    @rule(pick=picks, fields=sends, older=st.none() | picks)
    def send(self, pick: int, fields: dict[str, Any], older: int | None) -> None:
        self.send_as(self.someone(pick), fields if older is None else {**fields, "supersedes": self.some_message(older)})

    @precondition(lambda self: self.sessions and self.model.senders)
    @rule(pick=picks, fields=sends)
    def replace_ones_own(self, pick: int, fields: dict[str, Any]) -> None:
        name = self.someone(pick)
        own = [message for message, sender in self.model.senders.items() if sender == name]
        if own:
            self.send_as(name, {**fields, "supersedes": own[pick % len(own)]})

    @precondition(lambda self: self.sessions and self.model.keys)
    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        (sender, _), (fields, _) = sorted(self.model.keys.items(), key=str)[pick % len(self.model.keys)]
        if sender in self.sessions:
            self.send_as(sender, fields)

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

    @precondition(lambda self: self.sessions and self.model.senders)
    @rule(pick=picks, others=st.lists(picks, max_size=3), stage=st.sampled_from(["surfaced", "done", "done"]))
    def ack(self, pick: int, others: list[int], stage: Any) -> None:
        name = self.someone(pick)
        held = self.model.holds(name)
        messages = {held[other % len(held)] if held and other % 5 else self.some_message(other) for other in others}
        messages |= {held[pick % len(held)]} if held else {self.some_message(pick)}
        answer = self.say(name, wire.Ack(id=3, messages=sorted(messages), stage=stage))
        unknown = self.model.ack(name, sorted(messages), stage)
        self.answered_about(answer, unknown)

    @precondition(lambda self: self.sessions and self.model.senders)
    @rule(pick=picks, retry=st.integers(0, 4), delay_s=st.sampled_from([None, None, 0, 1, 5, 30]), is_held=st.booleans())
    def nack(self, pick: int, retry: int, delay_s: int | None, is_held: bool) -> None:
        name = self.someone(pick)
        held = self.model.holds(name)
        message = held[pick % len(held)] if held and is_held else self.some_message(pick)
        answer = self.say(name, wire.Nack(id=4, message=message, reason="r", retry=retry > 0, delay_s=delay_s))
        is_known = self.model.nack(name, message, "r", retry > 0, delay_s)
        self.answered_about(answer, [] if is_known else [message])

    def answered_about(self, answer: dict[str, Any], unknown: list[int]) -> None:
        if unknown:
            assert (answer["code"], answer["detail"]) == ("unknown_message", {"messages": unknown})
        else:
            assert answer["op"] == "ok", answer

    @rule(seconds=st.sampled_from([1, 1, 2, 3, 10, 31]))
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
            expected = [(entry.message, self.model.shown(name, entry), entry.attempt) for entry in self.model.open(name)]
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
