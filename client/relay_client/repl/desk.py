"""What one REPL holds: its agent, what stands in front of the user, who they talk to, and the claims they took.

No printing and no tasks here: `live.py` takes what comes and has it announced, `screen.py` is the terminal, commands
change what stands here.

Rules
- `unread` has what was delivered and not dealt with, whether it was printed or not. It is bounded: the relay delivers
  no more than the session's credit. A message leaves it by ack, reply, refuse, done, or when the relay takes it back.
- Only what was in front of the user is reported as surfaced: `surfaced()` is told by whoever printed it.
- What completion offers (`cards`, `tasks`, `noted`) is what was seen last. It may be old; the relay decides.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from relay_proto.errors import RelayError, UnknownMessage
from relay_proto.frames import AgentCard, EventKind, StoredMessage, Task

from ..cli.escape import escape
from ..cli.render import body_text, cut

if TYPE_CHECKING:
    from relay_client import Agent, Message
    from relay_client.pairs import Pair

CARDS_FRESH_S: Final = 2.0
"""Seconds that the list of agents serves completion before it is asked for again."""
NOTED_MAX: Final = 500
"""Messages, and as many tasks, that completion remembers: more than anybody looks through with the arrow keys."""
PREVIEW_CELLS: Final = 50
WATCHES: Final[dict[str, tuple[EventKind, ...]]] = {
    "receipts": ("receipt",),
    "presence": ("presence",),
    "submitted": ("task",),
    "tasks": ("tasks",),
    "pairs": (),
}
"""What can be watched, and what is subscribed to for it. submitted: what becomes of the tasks that this agent sent;
tasks: of all. What becomes of one's own pairs is told unasked."""


@dataclass(slots=True)
class Settings:
    """What `set` changes.

    form: how what a command gives is shown: table, json, jsonl, raw. bell: ring when a message comes. watch: kinds of
    news that are told besides (WATCHES). editor: the command that edits a long line; None: $VISUAL, else $EDITOR.
    """

    form: str = "table"
    bell: bool = False
    watch: set[str] = field(default_factory=set)
    editor: str | None = None


async def _at_once() -> None:
    """What was shown stands there when `show` returns."""


