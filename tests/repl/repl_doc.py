"""Makes the parts of docs/repl.md that come from the code: the commands, their options, the columns of the raw form.

    python -m tests.repl.repl_doc        writes the document anew

A part stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`. The part `screen` is a capture
(`python -m tests.terminal.capture`); everything else in the document is by hand.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from relay_client.repl.commands import COMMANDS
from relay_client.repl.commands.helping import SECTIONS, TARGETS, TIMES, every_command
from relay_client.repl.commands.pairing import PAIR_COLUMNS
from relay_client.repl.commands.parts import MESSAGE_COLUMNS, SENT_COLUMNS
from relay_client.repl.commands.reading import AGENT_COLUMNS, ONE_COLUMNS, OWED_COLUMNS, RECEIPT_COLUMNS, TASK_COLUMNS
from relay_client.repl.commands.working import CLAIM_COLUMNS
from tests import generated

DOC: Final = Path(__file__).parents[2] / "docs" / "repl.md"
COLUMNS: Final = {
    "`send`, `say`, `reply`, `ask`, `schedule`": SENT_COLUMNS,
    "`submit`": (*SENT_COLUMNS, "occurrences"),
    "`inbox`, `thread`": MESSAGE_COLUMNS,
    "`message`": ONE_COLUMNS,
    "`agents`, `who`": AGENT_COLUMNS,
    "`tasks`": TASK_COLUMNS,
    "`task`": (*TASK_COLUMNS, "body"),
    "`claim`": CLAIM_COLUMNS,
    "`owed`": OWED_COLUMNS,
    "`receipts`": RECEIPT_COLUMNS,
    "`pair` and its commands": PAIR_COLUMNS,
}


def document(text: str) -> str:
    """The document with its generated parts as they must be now."""
    return generated.document(text, PARTS)


def commands() -> Iterator[str]:
    """Every command by what it is for, with its example."""
    every = list(every_command(COMMANDS))
    for section, heading in SECTIONS.items():
        yield from (f"### {heading}", "", "| command | | for example |", "|---|---|---|")
        for command in every:
            if command.section == section:
                also = f" Also `{'`, `'.join(command.aliases)}`." if command.aliases else ""
                words = " ".join((command.help, *command.more))
                yield f"| `{_plain(command.usage)}` | {_plain(words)}{also} | `{_plain(command.example)}` |"
        yield ""
    yield from (" ".join(TARGETS), "", TIMES)


def options() -> Iterator[str]:
    """Every option, and the commands that have it."""
    users: dict[tuple[str, str], list[str]] = {}
    for command in every_command(COMMANDS):
        for option in command.options:
            users.setdefault((option.usage, option.help), []).append(command.name)
    yield from ("| option | | of |", "|---|---|---|")
    for (usage, words), names in sorted(users.items(), key=lambda item: item[0]):
        yield f"| `{_plain(usage)}` | {words} | {', '.join(f'`{name}`' for name in names)} |"


def columns() -> Iterator[str]:
    """What the raw form has of each list."""
    yield from ("| of | columns |", "|---|---|")
    for names, fields in COLUMNS.items():
        yield f"| {names} | {', '.join(f'`{field}`' for field in fields)} |"


def _plain(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("|", "\\|")


PARTS: Final[dict[str, Callable[[], Iterator[str]]]] = {"commands": commands, "options": options, "columns": columns}

if __name__ == "__main__":
    DOC.write_text(document(DOC.read_text()))
