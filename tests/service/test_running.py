"""running: what is asked of systemctl and launchctl, and what is made of what they say. Both are stand-ins here."""

import os
from pathlib import Path

import pytest

from relay_client.service.places import find_places
from relay_client.service.running import Launchd, Systemd, command, lingers, manager_name
from relay_client.service.steps import Run, Step, StepError, Write, do
from relay_client.service.systemd import Service
from tests.service.machine import Account

SHOWN = """LoadState=loaded
ActiveState=active
SubState=running
MainPID=4711
UnitFileState=enabled
ActiveEnterTimestamp=Sat 2026-11-21 20:00:00 UTC
NRestarts=2
Result=success
StatusText=on 127.0.0.1:4850
ExecMainStatus=0
FragmentPath=/home/ada/.config/systemd/user/relay.service
"""
PRINTED = """gui/501/local.relay-broker = {
\tstate = running
\tpid = 4711
\truns = 3
\tlast exit code = 1
}
"""


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account(tmp_path, "systemctl", "loginctl", "launchctl", "journalctl")
    for name, value in account.env.items():
        monkeypatch.setenv(name, value)
    return account


@pytest.fixture
def systemd(account: Account) -> Systemd:
    return Systemd(find_places(account.env))


@pytest.fixture
def launchd(account: Account) -> Launchd:
    return Launchd(find_places(account.env))


def commands(steps: list[Step]) -> list[str]:
    return [" ".join(step.command) for step in steps if isinstance(step, Run)]


def service(account: Account) -> Service:
    return Service(("/opt/relay", "serve"), account.config / "relay.env", account.data)


def test_installing_writes_the_unit_before_systemd_is_told(account: Account, systemd: Systemd) -> None:
    steps = systemd.install(service(account))
    wrote = next(index for index, step in enumerate(steps) if isinstance(step, Write))
    assert all(index > wrote for index, step in enumerate(steps) if isinstance(step, Run))
    do(steps)
    assert account.calls == [
        "systemctl --user daemon-reload",
        "systemctl --user reset-failed relay.service",
        "systemctl --user enable relay.service",
        "systemctl --user restart relay.service",
    ]
    assert account.data.is_dir()
    assert account.unit.stat().st_mode & 0o777 == 0o644


def test_uninstalling_stops_it_before_the_unit_goes_and_never_needs_it_to_run(
    account: Account, systemd: Systemd
) -> None:
    do(systemd.install(service(account)))
    account.fails("systemctl", "disable", "Unit relay.service not loaded.")
    do(systemd.uninstall())
    assert account.calls[4:6] == ["systemctl --user disable --now relay.service", "systemctl --user daemon-reload"]
    assert not account.unit.exists()
    assert account.data.is_dir()


def test_each_word_is_one_to_systemctl(systemd: Systemd) -> None:
    assert commands(systemd.start()) == ["systemctl --user start relay.service"]
    assert commands(systemd.stop()) == ["systemctl --user stop relay.service"]
    assert commands(systemd.restart())[-1] == "systemctl --user restart relay.service"
    assert commands(systemd.enable()) == ["systemctl --user enable relay.service"]
    assert commands(systemd.disable()) == ["systemctl --user disable relay.service"]
    assert systemd.logs(5, True) == (
        "journalctl", "--user-unit=relay.service", "--lines=5", "--no-pager", "--follow"
    )  # fmt: skip


def test_systemds_word_on_the_state_is_taken(account: Account, systemd: Systemd) -> None:
    account.says("systemctl", "show", SHOWN)
    account.says("loginctl", "show-user", "no\n")
    status = systemd.status()
    assert (status.running, status.installed, status.state) == (True, True, "active (running)")
    assert (status.pid, status.restarts, status.enabled, status.lingers) == (4711, 2, True, False)
    assert (status.said, status.since) == ("on 127.0.0.1:4850", "Sat 2026-11-21 20:00:00 UTC")
    assert status.last_exit is None
    account.says(
        "systemctl",
        "show",
        "LoadState=loaded\nActiveState=failed\nSubState=failed\nMainPID=0\nUnitFileState=disabled\nResult=exit-code\n"
        "ExecMainStatus=2\nNRestarts=0\nStatusText=\n",
    )
    status = systemd.status()
    assert (status.running, status.pid, status.enabled, status.last_exit) == (False, None, False, "exit-code, status 2")
    account.says("systemctl", "show", "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n")
    assert (systemd.status().installed, systemd.status().running) == (False, False)


