"""A line of tasks that wait for their turn: first come, first served, no turn lost."""

import asyncio
from collections import deque


class Line:
    """Tasks that wait. `let_in` says how many may go on; who was let in and has not run yet counts in `on_the_way`.

    A task that is cancelled while it stands in line just leaves it. One that is cancelled after it was let in has used
    its turn for nothing: `wait` raises, and the caller lets in another.
    """

    __slots__ = ("_waiting", "on_the_way")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.on_the_way = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"Line({len(self._waiting)} waiting, {self.on_the_way} on the way)"

    async def wait(self) -> None:
        """Stand in line until it is one's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        finally:
            if turn.cancelled():
                if turn in self._waiting:  # else `let_in` has passed over it
                    self._waiting.remove(turn)
            else:
                self.on_the_way -= 1

    def let_in(self, count_max: int) -> None:
        """Wake the first `count_max` of the line."""
        while self._waiting and count_max > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.on_the_way += 1
                count_max -= 1

    def let_all_in(self) -> None:
        """Wake everyone."""
        self.let_in(len(self._waiting))
