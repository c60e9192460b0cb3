"""checks_here: what is found on a machine, and that each thing that is wrong says what to do."""

import os
import resource
import socket
from collections import namedtuple
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from relay_client.service import checks_here as here
from relay_client.service.finding import Finding
from relay_client.service.places import Places, find_places
from tests.daemon import Daemon


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places({"HOME": str(tmp_path)})


def states(findings: Iterable[Finding]) -> dict[str, str]:
    found = list(findings)
    assert all((finding.todo is None) == (finding.state == "ok") for finding in found), (
        "who finds fault says what to do"
    )
    return {finding.check: finding.state for finding in found}


def test_settings_are_where_they_were_read_or_why_no_relay_would_start_with_them(places: Places) -> None:
    assert states(here.check_settings(places, None, None)) == {"settings": "ok"}  # none: nothing is set up here
    assert states(here.check_settings(places, "port is 'x'", None)) == {"settings": "warn"}
    places.config.mkdir(parents=True)
    places.env_file.write_text("RELAY_TOKEN=the-secret\n")
    (finding,) = here.check_settings(places, None, "/etc/config.toml")
    assert finding.said == f"{places.env_file} and /etc/config.toml"
    assert states(here.check_settings(places, "port is 'x'", None)) == {"settings": "fail"}


def test_clients_and_relay_should_have_one_token(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.env_file.write_text("RELAY_TOKEN=the-secret\n")
    places.token_file.write_text("the-secret\n")
    assert states(here.check_settings(places, None, None)) == {"settings": "ok"}
    places.token_file.write_text("another\n")
    found = list(here.check_settings(places, None, None))
    assert states(found) == {"settings": "ok", "token file": "warn"}
    assert not [finding for finding in found if "the-secret" in finding.said]
    places.env_file.write_text("export X=1\n")
    assert states(here.check_settings(places, "line 1 ...", None)) == {"settings": "fail"}


def test_what_others_can_read_is_found_with_the_command_that_closes_it(places: Places) -> None:
    assert list(here.check_permissions(places, places.data)) == []
    places.config.mkdir(parents=True)
    places.data.mkdir(parents=True, mode=0o700)
    for path in (places.env_file, places.token_file, places.profiles_file, places.data / "relay.db"):
        path.touch(0o600)
    places.profiles_file.chmod(0o644)  # there is no secret in it
    assert states(here.check_permissions(places, places.data)) == {"permissions": "ok"}
    places.env_file.chmod(0o640)
    places.data.chmod(0o755)
    (places.data / "relay.db").chmod(0o604)
    found = list(here.check_permissions(places, places.data))
    assert [finding.todo for finding in found] == [
        f"chmod 0600 {places.env_file}", f"chmod 0700 {places.data}", f"chmod 0600 {places.data}/relay.db"
    ]  # fmt: skip


def test_a_profile_that_others_can_change_leads_elsewhere(places: Places) -> None:
    places.config.mkdir(parents=True)
    places.profiles_file.touch()
    places.profiles_file.chmod(0o666)
    assert states(here.check_permissions(places, places.data)) == {"permissions": "fail"}


@pytest.mark.parametrize(
    ("free", "state"), [(10 * here.MIB, "fail"), (500 * here.MIB, "warn"), (5000 * here.MIB, "ok")]
)
def test_room_is_judged_by_what_a_store_needs(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**10, 0, free))
    assert states(here.check_disk(Path("/srv/relay")))["room"] == state


def test_a_place_that_does_not_last_is_found() -> None:
    assert states(here.check_disk(Path("/tmp/relay")))["disk"] == "warn"


def test_a_port_is_free_taken_or_a_relays(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a relay has it" in next(here.check_port("127.0.0.1", daemon.port)).said
    monkeypatch.setattr(here, "PROBE_S", 0.1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(0)
        port = other.getsockname()[1]
        (taken,) = here.check_port("127.0.0.1", port)
        assert taken.state == "fail"
        if Path("/proc/net/tcp").exists():
            assert f"process {os.getpid()} (" in taken.said
    assert states(here.check_port("127.0.0.1", port)) == {"port": "ok"}
    assert states(here.check_port("192.0.2.1", port)) == {"port": "fail"}  # no address of ours


def test_few_files_are_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (256, 1024))
    assert states(here.check_files()) == {"limits": "warn"}
    monkeypatch.setattr("resource.getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    assert states(here.check_files()) == {"limits": "ok"}


def test_a_terminal_without_utf8_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding="ANSI_X3.4-1968", isatty=lambda: False))
    assert states(here.check_terminal({})) == {"terminal": "warn"}
    monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding="utf-8", isatty=lambda: True))
    assert states(here.check_terminal({"TERM": "dumb"})) == {"terminal": "warn"}
    assert states(here.check_terminal({"TERM": "xterm", "NO_COLOR": "1"})) == {"terminal": "ok"}


def test_what_sqlite_can_do_there_is_judged() -> None:
    well = {
        "sqlite": "3.51.3", "sqlite_oldest": "3.37.0", "is_new_enough": True, "is_safe_with_two": True, "refused": [],
        "commit_s": 0.001, "schema": 8, "schema_known": 8, "database_bytes": 4096, "damage": None, "owner": 12,
    }  # fmt: skip

    def judged(**changes: object) -> dict[str, str]:
        return states(here.check_store(SimpleNamespace(**well | changes), Path("/srv/relay")))

    assert judged() == {"sqlite": "ok", "store": "ok", "database": "ok"}
    assert judged(schema=None)["database"] == "ok"  # it stands in the log alone
    assert judged(database_bytes=None) == {"sqlite": "ok", "store": "ok"}
    assert judged(is_new_enough=False)["sqlite"] == "fail"
    assert judged(refused=["journal_mode = WAL (it says 'delete')"])["store"] == "fail"
    assert judged(commit_s=0.2)["store"] == "warn"
    assert judged(schema=9)["database"] == "fail"
    assert judged(damage="it does not begin as a database does")["database"] == "fail"
    (sqlite, *_) = here.check_store(SimpleNamespace(**well | {"is_safe_with_two": False}), Path("/srv"))
    assert "before 3.51.3" in sqlite.said
