"""`relay doctor`: one look at everything that a relay of one's own, and its clients, need to work."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .door import TIMEOUT_S_MIN, default_name
from .escape import escape
from .failure import FAILED, OK
from .output import Form, output_options, put, put_records
from .values import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..service.finding import Finding
    from ..settings import Settings

TIMEOUT_S: Final = 5.0
WORDS: Final = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command(short_help="Look whether all is well: relay, token, versions, clock, disk, permissions.")
@click.option("--url", metavar="URL", help="The relay to ask.  [env: RELAY_URL; else the profile's]")
@click.option("--token", metavar="TOKEN", help="What lets you in.  [env: RELAY_TOKEN]")
@click.option("--token-file", metavar="FILE", help="A file with the token, yours alone.  [env: RELAY_TOKEN_FILE]")
@click.option("--profile", metavar="NAME", help="What profiles.json has under this name.  [env: RELAY_PROFILE]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder to look at.  [default: that of relay.env, else ~/.local/share/relay]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=span(TIMEOUT_S_MIN, 3600),
    default=TIMEOUT_S,
    metavar="TIME",
    help="Give the relay up after this long.  [default: 5s]",
)
@output_options
@click.pass_context
def doctor(
    ctx: click.Context,
    url: str | None,
    token: str | None,
    token_file: str | None,
    profile: str | None,
    data: Path | None,
    timeout_s: float,
    form: Form,
) -> None:
    """Look at what a relay and its clients need, and say what to do where something is wrong.

    Nothing is changed and a running relay is not disturbed: it is visited as by any command, and of its database only
    the head is read. What SQLite can do on that disk is tried in a file of its own, which is removed again.

    Exit code: 0 all is well or there are warnings alone, 1 something has failed.
    """
    flags = {"url": url, "token": token, "token_file": token_file}
    findings = _findings(flags, profile, data, timeout_s)
    if form.is_json:
        put_records(form, ({k: v for k, v in asdict(finding).items() if v is not None} for finding in findings))
    else:
        put(_lines(findings))
    ctx.exit(FAILED if any(finding.state == "fail" for finding in findings) else OK)


def _findings(
    flags: dict[str, str | None], profile: str | None, data: Path | None, timeout_s: float
) -> "list[Finding]":
    """Every check, in the order in which one would look: client, relay, settings, data, service."""
    from ..profiles import SettingsError
    from ..service import checks_here as here
    from ..service.checks_service import check_service
    from ..service.finding import fail
    from ..service.places import PlacesError, find_places
    from ..settings import resolve
    from .serving import serving

    findings = [*here.check_versions(), *here.check_terminal(os.environ)]
    try:
        places = find_places(os.environ)
    except PlacesError as exc:
        return [*findings, fail("home", str(exc), "set HOME")]
    try:
        findings += _ask_relay(resolve(os.environ, profile, flags), timeout_s)
    except SettingsError as exc:
        findings.append(fail("profile", str(exc), "mend that; no command works until then"))
    served = serving(places, os.environ)
    folder = served.data if data is None else Path(os.path.abspath(data.expanduser()))
    findings += _looked("settings", lambda: here.check_settings(places, served.problem, served.config_file))
    findings += _looked("permissions", lambda: here.check_permissions(places, folder))
    findings += _looked("disk", lambda: here.check_disk(folder))
    findings += _store(folder)
    findings += here.check_port(served.host, served.port)
    findings += here.check_files()
    findings += _looked("service", lambda: check_service(places, folder))
    return findings


def _looked(check: str, look: "Callable[[], Iterable[Finding]]") -> "list[Finding]":
    """What a check found. Where it may not even look (a folder of somebody else's), that is what was found."""
    from ..service.finding import fail

    try:
        return list(look())
    except OSError as exc:
        return [
            fail(check, f"{exc.filename} can't be looked at: {exc.strerror}", "see whose it is, and what is above it")
        ]


def _ask_relay(settings: "Settings", timeout_s: float) -> "list[Finding]":
    import asyncio

    from ..service.checks_relay import check_relay

    return asyncio.run(check_relay(settings, settings.agent or default_name("cli-"), timeout_s))


def _store(folder: Path) -> "list[Finding]":
    from ..service.checks_here import check_store
    from ..service.finding import ok, warn
    from .seam import folder_work

    try:
        examine = folder_work("doctor")
    except click.ClickException:
        return [ok("store", "the relay itself is not installed here; only its clients are")]
    try:
        return list(check_store(examine(folder), folder))
    except Exception as exc:  # a doctor does not fall ill: whatever SQLite or the disk says is a finding
        return [
            warn("store", f"nothing can be tried out at {folder}: {exc}", "see who owns it, and whether there is room")
        ]


def _lines(findings: "list[Finding]") -> list[str]:
    """A line for each finding, and one below it for what to do; a sum at the end."""
    size = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        word, colour = WORDS[finding.state]
        lines.append(f"{_coloured(word, colour)}  {finding.check:<{size}}  {escape(finding.said)}")
        if finding.todo:
            lines.append(f"{'':<{size + 6}}  -> {escape(finding.todo)}")
    counts = {state: sum(finding.state == state for finding in findings) for state in WORDS}
    bad = [f"{counts[state]} {word}" for state, word in (("fail", "failed"), ("warn", "to look at")) if counts[state]]
    return [*lines, f"{len(findings)} checks: {', '.join(bad) if bad else 'all is well'}"]


def _coloured(text: str, colour: str) -> str:
    """In colour at a terminal that wants it."""
    import sys

    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour) if wanted else text
