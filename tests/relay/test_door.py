"""door.py and http/app.py: the HTTP side of the port."""

import contextlib
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.daemon import Daemon


def get(daemon: Daemon, path: str, **headers: str) -> tuple[int, dict[str, object] | bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body.startswith(b"{") else body
    finally:
        connection.close()


def test_healthz_and_readyz_answer(daemon: Daemon) -> None:
    status, body = get(daemon, "/healthz")
    assert status == 200
    assert isinstance(body, dict)
    assert body["status"] == "ok"
    assert get(daemon, "/readyz") == (200, {"status": "ready", "agents": 0})
    assert get(daemon, "/nothing")[0] == 404


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
def test_a_web_page_gets_nothing(daemon: Daemon, headers: dict[str, str]) -> None:
    assert get(daemon, "/readyz", **headers)[0] == 403


def test_an_endless_request_head_is_refused(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as flood:
        flood.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        try:
            for _ in range(200):
                flood.sendall(b"X-Flood: " + b"y" * 1000 + b"\r\n")
            answer = flood.recv(1000)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was cut while we were still talking: refused all the same
    assert answer in (b"",) or b"431" in answer
    assert get(daemon, "/healthz")[0] == 200


@pytest.mark.parametrize("waits", ["/api/messages?for=ann&unread=true&wait=50", "/api/events?for=ann"])
def test_who_goes_with_requests_behind_a_slow_one_is_noticed(daemon: Daemon, waits: str) -> None:
    """The connection is not read while requests wait in it, so its end does not come by itself."""

    def figure(name: str) -> float:
        text = urllib.request.urlopen(f"{daemon.url}/metrics").read().decode()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))

    name = "relay_long_polls" if "wait=" in waits else "relay_streams"
    request = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
        connection.sendall(request.format(waits).encode())
        until(lambda: figure(name) == 1)
        connection.sendall(request.format("/healthz").encode() * 3)
        connection.settimeout(1.5)
        with contextlib.suppress(TimeoutError):  # the stream says hello; the poll says nothing
            while connection.recv(65536):
                pass
        assert figure(name) == 1, "who waits is not cut"
    until(lambda: figure(name) == 0)


def until(is_so: Callable[[], bool]) -> None:
    """Another process: a poll is all the notice there is."""
    deadline = time.monotonic() + 6.0  # less than a ping of a stream, or the end of a poll
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
