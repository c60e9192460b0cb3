"""What `relay send` and `relay ask` have in common: the options of the envelope, and where the body comes from."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from relay_proto import limits
from relay_proto.errors import BadRequest, TooLarge

from .door import check_target
from .values import MESSAGE_ID, PRIORITY, span

TIME_HELP: Final = "TIME is seconds (90) or a number with its unit: 90s, 5m, 2h, 1d."
TARGET_HELP: Final = """\b
    TO is an agent (builder, or its label if nobody else has it);
      all of a group: tag:x, cap:x, label:x, channel:x, thread:ID, ALL;
      or one of it, whoever is best placed: any:cap:x, any:tag:x.
    BODY - is read from stdin."""

_OPTIONS: Final = (
    click.argument("to", metavar="TO", callback=check_target),
    click.argument("body", metavar="BODY"),
    click.option("--subject", metavar="TEXT", help="One line that says what it is about."),
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
    click.option("--claimable", is_flag=True, help="Work: exactly one recipient may claim it."),
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

    @functools.wraps(command)
    def with_envelope(*args: Any, body: str, headers: tuple[str, ...], **kwargs: Any) -> None:
        pairs = dict(_header(header) for header in headers) or None
        command(*args, body=_stdin() if body == "-" else _argument(body), headers=pairs, **kwargs)

    decorated: Callable[..., None] = with_envelope
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="'--header'")
    return name, value


def _argument(body: str) -> str | bytes:
    """An argument as it was typed: text, or the bytes of one that is no UTF-8."""
    try:
        body.encode()
    except UnicodeEncodeError:
        return os.fsencode(body)
    return body


def _stdin() -> str | bytes:
    """All of stdin: text when it is UTF-8, else bytes. Raises TooLarge without reading all of something endless."""
    data = sys.stdin.buffer.read(limits.BODY_BYTES_MAX + 1)
    if len(data) > limits.BODY_BYTES_MAX:
        raise TooLarge(f"the body on stdin is larger than {limits.BODY_BYTES_MAX} bytes; send its address instead")
    if not data:  # what should have written it failed, most likely
        raise BadRequest('stdin is empty, nothing was sent; an empty body on purpose is ""')
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
