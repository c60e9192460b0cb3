"""setting_kinds: what a value may be, wherever it stands."""

import functools
import math
import re
from pathlib import Path
from typing import Any

import pytest

from relay_server.setting_kinds import Flag, Kind, Matching, Names, Number, Place, Secret, Span, database_name

HERE = Path("/etc/relay")


def both(kind: Kind, value: Any) -> tuple[Any, Any]:
    """What it is as a text and in config.toml."""
    return kind.of_text(str(value)), kind.of_toml(value, HERE)


def test_a_number_is_one_within_its_bounds() -> None:
    kind = Number(1, 10)
    assert both(kind, 1) == (1, 1)
    assert both(kind, 10) == (10, 10)
    for text in ("0", "11", "-1", "1.0", "", " 1", "1e1", "\u0661", "9" * 30):
        with pytest.raises(ValueError, match=r"is '.*'; it must be a whole number, 1 to 10"):
            kind.of_text(text)
    for value in (0, 11, "1", 1.0, True, [1], None):
        with pytest.raises(ValueError, match=r"it must be a whole number, 1 to 10"):
            kind.of_toml(value, HERE)


def test_of_what_can_be_switched_off_nought_is_none() -> None:
    kind = Number(5, 10, none=True)
    assert both(kind, 0) == (0, 0)
    with pytest.raises(ValueError, match=r"is '4'; it must be 0 \(no limit\) or a whole number, 5 to 10"):
        kind.of_text("4")


def test_a_time_is_seconds_or_has_its_unit() -> None:
    kind = Span(1, 86_400)
    assert [kind.of_text(text) for text in ("90", "1.5", "2m", "1d")] == [90.0, 1.5, 120.0, 86_400.0]
    assert [kind.of_toml(value, HERE) for value in (90, 1.5, "2m")] == [90.0, 1.5, 120.0]
    assert kind.shown(120.0) == "2m"
    for wrong in ("0", "2d", "5 m", "soon", "inf", "-1"):
        with pytest.raises(ValueError, match=r"it must be seconds \(90\) or a number with its unit .*, 1s to 1d"):
            kind.of_text(wrong)
    for value in (0, math.nan, math.inf, True, ["2m"], "2d"):
        with pytest.raises(ValueError, match="1s to 1d"):
            kind.of_toml(value, HERE)


def test_a_time_may_be_never_where_that_has_a_meaning() -> None:
    kind = Span(1, 86_400, never="for ever")
    assert kind.of_text("0") == kind.of_toml(0, HERE) == math.inf
    assert (kind.shown(math.inf), kind.plain(math.inf)) == ("0 (for ever)", 0)
    with pytest.raises(ValueError, match="or 0: for ever"):
        kind.of_text("0.5")


@pytest.mark.parametrize(("unit_s", "text", "seconds"), [(0.001, "120000", 120.0), (86_400.0, "0.5", 43_200.0)])
def test_in_other_units_it_is_a_plain_number(unit_s: float, text: str, seconds: float) -> None:
    kind = Span(1, 100 * 86_400, never="never").in_units_of(unit_s)
    assert kind.of_text(text) == seconds
    assert kind.of_text("0") == math.inf
    unit = {0.001: "ms, 1000 to 8640000000", 86_400.0: r"days, 1\.15740740741e-05 to 100"}[unit_s]
    with pytest.raises(ValueError, match=rf"is '5m'; it must be a number of {unit}, or 0: never"):
        kind.of_text("5m")


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON", " t "])
def test_yes_and_no_have_many_words(text: str) -> None:
    assert Flag().of_text(text) is True
    assert Flag().of_text({"1": "0", "true": "false", "Yes": "No", "ON": "OFF", " t ": "f"}[text]) is False


def test_in_toml_yes_and_no_are_booleans() -> None:
    assert Flag().of_toml(True, HERE) is True
    for value in ("true", 1, None):
        with pytest.raises(ValueError, match="it must be true or false"):
            Flag().of_toml(value, HERE)
    with pytest.raises(ValueError, match="is 'maybe'; it must be true or false"):
        Flag().of_text("maybe")


def test_names_are_parted_by_commas_or_blanks_and_stand_there_once() -> None:
    kind = Names("a list of names", "NAME")
    assert kind.of_text("a, b\tc,,a ") == ("a", "b", "c")
    assert kind.of_toml(["a", "b", "a"], HERE) == ("a", "b")
    assert (kind.shown(("a", "b")), kind.shown(()), kind.plain(("a",))) == ("a, b", "none", ["a"])
    for value in ("a", ["a b"], [""], [1], {"a": 1}):
        with pytest.raises(ValueError, match="it must be a list of names"):
            kind.of_toml(value, HERE)


def test_a_path_goes_on_from_its_file_and_knows_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    kind = Place("a path", "FILE")
    assert kind.of_text("data") == Path("data"), "on the command line: from here"
    assert kind.of_text("~/data") == Path("/home/ann/data")
    assert kind.of_toml("data", HERE) == Path("/etc/relay/data")
    assert kind.of_toml("/srv/data", HERE) == Path("/srv/data")
    assert kind.of_toml("~/data", HERE) == Path("/home/ann/data")
    assert (kind.plain(Path("/a")), kind.shown(None)) == ("/a", "not set")
    for value in ("", 5, None):
        with pytest.raises(ValueError, match="it must be a path"):
            kind.of_toml(value, HERE)


@pytest.mark.parametrize("token", ["short", "x" * 513])
def test_a_secret_is_in_no_error_and_is_not_shown(token: str) -> None:
    for read in (Secret().of_text, functools.partial(Secret().of_toml, folder=HERE)):
        with pytest.raises(ValueError, match=rf"^has {len(token)} characters; it must have 16 to 512") as raised:
            read(token)
        assert token not in str(raised.value)
    with pytest.raises(ValueError, match="is no text"):
        Secret().of_toml(1234567890123456789, HERE)
    assert Secret().shown("x" * 43) == Secret().plain("x" * 43) == "set, 43 characters"
    assert (Secret().shown(None), Secret().plain(None)) == ("not set", None)


def test_what_must_match_says_what_would() -> None:
    kind = Matching(re.compile(r"[a-z]+\Z"), "letters", "WORD")
    assert both(kind, "abc") == ("abc", "abc")
    with pytest.raises(ValueError, match="is 'a1'; it must be letters"):
        kind.of_text("a1")
    with pytest.raises(ValueError, match="is 5; it must be letters"):
        kind.of_toml(5, HERE)


@pytest.mark.parametrize("name", [":memory:", "relay.lock", "ballast", "a.db-wal", "a/b", "", ".db", "a b", "x" * 101])
def test_what_would_be_no_file_of_its_own_is_no_database(name: str) -> None:
    with pytest.raises(ValueError, match=r"it must be a file name of 1 to 100 characters"):
        database_name(name)
    assert database_name("agent-relay.db") == "agent-relay.db"
