"""`relay setup`: the files that a relay of one's own needs, made once, and never overwritten."""

import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from relay_proto import limits

from .escape import escape
from .output import put

if TYPE_CHECKING:
    from ..service.planning import Plan

TOKEN_BYTES: Final = 32
"""256 bits: nobody guesses one."""


@click.command(short_help="Make the files of a relay of your own: settings, token, data folder.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--print", "show", is_flag=True, help="Print the env file, with its token, and write nothing.")
@click.option("--port", type=click.IntRange(1, 65535), help=f"The relay's port.  [default: {limits.DEFAULT_PORT}]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that holds everything.  [default: ~/.local/share/relay]",
)
@click.option("--rotate-token", is_flag=True, help="Make a new token; the old one ends with the relay's next start.")
def setup(yes: bool, dry_run: bool, show: bool, port: int | None, data: Path | None, rotate_token: bool) -> None:
    """Make what a relay of your own needs, asking before each file.

    That is ~/.config/relay/relay.env (the relay's settings: a new token, this machine only, a folder that lasts),
    ~/.config/relay/token (the same token for clients; both readable by you alone), and a profile by which every client
    command finds the relay. What is there already stays: run again, it changes nothing.

    Then `relay daemon install` runs it as a service, and `relay doctor` says whether all is well.
    """
    from ..service.env_file import EnvFileError
    from ..service.places import PlacesError, find_places
    from ..service.planning import SetupError, Wanted, plan
    from ..service.steps import described

    if dry_run and show:
        raise click.UsageError("--dry-run and --print: one of them")
    try:
        places = find_places(os.environ)
        folder = None if data is None else Path(os.path.normpath(Path.cwd() / data.expanduser()))
        wanted = Wanted(secrets.token_urlsafe(TOKEN_BYTES), port, folder, rotate_token)
        made = plan(places, wanted, default_port=limits.DEFAULT_PORT)
    except (PlacesError, SetupError, EnvFileError) as exc:
        raise click.ClickException(str(exc)) from None
    for warning in made.warnings:
        click.echo(escape(f"relay: careful: {warning}"), err=True)
    if show:
        put(made.env.splitlines())
        return
    put(escape(line) for line in made.kept)
    if dry_run:
        put(escape(line) for _, step in made.steps for line in described(step))
        put([] if made.steps else ["there is nothing to do"])
        return
    if not made.steps:
        put(["everything is there"])
    elif not _carry_out(made, places.env_file, yes):
        raise click.ClickException("not everything was written; relay setup begins again where this ended")
    put(escape(line) for line in _next(made, places.env_file, rotate_token))


def _carry_out(made: "Plan", env_file: Path, yes: bool) -> bool:
    """Does the steps, each when it is agreed to; False when one was not. Without the env file the rest has no sense."""
    from ..service.steps import StepError, Write, described, do

    complete = True
    for why, step in made.steps:
        what = escape(f"{described(step)[0].removesuffix(':')}: {why}")
        if yes:
            put([what])
        elif not _agreed(f"{what}?"):
            complete = False
            if isinstance(step, Write) and step.path == env_file:
                return False
            continue
        try:
            do([step])
        except StepError as exc:
            raise click.ClickException(str(exc)) from None
    return complete


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, default=True, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError("there is nobody to ask; --yes asks nothing, --dry-run shows what it would do") from None


def _next(made: "Plan", env_file: Path, rotated: bool) -> list[str]:
    """What to do now, as lines."""
    lines = ["", f"next, for a relay at {made.url} with its data in {made.data}:"]
    if rotated:
        lines.append(
            "  relay daemon restart                 from then on the new token holds, and the old one does not"
        )
    else:
        lines.append("  relay daemon install                 run it as a service of yours, from now on")
        lines.append(f"  relay serve --env-file {shlex.quote(str(env_file))}   or run it here, until Ctrl-C")
    lines.append("  relay doctor                         is all well?")
    set_here = [
        name for name in ("RELAY_URL", "RELAY_TOKEN", "RELAY_TOKEN_FILE", "RELAY_PROFILE") if os.environ.get(name)
    ]
    if set_here:
        lines.append(f"{', '.join(set_here)} of this shell win over the profile that was written")
    return lines
