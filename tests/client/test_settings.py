"""settings: flags over the environment over the profile over the defaults, and where each came from."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import relay_client
from relay_client.settings import SETTINGS, SettingsError, read_token_file, resolve
from tests.client.test_profiles import WHOLE, environ

FULL_ENV = {
    "RELAY_URL": "http://env:1",
    "RELAY_TOKEN": "env-token",
    "RELAY_AGENT_ID": "env-agent",
    "RELAY_LABEL": "From env",
    "RELAY_TAGS": "a, b,,c",
    "RELAY_CAPS": "review",
    "RELAY_CHANNELS": "ci,ops",
    "RELAY_APPROVAL": "never",
}


def test_without_anything_there_is_the_default_url_and_nothing_else(tmp_path: Path) -> None:
    settings = resolve({"XDG_CONFIG_HOME": str(tmp_path)})
    assert (settings.url, settings.token, settings.agent, settings.profile) == (
        "http://localhost:4850", None, None, None,
    )  # fmt: skip
    assert settings.register() == {}
    assert {value.source for value in settings.values} == {"default"}
    assert [value.name for value in settings.values] == [setting.name for setting in SETTINGS]


def test_the_environment_gives_all_of_it(tmp_path: Path) -> None:
    settings = resolve(FULL_ENV | {"XDG_CONFIG_HOME": str(tmp_path)})
    assert (settings.url, settings.token, settings.agent) == ("http://env:1", "env-token", "env-agent")
    assert settings.register() == {
        "label": "From env",
        "tags": ["a", "b", "c"],
        "caps": ["review"],
        "channels": ["ci", "ops"],
        "meta": {"approval": "never"},
    }
    assert settings.source("caps") == "env RELAY_CAPS"


def test_a_profile_gives_all_of_it_and_the_token_file_stands_beside_it(tmp_path: Path) -> None:
    env = environ(tmp_path, {"reviewer": WHOLE})
    token = tmp_path / "relay" / "reviewer.token"
    token.write_text("\nsecret-token\n\n")
    token.chmod(0o600)
    settings = resolve(env, "reviewer")
    assert (settings.url, settings.token, settings.agent) == ("http://build:4850", "secret-token", "rev-1")
    assert settings.register() == {
        "label": "Reviewer",
        "tags": ["ci"],
        "caps": ["review"],
        "channels": ["main"],
        "meta": {"team": "core", "size": 3, "beta": True, "note": None, "approval": "ask"},
    }
    assert settings.source("agent") == f"profile reviewer ({tmp_path}/relay/profiles.json)"
    assert "secret" not in repr(settings)


def test_setting_by_setting_flags_win_over_the_environment_over_the_profile(tmp_path: Path) -> None:
    env = environ(tmp_path, {"p": {"url": "http://p:1", "label": "P", "tags": ["p"], "capabilities": ["p"]}})
    env |= {"RELAY_PROFILE": "p", "RELAY_TAGS": "env", "RELAY_URL": "http://env:1"}
    settings = resolve(env, flags={"url": "http://flag:1", "tags": (), "label": None, "agent": "flag"})
    found = {value.name: (value.value, value.source.split(" (")[0]) for value in settings.values if value.value}
    assert found == {
        "url": ("http://flag:1", "command line"),
        "agent": ("flag", "command line"),
        "tags": (("env",), "env RELAY_TAGS"),
        "label": ("P", "profile p"),
        "caps": (("p",), "profile p"),
    }


@pytest.mark.parametrize("name", [name for setting in SETTINGS for name in setting.env])
def test_each_name_has_its_fallback_which_loses_to_it(name: str, tmp_path: Path) -> None:
    setting = next(setting for setting in SETTINGS if name in setting.env)
    one, other = ("http://one:1", "http://other:1") if name == "RELAY_URL" else ("one", "other")
    env = {"XDG_CONFIG_HOME": str(tmp_path), f"AGENT_{name}": one}
    assert resolve(env)[setting.name].source == f"env AGENT_{name}"
    both = resolve(env | {name: other})[setting.name]
    assert both.source == f"env {name}"
    assert resolve(env | {name: ""})[setting.name].source == f"env AGENT_{name}"  # empty counts as not set


def test_the_profile_is_named_by_its_fallback_too_and_an_argument_wins(tmp_path: Path) -> None:
    env = environ(tmp_path, {"a": {}, "b": {}, "c": {}})
    assert resolve(env | {"AGENT_RELAY_PROFILE": "a"}).profile == "a"
    assert resolve(env | {"AGENT_RELAY_PROFILE": "a", "RELAY_PROFILE": "b"}).profile == "b"
    assert resolve(env | {"RELAY_PROFILE": "b"}, "c").profile == "c"
    with pytest.raises(SettingsError, match=r"no profile 'zz' \(env RELAY_PROFILE\)"):
        resolve(env | {"RELAY_PROFILE": "zz"})


def test_who_a_command_is_wins_over_who_the_agent_is(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "RELAY_AS": "me", "RELAY_AGENT_ID": "agent"}
    assert resolve(env).agent == "me"
    env["RELAY_AS"] = ""
    assert resolve(env).agent == "agent"


# -- tokens ----------------------------------------------------------------------------------------------------------


def secret(folder: Path, text: str = "secret-token", mode: int = 0o600) -> str:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_token_file_is_read_when_the_token_is_asked_for(tmp_path: Path) -> None:
    settings = resolve({"XDG_CONFIG_HOME": str(tmp_path), "RELAY_TOKEN_FILE": f"{tmp_path}/token"})
    assert settings["token"].value is None
    with pytest.raises(SettingsError, match=r"token \(env RELAY_TOKEN_FILE\) can't be read: No such file"):
        assert settings.token
    secret(tmp_path)
    assert settings.token == "secret-token"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_a_token_file_that_others_can_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path, mode=mode)
    with pytest.raises(SettingsError) as raised:
        read_token_file(path, "env RELAY_TOKEN_FILE")
    assert str(raised.value) == (
        f"the token file {path} (env RELAY_TOKEN_FILE) can be used by others (mode {mode:04o}); "
        "chmod 600 makes it yours alone"
    )


@pytest.mark.parametrize("text", ["", "\n", "two words", "line\nline", "ümlaut-secret", "x" * 513, "y" * 5000])
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="holds no token: 1-512 printable characters") as raised:
        read_token_file(secret(tmp_path, text))
    assert not text.strip() or text[:5] not in str(raised.value).replace(str(tmp_path), "")


def test_a_folder_a_pipe_and_a_strange_path_are_no_token_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read: Is a directory"):
        read_token_file(tmp_path)
    with pytest.raises(SettingsError, match="is no file"):
        read_token_file("/dev/null")
    with pytest.raises(SettingsError, match="can't be read"):
        read_token_file("a\0b")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SettingsError, match="is no file"):
        read_token_file(tmp_path / "pipe")  # at once, though nobody writes to it


def test_a_profile_s_token_file_of_a_user_who_is_not_there_is_not_found(tmp_path: Path) -> None:
    settings = resolve(environ(tmp_path, {"default": {"token_file": "~nobody-of-this-name/token"}}))
    with pytest.raises(SettingsError, match=r"~nobody-of-this-name/token .* can't be read: No such file"):
        assert settings.token


def test_no_token_is_in_what_a_log_would_show(tmp_path: Path) -> None:
    settings = resolve({"XDG_CONFIG_HOME": str(tmp_path), "RELAY_TOKEN": "secret-token", "RELAY_AS": "me"})
    assert "secret" not in f"{settings!r} {settings.values!r}"
    assert repr(settings["agent"]) == "Value(agent='me', env RELAY_AS)"


def test_the_token_nearer_to_the_user_wins_and_in_one_place_the_token_itself(tmp_path: Path) -> None:
    env = environ(tmp_path, {"default": {"token_file": secret(tmp_path)}})
    assert resolve(env).token == "secret-token"
    assert resolve(env | {"AGENT_RELAY_TOKEN": "fallback"}).token == "fallback"
    both = env | {"RELAY_TOKEN": "env", "RELAY_TOKEN_FILE": "/nonexistent"}
    assert resolve(both).token == "env"
    assert resolve(env | {"RELAY_TOKEN": "env"}, flags={"token_file": secret(tmp_path)}).token == "secret-token"
    assert resolve(both, flags={"token": "flag"})["token_file"].value is None


@pytest.mark.parametrize(
    ("url", "goes_there"),
    [
        ("http://build:4850", True),
        ("ws://build:4850/ws", True),
        ("http://build:4851", False),
        ("https://build:4850", False),
        ("http://other:4850", False),
        ("http://build:4850/", True),
        ("http://build:4850/team-b", False),
    ],
)
def test_a_profile_s_token_goes_to_the_profile_s_relay_only(tmp_path: Path, url: str, goes_there: bool) -> None:
    env = environ(tmp_path, {"default": {"url": "http://build:4850", "token_file": secret(tmp_path)}})
    settings = resolve(env | {"RELAY_URL": url})
    assert settings.token == ("secret-token" if goes_there else None)
    if not goes_there:
        assert settings.source("token_file") == (
            f"default (that of profile default is for http://build:4850, not for {url})"
        )


def test_the_names_of_this_machine_are_one_place_and_a_profile_without_a_relay_is_for_all(tmp_path: Path) -> None:
    token = secret(tmp_path)
    env = environ(
        tmp_path, {"here": {"url": "http://localhost:4850", "token_file": token}, "any": {"token_file": token}}
    )
    assert resolve(env | {"RELAY_URL": "http://127.0.0.1:4850"}, "here").token == "secret-token"
    assert resolve(env | {"RELAY_URL": "http://other:1"}, "any").token == "secret-token"
    assert resolve(env | {"RELAY_URL": "http://other:1", "RELAY_TOKEN_FILE": token}, "here").token == "secret-token"


# -- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"RELAY_URL": "localhost:4850"}, "url (env RELAY_URL): url is 'localhost:4850'; expected something like"),
        ({"AGENT_RELAY_URL": "ftp://x"}, "url (env AGENT_RELAY_URL): "),
        ({"RELAY_AGENT_ID": "a b"}, "agent (env RELAY_AGENT_ID): 'a b' is no agent id: 1-128 characters"),
        ({"RELAY_AS": "ALL"}, "agent (env RELAY_AS): 'ALL' is no agent id"),
        ({"RELAY_TAGS": "a,b c"}, "tags (env RELAY_TAGS): 'b c' is none; expected 1-64 of A-Z"),
        ({"RELAY_CAPS": ",".join(f"c{n}" for n in range(65))}, "caps (env RELAY_CAPS): 65 of them; there may be 64"),
        ({"RELAY_LABEL": "a\x1b"}, r"label (env RELAY_LABEL): 'a\x1b' is no label"),
        ({"RELAY_APPROVAL": "two words"}, "approval (env RELAY_APPROVAL): 'two words' is no word"),
        ({"RELAY_TOKEN": "top secret"}, "token (env RELAY_TOKEN): that is no token; expected 1-512"),
    ],
)
def test_a_wrong_value_is_named_with_where_it_stands(env: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        resolve(env | {"XDG_CONFIG_HOME": str(tmp_path)})
    assert said in str(raised.value)
    assert "top secret" not in str(raised.value)


def test_a_wrong_value_in_a_profile_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"agent \(profile default \(.*profiles\.json\)\): 'a b' is no agent id"):
        resolve(environ(tmp_path, {"default": {"agent": "a b"}}))


def test_a_setting_that_does_not_exist_is_the_caller_s_mistake() -> None:
    with pytest.raises(SettingsError, match="there is no setting 'lable'; there are url, token"):
        resolve({}, flags={"lable": "x"})


# -- who uses it -----------------------------------------------------------------------------------------------------


async def test_connect_looks_where_the_commands_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(tmp_path, {"default": {"url": "http://127.0.0.1:9"}}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RELAY_URL", raising=False)
    with pytest.raises(relay_client.Unreachable, match=r"no relay at http://127\.0\.0\.1:9: connection refused by"):
        async with relay_client.connect(agent="x", reconnect=False):
            pass
    monkeypatch.setenv("RELAY_PROFILE", "missing")
    with pytest.raises(SettingsError, match="no profile 'missing'"):
        relay_client.connect(agent="x")
    relay_client.connect("http://127.0.0.1:9", agent="x", token="t")  # nothing is looked up
    relay_client.connect("http://127.0.0.1:9", agent="x", token=False)
    monkeypatch.delenv("RELAY_PROFILE")
    async with asyncio.timeout(5):
        with pytest.raises(relay_client.Unreachable):
            async with relay_client.connect(agent="x", token=False, reconnect=False):
                pass


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, json, relay_client.settings as s; s.resolve({}); "
        "print(json.dumps([m for m in ('click', 'msgspec', 'asyncio', 'orjson', 'websockets') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, env=dict(os.environ)
    )
    loaded: list[Any] = json.loads(done.stdout)
    assert (loaded, done.stderr) == ([], "")
