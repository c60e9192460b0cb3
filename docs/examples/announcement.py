"""One announcement to all, and how far it came at each: live receipts as a table that grows.

    python docs/examples/announcement.py       (RELAY_URL=http://.. uses a relay that runs already)

What is announced is the newest entry of Relay's CHANGELOG.md, as a broadcast with the channel `release`. (On a
relay that runs already, that reaches the other agents there as well.)

- ada, ben, eve and fay are subscribed to `release`; cyd to nothing, so it gets everything; dan only to `lunch`.
- ben takes longer over it; eve is connected and asleep; fay is offline. The receipts say so: `surfaced`, `pushed`,
  nothing yet. When the two are back, what waited for them comes.
- dan subscribes to `release`, too: from the next message on.
- Ten messages a minute to groups are what a relay takes from one agent. Beyond it answers `rate_limited` with
  `retry_after_s`: wait that long, and send again with the same `key`.
"""

import asyncio
import functools
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from a_relay import check, run

import relay_client
from relay_proto.errors import RateLimited

FLEET: Final = ("ada", "ben", "cyd", "dan", "eve", "fay")
CHANGELOG: Final = Path(__file__).parents[2] / "CHANGELOG.md"
Stages = dict[str, str]  # agent -> how far the announcement came there


async def read(agent: relay_client.Agent, turn_s: float, heard: set[int]) -> None:
    """An agent that reads what comes. `turn_s`: how long it is busy with each; a model would take longer."""
    async for message in agent:  # given out here: surfaced
        heard.add(message.message)
        await asyncio.sleep(turn_s)  # and with the end of the body: done


async def watch(news: relay_client.Events, message: int, stages: Stages, until: set[str]) -> None:
    """Draw the receipts of a message as they come, until it is done at all of `until`."""
    while not until <= {agent for agent, stage in stages.items() if stage == "done"}:
        event = await anext(news)
        if event.event == "receipt" and event.message == message and event.agent in FLEET:
            stages[event.agent] = str(event.stage)
            print("  " + "".join(f"{stages.get(name, '.'):<10}" for name in FLEET))


async def patiently(send: Callable[[], Awaitable[relay_client.Receipt]]) -> tuple[relay_client.Receipt, float]:
    """Send, and again each time that the relay says how long to wait first: its receipt, and the seconds waited."""
    waited_s = 0.0
    while True:
        try:
            return await send(), waited_s
        except RateLimited as limit:
            print(f"  {limit.detail['code']}: {limit}")
            waited_s += limit.retry_after_s or 1.0
            await asyncio.sleep(limit.retry_after_s or 1.0)


async def remind(agent: relay_client.Agent, of: int) -> tuple[int, float]:
    """Reminders, one right after the other, until the relay has had enough: the last one, and how long it had to wait.

    Each supersedes the one before. So they never pile up in an inbox, however many there were.
    """
    last, waited_s, count = None, 0.0, 0
    while not waited_s and count < 100:
        count += 1
        body, key = f"reminder {count}: read #{of}", f"{of}/reminder {count}"
        send = functools.partial(agent.send, "channel:release", body, key=key, supersedes=last, ttl_s=3600)
        receipt, waited_s = await patiently(send)
        last = receipt.message
    print(f"  {count} reminders are out")
    return last or 0, waited_s


async def main() -> None:
    newest = CHANGELOG.read_text().split("\n## ")[1]
    async with relay_client.connect(agent="fay", channels=["release"]):
        pass  # it was here once, and its inbox is kept
    stages: Stages = {}
    heard: dict[str, set[int]] = {name: set() for name in FLEET}
    async with (
        asyncio.TaskGroup() as group,
        relay_client.connect(agent="editor") as editor,
        relay_client.connect(agent="ada", channels=["release"]) as ada,
        relay_client.connect(agent="ben", channels=["release", "lunch"]) as ben,
        relay_client.connect(agent="cyd") as cyd,
        relay_client.connect(agent="dan", channels=["lunch"]) as dan,
        relay_client.connect(agent="eve", channels=["release"]) as eve,
    ):
        for agent, turn_s in ((ada, 0.05), (ben, 0.3), (cyd, 0.1), (dan, 0.0)):
            group.create_task(read(agent, turn_s, heard[agent.name]))
        news = editor.events()
        await editor.subscribe("receipt")
        key = uuid.uuid4().hex
        sent, _ = await patiently(lambda: editor.send("broadcast", newest, subject="news", channel="release", key=key))
        print(f"#{sent.message} went to {sent.recipients} agents, {sent.online} of them online\n")
        print("  " + "".join(f"{name:<10}" for name in FLEET))
        await watch(news, sent.message, stages, {"ada", "ben", "cyd"})
        before = dict(stages)
        print("  eve wakes up, fay connects")
        group.create_task(read(eve, 0.05, heard["eve"]))
        async with relay_client.connect(agent="fay", channels=["release"]) as fay:
            group.create_task(read(fay, 0.05, heard["fay"]))
            await watch(news, sent.message, stages, {"eve", "fay"})
        await editor.unsubscribe("receipt")

        print("\ndan subscribes to release; then one reminder a moment, until the relay has had enough of it")
        await dan.update(channels=["lunch", "release"])
        last, waited_s = await remind(editor, sent.message)
        receipts = {at.agent: at.stage for at in await editor.receipts(last)}

    print()
    check(
        before == {"ada": "done", "ben": "done", "cyd": "done", "eve": "pushed"},
        "read by who was awake, pushed to eve, fay nothing yet",
    )
    check(
        stages == dict.fromkeys(("ada", "ben", "cyd", "eve", "fay"), "done"), "in the end done at everyone it was for"
    )
    check(sent.message not in heard["dan"], "dan was not subscribed to release, and did not get it")
    check(max(heard["dan"], default=0) > sent.message, "dan subscribed, and got the reminders")
    check("dan" in receipts and "cyd" not in receipts, "channel:release is for its subscribers only")
    check(waited_s > 0, "the relay said how long to wait, and took the message then")


if __name__ == "__main__":
    sys.exit(run(main))
