"""The `relay` command: a table of subcommands, each imported only when it is called.

Rules
- The table below is the one seam between client and server: `serve` is named here by a string and nowhere else. No
  module of `relay_client` imports `relay_server`, nor the other way round.
- A section stands in the order of use. Help texts stand in the table, so that `relay --help` imports none of the
  subcommands and `relay --version` is fast.
- Every exception of every command leaves through `failure.report`, which knows the exit codes.
"""

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from relay_proto.version import __version__

from . import failure

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MESSAGES: Final = "Messages"
WORK: Final = "Work"
OPERATING: Final = "Operating"
SECTIONS: Final = (MESSAGES, WORK, OPERATING)


class Entry(NamedTuple):
    """One subcommand: where it lives (`module:attribute`), its line in `relay --help` and the section it stands in."""

    where: str
    help: str
    section: str = MESSAGES


COMMANDS: Final[dict[str, Entry]] = {
    "serve": Entry("relay_server.cli:serve", "Run a relay: the daemon that agents connect to.", OPERATING),
    "send": Entry("relay_client.cli.send:send", "Send a message to an agent or a group."),
    "ask": Entry("relay_client.cli.ask:ask", "Ask an agent, wait for its reply and print it."),
    "listen": Entry("relay_client.cli.listen:listen", "Be an agent: print each message that comes, then ack it."),
    "inbox": Entry("relay_client.cli.inbox:inbox", "Show an agent's inbox; reading changes nothing."),
    "message": Entry("relay_client.cli.message:message", "Show one message, how far it came and its work."),
    "withdraw": Entry("relay_client.cli.overrule:withdraw", "Take back a message: nobody gets it any more."),
    "thread": Entry("relay_client.cli.thread:thread", "Show the messages of a thread, oldest first."),
    "owed": Entry("relay_client.cli.owed:owed", "Show the replies that an agent owes and is owed."),
    "why": Entry("relay_client.cli.why:why", "Say what an agent, a message or a task waits for."),
    "agents": Entry("relay_client.cli.agents:agents", "Show who is there and what they can do."),
    "remove": Entry("relay_client.cli.remove:remove", "Take an agent off the list, for good; its inbox stays."),
    "pair": Entry("relay_client.cli.pair:pair", "Talk to one agent alone: open, accept, send, hangup, list."),
    "submit": Entry("relay_client.cli.submit:submit", "Submit a task to an agent or a group.", WORK),
    "tasks": Entry("relay_client.cli.tasks:tasks", "Show the tasks that are open or buried, and how many.", WORK),
    "task": Entry("relay_client.cli.task:task", "Show one task: its state, result and history.", WORK),
    "claim": Entry("relay_client.cli.claim:claim", "Claim a task by its id, or the next ones that are ready.", WORK),
    "progress": Entry("relay_client.cli.holding:progress", "Say how far a task you hold has come.", WORK),
    "renew": Entry("relay_client.cli.holding:renew", "Renew the lease of a task you hold.", WORK),
    "park": Entry("relay_client.cli.holding:park", "Park a task you hold until what it needs is there.", WORK),
    "resume": Entry("relay_client.cli.holding:resume", "Go on with a task you parked.", WORK),
    "done": Entry("relay_client.cli.holding:done", "Say that a task you hold is done, with its result.", WORK),
    "fail": Entry("relay_client.cli.holding:fail", "Say that a task you hold failed.", WORK),
    "release": Entry("relay_client.cli.holding:release", "Give a task you hold back, unfinished.", WORK),
    "cancel": Entry("relay_client.cli.overrule:cancel", "Cancel a task: nobody is to do it any more.", WORK),
    "kick": Entry("relay_client.cli.overrule:kick", "Bring a buried task back for one more attempt.", WORK),
    "resolve": Entry("relay_client.cli.overrule:resolve", "Close the open task about something: it is over.", WORK),
    "guard": Entry("relay_client.cli.guard:guard", "Exit 0 only while a claim still holds: for hooks.", WORK),
    "setup": Entry("relay_client.cli.setup:setup", "Make the files of a relay of your own.", OPERATING),
    "daemon": Entry("relay_client.cli.daemon:daemon", "Run the relay as a service: install, status, logs.", OPERATING),
    "doctor": Entry("relay_client.cli.doctor:doctor", "Look whether all is well, and say what to do.", OPERATING),
    "upgrade": Entry("relay_client.cli.upgrade:upgrade", "Bring this installation up to date.", OPERATING),
    "top": Entry("relay_client.cli.top:top", "Watch rates, oldest unacked, stuck work, who is online.", OPERATING),
    "tail": Entry("relay_client.cli.tail:tail", "Follow what happens at the relay, a line an event.", OPERATING),
    "backup": Entry("relay_client.cli.backup:backup", "Copy everything a relay holds into a file.", OPERATING),
    "verify": Entry("relay_client.cli.verify:verify", "Check a store: all readable, the ledger true.", OPERATING),
    "export": Entry("relay_client.cli.export:export", "Write everything a relay holds as lines of JSON.", OPERATING),
    "import": Entry("relay_client.cli.import_:import_command", "Make a data folder of an export.", OPERATING),
    "config": Entry("relay_client.cli.config:config", "Show what is set, and where it comes from.", OPERATING),
    "token": Entry("relay_client.cli.token:token", "Make, list and revoke the tokens that let others in.", OPERATING),
    "profile": Entry(
        "relay_client.cli.profile:profile", "Show the profiles of this user, and what is in one.", OPERATING
    ),
    "completion": Entry(
        "relay_client.cli.completion:completion", "Print a script that completes relay in a shell.", OPERATING
    ),
    "commands": Entry("relay_client.cli.help:commands", "List all commands, each with a line.", OPERATING),
    "help": Entry("relay_client.cli.help:help_command", "Explain a command and its options.", OPERATING),
}


