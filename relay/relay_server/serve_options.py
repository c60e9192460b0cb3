"""The options of `relay serve`, made from the table of settings.

None of them has a default of click's: what is not said here is looked for elsewhere (sources.py), and the help says
what it is in the end.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .config import ConfigError
from .exits import EXIT_USAGE
from .setting_kinds import Flag, Kind, Names
from .settings import SETTINGS, Setting
from .sources import CONFIG, ENV_FILE, Resolved, resolve

FILE_HELP = {
    "config_file": ("--config", CONFIG, "Read the settings of this TOML file.", "~/.config/relay/config.toml"),
    "env_file": ("--env-file", ENV_FILE, "Read variables from this file, as systemd reads EnvironmentFile=.", ""),
}
"""Parameter -> option, variable, help, default."""


class Refused(click.ClickException):
    """Settings that the daemon does not start with. No line about options: they may stand elsewhere."""

    exit_code = EXIT_USAGE


class _Read(click.ParamType):  # type: ignore[type-arg]  # it has no parameters before click 8.4
    """What a kind of setting reads; what it refuses is a usage error that names option, value and limits."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.name
        self._option = setting.option
        self._kind: Kind = setting.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._kind.of_text(value)
        except ValueError as exc:
            raise click.UsageError(f"{self._option} {exc}", ctx) from None


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --config and --env-file, which the command gets as `config_file` and `env_file`: paths or None."""
    for name, (option, variable, text, default) in reversed(FILE_HELP.items()):
        shown = f"{text}  [env: {variable}{f'; default: {default}, if it is there' if default else ''}]"
        add = click.option(option, name, type=click.Path(path_type=Path), metavar="FILE", help=shown)
        command = add(command)
    return command


def serve_options(command: Callable[[Resolved], None]) -> Callable[..., None]:
    """Adds an option for each setting that has one; the command gets all settings, from wherever they come."""

    @functools.wraps(command)
    def with_settings(*, config_file: Path | None, env_file: Path | None, **given: Any) -> None:
        options = {name: value for name, value in given.items() if value is not None and value != ()}
        try:
            settings = resolve(options, os.environ, config_file=config_file, env_file=env_file)
        except ConfigError as exc:
            raise Refused(str(exc)) from None
        command(settings)

    wrapped: Callable[..., None] = file_options(with_settings)
    for setting in reversed(SETTINGS):
        if setting.option:
            wrapped = _option(setting)(wrapped)
    return wrapped


def _option(setting: Setting) -> Callable[[Callable[..., None]], Callable[..., None]]:
    names = ", ".join(variable.name for variable in setting.variables)
    text = f"{setting.help}  [env: {names}; default: {setting.default_shown}]"
    if isinstance(setting.kind, Flag):
        no = f"--no-{setting.option.removeprefix('--')}"
        return click.option(f"{setting.option}/{no}", setting.name, default=None, help=text)
    kind = _One(setting) if isinstance(setting.kind, Names) else _Read(setting)
    return click.option(
        setting.option,
        setting.name,
        type=kind,
        multiple=isinstance(setting.kind, Names),
        metavar=setting.kind.metavar,
        help=text,
    )


class _One(_Read):
    """One of several, each with an option of its own: a text without blanks and commas."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        read = super().convert(value, param, ctx)
        if len(read) != 1:
            raise click.UsageError(f"{self._option} is {value!r:.80}; say it once for each", ctx)
        return read[0]
