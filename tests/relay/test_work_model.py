"""Work against a model of it: hypothesis makes up what agents do, and the relay and the model must say the same.

A failure prints the steps that lead to it, as short as hypothesis could make them, and a line that reproduces it
(`@reproduce_failure`), to be put above `class Shop`; `pytest --hypothesis-seed=N` repeats a whole run.
"""

import sqlite3
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from relay_proto import frames as wire
from relay_server.session import Session
from tests.relay.desk import START_MS
from tests.relay.side_by_side import SideBySide
from tests.relay.stress import make_cheap
from tests.relay.work_model import HELD, NEWS, OPEN, Agent, Refused, Work, WorkModel

CAPS = {"ann": ("x",), "ben": ("x", "y"), "cyd": ("y",)}
NAMES = tuple(CAPS)
TARGETS = ("cap:x", "cap:y", "any:cap:x", "ALL", *NAMES)
EXAMPLES = 100
STEPS = 8
"""Rules in one example; most of them do several things."""

ODD = 9
picks = st.integers(0, 11)
"""Picks one of what there is, modulo; ODD: perhaps one that there is not."""
visiting = st.sampled_from([False, False, False, True])
fences = st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1])
"""How far from the current one."""
others = st.sampled_from([None, None, None, None, None, True])
"""It is not the holder who says it."""
leases = st.sampled_from([5, 20, 100])


