"""app: the table of commands, loaded one by one."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

import relay_client.cli
from relay_client.cli.app import COMMANDS, main, relay

SOURCES = Path(relay_client.__file__).parent


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


def test_help_names_every_command_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(entry.help in text for entry in COMMANDS.values())
    assert len(text.splitlines()) <= len(COMMANDS) + 20
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_command_it_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: relay" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sned", "x"], "relay: there is no command 'sned'; did you mean 'send'? (see: relay --help)"),
        (["send", "x"], "relay: missing argument 'BODY' (see: relay send --help)"),
        (["send", "a b", "x"], "'a b'"),
        (["inbox", "tag:x"], "is no agent id"),
        (["listen", "ALL"], "is no agent id"),
        (["message", "zero"], "'zero' is no message id (12 or #12)"),
        (["thread", "0"], "'0' is no message id (12 or #12)"),
        (["owed", "tag:x"], "is no agent id"),
        (["ask", "x"], "missing argument 'BODY' (see: relay ask --help)"),
        (["ask", "x", "y", "--timeout", "8d"], "'8d' is out of bounds; it must be at least 0.1s and at most 7d"),
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
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("relay: ")
    assert err.count("\n") == 1


def test_the_client_names_the_server_in_the_table_and_nowhere_else() -> None:
    naming = [
        str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py") if "relay_server" in path.read_text("utf-8")
    ]
    assert naming == ["cli/app.py"]
