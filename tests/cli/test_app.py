"""app: the table of commands, loaded one by one."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

import relay_client.cli
from relay_client.cli import failure
from relay_client.cli.app import COMMANDS, SECTIONS, main, relay
from tests.cli.command import NO_FOLDER

SOURCES = Path(relay_client.__file__).parent
RELAY = Path(sys.executable).with_name("relay")
"""The command as it was installed."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_entry_of_the_table_is_a_command(name: str) -> None:
    command = relay.get_command(click.Context(relay), name)
    assert isinstance(command, click.Command)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_version_and_help_load_no_subcommand_and_no_network(arguments: list[str]) -> None:
    program = (
        "import sys; from relay_client.cli import main; code = main(sys.argv[1:]); "
        "slow = ('asyncio', 'websockets', 'msgspec', 'relay_server', 'relay_client.cli.send'); "
        "print([name for name in slow if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_version_takes_less_than_150_ms() -> None:
    """The best of fifteen: what stands between is what else this machine does."""

    def took() -> float:
        started_at = time.perf_counter()
        assert subprocess.run([RELAY, "--version"], capture_output=True, timeout=30).returncode == 0
        return time.perf_counter() - started_at

    assert min(took() for _ in range(15)) < 0.150


def test_help_is_one_screen_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).replace(";", " ").split()
    assert [name for name in COMMANDS if name not in words] == []
    assert [code for code in failure.EXIT_CODES if str(code) not in words] == []


def test_every_command_stands_in_a_section_of_the_help() -> None:
    assert {entry.section for entry in COMMANDS.values()} <= set(SECTIONS)


NO_FORM: Final = {"export": "what it prints is JSON lines by itself"}
"""Commands that talk to a relay and have no --json, each with the reason."""


def leaves() -> Iterator[tuple[str, set[str]]]:
    """Every command that is no group, by its path, with the names of its options."""

    def walk(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, set[str]]]:
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, click.Context(found, context, name), f"{path} {name}".strip())
        else:
            yield path, {name for param in command.params if isinstance(param, click.Option) for name in param.opts}

    yield from walk(relay, click.Context(relay), "")


def test_commands_that_talk_to_a_relay_have_the_same_options_and_programs_can_read_them() -> None:
    common = {"--url", "--token", "--token-file", "--profile", "--timeout"}  # and --as, where it matters who asks
    talking = {path: options for path, options in leaves() if "--url" in options}
    assert len(talking) > 25
    assert {path: common - options for path, options in talking.items() if common - options} == {}
    unread = {path for path, options in talking.items() if not {"--json", "--jsonl"} <= options}
    assert unread == NO_FORM.keys()


def test_the_line_of_a_command_fits_into_the_list() -> None:
    assert {name: entry.help for name, entry in COMMANDS.items() if not entry.help.endswith(".")} == {}
    assert {name: entry.help for name, entry in COMMANDS.items() if len(entry.help) > 66} == {}


