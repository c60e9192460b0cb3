"""The property list of a relay as a launch agent of one macOS user. Pure: settings in, bytes out.

Rules
- No secret in it: `relay serve` reads the env file itself (--env-file).
- It is started at login and again whenever it ends in failure. A stop is a bootout: a job that is only killed would be
  started again by the next login alone, and nobody could tell that from one that is to run.
- launchd has no readiness and no watchdog, and does not turn logs over (docs/operating.md says how newsyslog does).
"""

import plistlib
import re
from pathlib import Path
from typing import Final

from .places import LABEL
from .systemd import FILES, STOP_S, Service, checked

THROTTLE_S: Final = 10
"""Between two starts of one that fails: launchd knows no number of starts after which it gives up."""


def plist(service: Service, log: Path, home: Path) -> bytes:
    """The plist, as XML. `service.command` is given --env-file here. Raises UnitError, as a unit does."""
    for text in map(str, (*service.command, service.env_file, log, home)):
        checked(text)
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [*service.command, "--env-file", str(service.env_file)],
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": THROTTLE_S,
            "ExitTimeOut": STOP_S,
            "ProcessType": "Standard",
            "Umask": 0o077,
            "WorkingDirectory": str(home),
            "SoftResourceLimits": {"NumberOfFiles": FILES},
            "StandardOutPath": str(log),
            "StandardErrorPath": str(log),
        },
        sort_keys=False,
    )


def parse_print(text: str) -> dict[str, str]:
    """What `launchctl print` said of a job: its `name = value` lines, without those of what stands nested in it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if (matched := re.match(r"\t?([a-z][a-z ()]*?) = (.*)\Z", line)) and matched[2] != "{":
            found.setdefault(matched[1], matched[2])
    return found
