"""Can what happened to a task be told as one thing after the other? (Wing and Gong's search, with Lowe's memory.)

A history is linearizable when each operation can be given one moment between its begin and its answer so that, in the
order of these moments, every answer is what the rules of `task_model` say. Operations without an answer may have
happened or not; leases end, delays ripen by themselves, each not before its time.

The search goes from the first operation to the last, always at the earliest moment that is possible: an earlier one
never forbids what a later one allows. Where several could be next it tries each, and it never looks twice at the same
set of operations done with the same state reached no earlier.
"""

from dataclasses import dataclass
from typing import Final

from tests.work.history import NEVER, Answer, History, Operation
from tests.work.task_model import Task, agrees, by_itself, expected

LOOKS_MAX: Final = 300_000
"""Positions looked at before the search gives up, after seconds. A history that holds takes a few an operation."""
SHOWN: Final = 12
"""Steps told of an order that fails."""

Step = tuple[str, float, Task]
"""What was done, when at the earliest, and the state that it led to."""


@dataclass(slots=True)
class Told:
    """An order that explains the history, as lines of what happened; `ended` is how it ended."""

    steps: list[Step]

    def count(self, word: str) -> int:
        """How often this happened by itself: expire, ripen, unpark."""
        return sum(step == word for step, _, _ in self.steps)

    @property
    def ended(self) -> Task:
        return self.steps[-1][2] if self.steps else Task()


class NotLinearizable(AssertionError):
    """No order explains the answers. Its text has the longest beginning of one, and what could not be next."""


@dataclass(slots=True)
class _Position:
    """After some operations: which (as bits), the state, the moment, and how it was reached."""

    done: int
    task: Task
    now: float
    before: "_Position | None" = None
    by: int | str = ""
    """The place of the last operation, or what happened by itself."""

    def steps(self, operations: list[Operation]) -> list[Step]:
        steps: list[Step] = []
        position = self
        while position.before is not None:
            word = position.by if isinstance(position.by, str) else str(operations[position.by])
            steps.append((word, position.now, position.task))
            position = position.before
        return steps[::-1]


def check(history: History) -> Told:
    """An order that explains this history. Raises NotLinearizable when there is none."""
    operations = sorted(history.operations, key=lambda op: op.invoked_at)
    answered = sum(1 << place for place, op in enumerate(operations) if op.answer is not None)
    stack = [_Position(0, Task(attempts_max=history.attempts_max), 0.0)]
    best = stack[0]
    seen: dict[tuple[int, Task], float] = {}
    looks = 0
    while stack:
        position = stack.pop()
        if position.done & answered == answered:
            return Told(position.steps(operations))
        reached = seen.get((position.done, position.task), NEVER)
        if reached <= position.now:
            continue
        seen[position.done, position.task] = position.now
        looks += 1
        if looks > LOOKS_MAX:
            raise NotLinearizable(f"gave up after {looks} positions; {_story(best, operations, history)}")
        if (position.done & answered).bit_count() > (best.done & answered).bit_count():
            best = position
        stack += reversed(_next(position, operations, history))
    raise NotLinearizable(f"no order explains the answers; {_story(best, operations, history)}")


def _open(position: _Position, operations: list[Operation]) -> list[int]:
    """Places of those that may come next: begun before any other was answered. In the order of their answers."""
    first_return = NEVER
    places: list[int] = []
    # Bits below the lowest that is not done are passed over at once.
    lowest = (~position.done & (position.done + 1)).bit_length() - 1
    for place in range(lowest, len(operations)):
        if position.done >> place & 1:
            continue
        op = operations[place]
        if op.invoked_at > first_return:
            break
        places.append(place)
        if op.answer is not None and op.returned_at < first_return:
            first_return = op.returned_at
    places.sort(key=lambda place: (operations[place].answer is None, operations[place].returned_at))
    return [place for place in places if operations[place].invoked_at <= first_return]


def _next(position: _Position, operations: list[Operation], history: History) -> list[_Position]:
    """Where it can go on from here, the likeliest first."""
    later: list[_Position] = []
    maybe: list[_Position] = []
    last_chance = NEVER
    places = _open(position, operations)
    for place in places:
        op = operations[place]
        if op.answer is not None:
            last_chance = min(last_chance, op.returned_at)
    if position.now > last_chance:
        return []  # somebody was answered before this moment, and is not explained
    for place in places:
        op = operations[place]
        at = max(position.now, op.invoked_at)
        if at > op.returned_at:
            continue  # it never happened
        task, answers = expected(position.task, op)
        if op.answer is None:
            if task != position.task:
                maybe.append(_Position(position.done | 1 << place, task, at, position, place))
        elif agrees(op.answer, answers):
            next_one = _Position(position.done | 1 << place, task, at, position, place)
            if at == position.now and task == position.task:
                return [next_one]  # true now and of no effect: to leave it for later can't help
            later.append(next_one)
    alone = by_itself(position.task, history, position.now)
    if alone is not None and alone[2] <= last_chance:
        word, task, at = alone
        later.append(_Position(position.done, task, at, position, word))
    return later + maybe


def _story(best: _Position, operations: list[Operation], history: History) -> str:
    """How far the best order came, and what was right for those that might have been next."""
    lines = [f"message {history.message}. The longest beginning of one ends with:"]
    lines += [f"  {at:.4f} {word}   => {task}" for word, at, task in best.steps(operations)[-SHOWN:]]
    alone = by_itself(best.task, history, best.now)
    if alone is not None:
        lines.append(f"it may {alone[0]} from {alone[2]:.4f} on. Next would be one of:")
    for place in _open(best, operations):
        op = operations[place]
        _, answers = expected(best.task, op)
        right = " or ".join(str(Answer(code, detail)) for code, detail in answers.items())
        lines.append(f"  {op}   (right: {right or 'nothing'})")
    return "\n".join(lines)
