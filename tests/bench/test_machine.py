"""What a report says of the machine."""

import resource
from pathlib import Path

import pytest

from bench import machine


def test_the_deepest_mount_above_a_folder_names_its_filesystem() -> None:
    if not Path("/proc/mounts").exists():
        pytest.skip("no /proc/mounts here")
    assert machine.filesystem(Path("/proc/self")) == "proc"


def test_a_distribution_that_is_not_installed_is_said_to_be_missing() -> None:
    assert machine.version("relay-broker") != "missing"
    assert machine.version("no-such-distribution") == "missing"


def test_the_facts_name_processor_filesystem_and_versions(tmp_path: Path) -> None:
    facts = machine.facts(tmp_path)
    assert "cores" in facts["processor"]
    assert str(tmp_path) in facts["filesystem"]
    assert facts["relay"].startswith("relay-broker ")


def test_the_file_limit_is_raised_to_what_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert machine.raise_file_limit() == before[1]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
