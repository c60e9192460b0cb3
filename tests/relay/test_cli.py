"""cli.py: what `relay serve` is told is what the daemon does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.peer import Peer, Refused


async def test_a_quota_that_is_set_holds_and_is_told_to_clients(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--inbox-messages", "2", "--hop-limit", "0", env={"RELAY_GROUP_RATE": "1"}).start()
    async with await Peer.connect(daemon.url) as peer:
        ok = await peer.register("ada")
        told = {name: ok["limits"][name] for name in ("inbox_messages", "inbox_bytes", "hops")}
        assert told == {"inbox_messages": 2, "inbox_bytes": 64 * 1024 * 1024, "hops": 0}
        await peer.send(*({"op": "send", "id": i, "to": "bob", "body": "x", "hold": True} for i in (1, 2, 3)))
        assert [(await peer.answer(i))["op"] for i in (1, 2)] == ["ok", "ok"]
        with pytest.raises(Refused, match="inbox_full"):
            await peer.answer(3)
        await peer.send(*({"op": "send", "id": i, "to": "tag:red", "body": "x"} for i in (4, 5)))
        assert (await peer.answer(4))["op"] == "ok"
        with pytest.raises(Refused) as refused:
            await peer.answer(5)
        assert (refused.value.code, refused.value.detail["code"]) == ("rate_limited", "group_rate")


@pytest.mark.parametrize("value", ["-1", "many"])
def test_a_daemon_does_not_start_with_what_is_no_quota(tmp_path: Path, value: str) -> None:
    options = ["--data", str(tmp_path / "data"), "--pair-rate", value]
    command = [sys.executable, "-m", "relay_client.cli", "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--pair-rate" in done.stderr
    assert value in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_in_the_log_shows_no_locals(as_json: bool) -> None:
    """They hold bodies and tokens; structlog would show them wherever rich is installed."""
    program = (
        "import structlog\nfrom relay_server.cli import configure_log\n"
        f"configure_log({as_json})\n"
        "def fail():\n    token = '-'.join(['rly', 'secret'])\n    raise ValueError(len(token))\n"
        "try:\n    fail()\nexcept ValueError:\n    structlog.get_logger().exception('a fault')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "ValueError: 10" in done.stderr
    assert "in fail" in done.stderr
    assert "rly-secret" not in done.stderr