def test_without_a_session_of_systemd_it_says_how_to_get_one(account: Account, systemd: Systemd) -> None:
    account.fails("systemctl", "show", "Failed to connect to bus: No medium found")
    with pytest.raises(StepError) as caught:
        systemd.status()
    said = str(caught.value)
    assert "Failed to connect to bus: No medium found" in said
    assert "loginctl enable-linger" in said
    assert f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}" in said


@pytest.mark.parametrize(
    ("said", "todo"),
    [
        ("Unit relay.service not found.", "relay daemon install makes it"),
        ("Job for relay.service failed because the control process exited", "relay daemon logs shows why"),
    ],
)
def test_what_systemd_says_leads_to_what_to_do(systemd: Systemd, said: str, todo: str) -> None:
    step = systemd.start()[0]
    assert isinstance(step, Run)
    assert systemd.explain(step, said) == todo


def test_a_unit_that_is_there_and_not_found_is_somewhere_else(account: Account, systemd: Systemd) -> None:
    do(systemd.install(service(account)))
    said = systemd.explain(Run(("systemctl", "--user", "enable", "relay.service")), "Unit relay.service does not exist")
    assert said == f"{account.unit} is there, and systemd looks elsewhere: its XDG_CONFIG_HOME is not this shell's"


def test_launchd_is_asked_in_the_users_own_domain(account: Account, launchd: Launchd) -> None:
    uid = os.getuid()
    do(launchd.install(service(account)))
    assert account.calls == [
        f"launchctl print gui/{uid}",
        f"launchctl bootout gui/{uid}/local.relay-broker",
        f"launchctl enable gui/{uid}/local.relay-broker",
        f"launchctl bootstrap gui/{uid} {account.plist}",
    ]
    assert account.plist.exists()
    assert (account.home / "Library" / "Logs" / "relay").is_dir()
    account.fails("launchctl", f"gui/{uid}", "Could not find domain")
    assert launchd.domain == f"user/{uid}"  # nobody is logged in at the screen


def test_a_job_that_is_loaded_is_kicked_and_one_that_is_not_is_loaded(account: Account, launchd: Launchd) -> None:
    target = f"gui/{os.getuid()}/local.relay-broker"
    assert commands(launchd.start()) == [f"launchctl kickstart {target}"]
    assert commands(launchd.restart()) == [f"launchctl kickstart -k {target}"]
    account.fails("launchctl", target, "Could not find service")
    loads = [f"launchctl bootstrap gui/{os.getuid()} {account.plist}"]
    assert commands(launchd.start()) == loads
    assert commands(launchd.restart()) == loads
    assert commands(launchd.stop()) == [f"launchctl bootout {target}"]
    assert commands(launchd.enable()) == [f"launchctl enable {target}"]
    assert commands(launchd.disable()) == [f"launchctl disable {target}"]
    assert commands(launchd.uninstall()) == [f"launchctl bootout {target}"]
    assert launchd.logs(7, False) == ("tail", "-n", "7", str(account.home / "Library/Logs/relay/relay.log"))


def test_launchds_word_on_the_state_is_taken(account: Account, launchd: Launchd) -> None:
    target = f"gui/{os.getuid()}/local.relay-broker"
    account.says("launchctl", target, PRINTED)
    account.says("launchctl", "print-disabled", '\tdisabled services = {\n\t\t"local.relay-broker" => disabled\n\t}\n')
    status = launchd.status()
    assert (status.running, status.state, status.pid, status.restarts) == (True, "running", 4711, 2)
    assert (status.last_exit, status.enabled) == ("status 1", False)
    account.fails("launchctl", target, "Could not find service")
    status = launchd.status()
    assert (status.running, status.installed, status.state) == (False, False, "not loaded")


def test_who_keeps_services_running_is_seen_by_what_is_there(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert manager_name() == "systemd"
    (account.bin / "systemctl").unlink()
    assert manager_name() == "launchd"
    (account.bin / "launchctl").unlink()
    assert manager_name() is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert manager_name() == "launchd"
    (account.bin / "loginctl").unlink()
    assert lingers() is None


def test_the_relay_is_started_by_an_absolute_path_past_every_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command()[0].startswith("/")
    assert command()[-1] == "serve"
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert command() == (str(tmp_path / "python"), "-P", "-m", "relay_client.cli", "serve")
    (tmp_path / "relay").symlink_to("/bin/sh")  # somebody else's
    assert command()[0] == str(tmp_path / "python")
    (tmp_path / "relay").unlink()
    (tmp_path / "ours").write_text("#!/usr/bin/python3\nfrom relay_client.cli import main\n")
    (tmp_path / "relay").symlink_to(tmp_path / "ours")
    assert command()[0] == str(tmp_path / "python")  # it can't be started
    (tmp_path / "ours").chmod(0o755)
    assert command() == (str(tmp_path / "relay"), "serve")
