"""Who keeps the relay running: systemd for a user, or launchd; both behind one set of words.

install  start  stop  restart  enable  disable  uninstall   ->  steps (steps.py), to be shown or done
logs                                                       ->  a command that takes this process's place
status                                                     ->  what there is to know, asked of the manager
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from . import launchd, systemd
from .places import LABEL, UNIT, Places
from .steps import Folder, Remove, Run, Step, StepError, Write, output_of
from .systemd import Service

SYSTEMD: Final = "systemd"
LAUNCHD: Final = "launchd"
BOOTSTRAP_TRIES: Final = 8
SCRIPT_BYTES_MAX: Final = 4096
"""What an installer writes to start a function is far smaller."""


@dataclass(slots=True)
class Status:
    """The service as its manager sees it. `state`: the manager's own word; `detail`: what else it said."""

    manager: str
    installed: bool
    running: bool
    state: str
    pid: int | None = None
    enabled: bool | None = None
    since: str | None = None
    restarts: int | None = None
    last_exit: str | None = None
    said: str | None = None
    file: str | None = None
    lingers: bool | None = None
    detail: dict[str, str] = field(default_factory=dict)


class Manager(Protocol):
    """systemd or launchd. No method changes anything: steps are what would be done."""

    name: str
    file: Path
    """Where the unit or the plist is."""

    def install(self, service: Service) -> list[Step]: ...
    def uninstall(self) -> list[Step]: ...
    def start(self) -> list[Step]: ...
    def stop(self) -> list[Step]: ...
    def restart(self) -> list[Step]: ...
    def enable(self) -> list[Step]: ...
    def disable(self) -> list[Step]: ...
    def logs(self, lines: int, follow: bool) -> tuple[str, ...]: ...
    def question(self) -> tuple[str, ...]: ...
    def status(self) -> Status: ...
    def explain(self, step: Run, said: str) -> str: ...


def systemctl(*words: str, may_fail: bool = False) -> Run:
    return Run(("systemctl", "--user", *words), may_fail)


class Systemd:
    """A unit of this user's systemd."""

    name = SYSTEMD

    def __init__(self, places: Places) -> None:
        self.file = places.unit

    def install(self, service: Service) -> list[Step]:
        return [
            Folder(service.data),
            Write(self.file, systemd.unit(service)),
            systemctl("daemon-reload"),
            systemctl("reset-failed", UNIT, may_fail=True),
            systemctl("enable", UNIT),
            systemctl("restart", UNIT),
        ]

    def uninstall(self) -> list[Step]:
        return [
            systemctl("disable", "--now", UNIT, may_fail=True),
            Remove(self.file),
            systemctl("daemon-reload"),
            systemctl("reset-failed", UNIT, may_fail=True),
        ]

    def start(self) -> list[Step]:
        return [systemctl("start", UNIT)]

    def stop(self) -> list[Step]:
        return [systemctl("stop", UNIT)]

    def restart(self) -> list[Step]:
        return [systemctl("reset-failed", UNIT, may_fail=True), systemctl("restart", UNIT)]

    def enable(self) -> list[Step]:
        return [systemctl("enable", UNIT)]

    def disable(self) -> list[Step]:
        return [systemctl("disable", UNIT)]

    def logs(self, lines: int, follow: bool) -> tuple[str, ...]:
        # Not `journalctl --user`: that looks for a journal of the user's own, which small systems do not keep.
        return (
            "journalctl", f"--user-unit={UNIT}", f"--lines={lines}", "--no-pager",
            *(["--follow"] if follow else []),
        )  # fmt: skip

    def question(self) -> tuple[str, ...]:
        wanted = (
            "LoadState,ActiveState,SubState,MainPID,UnitFileState,ActiveEnterTimestamp,NRestarts,Result,StatusText,"
            "ExecMainStatus,FragmentPath"
        )
        return systemctl("show", UNIT, f"--property={wanted}").command

    def status(self) -> Status:
        step = Run(self.question())
        code, out, err = output_of(step.command)
        if code:
            raise StepError(_failed(step, code, err, self.explain))
        found = systemd.parse_show(out)
        active = found.get("ActiveState", "unknown")
        result = found.get("Result", "")
        return Status(
            manager=SYSTEMD,
            installed=self.file.exists() or found.get("LoadState") == "loaded",
            running=active in ("active", "reloading"),
            state=f"{active} ({found['SubState']})" if found.get("SubState") else active,
            pid=_number(found.get("MainPID")),
            enabled=found.get("UnitFileState") in ("enabled", "enabled-runtime") if "UnitFileState" in found else None,
            since=found.get("ActiveEnterTimestamp") or None,
            restarts=int(found["NRestarts"]) if found.get("NRestarts", "").isdigit() else None,
            last_exit=f"{result}, status {found.get('ExecMainStatus', '?')}" if result not in ("", "success") else None,
            said=found.get("StatusText") or None,
            file=found.get("FragmentPath") or str(self.file),
            lingers=lingers(),
        )

    def explain(self, step: Run, said: str) -> str:
        if "bus" in said and ("connect" in said or "No medium found" in said):
            return (
                "there is no session of this user's systemd here: log in as the user itself (ssh, or machinectl shell "
                "USER@), or keep its systemd running with `sudo loginctl enable-linger USER` and set "
                f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}"
            )
        if "not found" in said or "not loaded" in said or "does not exist" in said:
            elsewhere = f"{self.file} is there, and systemd looks elsewhere: its XDG_CONFIG_HOME is not this shell's"
            return elsewhere if self.file.exists() else "relay daemon install makes it"
        if step.command[2:3] and step.command[2] in ("start", "restart"):
            return "relay daemon logs shows why"
        return ""


