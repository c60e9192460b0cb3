"""config.py: what a daemon refuses to start with."""

import pytest

from relay_server.config import Config, ConfigError
from relay_server.quota import Limits


def test_another_address_than_loopback_needs_a_token() -> None:
    with pytest.raises(ConfigError, match=r"host is 0\.0\.0\.0.*--token"):
        Config(host="0.0.0.0")
    Config(host="0.0.0.0", token="x" * 32)
    Config(host="0.0.0.0", ask_token=True)
    Config(host="0.0.0.0", allow_unauth=True)


@pytest.mark.parametrize("token", ["", "short", "x" * 513])
def test_a_token_that_is_too_short_or_too_long_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match=f"the token has {len(token)} characters"):
        Config(token=token)


def test_a_bound_address_is_a_host_of_ours_and_so_is_what_is_listed() -> None:
    config = Config(host="10.0.0.4", allow_unauth=True, allow_hosts=("Relay.Example",))
    assert {"10.0.0.4", "relay.example", "localhost"} <= config.hosts
    assert "*" not in config.hosts


def test_bound_to_every_address_any_host_name_may_lead_here() -> None:
    assert "*" in Config(host="0.0.0.0", allow_unauth=True).hosts


def test_origins_are_compared_without_case_and_trailing_slash() -> None:
    assert Config(allow_origins=("https://Dash.example/",)).origins == {"https://dash.example"}


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="port is 70000"):
        Config(port=70000)


def test_the_quotas_are_those_of_the_contract_until_they_are_set() -> None:
    assert Config().quotas == Limits(
        send_per_s=100_000,
        group_per_minute=10,
        pair_per_minute=30,
        hops_max=16,
        inbox_messages_max=10_000,
        inbox_bytes_max=64 * 1024 * 1024,
    )
    assert Config(quotas=Limits(group_per_minute=0)).quotas.group_per_minute == 0
