"""doctor: well when all is well, and where something is wrong a line that says what to do."""

import json
from pathlib import Path

import pytest

from tests.cli.command import Outcome
from tests.daemon import Daemon, free_port
from tests.service.machine import Account


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path, "systemctl", "loginctl")


def states(outcome: Outcome) -> dict[str, str]:
    found: list[dict[str, str]] = json.loads(outcome.out)
    assert all((finding["state"] == "ok") == ("todo" not in finding) for finding in found)
    return {finding["check"]: finding["state"] for finding in found}


def test_with_a_relay_that_is_well_all_is_well(account: Account, daemon: Daemon) -> None:
    found = account.relay("doctor", "--url", daemon.url, "--data", str(daemon.data), "--json")
    left = {name: state for name, state in states(found).items() if state != "ok"}
    assert left.keys() <= {"disk", "port", "limits", "login"}, found.out  # the machine's: /tmp, and a relay on 4850
    assert {"client", "terminal", "relay", "clock", "token", "round trip", "permissions", "room", "sqlite", "store",
            "database", "service"} <= states(found).keys()  # fmt: skip


def test_where_nothing_is_installed_and_no_relay_runs_it_says_so_and_what_to_do(account: Account) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, out, err = account.relay("doctor", "--url", url)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("FAIL"))
    assert f"nothing at {url} (command line): connection refused" in lines[at]
    assert "-> start it: relay daemon start, or relay serve" in lines[at + 1]
    assert "relay setup makes one" in out
    assert "not installed as a service of systemd" in out
    assert "1 failed" in lines[-1]
    assert list(account.home.iterdir()) == []


def test_after_setup_each_thing_that_goes_wrong_is_found(account: Account) -> None:
    port = free_port()
    account.relay("setup", "--yes", "--port", str(port))
    well = states(account.relay("doctor", "--json"))
    assert well["settings"] == well["permissions"] == well["port"] == "ok"
    (account.config / "relay.env").chmod(0o644)
    (account.config / "token").write_text("another-token-altogether\n")
    ill = account.relay("doctor", "--json")
    assert ill.code == 1
    assert states(ill)["permissions"] == "fail"
    assert states(ill)["token file"] == "warn"
    assert f"chmod 0600 {account.config}/relay.env" in ill.out
    (account.config / "profiles.json").write_text('{"default": {"ulr": "x"}}')
    assert states(account.relay("doctor", "--json"))["profile"] == "fail"
    (account.config / "relay.env").write_text("RELAY_PORT\n")
    assert states(account.relay("doctor", "--json"))["settings"] == "fail"


def test_each_finding_is_one_object_a_line_when_asked_for(account: Account) -> None:
    found = account.relay("doctor", "--jsonl", "--url", "http://127.0.0.1:9")
    assert all(record["state"] in ("ok", "warn", "fail") for record in found.records)
    assert len(found.records) > 5


def test_warnings_alone_are_no_failure(account: Account, daemon: Daemon) -> None:
    account.relay("setup", "--yes", "--port", str(daemon.port))
    (account.config / "token").write_text("another-token-altogether\n")
    (account.config / "profiles.json").unlink()
    found = account.relay("doctor", "--url", daemon.url, "--json")
    assert states(found)["token file"] == "warn"
    assert found.code == 0


def test_nothing_of_it_is_left_behind(account: Account, daemon: Daemon) -> None:
    before = sorted(path.name for path in daemon.data.iterdir())
    account.relay("doctor", "--url", daemon.url, "--data", str(daemon.data))
    assert sorted(path.name for path in daemon.data.iterdir()) == before


def test_a_profile_that_is_not_there_is_a_finding(account: Account) -> None:
    found = account.relay("doctor", "--profile", "nobody", "--json")
    assert (found.code, states(found)["profile"]) == (1, "fail")


def test_what_can_t_be_looked_at_is_a_finding_and_the_rest_is_looked_at(account: Account) -> None:
    env = {"HOME": f"{account.home}/{'x' * 300}", "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""}  # no name is so long
    found = account.relay("doctor", "--json", "--url", f"http://127.0.0.1:{free_port()}", env=env)
    assert (found.code, found.err) == (1, "")
    assert {states(found)[name] for name in ("profile", "settings", "disk", "service")} == {"fail"}
    assert {"client", "port", "limits"} <= states(found).keys()
