"""The `relay-repl` command: its options, who it is at which relay, and which of its two faces it shows.

It stays one process over `use PROFILE`: the session is closed and the next one opened. What was set (`set`, `watch`)
stays, what belongs to a session (unread, claims, whom one talks to) does not. A profile whose relay does not let one in
is said, and the last one is opened again.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from relay_proto import limits
from relay_proto.errors import RelayError
from relay_proto.version import __version__

from ..cli import failure
from ..cli.door import COMMAND_TIMEOUT_S, Door, check_agent, default_name, run
from ..cli.listen import TAKEOVER, registration
from ..cli.news import connection_news
from ..cli.output import now, put, width
from ..settings import DEFAULT, Settings, resolve
from .forms import FORMS

if TYPE_CHECKING:
    from .desk import Desk
    from .desk import Settings as DeskSettings
    from .script import Script

GREETING: Final = "relay-repl {}: you are {} at {}. Ctrl-D leaves."


@dataclass(slots=True)
class Repl:
    """One run of the command. flags: what the command line said of the settings. script: None at a terminal. desk: what
    `set` and `watch` changed; it outlives sessions."""

    flags: Mapping[str, Any]
    profile: str | None
    takeover: bool
    quiet: bool
    desk: "DeskSettings"
    script: "Script | None" = None


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("url", metavar="[URL]", required=False)
@click.option("--url", "named_url", metavar="URL", help="The same as URL.  [env: RELAY_URL]")
@click.option(
    "--agent", "--as", "name", callback=check_agent, metavar="NAME", help="Which agent you are.  [default: USER@HOST]"
)
@click.option("--profile", metavar="NAME", help="What profiles.json has under this name.  [env: RELAY_PROFILE]")
@click.option("--token", metavar="TOKEN", help="What lets you in.  [env: RELAY_TOKEN]")
@click.option("--token-file", metavar="FILE", help="A file with the token, yours alone.  [env: RELAY_TOKEN_FILE]")
@click.option("--takeover", is_flag=True, help="Replace the live session when the agent is online.")
@click.option("-c", "commands", multiple=True, metavar="COMMAND", help="Do this and leave; may be repeated.")
@click.option("--keep-going", is_flag=True, help="Of a script: do the rest when a command fails.")
@click.option(
    "-o", "--output", "form", type=click.Choice(FORMS), default="table", show_default=True, help="How answers look."
)
@click.option("-q", "--quiet", is_flag=True, help="No greeting, and no word about the connection.")
@click.version_option(__version__, prog_name="relay-repl", message="%(prog)s %(version)s")
def repl(
    url: str | None,
    named_url: str | None,
    name: str | None,
    profile: str | None,
    takeover: bool,
    commands: tuple[str, ...],
    keep_going: bool,
    form: str,
    quiet: bool,
    **flags: str | None,
) -> None:
    """Talk to the relay at URL (else RELAY_URL, the profile's, http://localhost:4850) as an agent. Type help inside.

    At a terminal it registers with the tag `human`, beside those that the agent has: what a person writes ends loops
    and begins new chains of messages. Without a terminal, or with -c: one command a line, from stdin or from each -c.
    That ends at the first error with its exit code; with --keep-going at the end, with the code of the first error.
    """
    from .desk import Settings as DeskSettings

    script = None
    if commands or not sys.stdin.isatty():
        from .script import Script

        script = Script(commands, keep_going=keep_going)
    if url is not None and named_url is not None:
        raise click.UsageError("URL and --url are two ways to say the same; give one of them")
    flags |= {"url": url or named_url, "agent": name}
    watch = {"submitted"} if script is None else set[str]()  # who hands out work wants to know what becomes of it
    run(talk(Repl(flags, profile, takeover, quiet, DeskSettings(form=form, watch=watch), script)))


async def talk(one: Repl) -> None:
    """Sessions, one after another, until the user leaves or the script is over."""
    from .commands import Switch

    settings = resolve(os.environ, one.profile, one.flags)
    last: Settings | None = None  # the one to go back to
    try:
        while True:
            opened: list[bool] = []
            try:
                await session(one, settings, opened)
                break
            except Switch as switch:
                settings, last = switched(one, switch.profile), settings
            except (RelayError, click.ClickException, TimeoutError, OSError) as exc:
                if last is None or opened or one.script is not None:
                    raise
                went_wrong(f"{failure.explain(exc)[1]}; back to {last.agent or default_name()}")
                settings, last = last, None
    finally:
        if one.script is not None:
            await one.script.close()
    if one.script is not None and one.script.code:
        raise click.exceptions.Exit(one.script.code)


def went_wrong(text: str) -> None:
    """Says it where the commands say theirs."""
    from .paint import error_lines
    from .screen import show

    show(error_lines(text, width()))


def switched(one: Repl, profile: str) -> Settings:
    """The settings of another profile. What it says itself goes before what the command line said: the user has named
    it later. A token of the command line is for the relay that the command line meant."""
    said = resolve({name: value for name, value in os.environ.items() if "RELAY_" not in name}, profile)
    flags = {name: value for name, value in one.flags.items() if said.source(name) == DEFAULT}
    if said.source("url") != DEFAULT or said.source("token_file") != DEFAULT:
        flags = {name: value for name, value in flags.items() if name not in ("token", "token_file")}
    return resolve(os.environ, profile, flags)


async def session(one: Repl, settings: Settings, opened: list[bool]) -> None:
    """Registers and shows the prompt, or does the script. `opened` has an item once it is let in."""
    import relay_client

    from .commands import Switch
    from .desk import Desk

    door = Door(settings.url, settings.token, settings.agent or default_name(), COMMAND_TIMEOUT_S, settings)
    is_script = one.script is not None
    try:
        before = await who_to_be(one, door, settings)
    except RelayError as exc:
        if exc.code == "unreachable":
            source = settings.source("url")
            exc.add_note(f"this one is {'the default' if source == DEFAULT else f'from {source}'}")
        raise
    credit = 1 if is_script else limits.CREDIT_MAX  # unread messages stay unacked; a script reads none of them
    async with relay_client.connect(
        door.url, agent=door.name, token=door.token or False, credit=credit, **before
    ) as agent:
        opened.append(True)
        if one.script is not None:
            desk = Desk(agent, show=put, now=now, width=width, profile=settings.profile, settings=one.desk)
            await desk.watch(*one.desk.watch)
            with connection_news(
                agent, lambda line: None if one.quiet else click.echo(f"relay-repl: {line}", err=True)
            ):
                return await one.script.run(desk)
        from . import paint
        from .screen import Screen, show  # prompt-toolkit: only where there is a terminal

        desk = Desk(agent, show=show, now=now, width=width, profile=settings.profile, settings=one.desk)
        await desk.watch(*one.desk.watch)
        if not one.quiet:
            show([GREETING.format(__version__, door.name, door.url)])
        with connection_news(agent, lambda line: None if one.quiet else show([paint.news_line(f"* {line}")])):
            try:
                await Screen(desk, door.url, token=door.token).run()
            except Switch:
                say_given_back(desk)
                raise
        say_given_back(desk)


def say_given_back(desk: "Desk") -> None:
    """The session is left in good order: the relay gives its claims to whoever wants them."""
    if desk.fences:
        desk.show([f"given back: {', '.join(f'#{message}' for message in desk.fences)}"])


async def who_to_be(one: Repl, door: Door, settings: Settings) -> dict[str, Any]:
    """What to register with: what the agent had before, and over it what the profile and the environment say."""
    before = await registration(door, door.name, instead=None if one.takeover else TAKEOVER.format(door.name))
    from .commands.own import HUMAN

    given = settings.register()
    meta = {**(before.get("meta") or {}), **given.get("meta", {})}
    before |= given | ({"meta": meta} if meta else {})
    if one.script is None:  # a script is no person: it must not end loops
        before["tags"] = [*(tag for tag in before.get("tags", ()) if tag != HUMAN), HUMAN][-limits.NAMES_MAX :]
    elif "tags" in before and "tags" not in given:  # what the prompt left behind is not the script's
        before["tags"] = [tag for tag in before["tags"] if tag != HUMAN]
    return before


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit code (`sys.argv` when no arguments are given)."""
    return failure.invoke(repl, "relay-repl", arguments)


if __name__ == "__main__":
    sys.exit(main())
