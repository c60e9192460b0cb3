"""A store with something of everything in it, made by the desk: what backups, checks and exports are tried on."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay_proto import frames as wire
from relay_server.integrations import KINDS, Listener
from relay_server.store.sqlite import SQLiteStore
from tests.relay.desk import Desk
from tests.relay.stress import make_cheap

ALERTS = "integration/alerts"


async def _fill(folder: Path) -> dict[str, int]:
    desk = Desk(folder)
    store = desk.store
    assert isinstance(store, SQLiteStore)
    store.listeners = {ALERTS: Listener("alerts", frozenset(KINDS))}
    await desk.open()
    ada = await desk.agent("ada", label="Ada", tags=["core"], caps=["review"], channels=["ops"], meta={"n": 1})
    ben = await desk.agent("ben", caps=["review", "build"], credit=1000)
    cid = await desk.agent("cid", caps=["review"], will={"to": "ada", "body": "gone"})
    alerts = await desk.agent(ALERTS)
    ids: dict[str, int] = {}
    number = iter(range(1, 1000))

    async def say(session: Any, frame: Any, **fields: Any) -> dict[str, Any]:
        request = next(number)
        heard = await desk.say(session, frame(id=request, **fields))
        (answer,) = [one for one in heard if one.get("re") == request]
        assert answer["op"] == "ok", answer
        return answer

    async def submit(name: str, session: Any = ada, **fields: Any) -> int:
        answer = await say(session, wire.Submit, to=fields.pop("to", "cap:build"), title=name, **fields)
        ids[name] = answer["message"]
        return ids[name]

    async def claim(name: str, **fields: Any) -> dict[str, int]:
        message = await submit(name, **fields)
        return {"message": message, "fence": (await say(ben, wire.Claim, message=message))["fence"]}

    for body in ("text \x00 \u2028 \U0001f600 'quoted'\n", b"\x00\xff bytes"):
        ids["plain"] = (await say(ada, wire.Send, to="ben", body=body, key=f"key-{body!r}", headers={"a": "b"}))[
            "message"
        ]
    ids["reply"] = (await say(ben, wire.Send, to="ada", body="yes", reply_to=ids["plain"], payload='{"x":[1]}'))[
        "message"
    ]
    ids["urgent"] = (await say(ada, wire.Send, to="ben", body="!", priority=9, ttl_s=3600))["message"]
    ids["later"] = (await say(ada, wire.Send, to="cap:review", body="x", delay_s=600))["message"]
    ids["asked"] = (await say(ada, wire.Send, to="ben", body="?", expect_reply_s=600))["message"]
    answered = (await say(ada, wire.Send, to="ben", body="?", expect_reply_s=600))["message"]
    await say(ben, wire.Send, to="ada", body="so", reply_to=answered)
    ids["any"] = (await say(ada, wire.Send, to="any:cap:review", body="one of you", offer_s=5))["message"]
    await say(ada, wire.Send, to="ALL", body="newer", supersedes=ids["later"])
    await desk.say(ben, wire.Ack(messages=[ids["plain"]]), wire.Nack(message=ids["urgent"], reason="busy", delay_s=60))

    await submit("ready", priority=8, dedupe_key="disk", key="r1", expect_reply_s=60)
    await submit("ready", priority=8, dedupe_key="disk", key="r2")
    await submit("delayed", delay_s=100)
    await submit("waits", depends_on=[ids["ready"]])
    await claim("claimed")
    working = await claim("working", session=alerts)
    await say(ben, wire.Progress, **working, progress=0.25, note="a quarter")
    await say(ben, wire.Park, **await claim("parked"), needs="human", reason="which one?")
    parked = await claim("parked for another")
    await say(ben, wire.Park, **parked, needs="dependency", depends_on=[ids["delayed"]])
    await say(ben, wire.Complete, **await claim("done", session=alerts, dedupe_key="cpu"), result=b"\xffdone")
    await say(ben, wire.Fail, **await claim("failed"), reason="can't", retry=False)
    await say(ben, wire.Fail, **await claim("buried", attempts=1), reason="broke")
    await say(ada, wire.Cancel, message=await submit("canceled"), reason="not needed")
    await submit("superseded")
    await submit("newer", supersedes=ids["superseded"])
    await say(ben, wire.Release, **await claim("released"))

    ids["pair"] = (await say(ada, wire.PairOpen, to="cid", objective="talk"))["message"]
    await say(cid, wire.PairAccept, pair=ids["pair"])
    ids["pending"] = (await say(ben, wire.PairOpen, to=ALERTS, key="p1"))["message"]
    await say(ben, wire.PairOpen, to=ALERTS, key="p2")
    await say(ada, wire.TokenCreate, agent="ada", expires_s=3600.0, note="laptop")
    await say(ada, wire.TokenCreate, admin=True)
    await say(ada, wire.TokenRevoke, number=2)
    await desk.pass_time(1.0)
    await desk.close()
    return ids


def make_store(folder: Path) -> dict[str, int]:
    """Fill a data folder; gives the ids of what is in it by what they are."""
    with pytest.MonkeyPatch.context() as patch:
        make_cheap(patch)
        return asyncio.run(_fill(folder))


def copy_store(folder: Path, target: Path) -> Path:
    """Another folder with the same store."""
    shutil.copytree(folder, target)
    return target


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of a folder, to be looked at or to be damaged: nothing is checked."""
    connection = sqlite3.connect(folder / "relay.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
