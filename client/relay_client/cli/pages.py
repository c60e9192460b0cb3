"""Lists of messages that come in pages, read until there are enough."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from relay_proto import limits
from relay_proto.frames import StoredMessage

from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Page

LIMIT_DEFAULT = 100

limit_option = click.option(
    "--limit", type=click.IntRange(1), default=LIMIT_DEFAULT, show_default=True, metavar="N", help="At most N messages."
)
after_option = click.option(
    "--after", type=MESSAGE_ID, metavar="ID", help="Only messages newer than this one: the next page."
)


async def read_pages(
    fetch: Callable[[int, int | None], Awaitable["Page[StoredMessage]"]], limit: int, after: int | None
) -> tuple[list[StoredMessage], bool]:
    """The first `limit` messages behind `after`, and whether there are more. `fetch` gets (limit, after) of a page."""
    items: list[StoredMessage] = []
    while len(items) < limit:
        page = await fetch(min(limit - len(items), limits.PAGE_MAX), after)
        items += page.items
        if not isinstance(page.next, int):
            return items, False
        after = page.next
    return items, True


def tell_more(items: list[StoredMessage], more: bool) -> None:
    """Says on stderr that the list goes on, and how to get at the rest: who reads stdout gets nothing but messages."""
    if more and items:
        print(f"relay: there are more; --after {items[-1].message} shows the next", file=sys.stderr, flush=True)
