"""What each process of a campaign writes down, and how histories are made of it.

A line before each word to the relay and a line behind its answer, each written at once: what a killed process had said
is in its log. A word without an answer may have been heard or not; but nothing of an old connection is heard once the
relay has decided something that the same agent said on a later one, nor by a daemon that died since.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.work.history import NEVER, Answer, History, Operation, Signs
from tests.work.task_model import ATTEMPTS_MAX

LIBRARY = 0
"""The number of a connection that is not known: the client library's. One's own count from 1."""
VISIT = -1
"""That of a visit: next to the agent's own connection, and not ended by the next one."""


class Log:
    """The log of one process. `instance` is the agent and the number of its process: `w1/2`."""

    def __init__(self, folder: Path, agent: str, run: int) -> None:
        self.agent, self.run = agent, run
        self.instance = f"{agent}/{run}"
        self._file = os.open(folder / f"{agent}.{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0

    def invoke(self, op: str, connection: int, message: int | None = None, fence: int = 0, **arguments: Any) -> int:
        """Something is about to be said; gives the number by which to name its answer."""
        self._count += 1
        self._write(
            {"n": self._count, "op": op, "connection": connection, "message": message, "fence": fence,
             "arguments": arguments}
        )  # fmt: skip
        return self._count

    def returned(self, number: int, frame: dict[str, Any]) -> None:
        """The answer, as it came."""
        self._write({"n": number, "frame": frame})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line | {"at": time.monotonic()}).encode() + b"\n")


@dataclass(slots=True)
class Said:
    """One word of the logs, about a task or not. resent: how often it may have been said again by a client library."""

    agent: str
    run: int
    connection: int
    op: str
    message: int | None
    fence: int
    arguments: dict[str, Any]
    invoked_at: float
    returned_at: float = NEVER
    frame: dict[str, Any] | None = None
    resent: int = 0

    @property
    def instance(self) -> str:
        return f"{self.agent}/{self.run}"

    @property
    def is_by_library(self) -> bool:
        """The client library saw to its connections, and said again what had no answer."""
        return self.connection == LIBRARY


def read_logs(folder: Path) -> list[Said]:
    """All words of all processes, in the order in which they were said."""
    words: list[Said] = []
    for path in folder.glob("*.*.log"):
        agent, run, _ = path.name.split(".")
        open_: dict[int, Said] = {}
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if "op" in line:
                said = Said(
                    agent, int(run), line["connection"], line["op"], line["message"], line["fence"],
                    line["arguments"], line["at"],
                )  # fmt: skip
                open_[line["n"]] = said
                words.append(said)
            else:
                said = open_[line["n"]]
                said.returned_at, said.frame = line["at"], line["frame"]
    return sorted(words, key=lambda said: said.invoked_at)


def answer_of(frame: dict[str, Any]) -> Answer:
    """What a frame says of a task. Of an item, what the relay leaves out because it is usual, too."""
    if frame["op"] == "error":
        return Answer(frame["code"], frame.get("detail") or {})
    if "item" in frame:
        return Answer(None, {"fence": 0, "attempts": 0, "attempts_max": ATTEMPTS_MAX} | frame["item"]["work"])
    return Answer(None, frame)


def histories(
    words: list[Said], messages: Iterable[int], died_at: list[float], attempts_max: dict[int, int]
) -> list[History]:
    """The history of each task. died_at: when the daemon was dead, each time."""
    heard: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for said in words:
        if said.frame is not None and said.connection != VISIT:
            heard[said.instance].append((said.invoked_at, said.returned_at))
    signs = {instance: Signs(when) for instance, when in heard.items()}
    operations: dict[int, list[Operation]] = {message: [] for message in messages}
    bounds = _Bounds(words, died_at)
    for said in words:
        for message, op in _operations(said, bounds, operations):
            operations[message].append(op)
    return [History(message, ops, signs, died_at, attempts_max[message]) for message, ops in operations.items()]


class _Bounds:
    """Until when a word without an answer may have taken effect."""

    def __init__(self, words: list[Said], died_at: list[float]) -> None:
        self._died_at = died_at
        self._decided: dict[str, list[Said]] = defaultdict(list)
        for said in words:
            if said.frame is not None and said.op not in ("register", "heartbeat") and said.connection != VISIT:
                self._decided[said.agent].append(said)

    def of(self, said: Said) -> float:
        here = (said.run, said.connection)
        later = []
        if said.connection != VISIT:
            later = [other.returned_at for other in self._decided[said.agent] if (other.run, other.connection) > here]
        deaths = [at for at in self._died_at if at > said.invoked_at and not said.is_by_library]
        return min([NEVER, *later, *deaths])


def _operations(said: Said, bounds: _Bounds, tasks: Iterable[int]) -> Iterable[tuple[int, Operation]]:
    """What it was for each task that it was about: none for most signs, all for a bye."""
    if said.op in ("register", "heartbeat"):
        return
    until = said.returned_at if said.frame is not None else bounds.of(said)
    visit = f"{said.instance}/visit at {said.invoked_at:.4f}" if said.connection == VISIT else ""
    bare = Operation(
        said.agent, said.instance, said.op, said.invoked_at, until, None, said.fence, said.arguments, visit=visit
    )
    if said.message is not None:
        about = replace(bare, message=said.message)
        yield from ((said.message, about) for _ in range(said.resent))
        yield said.message, about if said.frame is None else replace(about, answer=answer_of(said.frame))
    elif said.op == "claim_next" and said.frame is not None:
        for item in said.frame.get("items", []):
            won = answer_of({"op": "ok", "item": item})
            yield item["message"], replace(bare, message=item["message"], answer=won)
    else:
        answer = None if said.frame is None else answer_of(said.frame)
        yield from ((message, replace(bare, message=message, answer=answer)) for message in tasks)