class Launchd:
    """A launch agent of this user. `domain`: gui/UID, or user/UID where nobody is logged in at the screen."""

    name = LAUNCHD

    def __init__(self, places: Places) -> None:
        self.file = places.plist
        self.log = places.log
        self.home = self.file.parents[2]

    @property
    def domain(self) -> str:
        uid = os.getuid()
        code, _, _ = output_of(("launchctl", "print", f"gui/{uid}"))
        return f"gui/{uid}" if code in (0, 127) else f"user/{uid}"

    @property
    def target(self) -> str:
        return f"{self.domain}/{LABEL}"

    def install(self, service: Service) -> list[Step]:
        domain = self.domain
        return [
            Folder(service.data),
            Folder(self.log.parent),
            Write(self.file, launchd.plist(service, self.log, self.home).decode()),
            Run(("launchctl", "bootout", f"{domain}/{LABEL}"), may_fail=True),
            Run(("launchctl", "enable", f"{domain}/{LABEL}")),
            self._bootstrap(domain),
        ]

    def uninstall(self) -> list[Step]:
        return [Run(("launchctl", "bootout", self.target), may_fail=True), Remove(self.file)]

    def start(self) -> list[Step]:
        domain = self.domain
        if self._loaded(domain):
            return [Run(("launchctl", "kickstart", f"{domain}/{LABEL}"))]
        return [self._bootstrap(domain)]

    def stop(self) -> list[Step]:
        return [Run(("launchctl", "bootout", self.target))]

    def restart(self) -> list[Step]:
        domain = self.domain
        if self._loaded(domain):
            return [Run(("launchctl", "kickstart", "-k", f"{domain}/{LABEL}"))]
        return [self._bootstrap(domain)]

    def enable(self) -> list[Step]:
        return [Run(("launchctl", "enable", self.target))]

    def disable(self) -> list[Step]:
        return [Run(("launchctl", "disable", self.target))]

    def logs(self, lines: int, follow: bool) -> tuple[str, ...]:
        return ("tail", "-n", str(lines), *(["-F"] if follow else []), str(self.log))

    def question(self) -> tuple[str, ...]:
        return ("launchctl", "print", self.target)

    def status(self) -> Status:
        target = self.target
        code, out, err = output_of(("launchctl", "print", target))
        if code == 127:
            raise StepError(err)
        found = launchd.parse_print(out) if code == 0 else {}
        state = found.get("state", "not loaded")
        last = found.get("last exit code", "")
        return Status(
            manager=LAUNCHD,
            installed=self.file.exists(),
            running=state == "running",
            state=state,
            pid=_number(found.get("pid")),
            enabled=self._enabled(target),
            restarts=max(0, int(found["runs"]) - 1) if found.get("runs", "").isdigit() else None,
            last_exit=f"status {last}" if last not in ("", "0", "(never exited)") else None,
            file=str(self.file),
        )

    def _enabled(self, target: str) -> bool | None:
        code, out, _ = output_of(("launchctl", "print-disabled", target.rpartition("/")[0]))
        line = next((line for line in out.splitlines() if f'"{LABEL}"' in line), "") if code == 0 else ""
        return None if code else not line.rstrip().endswith(("true", "disabled"))

    def _loaded(self, domain: str) -> bool:
        return output_of(("launchctl", "print", f"{domain}/{LABEL}"))[0] == 0

    def _bootstrap(self, domain: str) -> Run:
        # A job that was just booted out may still be going: launchd then says 5 or 37, and means "not yet".
        return Run(("launchctl", "bootstrap", domain, str(self.file)), tries=BOOTSTRAP_TRIES)

    def explain(self, step: Run, said: str) -> str:
        if not self.file.exists():
            return "relay daemon install makes it"
        if "bootstrap" in step.command:
            return "a job that is disabled is not loaded: relay daemon enable; relay daemon logs shows what it said"
        return ""


MANAGERS: Final[Mapping[str, Callable[[Places], Manager]]] = {SYSTEMD: Systemd, LAUNCHD: Launchd}


def manager_name() -> str | None:
    """Which of them this machine has; None for neither (a container, another init)."""
    if sys.platform == "darwin" or (shutil.which("launchctl") and not shutil.which("systemctl")):
        return LAUNCHD
    return SYSTEMD if shutil.which("systemctl") else None


def lingers() -> bool | None:
    """Whether this user's services run while the user is not logged in; None where nobody can say."""
    code, out, _ = output_of(("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"))
    return {"yes": True, "no": False}.get(out.strip()) if code == 0 else None


def command() -> tuple[str, ...]:
    """How this very `relay` is started by somebody else: by absolute paths, past any PATH.

    The script beside this Python, where there is one: it shows what it is in `ps`. Links are not followed: what a venv
    or a tool's folder links to changes with each upgrade of Python, while the link stays. Beside a Python of the
    system's there may be a program of somebody else that is called so: it is looked into.
    """
    script = Path(sys.executable).parent / "relay"
    if _is_ours(script):
        return (str(script), "serve")
    return (
        sys.executable,
        "-P",
        "-m",
        "relay_client.cli",
        "serve",
    )  # -P: modules of the working folder are none of ours


def _is_ours(script: Path) -> bool:
    try:
        with script.open("rb") as file:
            return os.access(script, os.X_OK) and b"relay_client" in file.read(SCRIPT_BYTES_MAX)
    except OSError:
        return False


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and text != "0" else None


def _failed(step: Run, code: int, err: str, explain: Callable[[Run, str], str]) -> str:
    said = " ".join(err.split())[:600]
    more = explain(step, said)
    return f"{' '.join(step.command)} failed with status {code}: {said}" + (f"; {more}" if more else "")
