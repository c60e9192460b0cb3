"""The demo: it reviews for real, it kills, and its proof fails when something is wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from docs.examples import review_fleet
from relay_proto.frames import StoredMessage, WorkState

SCRIPT = Path(review_fleet.__file__)


def write_folder(folder: Path) -> None:
    """Files of every kind that a folder may hold."""
    folder.mkdir()
    (folder / "deep").mkdir()
    for i in range(6):
        (folder / f"module_{i}.py").write_text(f"def f{i}():\n    return {i}\n")
    (folder / "deep" / "documented.py").write_text('"""A module."""\n\n\nclass A:\n    """A."""\n')
    (folder / "broken.py").write_text("def broken(:\n")
    (folder / "empty.py").write_text("")
    (folder / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"))
    (folder / "large.py").write_text('"""Large."""\n' + "x = 1\n" * 50_000)
    (folder / "notes.txt").write_text("not Python")
    (folder / "esc\x1b[2J.py").write_text("x = 1\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.py")).write_text("x = 1\n")


def still_running(marker: Path) -> list[int]:
    """Processes that have `marker` on their command line."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] and any(str(marker) in part for part in process.info["cmdline"])
    ]


@pytest.mark.timeout(120)
def test_a_folder_is_reviewed_while_a_reviewer_and_the_relay_are_killed(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "sources", tmp_path / "temporary"
    write_folder(folder)
    temporary.mkdir()
    env = os.environ | {"TMPDIR": str(temporary), "RELAY_TOKEN": "must-not-matter-0123456789"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=env, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL reviewer-" in done.stdout
    assert "SIGKILL relay" in done.stdout
    assert "answered twice: " in done.stdout
    assert "broken.py: invalid syntax, line 1" in done.stdout
    assert "13 files" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.rstrip().splitlines()[-2] == "The proof holds: each file was completed exactly once."
    assert still_running(folder) == []
    assert still_running(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.timeout(60)
def test_stopping_it_ends_every_process_and_removes_the_data(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "sources", tmp_path / "temporary"
    write_folder(folder)
    temporary.mkdir()
    env = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, str(SCRIPT), str(folder)], env=env, stdout=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()  # the relay is up
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=30) == 130
    assert still_running(folder) == []
    assert list(temporary.iterdir()) == []


def test_a_folder_without_python_files_is_a_usage_error(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert f"no Python files in {tmp_path}" in done.stderr


def test_a_review_counts_functions_and_missing_docstrings() -> None:
    source = '"""M."""\n\n\ndef short():\n    """S."""\n\n\n'
    source += "class C:\n    def long(self):\n        x = 1\n        return x\n\n    def _own(self):\n        pass\n"
    found = review_fleet.review(source, "text/x-python")
    assert (found["functions"], found["classes"], found["lines"]) == (3, 1, 14)
    assert [(name, lines) for lines, name, _ in found["longest"]] == [("long", 3), ("short", 2), ("_own", 2)]
    assert (found["documentable"], found["undocumented"]) == (4, 2)  # module, short, C, long; _own is private


def test_a_review_of_what_python_cannot_parse_says_why() -> None:
    assert review_fleet.review("def broken(:", None)["problem"] == "invalid syntax, line 1"
    assert "problem" in review_fleet.review(b"\x00\xff", None)


def ledger(state: str = "done", digest: str = "d1") -> dict[int, StoredMessage]:
    result = json.dumps({"sha256": digest})
    work = WorkState(state=state, fence=1, attempts=1, holder="reviewer-1", result=result)  # type: ignore[arg-type]
    sent = StoredMessage(message=1, sender="manager", to="cap:review", body="", sent_at=0, thread=1, hops=0, work=work)
    return {1: sent}


def test_the_proof_holds_only_when_every_count_is_right() -> None:
    sent, answers = {"a.py": (1, "d1")}, {1: ["reviewer-1"]}
    assert review_fleet.prove(1, sent, [1], answers, ledger())[1]
    assert not review_fleet.prove(1, sent, [1], answers, ledger(state="claimed"))[1]
    assert not review_fleet.prove(1, sent, [1], answers, ledger(digest="of another file"))[1]
    assert not review_fleet.prove(1, sent, [1], {}, ledger())[1]
    assert not review_fleet.prove(1, sent, [1], answers | {2: ["stranger"]}, ledger())[1]
    assert not review_fleet.prove(1, sent, [1, 2], answers, ledger())[1]
    assert not review_fleet.prove(2, sent | {"b.py": (1, "d1")}, [1], answers, ledger())[1]


def test_an_answer_that_came_twice_is_said_and_is_no_failure() -> None:
    lines, holds = review_fleet.prove(1, {"a.py": (1, "d1")}, [1], {1: ["reviewer-2", "reviewer-1"]}, ledger())
    assert holds
    assert any("answered twice: a.py, by reviewer-2 and reviewer-1" in line for line in lines)
