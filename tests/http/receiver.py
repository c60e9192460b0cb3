"""A receiver of callbacks: a real HTTP server that checks the signature and knows a repetition by its event id."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

WAIT_S = 20.0


class Call(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def event(self) -> str:
        return str(self.body["event"])

    @property
    def task(self) -> int:
        return int(self.body["task"]["id"])


class Reply(NamedTuple):
    """What the receiver answers."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever called was killed: that is what some tests are about."""


class Receiver:
    """Listens until it is closed. `reply`: what it answers to a call, by what it is; `calls`: all that came, in order;
    `accepted`: the bodies that it took, each event id once."""

    def __init__(self, secret: str | None = None, port: int = 0) -> None:
        self.secret = secret
        self.reply: Callable[[Call], Reply] = lambda call: Reply()
        self.calls: list[Call] = []
        self.accepted: list[dict[str, Any]] = []
        self.forged: list[Call] = []
        self._ids: set[str] = set()
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = receiver._take(self.path, dict(self.headers.items()), body)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                try:
                    self.wfile.write(reply.body)
                except OSError:
                    self.close_connection = True  # it had read enough

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/relay"

    def _take(self, path: str, headers: dict[str, str], data: bytes) -> Reply:
        headers = {name.lower(): value for name, value in headers.items()}
        call = Call(path, headers, json.loads(data))
        if self.secret is not None and not self._is_signed(headers, data):
            self.forged.append(call)
            return Reply(401)
        reply = self.reply(call)
        with self._changed:
            self.calls.append(call)
            if 200 <= reply.status < 300 and headers["x-relay-event-id"] not in self._ids:
                self._ids.add(headers["x-relay-event-id"])
                self.accepted.append(call.body)
            self._changed.notify_all()
        return reply

    def _is_signed(self, headers: dict[str, str], data: bytes) -> bool:
        assert self.secret is not None
        said = f"{headers['x-relay-timestamp']}.".encode() + data
        mac = hmac.new(self.secret.encode(), said, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"sha256={mac}", headers.get("x-relay-signature", ""))

    def wait(self, holds: "Callable[[Receiver], bool]", within_s: float = WAIT_S) -> None:
        """Until something holds of what came; fails when it does not in time."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), within_s), [call.event for call in self.calls]

    def events(self) -> list[str]:
        """What it took, in order."""
        return [body["event"] for body in self.accepted]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
