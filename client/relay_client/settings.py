"""The settings of a client: which relay, with what token, as whom, found by what; and where each of them came from.

    settings = relay_client.settings.resolve()
    async with relay_client.connect(settings.url, agent=settings.agent or "me", token=settings.token or False,
                                    **settings.register()) as agent: ...

Rules
- Flags win over the environment, the environment over the profile, the profile over the defaults: setting by setting.
- Each RELAY_* name of the environment has a fallback, AGENT_RELAY_*, which is read when the first is not set. An empty
  one counts as not set. Lists are separated by commas.
- A token is either given or stands in a file that nobody else can read. Of the two the one nearer to the user wins; in
  one place, the token. The file is read when the token is asked for, not before.
- A profile's token is for the relay that the profile names. Where the URL was given otherwise, and is another place,
  the token is not sent there.
- Nothing here needs more than the standard library: programs, commands and the REPL share it.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from relay_proto import limits
from relay_proto.errors import BadRequest
from relay_proto.targets import AGENT_PATTERN, BROADCAST_WORDS, LABEL_PATTERN, NAME_PATTERN

from .address import DEFAULT_URL, Address, parse_url
from .profiles import Profile, SettingsError, find_profile

__all__ = ["SETTINGS", "TOKEN_PATTERN", "Setting", "Settings", "SettingsError", "Value", "read_token_file", "resolve"]

COMMAND_LINE: Final = "command line"
DEFAULT: Final = "default"
TOKEN_PATTERN: Final = rf"\A[\x21-\x7e]{{1,{limits.TOKEN_CHARS_MAX}}}\Z"
"""What may stand in a header."""
TOKEN_FILE_BYTES_MAX: Final = 4096
"""Bytes that are read of a token file: a token, and blank lines around it."""
FALLBACK: Final = "AGENT_"
"""What a name of the environment is preceded by in its fallback: AGENT_RELAY_URL."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `kind`: text, list or map; `key`: its name in a profile, "" where it has none there."""

    name: str
    env: tuple[str, ...]
    key: str
    help: str
    kind: str = "text"


SETTINGS: Final = (
    Setting("url", ("RELAY_URL",), "url", "The relay."),
    Setting("token", ("RELAY_TOKEN",), "", "What lets you in."),
    Setting("token_file", ("RELAY_TOKEN_FILE",), "token_file", "A file with the token, readable by you alone."),
    Setting("agent", ("RELAY_AS", "RELAY_AGENT_ID"), "agent", "Who you are."),
    Setting("label", ("RELAY_LABEL",), "label", "A name for people."),
    Setting("tags", ("RELAY_TAGS",), "tags", "Tags an agent registers with.", "list"),
    Setting("caps", ("RELAY_CAPS",), "capabilities", "Capabilities an agent registers with.", "list"),
    Setting("channels", ("RELAY_CHANNELS",), "channels", "Channels an agent follows.", "list"),
    Setting("approval", ("RELAY_APPROVAL",), "approval", "How its work is approved: a word in its meta."),
    Setting("meta", (), "meta", "What else others are to know of it.", "map"),
)
"""Every setting of a client, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it is. `value`: None when it is not set; a tuple for a list, a dict for meta.

    `source`: `command line`, `env RELAY_URL`, `profile NAME (PATH)` or `default`.
    """

    name: str
    value: Any
    source: str

    def __repr__(self) -> str:
        shown = "..." if self.name == "token" and self.value is not None else repr(self.value)  # it may get into a log
        return f"Value({self.name}={shown}, {self.source})"


