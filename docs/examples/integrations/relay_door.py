"""The relay's door, for connectors: post an event, and serve a webhook. The standard library is all it takes.

RELAY_URL names the relay, RELAY_TOKEN is the integration's token; on a relay that asks for none, RELAY_INTEGRATION
says whose the events are.
"""

import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY_BYTES_MAX = 25 * 1024 * 1024  # the largest webhook that GitHub sends
RELAY_S = 10.0
HEAD_S = 10.0


class Refused(Exception):
    """An event was not taken. `status`: what the relay said; 0 when it could not be asked."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def is_for_now(self) -> bool:
        """The same event may be taken later: the relay is away, busy, or has had enough for this minute."""
        return self.status == 0 or self.status == 429 or self.status >= 500


def post_event(**event: Any) -> dict[str, Any]:
    """POST /api/integrations/events; what it answers. Raises Refused."""
    url = os.environ.get("RELAY_URL", "http://localhost:4850").rstrip("/") + "/api/integrations/events"
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("RELAY_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    if integration := os.environ.get("RELAY_INTEGRATION"):
        event["integration"] = integration
    said = {name: value for name, value in event.items() if value is not None}
    request = urllib.request.Request(url, json.dumps(said).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=RELAY_S) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as exc:
        raise Refused(exc.code, exc.read(4096).decode(errors="replace")) from None
    except (OSError, http.client.HTTPException) as exc:
        raise Refused(0, f"the relay can't be asked: {exc}") from None


def resolve(dedupe_key: str, reason: str | None = None, key: str | None = None) -> None:
    """What this dedupe_key is about is over. That nobody knows of it any more is fine: somebody has seen to it.

    Said again with the same `key`, it ends nothing that was opened since."""
    try:
        post_event(status="resolved", dedupeKey=dedupe_key, reason=reason, idempotencyKey=key)
    except Refused as exc:
        if exc.status != 404:
            raise


class Rejected(Exception):
    """A webhook that is not taken, with the HTTP status that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


Hook = Callable[[Message, bytes], str]
"""What a webhook does with its headers and body; it answers a line for the sender's log."""


def serve(hook: Hook, port: int) -> None:
    """Take webhooks on 127.0.0.1 until stopped. 503: send it again later; 4xx: don't."""

    class Handler(BaseHTTPRequestHandler):
        timeout = HEAD_S

        def do_POST(self) -> None:
            try:
                status, text = 200, hook(self.headers, self._body())
            except Rejected as exc:
                status, text = exc.status, str(exc)
            except Refused as exc:
                status, text = (503 if exc.is_for_now else 502), f"the relay did not take it: {exc}"
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"{text}\n".encode())
            print(f"{self.headers.get('User-Agent', '-'):.40} {status} {text:.200}", flush=True)

        def _body(self) -> bytes:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                raise Rejected(411, "say Content-Length")
            if int(length) > BODY_BYTES_MAX:
                raise Rejected(413, f"more than {BODY_BYTES_MAX} bytes")
            return self.rfile.read(int(length))

        def log_message(self, format: str, *args: Any) -> None:
            """One line a webhook is enough, and it is written above."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(130)


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Rejected."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected(400, "the body is no JSON") from None
    if not isinstance(said, dict):
        raise Rejected(400, "the body is no JSON object")
    return said
