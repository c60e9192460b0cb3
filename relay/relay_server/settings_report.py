"""What `relay config show` and `relay config path` say of the daemon: each setting, its value, where it comes from.

Plain data, for the command is the client's. A secret is `set, 43 characters`, in every form.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import ConfigError
from .integrations import IntegrationError, read_integrations
from .sources import Found, Resolved, config_of, find_config, resolve


def report(environ: Mapping[str, str], config_file: Path | None = None, env_file: Path | None = None) -> dict[str, Any]:
    """`settings`: a list of records, empty when they can't be read; `problem`: why a daemon would not start with them,
    or None; `config_file`, `env_file`: the files that were read, None where none was.

    A record has `setting` (its key in config.toml), `value` (as JSON has it), `shown` (as people read it), `source`,
    `option` and `env`, its names in the environment.
    """
    try:
        settings = resolve({}, environ, config_file=config_file, env_file=env_file)
    except ConfigError as exc:
        return {"settings": [], "problem": str(exc), "config_file": None, "env_file": None}
    problem = None
    try:
        config_of(settings)
    except ConfigError as exc:
        problem = str(exc)
    path = settings.config_file.path
    return {
        "settings": [_record(found) for found in settings.found.values()],
        "problem": problem,
        "config_file": str(path) if path is not None and path.exists() else None,
        "env_file": None if settings.env_file.path is None else str(settings.env_file.path),
    }


def _record(found: Found) -> dict[str, Any]:
    setting = found.setting
    value, shown = setting.kind.plain(found.value), found.shown
    if setting.name == "integrations" and value is not None:
        value = _names(found)
        shown = ", ".join(value) or "none"
    return {
        "setting": setting.key,
        "value": value,
        "shown": shown,
        "source": found.source,
        "option": setting.option or None,
        "env": [variable.name for variable in setting.variables],
    }


def _names(found: Found) -> list[str]:
    """The integrations' names: what else is said of them may be secret. What can't be read is said as the problem."""
    try:
        return [one.name for one in read_integrations(found.value, found.source)]
    except IntegrationError:
        return []


def config_path(environ: Mapping[str, str], config_file: Path | None = None) -> dict[str, Any]:
    """`path`: where config.toml is, or would be, None for a user without a home; `source`: who says so; `exists`."""
    place = find_config(config_file, environ)
    path = place.path
    return {
        "path": None if path is None else str(path),
        "source": place.source,
        "exists": path is not None and path.exists(),
    }


def markdown(settings: Resolved) -> str:
    """The table of all settings, as docs/operating.md has it."""
    lines = ["| config.toml | option | environment | default | |", "|---|---|---|---|---|"]
    for found in settings.found.values():
        setting = found.setting
        variables = " ".join(f"`{variable.name}`" for variable in setting.variables)
        default = "" if setting.default in (None, ()) else f"`{setting.default_shown}`"
        option = f"`{setting.option}`" if setting.option else ""
        lines.append(f"| `{setting.key}` | {option} | {variables} | {default} | {setting.help} |")
    return "".join(f"{line}\n" for line in lines)
