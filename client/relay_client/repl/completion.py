"""Completion of a REPL line from the command table and from what is live: agents with their presence, what they can be
reached by, messages and tasks with a line about each.

What begins with the word is offered; if nothing does, what has it somewhere else: `claude-fix-7` is found by `fix`.
What was put in ends in a space, so that the next word can be typed at once.
"""

import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from relay_proto.errors import RelayError
from relay_proto.frames import AgentCard

from ..cli.escape import escape
from .commands import peer_of
from .desk import preview
from .grammar import Wanted, wanted
from .shape import Command

if TYPE_CHECKING:
    from .desk import Desk

LIVE: Final = frozenset({"target", "agent", "about", "label", "tag", "cap", "channel"})
"""What is completed from the list of agents."""
CHOICES_MAX: Final = 200
"""Choices in one menu: more is no choice, and each is drawn."""
SPANS: Final = (("30s", "half a minute"), ("5m", "five minutes"), ("1h", "an hour"), ("8h", "a shift"), ("1d", "a day"))
_PRESENCE: Final = {"online": 0, "idle": 1, "busy": 1, "stale": 2, "offline": 3}
"""In which order agents are offered: first who would answer."""

Choice = tuple[str, str]
"""What may be put in, and a word about it (escaped)."""


class LiveCompleter(Completer):
    """Completes the word before the cursor by its place in the line."""

    def __init__(self, desk: "Desk", commands: Mapping[str, Command]) -> None:
        self.desk = desk
        self.commands = commands

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        if self._wanted(document).kind in LIVE:
            try:
                await self.desk.refresh_cards()
            except RelayError:
                self.desk.cards = []  # no completion is better than a stale one; the command itself will say why
        for completion in self.get_completions(document, complete_event):
            yield completion

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        place = self._wanted(document)
        typed = len(document.text_before_cursor) - place.start
        behind = "" if document.text_after_cursor[:1].isspace() else " "
        for text, about in found(place.word, choices(self.desk, self.commands, place)):
            shown = f'"{text}"' if " " in text and place.kind != "target" else text
            yield Completion(shown + behind, start_position=-typed, display=shown, display_meta=about)

    def _wanted(self, document: Document) -> Wanted:
        return wanted(document.text_before_cursor, self.commands, peer=peer_of(self.desk))


def found(word: str, offered: Iterable[Choice]) -> list[Choice]:
    """Those of `offered` that begin with `word`; when none does, those that have it in them. Case does not matter."""
    bare = word.removeprefix("#")
    looked_for = bare if bare.isdigit() else word.lower()
    names = [(choice[0].replace('"', "").lower(), choice) for choice in offered]
    begin = [choice for name, choice in names if name.startswith(looked_for)]
    return (begin or [choice for name, choice in names if looked_for in name])[:CHOICES_MAX]


def choices(desk: "Desk", commands: Mapping[str, Command], place: Wanted) -> list[Choice]:
    """What may stand there, the likeliest first."""
    cards = sorted(desk.cards, key=lambda card: (card.agent == desk.agent.name, _PRESENCE[card.status], card.agent))
    match place.kind:
        case "command":
            return [(command.name, command.help) for command in commands.values()]
        case "sub" if place.command is not None:
            return [(sub.name.rpartition(" ")[2], sub.help) for sub in place.command.subs]
        case "option" if place.command is not None:
            return [(option.name, option.help) for option in place.command.options]
        case "target":
            return targets_of(cards, desk.agent.name)
        case "agent":
            return _agents(cards)
        case "about":
            return [*messages_of(desk), *_agents(cards)]
        case "id":
            return messages_of(desk, work=place.command is not None and place.command.name == "claim")
        case "task":
            return tasks_of(desk)
        case "pair":
            return pairs_of(desk)
        case "tag" | "cap" | "channel" | "label":
            return groups_of(cards, place.kind)
        case "choice" if place.parameter is not None:
            return [(choice, "") for choice in place.parameter.choices if choice not in place.before]
        case "span":
            return list(SPANS)
        case "priority":
            return [(str(number), {9: "first", 4: "usual", 0: "last"}.get(number, "")) for number in range(9, -1, -1)]
        case "setting" | "value":
            return _settings(place)
        case "profile":
            return _profiles()
        case _:
            return []


