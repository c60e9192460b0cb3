"""Where the value of each setting comes from: the order of what is said, and what is made of it.

    option of `relay serve`  >  environment  >  file of variables (--env-file)  >  config.toml  >  default

Rules
- Each setting is looked up by itself. An empty variable counts as not set.
- In one place a setting may have several names. Two that say different things are an error that names both; only a
  fallback (AGENT_RELAY_*) is silent as soon as another name says something.
- An unknown key of config.toml is an error that names the nearest one; nothing is silently off.
- Of a token and a file with a token the one that is nearer to the user counts; in one place, the token.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from relay_proto.env_file import parse_env_file

from .config import Config, ConfigError
from .integrations import Integration, IntegrationError, read_integrations
from .private import check_private, read_text, read_token
from .quota import Limits
from .setting_kinds import Kind
from .settings import FALLBACK, QUOTAS, SETTINGS, Setting
from .times import Times

DEFAULT: Final = "default"
CONFIG: Final = "RELAY_CONFIG"
ENV_FILE: Final = "RELAY_ENV_FILE"
OPTION_RANK, ENVIRONMENT_RANK, ENV_FILE_RANK, TOML_RANK, DEFAULT_RANK = range(5)
SECRET_FIELDS: Final = ("token", "callbackSecret")


@dataclass(frozen=True, slots=True)
class Found:
    """The value of a setting and where it comes from. `rank`: how near that is to the user, 0 the nearest."""

    setting: Setting
    value: Any
    source: str
    rank: int

    @property
    def shown(self) -> str:
        return self.setting.kind.shown(self.value)


@dataclass(frozen=True, slots=True)
class Place:
    """A file that is read: where it is and who said so; `path` None: none is."""

    path: Path | None
    source: str = DEFAULT


@dataclass(frozen=True, slots=True)
class Resolved:
    """Every setting by its name, and the files that were looked at."""

    found: Mapping[str, Found]
    config_file: Place
    env_file: Place

    def __getitem__(self, name: str) -> Any:
        return self.found[name].value


def resolve(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    config_file: Path | None = None,
    env_file: Path | None = None,
) -> Resolved:
    """All settings. `options`: those given on the command line, read already. Raises ConfigError."""
    env_place = _said(env_file, "--env-file", ENV_FILE, environ)
    variables = _variables(env_place)
    config_place = find_config(config_file, environ, variables)
    written = _config(config_place)
    found = {
        setting.name: _look_up(setting, options, environ, variables, env_place, written, config_place)
        for setting in SETTINGS
    }
    _settle_database(found, environ, variables)
    _settle_token(found)
    return Resolved(found, config_place, env_place)


def find_config(
    config_file: Path | None, environ: Mapping[str, str], variables: Mapping[str, str] | None = None
) -> Place:
    """Where config.toml is; one that nobody named need not be there."""
    said = _said(config_file, "--config", CONFIG, {**(variables or {}), **_set(environ)})
    return said if said.path is not None else Place(usual_config(environ))


def usual_config(environ: Mapping[str, str]) -> Path | None:
    """Where config.toml is when nothing is said; None for a user without a home."""
    folder = Path(environ.get("XDG_CONFIG_HOME") or "")
    if not folder.is_absolute():  # a relative one does not count, says the XDG specification
        try:
            folder = Path(environ.get("HOME") or Path.home()) / ".config"
        except RuntimeError:
            return None
    return folder / "relay" / "config.toml"


def _set(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if value}


def _said(option: Path | None, option_name: str, variable: str, environ: Mapping[str, str]) -> Place:
    if option is not None:
        return Place(option, option_name)
    if text := environ.get(variable):
        return Place(Path(os.path.expanduser(text)), f"env {variable}")
    return Place(None)


# -- the files ---------------------------------------------------------------------------------------------------------


def _variables(place: Place) -> dict[str, str]:
    if place.path is None:
        return {}
    text = read_text(place.path, _what(place, "the file of variables"), private=True)
    try:
        return _set(parse_env_file(text))
    except ValueError as exc:
        raise ConfigError(f"{place.path}: {exc}") from None


def _config(place: Place) -> dict[str, Any]:
    """What config.toml says, by the settings' names, not read yet. Raises ConfigError."""
    path = place.path
    if path is None or (place.source == DEFAULT and not path.exists()):
        return {}
    text = read_text(path, _what(place, "the configuration"), private=False)
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is no TOML: {exc}") from None
    values = dict(_rows(path, written))
    if "token" in values or _has_secret(values.get("integrations")):
        check_private(path, _what(place, "the configuration"))
    return values


def _what(place: Place, what: str) -> str:
    return what if place.source == DEFAULT else f"{what} ({place.source})"