class LazyGroup(click.Group):
    """A group whose subcommands come from COMMANDS and are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module, _, attribute = COMMANDS[cmd_name].where.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), COMMANDS[cmd_name].where
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"there is no command {name!r}{failure.did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The names that begin so, without importing any of the commands."""
        from click.shell_completion import CompletionItem

        named = [CompletionItem(name, help=COMMANDS[name].help) for name in COMMANDS if name.startswith(incomplete)]
        return named or click.Command.shell_complete(self, ctx, incomplete)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One screen of 80 by 24: every command by its name; `relay commands` has a line for each."""
        formatter.write("\n".join(help_lines()) + "\n")


HELP_COLUMNS: Final = 80


def help_lines() -> list[str]:
    """`relay --help`: at most 24 lines of at most 80 columns."""
    import textwrap

    lines = [
        "Usage: relay [-h|--help] [--version] COMMAND [ARGS]...",
        "",
        f"{relay.help}",
        "",
        "  relay serve                    run a relay on this machine",
        "  relay send ann hello --hold    send a message; relay inbox ann shows it",
        "  relay submit ann 'fix #7'      submit a task; relay claim --as ann takes it",
        "",
    ]
    size = max(map(len, SECTIONS)) + 2
    for section in SECTIONS:
        names = " ".join(name for name, entry in COMMANDS.items() if entry.section == section)
        lines += textwrap.wrap(
            names, HELP_COLUMNS, initial_indent=section.ljust(size), subsequent_indent=" " * size,
            break_on_hyphens=False,
        )  # fmt: skip
    codes = ", ".join(f"{code} {word}" for code, (word, _) in failure.EXIT_CODES.items())
    return [
        *lines,
        "",
        "relay help COMMAND explains one and its options; relay commands lists them all.",
        "The relay is found by --url, RELAY_URL or --profile, else at localhost:4850.",
        *textwrap.wrap(f"Exit codes: {codes}.", HELP_COLUMNS),
        "At a terminal there is relay-repl.",
    ]


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    subcommand_metavar="COMMAND [ARGS]...",
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="relay", message="%(prog)s %(version)s")
@click.pass_context
def relay(ctx: click.Context) -> None:
    """Relay: a durable post office and work ledger for fleets of AI agents."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(failure.USAGE)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit code (`sys.argv` when no arguments are given)."""
    return failure.invoke(relay, "relay", arguments)


if __name__ == "__main__":
    sys.exit(main())
