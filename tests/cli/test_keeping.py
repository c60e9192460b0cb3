"""keeping.py: a relay is asked over HTTP, and each way in which that fails is one line with an exit code."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.daemon import Daemon, free_port

TOKEN = "secret-of-the-operator"


class Answers(http.server.BaseHTTPRequestHandler):
    """Something that is no relay, or a strange one: answers by the first word of the path."""

    def do_GET(self) -> None:
        word = self.path.split("/")[1]
        if word == "silent":
            self.server.stop.wait(20)  # type: ignore[attr-defined]
            return
        body = b'{"error": "there is nothing here", "code": "not_found"}' if word == "old" else b"<html>"
        length = len(body) + (100 if word == "cut" else 0)
        self.send_response(404 if word == "old" else 200 if word == "cut" else 502)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def strange() -> Iterator[str]:
    """The address of something that is no relay."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.stop = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.stop.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_relay_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for command in (("backup", str(tmp_path / "x")), ("verify",), ("export",)):
        outcome = run(*command, "--url", url)
        assert (outcome.code, outcome.out) == (69, "")
        assert f"no relay at {url}: " in outcome.err
        assert "Is it running? `relay serve` starts one" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_it_takes_a_token_for_everything(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = make_daemon("--token", TOKEN).start()
    refused = run("verify", "--url", daemon.url)
    assert (refused.code, refused.out) == (77, "")
    assert "a token goes into --token, RELAY_TOKEN" in refused.err
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "token").chmod(0o600)
    assert run("verify", "--url", daemon.url, env={"RELAY_TOKEN": TOKEN}).code == 0
    assert run("verify", "--url", daemon.url, "--token-file", str(tmp_path / "token")).code == 0
    lesser = run("token", "create", "--agent", "ada", "--url", daemon.url, "--token", TOKEN).out.strip()
    refused = run("export", "--url", daemon.url, "--token", lesser)
    assert (refused.code, refused.out) == (77, "")
    assert lesser not in refused.err


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("old", 1, "has no /api/verify: it is older than this command; upgrade it"),
        ("other", 1, "answered with status 502; that is no relay"),
        ("cut", 69, "ended the answer before it was whole"),
        ("silent", 124, "said nothing for 1s"),
    ],
)
def test_a_strange_answer_is_one_line(word: str, code: int, said: str, strange: str) -> None:
    outcome = run("verify", "--url", f"{strange}/{word}/ws", "--timeout", "1s")
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
