"""serving: what the service would begin with, whatever the shell says in which one asks."""

from pathlib import Path

import click
import pytest

from relay_client.cli import serving as module
from relay_client.cli.serving import Serving, serving
from relay_client.service.places import Places, find_places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places({"HOME": str(tmp_path)})


def shell(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}


def test_without_any_settings_it_is_a_relay_of_this_machine_in_its_usual_place(places: Places, tmp_path: Path) -> None:
    assert serving(places, shell(tmp_path)) == Serving("127.0.0.1", 4850, places.data)


def test_the_env_file_counts_and_the_shell_does_not(places: Places, tmp_path: Path) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text("RELAY_PORT=5000\nRELAY_DB_PATH=/srv/x/agents.db\n")
    places.env_file.chmod(0o600)
    (places.config / "config.toml").write_text('host = "::1"\nport = 6000\n')
    found = serving(places, shell(tmp_path) | {"RELAY_PORT": "7000", "RELAY_DATA": "/elsewhere"})
    assert found == Serving("::1", 5000, Path("/srv/x"), None, str(places.config / "config.toml"))


def test_without_an_env_file_the_shell_counts(places: Places, tmp_path: Path) -> None:
    found = serving(places, shell(tmp_path) | {"RELAY_PORT": "7000", "RELAY_DATA": "/elsewhere"})
    assert (found.port, found.data) == (7000, Path("/elsewhere"))


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("RELAY_PORT=many\n", 0o600, "many"),
        ("RELAY_PORT\n", 0o600, "line 1"),
        ("RELAY_PORT=5000\n", 0o644, "chmod 600"),
    ],
)
def test_why_a_relay_would_not_start_is_said(
    places: Places, tmp_path: Path, content: str, mode: int, said: str
) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text(content)
    places.env_file.chmod(mode)
    assert said in str(serving(places, shell(tmp_path)).problem)


def test_a_client_without_the_server_knows_the_defaults(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise click.ClickException("not installed")

    monkeypatch.setattr(module, "folder_work", missing)
    assert serving(places, {}) == Serving("127.0.0.1", 4850, places.data)
