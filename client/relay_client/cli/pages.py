"""Lists of messages and tasks that come in pages, read until there are enough. A page may be empty before the end."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from relay_proto import limits

from .values import MESSAGE_ID

if TYPE_CHECKING:
    from relay_client import Page

LIMIT_DEFAULT = 100


class Listed(Protocol):
    """What a list is made of: it has the id of its message."""

    @property
    def message(self) -> int: ...


Item = TypeVar("Item", bound=Listed)

limit_option = click.option(
    "--limit", type=click.IntRange(1), default=LIMIT_DEFAULT, show_default=True, metavar="N", help="At most N of them."
)
after_option = click.option(
    "--after", type=MESSAGE_ID, metavar="ID", help="Only what comes behind this one: the next page."
)


async def read_pages(
    fetch: Callable[[int, int | None], Awaitable["Page[Item]"]], limit: int, after: int | None
) -> tuple[list[Item], bool]:
    """The first `limit` items behind `after`, and whether there are more. `fetch` gets (limit, after) of a page."""
    items: list[Item] = []
    while len(items) < limit:
        page = await fetch(min(limit - len(items), limits.PAGE_MAX), after)
        items += page.items
        if not isinstance(page.next, int):
            return items, False
        after = page.next
    return items, True


def tell_more(items: Sequence[Listed], more: bool) -> None:
    """Says on stderr that the list goes on, and how to get at the rest: who reads stdout gets nothing but the list."""
    if more and items:
        print(f"relay: there are more; --after {items[-1].message} shows the next", file=sys.stderr, flush=True)
