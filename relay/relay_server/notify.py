"""What the daemon tells the service manager that started it: sd_notify(3), without its library.

    READY=1      it listens              STOPPING=1   it has begun to stop
    STATUS=..    a line for people       WATCHDOG=1   it is well, said at half of WATCHDOG_USEC

Rules
- Without NOTIFY_SOCKET nothing is said, and a manager that does not listen any more harms nobody.
- The watchdog is told by the daemon's one timer, so a loop that hangs tells it nothing; and only while what was begun
  goes on: a turn or a look-up that the store has not answered for half of that time is no sign of health.
- A store that hangs can't be asked whether it does. So what is under way is noted here before the store is asked.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

import structlog

log = structlog.get_logger("relay")

UNIX_PATH_BYTES_MAX: Final = 107
SAY_S: Final = 0.2
"""How long a manager that is behind may hold up the loop, before it is not told."""


class Notifier:
    """A datagram to the manager for each thing it is told. `watchdog_s`: within what it wants to hear; None: never."""

    __slots__ = ("_address", "_is_heard", "_socket", "watchdog_s")

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        """`address`: a path, or @ and an abstract name. One that is neither is said once, and then nothing is."""
        self._address = _unix_address(address) if address else None
        self._socket: socket.socket | None = None
        self._is_heard = True
        self.watchdog_s = watchdog_s if self._address is not None else None
        if address and self._address is None:
            log.warning("NOTIFY_SOCKET is no address this relay knows; the service manager is told nothing", at=address)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Notifier":
        """The manager that the environment names, if this process is the one it watches."""
        text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_mine = not pid or pid == str(os.getpid())
        is_number = text.isascii() and text.isdigit() and int(text) > 0
        return cls(environ.get("NOTIFY_SOCKET"), int(text) / 1e6 if is_mine and is_number else None)

    def say(self, *lines: str) -> None:
        """One message: `READY=1`, `STATUS=..`. A line has no line ends."""
        if self._address is None:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(SAY_S)
        try:
            self._socket.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)
            self._is_heard = True
        except OSError as exc:
            if self._is_heard:
                log.warning("the service manager could not be told", what=lines[0], error=str(exc))
            self._is_heard = False

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _unix_address(address: str) -> str | None:
    """The address as the kernel takes it; None for one of another kind."""
    if address[0] not in "/@" or len(os.fsencode(address)) > UNIX_PATH_BYTES_MAX:
        return None
    return f"\0{address[1:]}" if address[0] == "@" else address


class Watchdog:
    """Says that the daemon is well, while what it has begun goes on."""

    __slots__ = ("_every_s", "_notifier", "_now", "_since", "is_stuck")

    def __init__(self, notifier: Notifier, now: Callable[[], float]) -> None:
        self._notifier = notifier
        self._now = now
        self._every_s = (notifier.watchdog_s or 0.0) / 2
        self._since: dict[str, float] = {}
        self.is_stuck = False

    @property
    def first_s(self) -> float | None:
        """When to call `tell` first, in seconds from now; None: never."""
        return self._every_s or None

    def begin(self, work: str) -> None:
        """The store is asked for this."""
        if self._every_s:
            self._since[work] = self._now()

    def end(self, work: str) -> None:
        """The store has answered it."""
        self._since.pop(work, None)

    def tell(self, nothing: None, now: float) -> float:
        """The timer's: tell the manager, unless something hangs; gives when to do so next."""
        hanging = [work for work, since in self._since.items() if now - since >= self._every_s]
        if not hanging:
            self._notifier.say("WATCHDOG=1", *(["STATUS=the store answers again"] if self.is_stuck else []))
        elif not self.is_stuck:
            log.error("the store does not answer; the watchdog is told nothing", waiting=hanging, s=self._every_s)
            self._notifier.say(f"STATUS=the store does not answer ({', '.join(hanging)})")
        self.is_stuck = bool(hanging)
        return now + self._every_s