class Settings:
    """What `resolve` found. `values` has every setting; the properties are those that a client connects with."""

    def __init__(self, values: Sequence[Value], profile: Profile | None) -> None:
        self.values = tuple(values)
        self.profile: str | None = None if profile is None else profile.name
        self._by_name = {value.name: value for value in values}
        self._token: str | None = None

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{value.name}: {value.source}' for value in self.values)})"  # never the token

    def __getitem__(self, name: str) -> Value:
        """One setting by its name in SETTINGS. Raises KeyError."""
        return self._by_name[name]

    def source(self, name: str) -> str:
        """Where a setting came from."""
        return self._by_name[name].source

    @property
    def url(self) -> str:
        """The relay's URL; the default one when nothing else was said."""
        url: str = self["url"].value
        return url

    @property
    def token(self) -> str | None:
        """The token, from wherever it came; reads the token file. Raises SettingsError."""
        given: str | None = self["token"].value
        path: str | None = self["token_file"].value
        if given is None and path is not None and self._token is None:
            self._token = read_token_file(path, self.source("token_file"))
        return given or self._token

    @property
    def agent(self) -> str | None:
        """Who one is; None when nothing says so."""
        agent: str | None = self["agent"].value
        return agent

    def register(self) -> dict[str, Any]:
        """What `connect` is to be called with beside URL, agent and token: of label, tags, caps, channels and meta
        those that were given. The approval is `meta["approval"]`."""
        given = {
            name: list(value) if isinstance(value := self[name].value, tuple) else value
            for name in ("label", "tags", "caps", "channels")
            if self[name].value is not None
        }
        meta = dict(self["meta"].value or {})
        if self["approval"].value is not None:
            meta["approval"] = self["approval"].value
        return given | ({"meta": meta} if meta else {})


