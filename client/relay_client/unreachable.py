"""No relay was reached: what was tried, why it failed and what to do next, as one error. Pure."""

import errno
import re
import socket
from typing import Final

from relay_proto.errors import RelayError

from .address import Address
from .errors import Unreachable

_CALLED: Final = re.compile(r"\('([^']+)', (\d+)")
"""An address in what asyncio says of a connection that failed."""


def unreachable(address: Address, last: RelayError | None, attempts: int, took_s: float) -> Unreachable:
    """The error for a relay that was not reached in `attempts` attempts; `last` is how the last of them ended."""
    tried = "tried once" if attempts == 1 else f"tried {attempts} times"
    is_there = last is not None and last.detail.get("permanent")
    start = "" if is_there else "Is it running? `relay serve` starts one; "
    return Unreachable(
        f"no relay at {address.url}: {last or 'no answer'} ({tried} {address.uri} in {took_s:.1f} s). {start}"
        "another address goes into --url, RELAY_URL or a profile, in a program into url",
        detail={"url": address.url, "host": address.host, "port": address.port} | (last.detail if last else {}),
    )


def os_error_words(exc: OSError, address: Address) -> str:
    """Why a connection could not be made, with each address that was tried."""
    if isinstance(exc, socket.gaierror):
        return f"the host name {address.host} is not known here ({exc.strerror or exc})"
    tried = [f"{host} port {port}" for host, port in _CALLED.findall(str(exc))]
    kinds = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(exc))}
    if isinstance(exc, ConnectionRefusedError) or kinds == {errno.ECONNREFUSED}:
        return f"connection refused by {' and '.join(dict.fromkeys(tried))}" if tried else "connection refused"
    return exc.strerror or str(exc) or type(exc).__name__