def test_without_a_command_it_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: relay" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sned", "x"], "relay: there is no command 'sned'; did you mean 'send'? (see: relay --help)"),
        (["send", "x"], "relay: missing argument 'BODY'; usage: relay send [OPTIONS] TO BODY (see: relay send --help)"),
        (["send", "a b", "x"], "'a b'"),
        (["inbox", "tag:x"], "is no agent id"),
        (["listen", "ALL"], "is no agent id"),
        (["message", "zero"], "'zero' is no message id (12 or #12)"),
        (["thread", "0"], "'0' is no message id (12 or #12)"),
        (["owed", "tag:x"], "is no agent id"),
        (["ask", "x"], "missing argument 'BODY'; usage: relay ask [OPTIONS] TO BODY (see: relay ask --help)"),
        (["ask", "x", "y", "--timeout", "8d"], "'8d' is out of bounds; it must be at least 0.1s and at most 7d"),
        (
            ["agents", "--url"],
            "option '--url' requires an argument; usage: relay agents [OPTIONS] (see: relay agents --h",
        ),
        (
            ["token", "list", "--all=x"],
            "does not take a value; usage: relay token list [OPTIONS] (see: relay token list",
        ),
        (["help", "sned"], "there is no command 'sned'; did you mean 'send'?"),
        (["help", "token", "crate"], "there is no command 'token crate'; did you mean 'create'?"),
        (["agents", "--json", "--jsonl"], "--json and --jsonl: one of them"),
        (["agents", "--profile", "x"], "there is no profile 'x' (command line); /nonexistent/relay/profiles.json is"),
        (["agents", "--url", "x"], "url (command line): url is 'x'; expected something like http://localhost:4850"),
        (["agents", "--token-file", "/nonexistent/t"], "the token file /nonexistent/t (command line) can't be read"),
        (["listen"], "AGENT is missing; RELAY_AGENT_ID or a profile with an agent says it, too; usage: relay listen"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["send", "x", "y", "--ttl", "5x"], "'--ttl': '5x' is no length of time; expected seconds (90) or a number"),
        (["send", "x", "y", "--ttl", "31d"], "'31d' is out of bounds; it must be at least 0.001s and at most 30d"),
        (["send", "x", "y", "--delay", "-5"], "'-5' is no length of time"),
        (["send", "x", "y", "--offer", "0.5"], "'0.5' is out of bounds; it must be at least 1s and at most 1d"),
        (["send", "x", "y", "--expect-reply", "8d"], "and at most 7d"),
        (["send", "x", "y", "--priority", "10"], "'10' is no priority; it must be 0 to 9"),
        (["agents", "--timeout", "0"], "'0' is out of bounds; it must be at least 0.1s"),
        (["agents", "--status", "sleepy"], "'sleepy' is not one of"),
        (["send", "x", "y", "--header", "novalue"], "is not NAME=VALUE"),
        (["submit", "a b", "title"], "'a b'"),
        (["submit", "x"], "missing argument 'TITLE'"),
        (["submit", "x", "t", "--severity", "bad"], "'bad' is not one of 'info', 'warning', 'error', 'critical'"),
        (["submit", "x", "t", "--attempts", "0"], "'--attempts': 0 is not in the range 1<=x<=100"),
        (["submit", "x", "t", "--wait", "soon"], "'soon' is no length of time"),
        (["submit", "x", "t", "--depends-on", "y"], "'y' is no message id"),
        (["tasks", "--state", "redy"], "'redy' is no state; there are ready, delayed, claimed"),
        (["tasks", "--to", "a b"], "'a b'"),
        (["task", "x"], "'x' is no message id (12 or #12)"),
        (["claim", "12", "--next", "2"], "ID names one task; --next, --to, --type and --channel choose among all"),
        (["claim", "12", "--type", "x"], "ID names one task"),
        (["claim", "--next", "2", "--file", "x"], "--file is for one claim"),
        (["claim", "--next", "65"], "65 is not in the range 1<=x<=64"),
        (["claim", "12", "--lease", "0.5"], "'0.5' is out of bounds; it must be at least 1s and at most 1d"),
        (["done", "12", "--fence", "0"], "'0' is no fence; it is the number that relay claim said"),
        (["progress", "12", "1.5"], "'1.5' is no share; it must be 0 to 1, or 0% to 100%"),
        (["progress", "12", "half", "done"], "'half' is no share"),
        (["progress", "12"], "SHARE, NOTE or both"),
        (["park", "12"], "missing option '--needs'"),
        (["park", "12", "--needs", "sleep"], "'sleep' is not one of 'human', 'input', 'auth', 'dependency'"),
        (["park", "12", "--needs", "dependency"], "--on ID says which tasks must be done first"),
        (["park", "12", "--needs", "human", "--on", "3"], "--on ID says which tasks must be done first"),
        (["park", "12", "--needs", "human", "--deadline", "31d"], "and at most 30d"),
        (["resolve"], "missing argument 'KEY'"),
        (["kick"], "missing argument 'ID'"),
        (["guard"], "give MESSAGE and FENCE, or --file PATH"),
        (["guard", "12"], "give MESSAGE and FENCE, or --file PATH"),
        (["guard", "12", "3", "--file", "x"], "two ways to say the same"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", NO_FOLDER)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("relay: ")
    assert err.count("\n") == 1


def test_the_client_names_the_server_in_two_tables_and_nowhere_else() -> None:
    naming = [
        str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py") if "relay_server" in path.read_text("utf-8")
    ]
    assert sorted(naming) == ["cli/app.py", "cli/seam.py"]
