"""serve_options: what is said on the command line, and what the help says of it."""

import math
import os

import click
import pytest
from click.testing import CliRunner, Result

from relay_server.quota import Limits
from relay_server.serve_options import serve_options
from relay_server.settings import QUOTAS, SETTINGS
from relay_server.sources import Resolved, config_of

NOTHING = {name: "" for name in os.environ if name.startswith(("RELAY_", "AGENT_RELAY_"))}
NOTHING["RELAY_CONFIG"] = os.devnull


def read(*arguments: str, env: dict[str, str] | None = None) -> tuple[Result, list[Resolved]]:
    read: list[Resolved] = []

    @click.command()
    @serve_options
    def command(settings: Resolved) -> None:
        read.append(settings)

    return CliRunner().invoke(command, arguments, env=NOTHING | (env or {})), read


def test_what_is_not_said_is_the_default() -> None:
    result, (settings,) = read()
    assert result.exit_code == 0
    assert all(found.source == "default" for found in settings.found.values())


@pytest.mark.parametrize("name", QUOTAS)
def test_each_quota_is_set_by_its_option_or_its_variable_alone(name: str) -> None:
    field, _, _ = QUOTAS[name]
    option, variable = f"--{name.replace('_', '-')}", f"RELAY_{name.upper()}"
    assert config_of(read(option, "1000000")[1][0]).quotas == Limits(**{field: 1_000_000})
    assert config_of(read(env={variable: "1000000"})[1][0]).quotas == Limits(**{field: 1_000_000})
    assert config_of(read(option, "0", env={variable: "1000000"})[1][0]).quotas == Limits(**{field: 0})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--port", "many"), "--port is 'many'; it must be a whole number, 0 to 65535"),
        (("--pair-rate", "-1"), "--pair-rate is '-1'; it must be 0 (no limit) or a whole number, 1 to"),
        (
            ("--inbox-bytes", "262143"),
            "--inbox-bytes is '262143'; it must be 0 (no limit) or a whole number, 262144 to",
        ),
        (("--stale-after", "0"), "--stale-after is '0'; it must be seconds (90) or a number with its unit"),
        (("--token", "short"), "--token has 5 characters; it must have 16 to 512"),
        (("--allow-host", "a,b"), "--allow-host is 'a,b'; say it once for each"),
        (("--allow-origin", ""), "--allow-origin is ''; say it once for each"),
        (("--database", "../x"), "--database is '../x'; it must be a file name"),
        (("--host", ""), "--host is ''; it must be an address or a host name, 0.0.0.0 for all"),
        (("--ports", "1"), "No such option"),
    ],
)
def test_what_does_not_fit_is_a_usage_error_that_names_option_value_and_limits(
    arguments: tuple[str, ...], error: str
) -> None:
    result, settings = read(*arguments)
    assert (result.exit_code, settings) == (2, [])
    assert error in " ".join(result.output.split())
    assert "short" not in result.output


def test_a_variable_that_does_not_fit_is_as_wrong_and_says_nothing_of_options() -> None:
    result, _ = read(env={"RELAY_PORT": "many"})
    assert result.exit_code == 2
    assert result.output == "Error: RELAY_PORT is 'many'; it must be a whole number, 0 to 65535\n"


def test_options_may_be_there_several_times_or_say_no() -> None:
    _, (settings,) = read("--allow-host", "a", "--allow-host", "b", "--no-ask-token", env={"RELAY_ASK_TOKEN": "1"})
    assert settings["allow_hosts"] == ("a", "b")
    assert settings["ask_token"] is False
    assert settings.found["ask_token"].source == "option --ask-token"
    _, (settings,) = read("--ask-token", "--retention", "0", "--stale-after", "90s", env={"RELAY_ALLOW_HOSTS": "c d,e"})
    assert (settings["ask_token"], settings["retention"], settings["stale_after"]) == (True, math.inf, 90.0)
    assert settings["allow_hosts"] == ("c", "d", "e")


def test_the_help_says_variable_and_default_of_each() -> None:
    text = " ".join(read("--help")[0].output.split())
    for setting in SETTINGS:
        if setting.option:
            names = ", ".join(variable.name for variable in setting.variables)
            assert f"[env: {names}; default: {setting.default_shown}]" in text, setting
    assert "Messages a second of one agent. 0: no limit." in text
