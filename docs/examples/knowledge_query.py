"""Agents that know things, and questions to whoever knows: `ask("any:cap:knowledge:sqlite", ..)`.

    python docs/examples/knowledge_query.py       (RELAY_URL=http://.. uses a relay that runs already)

The agents answer from what is on this machine: from the documentation inside Python's modules, and from Relay's own
docs/protocol.md. Who asks names a capability and no agent; the relay picks the one who is best placed.

- One of the two who know sqlite hangs and never takes the question. After `offer_s` it goes to the other one.
- Questions without an answer end in a typed error at once: nobody knows COBOL; asyncio has no `teleport`.
- One agent takes a question and never answers. At the timeout the relay tells what it knows (ReplyOverdue).
"""

import asyncio
import math
import pydoc
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from a_relay import check, run

import relay_client

PROTOCOL: Final = Path(__file__).parents[1] / "protocol.md"
Knowledge = Callable[[str], str | None]  # a question in, the answer out, or None: not known


def from_module(question: str) -> str | None:
    """What Python's own documentation says of a name like `sqlite3.connect`."""
    found = pydoc.locate(question)
    return None if found is None else pydoc.getdoc(found) or None


def from_protocol(question: str) -> str | None:
    """The paragraph or row of docs/protocol.md that has most of the rare words of a question, in the fewest words."""
    texts = re.split(r"\n\n|\n(?=[-|\d] ?)", PROTOCOL.read_text())
    count = Counter(word for text in texts for word in words(text))

    def weight(text: str) -> float:
        return sum(1 / count[word] for word in words(question) & words(text)) / math.sqrt(len(words(text)) + 1)

    return max(texts, key=weight) if words(question) & count.keys() else None


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.lower()))


async def answer(agent: relay_client.Agent, know: Knowledge) -> None:
    """What a knowledge agent does all day."""
    async for question in agent:
        if question.intent != "request":
            continue
        text = know(str(question.body))
        if text is None:
            # For good: the relay offers the question to the next one, and refuses it when there is none.
            await question.nack(f"{agent.name} knows nothing of {question.body!r}", retry=False)
        else:
            await question.reply(text)


async def forget(agent: relay_client.Agent) -> None:
    """Takes every question, and answers none."""
    async for _ in agent:
        pass


async def ask(agent: relay_client.Agent, topic: str, question: str, timeout: float = 10.0) -> relay_client.Message:
    """Ask whoever knows; print what came of it."""
    print(f"\n{topic}? {question}")
    started = time.monotonic()
    try:
        reply = await agent.ask(f"any:cap:knowledge:{topic}", question, timeout=timeout, offer_s=1)
    except relay_client.RelayError as exc:
        print(f"  {time.monotonic() - started:.1f} s  {type(exc).__name__}: {exc}")
        raise
    first_lines = "\n         ".join(str(reply.body).strip().splitlines()[:3])
    print(f"  {time.monotonic() - started:.1f} s  {reply.sender}: {first_lines}")
    return reply


async def fails(agent: relay_client.Agent, topic: str, question: str, timeout: float = 10.0) -> relay_client.RelayError:
    """Ask what gets no answer: the error."""
    try:
        reply = await ask(agent, topic, question, timeout)
    except relay_client.RelayError as exc:
        return exc
    raise SystemExit(f"{reply.sender} answered what nobody could")


async def main() -> None:
    async with (
        asyncio.TaskGroup() as group,
        relay_client.connect(agent="asker") as asker,
        # It never reads its inbox. The other one who knows sqlite is busy, so this one is asked first.
        relay_client.connect(agent="sqlite-hangs", caps=["knowledge:sqlite"]),
        relay_client.connect(agent="sqlite", caps=["knowledge:sqlite"], status="busy") as sqlite,
        relay_client.connect(agent="asyncio", caps=["knowledge:asyncio"]) as aio,
        relay_client.connect(agent="relay", caps=["knowledge:relay", "knowledge:protocol"]) as relay,
        relay_client.connect(agent="history", caps=["knowledge:history"]) as history,
    ):
        for agent, know in ((sqlite, from_module), (aio, from_module), (relay, from_protocol)):
            group.create_task(answer(agent, know))
        group.create_task(forget(history))

        timer = await ask(asker, "asyncio", "asyncio.timeout")
        fence = await ask(asker, "relay", "what does stale_fence mean for a claim?")
        backup = await ask(asker, "sqlite", "sqlite3.Connection.backup")
        offers = {at.agent: at for at in await asker.receipts(backup.reply_to or 0)}
        for at in offers.values():
            print(f"         {at.agent}: {at.stage}" + (f" ({at.reason})" if at.reason else ""))

        nobody = await fails(asker, "cobol", "PERFORM VARYING")
        unknown = await fails(asker, "asyncio", "asyncio.teleport")
        overdue = await fails(asker, "history", "Who asked for this feature?", timeout=1)
        owed = await asker.owed()
        print(f"         still owed: {', '.join(f'#{item.message} by {item.agent}' for item in owed)}")

        print()
        check(timer.sender == "asyncio" and "timeout" in str(timer.body), "answered from asyncio's own documentation")
        check(str(fence.body) in PROTOCOL.read_text(), "answered from docs/protocol.md")
        check(backup.sender == "sqlite", "the question went on from the agent that hangs to one that answers")
        check(offers["sqlite-hangs"].stage == "superseded", "and the ledger says so")
        check(isinstance(nobody, relay_client.ReplyRefused) and nobody.agent is None, "nobody there: refused at once")
        check(
            isinstance(unknown, relay_client.ReplyRefused) and unknown.stage == "nacked",
            "not known: refused, with a reason",
        )
        check(isinstance(overdue, relay_client.ReplyOverdue) and overdue.agent == "history", "silence became an error")
        check(overdue.detail.get("message") in {item.message for item in owed}, "which is still owed")


if __name__ == "__main__":
    sys.exit(run(main))
