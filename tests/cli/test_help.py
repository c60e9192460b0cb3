"""relay help, relay commands: the same words as --help, and a list for programs."""

import pytest

from relay_client.cli.app import COMMANDS, main
from tests.cli.command import run


@pytest.mark.parametrize("words", [["send"], ["token", "create"], ["pair"]])
def test_help_shows_what_the_option_shows(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", *words]) == 0
    by_command = capsys.readouterr().out
    assert main([*words, "--help"]) == 0
    assert by_command == capsys.readouterr().out
    assert by_command.startswith(f"Usage: relay {' '.join(words)} ")


def test_help_alone_is_the_help_of_relay(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert alone == capsys.readouterr().out


def test_help_of_what_has_no_commands_below_it_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "send", "more"]) == 2
    assert capsys.readouterr().err == "relay: there is no command 'send more' (see: relay --help)\n"


def test_commands_lists_each_with_its_line_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commands"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, entry in COMMANDS.items():
        assert [line for line in lines if line.split()[:1] == [name] and line.endswith(entry.help)]
    assert max(map(len, lines)) <= 80


def test_commands_as_records_have_name_section_and_help() -> None:
    records = run("commands", "--json").records
    assert [record["command"] for record in records] == list(COMMANDS)
    assert records == run("commands", "--jsonl").records
    assert {"command": "send", "section": "Messages", "help": COMMANDS["send"].help} in records
