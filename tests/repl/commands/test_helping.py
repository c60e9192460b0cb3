"""helping: what help shows of the table, and that it fits where it is read."""

import pytest

from relay_client.cli.render import cells
from relay_client.repl.commands import COMMANDS
from relay_client.repl.commands.helping import SECTIONS, every_command, help_of, short_usage
from relay_client.repl.grammar import GrammarError


def test_help_has_the_form_of_every_command_on_one_screen() -> None:
    lines = help_of(None, COMMANDS).lines
    assert len(lines) <= 23  # the prompt is the 24th
    assert max(map(cells, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for command in every_command(COMMANDS):
        assert short_usage(command) in text
    assert all(any(line.startswith(heading) for line in lines) for heading in SECTIONS.values())


def test_help_all_has_a_line_for_each() -> None:
    result = help_of(["all"], COMMANDS)
    assert max(map(cells, result.lines)) <= 80
    for command in every_command(COMMANDS):
        assert sum(line.startswith(f"  {short_usage(command)} ") for line in result.lines) == 1
        assert command.help in "\n".join(result.lines)
    assert [record["command"] for record in result.records] == [one.name for one in every_command(COMMANDS)]


def test_help_of_one_has_its_options_what_its_words_mean_and_an_example() -> None:
    for command in every_command(COMMANDS):
        lines = help_of(command.name.split(), COMMANDS).lines
        assert max(map(cells, lines)) <= 80, command.name
        assert lines[0] == command.usage
        assert lines[-1] == f"  Example: {command.example}"
        for option in command.options:
            assert sum(line.startswith(f"  {option.usage} ") and line.endswith(option.help) for line in lines) == 1
    lines = help_of(["/send"], COMMANDS).lines
    assert "  --ttl TIME        Not delivered later than this." in lines
    assert any(line.startswith("  TARGET is an agent") for line in lines)
    assert any(line.startswith("  TIME is seconds") for line in lines)
    assert "Also: exit." in help_of(["exit"], COMMANDS).lines[1]


def test_help_of_a_family_has_all_its_members() -> None:
    result = help_of(["pair"], COMMANDS)
    assert [record["command"] for record in result.records] == [sub.name for sub in COMMANDS["pair"].subs]
    assert result.is_list
    assert help_of(["pair", "open"], COMMANDS).lines[0] == "pair open [OPTIONS] AGENT [OBJECTIVE]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sned"], "there is no command 'sned'; did you mean 'send'"),
        (["pair", "opne"], "there is no pair 'opne'; did you mean 'open'"),
        (["send", "open"], "there is no send 'open'; send "),
    ],
)
def test_help_of_what_is_not_there_shows_the_nearest(words: list[str], said: str) -> None:
    with pytest.raises(GrammarError) as caught:
        help_of(words, COMMANDS)
    assert said in str(caught.value)
