"""The door before floods, slow peers and bytes that are no HTTP: over raw sockets, against the daemon process.

Each is refused in JSON where there is somebody to tell, nothing of it is stored, and who stands beside it notices
nothing: `bystander` holds that for every test here.
"""

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from relay_server.door import BODY_S, HEAD_BYTES_MAX, HEAD_LINES_MAX, PIPELINED_MAX
from tests.daemon import Daemon
from tests.http.raw import HOST, JSON, Raw, request

MESSAGE = json.dumps({"from": "ann", "to": "ben", "body": "never"}).encode()
POST = b"POST /api/messages HTTP/1.1\r\n" + HOST + JSON


@pytest.fixture(autouse=True)
def bystander(daemon: Daemon) -> Iterator[httpx.Client]:
    """Somebody with one connection for the whole test, which still works at its end; and nothing was stored."""
    with httpx.Client(base_url=daemon.url, timeout=10, trust_env=False) as client:
        assert client.get("/api/stats").status_code == 200
        yield client
        assert client.post("/api/messages", json={"from": "cid", "to": "dan", "body": "here"}).status_code == 201
        stored = client.get("/api/messages", params={"for": "ben"}).json()
        assert [message for message in stored if message["body"] == "never"] == []
    assert "Traceback" not in daemon.log.read_text()


NO_HTTP = {
    "noise": b"\x00\x01\x02 hello\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000001fc0303") + b"x" * 400,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bare line feed": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT relay:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 46\r\nContent-Length: 47\r\n\r\n" + MESSAGE,
    "a negative length": POST + b"Content-Length: -5\r\n\r\n" + MESSAGE,
    "a length with a sign": POST + b"Content-Length: +46\r\n\r\n" + MESSAGE,
    "a length in hex": POST + b"Content-Length: 0x2e\r\n\r\n" + MESSAGE,
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + MESSAGE,
    "an encoding that nobody knows": POST + b"Transfer-Encoding: gzip\r\n\r\n" + MESSAGE,
    "almost chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, then not": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
    "a chunk with a bad end": POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%sXX0\r\n\r\n" % (len(MESSAGE), MESSAGE),
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_is_refused_and_ends(daemon: Daemon, name: str) -> None:
    with Raw(daemon) as raw:
        answer = raw.say(NO_HTTP[name]).hear()
        assert answer is not None
        assert (answer.status, answer.content["code"]) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        assert raw.hears_the_end()


HEADS = {
    "10,000 lines": b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
    "one line more than may be": b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * (HEAD_LINES_MAX + 1) + b"\r\n",
    "100 KiB in a header": b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 102_400 + b"\r\n\r\n",
    "a header without an end": b"GET /healthz HTTP/1.1\r\nX: " + b"y" * (HEAD_BYTES_MAX + 1),
    "40 KB of path": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path without an end": b"GET /" + b"a" * (HEAD_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("piece", [1 << 20, 1000], ids=["at once", "in pieces"])
def test_a_head_has_a_size(daemon: Daemon, name: str, piece: int) -> None:
    head = HEADS[name]
    with Raw(daemon) as raw:
        answer = raw.say(*(head[at : at + piece] for at in range(0, len(head), piece))).hear()
        assert answer is not None
        assert (answer.status, answer.content["code"]) == (431, "too_large")
        assert answer.content["limit"] == HEAD_BYTES_MAX
        assert raw.hears_the_end()


def test_a_head_within_the_limit_is_read(daemon: Daemon) -> None:
    lines = [b"X-%d: %s" % (i, b"y" * 200) for i in range(HEAD_LINES_MAX - 2)]
    with Raw(daemon) as raw:
        answer = raw.say(request(b"GET", b"/healthz", *lines)).hear()
        assert answer is not None
        assert answer.status == 200


def test_slow_peers_are_given_up(daemon: Daemon) -> None:
    """Too slow a head is cut; too slow a body is told so. They stand beside each other, so the test waits once."""
    with contextlib.ExitStack() as stack:
        silent, dripping, empty, half, drip, chunked, one_missing = (stack.enter_context(Raw(daemon)) for _ in range(7))
        dripping.say(b"GET / HTTP/1.1\r\nX: ")
        half.say(POST + b"Content-Length: %d\r\n\r\n" % len(MESSAGE) + MESSAGE[:20])
        one_missing.say(POST + b"Content-Length: %d\r\n\r\n" % len(MESSAGE) + MESSAGE[:-1])
        chunked.say(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(MESSAGE), MESSAGE))
        drip.say(POST + b"Content-Length: 1000\r\n\r\n")
        empty.say(request(b"GET", b"/healthz"))
        assert empty.hear() is not None
        while time.monotonic() - drip.opened_at < BODY_S - 0.5:
            for raw, byte in ((drip, b"{"), (dripping, b"T"), (empty, b"\r\n")):
                raw.say(byte)
            time.sleep(0.1)  # a slow peer is slow
        for raw in (half, drip, chunked, one_missing):
            answer = raw.hear()
            assert answer is not None
            assert (answer.status, answer.content["code"], answer.content["limit"]) == (408, "timeout", BODY_S)
            assert BODY_S - 0.5 < time.monotonic() - raw.opened_at < BODY_S + 3
        for raw in (silent, dripping, empty, half, drip, chunked, one_missing):
            assert raw.hears_the_end()


