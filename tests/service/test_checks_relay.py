"""checks_relay: a relay that is there, one that is not, what is no relay, and clocks that differ."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from relay_client.service import checks_relay
from relay_client.service.checks_relay import ahead, check_relay
from relay_client.service.finding import Finding
from relay_client.settings import Settings, resolve
from tests.daemon import Daemon, free_port

TOKEN = "the-token-of-the-doctors-test"
WAIT_S = 10.0


def settings(url: str, **environ: str) -> Settings:
    return resolve({"HOME": "/nonexistent"} | environ, None, {"url": url})


async def examined(given: Settings) -> dict[str, Finding]:
    found = await check_relay(given, "doctor", WAIT_S)
    assert all((finding.todo is None) == (finding.state == "ok") for finding in found)
    return {finding.check: finding for finding in found}


async def test_of_a_relay_that_is_well_everything_is_ok(daemon: Daemon) -> None:
    found = await examined(settings(daemon.url))
    assert {name: finding.state for name, finding in found.items()} == {
        "relay": "ok", "clock": "ok", "token": "ok", "round trip": "ok"
    }  # fmt: skip
    assert "(command line) answers: version" in found["relay"].said
    assert found["token"].said == "none is asked for"


async def test_a_token_is_taken_or_is_not(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    url = make_daemon("--token", TOKEN).start().url
    assert (await examined(settings(url, RELAY_TOKEN=TOKEN)))["token"].said == "taken (env RELAY_TOKEN)"
    refused = (await examined(settings(url, RELAY_TOKEN="wrong-" + TOKEN)))["token"]
    assert refused.state == "fail"
    assert "the token of env RELAY_TOKEN" in refused.said
    assert TOKEN not in refused.said
    none = (await examined(settings(url)))["token"]
    assert (none.state, none.said.startswith("without a token: ")) == ("fail", True)
    open_file = tmp_path / "token"
    open_file.write_text(TOKEN)
    open_file.chmod(0o644)
    found = await examined(settings(url, RELAY_TOKEN_FILE=str(open_file)))
    assert found["token"].state == "fail"
    assert str(open_file) in found["token"].said
    assert found["relay"].state == "ok"


async def test_where_nothing_listens_it_says_what_was_tried_and_what_to_do() -> None:
    port = free_port()
    found = await examined(settings(f"http://127.0.0.1:{port}"))
    assert found.keys() == {"relay"}
    assert found["relay"].state == "fail"
    assert f"http://127.0.0.1:{port} (command line): connection refused by 127.0.0.1 port {port}" in found["relay"].said
    assert "relay serve" in str(found["relay"].todo)


async def test_what_answers_and_is_no_relay_is_told_from_one() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(100):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await examined(settings(f"http://127.0.0.1:{port}"))
    assert "something answers there, with status 404, and it is no relay" in found["relay"].said


async def test_what_takes_a_connection_and_says_nothing_is_given_up() -> None:
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await check_relay(settings(f"http://127.0.0.1:{port}"), "doctor", 0.2)
        release.set()
    assert "no answer within 0.2 s" in found[0].said


async def test_another_release_is_warned_about(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_relay, "skew", lambda version: f"the relay is {version} and this is 9.9")
    assert (await examined(settings(daemon.url)))["versions"].state == "warn"


async def test_a_clock_that_is_off_is_warned_about(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_relay, "ahead", lambda *seen: -7200.0)
    assert (await examined(settings(daemon.url)))["clock"].said == "the relay's clock is 7200 s behind this one"


def test_time_on_the_way_is_no_difference() -> None:
    noon = 1_800_000_000.0
    assert ahead(1_800_000_000_000, noon - 5.0, noon + 5.0) == 0
    assert ahead(1_800_000_000_000, noon - 20.0, noon - 10.0) == 10.0
    assert ahead(1_800_000_000_000, noon + 11.0, noon + 12.0) == -11.0
    assert ahead(None, noon, noon) is None
    assert ahead("noon", noon, noon) is None