class Desk:
    """The state of a REPL. `show` prints ready lines; `now` and `width` are asked at each print. `printed` waits until
    what was shown stands there: an editor may have the terminal meanwhile.

    profile: the one it runs with. peer: the target that bare text goes to, pair: or the pair (one of both at most).
    unread: by id, in the order of arrival. seen: those of them that were in front of the user. fences: message -> fence
    of the claim this REPL holds. owed_count: replies that this agent owes, as far as it was asked last
    (`owes_changed()` has it asked again).
    """

    def __init__(
        self,
        agent: "Agent",
        *,
        show: Callable[[Iterable[str]], None],
        now: Callable[[], datetime],
        width: Callable[[], int | None],
        profile: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.agent = agent
        self.show = show
        self.now = now
        self.width = width
        self.profile = profile
        self.settings = settings or Settings()
        self.peer: str | None = None
        self.pair: Pair | None = None
        self.printed: Callable[[], Awaitable[None]] = _at_once
        self.opened: int | None = None  # the pair that this REPL opened and that was not answered yet
        self.clear: Callable[[], None] = lambda: None  # empties the screen, where there is one
        self.unread: dict[int, Message] = {}
        self.seen: set[int] = set()
        self.fences: dict[int, int] = {}
        self.cards: list[AgentCard] = []
        self.tasks: dict[int, Task] = {}
        self.noted: dict[int, str] = {}
        self.owed_count = 0
        self.owes_asked = asyncio.Event()
        self._cards_at = float("-inf")
        self._peer_before: str | None = None  # whom bare text went to before the pair

    @property
    def form(self) -> str:
        """How what a command gives is shown: table, json, jsonl, raw."""
        return self.settings.form

    @form.setter
    def form(self, form: str) -> None:
        self.settings.form = form

    # -- messages ----------------------------------------------------------------------------------------------------

    async def surfaced(self, messages: Iterable[int]) -> None:
        """Tells the relay that the user has these in front of them; what was taken back meanwhile is left out."""
        if identifiers := list(messages):
            self.seen = {message for message in (*self.seen, *identifiers) if message in self.unread}
            with contextlib.suppress(UnknownMessage):
                await self.agent.ack(identifiers, stage="surfaced")

    async def settle(self, messages: list[int]) -> None:
        """Acks these as done; they leave the inbox. Raises UnknownMessage when some were not in it; the others did."""
        try:
            await self.agent.ack(messages)
        except UnknownMessage as exc:
            unknown = exc.detail.get("messages", messages)
            self.forget(*(message for message in messages if message not in unknown))
            raise
        self.forget(*messages)

    async def answered(self, agent: str) -> list[int]:
        """A word to an agent deals with what they wrote and the user has seen: all but work, invitations and what a
        reply is owed to. The ids that were acked."""
        plain = [
            number
            for number, message in self.unread.items()
            if message.sender == agent and number in self.seen and not _wants_more(message)
        ]
        if plain:
            with contextlib.suppress(RelayError):  # the word itself was said
                await self.settle(plain)
        return plain

    def waits_for_reply(self, agent: str) -> list[int]:
        """Questions of this agent that the user has seen and not answered."""
        return [
            number
            for number, message in self.unread.items()
            if message.sender == agent and number in self.seen and message.reply_by_at is not None
        ]

    def forget(self, *messages: int) -> None:
        """These are not in front of the user any more: dealt with, or taken away. So are claims on them."""
        for message in messages:
            self.unread.pop(message, None)
            self.fences.pop(message, None)
        self.owes_changed()

    def owes_changed(self) -> None:
        """What this agent owes may have changed: it is asked for again soon."""
        self.owes_asked.set()

    # -- pairs -------------------------------------------------------------------------------------------------------

    def enter(self, pair: "Pair") -> None:
        """Bare text goes into this pair from now on."""
        if self.pair is None:
            self._peer_before = self.peer
        self.pair, self.peer, self.opened = pair, None, None

    def leave(self, identifier: int) -> bool:
        """This pair is over: bare text goes to whom it went before. Whether it went into this pair."""
        if self.opened == identifier:
            self.opened = None
        if self.pair is None or self.pair.pair != identifier:
            return False
        self.pair, self.peer, self._peer_before = None, self._peer_before, None
        return True

    # -- what completion knows ---------------------------------------------------------------------------------------

    def note(self, item: "Message | StoredMessage | Task") -> None:
        """Remembers a message or a task that was seen, the newest last, with one line about it."""
        if isinstance(item, Task):
            self.tasks.pop(item.message, None)
            self.tasks[item.message] = item
            if len(self.tasks) > NOTED_MAX:
                del self.tasks[next(iter(self.tasks))]
            return
        self.noted.pop(item.message, None)
        self.noted[item.message] = preview(item)
        if len(self.noted) > NOTED_MAX:
            del self.noted[next(iter(self.noted))]

    async def refresh_cards(self) -> list[AgentCard]:
        """Who is there, at most CARDS_FRESH_S old while the relay can be reached, else as last seen."""
        loop_time = asyncio.get_running_loop().time()
        if self.agent.connected and loop_time - self._cards_at > CARDS_FRESH_S:
            self._cards_at = loop_time
            self.cards = await self.agent.agents()
        return self.cards

    # -- watching ----------------------------------------------------------------------------------------------------

    async def watch(self, *kinds: str) -> None:
        """From now on tell these kinds of news (of WATCHES) too."""
        events: list[EventKind] = [event for kind in kinds for event in WATCHES[kind]]
        if events:
            await self.agent.subscribe(*events)
        self.settings.watch.update(kinds)

    async def unwatch(self, *kinds: str) -> None:
        """Tell these no more."""
        events: list[EventKind] = [event for kind in kinds for event in WATCHES[kind]]
        if events:
            await self.agent.unsubscribe(*events)
        self.settings.watch.difference_update(kinds)


def _wants_more(message: "Message") -> bool:
    """Whether it is not dealt with by a word to its sender."""
    return message.claimable or message.reply_by_at is not None or message.type == "pair.open"


def preview(item: "Message | StoredMessage | Task") -> str:
    """`builder: the door is open`, escaped, at most PREVIEW_CELLS wide."""
    if isinstance(item, Task):
        text = f"{item.state}: {item.title or body_text(item.body)}"
    else:
        text = f"{item.sender}: {item.subject or body_text(item.body)}"
    return cut(escape(text[: 4 * PREVIEW_CELLS]), PREVIEW_CELLS)
