"""Which events `relay tail` shows. Pure.

The relay itself only knows whom an event is for (`--agent`); all else is looked at here. Filters of messages (from, to,
channel, thread, text) are about messages, and about what becomes of those: events that name a message which was shown
pass, others that say nothing of these things do not.
"""

import fnmatch
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from relay_proto.fields import State

KINDS: Final = (
    "message.new", "message.claimed", "message.deleted", "agent.status", "agent.removed",
    *(f"task.{state}" for state in get_args(State)), "task.progress", "task.recur",
)  # fmt: skip
"""What the stream tells of; `hello` and `gap` are about itself."""
SHOWN_MAX: Final = 10_000
"""Messages that were shown and are remembered."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """The patterns that `task.*,message.new` names. Raises ValueError for one that no event can match."""
    patterns = tuple(text.split(","))
    for pattern in patterns:
        if not fnmatch.filter(KINDS, pattern):
            raise ValueError(f"{pattern[:40]!r} is no event; there are {', '.join(KINDS)}, and patterns like 'task.*'")
    return patterns


def parse_pattern(text: str) -> re.Pattern[str]:
    """A regular expression, upper and lower case alike. Raises ValueError."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as exc:
        raise ValueError(f"{text[:80]!r} is no regular expression: {exc}") from None


@dataclass(slots=True)
class Filter:
    """`kinds`: patterns of events; none: all. The others are of messages; None: any. `text` is looked for in subject
    and body."""

    kinds: Sequence[str] = ()
    sender: str | None = None
    to: str | None = None
    channel: str | None = None
    thread: int | None = None
    text: re.Pattern[str] | None = None
    _shown: "OrderedDict[int, None]" = field(default_factory=OrderedDict)

    def wants(self, kind: str, data: dict[str, Any]) -> bool:
        """Whether this event is to be shown. A message that is counts as shown from then on."""
        is_message = kind == "message.new"
        if self._is_about_messages:
            if is_message and not self.matches(data):
                return False
            if not is_message and data.get("id") not in self._shown:
                return False
            if is_message:
                self._remember(data["id"])
        return self.takes(kind)

    def takes(self, kind: str) -> bool:
        """Whether events of this kind may be shown at all."""
        return not self.kinds or any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.kinds)

    @property
    def _is_about_messages(self) -> bool:
        return any(value is not None for value in (self.sender, self.to, self.channel, self.thread, self.text))

    def matches(self, data: dict[str, Any]) -> bool:
        """Whether this message is one of those that are asked for."""
        return (
            self.sender in (None, data.get("from"))
            and self.to in (None, data.get("to"))
            and self.channel in (None, data.get("channel"))
            and self.thread in (None, data.get("threadId"), data.get("id"))
            and (self.text is None or any(self.text.search(str(data.get(part, ""))) for part in ("subject", "body")))
        )

    def _remember(self, message: int) -> None:
        self._shown[message] = None
        self._shown.move_to_end(message)
        if len(self._shown) > SHOWN_MAX:
            self._shown.popitem(last=False)
