"""What the relay promises about work, as plain dicts: states, fences, leases, dependencies and time.

A second opinion, written from the protocol. It knows no sessions, deliveries, turns or tables; of the code it knows the
state table alone, and it makes no step that the table has not. Each method is something that happens; what follows from
it at once has happened when it returns. A refusal is the code of the error.

Times are seconds on the desk's clock, whole ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from relay_proto.frames import State
from relay_server.claim import TRANSITIONS, Event

HELD = ("claimed", "working", "parked")
OPEN = ("ready", "delayed", *HELD)
NEVER = ("failed", "canceled", "superseded")
PRIORITY_DEFAULT = 4
NEWS = tuple[str, str, int, int]
"""(agent, event, message, fence): what a holder is told of its claim."""


class Refused(Exception):
    """The code, and what else the error must say."""

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass
class Work:
    """One task. `waits_for` may hold what is done already; `ready_at` None while delayed: until all of it is done."""

    message: int
    sender: str
    to: str
    attempts_max: int
    priority: int
    expires_at: int | None
    due_at: int | None
    thing: tuple[str, str] | None
    waits_for: set[int]
    state: State = "ready"
    fence: int = 0
    attempts: int = 0
    occurrences: int = 1
    holder: str | None = None
    epoch: int = 0
    instance: str | None = None
    lease_s: int = 0
    since: int = 0
    ready_at: int | None = None
    needs: str | None = None
    park_until: int | None = None
    lapsed: bool = False
    last_word: Event | None = None
    """That of its last holder, by which the claim ended; None when it ended otherwise."""

    @property
    def is_held(self) -> bool:
        return self.state in HELD

    @property
    def stands_still_for(self) -> set[int]:
        """What it can't go on without."""
        waits = self.state == "delayed" and self.ready_at is None
        return self.waits_for if waits or (self.state == "parked" and self.needs == "dependency") else set()


@dataclass
class Agent:
    """One agent: `instance` None was never connected for longer than a visit."""

    targets: frozenset[str]
    instance: str | None = None
    epoch: int = 0
    heard_at: int = -(10**9)
    online: bool = False


