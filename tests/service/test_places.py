"""places: where files are, by the XDG specification, whatever the environment says."""

from pathlib import Path

import pytest

from relay_client.service.places import PlacesError, data_folder, find_places


def test_without_xdg_everything_is_below_home() -> None:
    places = find_places({"HOME": "/home/ada"})
    assert places.env_file == Path("/home/ada/.config/relay/relay.env")
    assert places.token_file == Path("/home/ada/.config/relay/token")
    assert places.profiles_file == Path("/home/ada/.config/relay/profiles.json")
    assert places.data == Path("/home/ada/.local/share/relay")
    assert places.unit == Path("/home/ada/.config/systemd/user/relay.service")
    assert places.plist == Path("/home/ada/Library/LaunchAgents/local.relay-broker.plist")
    assert places.log == Path("/home/ada/Library/Logs/relay/relay.log")


def test_xdg_moves_settings_unit_and_data_and_a_relative_one_is_ignored() -> None:
    places = find_places({"HOME": "/home/ada", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "share"})
    assert places.config == Path("/c/relay")
    assert places.unit == Path("/c/systemd/user/relay.service")
    assert places.data == Path("/home/ada/.local/share/relay")


def test_a_home_that_is_no_absolute_path_is_refused_by_name() -> None:
    with pytest.raises(PlacesError, match="HOME is 'home'; it must be an absolute path"):
        find_places({"HOME": "home"})


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({}, "/home/ada/.local/share/relay"),
        ({"RELAY_DATA": "/srv/relay/"}, "/srv/relay"),
        ({"AGENT_RELAY_DATA": "/srv/old"}, "/srv/old"),
        ({"RELAY_DB_PATH": "/srv/db/agents.db"}, "/srv/db"),
        ({"RELAY_DATA": "/a", "RELAY_DB_PATH": "/a/agents.db"}, "/a"),
        ({"RELAY_DATA": ""}, "/home/ada/.local/share/relay"),
    ],
)
def test_the_data_folder_is_the_one_that_the_daemon_would_take(settings: dict[str, str], folder: str) -> None:
    assert data_folder(settings, find_places({"HOME": "/home/ada"})) == Path(folder)
