"""Work at the desk: a boss who submits it, two agents who may do it, and ways to bring it into any of its states."""

from dataclasses import dataclass
from typing import Any

from relay_proto.frames import (
    Cancel,
    Claim,
    Complete,
    Fail,
    GetTask,
    Park,
    Progress,
    Release,
    Send,
    State,
    Submit,
    Tasks,
)
from relay_server.session import Session
from tests.relay.desk import Desk

LEASE_S = 60


async def ask(desk: Desk, session: Session, frame: Any) -> dict[str, Any]:
    """The answer to a request. What else the session hears stays with it."""
    desk.put(session, frame)
    await desk.turn()
    before = list(session.frames)
    heard = desk.heard(session)
    (place,) = [number for number, heard_one in enumerate(heard) if heard_one.get("re") == frame.id]
    session.frames = before[:place] + before[place + 1 :]
    return heard[place]


async def ok(desk: Desk, session: Session, frame: Any) -> dict[str, Any]:
    """The answer to a request that must be granted."""
    answer = await ask(desk, session, frame)
    assert answer["op"] == "ok", answer
    return answer


async def submit(desk: Desk, session: Session, to: str = "cap:x", **fields: Any) -> int:
    """Submit a task; its message."""
    answer = await ok(desk, session, Submit(**{"id": 90, "to": to, "title": "t", **fields}))
    message: int = answer["message"]
    return message


async def claim(desk: Desk, session: Session, message: int, lease_s: float | None = LEASE_S) -> int:
    """Claim it; the fence."""
    fence: int = (await ok(desk, session, Claim(id=91, message=message, lease_s=lease_s)))["fence"]
    return fence


async def task(desk: Desk, session: Session, message: int) -> dict[str, Any]:
    """The task as the relay shows it."""
    item: dict[str, Any] = (await ok(desk, session, GetTask(id=92, message=message)))["item"]
    return item


async def state(desk: Desk, session: Session, message: int) -> str:
    found: str = (await task(desk, session, message))["state"]
    return found


async def page(desk: Desk, session: Session, **filters: Any) -> dict[str, Any]:
    """One page of tasks."""
    return await ok(desk, session, Tasks(id=93, **filters))


async def listed(desk: Desk, session: Session, **filters: Any) -> list[int]:
    return [item["message"] for item in (await page(desk, session, **filters))["items"]]


def lines(item: dict[str, Any]) -> list[str]:
    """The history of a task in short: `claim claimed ada 1`, by whom and under which fence."""
    return [
        " ".join(str(line[part]) for part in ("event", "state", "agent", "fence", "note") if part in line)
        for line in item["history"]
    ]


def events(desk: Desk, session: Session, *kinds: str) -> list[dict[str, Any]]:
    """The events of these kinds that the session has heard; all else that it heard is dropped."""
    return [frame for frame in desk.heard(session) if frame.get("event", "").startswith(kinds)]


@dataclass
class Crew:
    """Who is there, and the work at hand."""

    desk: Desk
    boss: Session
    ada: Session
    bob: Session
    message: int = 0

    async def task(self) -> dict[str, Any]:
        return await task(self.desk, self.boss, self.message)


async def crew(desk: Desk) -> Crew:
    return Crew(
        desk, await desk.agent("boss"), await desk.agent("ada", caps=["x"]), await desk.agent("bob", caps=["x"])
    )


async def bring(desk: Desk, target: State, attempts: int = 3, **fields: Any) -> Crew:
    """Work of boss in this state, at fence 1, of which ada was the last to have it. `fields` are submit's."""
    them = await crew(desk)
    ada, boss = them.ada, them.boss
    them.message = message = await submit(desk, boss, attempts=1 if target == "buried" else attempts, **fields)
    assert await claim(desk, ada, message) == 1
    match target:
        case "claimed":
            pass
        case "ready":
            await ok(desk, ada, Release(id=1, message=message, fence=1))
        case "delayed" | "buried":
            await ok(desk, ada, Fail(id=1, message=message, fence=1, reason="broke"))
        case "working":
            await ok(desk, ada, Progress(id=1, message=message, fence=1))
        case "parked":
            await ok(desk, ada, Park(id=1, message=message, fence=1, needs="human"))
        case "done":
            await ok(desk, ada, Complete(id=1, message=message, fence=1, result="r"))
        case "failed":
            await ok(desk, ada, Fail(id=1, message=message, fence=1, reason="broke", retry=False))
        case "canceled":
            await ok(desk, boss, Cancel(id=1, message=message))
        case _:
            assert target == "superseded"
            await ok(desk, ada, Release(id=1, message=message, fence=1))
            await ok(desk, boss, Send(id=1, to="ada", body="b", supersedes=message))
    assert (await them.task())["state"] == target
    return them
