"""The unit of a relay as a service of one user's systemd. Pure: settings in, text out.

Rules
- Only what a user's manager may do. What takes capabilities away (PrivateDevices, ProtectKernelModules, ProtectClock,
  CapabilityBoundingSet) fails there with 218/CAPABILITIES. What makes a file system of its own (ProtectSystem,
  PrivateTmp) works since systemd 253, which then gives the service a user namespace; older ones ignore it. PrivateUsers
  itself is not said: where namespaces are forbidden, saying it makes the start fail, and not saying it does not.
- No secret in the unit: units are readable by everyone. The token is in the env file, which systemd reads.
- Every path is escaped: % is a specifier, $ a variable, and blanks part words.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
WATCHDOG_S: Final = 60
"""A relay that says nothing for so long hangs, and is restarted. It speaks at half of it, while turns go on."""
START_S: Final = 300
"""A large store that is brought to a new schema takes its time."""
STOP_S: Final = 20
"""The relay says goodbye within 5 s; the rest is for a slow disk."""
FILES: Final = 65_536
"""Each agent is one descriptor. A user's manager gives as many as its own hard limit allows."""
NEVER_AGAIN: Final = (2, 77, 78)
"""Exit statuses that another start would not mend: wrong settings, not allowed."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be run. `command`: absolute path and arguments; paths are absolute."""

    command: tuple[str, ...]
    env_file: Path
    data: Path


class UnitError(ValueError):
    """A path that can't stand in a unit; `str()` of it says which."""


def unit(service: Service) -> str:
    """The text of relay.service. Raises UnitError for a path with line breaks in it."""
    # With a /tmp of its own the service would not see a data folder, or a program, that is in everybody's.
    used = (service.data, service.env_file, Path(service.command[0]))
    private_tmp = not any(path.is_relative_to(tmp) for path in used for tmp in ("/tmp", "/var/tmp"))
    return f"""\
# Written by `relay daemon install`, which replaces it. Your own settings: systemctl --user edit relay
[Unit]
Description=Relay, the post office and work ledger of agents
StartLimitIntervalSec=120
StartLimitBurst=8

[Service]
Type=notify
NotifyAccess=main
EnvironmentFile={_path(service.env_file)}
ExecStart={_program(service.command[0])} {" ".join(map(_word, service.command[1:]))}
WatchdogSec={WATCHDOG_S}
TimeoutStartSec={START_S}
TimeoutStopSec={STOP_S}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus={" ".join(map(str, NEVER_AGAIN))}
UMask=0077
LimitNOFILE={FILES}
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths="-{_quoted(str(service.data))}"
PrivateTmp={"yes" if private_tmp else "no"}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def _program(text: str) -> str:
    """The first word of a command line: no variable is looked for in it, and so no $ doubled."""
    if any(char in text for char in "\"'\\"):
        raise UnitError(f"systemd starts no program with a quote or a backslash in its path, and this is {text!r}")
    return _plain_or_quoted(text)


def _word(text: str) -> str:
    """Any other word of a command line."""
    return _plain_or_quoted(text.replace("$", "$$"))


def _plain_or_quoted(text: str) -> str:
    plain = text.isascii() and all(char.isalnum() or char in "/._-=:@,+" for char in text)
    return text if plain and text else f'"{_quoted(text)}"'


def _quoted(text: str) -> str:
    """The inside of double quotes."""
    return checked(text).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')


def _path(path: Path) -> str:
    """A path that is all of a line, where it is a pattern as well: its wildcards are said literally."""
    text = checked(str(path)).replace("%", "%%").replace("\\", "\\\\")
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def checked(text: str) -> str:
    """The same text. Raises UnitError for one with line breaks or other control characters in it."""
    if CONTROL.search(text):
        raise UnitError(f"{text!r} has a line break or another control character in it, which no service can have")
    return text


def parse_show(text: str) -> dict[str, str]:
    """What `systemctl show` said, as NAME=value lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def program_of(text: str) -> str | None:
    """The program that a unit of ours starts, out of its text; None where no line says so."""
    found = re.search(r'^ExecStart=(?:"((?:[^"\\\n]|\\.)*)"|(\S+))', text, re.MULTILINE)
    if found is None:
        return None
    return re.sub(r"\\(.)", r"\1", found[1] or found[2]).replace("%%", "%")


def writes_to(text: str) -> str | None:
    """The data folder that a unit of ours lets the relay write to, out of its text."""
    found = re.search(r'^ReadWritePaths="-((?:[^"\\\n]|\\.)*)"', text, re.MULTILINE)
    return None if found is None else re.sub(r"\\(.)", r"\1", found[1]).replace("%%", "%")
