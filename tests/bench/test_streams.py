"""The bench of listeners, as its users start it, with tiny windows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import ROOT
from bench.streams import Pair, ratio_of


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench.streams", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)


@pytest.mark.parametrize("whom", [(), ("--for", "consumer")])
def test_both_workloads_are_measured_in_pairs(tmp_path: Path, whom: tuple[str, ...]) -> None:
    file = tmp_path / "streams.json"
    done = bench("--listeners", "5", "--pairs", "2", "--seconds", "0.2", "--json", str(file), *whom)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("with listeners") == 2
    for pairs in json.loads(file.read_text()).values():
        assert len(pairs) == 2
        for pair in pairs:
            assert pair["told"] > 0
            assert 0 < pair["fewest"] <= pair["told"] / 5


def test_listeners_whom_nothing_concerns_are_told_nothing(tmp_path: Path) -> None:
    file = tmp_path / "streams.json"
    done = bench("--listeners", "5", "--pairs", "1", "--seconds", "0.1", "--json", str(file), "--for", "somebody-else")
    assert done.returncode == 0, done.stderr
    assert [pair["told"] for pairs in json.loads(file.read_text()).values() for pair in pairs] == [0, 0]


def test_the_figure_is_the_median_of_what_is_left() -> None:
    pairs = [Pair(100.0, left, 0, 0, 0, 0.0) for left in (50.0, 90.0, 95.0)]
    assert ratio_of(pairs) == 0.9
