"""docs/repl.md: its tables are those of the code, its shell lines print what it shows, its typed lines are commands."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from relay_client.repl.commands import COMMANDS
from relay_client.repl.commands.helping import every_command
from relay_client.repl.grammar import parse
from tests.daemon import Daemon
from tests.repl.repl_doc import DOC, document

MARK = "== block"
TEXT = DOC.read_text()


def test_the_generated_parts_are_those_of_the_code() -> None:
    assert document(TEXT) == TEXT, "python -m tests.repl.repl_doc writes them anew"


def test_every_command_is_in_it() -> None:
    for command in every_command(COMMANDS):
        assert f"`{command.name}" in TEXT


def test_a_captured_screen_is_in_it() -> None:
    part = TEXT.partition("<!-- screen: begin -->")[2].partition("<!-- screen: end -->")[0]
    assert "> " in part, "the capture of tests/terminal writes it"


@pytest.mark.parametrize("line", re.findall(r"^    ann(?: → builder)?> (.+)$", TEXT, re.MULTILINE))
def test_what_is_typed_in_it_is_a_line(line: str) -> None:
    assert parse(line, COMMANDS, peer="builder") is not None


def test_its_shell_lines_print_what_it_shows(daemon: Daemon, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)\n```\n\n```text\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == TEXT.count("```sh\n"), "each has its output behind it"
    script = "".join(f"echo '{MARK}'\n{commands}\n" for commands, _ in blocks)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    env = {"PATH": path, "HOME": str(tmp_path), "RELAY_URL": daemon.url, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.stderr == ""
    assert done.stdout.split(f"{MARK}\n")[1:] == [f"{shown}\n" for _, shown in blocks]
