"""The announcement: who gets it, its receipts as they come, and the limit of group sends."""

import re
from pathlib import Path

from .program import facts, run_example

ORDER = [".", "pushed", "surfaced", "done"]


def test_the_table_follows_the_receipts_and_the_limit_is_waited_for(tmp_path: Path) -> None:
    done = run_example("announcement.py", tmp_path)
    assert len(facts(done)) == 6
    out = done.stdout
    assert "went to 5 agents, 4 of them online" in out

    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["ada", "ben", "cyd", "dan", "eve", "fay"])
    rows = [line for line in lines[start:] if len(line) == 6 and set(line) <= set(ORDER)]
    assert rows[-1] == ["done", "done", "done", ".", "done", "done"]
    for column in zip(*rows, strict=True):
        reached = [ORDER.index(stage) for stage in column]
        assert reached == sorted(reached)  # no receipt goes back
    woken = lines.index(["eve", "wakes", "up,", "fay", "connects"])
    assert lines[woken - 1] == ["done", "done", "done", ".", "pushed", "."]

    limited = re.search(r"group_rate: editor has used up its 10 .* send again in ([\d.]+) s", out)
    assert limited is not None
    assert 0 < float(limited[1]) <= 6
    assert "10 reminders are out" in out  # and the announcement itself: the eleventh had to wait
