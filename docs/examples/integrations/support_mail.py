"""A mail to support becomes a task; a reply to it, another one in the same thread.

    # in the mail server's aliases; the variables stand in a file that only its user reads
    support: "|. /etc/relay-support.env && python3 /opt/relay/integrations/support_mail.py"

One mail on stdin, as it came. Its Message-ID is the idempotency key, so a mail that is delivered twice is one task;
In-Reply-To and References say which thread it belongs to. Automatic answers are dropped: two vacation notices would
write to each other for ever. RELAY_TARGET says who answers (cap:support).

Exit status, as mail servers read it: 0 taken, 65 this is no mail, 75 try again later (the relay is away).
"""

import email
import email.policy
import hashlib
import os
import re
import sys
from email.message import EmailMessage

from relay_door import Refused, post_event

MAIL_BYTES_MAX = 25 * 1024 * 1024
BODY_CHARS_MAX = 60_000
TITLE_CHARS_MAX = 256
KEY_CHARS_MAX = 128
FOLLOWS_MAX = 64
EX_DATAERR, EX_TEMPFAIL = 65, 75


def main() -> int:
    data = sys.stdin.buffer.read(MAIL_BYTES_MAX + 1)
    mail = email.message_from_bytes(data, policy=email.policy.default)
    if len(data) > MAIL_BYTES_MAX or mail["From"] is None:
        print(f"support mail: no mail with a From, of at most {MAIL_BYTES_MAX} bytes", file=sys.stderr)
        return EX_DATAERR
    if str(mail.get("Auto-Submitted", "no")).split(";")[0].strip().lower() != "no":
        return 0
    key = key_of((ids(mail, "Message-ID") or [hashlib.sha256(data).hexdigest()])[0])
    try:
        answer = post_event(
            title=(one_line(mail["Subject"]) or "(no subject)")[:TITLE_CHARS_MAX],
            body=text_of(mail)[:BODY_CHARS_MAX],
            target=os.environ.get("RELAY_TARGET", "cap:support"),
            type="support.mail",
            dedupeKey=key,
            idempotencyKey=key,
            follows=references(mail),
            metadata={"from": one_line(mail["From"])[:1024], "date": one_line(mail["Date"])[:1024]},
            payload={"attachments": [part.get_filename() for part in mail.iter_attachments()]},
        )
    except Refused as exc:
        if exc.status == 409:
            return 0  # this Message-ID was taken before, by another way, with another footer
        print(f"support mail: {exc}", file=sys.stderr)
        return EX_DATAERR if exc.status in (413, 422) else EX_TEMPFAIL
    print(f"task {answer['task']['id']} in thread {answer['task']['threadId']}")
    return 0


def one_line(header: object) -> str:
    """A header as text without line breaks, empty when there is none."""
    return "" if header is None else " ".join(str(header).split())


def key_of(message_id: str) -> str:
    """A Message-ID may be longer than a key, and so may what spammers write there."""
    return message_id if len(message_id) <= KEY_CHARS_MAX else hashlib.sha256(message_id.encode()).hexdigest()


def references(mail: EmailMessage) -> list[str] | None:
    """What this mail answers, nearest first: the one itself may have been written by us, and so be unknown here."""
    named = ids(mail, "In-Reply-To") + ids(mail, "References")[::-1]
    return [key_of(one) for one in dict.fromkeys(named)][:FOLLOWS_MAX] or None


def ids(mail: EmailMessage, name: str) -> list[str]:
    """The message ids of a header, as it came: whoever writes a wrong one must not make its parser fail."""
    raw = [value for header, value in mail.raw_items() if header.lower() == name.lower()]
    return re.findall(r"<[^<>\s]+>", raw[0]) if raw else []


def text_of(mail: EmailMessage) -> str:
    """Its text; a mail that is only HTML is passed on as that."""
    part = mail.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):  # a charset that nobody knows
        return str(part.get_payload(decode=False))


if __name__ == "__main__":
    sys.exit(main())
