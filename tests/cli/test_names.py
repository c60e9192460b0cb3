"""names: who asks has a name of its own, and the next to ask has it again."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relay_client.cli.door import default_name
from relay_client.cli.names import NAMES_MAX, own_name, state_folder
from relay_proto import limits

NAME = default_name("ask-")


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_names_are_used_again_and_never_by_two_at_once() -> None:
    with own_name(()) as first, own_name(()) as second:
        assert (first, second) == (NAME, f"{NAME}-2")
    with own_name(()) as again:
        assert again == NAME


def test_a_name_that_is_taken_at_the_relay_is_left_alone() -> None:
    with own_name({NAME, f"{NAME}-2"}) as name:
        assert name == f"{NAME}-3"


def test_another_process_keeps_its_name_until_it_ends() -> None:
    program = "from relay_client.cli.names import own_name\nwith own_name(()) as name: print(name, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().decode().strip() == NAME
        with own_name(()) as name:
            assert name == f"{NAME}-2"
        other.kill()
        other.wait()
    with own_name(()) as name:
        assert name == NAME


def test_without_a_place_for_files_or_a_free_name_it_is_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_home: Path
) -> None:
    with own_name({NAME, *(f"{NAME}-{n}" for n in range(2, NAMES_MAX + 1))}) as crowded:
        assert len(crowded) == len(f"{NAME}-") + 8
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with own_name(()) as one, own_name(()) as other:
        assert one != other
        assert one.startswith(f"{NAME}-")


def test_a_long_host_name_leaves_room_for_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_client.cli.door.socket.gethostname", lambda: "h" * 300)
    with own_name(()) as first, own_name(()) as second:
        assert len(first) == len(second) == limits.AGENT_CHARS_MAX
        assert second.endswith("h-2")


def test_the_folder_is_its_owner_s(state_home: Path) -> None:
    assert state_folder() == state_home / "relay"
    assert stat.S_IMODE((state_home / "relay").stat().st_mode) == 0o700
