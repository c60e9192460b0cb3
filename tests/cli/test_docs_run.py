"""Each line of the documents that calls `relay` or `relay-repl` is run as it stands there, from top to bottom.

A document has a relay of its own, at the address that RELAY_URL names; an agent `rev` with the capability `review` that
answers and works; an agent `ben`, who was there; a home and a current folder that are new, with a profile `rev`. Of a
line that also calls what is not ours (`git push`) only the part that is ours is run.

RULES has what can't be run as it stands, each with the reason; what it does not name must exit with 0.
"""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click
import pytest

import relay_client
from relay_client.cli.app import COMMANDS, relay
from tests.cli.command import environment
from tests.daemon import Daemon, free_port

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
DOCUMENTS: Final = ("README.md", "docs/cli.md", "docs/operating.md", "docs/repl.md")
THERE: Final = [name for name in DOCUMENTS if (ROOT / name).exists()]
OURS: Final = ("relay", "relay-repl")
HARMLESS: Final = {*OURS, "echo", "printf", "cat", "head", "wc", "mkdir", "grep", "sort", "tail", "export", "chmod"}
LINE_S: Final = 30.0
ELSEWHERE: Final = "http://build:4850"
"""The address that documents have for a relay on another machine."""
EXAMPLES: Final = "<!-- commands: begin -->"
"""What comes behind it is the help of the commands: its examples stand alone, so they are read and not run."""
PLACEHOLDER: Final = re.compile(r"\b(FILE|DIR|NAME|ID|COMMAND|TEXT|TARGET|FOLDER)\b|\.\.\.|…")
"""A line with one of these shows a form, it is no command to be typed."""


class Rule(NamedTuple):
    """What is done with the lines that `pattern` is found in, and why.

    codes: what it may exit with. add: words that are put behind it. ends: it goes on for ever; it is interrupted once
    this was printed. skip: it is not run at all.
    """

    pattern: str
    why: str
    codes: tuple[int, ...] = (0,)
    add: str = ""
    ends: str = ""
    skip: bool = False


RULES: Final = (
    Rule(r"^relay listen\b", "it listens until Ctrl-C", codes=(130,), ends="listens at"),
    Rule(r"^relay tail\b(?!.*--no-follow)", "it follows until Ctrl-C", codes=(0, 130), ends="*"),
    Rule(r"^relay top\b", "without a terminal it is one frame"),
    Rule(r"\brelay serve\b", "it serves until it is stopped", ends="listening", add="--port 0"),
    Rule(r"^relay guard\b.*&&", "nobody holds that claim here: it refuses, as it should", codes=(0, 1)),
    Rule(r"^relay daemon\b", "it would change the services of this machine", codes=(0, 1, 3), add="--dry-run"),
    Rule(r"^relay upgrade\b", "it would change this installation, and refuses one that is editable", codes=(0, 1)),
    Rule(r"^relay doctor\b", "what it finds is this machine's", codes=(0, 1)),
)


class Line(NamedTuple):
    """One command line of a document; `number` is where it stands."""

    number: int
    text: str

    @property
    def rule(self) -> Rule:
        return next((rule for rule in RULES if re.search(rule.pattern, self.text)), Rule("", ""))


def lines_of(text: str) -> Iterator[Line]:
    """The command lines: in ```sh blocks, and in blocks that are set in by four columns."""
    fence, whole, began = None, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fence = None if fence is not None else line.removeprefix("```").strip()
            continue
        if not (fence == "sh" or (fence is None and line.startswith("    "))):
            continue
        began = began or number
        whole += line.strip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        command = re.split(r"\s#", whole)[0].strip()
        if any(words[0] in OURS for words in calls(command)) and not PLACEHOLDER.search(command):
            yield Line(began, command)
        whole, began = "", 0


