"""Where the files of a relay that runs as a user's service are. Pure: the environment is an argument.

${XDG_CONFIG_HOME:-~/.config}/relay/relay.env       the daemon's settings, its token among them (0600)
${XDG_CONFIG_HOME:-~/.config}/relay/token           the same token, for clients (0600)
${XDG_CONFIG_HOME:-~/.config}/relay/profiles.json   the profiles of clients
${XDG_DATA_HOME:-~/.local/share}/relay              the data folder
${XDG_CONFIG_HOME:-~/.config}/systemd/user/relay.service
~/Library/LaunchAgents/local.relay-broker.plist     and its log in ~/Library/Logs/relay
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNIT: Final = "relay.service"
LABEL: Final = "local.relay-broker"
"""What launchd calls the service."""


class PlacesError(Exception):
    """There is no place for the files; `str()` of it is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute paths; none of them need be there."""

    config: Path
    data: Path
    unit: Path
    plist: Path
    log: Path

    @property
    def env_file(self) -> Path:
        return self.config / "relay.env"

    @property
    def token_file(self) -> Path:
        return self.config / "token"

    @property
    def profiles_file(self) -> Path:
        return self.config / "profiles.json"


def find_places(environ: Mapping[str, str]) -> Places:
    """The places of the user whose environment this is. Raises PlacesError for a user without a home.

    An XDG variable that is not an absolute path is ignored, as the XDG specification asks for.
    """
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise PlacesError("there is no HOME, and this user has none; set HOME to a folder of this user's own") from None
    if not home.is_absolute():
        raise PlacesError(f"HOME is {str(home)!r}; it must be an absolute path")
    config = _base(environ, "XDG_CONFIG_HOME", home / ".config")
    return Places(
        config=config / "relay",
        data=_base(environ, "XDG_DATA_HOME", home / ".local" / "share") / "relay",
        unit=config / "systemd" / "user" / UNIT,
        plist=home / "Library" / "LaunchAgents" / f"{LABEL}.plist",
        log=home / "Library" / "Logs" / "relay" / "relay.log",
    )


def data_folder(settings: Mapping[str, str], places: Places) -> Path:
    """The data folder that these settings of a daemon name (the contents of its env file), else the usual one.

    A relative one is taken from where the service starts: the user's home, which is where `~` leads.
    """
    if folder := given(settings, "RELAY_DATA"):
        return _absolute(folder)
    if database := given(settings, "RELAY_DB_PATH"):
        return _absolute(database).parent
    return places.data


def given(settings: Mapping[str, str], name: str) -> str:
    """What the relay takes for a setting from these variables: its own name, then the fallback; "" for nothing."""
    return settings.get(name) or settings.get(f"AGENT_{name}") or ""


def _absolute(text: str) -> Path:
    return Path(os.path.normpath(Path.home() / Path(text)))


def _base(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else otherwise
