"""daemon: the service, from install to uninstall. What systemd would start is started here, as it would start it."""

import os
import plistlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_client.cli.daemon import status_lines
from relay_client.service.running import Status
from relay_proto.env_file import parse_env_file
from tests.cli.command import environment
from tests.daemon import Daemon, free_port
from tests.service.machine import Account
from tests.service.test_running import PRINTED, SHOWN
from tests.service.test_systemd import sections

READY_S = 20.0
BUS = "Failed to connect to bus: No medium found"


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """A user whose relay is set up, on a port that is free."""
    account = Account(tmp_path, "systemctl", "loginctl", "journalctl")
    assert account.relay("setup", "--yes", "--port", str(free_port())).code == 0
    return account


def _await_ready(manager: socket.socket, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    manager.settimeout(0.5)
    said: list[bytes] = []
    while b"READY=1" not in said:
        try:
            said = manager.recv(4096).splitlines()
        except TimeoutError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                assert process.stderr is not None
                raise AssertionError(f"not ready; it said:\n{process.stderr.read().decode()}") from None


@contextmanager
def ready(account: Account, command: list[str], extra: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is started as a manager does it, from the time it said that it is ready until it ends well."""
    notices = account.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notices))
        env = {"HOME": str(account.home), "PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(notices)} | extra
        with subprocess.Popen(command, env=env, cwd=account.home, stderr=subprocess.PIPE) as process:
            try:
                _await_ready(manager, process)
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(timeout=READY_S)
    assert process.returncode == 0


def test_what_the_unit_starts_is_a_relay_that_says_when_it_is_ready_and_that_clients_find(account: Account) -> None:
    assert account.relay("daemon", "install").code == 0
    service = sections(account.unit.read_text())["Service"]
    assert service["Type"] == "notify"
    given = parse_env_file(Path(service["EnvironmentFile"]).read_text())
    with ready(account, service["ExecStart"].split(), given | {"WATCHDOG_USEC": "60000000"}):
        # Everything by the profile that setup made: where it is and the token it asks for.
        assert account.relay("send", "ann", "hello", "--hold").code == 0
        assert "hello" in account.relay("inbox", "ann").out
        assert (
            account.relay(
                "agents", env={"RELAY_URL": f"http://127.0.0.1:{given['RELAY_PORT']}/", "RELAY_TOKEN": "x" * 20}
            ).code
            == 77
        )
        assert (account.data / "relay.db").exists()


def test_what_the_plist_starts_is_that_relay_too(account: Account) -> None:
    account.add("launchctl")
    assert account.relay("daemon", "install", "--manager", "launchd").code == 0
    assert "launchctl" in account.calls[-1]
    job = plistlib.loads(account.plist.read_bytes())
    token = (account.config / "token").read_text().strip()
    assert token not in account.plist.read_text()
    with ready(account, job["ProgramArguments"], {}):
        assert account.relay("agents").code == 0


def test_a_unit_holds_no_secret_and_a_second_install_brings_it_up_to_date(account: Account) -> None:
    account.relay("daemon", "install")
    assert (account.config / "token").read_text().strip() not in account.unit.read_text()
    before = account.unit.read_text()
    account.unit.write_text("old")
    code, out, _ = account.relay("daemon", "install")
    assert (code, account.unit.read_text()) == (0, before)
    assert out.splitlines()[-4:-2] == [
        "run systemctl --user restart relay.service",
        "the relay is started, now and at each login",
    ]


def test_without_lingering_it_says_how_to_start_at_boot_and_with_it_does_not(account: Account) -> None:
    account.says("loginctl", "show-user", "no")
    assert "loginctl enable-linger" in account.relay("daemon", "install").out
    account.says("loginctl", "show-user", "yes")
    assert "enable-linger" not in account.relay("daemon", "install").out


@pytest.mark.parametrize("word", ["start", "stop", "restart", "enable", "disable"])
def test_each_word_is_carried_out_or_shown(account: Account, word: str) -> None:
    missing = account.relay("daemon", word)
    assert (missing.code, "relay daemon install" in missing.err) == (1, True)
    account.unit.parent.mkdir(parents=True)
    account.unit.touch()
    shown = account.relay("daemon", word, "--dry-run")
    assert (shown.code, account.calls) == (0, [])
    code, out, _ = account.relay("daemon", word)
    assert code == 0
    assert account.calls[-1] == f"systemctl --user {word} relay.service"
    assert out == shown.out


def test_dry_run_of_install_shows_file_and_commands_and_does_nothing(account: Account) -> None:
    before = sorted(account.home.rglob("*"))
    code, out, _ = account.relay("daemon", "install", "--dry-run")
    assert code == 0
    assert f"write {account.unit} (mode 0644):\n" in out
    assert "    Type=notify\n" in out
    assert "run systemctl --user restart relay.service\n" in out
    assert sorted(account.home.rglob("*")) == before
    assert not [call for call in account.calls if call.startswith("systemctl")]
    mac = account.relay("daemon", "install", "--dry-run", "--manager", "launchd")  # to look at, wherever one is
    assert mac.code == 0
    assert "<key>ProgramArguments</key>" in mac.out


def test_uninstalling_keeps_data_and_settings_and_says_where_they_are(account: Account) -> None:
    account.relay("daemon", "install")
    code, out, _ = account.relay("daemon", "uninstall")
    assert code == 0
    assert out.splitlines()[-3:] == [
        f"kept: {path}" for path in (account.data, account.config / "relay.env", account.config / "token")
    ]
    assert not account.unit.exists()
    assert account.data.is_dir()
    again = account.relay("daemon", "uninstall")
    assert (again.code, "is not there: the relay is not installed" in again.err) == (1, True)


def test_a_relay_that_can_t_be_stopped_keeps_its_unit(account: Account) -> None:
    account.relay("daemon", "install")
    account.fails("systemctl", "--user", "Failed to connect to bus: No medium found")
    code, _, err = account.relay("daemon", "uninstall")
    assert (code, "there is no session of this user's systemd here" in err) == (1, True)
    assert account.unit.exists()


def test_status_says_what_systemd_knows_and_ends_as_systemctl_does(account: Account) -> None:
    account.says("systemctl", "show", "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=")
    nothing = account.relay("daemon", "status")
    assert (nothing.code, "relay daemon install" in nothing.out) == (4, True)
    account.relay("daemon", "install")
    account.says("systemctl", "show", SHOWN)
    code, out, _ = account.relay("daemon", "status")
    assert code == 0
    assert out.startswith("the relay runs: active (running) (systemd)\n")
    assert "  process   4711\n" in out
    (record,) = account.relay("daemon", "status", "--json").records
    assert (record["running"], record["pid"], record["restarts"]) == (True, 4711, 2)
    account.says("systemctl", "show", SHOWN.replace("ActiveState=active", "ActiveState=failed"))
    ended = account.relay("daemon", "status")
    assert (ended.code, "relay daemon logs" in ended.out) == (3, True)
    assert "since" not in ended.out
    asked = account.calls[-2]  # the last one was loginctl's
    assert account.relay("daemon", "status", "--dry-run") == (0, f"run {asked}\n", "")


def test_status_of_launchd_is_read_as_well(account: Account) -> None:
    account.add("launchctl")
    account.says("launchctl", f"gui/{os.getuid()}/local.relay-broker", PRINTED)
    (record,) = account.relay("daemon", "status", "--manager", "launchd", "--json").records
    assert (record["manager"], record["running"], record["pid"]) == ("launchd", True, 4711)


def test_logs_are_the_journals(account: Account) -> None:
    account.says("journalctl", "--lines=7", "a line of the log")
    assert account.relay("daemon", "logs", "-n", "7") == (0, "a line of the log\n", "")
    assert account.calls[-1] == "journalctl --user-unit=relay.service --lines=7 --no-pager"
    assert account.relay("daemon", "logs", "-f", "--dry-run").out == (
        "run journalctl --user-unit=relay.service --lines=50 --no-pager --follow\n"
    )
    (account.bin / "journalctl").unlink()
    assert "journalctl can't be started: No such file" in account.relay("daemon", "logs").err


def test_without_a_session_of_systemd_nothing_is_written(account: Account) -> None:
    account.fails("systemctl", "show", BUS)
    code, out, err = account.relay("daemon", "install")
    assert (code, out) == (1, "")
    assert BUS in err
    assert "loginctl enable-linger" in err
    assert not account.unit.exists()


def test_settings_with_which_no_relay_would_start_are_not_installed(account: Account) -> None:
    env_file = account.config / "relay.env"
    env_file.write_text(env_file.read_text().replace("RELAY_PORT=", "RELAY_PORT=many"))
    code, out, err = account.relay("daemon", "install")
    assert (code, out, account.calls) == (1, "", [])
    assert "the relay would not start: " in err
    assert "RELAY_PORT" in err


def test_a_start_that_fails_says_where_to_look(account: Account) -> None:
    account.fails(
        "systemctl", "restart", "Job for relay.service failed because the control process exited with error code."
    )
    code, _, err = account.relay("daemon", "install")
    assert code == 1
    assert "failed because the control process exited with error code.; relay daemon logs shows why" in err


def test_where_nobody_runs_services_it_says_what_to_do_instead(account: Account) -> None:
    (account.bin / "systemctl").unlink()
    for words in (("install",), ("status",), ("logs",)):
        code, _, err = account.relay("daemon", *words)
        assert code == 1
        assert f"relay serve --env-file {account.config}/relay.env" in err


def test_before_setup_install_names_setup(tmp_path: Path) -> None:
    account = Account(tmp_path, "systemctl")
    code, _, err = account.relay("daemon", "install")
    assert (code, err) == (1, f"relay: {account.config}/relay.env is not there; relay setup makes it\n")


def test_a_port_that_is_taken_is_an_end_that_a_manager_tries_again(account: Account, daemon: Daemon) -> None:
    env = environment({"HOME": str(account.home)}) | {"RELAY_PORT": str(daemon.port)}
    command = _serve(account)
    done = subprocess.run(command, env=env, capture_output=True, timeout=READY_S)
    unit = account.relay("daemon", "install", "--dry-run").out
    never = next(line for line in unit.splitlines() if "RestartPreventExitStatus=" in line).partition("=")[2].split()
    assert done.returncode == 1
    assert "1" not in never
    wrong = subprocess.run([*command, "--port", "many"], env=env, capture_output=True, timeout=READY_S)
    assert str(wrong.returncode) in never  # wrong settings stay wrong


def _serve(account: Account) -> list[str]:
    account.relay("daemon", "install")
    return [
        *sections(account.unit.read_text())["Service"]["ExecStart"].split(),
        "--env-file",
        str(account.config / "relay.env"),
    ]


def test_a_state_without_a_manager_s_words_is_still_a_line() -> None:
    assert status_lines(Status("systemd", True, False, "inactive (dead)")) == [
        "the relay does not run: inactive (dead) (systemd)",
        "  relay daemon logs shows what it said; relay daemon start starts it",
    ]
