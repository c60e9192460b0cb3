"""pages: a list is read page by page until there is enough of it."""

import pytest

from relay_client import Page
from relay_client.cli.pages import read_pages, tell_more
from relay_proto import limits
from relay_proto.frames import StoredMessage


def message(number: int) -> StoredMessage:
    return StoredMessage(message=number, sender="a", to="b", body="", sent_at=0, thread=1, hops=0)


class Book:
    """Messages 1 to `count`, at most `page_max` of them a page."""

    def __init__(self, count: int, page_max: int) -> None:
        self.count = count
        self.page_max = page_max
        self.asked: list[tuple[int, int | None]] = []

    async def fetch(self, limit: int, after: int | None) -> Page[StoredMessage]:
        self.asked.append((limit, after))
        first = (after or 0) + 1
        last = min(self.count, first + min(limit, self.page_max) - 1)
        items = [message(n) for n in range(first, last + 1)]
        return Page(items, last if last < self.count else None)


async def test_pages_are_followed_to_the_limit_or_the_end() -> None:
    book = Book(count=10, page_max=4)
    items, more = await read_pages(book.fetch, 100, None)
    assert ([item.message for item in items], more) == (list(range(1, 11)), False)
    items, more = await read_pages(book.fetch, 6, 2)
    assert ([item.message for item in items], more) == ([3, 4, 5, 6, 7, 8], True)
    items, more = await read_pages(book.fetch, 8, 2)
    assert ([item.message for item in items], more) == (list(range(3, 11)), False)


async def test_no_page_is_asked_to_be_larger_than_a_page_may_be_nor_than_is_wanted() -> None:
    book = Book(count=5000, page_max=limits.PAGE_MAX)
    await read_pages(book.fetch, 1500, None)
    assert book.asked == [(1000, None), (500, 1000)]


async def test_an_empty_page_is_not_the_end() -> None:
    pages = {None: Page([], 3), 3: Page([message(4)], 7), 7: Page([], 9), 9: Page([message(10)], None)}

    async def fetch(limit: int, after: int | None) -> Page[StoredMessage]:
        return pages[after]

    items, more = await read_pages(fetch, 10, None)
    assert ([item.message for item in items], more) == ([4, 10], False)


async def test_that_there_are_more_is_said_apart_from_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    items, more = await read_pages(Book(10, 4).fetch, 4, None)
    tell_more(items, more)
    assert capsys.readouterr() == ("", "relay: there are more; --after 4 shows the next\n")
    tell_more(*await read_pages(Book(4, 4).fetch, 4, None))
    tell_more([], False)
    assert capsys.readouterr() == ("", "")
