"""What `relay doctor` looks at about the service: is it in place, does it run, does it fit what is installed now.

Every check gives findings and raises nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from . import systemd
from .finding import Finding, fail, ok, warn
from .places import Places
from .running import MANAGERS, SYSTEMD, Manager, Status, manager_name
from .steps import StepError


def check_service(places: Places, data: Path) -> Iterator[Finding]:
    """The service of this user, if there is one."""
    name = manager_name()
    if name is None:
        yield ok("service", "there is neither systemd nor launchd here; relay serve runs a relay without them")
        return
    manager = MANAGERS[name](places)
    if not manager.file.exists():
        yield ok("service", f"not installed as a service of {name} (relay daemon install does that)")
        return
    if name == SYSTEMD:
        yield from _check_unit(manager.file, data)
    try:
        status = manager.status()
    except StepError as exc:
        yield warn("service", str(exc), "without that the service can't be looked at, nor started from here")
        return
    yield from _check_status(manager, status)


def _check_unit(file: Path, data: Path) -> Iterator[Finding]:
    """Whether what the unit starts is still there, and may write where the data is."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        yield fail("unit", f"{file} can't be read: {exc}", "relay daemon install writes it anew")
        return
    program, folder = systemd.program_of(text), systemd.writes_to(text)
    if program is None or not os.access(program, os.X_OK):
        yield fail("unit", f"{file} starts {program or 'nothing'}, which is not there", "relay daemon install mends it")
    elif folder is not None and folder != str(data):
        said = f"{file} lets the relay write to {folder} alone, and its data is in {data}"
        yield fail("unit", said, "relay daemon install mends it")
    else:
        yield ok("unit", f"{file} starts {program}")


def _check_status(manager: Manager, status: Status) -> Iterator[Finding]:
    said = f"{status.state} ({status.manager}{'' if status.pid is None else f', process {status.pid}'})"
    if not status.running:
        said += f", ended with {status.last_exit}" if status.last_exit else ""
        yield fail("service", said, "relay daemon start; relay daemon logs shows what it said")
    elif status.restarts:
        yield warn("service", f"{said}; started again {status.restarts} times", "relay daemon logs shows why it ended")
    else:
        yield ok("service", said)
    if status.enabled is False:
        yield warn("login", "the service does not start by itself", "relay daemon enable")
    elif status.lingers is False:
        yield warn("login", "the service ends when you log out", "loginctl enable-linger keeps it, from boot on")
