"""quota_options.py: options and environment in, quotas out."""

import click
import pytest
from click.testing import CliRunner, Result

from relay_server.quota import Limits
from relay_server.quota_options import QUOTA_MAX, quota_options

NAMES = {
    "send-rate": "send_per_s",
    "group-rate": "group_per_minute",
    "pair-rate": "pair_per_minute",
    "hop-limit": "hops_max",
    "inbox-messages": "inbox_messages_max",
    "inbox-bytes": "inbox_bytes_max",
}


def read(*arguments: str, env: dict[str, str] | None = None) -> tuple[Result, list[Limits]]:
    read: list[Limits] = []

    @click.command()
    @quota_options
    def command(quotas: Limits) -> None:
        read.append(quotas)

    return CliRunner().invoke(command, arguments, env=env), read


def test_without_options_the_quotas_are_the_defaults() -> None:
    assert read()[1] == [Limits()]


@pytest.mark.parametrize(("option", "field"), NAMES.items())
def test_each_quota_is_set_by_its_option_or_its_variable_alone(option: str, field: str) -> None:
    value = 1_000_000
    expected = [Limits(**{field: value})]
    assert read(f"--{option}", str(value))[1] == expected
    variable = f"RELAY_{option.upper().replace('-', '_')}"
    assert read(env={variable: str(value)})[1] == expected
    assert read(f"--{option}", "0", env={variable: str(value)})[1] == [Limits(**{field: 0})], "the option wins; 0: none"


@pytest.mark.parametrize("option", NAMES)
@pytest.mark.parametrize("value", ["-1", "1.5", "many", "", str(QUOTA_MAX + 1)])
def test_what_is_no_quota_is_a_usage_error_that_names_option_value_and_range(option: str, value: str) -> None:
    result, quotas = read(f"--{option}", value)
    assert (result.exit_code, quotas) == (2, [])
    assert f"--{option}" in result.output
    assert repr(value) in result.output or f"{value} is neither 0 (no limit) nor" in result.output


def test_an_inbox_must_have_room_for_one_body() -> None:
    result, _ = read("--inbox-bytes", "262143")
    assert "262143 is neither 0 (no limit) nor 262144 to" in result.output
    assert read("--inbox-bytes", "262144")[1] == [Limits(inbox_bytes_max=262_144)]


def test_the_help_says_unit_default_and_variable_of_each() -> None:
    text = " ".join(read("--help")[0].output.split())
    for option, field in NAMES.items():
        assert f"[env var: RELAY_{option.upper().replace('-', '_')}; default: {getattr(Limits(), field)}]" in text
    assert "Messages a second of one agent. 0: no limit." in text
