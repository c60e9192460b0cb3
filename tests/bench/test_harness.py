"""The whole harness, as its users start it, with tiny windows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import ROOT
from bench.peers import PEERS
from bench.processes import RESULTS

ALL_SEEN = {"one", "in-flight", "end-to-end"}


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)


def run_folders() -> set[Path]:
    return set(RESULTS.glob("run-*"))


def test_every_workload_is_measured_on_every_peer_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    before = run_folders()
    done = bench(
        "--quick", "--seconds", "0.1", "--warmup", "0.05", "--agents", "20", "--rest", "0.2", "--json", str(file)
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert set(results["workloads"]) == ALL_SEEN
    for name, by_peer in results["workloads"].items():
        for peer in PEERS:
            if peer.name in results["missing"]:
                assert f"MISSING: {results['missing'][peer.name]}" in done.stdout
            else:
                [measured] = by_peer[peer.name]["rounds"]
                assert measured["seconds"] > 0, (name, peer.name)
                if name == "end-to-end":  # in so short a window a busy disk may answer no single send
                    assert measured["messages"] > 0, peer.name
    assert results["idle"]["agents"] == 20
    assert results["idle"]["registered"]["resident"] > 0
    assert run_folders() <= before, "the folders of its daemons are gone"


def test_idle_agents_can_be_measured_alone(tmp_path: Path) -> None:
    file = tmp_path / "idle.json"
    done = bench("idle", "--agents", "10", "--rest", "0.1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "10 idle agents on Relay" in done.stdout
    assert json.loads(file.read_text())["workloads"] == {}


@pytest.mark.parametrize("option", [("--only", "two"), ("--peers", "carrier-pigeon")])
def test_an_unknown_name_is_a_usage_error_that_lists_the_known_ones(option: tuple[str, str]) -> None:
    done = bench(*option)
    assert done.returncode == 2
    assert f"'{option[1]}' is none of" in done.stderr


def test_more_agents_than_open_files_is_an_error_not_a_number(tmp_path: Path) -> None:
    done = bench("--only", "idle", "--agents", "10000000", "--json", str(tmp_path / "run.json"))
    assert done.returncode == 1
    assert "this system allows" in done.stderr
    assert not (tmp_path / "run.json").exists()