def _agents(cards: Iterable[AgentCard]) -> list[Choice]:
    return [(card.agent, about_agent(card)) for card in cards]


def about_agent(card: AgentCard) -> str:
    """`online, "Reviewer", review lint`"""
    words = [card.status, f'"{card.label}"' if card.label else "", " ".join(card.caps[:4])]
    return escape(", ".join(filter(None, words)))


def targets_of(cards: Iterable[AgentCard], own_name: str) -> list[Choice]:
    """Each target that the agents in `cards` can be reached by, with a word about it."""
    agents: list[Choice] = []
    groups: Counter[str] = Counter()
    for card in cards:
        if card.agent != own_name:
            agents.append((card.agent, about_agent(card)))
        names = [f"cap:{cap}" for cap in card.caps] + [f"tag:{tag}" for tag in card.tags]
        names += [f"any:{name}" for name in names] + [f"channel:{channel}" for channel in card.channels]
        if card.label and is_plain(card.label):
            names.append(f'label:"{card.label}"' if " " in card.label else f"label:{card.label}")
        groups.update(names)
    named = [
        (name, f"{'one of ' if name.startswith('any:') else ''}{_agents_count(groups[name])}")
        for name in sorted(groups)
    ]
    return [*agents, *named, ("ALL", "everyone")]


def groups_of(cards: Iterable[AgentCard], kind: str) -> list[Choice]:
    """The tags, capabilities, channels or labels that agents have."""
    counts: Counter[str] = Counter()
    for card in cards:
        counts.update({"tag": card.tags, "cap": card.caps, "channel": card.channels}.get(kind, [card.label or ""]))
    return [(name, _agents_count(counts[name])) for name in sorted(counts) if name and is_plain(name)]


def is_plain(name: str) -> bool:
    """Whether a name can be put into the line as it stands: labels are whatever an agent says, quotes and worse."""
    return escape(name) == name and '"' not in name


def _agents_count(count: int) -> str:
    return f"{count} agent{'s' if count > 1 else ''}"


def messages_of(desk: "Desk", *, work: bool = False) -> list[Choice]:
    """Messages, the newest first: those that are not dealt with, then those that were seen. work: only what is work."""
    unread = {
        str(message.message): preview(message)
        for message in reversed(desk.unread.values())
        if message.claimable or not work
    }
    noted = {} if work else {str(message): about for message, about in reversed(desk.noted.items())}
    return list({**unread, **{name: about for name, about in noted.items() if name not in unread}}.items())


def tasks_of(desk: "Desk") -> list[Choice]:
    """Work: what one holds, then what was seen, the newest first."""
    offered = {str(message): "you hold it" for message in reversed(desk.fences)}
    for number, task in reversed(desk.tasks.items()):
        held = number in desk.fences
        offered[str(number)] = preview(task) if not held else f"you hold it: {preview(task)}"
    for number, message in reversed(desk.unread.items()):
        if message.claimable:
            offered.setdefault(str(number), preview(message))
    return list(offered.items())


def pairs_of(desk: "Desk") -> list[Choice]:
    """Invitations that were not answered, the newest first."""
    return [
        (str(number), preview(message))
        for number, message in reversed(desk.unread.items())
        if message.type == "pair.open"
    ]


def _settings(place: Wanted) -> list[Choice]:
    from .commands.own import SETTINGS

    if place.kind == "setting":
        return [(name, "|".join(values)) for name, values in SETTINGS.items()]
    return [(value, "") for value in SETTINGS.get(place.before[-1], ())] if place.before else []


def _profiles() -> list[Choice]:
    from ..profiles import profile_names

    try:
        return [(name, "") for name in profile_names(os.environ)]
    except RelayError:
        return []
