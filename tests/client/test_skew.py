"""skew: a relay of another release is warned about once, and only then."""

import asyncio
import logging

import pytest

import relay_client
from relay_client.skew import skew, warn_of_skew
from relay_proto.frames import ServerInfo
from relay_proto.version import __version__
from tests.client.scripted import ScriptedRelay

OURS = __version__.rsplit(".", 1)[0]


@pytest.mark.parametrize(
    ("theirs", "ours", "older"),
    [
        ("0.1.0", "0.1.9", None),
        ("0.1.0.dev3", "0.1.0", None),
        ("0.2.0", "0.1.9", "this client is older"),
        ("0.1.9", "0.2.0", "the relay is older"),
        ("1.0.0", "0.9.0", "this client is older"),
        ("2.0.0", "1.9.9", "this client is older"),
        ("1.10.0", "1.9.0", "this client is older"),
        ("", "0.1.0", None),
        ("scripted", "0.1.0", None),
    ],
)
def test_major_and_minor_count(theirs: str, ours: str, older: str | None) -> None:
    words = skew(theirs, ours)
    assert (words is None) == (older is None)
    assert older is None or (older in words and theirs in words and ours in words)  # type: ignore[operator]


def test_a_relay_s_words_do_nothing_to_a_terminal() -> None:
    assert "version 99.0???x?, this" in str(skew("99.0\x1b];x\x07"))


def test_it_is_said_once_for_each_version(caplog: pytest.LogCaptureFixture) -> None:
    warned = warn_of_skew("ws://x", "99.1.0", None)
    warned = warn_of_skew("ws://x", "99.1.0", warned)
    warned = warn_of_skew("ws://x", __version__, warned)
    warned = warn_of_skew("ws://x", "99.2.0", warned)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "the relay is version 99.1.0",
        "the relay is version 99.2.0",
    ]
    assert {(record.name, record.levelno) for record in caplog.records} == {("relay_client.skew", logging.WARNING)}


def test_it_can_be_turned_off(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_NO_SKEW_WARNING", "1")
    assert warn_of_skew("ws://x", "99.1.0", None) is None
    assert caplog.records == []


async def test_an_agent_hears_of_it_when_it_registers(relay: ScriptedRelay, caplog: pytest.LogCaptureFixture) -> None:
    other = ServerInfo(name="relay", version="99.0.0", protocol=1)
    joining = asyncio.create_task(relay.registered(server=other))
    async with relay_client.connect(relay.url, agent="alice"):
        await joining
    (record,) = [record for record in caplog.records if record.name == "relay_client.skew"]
    assert record.getMessage().startswith(f"the relay is version 99.0.0, this client {__version__}")
