"""installed: who installed this, by the traces that pip, uv and pipx leave, and what they are told."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from relay_client.service import installed
from relay_client.service.installed import Installed, Machine, detect, this_machine


def distribution(folder: Path, *, installer: str = "pip", direct: object = None) -> metadata.Distribution:
    """The metadata that an installer would have written."""
    info = folder / "relay_broker-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: relay-broker\nVersion: 0.1.0\n")
    (info / "INSTALLER").write_text(f"{installer}\n")
    if direct is not None:
        (info / "direct_url.json").write_text(json.dumps(direct))
    return metadata.Distribution.at(info)


def machine(prefix: Path, *there: str, base: str = "/usr", managed: bool = False, user: bool = False) -> Machine:
    def which(name: str) -> str | None:
        return f"/bin/{name}" if name in there else None

    prefix.mkdir(parents=True, exist_ok=True)
    return Machine(prefix, Path(base), prefix / "bin" / "python", which, managed, user)


def asked(found: Installed) -> str:
    assert found.command is not None, found
    return " ".join(found.command)


def test_pip_in_a_venv_upgrades_by_that_venvs_python(tmp_path: Path) -> None:
    found = detect(machine(tmp_path), distribution(tmp_path))
    assert (found.by, found.version) == ("pip", "0.1.0")
    assert asked(found) == f"{tmp_path}/bin/python -m pip install --upgrade relay-broker"


def test_a_venv_of_uv_needs_no_pip(tmp_path: Path) -> None:
    found = detect(machine(tmp_path, "uv"), distribution(tmp_path, installer="uv"))
    assert found.by == "uv pip"
    assert asked(found) == f"uv pip install --python {tmp_path}/bin/python --upgrade relay-broker"


def test_a_tool_of_uv_is_known_by_its_receipt(tmp_path: Path) -> None:
    (tmp_path / "uv-receipt.toml").write_text('[tool]\nrequirements = [{ name = "relay-broker" }]\n')
    found = detect(machine(tmp_path, "uv"), distribution(tmp_path, installer="uv"))
    assert (found.by, asked(found)) == ("uv tool", "uv tool upgrade relay-broker")


def test_pipx_is_known_by_its_metadata_and_upgrades_by_the_name_of_its_venv(tmp_path: Path) -> None:
    prefix = tmp_path / "relay-broker-next"  # pipx install --suffix=-next
    prefix.mkdir()
    (prefix / "pipx_metadata.json").write_text('{"main_package": {"package": "relay-broker"}}')
    found = detect(machine(prefix, "pipx"), distribution(prefix))
    assert (found.by, asked(found)) == ("pipx", "pipx upgrade relay-broker-next")


def test_a_tool_that_is_gone_is_named_with_what_it_would_be_told(tmp_path: Path) -> None:
    (tmp_path / "uv-receipt.toml").touch()
    found = detect(machine(tmp_path), distribution(tmp_path))
    assert found.command is None
    assert found.instead == (
        "it was installed by uv tool, and there is no uv on the PATH; with it: uv tool upgrade relay-broker"
    )


def test_an_editable_checkout_is_left_to_git(tmp_path: Path) -> None:
    direct = {"url": "file:///work/my%20relay", "dir_info": {"editable": True}}
    for index, receipt in enumerate(("", "uv-receipt.toml", "pipx_metadata.json")):
        prefix = tmp_path / str(index)
        prefix.mkdir()
        if receipt:
            (prefix / receipt).touch()
        found = detect(machine(prefix, "uv", "pipx"), distribution(prefix, direct=direct))
        assert (found.by, found.command) == ("editable checkout", None)
        assert "git -C '/work/my relay' pull" in (found.instead or "")


@pytest.mark.parametrize(
    ("direct", "source"),
    [
        ({"url": "file:///dist/relay.whl", "archive_info": {}}, "file:///dist/relay.whl"),
        (
            {"url": "https://git.example/relay", "vcs_info": {"vcs": "git", "requested_revision": "main"}},
            "relay-broker @ git+https://git.example/relay@main",
        ),
        ({"url": "file:///work/relay", "dir_info": {}}, "file:///work/relay"),
    ],
)
def test_what_came_from_elsewhere_is_taken_from_there_again(tmp_path: Path, direct: object, source: str) -> None:
    found = detect(machine(tmp_path), distribution(tmp_path, direct=direct))
    assert found.source == source
    assert found.command is not None
    assert found.command[-1] == source
    assert "--force-reinstall" in found.command


def test_the_systems_own_python_is_left_alone_and_a_users_is_not(tmp_path: Path) -> None:
    system = detect(machine(tmp_path, managed=True), distribution(tmp_path))
    assert system.command is None
    assert "pipx or uv tool" in (system.instead or "")
    users = detect(machine(tmp_path, user=True), metadata.Distribution.at(tmp_path / "relay_broker-0.1.0.dist-info"))
    assert asked(users).endswith("-m pip install --user --upgrade relay-broker")


def test_a_source_tree_that_nobody_installed_is_said_to_be_one(tmp_path: Path) -> None:
    found = detect(machine(tmp_path), None)
    assert found.command is None
    assert "git pull" in (found.instead or "")


def test_metadata_that_is_broken_is_no_reason_to_fail(tmp_path: Path) -> None:
    made = distribution(tmp_path)
    (tmp_path / "relay_broker-0.1.0.dist-info" / "direct_url.json").write_text("{")
    assert detect(machine(tmp_path), made).by == "pip"


def test_a_real_venv_is_seen_as_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    distribution(site)
    sources = Path(installed.__file__).parents[2]
    proto = sources.parent / "proto"
    code = (
        "import sys; from relay_client.service.installed import *; "
        "found = detect(this_machine(sys.prefix, sys.base_prefix, sys.executable), find_distribution()); "
        "print(found.by, *found.command)"
    )
    done = subprocess.run(
        [python, "-c", code], env={"PYTHONPATH": f"{sources}:{proto}"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"pip {python} -m pip install --upgrade relay-broker\n"


def test_this_very_process_is_in_a_venv_or_not() -> None:
    here = this_machine(sys.prefix, sys.base_prefix, sys.executable)
    assert here.python == Path(sys.executable)
    assert not (here.managed and here.prefix != here.base_prefix)
