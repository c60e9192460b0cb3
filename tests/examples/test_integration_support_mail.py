"""The mail connector, fed mails as mail servers hand them over."""

import json
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.daemon import Daemon

from .connector import FOLDER, Connected

FIRST = (Path(__file__).parent / "payloads" / "support.eml").read_bytes()
FIRST_ID = "<CAF8xWm3b+Q=k1@mail.kunde.example>"


@pytest.fixture
def support(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Connected:
    return Connected(make_daemon, tmp_path, "support")


def deliver(support: Connected, mail: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    return support.run(sys.executable, str(FOLDER / "support_mail.py"), stdin=mail, **env)


def reply(message_id: str, answers: str, *references: str, text: str = "Danke!") -> bytes:
    mail = EmailMessage()
    mail["From"] = "Maria <maria.gruber@kunde.example>"
    mail["To"] = "support@example.org"
    mail["Subject"] = "Re: Rechnung fehlt"
    mail["Message-ID"] = message_id
    mail["In-Reply-To"] = answers
    if references:
        mail["References"] = "\n ".join(references) if len(references) < 2 else " ".join(references)
    mail.set_content(text)
    return mail.as_bytes()


def test_a_mail_is_a_task_and_is_one_however_often_it_is_delivered(support: Connected) -> None:
    for mail in (FIRST, FIRST, b"Received: from another.example\r\n" + FIRST):
        done = deliver(support, mail)
        assert (done.returncode, done.stderr) == (0, b"")
    [task] = support.tasks()
    assert (task["title"], task["to"], task["type"]) == (
        "Rechnung fehlt – bitte prüfen", "cap:support", "support.mail",
    )  # fmt: skip
    whole = support.task(task["message"])
    assert whole["body"].startswith("Hallo,\n\ndie Rechnung für Jänner fehlt.")
    assert whole["from"] == "integration/support"
    payload = json.loads(whole["payload"]) if isinstance(whole["payload"], str) else whole["payload"]
    assert payload == {"attachments": ["vertrag.pdf"]}


def test_replies_are_tasks_in_the_thread_of_the_first(support: Connected) -> None:
    deliver(support, FIRST)
    deliver(support, reply("<2@kunde.example>", FIRST_ID))
    # It answers a mail that we wrote, which the relay never saw; its References name the first one, too.
    deliver(support, reply("<3@kunde.example>", "<ours-1@example.org>", FIRST_ID, "<ours-1@example.org>"))
    deliver(support, reply("<4@kunde.example>", "<unknown@example.org>"))
    first, second, third, stranger = support.tasks()
    assert [task["thread"] for task in (second, third, stranger)] == [
        first["thread"], first["thread"], stranger["message"],
    ]  # fmt: skip


def test_automatic_answers_are_dropped(support: Connected) -> None:
    assert deliver(support, b"Auto-Submitted: auto-replied (vacation)\r\n" + FIRST).returncode == 0
    assert support.tasks() == []
    assert deliver(support, b"Auto-Submitted: no\r\n" + FIRST).returncode == 0
    assert len(support.tasks()) == 1


ODD = {
    "empty": b"From: a@b\r\n\r\n",
    "broken headers": b"From: a@b\r\nMessage-ID: <[broken\r\nSubject: =?nope?Q?x?=\r\n\r\nhi",
    "long ids": b"From: a@b\r\nMessage-ID: <" + b"x" * 500 + b"@b>\r\nIn-Reply-To: <" + b"y" * 500 + b"@b>\r\n\r\nhi",
    "long subject": b"From: a@b\r\nSubject: " + b"long " * 200 + b"\r\n\r\nhi",
    "charset": b"From: a@b\r\nContent-Type: text/plain; charset=nobody-knows\r\n\r\n\xff\xfe",
    "only html": b"From: a@b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>hi</b>",
    "cut off": b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/pl",
    "bytes": b"From: \xff\xfe <a@b>\r\nSubject: \xe4\xf6\r\n\r\n\x00\x1b[31m",
}


def test_whatever_people_send_is_a_task(support: Connected) -> None:
    for what, mail in ODD.items():
        done = deliver(support, mail)
        assert (done.returncode, done.stderr) == (0, b""), what
    assert len(support.tasks()) == len(ODD)


def test_the_mail_server_keeps_what_can_t_be_taken_now(support: Connected) -> None:
    assert deliver(support, FIRST, RELAY_TOKEN="wrong-token-0123456789").returncode == 75
    support.daemon.kill()
    assert deliver(support, FIRST).returncode == 75
    support.daemon.start()
    assert deliver(support, FIRST).returncode == 0
    assert deliver(support, b"no mail at all").returncode == 65
    assert len(support.tasks()) == 1
