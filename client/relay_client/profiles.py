"""The profiles file: what a user gives names to, so that one word says which relay, as whom, and found by what.

    ${XDG_CONFIG_HOME:-~/.config}/relay/profiles.json
    {"reviewer": {"url": "http://build:4850", "token_file": "reviewer.token", "agent": "rev-1", "label": "Reviewer",
                  "tags": ["ci"], "capabilities": ["review"], "channels": ["main"], "approval": "ask",
                  "meta": {"team": "core"}}}

Rules
- Every key may be left out; a key that is not of these is an error that names the nearest one.
- `token_file` is a path: absolute, with ~, or beside the profiles file. The token itself never stands in here.
- A profile is checked when it is used, so that a mistake in one leaves the others usable.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relay_proto.errors import RelayError

KEYS: Final[dict[str, str]] = {
    "url": "text",
    "token_file": "text",
    "agent": "text",
    "label": "text",
    "tags": "a list of texts",
    "capabilities": "a list of texts",
    "channels": "a list of texts",
    "approval": "text",
    "meta": "an object of texts, numbers, booleans and nulls",
}
"""What may stand in a profile, and what it must be."""
DEFAULT: Final = "default"
"""The profile that is used when none is named, if there is one of this name."""


class SettingsError(RelayError):
    """A setting is wrong; `str()` of it is one line that names where it stands, what it is and what would be right."""

    code = "bad_settings"
    meaning = "A setting of this client is wrong; the text names it and where it came from."


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. `values`: what was given, by the keys of the file; `path`: the file it stands in."""

    name: str
    path: Path
    values: Mapping[str, Any]


def config_folder(environ: Mapping[str, str]) -> Path | None:
    """Where the user's settings are: ${XDG_CONFIG_HOME:-~/.config}/relay; None for a user without a home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):  # a relative one is to be ignored, says the XDG specification
        return Path(base) / "relay"
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        return None
    return home / ".config" / "relay"


def profiles_path(environ: Mapping[str, str]) -> Path | None:
    """The profiles file, whether it is there or not; None for a user without a home."""
    folder = config_folder(environ)
    return None if folder is None else folder / "profiles.json"


def profile_names(environ: Mapping[str, str]) -> list[str]:
    """The names in the profiles file, as they stand there; empty when there is no file. Raises SettingsError."""
    path = profiles_path(environ)
    return [] if path is None else list(_read(path))


def find_profile(environ: Mapping[str, str], name: str | None, *, source: str = "") -> Profile | None:
    """The profile of this name; without a name the default one, or None when there is none.

    `source`: where the name came from, for the error. Raises SettingsError for a name that is not in the file, a file
    that can't be read, and a profile that is not what it must be.
    """
    path = profiles_path(environ)
    profiles = {} if path is None else _read(path)
    if name is None:
        if DEFAULT not in profiles:
            return None
        name = DEFAULT
    if name not in profiles or path is None:
        where = f" ({source})" if source else ""
        raise SettingsError(f"there is no profile {name[:80]!r}{where}; {_instead(name, profiles, path)}")
    return Profile(name, path, _checked(path, name, profiles[name]))


def _instead(name: str, profiles: Mapping[str, Any], path: Path | None) -> str:
    """What to do about a name that the file does not have."""
    if not profiles:
        is_there = path is not None and path.exists()
        return f"{path} has none" if is_there else f"{path or 'the profiles file'} is not there"
    near = difflib.get_close_matches(name, list(profiles), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"{path} has {', '.join(list(profiles)[:10])}"


def _read(path: Path) -> dict[str, Any]:
    """The profiles by their names, unchecked; empty when there is no file."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
            raise ValueError(f"{twice[:80]!r} stands there twice")
        return found

    def never(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        profiles = json.loads(path.read_bytes(), object_pairs_hook=once, parse_constant=never)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise SettingsError(f"{path} can't be read: {exc.strerror or exc}") from None
    except (ValueError, RecursionError) as exc:
        raise SettingsError(f"{path} is no JSON that can be used: {exc}") from None
    if not isinstance(profiles, dict):
        raise SettingsError(f'{path} holds {_kind(profiles)}; expected an object of profiles: {{"NAME": {{...}}}}')
    return profiles


def _checked(path: Path, name: str, profile: Any) -> dict[str, Any]:
    where = f"{path}, profile {name!r}"
    if not isinstance(profile, dict):
        raise SettingsError(f"{where} is {_kind(profile)}; expected an object of {', '.join(KEYS)}")
    for key, value in profile.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, [*KEYS, "caps"], n=1, cutoff=0.6)
            meant = "capabilities" if near == ["caps"] else near[0] if near else None
            hint = f"did you mean {meant!r}?" if meant else f"there are {', '.join(KEYS)}"
            raise SettingsError(f"{where}: there is no key {key[:80]!r}; {hint}")
        if not _fits(KEYS[key], value):
            raise SettingsError(f"{where}: {key} is {_kind(value)}; expected {KEYS[key]}")
    return profile


def _fits(kind: str, value: Any) -> bool:
    if kind == "text":
        return isinstance(value, str) and bool(value)
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, dict) and all(map(_is_plain, value.values()))


def _is_plain(value: Any) -> bool:
    """What may be a value in meta, and can be said to a relay: of numbers those that JSON elsewhere has, too."""
    if isinstance(value, float):
        return math.isfinite(value)  # 1e999 is read as infinity
    if isinstance(value, int):  # a boolean is one
        return -(2**63) <= value < 2**64
    return value is None or isinstance(value, str)


def _kind(value: Any) -> str:
    """A JSON value as words: what it is, and itself, cut."""
    text = json.dumps(value, ensure_ascii=True)
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return f"{names.get(type(value), 'a number')}, {text if len(text) <= 60 else text[:57] + '...'}"