@dataclass
class WorkModel:
    """All agents and all tasks."""

    agents: dict[str, Agent]
    now: int = 0
    works: dict[int, Work] = field(default_factory=dict)
    reports: dict[str | None, Work] = field(default_factory=dict)
    """What was counted, by its key: it counts once, however late it is repeated."""
    news: list[NEWS] = field(default_factory=list)

    # -- steps of the table ---------------------------------------------------------------------------------------

    def step(self, work: Work, event: Event) -> None:
        """One transition. Whoever waits for this learns of it when it is over."""
        work.state = TRANSITIONS[work.state, event]
        if work.state != "delayed":
            work.ready_at = None
        if work.state != "parked":
            work.needs = work.park_until = None
        work.lapsed = event == "lapse"
        if event in ("claim", "cancel", "resolve", "expire"):
            work.last_word = None
        if work.state == "ready" and event != "claim" and self._is_over_time(work):
            self.step(work, "lapse")
        if work.state not in OPEN and work.state != "buried":
            self._wake(work.message)

    def _is_over_time(self, work: Work) -> bool:
        return work.expires_at is not None and work.expires_at <= self.now

    def _wake(self, message: int) -> None:
        for work in self.works.values():
            if message in work.stands_still_for:
                self._look(work)

    def _look(self, work: Work) -> None:
        """It waits for others: can it go on, or will it never?"""
        states = {self.works[one].state for one in work.stands_still_for}
        is_lost, is_there = bool(states & set(NEVER)), states <= {"done"}
        if work.state == "delayed" and is_lost:
            # When its own time is over at the very moment, that is why it ends.
            self.step(work, "lapse" if self._is_over_time(work) else "cancel")
        elif work.state == "delayed" and is_there:
            work.ready_at = max(self.now, work.due_at or 0)
            if work.ready_at <= self.now:
                self.step(work, "ripen")
        elif work.state == "parked" and (is_lost or is_there):
            self._unpark(work)

    def _unpark(self, work: Work) -> None:
        self.step(work, "resume")
        self._runs(work)
        self._tell(work, "claim.resumed")

    def _tell(self, work: Work, event: str) -> None:
        assert work.holder is not None
        if self.agents[work.holder].online:
            self.news.append((work.holder, event, work.message, work.fence))

    def _runs(self, work: Work, lease_s: int | None = None) -> None:
        work.lease_s = work.lease_s if lease_s is None else lease_s
        work.since = self.now

    # -- agents ---------------------------------------------------------------------------------------------------

    def register(self, name: str, instance: str) -> int:
        agent = self.agents[name]
        if agent.instance != instance:
            self._freeze(name)
            agent.instance, agent.epoch = instance, agent.epoch + 1
        agent.online, agent.heard_at = True, self.now
        return agent.epoch

    def _freeze(self, name: str) -> None:
        """Its leases run on from when it was heard of last: what another instance says renews nothing of them."""
        for work in self.works.values():
            if work.is_held and work.holder == name and work.epoch == self.agents[name].epoch:
                work.since = max(work.since, self.agents[name].heard_at)

    def heard(self, name: str) -> None:
        self.agents[name].heard_at = self.now

    def visit(self, name: str) -> int:
        """The epoch of a visit. It keeps no lease alive but by name."""
        return self.agents[name].epoch

    def leave(self, name: str, says_bye: bool) -> None:
        agent = self.agents[name]
        agent.online = False
        if says_bye:
            agent.heard_at = self.now
            for work in list(self.works.values()):
                if work.is_held and work.holder == name and work.epoch == agent.epoch:
                    self._release(work)

    def restart(self, down_s: int) -> None:
        """Every claim that runs has one full fresh lease; what became due meanwhile is due now."""
        self.now += down_s
        for agent in self.agents.values():
            agent.online = False
        for work in self.works.values():
            if work.is_held:
                self._runs(work)
        self.pass_time(0)

    # -- time -----------------------------------------------------------------------------------------------------

    def ends_at(self, work: Work) -> int:
        """When the claim is lost, if nothing is heard of its holder's instance."""
        assert work.holder is not None
        agent = self.agents[work.holder]
        heard_at = agent.heard_at if agent.epoch == work.epoch else work.since
        return max(work.since, heard_at) + work.lease_s

    def next_of(self, work: Work) -> int | None:
        """When something happens to it by itself."""
        match work.state:
            case "claimed" | "working":
                return self.ends_at(work)
            case "parked":
                return work.park_until
            case "ready" | "delayed":
                expires_at = work.expires_at
                if expires_at is not None and work.state == "delayed" and work.attempts and expires_at < self.now:
                    expires_at = None  # it came back after its time, and ends when it would be tried again
                return min((at for at in (work.ready_at, expires_at) if at is not None), default=None)
            case _:
                return None

    def pass_time(self, seconds: int) -> None:
        until = self.now + seconds
        while due := [(at, work) for work in self.works.values() if (at := self.next_of(work)) is not None]:
            at, work = min(due, key=lambda one: one[0])
            if at > until:
                break
            self.now = max(self.now, at)
            self._happens(work)
        self.now = until

    def _happens(self, work: Work) -> None:
        if work.state in ("claimed", "working"):
            self.step(work, "give_up" if work.attempts >= work.attempts_max else "expire")
            work.last_word = None
            self._tell(work, "claim.lost")
        elif work.state == "parked":
            self._unpark(work)
        elif work.expires_at is not None and work.expires_at == self.now:
            self.step(work, "lapse")
        elif work.state == "delayed" and work.ready_at is not None and work.ready_at <= self.now:
            self.step(work, "ripen")
        else:
            self.step(work, "lapse")

    # -- tasks ----------------------------------------------------------------------------------------------------

    def submit(
        self, sender: str, to: str, attempts: int, priority: int | None, ttl_s: int | None, delay_s: int | None,
        thing: tuple[str, str] | None, needs: list[int], key: str | None,
    ) -> Work:  # fmt: skip
        """The task, which is new or was open for this thing."""
        if key in self.reports:
            return self.reports[key]
        if thing is not None and (known := self.open_about(thing)) is not None:
            known.occurrences += 1
            if key is not None:
                self.reports[key] = known
            return known
        message = len(self.works) + 1
        waiting = self._check_needs(message, needs)
        work = Work(
            message, sender, to, attempts, PRIORITY_DEFAULT if priority is None else priority,
            None if ttl_s is None else self.now + ttl_s, None if delay_s is None else self.now + delay_s, thing,
            set(needs),
        )  # fmt: skip
        if waiting or delay_s:
            work.state, work.ready_at = "delayed", None if waiting else work.due_at
        self.works[message] = work
        return work

    def open_about(self, thing: tuple[str, str]) -> Work | None:
        return next((work for work in self.works.values() if work.thing == thing and work.state in OPEN), None)

    def _check_needs(self, message: int, needs: Iterable[int]) -> list[int]:
        """Of these, what is not done. Refused: what can't be waited for, and a circle."""
        waiting = []
        for one in needs:
            if one == message and one in self.works:
                raise Refused("dependency_cycle")
            if self.get(one).state in NEVER:
                raise Refused("finished", message=one, state=self.works[one].state)
            if self.works[one].state != "done":
                waiting.append(one)
        looked_at, behind = set(waiting), list(waiting)
        for one in behind:
            further = self.works[one].stands_still_for - looked_at
            if message in further:
                raise Refused("dependency_cycle")
            looked_at |= further
            behind += further
        return waiting

    def get(self, message: int) -> Work:
        if message not in self.works:
            raise Refused("unknown_message")
        return self.works[message]

    def cancel(self, name: str, message: int, force: bool) -> None:
        work = self.get(message)
        if work.sender != name and not force:
            raise Refused("forbidden")
        if work.state != "canceled":
            self._end(work, "cancel")

    def resolve(self, thing: tuple[str, str]) -> Work:
        work = self.open_about(thing)
        if work is None:
            raise Refused("unknown_message")
        self._end(work, "resolve")
        return work

    def _end(self, work: Work, event: Event) -> None:
        if (work.state, event) not in TRANSITIONS:
            raise Refused("finished", state=work.state)
        if work.is_held:
            self._tell(work, "claim.lost")
        self.step(work, event)

    def kick(self, message: int) -> None:
        work = self.get(message)
        if (work.state, "kick") not in TRANSITIONS:
            raise Refused("not_claimable", state=work.state)
        if self._is_over_time(work):
            raise Refused("expired", state=work.state)
        if work.thing is not None and (newer := self.open_about(work.thing)) is not None:
            raise Refused("key_conflict", message=newer.message)
        work.attempts_max = max(work.attempts_max, work.attempts + 1)
        self.step(work, "kick")

    # -- claims ---------------------------------------------------------------------------------------------------

    def claim(self, name: str, epoch: int, instance: str, message: int, lease_s: int) -> int:
        """The fence."""
        work = self.get(message)
        if work.is_held and (work.holder, work.instance) == (name, instance):
            work.epoch = epoch
            self._runs(work, lease_s)  # its answer was lost
            return work.fence
        if work.is_held:
            raise Refused("claimed", holder=work.holder)
        if work.state != "ready":
            code = "not_claimable" if work.state == "delayed" else "expired" if work.lapsed else "finished"
            raise Refused(code, state=work.state)
        self.step(work, "claim")
        work.fence, work.attempts, work.holder, work.epoch = work.fence + 1, work.attempts + 1, name, epoch
        work.instance = instance
        self._runs(work, lease_s)
        return work.fence

    def claim_next(
        self, name: str, epoch: int, instance: str, n: int, lease_s: int, to: str | None, known: list[int] | None
    ) -> list[tuple[int, int]]:
        """(message, fence) of each: first what it holds and did not hear of, with the lease that it has; then what is
        ready, by priority and age."""
        held = [
            work
            for work in self.works.values()
            if known is not None and work.is_held and (work.holder, work.instance) == (name, instance)
            and work.message not in known
        ]  # fmt: skip
        targets = self.agents[name].targets if to is None else self.agents[name].targets & {to}
        ready = [
            work for work in self.works.values() if work.state == "ready" and work.to in targets and work.sender != name
        ]
        found = [(work, work.lease_s) for work in held]
        found += [(work, lease_s) for work in sorted(ready, key=lambda work: (-work.priority, work.message))]
        return [(work.message, self.claim(name, epoch, instance, work.message, lease_s)) for work, lease_s in found[:n]]

    def word(
        self, event: Event, name: str, epoch: int, instance: str, message: int, fence: int, lease_s: int | None
    ) -> Work:
        """A holder's word: renew, progress, resume, release, complete, fail, fail_for_good."""
        work = self._held(event, name, message, fence)
        if work is None:
            return self.works[message]
        if event in ("fail", "fail_for_good", "release", "complete"):
            self._let_go(work, event)
            return work
        work.epoch, work.instance = epoch, instance
        if event == "resume" and work.state != "parked":
            event = "renew"  # it runs already
        self.step(work, event) if event != "renew" else None
        if work.state == "parked":
            work.lease_s = work.lease_s if lease_s is None else lease_s
        else:
            self._runs(work, lease_s)
        return work

    def park(
        self, name: str, epoch: int, instance: str, message: int, fence: int, needs: str, deadline_s: int,
        waits_for: list[int] | None,
    ) -> None:  # fmt: skip
        work = self._held("park", name, message, fence)
        assert work is not None
        if waits_for is not None:
            self._check_needs(message, waits_for)
        self.step(work, "park")
        work.epoch, work.instance = epoch, instance
        work.needs, work.park_until = needs, self.now + deadline_s
        if waits_for is not None:
            work.waits_for = {one for one in work.waits_for if self.works[one].state == "done"} | set(waits_for)
            self._look(work)

    def check(self, message: int, fence: int) -> Work:
        work = self.get(message)
        if fence != work.fence:
            raise Refused("stale_fence" if fence < work.fence else "not_holder")
        if not work.is_held:
            raise Refused("finished", state=work.state)
        return work

    def _held(self, event: Event, name: str, message: int, fence: int) -> Work | None:
        """The work that this agent holds under this fence; None when the word was taken before."""
        work = self.get(message)
        if fence < work.fence:
            raise Refused("stale_fence", fence=work.fence)
        if fence > work.fence or work.holder != name:
            raise Refused("not_holder")
        if work.is_held:
            return work
        if event == work.last_word:
            return None
        raise Refused("not_holder")

    def _let_go(self, work: Work, event: Event) -> None:
        work.last_word = event
        if event == "release":
            self._release(work)
        elif event == "fail" and work.attempts >= work.attempts_max:
            self.step(work, "give_up")
        else:
            self.step(work, event)
            if event == "fail":
                work.ready_at = self.now + 2 ** (work.attempts - 1)

    def _release(self, work: Work) -> None:
        work.attempts, work.last_word = work.attempts - 1, "release"
        self.step(work, "release")
