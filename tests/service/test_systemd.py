"""systemd: the unit by its own format: systemd-analyze where it is there, and a strict reader of sections and keys."""

import glob
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from relay_client.service.systemd import Service, UnitError, parse_show, program_of, unit, writes_to

SERVICE = Service(
    ("/opt/relay/bin/relay", "serve"), Path("/home/ada/.config/relay/relay.env"), Path("/home/ada/.local/share/relay")
)
FAILS_FOR_USERS = {
    "CapabilityBoundingSet", "AmbientCapabilities", "PrivateDevices", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectClock", "User", "Group", "DynamicUser", "PrivateUsers", "RootDirectory", "ProtectHostname",
}  # fmt: skip
"""What a user's manager may not do: it needs capabilities, or fails where namespaces are forbidden."""


def sections(text: str) -> dict[str, dict[str, str]]:
    """A unit, read as strictly as can be: every line is a comment, a section or a key of one, each key once."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if head := re.fullmatch(r"\[(Unit|Service|Install)\]", line):
            assert head[1] not in found, line
            section = found[head[1]] = {}
            continue
        key, equals, value = line.partition("=")
        assert section is not None, line
        assert equals, line
        assert re.fullmatch(r"[A-Z][A-Za-z]+", key), line
        assert key not in section, line
        assert value == value.strip(), line
        section[key] = value
    return found


def analyzed(tmp_path: Path, text: str) -> str:
    """What systemd itself says of a unit: nothing when there is nothing wrong with it."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here; the strict reader of this file looks at the unit everywhere")
    file = tmp_path / "relay.service"
    file.write_text(text)
    runtime = tmp_path / "run"
    runtime.mkdir(exist_ok=True)
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [analyze, "--user", "verify", "--man=no", str(file)], env=env, capture_output=True, text=True, timeout=30
    )
    return f"{done.stdout}{done.stderr}" + (f"status {done.returncode}" if done.returncode else "")


def test_the_unit_says_what_a_relay_needs() -> None:
    found = sections(unit(SERVICE))
    assert found.keys() == {"Unit", "Service", "Install"}
    service = found["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["ExecStart"] == "/opt/relay/bin/relay serve"
    assert service["EnvironmentFile"] == "/home/ada/.config/relay/relay.env"
    assert service["Restart"] == "on-failure"
    assert "2" in service["RestartPreventExitStatus"].split()  # settings that are wrong stay wrong
    assert not {"0", "1", "70", "74"} & set(service["RestartPreventExitStatus"].split())
    assert int(service["WatchdogSec"]) > 0
    assert int(service["TimeoutStopSec"]) > 5
    assert service["UMask"] == "0077"
    assert int(service["LimitNOFILE"]) >= 4096
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == '"-/home/ada/.local/share/relay"'
    assert service["PrivateTmp"] == "yes"
    assert found["Unit"].keys() >= {"StartLimitIntervalSec", "StartLimitBurst"}
    assert found["Install"]["WantedBy"] == "default.target"


def test_nothing_stands_there_that_a_user_s_manager_may_not_do() -> None:
    assert not sections(unit(SERVICE))["Service"].keys() & FAILS_FOR_USERS


@pytest.mark.parametrize(
    "name", ["plain", "it's", "with blank", "100%n", "do$lar", 'quo"te', "back\\slash", "br[ack]et*?", "é"]
)
def test_systemd_takes_the_unit_whatever_the_paths_are(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    program = (tmp_path if set(name) & set("\"'\\") else folder) / "relay"  # systemd starts no program of such a path
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = unit(Service((str(program), "serve"), folder / "relay.env", folder / "data"))
    assert "%" not in "".join(sections(text)["Service"].values()).replace("%%", "")
    assert program_of(text) == str(program)
    assert writes_to(text) == str(folder / "data")
    assert analyzed(tmp_path, text) == ""  # it looks for the program, too


@pytest.mark.parametrize("name", ["plain", "with blank", "br[ack]et", "st*r", "wh?t"])
def test_the_env_file_is_found_although_systemd_reads_a_pattern(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "relay.env").touch()
    said = sections(unit(Service(("/bin/relay", "serve"), folder / "relay.env", Path("/d"))))["Service"]
    assert glob.glob(said["EnvironmentFile"]) == [str(folder / "relay.env")]


def test_systemd_would_have_said_something(tmp_path: Path) -> None:
    broken = unit(SERVICE).replace("/opt/relay/bin/relay", "/nowhere/relay").replace("UMask", "Umask")
    said = analyzed(tmp_path, broken)
    assert "Umask" in said
    assert "/nowhere/relay" in said


def test_a_later_word_with_a_dollar_is_no_variable() -> None:
    found = sections(unit(Service(("/bin/relay", "serve", "--x", "$HOME 1"), Path("/e"), Path("/d"))))
    assert shlex.split(found["Service"]["ExecStart"]) == ["/bin/relay", "serve", "--x", "$$HOME 1"]


@pytest.mark.parametrize("where", ["data", "program"])
def test_a_folder_in_everybodys_tmp_is_not_hidden_from_the_service(where: str) -> None:
    data = Path("/tmp/relay" if where == "data" else "/srv/relay")
    command = ("/var/tmp/venv/bin/relay" if where == "program" else "/opt/relay", "serve")
    assert sections(unit(Service(command, Path("/e"), data)))["Service"]["PrivateTmp"] == "no"


def test_a_path_with_a_line_break_can_not_smuggle_a_setting_in() -> None:
    for service in (
        Service(("/bin/relay", "serve"), Path("/a\nExecStartPre=/bin/x"), Path("/d")),
        Service(("/bin/relay", "serve"), Path("/e"), Path("/d\nUser=root")),
        Service(("/bin/re\nlay", "serve"), Path("/e"), Path("/d")),
    ):
        with pytest.raises(UnitError, match="line break or another control character"):
            unit(service)


def test_a_program_that_systemd_would_not_start_is_refused_by_name() -> None:
    for path in ('/opt/a"b/relay', "/opt/a'b/relay", "/opt/a\\b/relay"):
        with pytest.raises(UnitError, match="systemd starts no program with a quote or a backslash in its path"):
            unit(Service((path, "serve"), Path("/e"), Path("/d")))


def test_of_a_unit_that_is_not_ours_nothing_is_made_up() -> None:
    assert program_of("[Service]\nType=simple\n") is None
    assert writes_to("[Service]\nReadWritePaths=/a /b\n") is None


def test_what_show_says_is_read_by_name() -> None:
    assert parse_show("ActiveState=active\nStatusText=a=b\n\n") == {"ActiveState": "active", "StatusText": "a=b"}
