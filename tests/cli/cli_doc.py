"""Makes the parts of docs/cli.md that come from the code: exit codes, settings, and every command with its options.

    python -m tests.cli.cli_doc        writes the document anew

A part stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; everything else in the document is by hand.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from relay_client.cli.app import COMMANDS, SECTIONS, relay
from relay_client.cli.failure import EXIT_CODES
from relay_client.profiles import KEYS
from relay_client.settings import FALLBACK, SETTINGS
from tests import generated

DOC: Final = Path(__file__).parents[2] / "docs" / "cli.md"
COLUMNS: Final = 118


def document(text: str) -> str:
    """The document with its generated parts as they must be now."""
    return generated.document(text, PARTS)


def exit_codes() -> Iterator[str]:
    """The table of failure.py."""
    yield "| code | in a word | |"
    yield "|---|---|---|"
    for code, (word, sentence) in EXIT_CODES.items():
        yield f"| {code} | {word} | {sentence} |"


def settings() -> Iterator[str]:
    """The table of settings.py: each setting with its option, its name in the environment and its key in a profile."""
    options = {"agent": "--as", "tags": "--tag", "caps": "--cap", "channels": "--channel"}
    without = ("approval", "meta")
    yield f"| setting | option | environment (fallback: `{FALLBACK}` in front) | key in a profile | |"
    yield "|---|---|---|---|---|"
    for setting in SETTINGS:
        option = (
            "" if setting.name in without else f"`{options.get(setting.name, '--' + setting.name.replace('_', '-'))}`"
        )
        names = ", ".join(f"`{name}`" for name in setting.env)
        key = f"`{setting.key}`: {KEYS[setting.key]}" if setting.key else ""
        yield f"| {setting.name} | {option} | {names} | {key} | {setting.help} |"


def commands() -> Iterator[str]:
    """Every command, with its help and the options that are its own."""
    context = click.Context(relay, info_name="relay")
    common = _common(context)
    for section in SECTIONS:
        yield from ("", f"## {section}")
        for name, entry in COMMANDS.items():
            if entry.section == section:
                command = relay.get_command(context, name)
                assert command is not None
                yield from _command(command, name, context, common)


def _common(context: click.Context) -> dict[str, str]:
    """The options of `relay agents` that every client command has, by their names, with their help."""
    command = relay.get_command(context, "agents")
    assert command is not None
    inner = click.Context(command, context, "agents")
    shared = ("url", "token", "token_file", "profile", "name", "timeout_s", "as_json", "as_jsonl")
    found = {param.name: param.get_help_record(inner) for param in command.params if param.name in shared}
    return {str(name): record[1] for name, record in found.items() if record is not None}


def _command(command: click.Command, name: str, context: click.Context, common: dict[str, str]) -> Iterator[str]:
    inner = click.Context(command, context, name)
    usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
    yield from ("", f"### {inner.command_path}", "", f"`{usage}`", "")
    yield from _help(command)
    rows, left_out = [], set()
    for param in command.params:
        record = param.get_help_record(inner)
        if record is None or not record[1]:
            continue  # an argument: it stands in the usage line
        if common.get(str(param.name)) == record[1]:
            left_out.add(param.name)
        else:
            rows.append((record[0], " ".join(record[1].split())))
    if rows:
        yield from ("", "| option | |", "|---|---|")
        yield from (f"| `{names.replace('|', '/')}` | {words.replace('|', '/')} |" for names, words in rows)
    also = [words for known, words in (("as_json", OUTPUT), ("url", CLIENT)) if known in left_out]
    if also:
        yield from ("", f"Also {' and '.join(also)}.")
    if isinstance(command, click.Group):
        for sub in command.list_commands(inner):
            found = command.get_command(inner, sub)
            assert found is not None
            yield from _command(found, sub, inner, common)


OUTPUT: Final = "[--json and --jsonl](#output)"
CLIENT: Final = "[the options of every client command](#which-relay-and-as-whom)"


def _help(command: click.Command) -> Iterator[str]:
    """The help text of a command as Markdown: paragraphs, and as code what is not to be wrapped."""
    text = inspect.cleandoc(command.help or command.get_short_help_str(200)).partition("\f")[0]
    for paragraph in re.split(r"\n[ \t]*\n", text):
        if paragraph.startswith("\b"):
            yield from (f"    {line}".rstrip() for line in paragraph.splitlines()[1:])
        else:
            words = " ".join(paragraph.split())
            yield from click.wrap_text(words, COLUMNS).splitlines()
        yield ""


PARTS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "exit codes": exit_codes,
    "settings": settings,
    "commands": commands,
}

if __name__ == "__main__":
    DOC.write_text(document(DOC.read_text()))
