"""Parameters and options that several commands have, and small words about their answers."""

from typing import Any, Final, get_args

from relay_proto import limits
from relay_proto.frames import Severity

from ...cli.pages import LIMIT_DEFAULT
from ..shape import Option, Parameter

LIST_MAX: Final = LIMIT_DEFAULT
"""Items that a list shows where no --limit is given; more would scroll away unread."""

ID: Final = Parameter("ID", "id")
TASK: Final = Parameter("ID", "task")
TARGET: Final = Parameter("TARGET", "target")
TEXT: Final = Parameter("TEXT", "text")
REASON: Final = Parameter("REASON", "text")
REASON_IF_ANY: Final = Parameter("REASON", "text", optional=True)
AGENT_IF_ANY: Final = Parameter("AGENT", "agent", optional=True)

SUBJECT: Final = Option("--subject", "word", "subject", 'What it is about: "in quotes".')
CHANNEL: Final = Option("--channel", "channel", "channel", "Its topic; of a group who follows it gets it.")
PRIORITY: Final = Option("--priority", "priority", "priority", "9 comes first; without it 4.")
TTL: Final = Option(
    "--ttl", "span", "ttl_s", "Not delivered later than this.", least_s=limits.SPAN_S_MIN, most_s=limits.TTL_S_MAX
)
DELAY: Final = Option("--delay", "span", "delay_s", "Not delivered sooner than this.", most_s=limits.DELAY_S_MAX)
SUPERSEDES: Final = Option("--supersedes", "id", "supersedes", "Your message that this replaces.")
HOLD: Final = Option("--hold", "flag", "hold", "Keep it for a name that was never seen.")
SEVERITY: Final = Option("--severity", "choice", "severity", "How bad it is.", choices=get_args(Severity))
TYPE: Final = Option("--type", "name", "type", "What kind of work it is, in a word.")
ATTEMPTS: Final = Option(
    "--attempts", "count", "attempts", f"Claims that may fail; {limits.ATTEMPTS_DEFAULT}.", most=limits.ATTEMPTS_MAX
)
ENVELOPE: Final = (
    CHANNEL,
    Option("--thread", "id", "thread", "Join this thread."),
    Option("--caused-by", "id", "caused_by", "What made you write it, if it is no reply."),
    PRIORITY,
    TTL,
    Option(
        "--offer",
        "span",
        "offer_s",
        "any: only: then the next one gets it.",
        least_s=limits.OFFER_S_MIN,
        most_s=limits.OFFER_S_MAX,
    ),
    HOLD,
)
"""What all that is sent may say about its way."""
CLAIMABLE: Final = Option("--claimable", "flag", "claimable", "Work: exactly one may claim it.")
LEASE: Final = Option(
    "--lease",
    "span",
    "lease_s",
    "How long it is yours without a word from you.",
    least_s=limits.LEASE_S_MIN,
    most_s=limits.LEASE_S_MAX,
)
FORCE: Final = Option("--force", "flag", "force", "Also what someone else sent.")
LIMIT: Final = Option("--limit", "count", "limit", f"At most so many; {LIST_MAX}.", most=10_000)
AFTER: Final = Option("--after", "id", "after", "Only what comes behind: the next page.")

MESSAGE_COLUMNS: Final = ("message", "from", "to", "stage", "channel", "subject", "body")
"""What the raw form has of a message in a list."""


SENT_COLUMNS: Final = ("message", "thread", "recipients", "online", "duplicate", "key", "full", "note")
"""What the raw form has of what was sent."""


def more_line(count: int, last: int, more: bool) -> list[str]:
    """What stands below a list that goes on: how to see the rest."""
    return [f"(only the first {count}; --after {last} shows what comes behind)"] if more else []


def numbers(messages: list[int]) -> str:
    """`#1, #2`"""
    return ", ".join(f"#{message}" for message in messages)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
