"""checks_service: a service that runs, one that does not, and one that no longer fits what is installed."""

from pathlib import Path

import pytest

from relay_client.service.checks_service import check_service
from relay_client.service.finding import Finding
from relay_client.service.places import find_places
from relay_client.service.systemd import Service, unit
from tests.service.machine import Account
from tests.service.test_running import SHOWN


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account(tmp_path, "systemctl", "loginctl")
    for name, value in account.env.items():
        monkeypatch.setenv(name, value)
    return account


def installed(account: Account, data: Path | None = None, program: str = "/bin/sh") -> None:
    account.unit.parent.mkdir(parents=True, exist_ok=True)
    account.unit.write_text(unit(Service((program, "serve"), account.config / "relay.env", data or account.data)))


def checked(account: Account) -> dict[str, Finding]:
    found = list(check_service(find_places(account.env), account.data))
    assert all((finding.todo is None) == (finding.state == "ok") for finding in found)
    return {finding.check: finding for finding in found}


def test_where_nothing_is_installed_that_is_fine(account: Account) -> None:
    assert {name: finding.state for name, finding in checked(account).items()} == {"service": "ok"}
    assert account.calls == []
    (account.bin / "systemctl").unlink()
    assert "neither systemd nor launchd" in checked(account)["service"].said


def test_a_service_that_runs_is_fine_but_for_logging_out(account: Account) -> None:
    installed(account)
    account.says("systemctl", "show", SHOWN.replace("NRestarts=2", "NRestarts=0"))
    account.says("loginctl", "show-user", "yes")
    assert {name: finding.state for name, finding in checked(account).items()} == {"unit": "ok", "service": "ok"}
    account.says("loginctl", "show-user", "no")
    assert checked(account)["login"].todo == "loginctl enable-linger keeps it, from boot on"


def test_a_service_that_ended_or_begins_again_and_again_is_found(account: Account) -> None:
    installed(account)
    account.says("systemctl", "show", SHOWN)
    assert "started again 2 times" in checked(account)["service"].said
    account.says("systemctl", "show", "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n"
                 "ExecMainStatus=74\nUnitFileState=disabled\n")  # fmt: skip
    found = checked(account)
    assert found["service"].state == "fail"
    assert "ended with exit-code, status 74" in found["service"].said
    assert found["login"].todo == "relay daemon enable"


def test_a_unit_that_no_longer_fits_is_found(account: Account) -> None:
    account.says("systemctl", "show", SHOWN)
    installed(account, program="/opt/gone/relay")
    assert "/opt/gone/relay, which is not there" in checked(account)["unit"].said
    installed(account, data=Path("/srv/elsewhere"))
    unit_said = checked(account)["unit"]
    assert (unit_said.state, unit_said.todo) == ("fail", "relay daemon install mends it")
    assert f"write to /srv/elsewhere alone, and its data is in {account.data}" in unit_said.said


def test_a_manager_that_can_t_be_asked_is_a_warning(account: Account) -> None:
    installed(account)
    account.fails("systemctl", "show", "Failed to connect to bus: No medium found")
    assert checked(account)["service"].state == "warn"
