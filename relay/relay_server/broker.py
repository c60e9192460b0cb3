"""The desk, inwards: one frame in, one command out.

What comes here has been read and checked by the codec. The broker asks, in this order: is the session registered, may
it do this, who is it for; then it writes down a command for the next turn. Nothing is decided here that must be true
for everyone (claims, keys, epochs): the store decides that, and `post.py` says what it decided.

Questions wait for the commands that came before them, so that who asks sees what it just did, and for no others.

There is no I/O and no clock here: `now` is an argument, monotonic seconds.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto import limits
from relay_proto.codec import Refusal
from relay_proto.errors import BadRequest, CloseCode, Forbidden, NotRegistered, RelayError
from relay_proto.version import __version__

from . import asking, granting, pairing, telling, visitors, working
from .arrivals import Arrivals
from .deadlines import Deadlines
from .directory import COMPARISONS_MAX, Directory
from .doorkeeper import Doorkeeper
from .feed import Feed
from .grants import why_not
from .housekeeping import heard_again, start
from .leases import Lease, Leases
from .overview import Glance
from .quota import Limits, Rates, Rooms
from .sending import begin_wait, send
from .session import REFILL_BYTES_MAX, Session
from .store import interface as ask
from .times import Times
from .waits import Waits

if TYPE_CHECKING:
    from .calling import Courier

WAKE_S_MAX: Final = 60.0
"""The longest sleep until something is due: after a jump of the wall clock it is late by no more than this."""
VISITOR_FRAMES: Final = frozenset(
    {
        wire.Send, wire.Submit, wire.Forgive, wire.Subscribe, wire.Unsubscribe, wire.Bye, wire.Heartbeat, wire.Register,
        wire.Ack, wire.Nack, wire.Update, wire.Withdraw, wire.Remove,
        *asking.HANDLERS,
        *granting.HANDLERS,
        *working.COMMANDS,
        *pairing.HANDLERS,
    }
)  # fmt: skip
"""What a visit may say. A claim is its agent's: a shell command of an agent works in its name, and the agent's own
session keeps the lease."""
SERVER: Final = wire.ServerInfo(name="relay", version=__version__, protocol=limits.PROTOCOL_VERSION)


class Broker:
    """All sessions, the directory, and the commands of the next turn."""

    def __init__(
        self,
        deadlines: Deadlines,
        doorkeeper: Doorkeeper | None = None,
        quotas: Limits | None = None,
        times: Times | None = None,
    ) -> None:
        self.times = times if times is not None else Times()
        self.directory = Directory(self.times.stale_s)
        self.deadlines = deadlines
        self.doorkeeper = doorkeeper if doorkeeper is not None else Doorkeeper()
        self.leases = Leases(self.directory, deadlines, self._on_silence, self._alive_at)
        self.quotas = quotas if quotas is not None else Limits()
        self.rates = Rates(self.quotas)
        self.rooms = Rooms(self.quotas)
        self.waits = Waits()
        self.promised: dict[str, int] = {}
        """Messages for any one of many that an agent was chosen for in turns that are not settled."""
        self.receipt_watchers: set[Session] = set()
        self.presence_watchers: set[Session] = set()
        self.task_watchers: set[Session] = set()
        """Who hears of the tasks that it sent, or of all."""
        self.arrivals = Arrivals()
        self.pairs = pairing.Pairs()
        self.feed = Feed()
        self.integrations: frozenset[str] = frozenset()
        """Names of outside systems: what is reported in such a name is that system's own."""
        self.courier: Courier | None = None
        """Who carries out callbacks, when an integration wants some."""
        self.sessions: dict[str, Session] = {}
        """The one live session of each connected agent."""
        self.commands: list[ask.Command] = []
        self.questions: list[tuple[int, ask.Question]] = []
        """Each with how many commands must have been taken before it: those that came before it."""
        self._taken = 0
        self.glance = Glance()
        self.refusals: dict[str, int] = {}
        """How many frames were refused, by the error's code."""
        self.speaking: list[Session] = []
        """Sessions with frames to write. A session may stand here twice; writing nothing is free."""
        self._due_at: int | None = None
        self._handlers: dict[type[Any], Callable[[Session, str, Any, float], None]] = {
            wire.Send: functools.partial(send, self),
            wire.Submit: functools.partial(send, self),
            **dict.fromkeys(working.COMMANDS, functools.partial(working.work, self)),
            wire.Ack: functools.partial(telling.ack, self),
            wire.Nack: functools.partial(telling.nack, self),
            wire.Withdraw: functools.partial(telling.withdraw, self),
            wire.Remove: functools.partial(telling.remove, self),
            wire.Heartbeat: functools.partial(telling.heartbeat, self),
            wire.Update: functools.partial(telling.update, self),
            wire.Forgive: functools.partial(telling.forgive, self),
            wire.Subscribe: functools.partial(telling.subscribe, self),
            wire.Unsubscribe: functools.partial(telling.subscribe, self),
            **{
                kind: functools.partial(handle, self)
                for kind, handle in (asking.HANDLERS | pairing.HANDLERS | granting.HANDLERS).items()
            },
            wire.Bye: self._bye,
            wire.Register: self._register_again,
        }

    @property
    def watches_tasks(self) -> bool:
        """Somebody wants to hear of what happens to work: the store is to say it of every command."""
        return bool(self.task_watchers) or self.feed.is_on or self.courier is not None

    def start(self, snapshot: ask.Snapshot, now: float, now_ms: int) -> None:
        """Rebuild memory from the store: agents, and one full fresh lease for each claim that was held."""
        self.directory.clock_offset_ms = now_ms - now * 1000
        for row in snapshot.agents:
            agent = self.directory.ensure(row.agent) if row.epoch else self.directory.visit(row.agent)
            self.directory.describe(agent, row.label, row.tags, row.caps, row.channels)
            agent.machine, agent.meta = row.machine, row.meta
            agent.epoch, agent.instance = row.epoch, row.instance
            agent.heard_at = self.directory.monotonic(row.last_seen_at)
            agent.left = True  # offline until it comes back: nothing is known of it now
            agent.will = row.will
            if row.pruned:
                self.directory.prune(agent)
        for claim in snapshot.claims:
            if not claim.is_parked:
                self.leases.hold(claim.message, claim.agent, claim.epoch, claim.fence, claim.lease_s, now)
        pairing.start(self, snapshot.pairs, now)
        granting.let_in(self, snapshot.tokens, now, now_ms)
        for asked in snapshot.asks:
            begin_wait(self, asked.asker, asked.on, self.directory.monotonic(asked.reply_by_at), asked.message)
        self.wake_at(snapshot.due_at, now, now_ms)
        start(self, now)
        visitors.start(self, now)

    def take(self, weight_max: int) -> tuple[list[ask.Command], list[ask.Question]]:
        """What the next turn decides, and what is to be looked up after it. Many rows weigh like many commands."""
        weight, count = 0, 0
        for command in self.commands:
            weight += _weight(command)
            if count and weight > weight_max:
                break
            count += 1
        commands, self.commands = self.commands[:count], self.commands[count:]
        self._taken += count
        ready = 0
        while ready < len(self.questions) and self.questions[ready][0] <= self._taken:
            ready += 1
        questions, self.questions = self.questions[:ready], self.questions[ready:]
        return commands, [question for _, question in questions]

    # -- frames ----------------------------------------------------------------------------------------------------

    def receive(self, session: Session, batch: list[Any], now: float) -> None:
        """The frames of one WebSocket message, in order."""
        if session.agent is not None:
            if session.visiting:
                self.hear(session.agent, now)
            else:
                known = self.directory.agents[session.agent]
                known.heard_at = now
                if known.is_silent:
                    heard_again(self, session, known, now)
        self.directory.suggestions_left = COMPARISONS_MAX
        grant = session.grant
        bounds = grant if grant.frames is not None else None
        for frame in batch:
            if session.close is not None or session.parting:
                return
            if type(frame) is Refusal:
                if session.agent is None and not session.registering:
                    self.dismiss(session, frame.re, frame.error, CloseCode.BAD_FRAME)
                else:
                    self.refuse(session, frame.re, frame.error)
            elif session.agent is not None:
                if bounds is not None and (denied := why_not(bounds, frame)) is not None:
                    self.refuse(session, getattr(frame, "id", None), denied)
                elif session.visiting and type(frame) not in VISITOR_FRAMES:
                    self.refuse(session, getattr(frame, "id", None), _not_for_visitors(frame))
                else:
                    self._handlers[type(frame)](session, session.agent, frame, now)
            elif session.registering:
                assert session.held is not None
                session.held.append(frame)
            else:
                self._open(session, frame, now)

    def hear(self, agent: str, now: float) -> None:
        """Somebody asks or speaks for this agent: one without a socket is heard of by that alone."""
        self.pairs.heard(agent, now)
        known, session = self.directory.get(agent), self.sessions.get(agent)
        if known is not None and (not known.epoch or (session is not None and session.polled)):
            known.heard_at = now

    def refuse(self, session: Session, re: int | None, error: RelayError) -> None:
        """Answer a frame with an error."""
        self.refusals[error.code] = self.refusals.get(error.code, 0) + 1
        session.say(
            wire.Error(
                re=re,
                code=error.code,
                message=error.message,
                retry_after_s=error.retry_after_s,
                detail=error.detail or None,
            )
        )
        self.speaking.append(session)

    def answer(self, session: Session, frame: wire.Ok) -> None:
        """Answer a frame that did what it asked."""
        session.say(frame)
        self.speaking.append(session)

    def dismiss(self, session: Session, re: int | None, error: RelayError, close_code: int) -> None:
        """Answer with an error and end the connection: the peer can't be served or trusted."""
        self.refuse(session, re, error)
        session.close = (close_code, error.code)

    def look_up(self, question: ask.Question) -> None:
        """It is answered after the commands that came before it, so that who asks sees what it just did."""
        self.questions.append((self._taken + len(self.commands), question))

    def _open(self, session: Session, frame: Any, now: float) -> None:
        if type(frame) is not wire.Register:
            re = getattr(frame, "id", None)
            early = NotRegistered(f"the first frame is {_op(frame)}; it must be register")
            return self.dismiss(session, re, early, CloseCode.BAD_FRAME)
        if not granting.come_in(self, session, frame, now):
            return
        session.registering = True
        session.held = []
        session.credit = frame.credit
        session.instance = frame.instance or session.name
        self.commands.append(ask.PutAgent(session, frame.id, frame, session.instance))
        session.visiting = frame.visit
        if frame.visit:
            return
        previous = self.sessions.get(frame.agent)
        if previous is not None:
            # What the old session was given and did not ack comes to the new one as another attempt.
            pushed = list(previous.unacked)
            self.commands.append(ask.LeaveAgent(None, None, frame.agent, previous.epoch, pushed, False))
            previous.unacked.clear()  # noted once, however late its end is noticed
        if session.polled:
            session.writable = False  # it fetches what there is for it; nothing is pushed
            return
        session.refilling, session.ranked = True, False  # this one looks for what has a priority, too
        self.commands.append(ask.Refill(session, None, frame.agent, 0, frozenset(), session.credit, REFILL_BYTES_MAX))

    def _register_again(self, session: Session, agent: str, frame: wire.Register, now: float) -> None:
        self.refuse(session, frame.id, BadRequest(f"this connection is registered as {agent}; use update to change it"))

    def _bye(self, session: Session, agent: str, frame: wire.Bye, now: float) -> None:
        session.parting = True
        self._part(session, agent, left=True)
        self.commands.append(ask.EndSession(session, None))

    # -- what happens to sessions and with time ------------------------------------------------------------------------

    def lost(self, session: Session) -> None:
        """The connection is gone. Idempotent."""
        if session.lost:
            return
        session.lost = True
        if session.unwatch is not None:
            session.unwatch()
        if session.agent is not None:
            if session.visiting and (known := self.directory.get(session.agent)) is not None:
                known.visits -= 1
            self._part(session, session.agent, left=False)
            self.receipt_watchers.discard(session)
            self.presence_watchers.discard(session)
            self.task_watchers.discard(session)

    def refill(self, session: Session) -> None:
        """Fetch what waits in the store, if there is credit for it and nobody fetches it yet."""
        if not session.wants_refill() or session.agent is None:
            return
        after, ranked = session.pushed_to, session.ranked
        if session.rescan:
            after, ranked = 0, True
        holding = frozenset(session.unacked) if ranked else frozenset[int]()
        session.rescan = session.ranked = False
        session.refilling = True
        room = session.credit - len(session.unacked)
        refill = ask.Refill(session, None, session.agent, after, holding, room, REFILL_BYTES_MAX, ranked)
        if session.in_front:
            refill.in_front = frozenset(session.in_front)
        self.commands.append(refill)

    def rescan(self, session: Session) -> None:
        """Something came back below what was pushed last, or is new to it: refill from the start of its inbox."""
        session.lagging = session.rescan = True
        self.refill(session)

    def wake_at(self, due_at: int | None, now: float, now_ms: int) -> None:
        """Something waits until `due_at` (ms since 1970): ripen then, unless an earlier wake is on its way.

        The wall clock may jump past it (a suspended laptop, a corrected clock) while the monotonic one does not: so it
        is looked at every WAKE_S_MAX, which costs nothing when nothing is due.
        """
        if due_at is not None and (self._due_at is None or due_at < self._due_at):
            self._due_at = due_at
            self.deadlines.add(now + min(max(0.0, (due_at - now_ms) / 1000), WAKE_S_MAX), self._on_due, due_at)

    def _on_due(self, due_at: int, now: float) -> None:
        if self._due_at == due_at:
            self._due_at = None
            self.commands.append(ask.Ripen(None, None))

    def _alive_at(self, agent: str) -> float:
        """When anything came over the agent's connection: its socket lives, whether or not it said something."""
        session, before = self.sessions.get(agent), self.directory.agents[agent].alive_at
        return before if session is None else max(session.alive_at, before)

    def _on_silence(self, lease: Lease) -> None:
        self.commands.append(ask.ExpireWork(None, None, lease.message, lease.fence, lease.epoch))

    def has_pushed(self, agent: str, message: int) -> bool:
        """`pushed` is memory's to say: it was given to the agent's session, which has not acked it."""
        session = self.sessions.get(agent)
        return session is not None and message in session.unacked

    def keep_promise(self, agent: str) -> None:
        """What it was chosen for is settled: it counts among its deliveries now, or came to nothing."""
        if (promised := self.promised.pop(agent, 0)) > 1:
            self.promised[agent] = promised - 1

    def retry(self, command: ask.Command, now: float) -> None:
        """Ask the store again what it refused for a while (a deadline's callback)."""
        if isinstance(command, ask.LeaveAgent) and command.agent in self.sessions:
            command.release = False  # it is back: what it holds now is not what it left
        if isinstance(command, ask.LosePair):
            return  # whoever misses the agent looks again, and it may be back
        if not (isinstance(command, ask.Refill) and (command.origin.lost or command.origin.close is not None)):
            self.commands.append(command)

    def _part(self, session: Session, agent: str, left: bool) -> None:
        if self.sessions.get(agent) is not session:
            return  # a visit, or another session took over and took note of what this one held
        del self.sessions[agent]
        known = self.directory.agents[agent]
        known.connected = False
        known.alive_at = session.alive_at
        known.left = known.said_bye = left
        if left:
            known.will = None
            self.waits.drop(agent)
        self.commands.append(ask.LeaveAgent(None, None, agent, session.epoch, list(session.unacked), left))
        session.unacked.clear()


def _not_for_visitors(frame: Any) -> Forbidden:
    return Forbidden(f"{_op(frame)} is not for a visit, which sends, asks and works; register without `visit`")


def _weight(command: ask.Command) -> int:
    """About how many sends to one recipient it is worth in the store."""
    if type(command) is ask.PutMessage:
        return 1 + len(command.recipients) // 4 + len(command.measure) // 16
    if type(command) is ask.AckMessages:
        return 1 + len(command.messages) // 4
    if type(command) is ask.ClaimNext:
        return 2 * command.n
    if type(command) is ask.ForgetVisitors:
        return 1 + len(command.agents) // 4
    return 1


def _op(frame: Any) -> str:
    return str(frame.__struct_config__.tag)
