"""Completion of a REPL line from the command table and from what is live: agents and their groups, unread messages."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from relay_proto.errors import RelayError
from relay_proto.frames import AgentCard

from ..cli.escape import escape
from ..cli.render import body_text, cut
from .desk import Desk
from .grammar import Command, Kind, Parameter

PREVIEW_CELLS = 50


class LiveCompleter(Completer):
    """Completes the word before the cursor by its place in the line."""

    def __init__(self, desk: Desk, commands: Mapping[str, Command]) -> None:
        self.desk = desk
        self.commands = commands

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        if self._wanted(document)[0] in ("target", "agent", "about"):
            try:
                await self.desk.refresh_cards()
            except RelayError:
                self.desk.cards = []  # no completion is better than a stale one; the command itself will say why
        for completion in self.get_completions(document, complete_event):
            yield completion

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        kind, word = self._wanted(document)
        for text, meta in self._choices(kind):
            if text.startswith(word):
                yield Completion(text, start_position=-len(word), display_meta=meta)

    def _wanted(self, document: Document) -> tuple[Kind | Command | None, str]:
        """What kind of thing the cursor stands in (a Command: the name of one of its options), and what is typed."""
        words = document.text_before_cursor.split(" ")
        typed = words[-1]
        if len(words) == 1:
            return "command", typed
        command = self.commands.get(words[0])
        if command is None:
            return None, typed
        options = {option.name: option for option in command.options}
        place = 1
        while options and place < len(words) - 1 and words[place].startswith("--"):
            option = options.get(words[place])
            place += 1
            if option is not None and option.kind != "flag":
                if place == len(words) - 1:
                    return option.kind, typed
                place += 1
        if options and place == len(words) - 1 and typed.startswith("-"):
            return command, typed
        parameter = _parameter_at(command.parameters, len(words) - 1 - place)
        return (parameter.kind if parameter else None), typed

    def _choices(self, kind: Kind | Command | None) -> Iterable[tuple[str, str]]:
        match kind:
            case Command():
                return [(option.name, option.help) for option in kind.options]
            case "command":
                return [(command.name, command.help) for command in self.commands.values()]
            case "target":
                return targets_of(self.desk.cards, self.desk.agent.name)
            case "agent":
                return [(card.agent, card.status) for card in self.desk.cards]
            case "id" | "ids":
                return self._unread()
            case "about":
                return [*((card.agent, card.status) for card in self.desk.cards), *self._unread()]
            case _:
                return []

    def _unread(self) -> list[tuple[str, str]]:
        """Messages that are not dealt with, the newest first."""
        return [
            (str(message.message), cut(escape(f"{message.sender}: {body_text(message.body)}"), PREVIEW_CELLS))
            for message in reversed(self.desk.unread.values())
        ]


def _parameter_at(parameters: tuple[Parameter, ...], index: int) -> Parameter | None:
    if index < len(parameters):
        return parameters[index]
    return parameters[-1] if parameters and parameters[-1].kind == "ids" else None


def targets_of(cards: Iterable[AgentCard], own_name: str) -> list[tuple[str, str]]:
    """Each target that the agents in `cards` can be reached by, with a word about it."""
    choices: list[tuple[str, str]] = []
    groups: dict[str, int] = {}
    for card in cards:
        if card.agent != own_name:
            choices.append((card.agent, card.status))
        names = [f"cap:{cap}" for cap in card.caps] + [f"tag:{tag}" for tag in card.tags]
        names += [f"any:{name}" for name in names] + [f"channel:{channel}" for channel in card.channels]
        if card.label:
            names.append(f'label:"{card.label}"' if " " in card.label else f"label:{card.label}")
        for name in names:
            groups[name] = groups.get(name, 0) + 1
    choices += [(name, f"{count} agent{'s' if count > 1 else ''}") for name, count in sorted(groups.items())]
    choices.append(("ALL", "everyone"))
    return choices
