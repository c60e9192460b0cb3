import asyncio

import pytest

from relay_client.waiting import Line


async def in_line(line: Line, count: int) -> tuple[list[int], list[asyncio.Task[None]]]:
    """Tasks that stand in line in order, and the order in which they come out."""
    order: list[int] = []

    async def stand(number: int) -> None:
        await line.wait()
        order.append(number)

    tasks = [asyncio.create_task(stand(number)) for number in range(count)]
    await asyncio.sleep(0)
    assert len(line) == count
    return order, tasks


async def test_who_came_first_is_let_in_first() -> None:
    line = Line()
    order, tasks = await in_line(line, 3)
    line.let_in(2)
    assert (len(line), line.on_the_way) == (1, 2)
    await asyncio.gather(*tasks[:2])
    assert (order, line.on_the_way) == ([0, 1], 0)
    line.let_all_in()
    await tasks[2]
    assert order == [0, 1, 2]


async def test_who_is_cancelled_in_line_leaves_it() -> None:
    line = Line()
    order, tasks = await in_line(line, 2)
    tasks[0].cancel()
    line.let_in(1)  # before the cancelled one has run
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (order, len(line), line.on_the_way) == ([1], 0, 0)


async def test_who_is_cancelled_after_he_was_let_in_does_not_stay_on_the_way() -> None:
    line = Line()
    order, tasks = await in_line(line, 2)
    line.let_in(1)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert (order, len(line), line.on_the_way) == ([], 1, 0)
    line.let_all_in()
    await tasks[1]
