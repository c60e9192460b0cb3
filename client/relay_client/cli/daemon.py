"""`relay daemon`: the relay as a service of this user, kept running by systemd or launchd.

`status` ends as systemctl's does: 0 it runs, 3 it does not, 4 it is not installed.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .escape import escape
from .failure import OK
from .output import Form, output_options, put, put_record

if TYPE_CHECKING:
    from ..service.places import Places
    from ..service.running import Manager, Status
    from ..service.steps import Step

NOT_RUNNING: Final = 3
NOT_INSTALLED: Final = 4
LINES: Final = 50
LINES_MAX: Final = 1_000_000


def manager_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --manager: the command gets its name, or None for the one that is here."""
    return click.option(
        "--manager",
        "manager",
        type=click.Choice(["systemd", "launchd"]),
        help="Who keeps it running.  [default: the one that this machine has]",
    )(command)


def dry_run_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --dry-run."""
    return click.option("--dry-run", is_flag=True, help="Show what would be written and run, and do nothing.")(command)


@click.group(short_help="Run the relay as a service of yours: install, status, logs, restart ...")
def daemon() -> None:
    """The relay as a service of this user: systemd on Linux, launchd on macOS. No root is needed.

    relay setup makes the settings it runs with; relay daemon install puts it in place and starts it, now and at each
    login (or at each boot, with lingering: install says how).
    """


@daemon.command(short_help="Put the service in place, and start it now and from now on.")
@manager_options
@dry_run_option
def install(manager: str | None, dry_run: bool) -> None:
    """Write the unit (or the plist), and start it. Once more after an upgrade: it is brought up to date, and restarted.

    The service reads ~/.config/relay/relay.env, which relay setup makes.
    """
    from ..service import running
    from ..service.systemd import Service, UnitError
    from .serving import serving

    places = _places()
    if not places.env_file.exists():
        raise click.ClickException(f"{places.env_file} is not there; relay setup makes it")
    chosen = _manager(manager, places, dry_run)
    found = serving(places, os.environ)
    if found.problem is not None:
        raise click.ClickException(f"the relay would not start: {found.problem}")
    try:
        steps = chosen.install(Service(running.command(), places.env_file, found.data))
    except UnitError as exc:
        raise click.ClickException(str(exc)) from None
    if not dry_run:
        _status(chosen)  # a manager that can't be asked can't be told either: nothing is written then
    _carry_out(chosen, steps, dry_run)
    if not dry_run:
        put(["the relay is started, now and at each login"])
    _hint_at_lingering(chosen)


@daemon.command(short_help="Stop the service and take it away; its data and settings stay.")
@manager_options
@dry_run_option
def uninstall(manager: str | None, dry_run: bool) -> None:
    """Stop the service and remove the unit (or the plist). What the relay holds stays, and so do its settings."""
    from .serving import serving

    places = _places()
    chosen = _manager(manager, places, dry_run)
    if not chosen.file.exists() and not dry_run:
        raise click.ClickException(f"{chosen.file} is not there: the relay is not installed as a service")
    if not dry_run:
        _status(chosen)  # as with install: one that is not to be stopped keeps its unit
    _carry_out(chosen, chosen.uninstall(), dry_run)
    data = serving(places, os.environ).data
    there = [str(path) for path in (data, places.env_file, places.token_file) if path.exists()]
    put([f"kept: {escape(path)}" for path in there])


def _simple(name: str, short_help: str, doc: str) -> None:
    """A command that is one word to the manager."""

    @daemon.command(name, short_help=short_help, help=doc)
    @manager_options
    @dry_run_option
    def command(manager: str | None, dry_run: bool) -> None:
        chosen = _manager(manager, _places(), dry_run)
        if not chosen.file.exists() and not dry_run:
            raise click.ClickException("the relay is not installed as a service; relay daemon install does that")
        steps: list[Step] = getattr(chosen, name)()
        _carry_out(chosen, steps, dry_run)


_simple("start", "Start it now.", "Start the service now.")
_simple("stop", "Stop it now; it comes back at the next login.", "Stop the service now. It finishes what it has begun.")
_simple(
    "restart", "Stop it and start it again.", "Stop the service and start it again. Clients come back by themselves."
)
_simple("enable", "Start it at each login.", "Start the service at each login.")
_simple(
    "disable",
    "Do not start it by itself any more.",
    "Do not start the service at logins any more; one that runs goes on.",
)


@daemon.command(short_help="Show what it wrote to its log.")
@click.option("-n", "--lines", type=click.IntRange(0, LINES_MAX), default=LINES, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@manager_options
@dry_run_option
def logs(lines: int, follow: bool, manager: str | None, dry_run: bool) -> None:
    """Show the last lines of the service's log: journalctl's, or of the log file on macOS."""
    import shlex

    chosen = _manager(manager, _places(), dry_run)
    command = chosen.logs(lines, follow)
    if dry_run:
        put([f"run {escape(shlex.join(command))}"])
        return
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as exc:
        raise click.ClickException(f"{command[0]} can't be started: {exc.strerror}") from None


@daemon.command(short_help="Say whether it runs: exit 0 it does, 3 it does not, 4 it is not installed.")
@output_options
@manager_options
@dry_run_option
@click.pass_context
def status(ctx: click.Context, form: Form, manager: str | None, dry_run: bool) -> None:
    """Say whether the service runs, since when, and whether it starts by itself.

    Exit code: 0 it runs, 3 it does not, 4 it is not installed.
    """
    import shlex
    from dataclasses import asdict

    chosen = _manager(manager, _places(), dry_run)
    if dry_run:
        put([f"run {escape(shlex.join(chosen.question()))}"])
        return
    found = _status(chosen)
    if form.is_json:
        put_record({name: value for name, value in asdict(found).items() if value is not None})
    else:
        put(escape(line) for line in status_lines(found))
    ctx.exit(OK if found.running else NOT_RUNNING if found.installed else NOT_INSTALLED)


def status_lines(found: "Status") -> list[str]:
    """The status for people: what it is, then a line for each thing that is known."""
    if not found.installed and not found.running:
        return [f"the relay is not installed as a service of {found.manager}; relay daemon install does that"]
    facts: list[tuple[str, Any]] = [
        ("process", found.pid),
        ("since", found.since if found.running else None),
        ("says", found.said if found.running else None),
        (
            "at login",
            None if found.enabled is None else "starts" if found.enabled else "does not start (relay daemon enable)",
        ),
        (
            "at boot",
            None if found.lingers is None else "starts" if found.lingers else "does not start (loginctl enable-linger)",
        ),
        ("restarts", found.restarts or None),
        ("last end", found.last_exit),
        ("file", found.file),
    ]
    lines = [f"the relay {'runs' if found.running else 'does not run'}: {found.state} ({found.manager})"]
    lines += [f"  {name:<9} {value}" for name, value in facts if value is not None]
    return lines if found.running else [*lines, "  relay daemon logs shows what it said; relay daemon start starts it"]


def _places() -> "Places":
    from ..service.places import PlacesError, find_places

    try:
        return find_places(os.environ)
    except PlacesError as exc:
        raise click.ClickException(str(exc)) from None


def _manager(name: str | None, places: "Places", dry_run: bool) -> "Manager":
    """The manager of that name, or the one that is here. Raises ClickException when there is none."""
    import shutil

    from ..service.running import MANAGERS, manager_name

    found = name or manager_name()
    program = {"systemd": "systemctl", "launchd": "launchctl"}.get(found or "", "")
    if found is None or (not dry_run and shutil.which(program) is None):
        missing = program or "systemctl (systemd), nor launchctl (macOS)"
        env_file = Path(places.env_file)
        raise click.ClickException(
            f"there is no {missing} here to run a service; start `relay serve --env-file {env_file}` from what this "
            "machine has instead (a container's command, another init, a terminal)"
        )
    return MANAGERS[found](places)


def _status(chosen: "Manager") -> "Status":
    from ..service.steps import StepError

    try:
        return chosen.status()
    except StepError as exc:
        raise click.ClickException(str(exc)) from None


def _carry_out(chosen: "Manager", steps: "list[Step]", dry_run: bool) -> None:
    from ..service.steps import StepError, described, do

    for step in steps:
        lines = described(step)
        put(escape(line) for line in (lines if dry_run else [lines[0].removesuffix(":")]))
        if not dry_run:
            try:
                do([step], chosen.explain)
            except StepError as exc:
                raise click.ClickException(str(exc)) from None


def _hint_at_lingering(chosen: "Manager") -> None:
    """A user's systemd ends with the last session of the user, and begins with the first."""
    from ..service.running import SYSTEMD, lingers

    if chosen.name == SYSTEMD and lingers() is not True:
        put(
            [
                "it ends when you log out and starts when you log in; to have it from boot on, whoever is logged in:",
                "    loginctl enable-linger",
            ]
        )