def resolve(
    environ: Mapping[str, str] | None = None,
    profile: str | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings that hold: of `flags`, of `environ` (default: of this process), of the profile, or the defaults.

    profile: its name; default RELAY_PROFILE, else the profile called `default` where there is one. flags: settings by
    their names in SETTINGS, as someone said them to this program; None and empty lists count as not said.

    Raises SettingsError: a profile that is not there or is wrong, a value that can't be what it is given for. Whether
    the token file can be read is seen when the token is asked for.
    """
    environ = os.environ if environ is None else environ
    source = COMMAND_LINE
    if profile is None:
        profile, source = _from_env(environ, ("RELAY_PROFILE",))
    chosen = find_profile(environ, profile, source=source)
    layers = [_flag_layer(flags or {}), *_env_layers(environ), _profile_layer(chosen)]
    values = {setting.name: _first(setting, layers) for setting in SETTINGS}
    _one_token(values, layers)
    if chosen is not None:
        _keep_token_at_home(values, chosen)
    return Settings([values[setting.name] for setting in SETTINGS], chosen)


def read_token_file(path: str | os.PathLike[str], source: str = "") -> str:
    """The token that a file holds, which nobody but its owner may be able to read.

    Raises SettingsError, which names the file and where its name came from, and never repeats what is in it.
    """
    where = f"the token file {os.fspath(path)}{source and f' ({source})'}"
    try:
        with open(path, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SettingsError(f"{where} is no file")
            if status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                raise SettingsError(f"{where} can be used by others (mode {mode:04o}); chmod 600 makes it yours alone")
            text = file.read(TOKEN_FILE_BYTES_MAX).decode("ascii", "replace").strip()
    except (OSError, ValueError) as exc:  # ValueError: a path with a zero byte
        raise SettingsError(f"{where} can't be read: {getattr(exc, 'strerror', None) or exc}") from None
    if not re.match(TOKEN_PATTERN, text):
        raise SettingsError(f"{where} holds no token: 1-{limits.TOKEN_CHARS_MAX} printable characters without spaces")
    return text


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting: a pipe would let us wait for whoever writes to it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


# -- layers ----------------------------------------------------------------------------------------------------------

Layer = Mapping[str, Value]
"""The settings that one place gives, by their names."""


def _flag_layer(flags: Mapping[str, Any]) -> Layer:
    unknown = flags.keys() - {setting.name for setting in SETTINGS}
    if unknown:
        raise SettingsError(f"there is no setting {min(unknown)!r}; there are {', '.join(s.name for s in SETTINGS)}")
    layer = {}
    for setting in SETTINGS:
        value = flags.get(setting.name)
        if value is not None and value != () and value != []:
            layer[setting.name] = _value(setting, tuple(value) if setting.kind == "list" else value, COMMAND_LINE)
    return layer


def _from_env(environ: Mapping[str, str], names: Sequence[str]) -> tuple[str | None, str]:
    """The first of these names that is set, else the first of their fallbacks; and where it was found."""
    for name in (*names, *(FALLBACK + name for name in names)):
        if environ.get(name):
            return environ[name], f"env {name}"
    return None, DEFAULT


def _env_layers(environ: Mapping[str, str]) -> list[Layer]:
    layers: list[Layer] = []
    for prefix in ("", FALLBACK):
        layer = {}
        for setting in SETTINGS:
            name = next((prefix + name for name in setting.env if environ.get(prefix + name)), None)
            if name is not None:
                text = environ[name]
                value: Any = _words(text) if setting.kind == "list" else text
                layer[setting.name] = _value(setting, value, f"env {name}")
        layers.append(layer)
    return layers


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _profile_layer(profile: Profile | None) -> Layer:
    if profile is None:
        return {}
    source = f"profile {profile.name} ({profile.path})"
    layer = {}
    for setting in SETTINGS:
        if setting.key in profile.values:
            value = profile.values[setting.key]
            if setting.name == "token_file":
                value = str(profile.path.parent / os.path.expanduser(value))  # ~nobody stays, and is not found
            layer[setting.name] = _value(setting, tuple(value) if setting.kind == "list" else value, source)
    return layer


def _first(setting: Setting, layers: Sequence[Layer]) -> Value:
    default = Value(setting.name, DEFAULT_URL if setting.name == "url" else None, DEFAULT)
    return next((layer[setting.name] for layer in layers if setting.name in layer), default)


def _one_token(values: dict[str, Value], layers: Sequence[Layer]) -> None:
    """A token and a file for it: only the one that counts stays."""
    winner = next((name for layer in layers for name in ("token", "token_file") if name in layer), None)
    for name in ("token", "token_file"):
        if name != winner:
            values[name] = Value(name, None, DEFAULT)


def _keep_token_at_home(values: dict[str, Value], profile: Profile) -> None:
    home, given = profile.values.get("url"), values["url"].value
    is_theirs = values["token_file"].source.startswith("profile ")
    if is_theirs and home is not None and not _same_place(home, given):
        values["token_file"] = Value(
            "token_file", None, f"{DEFAULT} (that of profile {profile.name} is for {home}, not for {given})"
        )


def _same_place(one: str, other: str) -> bool:
    try:
        first, second = parse_url(one), parse_url(other)
    except BadRequest:
        return False
    hosts = {"localhost" if host in ("127.0.0.1", "::1") else host for host in (first.host, second.host)}
    return len(hosts) == 1 and _door(first) == _door(second)


def _door(address: Address) -> tuple[int, bool, str]:
    """What tells relays on one host apart: behind a proxy that may be the path alone."""
    return address.port, address.secure, urlsplit(address.uri).path


# -- what a value must be --------------------------------------------------------------------------------------------

_APPROVAL: Final = rf"\A[^\s\x00-\x1f\x7f-\x9f]{{1,{limits.NAME_CHARS_MAX}}}\Z"


def _value(setting: Setting, value: Any, source: str) -> Value:
    """The value, checked. Raises SettingsError, which says where it stands, what it is and what it must be."""
    where = f"{setting.name} ({source})"
    if setting.kind == "list":
        for word in value:
            if not re.match(NAME_PATTERN, word):
                raise SettingsError(
                    f"{where}: {word[:80]!r} is none; expected 1-{limits.NAME_CHARS_MAX} of A-Z a-z 0-9 . _ @ / : + # -"
                )
        if len(value) > limits.NAMES_MAX:
            raise SettingsError(f"{where}: {len(value)} of them; there may be {limits.NAMES_MAX}")
    elif setting.name == "url":
        try:
            parse_url(value)
        except BadRequest as exc:
            raise SettingsError(f"{where}: {exc.message}") from None
    elif setting.name == "token" and not re.match(TOKEN_PATTERN, value):
        raise SettingsError(
            f"{where}: that is no token; expected 1-{limits.TOKEN_CHARS_MAX} printable characters without spaces"
        )
    elif setting.name == "agent" and (not re.match(AGENT_PATTERN, value) or value in BROADCAST_WORDS):
        raise SettingsError(f"{where}: {value[:160]!r} is no agent id: 1-128 characters of A-Z a-z 0-9 . _ - @ /")
    elif setting.name == "label" and not re.match(LABEL_PATTERN, value):
        raise SettingsError(f"{where}: {value[:80]!r} is no label: 1-{limits.LABEL_CHARS_MAX} printable characters")
    elif setting.name == "approval" and not re.match(_APPROVAL, value):
        raise SettingsError(f"{where}: {value[:80]!r} is no word of 1-{limits.NAME_CHARS_MAX} characters")
    return Value(setting.name, value, source)
