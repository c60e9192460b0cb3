"""Status reports: the newest of each and nothing stale; a killed worker is news at once."""

import re
import signal
from pathlib import Path

from .program import facts, run_example, stop_example


def test_the_supervisor_sees_the_newest_report_of_each_and_hears_of_a_kill(tmp_path: Path) -> None:
    done = run_example("status_report.py", tmp_path)
    assert len(facts(done)) == 7
    out = done.stdout
    seen = re.findall(r"sees #(\d+) of (\w+): (.*)", out)
    assert sorted(name for _, name, _ in seen) == ["ida", "joe"]
    for _, _, report in seen:
        assert int(re.findall(r'"done": (\d+)', report)[0]) >= 20  # the fourth step at least: three were made before
    stages = {name: listed.split(", ") for name, listed in re.findall(r"the reports of (\w+): (.*)", out)}
    assert stages["ida"][-1] == stages["joe"][-1] == "done"
    assert stages["kim"][-1] == "expired"
    assert "superseded" in stages["ida"]
    assert out.count("SIGKILL") == 2
    assert "sees that kim is stale: its connection was lost" in out
    assert "hears reply.gone: joe is stale" in out
    assert "hears presence: joe is stale: its connection was lost" in out


def test_stopping_it_ends_every_process_and_removes_the_data(tmp_path: Path) -> None:
    assert stop_example("status_report.py", tmp_path, signal.SIGINT) == 130
    assert stop_example("status_report.py", tmp_path, signal.SIGTERM) == 143
