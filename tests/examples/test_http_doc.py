"""docs/http.md does what it says: each ```sh block is run as it stands there, and what it shows is what comes back.

A section has a relay of its own, on a free port: that port is the only thing that is replaced. A block with `relay
serve` starts it, with the options and variables of that line; without one it is a plain one.

What is shown may leave out fields of an object; `...` stands for any text, a time for any time.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.daemon import Daemon

DOC: Final = Path(__file__).parents[2] / "docs" / "http.md"
PORT: Final = "4850"
MARK: Final = "--8<-- block"
BLOCK_S: Final = 40.0
A_TIME: Final = 10**12
"""ms since 1970 are larger; no other number in the document is."""


@dataclass
class Block:
    """Commands, where they stand (a line of the document), and what is shown of their output, as json or text."""

    line: int
    commands: str
    shown: str | None = None
    kind: str = ""

    @property
    def starts_the_relay(self) -> bool:
        return "relay serve" in self.commands


def sections() -> dict[str, list[Block]]:
    """The blocks of each section that has some, by its heading."""
    found: dict[str, list[Block]] = {}
    heading, kind, lines, began = "", None, list[str](), 0
    for number, line in enumerate(DOC.read_text().splitlines(), 1):
        if kind is None:
            if line.startswith("## "):
                heading = line.removeprefix("## ")
            elif line.startswith("```"):
                kind, lines, began = line.removeprefix("```"), [], number
        elif line != "```":
            lines.append(line)
        else:
            text = "\n".join(lines)
            blocks = found.setdefault(heading, [])
            if kind == "sh":
                blocks.append(Block(began, text))
            elif kind in ("json", "text") and blocks and blocks[-1].shown is None:
                blocks[-1].shown, blocks[-1].kind = text, kind
            kind = None
    return {heading: blocks for heading, blocks in found.items() if blocks}


SECTIONS: Final = sections()


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_of_the_document_is_true(heading: str, make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    assert shutil.which("curl"), "the lines of docs/http.md are curl's, and there is no curl here: install it"
    blocks = SECTIONS[heading]
    at = next((at for at, block in enumerate(blocks) if block.starts_the_relay), -1)
    outputs = run(blocks[: max(at, 0)], tmp_path, "0")
    variables, options = serve(blocks[at].commands, tmp_path) if at >= 0 else ({}, [])
    daemon = make_daemon(*options, env=variables).start()
    outputs += [""] if at >= 0 else []
    outputs += run(blocks[at + 1 :], tmp_path, str(daemon.port))
    for block, output in zip(blocks, outputs, strict=True):
        if block.shown is None:
            continue
        compare = same_json if block.kind == "json" else same_text
        assert compare(block.shown, output), (
            f"docs/http.md:{block.line} shows\n{block.shown}\n\nand what comes back is\n{output}\n\nof\n"
            f"{block.commands}"
        )


def serve(commands: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Variables and options of a `relay serve` line. A file that it names stands in `folder`."""
    words = shlex.split(commands.replace("\\\n", " "))
    at = words.index("relay")
    variables = dict(word.split("=", 1) for word in words[:at])
    options = [str(folder / word) if (folder / word).is_file() else word for word in words[at + 2 :] if word != "&"]
    return variables, options


def run(blocks: list[Block], folder: Path, port: str) -> list[str]:
    """What each block prints, said by one shell, in which variables stay from block to block."""
    if not blocks:
        return []
    script = "".join(f"echo '{MARK} {block.line}'\n{block.commands}\n" for block in blocks)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    env = {"PATH": path, "HOME": str(folder), "RELAY_URL": f"http://localhost:{port}", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-u", "-c", script.replace(f"localhost:{PORT}", f"localhost:{port}")],
        cwd=folder, env=env, capture_output=True, text=True, timeout=BLOCK_S,
    )  # fmt: skip
    outputs = re.split(rf"{MARK} \d+\n", done.stdout)[1:]
    assert not re.search(r"^(curl|bash):", done.stderr, re.MULTILINE), f"{done.stderr}\nafter\n{done.stdout}"
    assert len(outputs) == len(blocks), done.stdout
    return outputs


def same_json(shown: str, output: str) -> bool:
    """Whether these are the documents that are shown, one after the other."""
    wanted, there = documents(shown), documents(output)
    return len(wanted) == len(there) and all(map(fits, wanted, there))


def documents(text: str) -> list[Any]:
    """All JSON documents in a text, which curl prints without a line between them."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while at < len(text.rstrip()):
        if text[at].isspace():
            at += 1
            continue
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def fits(shown: Any, there: Any) -> bool:
    if isinstance(shown, dict):
        return isinstance(there, dict) and all(name in there and fits(shown[name], there[name]) for name in shown)
    if isinstance(shown, list):
        return isinstance(there, list) and len(shown) == len(there) and all(map(fits, shown, there))
    if isinstance(shown, str):
        return isinstance(there, str) and same_text(shown, there)
    if isinstance(shown, (int, float)) and shown > A_TIME:
        return isinstance(there, (int, float)) and there > A_TIME
    return type(shown) is type(there) and bool(shown == there)


def same_text(shown: str, there: str) -> bool:
    """Line by line, ... for anything."""
    pattern = re.escape(shown.strip()).replace(re.escape("..."), ".*").replace("\\\n", "\n")
    return re.fullmatch(pattern, there.replace("\r", "").strip()) is not None


def test_what_is_shown_is_compared() -> None:
    """The comparison itself can fail."""
    assert same_json('{"id": 1, "at": 1795285504154}', '{"at":1795999999999,"id":1,"more":[]}')
    assert not same_json('{"id": 1}', '{"id":2}')
    assert not same_json('{"id": 1}', '{"id":1}{"id":2}')
    assert not same_json("[1, 2]", "[1]")
    assert not same_json('{"is": true}', '{"is":1}')
    assert same_text("id: ...-1\nend", "id: 5f-1\r\nend\r\n")
    assert not same_text("id: ...-1", "id: 5f-2")


def test_there_is_something_to_run() -> None:
    assert len(SECTIONS) >= 8
    assert sum(block.shown is not None for blocks in SECTIONS.values() for block in blocks) >= 12