def sometimes(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([*([None] * 2 * len(values)), *values])


submits = st.tuples(
    st.just("submit"),
    picks,
    st.fixed_dictionaries(
        {
            "to": st.sampled_from(TARGETS),
            "attempts": st.sampled_from([1, 2, 3]),
            "priority": sometimes([0, 5, 9]),
            "ttl_s": sometimes([30, 90]),
            "delay_s": sometimes([3, 25]),
            "dedupe_key": sometimes(["k", "l"]),
            "source": sometimes(["ci"]),
            "key": sometimes(["once"]),
        }
    ),
    st.lists(picks, max_size=2),
)
claims = st.tuples(st.just("claim"), picks, picks, leases, visiting)
nexts = st.tuples(
    st.just("claim_next"), picks, st.sampled_from([1, 1, 2, 5]), leases, sometimes(["cap:x", "cap:y"]),
    sometimes([True]), visiting,
)  # fmt: skip
words = st.tuples(
    st.just("word"),
    st.sampled_from(["progress"] * 3 + ["renew", "resume", "release", "complete", "fail", "fail", "fail_for_good"]),
    picks, fences, sometimes([7, 50]), others, visiting,
)  # fmt: skip
parks = st.tuples(
    st.just("park"), picks, fences, st.sampled_from(["human", "input", "auth", "dependency", "dependency"]),
    st.sampled_from([10, 60, 1000]), st.lists(picks, min_size=1, max_size=2), others, visiting,
)  # fmt: skip
cancels = st.tuples(st.just("cancel"), picks, picks, st.booleans())
kicks = st.tuples(st.just("kick"), picks, picks)
resolves = st.tuples(st.just("resolve"), picks, st.sampled_from(["k", "l"]), sometimes(["ci"]))
checks = st.tuples(st.just("check"), picks, picks, fences)
times = st.tuples(st.just("pass_time"), st.sampled_from([1, 1, 2, 5, 10, 60]))
pongs = st.tuples(st.just("pong"), picks)
returns = st.tuples(st.just("come_back"), picks, st.sampled_from("ab"))
step = st.one_of(
    submits, submits, claims, claims, claims, nexts, words, words, words, words, words, parks, parks, cancels, kicks,
    resolves, checks, times, times, pongs, returns,
)  # fmt: skip
steps = st.tuples(*[st.lists(step, max_size=10)] * 5).map(lambda lists: [one for some in lists for one in some])


class Shop(SideBySide):
    """Agents that work, and a model of who holds what."""

    def __init__(self) -> None:
        super().__init__()
        groups = {name: {f"cap:{cap}" for cap in CAPS[name]} for name in NAMES}
        self.model = WorkModel(
            {
                name: Agent(frozenset({name, "ALL", *caps, *(f"any:{cap}" for cap in caps)}))
                for name, caps in groups.items()
            }
        )
        self.news: list[NEWS] = []
        self.winners: dict[tuple[int, int], str] = {}
        """Who was given each fence of each task."""
        self.shown: dict[int, tuple[str, int]] = {}
        """State and fence of each task as they were shown last."""
        self.database = sqlite3.connect(self.desk.store.folder / "relay.db", isolation_level=None)

    def teardown(self) -> None:
        self.database.close()
        super().teardown()

    # -- saying and hearing ---------------------------------------------------------------------------------------

    def say(self, name: str, frame: Any, visits: bool = False) -> tuple[dict[str, Any], int, str]:
        """The answer to a request, and the epoch and the instance that asked. Each visit is another process."""
        if visits or name not in self.sessions:
            session, epoch = self.desk.connect(), self.model.visit(name)
            instance = session.name
            self.run(self.desk.say(session, wire.Register(id=0, agent=name, visit=True)))
        else:
            session, epoch = self.sessions[name], self.model.agents[name].epoch
            instance = str(self.model.agents[name].instance)
            self.model.heard(name)
        self.desk.put(session, frame)
        self.run(self.desk.turn())
        (answer,) = [heard for heard in self.hear(name, session) if heard.get("re") == frame.id]
        if session is not self.sessions.get(name):
            self.desk.broker.lost(session)
        return answer, epoch, instance

    def hear(self, name: str, session: Session) -> list[dict[str, Any]]:
        heard = self.desk.heard(session)
        for frame in heard:
            if frame.get("event") in ("claim.lost", "claim.resumed"):
                self.news.append((name, frame["event"], frame["message"], frame["fence"]))
        return heard

    def expect(self, answer: dict[str, Any], refused: Refused | None) -> None:
        if refused is None:
            assert answer["op"] == "ok", answer
            return
        assert answer.get("code") == refused.code, (answer, refused)
        for part, value in refused.detail.items():
            assert answer["detail"][part] == value, answer

    def someone(self, pick: int) -> str:
        return NAMES[pick % len(NAMES)]

    def some(self, pick: int) -> int:
        """One of the last tasks, or one that was not submitted."""
        count = len(self.model.works)
        return count + 1 if pick == ODD or not count else count - pick % min(count, 6)

    def some_claim(self, pick: int, offset: int = 0) -> int:
        """One that somebody holds; if there is none yet, then from now on. With an older fence, where it can be old."""
        if pick != ODD and not any(work.is_held for work in self.model.works.values()):
            self.claim_now(pick)
        if offset < 0:
            for work in self.model.works.values():
                if work.is_held and work.fence == 1:
                    self.say_word("release", work.message, str(work.holder), work.fence, None, False)
                    self.claim_now(pick)
                    break
            again = [work.message for work in self.model.works.values() if work.is_held and work.fence > 1]
            if again:
                return again[pick % len(again)]
        return self.some_in(pick, *HELD)

    def claim_now(self, pick: int) -> None:
        self.claim(pick // 4, pick, 20, False)
        self.each_task_is_what_it_must_be()

    def some_in(self, pick: int, *states: str) -> int:
        """One in these states, if there is any; or any other."""
        found = [work.message for work in self.model.works.values() if work.state in states]
        return found[-1 - pick % len(found)] if found and pick != ODD else self.some(pick // 2)

    def holder_of(self, message: int, pick: int, is_other: bool | None) -> str:
        work = self.model.works.get(message)
        return self.someone(pick) if is_other or work is None or work.holder is None else work.holder

    def fence_of(self, message: int, offset: int) -> int:
        work = self.model.works.get(message)
        return max(1, (work.fence if work is not None else 0) + offset)

    # -- agents ---------------------------------------------------------------------------------------------------

    @initialize(away=st.sets(st.sampled_from(NAMES)), submitted=st.lists(submits, max_size=3), steps=steps)
    def begin(self, away: set[str], submitted: list[Any], steps: list[Any]) -> None:
        for name in NAMES:
            if name not in away:
                self.register(name, "a")
        self.act(submitted)
        self.act(steps)

    @rule(name=st.sampled_from(NAMES), instance=st.sampled_from("aab"))
    def register(self, name: str, instance: str) -> None:
        works = self.model.works.values()
        if self.model.agents[name].instance is None and any(work.holder == name and work.is_held for work in works):
            return  # what becomes of a visitor's lease when it comes to stay is nobody's promise
        previous = self.sessions.pop(name, None)
        session = self.desk.connect()
        caps = list(CAPS[name])
        heard = self.run(self.desk.say(session, wire.Register(id=1, agent=name, instance=instance, caps=caps)))
        assert heard[0]["epoch"] == self.model.register(name, instance)
        self.sessions[name] = session
        if previous is not None:
            self.hear(name, previous)
            self.desk.broker.lost(previous)

    @rule(pick=picks, says_bye=st.booleans())
    def leave(self, pick: int, says_bye: bool) -> None:
        name = self.someone(pick)
        session = self.sessions.pop(name, None)
        if session is None:
            return
        self.hear(name, session)
        if says_bye:
            self.desk.put(session, wire.Bye())
            self.run(self.desk.turn())
        self.desk.broker.lost(session)
        self.model.leave(name, says_bye)

    @rule(down_s=st.sampled_from([0, 7, 70]))
    def restart(self, down_s: int) -> None:
        self.hear_all()
        self.sessions.clear()
        self.run(self.desk.restart(down_s))
        self.watch()
        self.run(self.desk.pass_time(0))
        self.model.restart(down_s)

    @rule(steps=steps)
    def act(self, steps: list[Any]) -> None:
        """What agents do all day."""
        for name, *arguments in steps:
            getattr(self, name)(*arguments)
            self.each_task_is_what_it_must_be()

    # -- tasks ----------------------------------------------------------------------------------------------------

    def submit(self, pick: int, fields: dict[str, Any], needs: list[int]) -> None:
        name = self.someone(pick)
        given = {field: value for field, value in fields.items() if value is not None}
        depends_on = [self.some(one) for one in needs]
        if "dedupe_key" not in given:
            given.pop("source", None)
            given.pop("key", None)  # of a report alone: what a key means for a send is test_model's
        thing = (given.get("source", name), given["dedupe_key"]) if "dedupe_key" in given else None
        key = f"{name} {given.get('key')} {thing}"
        if key not in self.model.reports and (thing is None or self.model.open_about(thing) is None):
            given.pop("key", None)
        if "key" in given:
            given["key"] = key
        frame = wire.Submit(id=2, title="t", hold=True, depends_on=depends_on or None, **given)
        answer, *_ = self.say(name, frame)
        try:
            work = self.model.submit(
                name, given["to"], given["attempts"], given.get("priority"), given.get("ttl_s"), given.get("delay_s"),
                thing, list(dict.fromkeys(depends_on)), given.get("key"),
            )  # fmt: skip
        except Refused as refused:
            return self.expect(answer, refused)
        self.expect(answer, None)
        assert answer["message"] == work.message
        assert answer.get("occurrences", 1) == work.occurrences

    def cancel(self, pick: int, which: int, force: bool) -> None:
        name, message = self.someone(pick), self.some(which)
        answer, *_ = self.say(name, wire.Cancel(id=2, message=message, force=force))
        self.compare(answer, lambda: self.model.cancel(name, message, force))

    def kick(self, pick: int, which: int) -> None:
        message = self.some_in(which, "buried")
        answer, *_ = self.say(self.someone(pick), wire.Kick(id=2, message=message))
        self.compare(answer, lambda: self.model.kick(message))

    def resolve(self, pick: int, key: str, source: str | None) -> None:
        name = self.someone(pick)
        things = [work.thing for work in self.model.works.values() if work.thing is not None and work.state in OPEN]
        if things and pick != ODD:
            source, key = things[pick % len(things)]
        answer, *_ = self.say(name, wire.Resolve(id=2, dedupe_key=key, source=source))
        self.compare(answer, lambda: self.model.resolve((source or name, key)))

    def check(self, pick: int, which: int, offset: int) -> None:
        message = self.some_in(which, *HELD)
        fence = self.fence_of(message, offset)
        answer, *_ = self.say(self.someone(pick), wire.Check(id=2, message=message, fence=fence))
        work = self.compare(answer, lambda: self.model.check(message, fence))
        if work is not None:
            assert (answer["agent"], answer["state"]) == (work.holder, work.state)
            left_s = None if work.state == "parked" else self.model.ends_at(work) - self.model.now
            assert answer.get("lease_s") == left_s

    def compare(self, answer: dict[str, Any], happens: Any) -> Any:
        """Do the same to the model; both must say the same."""
        try:
            result = happens()
        except Refused as refused:
            return self.expect(answer, refused)
        self.expect(answer, None)
        return result

    # -- claims ---------------------------------------------------------------------------------------------------

    def claim(self, pick: int, which: int, lease_s: int, visits: bool) -> None:
        name, message = self.someone(pick), self.some_in(which, "ready")
        answer, epoch, instance = self.say(name, wire.Claim(id=2, message=message, lease_s=lease_s), visits)
        fence = self.compare(answer, lambda: self.model.claim(name, epoch, instance, message, lease_s))
        if fence is not None:
            assert answer["fence"] == fence
            self.won(name, message, fence)

    def claim_next(
        self, pick: int, n: int, lease_s: int, to: str | None, knows_nothing: bool | None, visits: bool
    ) -> None:
        name = self.someone(pick)
        known: list[int] | None = [] if knows_nothing else None
        frame = wire.ClaimNext(id=2, n=n, lease_s=lease_s, to=to, held=known)
        answer, epoch, instance = self.say(name, frame, visits)
        targets = self.model.agents[name].targets if name in self.sessions or self.model.agents[name].epoch else {name}
        expected = self.model_next(name, frozenset(targets), epoch, instance, n, lease_s, to, known)
        assert [(item["message"], item["work"]["fence"]) for item in answer["items"]] == expected
        for message, fence in expected:
            self.won(name, message, fence)

    def model_next(self, name: str, targets: frozenset[str], *arguments: Any) -> list[tuple[int, int]]:
        """Who only ever visited said of nothing what it can do."""
        agent = self.model.agents[name]
        said, agent.targets = agent.targets, targets | {"ALL"}
        try:
            return self.model.claim_next(name, *arguments)
        finally:
            agent.targets = said

    def won(self, name: str, message: int, fence: int) -> None:
        assert self.winners.setdefault((message, fence), name) == name, "a fence has one winner"

    def word(
        self, event: Any, which: int, offset: int, lease_s: int | None, is_other: bool | None, visits: bool
    ) -> None:
        message = self.some_claim(which, offset)
        name, fence = self.holder_of(message, which, is_other), self.fence_of(message, offset)
        self.say_word(event, message, name, fence, lease_s, visits)

    def say_word(self, event: Any, message: int, name: str, fence: int, lease_s: int | None, visits: bool) -> None:
        match event:
            case "renew":
                frame: Any = wire.Renew(id=2, message=message, fence=fence, lease_s=lease_s)
            case "resume":
                frame = wire.Resume(id=2, message=message, fence=fence, lease_s=lease_s)
            case "progress":
                frame, lease_s = wire.Progress(id=2, message=message, fence=fence, progress=0.5, note="on"), None
            case "release":
                frame = wire.Release(id=2, message=message, fence=fence)
            case "complete":
                frame = wire.Complete(id=2, message=message, fence=fence, result="r")
            case _:
                frame = wire.Fail(id=2, message=message, fence=fence, reason="r", retry=event == "fail")
        answer, epoch, instance = self.say(name, frame, visits)
        work = self.compare(answer, lambda: self.model.word(event, name, epoch, instance, message, fence, lease_s))
        if work is not None and event in ("renew", "resume", "progress"):
            assert (answer["fence"], answer["lease_s"]) == (fence, work.lease_s)

    def park(
        self, which: int, offset: int, needs: Any, deadline_s: int, others: list[int], is_other: bool | None,
        visits: bool,
    ) -> None:  # fmt: skip
        message = self.some_claim(which, offset)
        name, fence = self.holder_of(message, which, is_other), self.fence_of(message, offset)
        waits_for = [self.some(one) for one in others] if needs == "dependency" else None
        frame = wire.Park(id=2, message=message, fence=fence, needs=needs, deadline_s=deadline_s, depends_on=waits_for)
        answer, epoch, instance = self.say(name, frame, visits)
        until = START_MS + (self.model.now + deadline_s) * 1000
        once = None if waits_for is None else list(dict.fromkeys(waits_for))
        self.compare(answer, lambda: self.model.park(name, epoch, instance, message, fence, needs, deadline_s, once))
        if answer["op"] == "ok":
            assert (answer["fence"], answer["park_until_at"]) == (fence, until)
        elif answer["code"] == "dependency_cycle":
            self.is_a_circle(answer["detail"]["cycle"], message, waits_for or [])

    def is_a_circle(self, cycle: list[int], message: int, waits_for: list[int]) -> None:
        """Each waits for the next one, the last for the first; the first is the one that would close it."""
        assert cycle[0] == message
        needs = {work.message: work.stands_still_for for work in self.model.works.values()}
        needs[message] = set(waits_for)
        for one, behind in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert behind in needs[one], cycle

    # -- time -----------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: int) -> None:
        self.run(self.desk.pass_time(seconds))
        self.model.pass_time(seconds)

    def pong(self, pick: int) -> None:
        """The socket of an agent lives, though it says nothing; of one that holds something, as a rule."""
        name = self.holder_of(self.some_in(pick, *HELD), pick, None)
        if name in self.sessions:
            self.sessions[name].alive_at = self.desk.now
            self.model.heard(name)

    def come_back(self, pick: int, instance: str) -> None:
        """Who holds something connects again, as the same or as another."""
        self.register(self.holder_of(self.some_in(pick, *HELD), pick, None), instance)

    def hear_all(self) -> None:
        for name, session in self.sessions.items():
            self.hear(name, session)

    # -- what must be the same ------------------------------------------------------------------------------------

    @invariant()
    def each_task_is_what_it_must_be(self) -> None:
        self.run(self.desk.pass_time(0))
        self.model.pass_time(0)
        assert self.desk.now == self.model.now
        questions = [wire.GetTask(id=message, message=message) for message in self.model.works]
        heard = self.run(self.desk.say(self.watcher, *questions)) if questions else []
        answers = {answer["re"]: answer["item"] for answer in heard}
        for work in self.model.works.values():
            item = answers[work.message]
            assert seen(item) == self.expected(work), work.message
            self.has_not_gone_back(item)
        self.hear_all()
        news, self.news = Counter(self.news), []
        expected, self.model.news = Counter(self.model.news), []
        assert news == expected

    def expected(self, work: Work) -> dict[str, Any]:
        """What the relay must show of it."""
        return {
            "state": work.state, "fence": work.fence, "attempts": work.attempts, "attempts_max": work.attempts_max,
            "occurrences": work.occurrences, "needs": work.needs, "holder": work.holder if work.is_held else None,
            "lease_left_s": self.model.ends_at(work) - self.model.now if work.state in ("claimed", "working") else None,
            "park_until_at": None if work.park_until is None else START_MS + work.park_until * 1000,
            "ready_at": None if work.ready_at is None else START_MS + work.ready_at * 1000,
            "waiting_for": sorted(one for one in work.stands_still_for if self.model.works[one].state != "done"),
        }  # fmt: skip

    def has_not_gone_back(self, item: dict[str, Any]) -> None:
        """Fences only grow, and what is over stays so, but for a kick."""
        message, state, fence = item["message"], item["state"], item["fence"]
        before, last = self.shown.get(message, ("ready", 0))
        assert fence in (last, last + 1)
        if before not in OPEN and state != before:
            kicked = any(line["event"] == "kick" for line in item["history"])
            assert before == "buried"
            assert kicked or state in ("canceled", "done")
        if fence:
            assert (message, fence) in self.winners
        self.shown[message] = (state, fence)

    @invariant()
    def the_store_agrees_with_itself(self) -> None:
        """What rows say more than once, they say alike; a claim that runs has a lease, and nothing else has one."""
        running = {message for message, work in self.model.works.items() if work.state in ("claimed", "working")}
        assert set(self.desk.broker.leases._by_message) == running
        twice = "SELECT message, state, rank, ready_rank, holder, held_by, dedupe_key, open_key, is_listed FROM work"
        for message, state, rank, ready_rank, holder, held_by, key, open_key, is_listed in self.database.execute(twice):
            assert ready_rank == (rank if state == "ready" else None), message
            assert held_by == (holder if state in HELD else None), message
            assert open_key == (key if state in OPEN else None), message
            assert bool(is_listed) == (state in OPEN or state == "buried"), message


def seen(item: dict[str, Any]) -> dict[str, Any]:
    defaults = {"occurrences": 1, "waiting_for": []}
    parts = (
        "state", "fence", "attempts", "attempts_max", "occurrences", "needs", "lease_left_s", "park_until_at",
        "ready_at", "waiting_for",
    )  # fmt: skip
    found = {part: item.get(part, defaults.get(part)) for part in parts}
    found["holder"] = item.get("holder") if item["state"] in HELD else None
    return found


def test_work_is_what_the_model_says_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    make_cheap(monkeypatch)
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=False,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