def _rows(path: Path, written: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings that are written, those of its tables too. Raises ConfigError for a key that is none."""
    keys = {setting.key for setting in SETTINGS}
    tables = {setting.table for setting in SETTINGS if setting.table}
    for name, value in written.items():
        if name not in tables:
            yield _known(path, name, keys), value
        elif not isinstance(value, dict):
            raise ConfigError(f"{path}: {name} is {value!r:.80}; it must be a table: [{name}]")
        else:
            for inner, inner_value in value.items():
                yield _known(path, f"{name}.{inner}", keys), inner_value


def _known(path: Path, key: str, keys: set[str]) -> str:
    """The name of the setting. Raises ConfigError, with the nearest name, when there is none."""
    if key in keys:
        return key.rpartition(".")[2]
    plain = key.replace("-", "_")
    near = [other for other in sorted(keys) if other.rpartition(".")[2] == plain.rpartition(".")[2]]  # another table
    near = near or difflib.get_close_matches(plain, keys, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "relay config show lists what there is"
    raise ConfigError(f"{path}: there is no setting {key[:80]!r}; {hint}")


def _has_secret(integrations: Any) -> bool:
    tables = integrations.values() if isinstance(integrations, dict) else integrations
    return isinstance(integrations, (dict, list)) and any(
        isinstance(table, dict) and any(table.get(name) for name in SECRET_FIELDS) for table in tables
    )


# -- one setting -------------------------------------------------------------------------------------------------------


def _look_up(
    setting: Setting,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    variables: Mapping[str, str],
    env_place: Place,
    written: Mapping[str, Any],
    config_place: Place,
) -> Found:
    if setting.name in options:
        return Found(setting, options[setting.name], f"option {setting.option}", OPTION_RANK)
    for rank, place, suffix in (
        (ENVIRONMENT_RANK, environ, ""),
        (ENV_FILE_RANK, variables, f" in {env_place.path}"),
    ):
        if (named := _of_variables(setting, place, suffix)) is not None:
            name, value = named
            return Found(setting, value, f"env {name}{suffix}", rank)
    if setting.name in written:
        path = config_place.path
        assert path is not None
        value = _of_toml(setting, written[setting.name], path)
        return Found(setting, value, f"config.toml:{path}", TOML_RANK)
    return Found(setting, setting.default, DEFAULT, DEFAULT_RANK)


def _of_variables(setting: Setting, environ: Mapping[str, str], suffix: str) -> tuple[str, Any] | None:
    """The variable that says it, and what it says. Raises ConfigError when two of its names disagree."""
    for prefix in ("", FALLBACK):
        said: list[tuple[str, Any]] = []
        for variable in setting.variables:
            name = f"{prefix}{variable.name}"
            if text := environ.get(name):
                said.append((name, _read(variable.kind or setting.kind, text, f"{name}{suffix}")))
        for name, value in said[1:]:
            if _plain(value) != _plain(said[0][1]):
                first = said[0][0]
                raise ConfigError(
                    f"{first} says {setting.kind.shown(said[0][1])} and {name} says {setting.kind.shown(value)}"
                    f"{suffix}; both are {setting.name}, say it once"
                )
        if said:
            return said[0]
    return None


def _plain(value: Any) -> Any:
    return os.path.abspath(value) if isinstance(value, Path) else value


def _read(kind: Kind, text: str, where: str) -> Any:
    try:
        return kind.of_text(text)
    except ValueError as exc:
        raise ConfigError(f"{where} {exc}") from None


def _of_toml(setting: Setting, value: Any, path: Path) -> Any:
    if setting.name == "integrations":
        return msgspec.json.encode(value, enc_hook=str).decode()
    try:
        return setting.kind.of_toml(value, path.absolute().parent)
    except ValueError as exc:
        raise ConfigError(f"{path}: {setting.key} {exc}") from None


# -- what several settings say together --------------------------------------------------------------------------------


def _settle_database(found: dict[str, Found], *environs: Mapping[str, str]) -> None:
    """A variable that names a file says folder and name at once: where its folder does not count, its name does not."""
    database = found["database"]
    name = next((name for name in database.source.split() if name.endswith("RELAY_DB_PATH")), None)
    if name is None:
        return
    path = os.path.expanduser(next(environ[name] for environ in environs if environ.get(name)))
    if _plain(Path(path).parent) != _plain(found["data"].value):
        found["database"] = Found(database.setting, database.setting.default, DEFAULT, DEFAULT_RANK)


def _settle_token(found: dict[str, Found]) -> None:
    token, file = found["token"], found["token_file"]
    if token.rank == file.rank == OPTION_RANK:
        raise ConfigError("--token and --token-file are both given; one of them is enough")
    if file.value is None or token.rank <= file.rank:
        return
    value = _read(token.setting.kind, read_token(file.value), f"the token in {file.value}")
    found["token"] = Found(token.setting, value, f"token_file ({file.source})", file.rank)


# -- what a daemon is made of ------------------------------------------------------------------------------------------


def config_of(settings: Resolved) -> Config:
    """The settings of a daemon. Raises ConfigError when they can't be used together."""
    quotas = Limits(**{field: settings[name] for name, (field, _, _) in QUOTAS.items()})
    times = Times(
        stale_s=settings["stale_after"],
        prune_s=settings["prune_after"],
        retention_s=settings["retention"],
        reap_s=settings["reap_every"],
    )
    return Config(
        host=settings["host"],
        port=settings["port"],
        data=settings["data"],
        database=settings["database"],
        token=settings["token"],
        ask_token=settings["ask_token"],
        allow_unauth=settings["allow_unauth"],
        allow_hosts=settings["allow_hosts"],
        allow_origins=settings["allow_origins"],
        register_s=settings["register_timeout"],
        ping_s=settings["ping_interval"],
        pong_s=settings["ping_interval"],
        pair_grace_s=settings["pair_grace"],
        quotas=quotas,
        times=times,
        integrations=integrations_of(settings),
        integration_rate=settings["integration_rate"],
    )


def integrations_of(settings: Resolved) -> tuple[Integration, ...]:
    """Those of the file, and those of the environment or of config.toml. Raises ConfigError."""
    rate = settings["integration_rate"]
    found: tuple[Integration, ...] = ()
    try:
        file = settings["integrations_file"]
        if file is not None:
            found = read_integrations(read_text(file, "the integrations", private=False), str(file), rate)
        inline = settings.found["integrations"]
        if inline.value is not None:
            found += read_integrations(inline.value, _integrations_source(inline, settings), rate)
    except IntegrationError as exc:
        raise ConfigError(str(exc)) from None
    return found


def _integrations_source(inline: Found, settings: Resolved) -> str:
    if inline.rank == TOML_RANK:
        return f"{settings.config_file.path}: integrations"
    return inline.source.removeprefix("env ")
