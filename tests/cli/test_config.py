"""`relay config`: every setting, its value and where it comes from; no secret."""

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from relay_client.cli import seam
from relay_client.cli.config import Wrong, config
from relay_client.settings import SETTINGS as CLIENT_SETTINGS
from relay_server.settings import SETTINGS
from tests.cli.command import Outcome, run

TOKEN = "a-token-of-24-characters"


def home(tmp_path: Path, toml: str = "", name: str = "config.toml") -> dict[str, str]:
    """An environment whose folder of configurations has this file."""
    folder = tmp_path / "xdg" / "relay"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(toml)
    (folder / name).chmod(0o600)
    return {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}


def by_name(outcome: Outcome, of: str = "daemon") -> dict[str, dict[str, Any]]:
    return {record["setting"]: record for record in outcome.records if record["of"] == of}


def test_each_setting_is_shown_with_its_value_and_its_source(tmp_path: Path) -> None:
    env = home(tmp_path, f'port = 5000\nhost = "127.0.0.2"\ntoken = "{TOKEN}"\n[quotas]\nhop_limit = 3\n')
    (tmp_path / "relay.env").write_text("RELAY_PORT=5001\nRELAY_RETENTION_DAYS=7\n")
    (tmp_path / "relay.env").chmod(0o600)
    env |= {"RELAY_HOST": "127.0.0.3", "AGENT_RELAY_STALE_TTL_MS": "60000", "RELAY_URL": "http://localhost:5000"}
    shown = run("config", "show", "--env-file", str(tmp_path / "relay.env"), env=env)
    assert (shown.code, shown.err) == (0, "")
    lines = {tuple(line.split()) for line in shown.out.splitlines()}
    toml = f"config.toml:{tmp_path}/xdg/relay/config.toml"
    for line in (
        f"port 5001 env RELAY_PORT in {tmp_path}/relay.env",
        "host 127.0.0.3 env RELAY_HOST",
        f"token set, 24 characters {toml}",
        f"quotas.hop_limit 3 {toml}",
        f"retention 7d env RELAY_RETENTION_DAYS in {tmp_path}/relay.env",
        "stale_after 1m env AGENT_RELAY_STALE_TTL_MS",
        "ask_token no default",
        "url http://localhost:5000 env RELAY_URL",
        "agent not set default",
    ):
        assert tuple(line.split()) in lines, shown.out
    assert TOKEN not in shown.out


@pytest.mark.parametrize("form", ["--json", "--jsonl"])
def test_for_programs_it_is_one_record_a_setting(tmp_path: Path, form: str) -> None:
    integrations = '{"alerts": {"token": "a-token-of-an-integration"}}'
    env = home(tmp_path, "retention = 0") | {"RELAY_TOKEN": TOKEN, "RELAY_INTEGRATIONS": integrations}
    shown = run("config", "show", form, env=env)
    assert shown.code == 0
    daemon, client = by_name(shown), by_name(shown, "client")
    assert set(daemon) == {setting.key for setting in SETTINGS}
    assert set(client) == {setting.name for setting in CLIENT_SETTINGS}
    assert daemon["port"] == {
        "of": "daemon", "setting": "port", "value": 4850, "source": "default", "option": "--port", "env": ["RELAY_PORT"]
    }  # fmt: skip
    assert daemon["data"]["env"] == ["RELAY_DATA", "RELAY_DB_PATH"]
    assert (daemon["retention"]["value"], daemon["integrations"]["value"]) == (0, ["alerts"])
    assert daemon["token"]["value"] == client["token"]["value"] == "set, 24 characters"
    assert "a-token" not in shown.out


@pytest.mark.parametrize(
    ("toml", "env", "problem"),
    [
        ("prot = 1", {}, "there is no setting 'prot'; did you mean 'port'?"),
        ("", {"RELAY_PORT": "x"}, "RELAY_PORT is 'x'; it must be a whole number, 0 to 65535"),
        ("", {"RELAY_HOST": "0.0.0.0"}, "host is 0.0.0.0, which other machines can reach, and there is no token"),
        ("", {"RELAY_INTEGRATIONS": "{"}, "RELAY_INTEGRATIONS is no JSON"),
        ("", {"RELAY_URL": "what"}, "commands would not start: url (env RELAY_URL): "),
    ],
)
def test_what_would_stop_a_daemon_or_a_command_is_said_on_stderr(
    tmp_path: Path, toml: str, env: dict[str, str], problem: str
) -> None:
    shown = run("config", "show", env=home(tmp_path, toml) | env)
    assert shown.code == 2
    assert problem in shown.err
    assert shown.err.count("\n") == 1
    assert "relay serve:" in shown.out


def test_what_the_service_reads_besides_is_pointed_at(tmp_path: Path) -> None:
    env = home(tmp_path, "RELAY_PORT=5000\n", "relay.env")
    file = tmp_path / "xdg" / "relay" / "relay.env"
    assert f"the service reads {file}, too" in run("config", "show", env=env).err
    assert run("config", "show", "--env-file", str(file), env=env).err == ""


def test_the_path_is_said_whether_or_not_the_file_is_there(tmp_path: Path) -> None:
    there = run("config", "path", env=home(tmp_path))
    assert (there.code, there.out, there.err) == (0, f"{tmp_path}/xdg/relay/config.toml\n", "")
    other = tmp_path / "other.toml"
    missing = run("config", "path", env={"RELAY_CONFIG": str(other)})
    assert (missing.code, missing.out) == (0, f"{other}\n")
    assert missing.err == "relay: it is not there (env RELAY_CONFIG); relay serve does not start without it\n"
    assert "goes on without it" in run("config", "path").err
    assert run("config", "path", "--json", "--config", str(other)).records == [
        {"path": str(other), "source": "--config", "exists": False}
    ]


def test_what_is_hostile_in_a_value_is_shown_escaped(tmp_path: Path) -> None:
    shown = run("config", "show", env={"RELAY_DATA": "/srv/\x1b[31mred", "RELAY_CONFIG": os.devnull})
    assert "\x1b" not in shown.out
    assert "red" in shown.out


def test_a_client_without_the_server_shows_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(seam.FOLDER_WORK, "config show", "relay_server.that_is_not_there:report")
    result = CliRunner().invoke(config, ["show"], env={"RELAY_URL": "http://localhost:5000"})
    assert result.exit_code == Wrong.exit_code
    assert "http://localhost:5000" in result.output
    assert "relay_server" in result.output
