"""Workers that report how far they are, to a supervisor that was away: it sees the newest report of each, no other.

    python docs/examples/status_report.py       (RELAY_URL=http://.. uses a relay that runs already)

Three processes hash the files of Python's standard library and report to `channel:status`.

- A worker wakes itself with `schedule`: its alarm is a message, too, and survives a restart.
- `supersedes`: a report takes the place of the one before, where that was not delivered yet.
- `ttl_s`: what is older is never delivered. One worker is killed while the supervisor is away. The last it said is no
  longer true when the supervisor is back, and does not come.
- Another one is killed while it owes the supervisor a reply. The news comes at once: `presence` and `reply.gone`.
- Each has left a last will. The relay sends it when it has heard nothing of a worker for 120 s (a worker that only lost
  its connection is back by then), so it comes after the end of this example.
"""

import asyncio
import hashlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

from a_relay import check, run

import relay_client
from relay_proto.errors import RateLimited

WORKERS: Final = ("ida", "joe", "kim")
EVERY_S: Final = 0.4
FRESH_S: Final = 1.0
FILES_A_STEP: Final = 5


async def worker(name: str) -> None:
    """A worker, in a process of its own: hashes some files at each alarm, reports, prints the report's id."""
    files = my_files(name)
    done, last, questions = 0, None, list[relay_client.Message]()
    will = {"to": "supervisor", "subject": "last will", "body": f"{name} fell silent: give its files to someone else"}
    async with relay_client.connect(agent=name, caps=["hash"], will=will) as agent:
        if not any(item.sender == name for item in (await agent.inbox()).items):  # it may have been set before a crash
            await agent.schedule("go on", delay_s=0)
        async for message in agent:
            if message.body == "that will do":
                break  # the end of the block says bye: then no will is sent
            if message.sender != name:
                questions.append(message)  # "tell me when you are through": it asks for patience
                continue
            step = files[done : done + FILES_A_STEP]
            done += len(step)
            report = {"done": done, "of": len(files), "sha256": await asyncio.to_thread(hash_files, step)}
            pause_s = EVERY_S
            try:
                sent = await agent.send("channel:status", json.dumps(report), ttl_s=FRESH_S, supersedes=last)
                last = sent.message
                print(last, flush=True)
            except RateLimited as limit:  # a relay lets an agent send ten messages a minute to groups
                pause_s = limit.retry_after_s or EVERY_S
            if done < len(files):
                await agent.schedule("go on", delay_s=pause_s)
            else:
                for question in questions:
                    await question.reply("I am through")


def my_files(name: str) -> list[Path]:
    """A worker's share of the library's files."""
    return sorted(Path(os.__file__).parent.glob("*/*.py"))[WORKERS.index(name) :: len(WORKERS)]


def hash_files(paths: list[Path]) -> str:
    """One hash over some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


async def reports(process: Process, count: int) -> list[int]:
    """The ids of the next reports that a worker makes."""
    assert process.stdout is not None
    return [int(await process.stdout.readline()) for _ in range(count)]


def is_newest(stages: list[str], last: str) -> bool:
    """Whether the last of these reports came to this stage, and those before were superseded (or too old for that)."""
    return stages[-1:] == [last] and "superseded" in stages and set(stages[:-1]) <= {"superseded", "expired"}


async def kill(process: Process, name: str) -> None:
    process.kill()
    await process.wait()
    print(f"SIGKILL      {name}  (pid {process.pid})")


async def supervise(joe: Process, oldest: int) -> None:
    """What the supervisor sees when it is back, and when joe is killed then. `oldest`: id of the first report."""
    async with relay_client.connect(agent="supervisor", channels=["status"]) as agent:
        seen: dict[str, relay_client.Message] = {}
        while not {"ida", "joe"} <= seen.keys():
            message = await agent.receive(timeout_s=10)
            await message.ack()
            if message.channel == "status" and message.sender not in seen:
                seen[message.sender] = message
                print(f"supervisor   sees #{message.message} of {message.sender}: {message.body!s}")
        for card in await agent.agents(cap="hash"):
            why = f": {card.reason}" if card.reason else ""
            print(f"supervisor   sees that {card.agent} is {card.status}{why}")
        page = await agent.inbox(unread=False, channel="status", after=oldest - 1, limit=1000)

        news = agent.events()
        await agent.subscribe("presence", "receipt")
        question = await agent.send("joe", "tell me when you are through", expect_reply_s=600)
        told: dict[str, relay_client.Event] = {}
        async for event in news:
            if event.event == "receipt" and event.message == question.message and event.stage == "done":
                await kill(joe, "joe, who has the question and owes a reply")
            if event.agent == "joe" and event.event in ("presence", "reply.gone"):
                told[event.event] = event
                why = f": {event.reason}" if event.reason else ""
                print(f"supervisor   hears {event.event}: {event.agent} is {event.status}{why}")
            if len(told) == 2:
                break
        await agent.send("ida", "that will do")

    print()
    stages: dict[str, list[str]] = {name: [] for name in WORKERS}  # of the reports up to the one that was seen
    for item in page.items:
        if item.sender not in seen or item.message <= seen[item.sender].message:
            stages[item.sender].append(str(item.stage))
    for name in WORKERS:
        print(f"the reports of {name}: {', '.join(stages[name])}")
    check(seen.keys() == {"ida", "joe"}, "one report of each living worker came, and none of the dead one")
    for name in seen:
        check(is_newest(stages[name], "done"), f"{name}: the newest came, those before it were superseded")
    check(is_newest(stages["kim"], "expired"), "kim: the newest had expired when the supervisor was back")
    check(told["presence"].status == "stale", "presence told at once that joe is gone")
    check(told["reply.gone"].message == question.message, "and so did the question that it had not answered")


async def main() -> None:
    async with relay_client.connect(agent="supervisor", channels=["status"]):
        print("supervisor   subscribes to status, and leaves: its inbox is kept")
    workers = {
        name: await asyncio.create_subprocess_exec(sys.executable, __file__, name, stdout=PIPE) for name in WORKERS
    }
    try:
        sent = {name: await reports(process, 3) for name, process in workers.items()}
        await kill(workers["kim"], "kim, after the third report")
        await asyncio.sleep(FRESH_S + 0.1)  # nobody who could tell is there: it takes what it takes
        await supervise(workers["joe"], min(map(min, sent.values())))
        check(await workers["ida"].wait() == 0, "ida ended in order")
    finally:
        for process in workers.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(worker(sys.argv[1])) if sys.argv[1:] else run(main))
