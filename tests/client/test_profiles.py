"""profiles: the file is read with care, and each mistake in it is named by file, profile and key."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay_client.profiles import SettingsError, config_folder, find_profile, profile_names, profiles_path

WHOLE: dict[str, Any] = {
    "url": "http://build:4850",
    "token_file": "reviewer.token",
    "agent": "rev-1",
    "label": "Reviewer",
    "tags": ["ci"],
    "capabilities": ["review"],
    "channels": ["main"],
    "approval": "ask",
    "meta": {"team": "core", "size": 3, "beta": True, "note": None},
}


def environ(folder: Path, profiles: Any) -> dict[str, str]:
    """An environment whose profiles file says this (text: as it is)."""
    path = folder / "relay" / "profiles.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(profiles if isinstance(profiles, str) else json.dumps(profiles))
    return {"XDG_CONFIG_HOME": str(folder)}


def test_a_profile_is_found_by_its_name(tmp_path: Path) -> None:
    env = environ(tmp_path, {"reviewer": WHOLE, "empty": {}})
    found = find_profile(env, "reviewer")
    assert found is not None
    assert (found.name, found.path, dict(found.values)) == ("reviewer", tmp_path / "relay/profiles.json", WHOLE)
    empty = find_profile(env, "empty")
    assert empty is not None
    assert dict(empty.values) == {}
    assert profile_names(env) == ["reviewer", "empty"]


def test_the_one_called_default_is_used_when_none_is_named(tmp_path: Path) -> None:
    assert find_profile({"XDG_CONFIG_HOME": str(tmp_path)}, None) is None
    assert find_profile(environ(tmp_path, {"other": {}}), None) is None
    found = find_profile(environ(tmp_path, {"default": {"agent": "me"}}), None)
    assert found is not None
    assert found.name == "default"


@pytest.mark.parametrize(
    ("profiles", "name", "said"),
    [
        ({"reviewer": {}}, "reviwer", "there is no profile 'reviwer' (--profile); did you mean 'reviewer'?"),
        ({"one": {}, "two": {}}, "zzz", "profiles.json has one, two"),
        ({}, "zzz", "profiles.json has none"),
        ("{", "x", "profiles.json is no JSON that can be used"),
        ('{"x": {}, "x": {}}', "x", "'x' stands there twice"),
        ('{"x": {"meta": {"a": NaN}}}', "x", "NaN is no JSON"),
        ("[1]", "x", "profiles.json holds a list, [1]; expected an object of profiles"),
        ({"x": "http://y"}, "x", "profiles.json, profile 'x' is text, \"http://y\"; expected an object of url,"),
        ({"x": {"lable": "y"}}, "x", "profile 'x': there is no key 'lable'; did you mean 'label'?"),
        ({"x": {"caps": ["y"]}}, "x", "there is no key 'caps'; did you mean 'capabilities'?"),
        ({"x": {"qqqqq": 1}}, "x", "there is no key 'qqqqq'; there are url, token_file, agent"),
        ({"x": {"tags": "ci"}}, "x", "profile 'x': tags is text, \"ci\"; expected a list of texts"),
        ({"x": {"tags": [1]}}, "x", "tags is a list, [1]; expected a list of texts"),
        ({"x": {"url": 4850}}, "x", "url is a number, 4850; expected text"),
        ({"x": {"agent": ""}}, "x", 'agent is text, ""; expected text'),
        ({"x": {"approval": True}}, "x", "approval is a boolean, true; expected text"),
        ({"x": {"label": None}}, "x", "label is null, null; expected text"),
        ({"x": {"meta": {"a": {}}}}, "x", 'meta is an object, {"a": {}}; expected an object of texts, numbers'),
        ({"x": {"meta": {"a": 2**64}}}, "x", 'meta is an object, {"a": 18446744073709551616}; expected an object of'),
        ('{"x": {"meta": {"a": 1e999}}}', "x", "meta is an object,"),
        ("[" * 100_000, "x", "profiles.json is no JSON that can be used"),
        ({"x": {"tags": ["y" * 90, 1]}}, "x", "yyy...; expected a list of texts"),
    ],
)
def test_each_mistake_is_named_by_file_profile_and_key(tmp_path: Path, profiles: Any, name: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        find_profile(environ(tmp_path, profiles), name, source="--profile")
    assert said in str(raised.value)
    assert str(tmp_path) in str(raised.value) or "did you mean" in said
    assert "\n" not in str(raised.value)


def test_a_mistake_in_one_profile_leaves_the_others_usable(tmp_path: Path) -> None:
    env = environ(tmp_path, {"good": {"agent": "me"}, "bad": {"tags": 1}})
    found = find_profile(env, "good")
    assert found is not None
    assert found.values["agent"] == "me"
    assert profile_names(env) == ["good", "bad"]


def test_a_name_without_any_file_says_where_one_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no profile 'x'; .*profiles\.json is not there"):
        find_profile({"XDG_CONFIG_HOME": str(tmp_path)}, "x")


def test_a_file_that_can_not_be_read_is_an_error_not_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "relay" / "profiles.json").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"profiles\.json can't be read: Is a directory"):
        profile_names({"XDG_CONFIG_HOME": str(tmp_path)})


def test_the_folder_is_where_the_xdg_specification_says() -> None:
    assert config_folder({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/relay")
    assert config_folder({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/relay")
    assert config_folder({"HOME": "/h"}) == Path("/h/.config/relay")
    assert profiles_path({"HOME": "/h"}) == Path("/h/.config/relay/profiles.json")


def test_a_user_without_a_home_has_no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert config_folder({}) is None
    assert profile_names({}) == []
    assert find_profile({}, None) is None
    with pytest.raises(SettingsError, match="the profiles file is not there"):
        find_profile({}, "x")
