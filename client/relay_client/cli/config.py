"""`relay config`: what is set, for the daemon and for the commands, and where each of it comes from."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from ..profiles import SettingsError, config_folder
from ..settings import SETTINGS, resolve
from . import failure
from .escape import escape
from .output import Form, output_options, put, put_record, put_records
from .seam import folder_work

SECRETS: Final = frozenset({"token"})
NOT_SET: Final = "not set"


class Wrong(click.ClickException):
    """What is set can't be used."""

    exit_code = failure.USAGE


@click.group()
def config() -> None:
    """Show what is set and where it comes from: `relay config show`, `relay config path`."""


@config.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="As of relay serve.")
@click.option("--env-file", "env_file", type=click.Path(path_type=Path), metavar="FILE", help="As of relay serve.")
@click.option("--profile", metavar="NAME", help="As of the other commands.")
@output_options
def show(config_file: Path | None, env_file: Path | None, profile: str | None, form: Form) -> None:
    """Show every setting of the daemon and of the commands, its value and where it comes from.

    It says what `relay serve` would begin with, here and now, without options; a relay that runs may have others.
    Exit code 2: it would not begin with them, or a command would not; the reason is on stderr.
    """
    problems: list[str] = []
    daemon = _daemon(config_file, env_file, problems)
    client = _client(profile, problems)
    if form is Form.TABLE:
        put(_section("relay serve", daemon))
        put(["", *_section("the commands, relay-repl, connect()", client)])
        _hint(env_file)
    else:
        put_records(form, [{name: row[name] for name in row if name != "shown"} for row in (*daemon, *client)])
    if problems:
        raise Wrong("; ".join(problems))


@config.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="As of relay serve.")
@output_options
def path(config_file: Path | None, form: Form) -> None:
    """Print where the daemon's config.toml is, or would be."""
    found = folder_work("config path")(os.environ, config_file)
    if form is not Form.TABLE:
        put_record(found)
        return
    if found["path"] is None:
        raise Wrong("there is no home folder to look in; name a file by --config or RELAY_CONFIG")
    put([escape(found["path"])])
    if not found["exists"]:
        then = "goes on without it" if found["source"] == "default" else "does not start without it"
        click.echo(f"relay: it is not there ({escape(found['source'])}); relay serve {then}", err=True)


def _daemon(config_file: Path | None, env_file: Path | None, problems: list[str]) -> list[dict[str, Any]]:
    """A record for each setting of the daemon."""
    try:
        found = folder_work("config show")(os.environ, config_file, env_file)
    except click.ClickException as exc:  # a client without the server
        problems.append(exc.format_message())
        return []
    if found["problem"] is not None:
        problems.append(f"relay serve would not start: {found['problem']}")
    return [{"of": "daemon"} | row for row in found["settings"]]


def _client(profile: str | None, problems: list[str]) -> list[dict[str, Any]]:
    """A record for each setting of the client."""
    try:
        settings = resolve(profile=profile)
    except SettingsError as exc:
        problems.append(f"commands would not start: {exc}")
        return []
    rows: list[dict[str, Any]] = []
    for setting, value in zip(SETTINGS, settings.values, strict=True):
        plain = list(value.value) if isinstance(value.value, tuple) else value.value
        if setting.name in SECRETS and plain is not None:
            plain = f"set, {len(plain)} characters"
        rows.append(
            {
                "of": "client", "setting": setting.name, "value": plain, "shown": _shown(plain),
                "source": value.source, "env": list(setting.env),
            }
        )  # fmt: skip
    return rows


def _shown(value: Any) -> str:
    if value is None:
        return NOT_SET
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _section(title: str, rows: list[dict[str, Any]]) -> Iterable[str]:
    """Three columns under a title; what comes from elsewhere than the default is what one looks for."""
    table = [(row["setting"], escape(row["shown"]), escape(row["source"])) for row in rows]
    name_size, value_size = (max((len(row[column]) for row in table), default=0) for column in (0, 1))
    yield f"{title}:"
    for name, value, source in table:
        yield f"  {name.ljust(name_size)}  {value.ljust(min(value_size, 40))}  {source}"


def _hint(env_file: Path | None) -> None:
    """Who set a relay up with `relay setup` has a file that only the service reads."""
    folder = config_folder(os.environ)
    if env_file is None and not os.environ.get("RELAY_ENV_FILE") and folder and (folder / "relay.env").exists():
        click.echo(
            f"relay: the service reads {escape(str(folder / 'relay.env'))}, too: --env-file shows with it", err=True
        )
