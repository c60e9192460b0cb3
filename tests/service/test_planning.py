"""planning: what setup would do, from what is there already. The command is tested in cli/test_setup.py."""

import json
from pathlib import Path

import pytest

from relay_client.service.places import Places, find_places
from relay_client.service.planning import Plan, SetupError, Wanted, plan
from relay_client.service.steps import Folder, Private, StepError, Write, described, do


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places({"HOME": str(tmp_path)})


def planned(places: Places, fresh: str = "fresh-token", **wanted: object) -> Plan:
    return plan(places, Wanted(fresh, **wanted), default_port=4850)  # type: ignore[arg-type]


def written(made: Plan) -> dict[str, str]:
    return {step.path.name: step.content for _, step in made.steps if isinstance(step, Write)}


def carry_out(made: Plan) -> None:
    do(step for _, step in made.steps)


def test_where_nothing_is_everything_is_made_for_this_user_alone(places: Places) -> None:
    made = planned(places)
    assert all(step.mode == 0o600 for _, step in made.steps if isinstance(step, Write))
    assert made.settings == {
        "RELAY_TOKEN": "fresh-token", "RELAY_HOST": "127.0.0.1", "RELAY_PORT": "4850", "RELAY_DATA": str(places.data)
    }  # fmt: skip
    assert written(made)["token"] == "fresh-token\n"
    assert json.loads(written(made)["profiles.json"]) == {
        "default": {"url": "http://127.0.0.1:4850", "token_file": str(places.token_file)}
    }
    assert Folder(places.data) in [step for _, step in made.steps]


def test_once_more_there_is_nothing_to_do(places: Places) -> None:
    carry_out(planned(places))
    again = planned(places, "another-token")
    assert again.steps == []
    assert again.settings["RELAY_TOKEN"] == "fresh-token"


def test_a_new_token_goes_into_both_files_and_what_else_stands_there_stays(places: Places) -> None:
    carry_out(planned(places))
    places.env_file.write_text("# mine\n" + places.env_file.read_text() + "RELAY_LOG_JSON=1\n")
    made = planned(places, "second-token", rotate=True)
    assert set(written(made)) == {"relay.env", "token"}
    assert written(made)["token"] == "second-token\n"
    assert made.env.startswith("# mine\n")
    assert made.env.endswith("RELAY_LOG_JSON=1\n")
    assert "fresh-token" not in made.env


