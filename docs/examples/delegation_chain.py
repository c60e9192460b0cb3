"""A chain of delegation: lead -> planner -> builder -> tester, and the replies back up.

    python docs/examples/delegation_chain.py [FOLDER]      (RELAY_URL=http://.. uses a relay that runs already)

The lead wants the Python files of a folder packed (default: the examples). The planner picks the files, the builder
makes an archive of them, the tester compiles what is in it. Each asks the next one and waits for its reply.

- Each message names what caused it (`reply_to`, `caused_by`). The relay counts these hops, and all is one thread.
- The lead changed its mind before the planner was there: `supersedes` takes the older instruction back, unseen.
- The tester asks the lead a question, while the lead waits for the planner, who waits for the builder, who waits for
  the tester. The relay does not let that ring close (Deadlock), so the tester decides by itself and says so.

Here the four are tasks of one process; as processes of their own they would be the same.
"""

import asyncio
import json
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from a_relay import check, run

import relay_client


async def plan(agent: relay_client.Agent) -> None:
    """The planner: a wish in, a list of files out to the builder."""
    async for wish in agent:
        if wish.intent != "request":
            continue  # news for everybody, say: not for us to act on
        print(f"planner  sees #{wish.message}: {wish.subject}")
        files = python_files(str(wish.body))
        built = await agent.ask(
            "builder", json.dumps(files), subject="build it", thread=wish.thread, caused_by=wish.message
        )
        await wish.reply(built.body, subject="packed", caused_by=built.message)


async def build(agent: relay_client.Agent) -> None:
    """The builder: packs the files, and has the archive tested before it calls it built."""
    async for order in agent:
        if order.intent != "request":
            continue
        print(f"builder  packs {len(json.loads(order.body))} files")
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in map(Path, json.loads(order.body)):
                    archive.write(path, path.name)
            file.flush()
            tested = await agent.ask(
                "tester", file.name, subject="test it", thread=order.thread, caused_by=order.message
            )
        await order.reply(tested.body, subject="built", caused_by=tested.message)


async def test(agent: relay_client.Agent) -> None:
    """The tester. Whether a warning is a failure is for the lead to say, who can't: it waits for us."""
    async for order in agent:
        if order.intent != "request":
            continue
        strict, thread, caused_by = True, order.thread, order.message
        try:
            answer = await agent.ask("lead", "May it have warnings?", thread=thread, caused_by=caused_by)
            strict = answer.body == "no"
        except relay_client.Deadlock as ring:
            print(f"tester   can't ask back: {ring}")
            await agent.send(
                "lead", "warnings count", subject="assumed", intent="inform", thread=thread, caused_by=caused_by
            )
        await order.reply(json.dumps(compile_all(Path(str(order.body)), strict)), subject="tested")


def python_files(folder: str) -> list[str]:
    return [str(path) for path in sorted(Path(folder).glob("*.py"))]


def compile_all(path: Path, strict: bool) -> dict[str, int]:
    """How many files of an archive compile, and how many do not."""
    found = {"compiled": 0, "broken": 0}
    with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "ignore")
        for name in archive.namelist():
            try:
                compile(archive.read(name), name, "exec")
                found["compiled"] += 1
            except (SyntaxError, ValueError):
                found["broken"] += 1
    return found


async def reached(news: relay_client.Events, message: int | None, stage: str) -> str | None:
    """Wait for the receipt that a message of ours came to a stage; why it did."""
    async for event in news:
        if (event.message, event.stage) == (message, stage):
            return event.reason
    return None


async def show(agent: relay_client.Agent, message: int) -> dict[str, str]:
    """Print a message with its receipts; the stage at each recipient."""
    item = await agent.message(message)
    stages = {receipt.agent: receipt.stage for receipt in await agent.receipts(message)}
    receipts = ", ".join(f"{stage} at {name}" for name, stage in stages.items())
    print(f"  {item.hops:>4}  #{message:<4} {item.sender:>7} -> {item.to:<8} {item.subject!s:<22} {receipts}")
    return {str(name): stage for name, stage in stages.items()}


async def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(__file__)
    async with (
        asyncio.TaskGroup() as group,
        relay_client.connect(agent="lead") as lead,
        relay_client.connect(agent="builder") as builder,
        relay_client.connect(agent="tester") as tester,
    ):
        group.create_task(build(builder))
        group.create_task(test(tester))
        # The planner is not there yet, and may never have been: `hold` keeps its inbox.
        stale = await lead.send("planner", os.path.join(folder, ".."), subject="pack the folder above", hold=True)
        news = lead.events()
        await lead.subscribe("receipt")
        asked = group.create_task(
            lead.ask("planner", folder, subject="pack the folder", hold=True, supersedes=stale.message, timeout=20)
        )
        print(f"lead     takes #{stale.message} back: {await reached(news, stale.message, 'superseded')}")
        async with relay_client.connect(agent="planner") as planner:
            group.create_task(plan(planner))
            packed = await asked
            print(f"lead     has the reply: {packed.body!r}")
            async for note in lead:
                await note.ack()
                if note.sender == "tester":
                    break
            await reached(news, packed.reply_to, "done")

        print("\nThe thread\n  hops")
        thread = await lead.thread(packed.thread)
        seen = {item.message: await show(lead, item.message) for item in thread.items}
        print("\nThe stale instruction")
        taken_back = await show(lead, stale.message)

        print()
        chain = [item for item in thread.items if item.sender != "tester" or item.reply_to]
        check([item.hops for item in chain] == [0, 1, 2, 3, 4, 5], "three hops down, three hops up")
        check({stage for stages in seen.values() for stage in stages.values()} == {"done"}, "all of it is dealt with")
        check(taken_back == {"planner": "superseded"}, "nobody saw the stale instruction")
        check((note.sender, note.body) == ("tester", "warnings count"), "the ring was found, and handled")
        check(sum(json.loads(packed.body).values()) == len(python_files(folder)), "the reply is about every file")


if __name__ == "__main__":
    sys.exit(run(main))
