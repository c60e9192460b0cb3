"""A session of relay-repl as docs/repl.md shows it: `python -m tests.terminal.capture` captures it anew.

It is typed into a real terminal in front of a real relay, and other agents really say what is shown. Only the relay's
address is written as the usual one. What differs from run to run (times, round trips) is the same after `normal`.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

import relay_client
from tests.cli.command import environment
from tests.daemon import Daemon
from tests.terminal.tmux import Tmux

PAGE: Final = Path(__file__).parents[2] / "docs" / "repl.md"
BEGIN: Final = "<!-- screen: begin -->"
END: Final = "<!-- screen: end -->"
BURST: Final = 46
SIZE: Final = (80, 32)
CALM_S: Final = 1.1
"""After so long without a message the next burst shows its first nine."""


async def captured(folder: Path) -> list[str]:
    """The lines of the screen at the end of the session."""
    daemon = Daemon(folder / "data").start()
    try:
        async with (
            relay_client.connect(daemon.url, agent="builder", caps=["build"], label="Builder") as builder,
            relay_client.connect(daemon.url, agent="reviewer", caps=["review"], tags=["night"]) as reviewer,
            relay_client.connect(daemon.url, agent="ci-7", tags=["bot"]) as bot,
        ):
            command = [sys.executable, "-m", "relay_client.repl", daemon.url, "--agent", "ann"]
            env = {key: value for key, value in environment().items() if key in ("PATH", "HOME", "PYTHONPATH")}
            env |= {"LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
            with Tmux(folder, command, env, *SIZE) as pane:
                await _talk(pane, builder, reviewer, bot)
                return [line.replace(f"127.0.0.1:{daemon.port}", "localhost:4850") for line in pane.screen()]
    finally:
        daemon.close()


async def _talk(pane: Tmux, builder: relay_client.Agent, reviewer: relay_client.Agent, bot: relay_client.Agent) -> None:
    pane.wait_for("^ann> ")
    pane.line("who")
    pane.wait_for("^reviewer +online")
    pane.line("to builder")
    pane.wait_for("^ann → builder> ?$")
    pane.line("did the second step fail again?")
    asked = await builder.receive()
    await asked.reply("yes, since yesterday: the cache is full. I sent you what there is to do, and asked the reviewer")
    pane.wait_for("asked the reviewer$")
    await asked.ack()
    work = await builder.send("ann", "free some room in /srv/cache", claimable=True, channel="ci", subject="cache")
    pane.wait_for("room in /srv/cache")
    await reviewer.send("ann", "is main green?", expect_reply_s=120)
    pane.wait_for("1 owed")
    pane.line(f"claim {work.message}")
    pane.wait_for("1 claimed")
    await asyncio.sleep(CALM_S)
    await asyncio.gather(*(bot.send("ann", f"step {number} is done", channel="ci") for number in range(BURST)))
    pane.wait_for("more, type inbox")
    pane.type("reply 4 it w")
    pane.wait_for("reply 4 it w.*ID TEXT")


def normal(lines: list[str]) -> list[str]:
    """The lines without what differs from run to run."""
    changing = ((r"\d\d:\d\d:\d\d", "HH:MM:SS"), (r"[0-9.]+ m?s\b", "N ms"), (r"\b\d+s$", "Ns"))
    for pattern, instead in changing:
        lines = [re.sub(pattern, instead, line) for line in lines]
    return lines


def shown(page: str) -> list[str]:
    """The captured screen in docs/repl.md."""
    return page.split(BEGIN)[1].split(END)[0].strip().removeprefix("```text\n").removesuffix("\n```").split("\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = asyncio.run(captured(Path(folder)))
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n```text\n" + "\n".join(lines) + f"\n```\n{END}{after}")


if __name__ == "__main__":
    main()
