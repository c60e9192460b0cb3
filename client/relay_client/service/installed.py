"""How this relay came onto this machine, and the command that brings it up to date. Pure but for reading small files.

    editable checkout   direct_url.json says editable: git pull is the upgrade, and ours to refuse
    uv tool             <prefix>/uv-receipt.toml
    pipx                <prefix>/pipx_metadata.json
    uv in a venv        INSTALLER says uv
    pip in a venv       any other venv
    pip                 outside of a venv: for this user, or refused where the system manages its own Python (PEP 668)

What was not installed from an index (a wheel's path, a git repository) is installed from there again.
"""

import json
import os
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from shlex import quote
from typing import Any, Final

PROJECT: Final = "relay-broker"
EDITABLE: Final = "editable checkout"
UV_TOOL: Final = "uv tool"
PIPX: Final = "pipx"
UV_PIP: Final = "uv pip"
PIP: Final = "pip"
MANAGED: Final = "a Python that the system manages"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where this Python is. `which`: finds a program on the PATH."""

    prefix: Path
    base_prefix: Path
    python: Path
    which: Callable[[str], str | None] = shutil.which
    managed: bool = False
    user: bool = False


@dataclass(frozen=True, slots=True)
class Installed:
    """`by`: who installed it. `source`: from what, where that is no index.

    `command`: what upgrades it; None where that is not ours to do, and `instead` says what to do then.
    """

    version: str
    by: str
    command: tuple[str, ...] | None
    instead: str | None = None
    source: str | None = None


def this_machine(prefix: str, base_prefix: str, python: str) -> Machine:
    """The machine as this process sees it."""
    outside = prefix == base_prefix
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return Machine(Path(prefix), Path(base_prefix), Path(python), managed=outside and marker.exists(), user=_is_users())


def find_distribution() -> metadata.Distribution | None:
    """The metadata of what runs here; None for a source tree that was never installed."""
    try:
        return metadata.distribution(PROJECT)
    except metadata.PackageNotFoundError:
        return None


def _is_users() -> bool:
    found = find_distribution()
    site = Path(sysconfig.get_path("purelib", f"{os.name}_user"))
    return found is not None and Path(str(found.locate_file(""))) == site


def detect(machine: Machine, distribution: metadata.Distribution | None) -> Installed:
    """Who installed this, and what upgrades it."""
    if distribution is None:
        hint = "this runs from a source tree that was not installed: git pull there, or pip install relay-broker"
        return Installed("unknown", UNKNOWN, None, hint)
    version = distribution.version
    direct = _json(distribution.read_text("direct_url.json"))
    source, folder = _source(direct)
    if folder is not None:
        there = f"git -C {quote(folder)} pull, then {machine.python} -m pip install --editable {quote(folder)}"
        return Installed(version, EDITABLE, None, f"this is an editable checkout: {there}", source)
    if (machine.prefix / "uv-receipt.toml").is_file():
        return _with(machine, Installed(version, UV_TOOL, ("uv", "tool", "upgrade", PROJECT), source=source))
    if (machine.prefix / "pipx_metadata.json").is_file():
        known = _json(_text(machine.prefix / "pipx_metadata.json"))
        name = machine.prefix.name if isinstance(known, dict) else PROJECT
        return _with(machine, Installed(version, PIPX, ("pipx", "upgrade", name), source=source))
    wanted = ("--upgrade", source or PROJECT) if source is None else ("--force-reinstall", "--no-deps", source)
    if (distribution.read_text("INSTALLER") or "").strip() == "uv":
        reinstall = ("--upgrade", PROJECT) if source is None else ("--reinstall-package", PROJECT, source)
        command = ("uv", "pip", "install", "--python", str(machine.python), *reinstall)
        return _with(machine, Installed(version, UV_PIP, command, source=source))
    if machine.managed and not machine.user:
        hint = "it belongs to the system's packages: upgrade it with those, or install it with pipx or uv tool instead"
        return Installed(version, MANAGED, None, hint, source)
    user = ("--user",) if machine.user else ()
    return Installed(version, PIP, (str(machine.python), "-m", "pip", "install", *user, *wanted), source=source)


def _with(machine: Machine, found: Installed) -> Installed:
    """The same, if the program of its command is there."""
    assert found.command is not None
    program = found.command[0]
    if machine.which(program):
        return found
    hint = f"it was installed by {found.by}, and there is no {program} on the PATH; with it: {' '.join(found.command)}"
    return Installed(found.version, found.by, None, hint, found.source)


def _source(direct: Any) -> tuple[str | None, str | None]:
    """What pip can install again, and the folder of an editable checkout; None where it came from an index."""
    if not isinstance(direct, dict) or not isinstance(direct.get("url"), str):
        return None, None
    url: str = direct["url"]
    about = direct.get("dir_info")
    if isinstance(about, dict) and about.get("editable"):
        from urllib.parse import unquote, urlsplit

        return url, unquote(urlsplit(url).path)
    vcs = direct.get("vcs_info")
    if isinstance(vcs, dict):
        wanted = vcs.get("requested_revision")
        return f"{PROJECT} @ {vcs.get('vcs', 'git')}+{url}" + (f"@{wanted}" if wanted else ""), None
    return url, None


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
