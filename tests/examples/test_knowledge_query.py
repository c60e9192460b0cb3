"""Knowledge queries: answers from what is really there, and an error for each way of getting none."""

import asyncio
import inspect
import re
from pathlib import Path

from .program import EXAMPLES, facts, run_example


def test_questions_find_who_knows_and_silence_becomes_an_error(tmp_path: Path) -> None:
    done = run_example("knowledge_query.py", tmp_path)
    assert len(facts(done)) == 8
    out = done.stdout
    assert f"asyncio: {(inspect.getdoc(asyncio.timeout) or '').splitlines()[0]}" in out

    row = next(
        line for line in (EXAMPLES.parent / "protocol.md").read_text().splitlines() if "| `stale_fence` |" in line
    )
    assert f"relay: {row}" in out

    waited_s = re.search(r"(\d\.\d) s  sqlite: Makes a backup of the database", out)
    assert waited_s is not None
    assert 1.0 <= float(waited_s[1]) < 5
    assert "sqlite-hangs: superseded (offered to sqlite)" in out

    assert re.search(r"0\.\d s  ReplyRefused: nobody is there .* any:cap:knowledge:cobol has no recipient", out)
    assert re.search(r"0\.\d s  ReplyRefused: .* \(nacked: asyncio knows nothing of 'asyncio.teleport'\)", out)
    assert re.search(r"1\.\d s  ReplyOverdue: no reply from history .* and not answered; history is online", out)
    assert re.search(r"still owed: #\d+ by history$", out, re.MULTILINE)
