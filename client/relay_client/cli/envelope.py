"""What the commands that send have in common: the options of the envelope, and where a text comes from.

`relay send` and `relay ask` have `envelope_options`, `relay submit` has `task_options`: the same envelope, with a title
where the others have a subject.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from relay_proto import limits
from relay_proto.errors import BadRequest, TooLarge

from .door import check_target
from .values import JSON, MESSAGE_ID, PRIORITY, span

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

TIME_HELP: Final = "TIME is seconds (90) or a number with its unit: 90s, 5m, 2h, 1d."
TARGET_HELP: Final = """\b
    TO is an agent (builder, or its label if nobody else has it);
      all of a group: tag:x, cap:x, label:x, channel:x, thread:ID, ALL;
      or one of it, whoever is best placed: any:cap:x, any:tag:x.
    BODY - is read from stdin."""

to_argument: Final = click.argument("to", metavar="TO", callback=check_target)
delay_option: Final = click.option(
    "--delay",
    "delay_s",
    type=span(0.0, limits.DELAY_S_MAX),
    metavar="TIME",
    help="Delivered when this is over and not before, even if the relay restarts meanwhile.",
)
supersedes_option: Final = click.option(
    "--supersedes",
    type=MESSAGE_ID,
    metavar="ID",
    help="An earlier message of yours that this one replaces: it is not delivered any more where it was not yet.",
)
key_option: Final = click.option(
    "--key", metavar="KEY", help="Idempotency: the same key again is the same message.  [default: random]"
)

_ABOUT: Final = (
    click.option(
        "--channel", metavar="NAME", help="Its topic: of a group only who follows it, or no channel at all, gets it."
    ),
    click.option("--reply-to", type=MESSAGE_ID, metavar="ID", help="The message this answers; it joins that thread."),
    click.option("--thread", type=MESSAGE_ID, metavar="ID", help="Join this thread without answering a message."),
    click.option(
        "--caused-by", type=MESSAGE_ID, metavar="ID", help="The message that made you write this, if it is no reply."
    ),
    click.option("--content-type", metavar="TYPE", help="What the body is, e.g. application/json."),
    click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be repeated."),
    click.option("--payload", type=JSON, metavar="JSON", help="A value beside the body, for programs."),
)
_WAY: Final = (
    click.option(
        "--offer",
        "offer_s",
        type=span(limits.OFFER_S_MIN, limits.OFFER_S_MAX),
        metavar="TIME",
        help="any: only: who has neither acked nor claimed it within this loses it to the next.  [default: 30s]",
    ),
    click.option("--hold", is_flag=True, help="Keep it for an agent that the relay has never seen."),
    click.option(
        "--ttl",
        "ttl_s",
        type=span(limits.SPAN_S_MIN, limits.TTL_S_MAX),
        metavar="TIME",
        help="Worth nothing after this: it expires, and is never delivered then.",
    ),
    click.option(
        "--priority",
        type=PRIORITY,
        metavar="0-9",
        help="9 comes first among what waits in an inbox.  [default: 4]",
    ),
)


def envelope_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds TO, BODY and the envelope's options; `headers` arrives as a dict or None, the body as it is to be sent."""
    return _with_envelope(
        command,
        to_argument,
        click.argument("body", metavar="BODY"),
        click.option("--subject", metavar="TEXT", help="One line that says what it is about."),
        *_ABOUT,
        click.option("--claimable", is_flag=True, help="Work: exactly one recipient may claim it."),
        *_WAY,
    )


def task_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds TO, TITLE, BODY (which may be left out) and the envelope's options, as `envelope_options` does."""
    return _with_envelope(
        command,
        to_argument,
        click.argument("title", metavar="TITLE"),
        click.argument("body", metavar="[BODY]", default="", required=False),
        *_ABOUT,
        *_WAY,
        delay_option,
        supersedes_option,
        key_option,
    )


def _with_envelope(command: Callable[..., None], *parameters: Decorator) -> Callable[..., None]:
    @functools.wraps(command)
    def with_envelope(*args: Any, body: str, headers: tuple[str, ...], **kwargs: Any) -> None:
        _check_says_something(body, kwargs)
        pairs = dict(_header(header) for header in headers) or None
        command(*args, body=typed("body", body, limits.BODY_BYTES_MAX), headers=pairs, **kwargs)

    decorated: Callable[..., None] = with_envelope
    for parameter in reversed(parameters):
        decorated = parameter(decorated)
    return decorated


def _check_says_something(body: str, fields: dict[str, Any]) -> None:
    """An empty text is a variable that was never set, more often than something to say. Raises UsageError."""
    if "title" in fields:
        if not fields["title"].strip():
            raise click.UsageError("TITLE is empty; say in a line what is to be done")
    elif not body and not fields["subject"] and fields["payload"] is None:
        raise click.UsageError("BODY is empty; give a text, - for stdin, or --subject or --payload with an empty one")


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="'--header'")
    return name, value


def typed(what: str, argument: str, bytes_max: int) -> str | bytes:
    """What an argument stands for: all of stdin for `-`, else itself, as text or as the bytes of what is no UTF-8.

    Raises TooLarge, BadRequest about stdin; `what` names it there.
    """
    if argument == "-":
        return _stdin(what, bytes_max)
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument)
    return argument


def _stdin(what: str, bytes_max: int) -> str | bytes:
    """All of stdin: text when it is UTF-8, else bytes. Does not read all of something endless."""
    data = sys.stdin.buffer.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise TooLarge(f"the {what} on stdin is larger than {bytes_max} bytes; send its address instead")
    if not data:  # what should have written it failed, most likely
        raise BadRequest(f"stdin is empty, nothing was sent; whatever was to write the {what} wrote nothing")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