def test_a_slow_body_that_is_refused_anyway_is_not_waited_for(daemon: Daemon) -> None:
    with Raw(daemon) as raw:
        answer = raw.say(b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n{").hear()
        assert answer is not None
        assert answer.status == 405


def test_a_body_that_is_too_long_ends_the_connection(daemon: Daemon) -> None:
    """What follows a 413 must not be taken for requests: somebody else's body would speak."""
    hidden = request(b"POST", b"/api/messages", body=MESSAGE)
    for length in (b"Content-Length: 5000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n4C4B40\r\n"):
        with Raw(daemon) as raw:
            answer = raw.say(POST + length, *([hidden * 100] * 100)).hear()
            assert answer is not None
            assert (answer.status, answer.content["code"]) == (413, "too_large")
            assert answer.content["limit"] == 1024 * 1024
            assert answer.headers["connection"] == "close"
            raw.say(hidden)
            assert raw.hears_the_end()


def test_a_body_longer_than_announced_is_no_second_chance(daemon: Daemon, bystander: httpx.Client) -> None:
    """The request that was whole is answered as it stands, the rest is refused with the connection."""
    with Raw(daemon) as raw:
        whole = request(b"POST", b"/api/messages", body=MESSAGE.replace(b"never", b"whole"))
        answer = raw.say(whole + b"and more that is no request\r\n\r\n").hear()
        assert answer is not None
        assert answer.status == 201
        assert raw.hears_the_end()
    assert [item["body"] for item in bystander.get("/api/messages", params={"for": "ben"}).json()] == ["whole"]


def test_nothing_is_read_behind_a_close(daemon: Daemon) -> None:
    with Raw(daemon) as raw:
        raw.say(request(b"GET", b"/healthz", b"Connection: close") + request(b"POST", b"/api/messages", body=MESSAGE))
        answer = raw.hear()
        assert answer is not None
        assert answer.status == 200
        assert raw.hears_the_end()


def test_requests_in_a_row_are_answered_in_their_order_and_their_number_is_bounded(daemon: Daemon) -> None:
    paths = [b"/healthz", b"/nothing", b"/readyz"]
    with Raw(daemon) as raw:
        raw.say(b"".join(request(b"GET", path) for path in paths))
        answers = [raw.hear() for _ in paths]
        assert [answer.status for answer in answers if answer is not None] == [200, 404, 200]
    before = psutil.Process(daemon.pid).memory_info().rss
    with contextlib.ExitStack() as stack:
        floods = [stack.enter_context(Raw(daemon)) for _ in range(50)]
        for raw in floods:
            raw.say(request(b"GET", b"/healthz") * 5000)
        for raw in floods:
            heard = 0
            while (answer := raw.hear()) is not None:
                assert answer.status == 200
                heard += 1
            assert 1 <= heard <= PIPELINED_MAX + 1
    assert psutil.Process(daemon.pid).memory_info().rss - before < 64 * 2**20


def test_an_upgrade_that_is_not_ours_is_not_taken_up(daemon: Daemon, bystander: httpx.Client) -> None:
    """Java's HttpClient offers h2c with its first request, with a body or without."""
    h2c = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    body = MESSAGE.replace(b"never", b"by h2c").replace(b"ben", b"eve")
    with Raw(daemon) as raw:
        answer = raw.say(request(b"GET", b"/healthz", *h2c)).hear()
        assert answer is not None
        assert answer.status == 200
    with Raw(daemon) as raw:
        answer = raw.say(request(b"POST", b"/api/messages", *h2c, body=body)).hear()
        assert answer is not None
        assert answer.status == 201, answer
    assert [item["body"] for item in bystander.get("/api/messages", params={"for": "eve"}).json()] == ["by h2c"]


def test_unfinished_bodies_have_a_bound_together(daemon: Daemon) -> None:
    """200 MiB of bodies that never end: the oldest are refused, and memory stays where it was."""
    before = psutil.Process(daemon.pid).memory_info().rss
    part = b"{" + b" " * (1024 * 1024 - 2)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Raw(daemon)) for _ in range(200)]
        for raw in crowd:
            raw.say(POST + b"Content-Length: %d\r\n\r\n" % (1024 * 1024), part)
        answer = crowd[0].hear()
        assert answer is not None
        assert (answer.status, answer.content["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
        grown = psutil.Process(daemon.pid).memory_info().rss - before
        assert grown < 160 * 2**20, f"{grown / 2**20:.0f} MiB"


def test_a_crowd_of_connections_keeps_nobody_out(make_daemon: Callable[..., Daemon]) -> None:
    """More than may be open at a time: those that have said nothing for longest make room for who comes."""
    daemon = make_daemon().start()
    psutil.Process(daemon.pid).rlimit(psutil.RLIMIT_NOFILE, (512, 512))
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Raw(daemon)) for _ in range(600)]
        for _ in range(20):
            answer = stack.enter_context(Raw(daemon)).say(request(b"GET", b"/readyz")).hear()
            assert answer is not None
            assert answer.status == 200
        assert crowd[0].hears_the_end()
        assert psutil.Process(daemon.pid).num_fds() < 512


def test_a_sender_beside_them_takes_as_long_as_before(daemon: Daemon, bystander: httpx.Client) -> None:
    """500 slow heads, bodies and silent connections: an alternating comparison, so that the machine's moods cancel."""

    def median_of_sends() -> float:
        took = []
        for _ in range(60):
            began = time.perf_counter()
            answer = bystander.post("/api/messages", json={"from": "cid", "to": "dan", "body": "timed"})
            took.append(time.perf_counter() - began)
            assert answer.status_code == 201
        return statistics.median(took)

    ratios = []
    for _ in range(5):
        alone = median_of_sends()
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(Raw(daemon)) for _ in range(500)]
            for at, raw in enumerate(crowd):
                raw.say((b"", b"GET / HTTP/1.1\r\nX: ", POST + b"Content-Length: 99\r\n\r\n{")[at % 3])
            ratios.append(median_of_sends() / alone)
    assert statistics.median(ratios) < 1.5, ratios
