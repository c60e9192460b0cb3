"""`relay upgrade`: bring this installation up to date with whatever installed it."""

import shlex
import subprocess
import sys

import click

from .escape import escape
from .failure import FAILED
from .output import put


@click.command(short_help="Bring this installation up to date, with whatever installed it.")
@click.option("--dry-run", is_flag=True, help="Show the command, and do not run it.")
@click.option("--yes", "-y", is_flag=True, help="Run the command without asking.")
@click.pass_context
def upgrade(ctx: click.Context, dry_run: bool, yes: bool) -> None:
    """Upgrade relay-broker by the tool that installed it: pip, uv or pipx; the command is shown first.

    An editable checkout is not touched: that is git's. A relay that runs goes on with the old version until it is
    restarted, and one installed as a service is to be installed once more: this says so.
    """
    from ..service.installed import detect, find_distribution, this_machine

    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes: one of them")
    found = detect(this_machine(sys.prefix, sys.base_prefix, sys.executable), find_distribution())
    put([escape(f"relay-broker {found.version}, by {found.by}" + (f", from {found.source}" if found.source else ""))])
    if found.command is None:
        raise click.ClickException(f"nothing is upgraded: {found.instead}")
    put([f"run {escape(shlex.join(found.command))}"])
    if not dry_run and (yes or _agreed()):
        code = _run(found.command)
        if code:
            click.echo(escape(f"relay: {shlex.join(found.command)} failed with status {code}"), err=True)
            ctx.exit(FAILED)
        _say_what_is_next(found.version)


def _agreed() -> bool:
    try:
        return click.confirm("run it?", default=True, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError("there is nobody to ask; --yes runs it, --dry-run shows it") from None


def _run(command: tuple[str, ...]) -> int:
    """Runs it in this terminal, and gives its exit status."""
    sys.stdout.flush()
    try:
        return subprocess.run(command).returncode
    except OSError as exc:
        raise click.ClickException(f"{command[0]} can't be started: {exc.strerror}") from None


def _say_what_is_next(before: str) -> None:
    """Asks a new process: this one still is the old version. Raises ClickException when that can't start."""
    asked = subprocess.run(
        [sys.executable, "-P", "-c", "from relay_proto.version import __version__; print(__version__)"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    now = asked.stdout.strip()
    if asked.returncode or not now:
        said = " ".join(asked.stderr.split())[-300:]
        raise click.ClickException(
            f"the new version does not start, a relay that runs goes on with the old one: {said}"
        )
    put([f"{before} was the newest already" if now == before else f"{before} -> {escape(now)}"])
    put([escape(line) for line in next_lines()])


def next_lines() -> list[str]:
    """What is to be restarted, from what is installed as a service here."""
    import os

    from ..service.places import PlacesError, find_places
    from ..service.running import MANAGERS, manager_name

    try:
        places = find_places(os.environ)
    except PlacesError:
        return []
    name = manager_name()
    if name is not None and MANAGERS[name](places).file.exists():
        return ["the service goes on with the old version: relay daemon install brings it up to date, and restarts it"]
    return ["a relay that runs goes on with the old version until it is restarted"]
