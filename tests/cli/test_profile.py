"""relay profile, and profiles in every client command: which relay, who, and registered with what."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay_client.cli.profile import masked
from tests.cli.command import listening, run, started
from tests.client.test_profiles import WHOLE, environ
from tests.daemon import Daemon


def test_the_list_has_each_profile_with_its_relay_and_agent(tmp_path: Path) -> None:
    env = environ(tmp_path, {"reviewer": WHOLE, "empty": {}})
    shown = run("profile", "list", env=env)
    assert shown.out.splitlines() == [
        "PROFILE   URL                AGENT  LABEL",
        "reviewer  http://build:4850  rev-1  Reviewer",
        "empty",
    ]
    assert run("profile", "list", "--json", env=env).records == [{"profile": "reviewer", **WHOLE}, {"profile": "empty"}]


def test_a_profile_with_a_mistake_is_said_behind_the_others(tmp_path: Path) -> None:
    env = environ(tmp_path, {"bad": {"labl": "x"}, "good": {"agent": "me"}})
    shown = run("profile", "list", env=env)
    assert (shown.code, shown.out) == (2, "PROFILE  AGENT\ngood     me\n")
    assert "profile 'bad': there is no key 'labl'" in shown.err
    listed = run("profile", "list", "--json", env=env)
    assert (listed.code, listed.records) == (2, [{"profile": "good", "agent": "me"}])
    assert run("profile", "list", env=environ(tmp_path, {"bad": 1})).out == ""


def test_without_profiles_it_says_where_they_would_stand(tmp_path: Path) -> None:
    shown = run("profile", "list", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert shown == (0, "", f"there is no profile in {tmp_path}/relay/profiles.json\n")


def test_show_says_each_setting_and_where_it_comes_from_and_no_token(tmp_path: Path) -> None:
    env = environ(tmp_path, {"reviewer": WHOLE}) | {"RELAY_TAGS": "a,b", "RELAY_TOKEN": "very-secret"}
    shown = run("profile", "show", "reviewer", env=env)
    lines = [line.split(maxsplit=1) for line in shown.out.splitlines()]
    assert lines[1][0] == "url"
    assert lines[1][1].startswith("http://build:4850")
    assert any(name == "tags" and rest.startswith("a, b") and rest.endswith("env RELAY_TAGS") for name, rest in lines)
    assert any(name == "token" and rest.startswith("set, 11 characters") for name, rest in lines)
    (record,) = run("profile", "show", "reviewer", "--json", env=env).records
    assert record["caps"] == {"value": ["review"], "source": f"profile reviewer ({tmp_path}/relay/profiles.json)"}
    assert record["token"] == {"value": masked("very-secret"), "source": "env RELAY_TOKEN"}
    assert "very-secret" not in shown.out + json.dumps(record)


def test_hostile_text_in_a_profile_is_escaped(tmp_path: Path) -> None:
    env = environ(tmp_path, {"x": {"meta": {"a": "\x1b[2J"}}, "\x1b]0;": {}})
    assert "\x1b" not in run("profile", "show", "x", env=env).out
    assert "\x1b" not in run("profile", "list", env=env).out


@pytest.fixture
def profiles(daemon: Daemon, tmp_path: Path) -> dict[str, str]:
    """An environment with a profile `ada` for this relay, and one `ben` for another."""
    ada: dict[str, Any] = {
        "url": daemon.url,
        "agent": "ada",
        "label": "Ada",
        "tags": ["ci"],
        "capabilities": ["review"],
        "channels": ["main"],
        "approval": "ask",
        "meta": {"team": "core"},
    }
    return environ(tmp_path / "config", {"ada": ada, "ben": {"url": "http://127.0.0.1:9", "agent": "ben"}})


def test_a_command_finds_relay_and_name_in_its_profile(daemon: Daemon, profiles: dict[str, str]) -> None:
    assert run("send", "ada", "hello", "--hold", "--profile", "ada", env=profiles).code == 0
    (record,) = run("inbox", "ada", "--json", env=profiles | {"AGENT_RELAY_PROFILE": "ada"}).records
    assert record["from"] == "ada"
    unreachable = run("agents", "--profile", "ben", env=profiles)
    assert unreachable.code == 69
    assert "; this one is from profile ben (" in unreachable.err
    assert run("agents", "--profile", "ben", "--url", daemon.url, env=profiles).code == 0
    assert run("agents", "--profile", "ben", env=profiles | {"RELAY_URL": daemon.url}).code == 0


def test_the_token_of_another_profile_goes_nowhere(daemon: Daemon, tmp_path: Path) -> None:
    """The relay asks for no token, and so refuses whoever comes with one."""
    token = tmp_path / "token"
    token.write_text("the-default-profile-s")
    token.chmod(0o600)
    env = environ(tmp_path / "config", {"default": {"token_file": str(token)}, "guest": {"url": daemon.url}})
    for code, *arguments in (
        (0, "send", "bob", "hello", "--hold"),
        (0, "listen", "bob", "--count", "1"),
        (124, "submit", "bob", "title", "--wait", "0.1"),
        (124, "pair", "open", "bob", "--hold", "--wait", "0.1"),
        (124, "ask", "bob", "question", "--timeout", "0.5"),
        (0, "top", "--json"),
    ):
        done = run(*map(str, arguments), "--profile", "guest", env=env)
        assert done.code == code, (arguments, done.err)
    doctor = run("doctor", "--json", "--profile", "guest", env=env | {"HOME": str(tmp_path)}).records
    (found,) = [finding for finding in doctor if finding["check"] == "token"]
    assert found["said"] == "none is asked for"
    assert run("agents", "--url", daemon.url, env=env).code == 77


def test_listen_registers_with_the_profile_and_the_command_line_wins(daemon: Daemon, profiles: dict[str, str]) -> None:
    with started("listen", "--profile", "ada", "--tag", "ops", "--count", "1", env=profiles) as listener:
        assert listener.stderr is not None
        assert f"ada listens at {daemon.url}" in listener.stderr.readline()
        (card,) = [card for card in run("agents", "--json", "--url", daemon.url).records if card["agent"] == "ada"]
        assert (card["label"], card["tags"], card["caps"], card["channels"], card["meta"]) == (
            "Ada", ["ops"], ["review"], ["main"], {"team": "core", "approval": "ask"},
        )  # fmt: skip
        run("send", "ada", "that was it", "--url", daemon.url)
        assert "that was it" in listener.communicate(timeout=30)[0]


def test_an_agent_of_the_environment_lends_its_name_to_visits_and_not_to_asks(daemon: Daemon) -> None:
    with listening(daemon.url, "ann"):
        env = {"RELAY_AGENT_ID": "ann", "RELAY_URL": daemon.url}
        assert run("send", "ann", "x", env=env).code == 0
        (record,) = run("inbox", "ann", "--all", "--json", env=env).records
        assert record["from"] == "ann"
        late = run("ask", "ann", "y", "--timeout", "0.2", env=env)  # not refused: it has a name of its own
        assert late.code == 124
        assert "is online" not in late.err.split("no reply from")[0]
