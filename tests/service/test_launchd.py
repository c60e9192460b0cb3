"""launchd: the plist, read by plistlib, and what `launchctl print` says."""

import plistlib
from pathlib import Path

import pytest

from relay_client.service.launchd import parse_print, plist
from relay_client.service.systemd import Service, UnitError

SERVICE = Service(("/opt/a b/relay", "serve"), Path("/Users/ada/.config/relay/relay.env"), Path("/Users/ada/data"))
LOG = Path("/Users/ada/Library/Logs/relay/relay.log")
KEYS = {
    "Label": str, "ProgramArguments": list, "RunAtLoad": bool, "KeepAlive": dict, "ThrottleInterval": int,
    "ExitTimeOut": int, "ProcessType": str, "Umask": int, "WorkingDirectory": str, "SoftResourceLimits": dict,
    "StandardOutPath": str, "StandardErrorPath": str,
}  # fmt: skip
"""By launchd.plist(5)."""


def test_the_plist_has_keys_that_launchd_knows_with_values_of_their_type() -> None:
    job = plistlib.loads(plist(SERVICE, LOG, Path("/Users/ada")))
    assert {key: type(value) for key, value in job.items()} == KEYS
    assert job["Label"] == "local.relay-broker"
    assert job["ProgramArguments"] == [
        "/opt/a b/relay", "serve", "--env-file", "/Users/ada/.config/relay/relay.env"
    ]  # fmt: skip
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert job["ProcessType"] in ("Standard", "Background", "Adaptive", "Interactive")
    assert job["Umask"] == 0o077
    assert job["StandardErrorPath"] == str(LOG)


def test_print_is_read_by_its_own_lines_not_by_those_of_what_is_nested() -> None:
    said = """gui/501/local.relay-broker = {
\tactive count = 1
\tpath = /Users/ada/Library/LaunchAgents/local.relay-broker.plist
\tstate = running

\tprogram = /opt/relay
\tdefault environment = {
\t\tPATH = /usr/bin
\t\tstate = nested
\t}
\truns = 3
\tpid = 4711
\tlast exit code = 1
}
"""
    found = parse_print(said)
    assert (found["state"], found["runs"], found["pid"], found["last exit code"]) == ("running", "3", "4711", "1")
    assert "PATH" not in found


def test_a_path_with_a_control_character_is_refused_in_words() -> None:
    with pytest.raises(UnitError, match=r"'/Users/\\x07' has a line break or another control character"):
        plist(SERVICE, LOG, Path("/Users/\x07"))
