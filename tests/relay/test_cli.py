"""cli.py: what `relay serve` is told is what the daemon does."""

import os
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


SECRET = "a-token-of-24-characters"


def refused(*options: str, **env: str) -> str:
    """The one line of a `relay serve` that does not start because of its settings."""
    command = [sys.executable, "-m", "relay_client.cli", "serve", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "AGENT_RELAY_"))}
    done = subprocess.run(
        command, env=kept | {"RELAY_CONFIG": os.devnull} | env, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


async def test_a_daemon_is_what_config_toml_a_file_of_variables_and_options_say(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    config = private(tmp_path / "config.toml", "stale_after = 8\n[quotas]\nhop_limit = 2\ninbox_messages = 5\n")
    token = private(tmp_path / "token", SECRET)
    lines = f"RELAY_TOKEN_FILE={token}\nRELAY_INBOX_MESSAGES=6\nRELAY_HOP_LIMIT=3\n"
    variables = private(tmp_path / "relay.env", lines)
    env = {"RELAY_CONFIG": str(config), "RELAY_INBOX_MESSAGES": "7"}
    daemon = make_daemon("--env-file", str(variables), env=env).start()
    async with await Peer.connect(daemon.url) as peer:
        ok = await peer.register("ada", token=SECRET)
        assert (ok["limits"]["hops"], ok["limits"]["inbox_messages"], ok["heartbeat_s"]) == (3, 7, 2.0)
    async with await Peer.connect(daemon.url) as peer:
        with pytest.raises(Refused, match="unauthorized"):
            await peer.register("eve")


async def test_the_database_may_have_another_name_and_place(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    path = tmp_path / "fleet" / "mail.db"
    daemon = make_daemon(env={"AGENT_RELAY_DB_PATH": str(path)})
    at = daemon.command().index("--data")
    options = [*daemon.command()[:at], *daemon.command()[at + 2 :]]
    daemon.command = lambda: options  # type: ignore[method-assign]
    daemon.start()
    async with await Peer.connect(daemon.url) as peer:
        await peer.register("ada")
        assert daemon.stop() == 0
    assert {file.name for file in path.parent.iterdir()} == {"mail.db", "relay.lock", "ballast"}
    assert "holds the database mail.db, and there is no relay.db" in _start_error(daemon, path.parent)


def _start_error(daemon: Daemon, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "relay_server", "--port", str(daemon.port), "--data", str(folder)],
        env=os.environ | {"RELAY_CONFIG": os.devnull}, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr


def test_settings_that_can_not_be_used_stop_a_daemon_with_one_line(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    token.chmod(0o644)
    line = refused("--token-file", str(token))
    assert f"the token file {token} can be read by others (mode 0644), and holds a secret: chmod 600 {token}" in line
    line = refused(RELAY_DATA="/a", RELAY_DB_PATH="/b/relay.db")
    assert "RELAY_DATA says /a and RELAY_DB_PATH says /b; both are data, say it once" in line
    config = private(tmp_path / "config.toml", "[quotas]\nsend_rat = 5\n")
    line = refused("--config", str(config))
    assert line == f"relay: {config}: there is no setting 'quotas.send_rat'; did you mean 'quotas.send_rate'?\n"
    assert "usage" not in line
