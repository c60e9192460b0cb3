"""A peer that says what it likes: bytes on a socket, and what comes back."""

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

from tests.daemon import Daemon

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"


@dataclass
class Answer:
    """One answer. `content` is its JSON."""

    status: int
    headers: dict[str, str]
    content: Any


class Raw:
    """One connection, closed when the test ends it or the relay does."""

    def __init__(self, daemon: Daemon, timeout_s: float = 15.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), timeout=timeout_s)
        self.opened_at = time.monotonic()
        self._read = b""
        self.ended = False

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *parts: bytes) -> "Raw":
        """Send; when the relay does not listen any more, that is not the test's business: its answer is."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what it said before it ended is still there to be read
        return self

    def hear(self) -> Answer | None:
        """The next answer; None when the connection ended instead. Fails when neither comes."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return None
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        while len(self._read) < length:
            assert self._more(), "it ended within an answer"
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(first.split()[1]), headers, json.loads(body) if body else None)

    def hears_the_end(self) -> bool:
        """Whether the relay ends it, with no further word."""
        while self._more():
            pass
        return self.ended and not self._read

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self._read += data
        return bool(data)


def request(method: bytes, path: bytes, *lines: bytes, body: bytes | None = None) -> bytes:
    """The bytes of a request to this machine's relay; a body comes with its length."""
    head = b"%s %s HTTP/1.1\r\n%s" % (method, path, HOST) + b"".join(line + b"\r\n" for line in lines)
    if body is None:
        return head + b"\r\n"
    return head + JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body
