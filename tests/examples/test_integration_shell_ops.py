"""ops-alert.sh, as an operator or cron runs it: with sh and curl, whatever stands on stdin."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon import Daemon

from .connector import FOLDER, Connected

SCRIPT = str(FOLDER / "ops-alert.sh")
DF = b"Filesystem  Size  Used Avail Use% Mounted on\n/dev/sda1\t 50G   49G  1.0G  98% /\n"


@pytest.fixture
def ops(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Connected:
    return Connected(make_daemon, tmp_path, "ops")


def alert(ops: Connected, *words: str, stdin: bytes = b"", **env: str) -> None:
    done = ops.run("sh", SCRIPT, *words, stdin=stdin, **env)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr


def test_an_alert_is_a_task_counts_and_is_over(ops: Connected) -> None:
    alert(ops, "disk/db1", "disk is full on db1", stdin=DF)
    [task] = ops.tasks()
    assert (task["title"], task["severity"], task["to"]) == ("disk is full on db1", "error", "cap:ops")
    assert (task["source"], task["dedupe_key"], task["type"]) == ("ops", "disk/db1", "ops.alert")
    assert ops.task(task["message"])["body"] == DF.decode().rstrip("\n")
    alert(ops, "disk/db1", "disk is full on db1", SEVERITY="critical")
    alert(ops, "--resolved", "disk/db1", "rotated the logs")
    [task] = ops.tasks()
    assert (task["state"], task["occurrences"], task["reason"]) == ("done", 2, "rotated the logs")
    alert(ops, "--resolved", "disk/db1")  # nobody knows of it any more


TEXTS = [
    # title, text, what arrives of it
    ('say "hi" \\ there', b'a "quoted" \\n line\r\nand\ttab', 'a "quoted" \\n line\nand\ttab'),
    ("größer — ✓", "größer — ✓ 🚀".encode(), "größer — ✓ 🚀"),
    ("$(date) `date` %s & ' ;", b"$(date) `date` %s & \x1b[31mred\x07\x00", "$(date) `date` %s & [31mred"),
    ("bytes", b"\xff\xfe half of a letter: \xc3", " half of a letter: "),
    ("nothing", b"", ""),
]


def test_whatever_stands_there_arrives_as_text(ops: Connected) -> None:
    for title, text, _ in TEXTS:
        alert(ops, f"key/{title}", title, stdin=text)
    tasks = ops.tasks()
    assert [task["title"] for task in tasks] == [title for title, _, _ in TEXTS]
    assert [task["dedupe_key"] for task in tasks] == [f"key/{title}" for title, _, _ in TEXTS]
    assert [ops.task(task["message"]).get("body", "") for task in tasks] == [kept for _, _, kept in TEXTS]


def test_a_long_output_is_cut_between_letters(ops: Connected) -> None:
    alert(ops, "key", "long", stdin="ä".encode() + "ü".encode() * 100_000)
    [task] = ops.tasks()
    body = ops.task(task["message"])["body"]
    assert 32_000 < len(body.encode()) <= 32_768
    assert set(body) == {"ä", "ü"}


def test_it_says_when_the_relay_has_it_not(ops: Connected, tmp_path: Path) -> None:
    wrong = ops.run("sh", SCRIPT, "key", "title", RELAY_TOKEN="wrong-token-0123456789")
    assert wrong.returncode == 1
    assert b"ops-alert: the relay said 401" in wrong.stderr
    elsewhere = ops.run("sh", SCRIPT, "key", "title", RELAY_TARGET="ann")
    assert elsewhere.returncode == 1
    assert b"403" in elsewhere.stderr
    assert ops.run("sh", SCRIPT, "key").returncode == 2
    assert ops.tasks() == []


def test_it_waits_for_a_relay_that_starts_again_and_reports_once(ops: Connected) -> None:
    ops.daemon.kill()
    command = ["sh", SCRIPT, "key", "title"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=ops.env()) as process:
        ops.daemon.start()
        assert process.wait(30) == 0
    [task] = ops.tasks()
    assert task.get("occurrences", 1) == 1