def calls(command: str) -> list[list[str]]:
    """The simple commands of a line, each as its words, without the variables in front."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # no command line at all
        return []
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("();<>|&"):
            found.append([])
        elif found[-1] or not re.match(r"[A-Za-z_]+=", word):
            found[-1].append(word)
    return [call for call in found if call]


def script(line: Line) -> str:
    """What is run of a line: all of it, or where it calls what is not ours the first part that is."""
    rule = line.rule
    first = [call[0] for call in calls(line.text)]
    whole = rule.ends == "" and all(name in HARMLESS or (name == "jq" and shutil.which("jq")) for name in first)
    text = line.text if whole else re.split(r"\s(?:&&|\|\||\||;|&)", line.text)[0].removesuffix("&").strip()
    return text if not rule.add or rule.add in text else f"{text} {rule.add}"


@contextlib.contextmanager
def crew(url: str) -> Iterator[None]:
    """`rev`, who answers what it is asked and does what it is given, in a thread of its own while the block runs."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def work() -> None:
        async with relay_client.connect(url, agent="ben"):
            pass
        async with relay_client.connect(url, agent="rev", caps=["review"]) as agent:
            ready.set()
            serving = asyncio.create_task(serve(agent))
            await stop.wait()
            serving.cancel()
            await asyncio.wait([serving])

    async def serve(agent: relay_client.Agent) -> None:
        async for message in agent:
            if message.claimable:
                async with agent.claim(message) as work:
                    work.done("fine")
            elif message.reply_by_at is not None:
                await message.reply("yes")

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def run_line(line: Line, folder: Path, env: dict[str, str]) -> str | None:
    """What is wrong with a line, or None. It is run by bash, in `folder`."""
    rule = line.rule
    process = subprocess.Popen(
        ["bash", "-c", f"exec {script(line)}" if rule.ends else script(line)],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process:
        output = ""
        if rule.ends:
            output = until(process, rule.ends)
            process.send_signal(signal.SIGINT)
        try:
            output += process.communicate(timeout=LINE_S)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return f"it did not end; {output}"
    if "Traceback" in output or process.returncode not in rule.codes:
        return f"exit code {process.returncode}: {output.strip()}"
    return None


def until(process: "subprocess.Popen[str]", word: str) -> str:
    """What a process printed up to the first line with `word`."""
    assert process.stdout is not None
    output = ""
    if word == "*":  # it has nothing to say before something happens: it has come as far as it connects
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        return output
    for line in process.stdout:
        output += line
        if word in line:
            break
    return output


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", THERE)
def test_each_line_of_a_document_runs(name: str, make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    lines = list(lines_of((ROOT / name).read_text().partition(EXAMPLES)[0]))
    home = tmp_path / "home"
    folder = tmp_path / "here"
    for made in (home, folder):
        made.mkdir()
    daemon = make_daemon().start()
    env = environment(
        {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "XDG_STATE_HOME": str(home / ".local/state"),
            "RELAY_URL": daemon.url,
            "RELAY_PORT": str(free_port()),
        }
    )
    profiles = home / ".config" / "relay" / "profiles.json"
    profiles.parent.mkdir(parents=True)
    profiles.write_text(json.dumps({"rev": {"agent": "rev-2", "tags": ["ci"]}}))
    with crew(daemon.url):
        lines = [line._replace(text=line.text.replace(ELSEWHERE, daemon.url)) for line in lines]
        wrong = {line: run_line(line, folder, env) for line in lines if not line.rule.skip}
    failed = [f"{name}:{line.number}: {line.text}\n    {said}" for line, said in wrong.items() if said]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("name", THERE)
def test_every_command_that_a_document_names_exists_and_is_called_as_it_can_be(name: str) -> None:
    """Lines that are not run are at least read by the command itself."""
    text = (ROOT / name).read_text()
    assert set(re.findall(r"`relay ([a-z]+)[ `]", text)) <= COMMANDS.keys()
    for line in lines_of(text):
        for words in calls(line.text):
            if words[0] == "relay" and len(words) > 1 and not words[1].startswith("-"):
                read(words[1:], line)


def read(words: list[str], line: Line) -> None:
    """Has a command read its arguments, without doing anything. Raises UsageError."""
    context = click.Context(relay, info_name="relay")
    command: click.Command = relay
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, line
        command, words = found, words[1:]
    if not isinstance(command, click.Group):
        try:
            command.make_context(command.name, words, parent=context)
        except click.BadParameter as exc:
            if exc.param is None or not isinstance(exc.param.type, click.Path):
                raise  # a file of an earlier line is not there: that is no mistake of this one


def test_a_line_that_is_wrong_is_seen(tmp_path: Path) -> None:
    env = environment({"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "RELAY_URL": "http://127.0.0.1:9"})
    said = run_line(Line(1, "relay agents"), tmp_path, env)
    assert said is not None
    assert said.startswith("exit code 69: relay: no relay at http://127.0.0.1:9")
    assert run_line(Line(1, "relay commands | head -1"), tmp_path, env) is None
    with pytest.raises(click.UsageError):
        read(["send", "--no-such-option"], Line(1, ""))


def test_lines_are_found_where_they_stand() -> None:
    text = (
        "```sh\nrelay send a b  # why\nls\nX=1 relay \\\n  tasks\n```\n"
        "    relay agents | jq .\n    make\n```py\nrelay x\n```"
    )
    assert [tuple(line) for line in lines_of(text)] == [
        (2, "relay send a b"),
        (4, "X=1 relay tasks"),
        (7, "relay agents | jq ."),
    ]
    assert script(Line(1, "relay guard 1 2 && git push")) == "relay guard 1 2"
    assert script(Line(1, "relay commands | head -1")) == "relay commands | head -1"
    assert script(Line(1, "relay daemon status")) == "relay daemon status --dry-run"
