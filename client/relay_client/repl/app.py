"""The `relay-repl` command: its options, and which of its two faces it shows."""

import sys
from typing import Final

import click

from relay_proto import limits
from relay_proto.version import __version__

from ..address import DEFAULT_URL
from ..cli import failure
from ..cli.door import COMMAND_TIMEOUT_S, Door, check_agent, default_name, run
from ..cli.listen import TAKEOVER, registration
from ..cli.news import connection_news
from ..cli.output import now, put, width

HUMAN: Final = "human"
"""The tag of what a person writes through."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("url", metavar="[URL]", envvar="RELAY_URL", default=DEFAULT_URL)
@click.option(
    "--agent", "name", callback=check_agent, metavar="NAME", help="Which agent you are.  [default: USER@HOST]"
)
@click.option("--token", envvar="RELAY_TOKEN", metavar="TOKEN", help="What lets you in.  [env: RELAY_TOKEN]")
@click.option("--takeover", is_flag=True, help="Replace the live session when the agent is online.")
@click.version_option(__version__, prog_name="relay-repl", message="%(prog)s %(version)s")
def repl(url: str, name: str | None, token: str | None, takeover: bool) -> None:
    """Talk to the relay at URL (else RELAY_URL, else http://localhost:4850) as an agent. Type help when inside.

    At a terminal it registers with the tag `human`, beside those that the agent has: what a person writes ends loops
    and begins new chains of messages. Without a terminal: one command a line from stdin, ending at the first error with
    its exit code.
    """
    door = Door(url, token, name or default_name(), COMMAND_TIMEOUT_S)
    run(open_desk(door, takeover=takeover))


async def open_desk(door: Door, *, takeover: bool) -> None:
    """Registers and shows the prompt, or does the script on stdin."""
    import relay_client

    from .desk import Desk
    from .script import run_script

    before = await registration(door, door.name, instead=None if takeover else TAKEOVER.format(door.name))
    interactive = sys.stdin.isatty()
    if interactive:  # a script is no person: it must not end loops
        before["tags"] = [*(tag for tag in before.get("tags", ()) if tag != HUMAN), HUMAN][-limits.NAMES_MAX :]
    credit = limits.CREDIT_MAX if interactive else 1  # unread messages stay unacked; a script reads none of them
    async with relay_client.connect(door.url, agent=door.name, token=door.token, credit=credit, **before) as agent:
        desk = Desk(agent, show=put, now=now, width=width)
        if not interactive:
            return await run_script(desk)
        from .screen import Screen  # prompt-toolkit: only where there is a terminal

        put([f"relay-repl {__version__}: you are {door.name} at {door.url}. help lists the commands, Ctrl-D leaves."])
        with connection_news(agent, lambda line: put([f"* {line}"])):
            await Screen(desk, door.url).run()
        if desk.fences:
            put([f"given back: {', '.join(f'#{message}' for message in desk.fences)}"])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit code (`sys.argv` when no arguments are given)."""
    return failure.invoke(repl, "relay-repl", arguments)


if __name__ == "__main__":
    sys.exit(main())
