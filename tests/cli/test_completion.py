"""completion: the scripts are valid, and what they ask is answered without importing any command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay_client.cli.app import COMMANDS, main
from tests.cli.command import environment, run
from tests.client.test_profiles import environ

BIN = Path(sys.executable).parent


def asked(line: str, *, env: dict[str, str] | None = None) -> list[str]:
    """What click's script would be told for this line; the last word is the one that is being typed."""
    words = line.split(" ")
    words_of_it = {"_RELAY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = run(env=words_of_it | (env or {}))
    assert (done.code, done.err) == (0, "")
    return [answer.partition(",")[2] for answer in done.out.splitlines() if answer]


def test_commands_are_completed_by_their_names() -> None:
    assert asked("relay se") == [name for name in COMMANDS if name.startswith("se")]
    assert asked("relay ") == list(COMMANDS)
    assert asked("relay token ") == ["create", "list", "revoke"]


def test_profiles_are_completed_by_their_names_and_a_broken_file_by_nothing(tmp_path: Path) -> None:
    env = environ(tmp_path, {"reviewer": {}, "release": {}, "other": {}})
    assert asked("relay agents --profile re", env=env) == ["reviewer", "release"]
    assert asked("relay profile show o", env=env) == ["other"]
    assert asked("relay agents --profile re", env=environ(tmp_path, "{")) == []


def test_options_and_choices_are_completed() -> None:
    assert asked("relay help sub") == ["submit"]
    assert asked("relay agents --js") == ["--json", "--jsonl"]
    assert asked("relay agents --status st") == ["stale"]
    assert asked("relay completion ") == ["bash", "zsh", "fish"]
    assert asked("relay --ver") == ["--version"]


def test_the_names_of_commands_import_none_of_them() -> None:
    program = (
        "import sys; from relay_client.cli import main; code = main([]); "
        "print([name for name in ('asyncio', 'msgspec', 'relay_client.cli.send') if name in sys.modules], "
        "file=sys.stderr); sys.exit(code)"
    )
    env = environment({"_RELAY_COMPLETE": "bash_complete", "COMP_WORDS": "relay s", "COMP_CWORD": "1"})
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, env=env)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert "plain,send" in done.stdout


def test_the_repl_is_completed_under_its_own_name() -> None:
    env = {"_RELAY_REPL_COMPLETE": "bash_complete", "COMP_WORDS": "relay-repl --ag", "COMP_CWORD": "1"}
    done = run(env=env, module="relay_client.repl")
    assert (done.code, done.out) == (0, "plain,--agent\n")
    script = run("completion", "bash", "--repl").out
    assert "_RELAY_REPL_COMPLETE=bash_complete" in script
    assert "relay completion bash --repl > " in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_for_its_shell_and_says_how_to_install_it(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_RELAY_COMPLETE={shell}_complete" in script
    assert script.splitlines()[-1].startswith("# To install it for good: ")
    assert f"relay completion {shell} > " in script.splitlines()[-1]
    if shell == "zsh":
        assert script.startswith("#compdef relay\n")


@pytest.mark.parametrize(
    ("shell", "check"),
    [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])],
)
def test_each_script_is_read_by_its_shell(shell: str, check: list[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script = tmp_path / f"relay.{shell}"
    script.write_text(run("completion", shell).out)
    assert subprocess.run([*check, script], capture_output=True, timeout=30).returncode == 0


def test_in_bash_a_tab_gives_what_may_stand_there() -> None:
    """The generated script itself, run by bash as its completion would call it."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = (
        'source /dev/stdin <<< "$(relay completion bash)"; '
        "COMP_WORDS=(relay why me); COMP_CWORD=2; COMP_WORDS=(relay tok); COMP_CWORD=1; "
        '_relay_completion relay tok; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    env = environment({"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, env=env)
    assert done.stdout == "token\n", done.stderr
