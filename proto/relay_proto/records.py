"""What lists and answers are made of. No frames: these stand inside one."""

from typing import Any

from msgspec import Struct

from .fields import Intent, Needs, PairState, Presence, Severity, Stage, State


class AgentCard(Struct, kw_only=True, omit_defaults=True):
    """One agent as `agents` shows it."""

    agent: str
    status: Presence  # what it is now, by the relay's eyes
    epoch: int
    last_seen_at: int
    reason: str | None = None  # why it has this status, in words
    label: str | None = None
    tags: list[str] = []
    caps: list[str] = []
    channels: list[str] = []
    machine: str | None = None
    meta: dict[str, Any] = {}
    load: int | float | None = None


class DeliveryState(Struct, kw_only=True, omit_defaults=True):
    """How far one message came at one recipient. `at`: when this stage was reached."""

    agent: str
    stage: Stage
    at: int
    attempt: int
    reason: str | None = None


class WorkState(Struct, kw_only=True, omit_defaults=True):
    """The state of claimable work. `attempts` counts claims that were not given back gracefully."""

    state: State
    fence: int
    attempts: int
    attempts_max: int = 3
    holder: str | None = None
    lease_s: float | None = None
    lease_left_s: float | None = None
    ready_at: int | None = None  # delayed: when it is offered; absent while it waits for other tasks
    needs: Needs | None = None  # parked: what for
    park_until_at: int | None = None  # parked: until then at most
    progress: float | None = None  # 0-1, as its holder said
    note: str | None = None  # and in a line
    result: Any = None
    reason: str | None = None


class TaskEvent(Struct, kw_only=True, omit_defaults=True):
    """One line of the history of a task: what happened, and the state that it led to."""

    at: int
    event: str  # submit, recur, claim, progress, ..: the events of the relay's claim.py
    state: State
    agent: str | None = None  # who did it; absent: the relay itself
    fence: int | None = None
    note: str | None = None  # why, or how far


class Task(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """Claimable work as `tasks` and `task` show it; `task` adds body, result and history."""

    message: int
    sender: str
    to: str
    state: State
    a2a: str  # the state in the words of A2A: submitted, working, input_required, ..
    sent_at: int
    changed_at: int
    attempts: int
    attempts_max: int
    fence: int
    thread: int
    title: str | None = None
    type: str | None = None
    severity: Severity | None = None
    source: str | None = None
    dedupe_key: str | None = None
    occurrences: int = 1  # how often it was reported
    last_seen_at: int | None = None  # when it was reported last, if more than once
    priority: int | None = None
    channel: str | None = None
    expires_at: int | None = None
    holder: str | None = None  # who holds it, or held it when it ended
    lease_left_s: float | None = None
    ready_at: int | None = None
    needs: Needs | None = None
    park_until_at: int | None = None
    progress: float | None = None
    note: str | None = None  # the line of the last progress
    progress_at: int | None = None
    depends_on: list[int] = []
    waiting_for: list[int] = []  # of these, what is not done yet
    depends_states: list[State] = []  # how each of depends_on stands, in their order
    beginning: str | None = None  # of one without a title, in `tasks`: the beginning of its body's first line
    reason: str | None = None
    body: Any = None
    payload: str | None = None
    result: Any = None
    history: list[TaskEvent] | None = None  # newest last


class StoredMessage(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """A message as `inbox` and `message` show it. `stage`, `at` and `attempt` are of the inbox asked for.

    In an inbox `work` has no result: that may be as large as a message.
    """

    message: int
    sender: str
    to: str
    body: Any
    sent_at: int
    thread: int
    hops: int
    subject: str | None = None
    channel: str | None = None
    reply_to: int | None = None
    intent: Intent | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    payload: str | None = None
    claimable: bool = False
    priority: int | None = None
    expires_at: int | None = None
    supersedes: int | None = None
    caused_by: int | None = None
    reply_by_at: int | None = None
    type: str | None = None
    severity: Severity | None = None
    stage: Stage | None = None
    at: int | None = None
    attempt: int | None = None
    reason: str | None = None
    due_at: int | None = None  # queued: not pushed before
    withdrawn_at: int | None = None  # when its sender took it back
    deliveries: list[DeliveryState] | None = None
    work: WorkState | None = None


class Pair(Struct, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """One exclusive conversation of two agents: `sender` opened it, `to` was invited."""

    pair: int  # the message that opened it
    sender: str
    to: str
    state: PairState
    thread: int  # what is said in it stands there
    opened_at: int
    changed_at: int  # when it came to this state
    objective: str | None = None
    accepted_at: int | None = None
    ended_by: str | None = None  # who rejected or ended it; absent: the relay, because one of them was gone
    reason: str | None = None


class TokenInfo(Struct, kw_only=True, omit_defaults=True):
    """A token as `tokens` shows it: what it may do, never the token itself."""

    number: int
    scopes: list[str]
    created_at: int
    agent: str | None = None  # the only name that it speaks for
    integration: str | None = None
    note: str | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    is_over: bool = False  # it was revoked, or its time is over


class ServerInfo(Struct, kw_only=True):
    """Who answers: in the `ok` to `register`."""

    name: str
    version: str
    protocol: int


class OwedReply(Struct, kw_only=True, omit_defaults=True):
    """One reply that is still owed: `agent` owes it to `asker`."""

    message: int  # the ask
    asker: str
    agent: str
    asked_at: int
    reply_by_at: int
    overdue: bool = False
    subject: str | None = None
    stage: Stage | None = None  # how far the ask came at the one who owes
    stage_at: int | None = None
    status: Presence | None = None  # of the one who owes, now


class Explanation(Struct, kw_only=True, omit_defaults=True):
    """The answer to `why`."""

    about: str  # "agent builder", "message 41"
    sentences: list[str]  # what it waits for, since when, who could unblock it; in the order to read them
    since_at: int | None = None  # since when it waits
    waits_for: list[str] = []  # agents whose move it is
    facts: dict[str, Any] = {}  # what the sentences were made of
