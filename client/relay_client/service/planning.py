"""What `relay setup` would do, from what is there already: the env file, the client's token file, the default profile.

Rules
- A token that is there is kept: whoever runs setup again changes nothing. `rotate` makes a new one.
- A file that holds what it should is not written again; in one that somebody edited, only what must change changes.
- What a client needs is left out where somebody decided otherwise: another default profile stays as it is, and so does
  a token file with another token in it.
"""

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from . import env_file
from .disks import disk_of
from .places import Places, data_folder, given
from .steps import Folder, Private, Step, Write

SECRET_MODE: Final = 0o600
PORT_MAX: Final = 65_535
PROFILE: Final = "default"
ABOUT: Final = """\
The settings of this user's relay, written by `relay setup`. Whoever can read this file can do everything at the relay.
All of them: relay config show. After a change: relay daemon restart."""


class SetupError(Exception):
    """What is there can't be worked with; `str()` of it is one line that says what and what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said on the command line. `fresh`: a token that was made for now, used if one is needed."""

    fresh: str
    port: int | None = None
    data: Path | None = None
    rotate: bool = False


@dataclass(slots=True)
class Plan:
    """`steps`: each with why, which is asked about. `kept`: what stays and why. `warnings`: what may go wrong later."""

    env: str
    settings: dict[str, str]
    data: Path
    url: str
    steps: list[tuple[str, Step]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan(places: Places, wanted: Wanted, *, default_port: int) -> Plan:
    """What is to be done. Raises SetupError, EnvFileError."""
    text = _read(places.env_file)
    before = {} if text is None else env_file.read(text, str(places.env_file))
    changes = _changes(before, wanted, places, default_port)
    if text is None:
        env = env_file.render(changes, ABOUT)
    else:
        env = env_file.changed(text, changes, str(places.env_file)) if changes else text
    settings = before | changes
    port = given(settings, "RELAY_PORT") or str(default_port)
    if not (re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and 1 <= int(port) <= PORT_MAX):
        raise SetupError(f"{places.env_file}: RELAY_PORT is no port from 1 to {PORT_MAX}; mend it, or say --port N")
    made = Plan(env, settings, data_folder(settings, places), f"http://{_reach(settings)}:{port}")
    _plan_env(made, places, text, before, changes)
    _plan_data(made)
    token = given(settings, "RELAY_TOKEN")
    if token:
        old = given(before, "RELAY_TOKEN")
        _plan_token_file(made, places, token, old if wanted.rotate else None)
        _plan_profile(made, places)
    else:
        made.kept.append("no token and no profile for clients: the relay's token is not in its env file")
    return made


def _changes(before: Mapping[str, str], wanted: Wanted, places: Places, default_port: int) -> dict[str, str]:
    """What the env file is to say that it does not say yet."""
    target: dict[str, str] = {}
    has_token = any(given(before, name) for name in ("RELAY_TOKEN", "RELAY_TOKEN_FILE", "RELAY_ASK_TOKEN"))
    if wanted.rotate or not has_token:
        target["RELAY_TOKEN"] = wanted.fresh
    if not given(before, "RELAY_HOST"):
        target["RELAY_HOST"] = "127.0.0.1"
    if wanted.port is not None or not given(before, "RELAY_PORT"):
        target["RELAY_PORT"] = str(default_port if wanted.port is None else wanted.port)
    if wanted.data is not None:
        if given(before, "RELAY_DB_PATH"):
            raise SetupError(
                f"{places.env_file} has RELAY_DB_PATH, which says where the data is; change that, not --data"
            )
        target["RELAY_DATA"] = str(wanted.data)
    elif not given(before, "RELAY_DATA") and not given(before, "RELAY_DB_PATH"):
        target["RELAY_DATA"] = str(places.data)
    return {name: value for name, value in target.items() if before.get(name) != value}


def _plan_env(made: Plan, places: Places, text: str | None, before: Mapping[str, str], changes: dict[str, str]) -> None:
    path = places.env_file
    write = Write(path, made.env, SECRET_MODE, shown=env_file.masked(made.env, str(path)), was=text)
    if text is None:
        made.steps.append(("the relay's settings, with a new token", write))
        return
    if changes:
        said = "a new token" if "RELAY_TOKEN" in changes else ""
        others = ", ".join(name for name in changes if name != "RELAY_TOKEN")
        why = " and ".join(part for part in (said, others) if part)
        made.steps.append((f"the relay's settings: {why}", write))
    else:
        made.kept.append(f"{path} stays as it is")
        _close(made, path)
    if given(before, "RELAY_TOKEN") and "RELAY_TOKEN" not in changes:
        made.kept.append("its token stays; --rotate-token makes a new one")


def _plan_data(made: Plan) -> None:
    disk = disk_of(made.data)
    if disk.concern:
        made.warnings.append(f"{made.data} is no place to keep data: {disk.concern}; --data DIR takes another folder")
    if _is_of_others(made.data):
        made.warnings.append(
            f"{made.data} holds other files, and a relay takes a folder of its own; --data DIR takes another"
        )
    if not made.data.exists():
        made.steps.append(("the folder that holds everything", Folder(made.data)))


def _plan_token_file(made: Plan, places: Places, token: str, replaces: str | None) -> None:
    path = places.token_file
    there = _read(path)
    held = None if there is None else there.strip()
    if held == token:
        _close(made, path)
    elif held is None or held == replaces or not held:
        shown = f"(a secret of {len(token)} characters)"
        made.steps.append(("the same token, for clients", Write(path, f"{token}\n", SECRET_MODE, shown, was=there)))
    else:
        made.warnings.append(
            f"{path} holds another token than {places.env_file}, and stays; remove it to have this one in it"
        )


def _plan_profile(made: Plan, places: Places) -> None:
    path = places.profiles_file
    text = _read(path)
    profiles = _profiles(path, text)
    profile = {"url": made.url, "token_file": str(places.token_file)}
    there = profiles.get(PROFILE)
    if there == profile:
        return
    if there is not None and not (isinstance(there, dict) and there.get("token_file") == profile["token_file"]):
        made.kept.append(
            f"the profile {PROFILE!r} of {path} is another one, and stays: clients find this relay with "
            f"RELAY_URL={made.url} RELAY_TOKEN_FILE={places.token_file}"
        )
        return
    profiles[PROFILE] = (there or {}) | profile
    content = json.dumps(profiles, indent=2, ensure_ascii=False) + "\n"
    write = Write(path, content, SECRET_MODE, was=text)
    made.steps.append((f"where clients find the relay: the profile {PROFILE!r}", write))


def _profiles(path: Path, text: str | None) -> dict[str, Any]:
    try:
        profiles = json.loads(text) if text is not None and text.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise SetupError(f"{path} is no JSON: {exc}; mend it, or move it away") from None
    if not isinstance(profiles, dict):
        raise SetupError(f"{path} does not hold an object of profiles; mend it, or move it away")
    return profiles


def _reach(settings: Mapping[str, str]) -> str:
    """The host by which this machine reaches a relay that is bound to RELAY_HOST."""
    host = given(settings, "RELAY_HOST") or "127.0.0.1"
    if host in ("0.0.0.0", "localhost"):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _is_of_others(folder: Path) -> bool:
    """Whether files lie there and none of a relay: it would refuse to start."""
    try:
        names = {path.name for path in folder.iterdir()} - {"lost+found"}
    except OSError:
        return False  # not there, or not to be looked at: the start says so
    return bool(names) and "relay.lock" not in names and not any(name.endswith(".db") for name in names)


def _close(made: Plan, path: Path) -> None:
    """A file of secrets that others can read is closed."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        made.steps.append(("others can read it", Private(path, SECRET_MODE)))


def _read(path: Path) -> str | None:
    """The text of a file; None when it is not there. Raises SetupError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
        raise SetupError(f"{path} can't be read: {why or exc}") from None