def test_a_token_file_with_a_token_of_another_relay_stays(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.token_file.write_text("of-another-relay\n")
    made = planned(places)
    assert "token" not in written(made)
    assert "holds another token" in made.warnings[-1]


def test_port_and_data_are_changed_where_they_stand_and_the_profile_follows(places: Places, tmp_path: Path) -> None:
    carry_out(planned(places))
    made = planned(places, port=5000, data=tmp_path / "elsewhere")
    assert f"RELAY_PORT=5000\nRELAY_DATA={tmp_path}/elsewhere\n" in made.env
    assert "fresh-token" in made.env
    assert json.loads(written(made)["profiles.json"])["default"]["url"] == "http://127.0.0.1:5000"
    assert made.data == tmp_path / "elsewhere"


def test_other_profiles_stay_and_a_default_that_somebody_made_does_too(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.profiles_file.write_text('{"ops": {"url": "https://é.example"}}')
    assert json.loads(written(planned(places))["profiles.json"]).keys() == {"ops", "default"}
    mine = {"default": {"url": "https://relay.example", "token_file": "mine"}}
    places.profiles_file.write_text(json.dumps(mine))
    made = planned(places)
    assert "profiles.json" not in written(made)
    assert any("RELAY_URL=http://127.0.0.1:4850" in line for line in made.kept)


def test_what_the_relay_takes_its_token_from_otherwise_stays_so(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text("RELAY_ASK_TOKEN=1\nRELAY_DB_PATH=/srv/x/agents.db\n")
    places.env_file.chmod(0o600)
    made = planned(places)
    assert "RELAY_TOKEN" not in made.settings
    assert "RELAY_DATA" not in made.settings  # two names for one thing would disagree
    assert made.data == Path("/srv/x")
    assert set(written(made)) == {"relay.env"}  # host and port, and no token for clients: there is none
    with pytest.raises(SetupError, match="RELAY_DB_PATH, which says where the data is"):
        planned(places, data=Path("/srv/y"))


def test_the_names_of_agent_relay_server_are_settings_too(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text(
        "AGENT_RELAY_TOKEN=a-token-of-theirs\nAGENT_RELAY_HOST=::1\nAGENT_RELAY_PORT=5001\nAGENT_RELAY_DB_PATH=/srv/a.db\n"
    )
    places.env_file.chmod(0o600)
    made = planned(places)
    assert (made.url, made.data) == ("http://[::1]:5001", Path("/srv"))
    assert set(written(made)) == {"token", "profiles.json"}
    assert written(made)["token"] == "a-token-of-theirs\n"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:4850"),
        ("::", "http://[::1]:4850"),
        ("::1", "http://[::1]:4850"),
        ("build", "http://build:4850"),
    ],
)
def test_clients_reach_the_relay_where_it_is_bound(places: Places, host: str, url: str) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text(f'RELAY_HOST="{host}"\n')
    assert planned(places).url == url


def test_secrets_that_others_can_read_are_closed(places: Places) -> None:
    carry_out(planned(places))
    places.env_file.chmod(0o644)
    places.token_file.chmod(0o640)
    made = planned(places)
    assert [step for _, step in made.steps] == [Private(places.env_file, 0o600), Private(places.token_file, 0o600)]


@pytest.mark.parametrize(
    ("content", "said"), [("[]", "does not hold an object of profiles"), ("{", "is no JSON"), (b"\xff", "no UTF-8")]
)
def test_profiles_that_can_t_be_read_are_not_written_over(places: Places, content: str | bytes, said: str) -> None:
    places.config.mkdir(parents=True)
    places.profiles_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SetupError, match=said):
        planned(places)


def test_a_folder_of_others_is_warned_about_and_a_relay_s_is_not(places: Places, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert not [line for line in planned(places, data=folder).warnings if "other files" in line]
    (folder / "thesis.txt").touch()
    assert [line for line in planned(places, data=folder).warnings if "holds other files" in line]
    (folder / "relay.lock").touch()
    assert not [line for line in planned(places, data=folder).warnings if "other files" in line]


def test_a_place_that_does_not_last_is_warned_about(places: Places) -> None:
    assert "emptied at a restart" in planned(places, data=Path("/tmp/relay-data")).warnings[0]


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "99999999999999999999"])
def test_a_port_that_is_none_gets_into_no_profile(places: Places, port: str) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text(f"RELAY_PORT={port}\n")
    with pytest.raises(SetupError, match="RELAY_PORT is no port from 1 to 65535"):
        planned(places)
    assert planned(places, port=5000).url == "http://127.0.0.1:5000"


def test_who_edits_a_file_while_setup_asks_loses_nothing(places: Places) -> None:
    made = planned(places)
    places.config.mkdir(parents=True)
    places.env_file.write_text("RELAY_TOKEN=of-somebody-else\n")
    with pytest.raises(StepError, match=r"relay\.env was made by somebody else meanwhile"):
        carry_out(made)
    assert places.env_file.read_text() == "RELAY_TOKEN=of-somebody-else\n"
    carry_out(planned(places))
    made = planned(places, "second-token", rotate=True, port=5000)
    places.profiles_file.write_text('{"mine": {}}')
    with pytest.raises(StepError, match=r"profiles\.json was changed by somebody else meanwhile"):
        carry_out(made)
    assert places.profiles_file.read_text() == '{"mine": {}}'


def test_no_secret_of_the_env_file_is_shown(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text('AGENT_RELAY_TOKEN="hid\\$den"\nRELAY_INTEGRATIONS=ci:hidden\n# RELAY_TOKEN=hidden\n')
    shown = "\n".join(line for _, step in planned(places, port=5000).steps for line in described(step))
    assert "RELAY_PORT=5000" in shown
    assert "hid" not in shown
